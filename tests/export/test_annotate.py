"""What a model sees, in a folder that a person corrects and that is read again."""

from __future__ import annotations

import csv
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathsegmentor.data.gather import NOTHING, gather
from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.errors import BadInput
from pathsegmentor.export.annotate import annotate, names_of, sureness
from pathsegmentor.segment import Segmenter

IMAGES = Path(__file__).parents[2] / "examples" / "images"
LABEL = "unspecified-nuclei-nuclei"


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter.from_pretrained("nano")


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """A crop of tissue, and glass."""
    found = []
    source = next(path for path in sorted(IMAGES.iterdir()) if path.suffix in (".png", ".jpg"))
    for name, pixels in (
        ("tissue", np.asarray(Image.open(source).convert("RGB"))[:128, :128]),
        ("glass", np.full((128, 128, 3), 240, np.uint8)),
    ):
        found.append(tmp_path / f"{name}.png")
        Image.fromarray(pixels).save(found[-1])
    return found


def test_sureness_is_the_dice_that_is_expected() -> None:
    mask = np.zeros((4, 4), bool)
    mask[0] = True
    certain = np.where(mask, 1.0, 0.0).astype(np.float32)
    assert sureness(certain, mask, 1.0, "present") == 1.0
    # 4 pixels at 0.5 are in the mask, 4 at 0.25 are missed: 2 * 2 / (4 + 3).
    doubtful = np.zeros((4, 4), np.float32)
    doubtful[0], doubtful[1] = 0.5, 0.25
    assert sureness(doubtful, mask, 1.0, "present") == pytest.approx(4 / 7)
    assert sureness(certain, np.zeros((4, 4), bool), 0.2, "absent") == pytest.approx(0.8)


def test_the_folder_is_read_again_and_deleted_objects_teach_absence(
    segmenter: Segmenter, images: list[Path], tmp_path: Path
) -> None:
    out = tmp_path / "round"
    seen, failed = annotate(images, segmenter, [LABEL], out, mpp=0.25)
    assert not failed
    order = list(csv.DictReader((out / "order.csv").read_text().splitlines()))
    assert [row["image"] for row in order] == [one.name for one in seen]
    assert [float(row["sureness"]) for row in order] == sorted(float(row["sureness"]) for row in order)
    objects = json.loads((out / "tissue.geojson").read_text())["features"]
    assert objects
    assert {feature["properties"]["classification"]["name"] for feature in objects} == {LABEL}
    # What a person shall redraw is no detection.
    assert LABEL.split("-")[1] == "nuclei"
    assert {feature["properties"]["objectType"] for feature in objects} == {"annotation"}
    assert json.loads((out / "glass.geojson").read_text())["features"] == []
    names, _ = gather(out, [], tmp_path / "pathseg")
    entries = {entry.first.origin: entry for entry in PathSeg(tmp_path / "pathseg").entries}
    assert len(names) == 1
    assert entries["tissue"].labels == (LABEL,)
    assert entries["glass"].labels == (NOTHING,)
    assert entries["glass"].certainly_absent(LABEL)


def test_corrections_are_never_written_over(segmenter: Segmenter, images: list[Path], tmp_path: Path) -> None:
    out = tmp_path / "round"
    out.mkdir()
    (out / "tissue.geojson").write_text("mine")
    with pytest.raises(BadInput, match="not empty"):
        annotate(images, segmenter, [LABEL], out, mpp=0.25)
    assert [path.name for path in out.iterdir()] == ["tissue.geojson"]


def test_an_image_that_cannot_be_read_is_named_and_the_others_are_done(
    segmenter: Segmenter, images: list[Path], tmp_path: Path
) -> None:
    broken = tmp_path / "broken.png"
    broken.write_bytes(images[0].read_bytes()[:100])
    seen, failed = annotate([broken, images[1]], segmenter, [LABEL], tmp_path / "out", mpp=0.25)
    assert [one.name for one in seen] == ["glass.png"]
    assert len(failed) == 1
    assert "broken.png" in failed[0]
    with pytest.raises(BadInput, match=r"broken\.png"):
        annotate([broken], segmenter, [LABEL], tmp_path / "none", mpp=0.25)
    assert not (tmp_path / "none").exists()


def test_images_of_one_name_stay_apart() -> None:
    given = [Path("a/x.png"), Path("b/x.png"), Path("b/X.jpg"), Path("labels.png"), Path("y.ome.tif")]
    assert list(names_of(given)) == ["x.png", "x-2.png", "X-3.jpg", "labels-2.png", "y.ome.tif"]


def test_inputs_stay_as_they_were(segmenter: Segmenter, images: list[Path], tmp_path: Path) -> None:
    before = [path.read_bytes() for path in images]
    annotate(images, segmenter, [LABEL], tmp_path / "out", mpp=0.25)
    shutil.rmtree(tmp_path / "out")
    assert [path.read_bytes() for path in images] == before
