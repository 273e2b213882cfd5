"""The contact sheet: every label's outline is on its object in its colour, and sources and labels take turns."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathsegmentor.data.build import Settings, Wish, build
from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.data.sample import Sample
from pathsegmentor.data.sheet import FONT, HEAD, MARGIN, TILE, contact_sheet, spread, tile
from pathsegmentor.data.sources import source
from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.draw import PALETTE
from tests.cli.conftest import Done, here  # noqa: F401
from tests.data.made import GLAND, conic, glas

GREY = np.full((200, 200, 3), 180, np.uint8)


def where(drawn: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (drawn == np.array(colour)).all(axis=-1)


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sheet")
    wishes = [Wish(source("glas"), glas(folder / "glas")), Wish(source("conic2022"), conic(folder / "conic"))]
    build(wishes, folder / "out", Settings())
    return folder / "out"


def test_a_tile_shows_image_outline_and_one_line_per_label() -> None:
    mask = np.zeros((1024, 1024), bool)
    mask[512:, 512:] = True
    pixels = np.full((1024, 1024, 3), 180, np.uint8)
    one = tile(Sample("glas", "name", (0.25, 0.25), pixels, {GLAND: mask}))
    side = TILE - 2 * MARGIN
    line = np.abs(one[HEAD : HEAD + side, MARGIN : MARGIN + side].astype(int) - PALETTE[0]).sum(-1) < 60
    rows, columns = np.nonzero(line)
    assert min(rows.min(), columns.min()) == pytest.approx(side / 2, abs=2)
    assert max(rows.max(), columns.max()) == side - 1
    legend = one[HEAD + side :]
    assert where(legend, PALETTE[0]).sum() > 50 and (legend < 100).all(axis=-1).sum() > 100
    many = {f"colon-tissue-kind {i}": mask for i in range(15)}
    assert tile(Sample("glas", "name", (0.25, 0.25), pixels, many)).shape[0] > one.shape[0] + 14 * FONT


def test_sources_take_turns_and_new_labels_come_first(built: Path) -> None:
    entries = PathSeg(built).entries
    chosen = spread(entries, 2, seed=0)
    assert {entry.first.source for entry in chosen} == {"glas", "conic2022"}
    # Only the first patch has all six kinds.
    assert max(len(entry.labels) for entry in chosen) == 6
    assert spread(entries, 2, seed=0) == chosen
    everything = spread(entries, 100, seed=0)
    assert len(everything) == len(entries) and {entry.first.image for entry in everything} == {
        entry.first.image for entry in entries
    }


def test_the_command_draws_what_was_asked_for(built: Path, tmp_path: Path, here: Callable[..., Done]) -> None:  # noqa: F811
    path = tmp_path / "sheet.png"
    assert here("data", "show", built, "--out", path, "--count", "5", "--source", "glas").code == 0
    with Image.open(path) as sheet:
        assert sheet.width == 4 * TILE and sheet.height == 2 * (HEAD + TILE - 2 * MARGIN + 18 + 2 * MARGIN)
    drawn = contact_sheet(built, path, 9, label=GLAND.upper())
    assert len(drawn) == 5 and all(GLAND in entry.labels for entry in drawn)


def test_nothing_to_draw_is_one_line(built: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no image of crag and lung-tissue-tumor"):
        contact_sheet(built, tmp_path / "sheet.png", 4, source="crag", label="lung-tissue-tumor")
    assert not (tmp_path / "sheet.png").exists()
