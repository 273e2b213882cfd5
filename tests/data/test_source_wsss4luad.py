"""WSSS4LUAD: palette masks in which 0 is tumour and 3 is background."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathsegmentor.data.record import Item, Problem
from pathsegmentor.data.sources.wsss4luad import FOLDERS, LABELS, SOURCE
from pathsegmentor.errors import BadInput
from pathsegmentor.vocabulary import Vocabulary

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
TISSUE = np.repeat(np.array([0, 1, 2, 3], np.uint8), 6)[:, None] * np.ones(20, np.uint8)
# The last two rows of normal tissue are called white too: there the masks disagree.
WHITE = (np.arange(24)[:, None] >= 16).astype(np.uint8) * np.ones(20, np.uint8)
PALETTE = [0, 64, 128, 64, 128, 0, 243, 152, 0, 255, 255, 255]


def palette(path: Path, codes: np.ndarray, colours: list[int] = PALETTE) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(codes)
    # A full palette, so that all 8 bits of an index are stored.
    image.putpalette(colours + [0] * (768 - len(colours)))
    assert image.mode == "P"
    image.save(path)


def crop(place: Path, name: str, tissue: np.ndarray = TISSUE, white: np.ndarray = WHITE) -> None:
    (place / "img").mkdir(parents=True, exist_ok=True)
    Image.fromarray(PIXELS).save(place / "img" / f"{name}.png")
    palette(place / "mask" / f"{name}.png", tissue)
    palette(place / "background-mask" / f"{name}.png", white, [0, 0, 0, 255, 255, 255])


@pytest.fixture
def download(tmp_path: Path) -> Path:
    crop(tmp_path / "2.validation", "00")
    crop(tmp_path / "2.validation", "01", np.zeros_like(TISSUE), np.zeros_like(WHITE))
    crop(tmp_path / "3.testing", "00")
    (tmp_path / "1.training").mkdir()
    (tmp_path / "1.training" / "436219-9328-56427-[1, 1, 0].png").write_bytes(b"not read")
    return tmp_path


def found(folder: Path) -> tuple[list[Item], list[str]]:
    every = list(SOURCE.items(folder))
    return [x for x in every if isinstance(x, Item)], [x.what for x in every if isinstance(x, Problem)]


def test_crops_of_both_parts_stand_alone(download: Path) -> None:
    items, problems = found(download)
    assert not problems
    assert [item.name for item in items] == ["2.validation/00", "2.validation/01", "3.testing/00"]
    assert all(item.split == "" and item.group == item.name and item.factor == 4 for item in items)


def test_palette_indices_are_read_not_colours(download: Path) -> None:
    mixed, tumour, _ = (SOURCE.read(item) for item in found(download)[0])
    np.testing.assert_array_equal(mixed.pixels, PIXELS)
    for code, label in enumerate(LABELS):
        np.testing.assert_array_equal(mixed.masks[label], code == TISSUE)
    assert set(mixed.masks) == mixed.complete == set(LABELS)
    assert mixed.ignore is not None
    np.testing.assert_array_equal(mixed.ignore, (WHITE == 1) & (TISSUE != 3))
    assert tumour.masks["lung-tissue-tumor epithelial tissue"].all() and tumour.ignore is None


def test_labels_are_the_papers() -> None:
    assert set(LABELS) <= {label.id for label in Vocabulary.paper()}


def test_doubled_folders_and_what_a_mac_leaves(tmp_path: Path) -> None:
    for part in ("2.validation", "3.testing"):
        crop(tmp_path / part / part, "07")
        left = tmp_path / part / "__MACOSX" / part / "img"
        left.mkdir(parents=True)
        (left / "._07.png").write_bytes(b"left behind")
        (tmp_path / part / part / "mask" / "._07.png").write_bytes(b"left behind")
    assert ([item.name for item in found(tmp_path)[0]], found(tmp_path)[1]) == (["2.validation/07", "3.testing/07"], [])


@pytest.mark.parametrize("missing", ["3.testing", "2.validation/background-mask"])
def test_a_missing_half_is_named(download: Path, missing: str) -> None:
    (download / missing).rename(download / "elsewhere")
    with pytest.raises(BadInput, match=f"{missing} is missing; expected 2.validation"):
        found(download)


def test_a_crop_without_mask_is_a_problem(download: Path) -> None:
    (download / "2.validation" / "mask" / "01.png").unlink()
    items, problems = found(download)
    assert len(items) == 2 and problems == ["2.validation/01.png: missing in mask"]


def test_empty_folders_are_refused(tmp_path: Path) -> None:
    for part in ("2.validation", "3.testing"):
        for name in FOLDERS:
            (tmp_path / part / name).mkdir(parents=True)
    with pytest.raises(BadInput, match="no annotated image"):
        found(tmp_path)


@pytest.mark.parametrize(
    ("tissue", "white", "message"),
    [
        (TISSUE + 1, WHITE, r"2.validation/00 \(mask\): unknown class code 4"),
        (TISSUE, WHITE * 2, r"\(background-mask\): unknown class code 2"),
        (TISSUE[:-1], WHITE, r"\(mask\): image is 20 x 24, mask 20 x 23"),
        (TISSUE, WHITE[:, 1:], r"\(background-mask\): image is 20 x 24, mask 19 x 24"),
    ],
)
def test_wrong_masks_are_refused(download: Path, tissue: np.ndarray, white: np.ndarray, message: str) -> None:
    crop(download / "2.validation", "00", tissue, white)
    with pytest.raises(BadInput, match=message):
        SOURCE.read(found(download)[0][0])


def test_colours_and_truncated_files_are_refused(download: Path) -> None:
    path = download / "2.validation" / "mask" / "00.png"
    Image.open(path).convert("RGB").save(path)
    with pytest.raises(BadInput, match="holds colours"):
        SOURCE.read(found(download)[0][0])
    path.write_bytes(path.read_bytes()[:60])
    with pytest.raises(BadInput, match="damaged"):
        SOURCE.read(found(download)[0][0])
