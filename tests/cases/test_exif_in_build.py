"""Images that EXIF turns are stored upright, where every viewer's outlines and masks lie."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageOps

from pathsegmentor.data.pathseg import PathSeg
from tests.cases.pictures import Run, kidney
from tests.cli.conftest import here  # noqa: F401

BOX = np.s_[10:60, 20:70]


def turned(path: Path, orientation: int) -> np.ndarray:
    """A JPEG with an orientation, and how Pillow shows it upright."""
    exif = Image.Exif()
    exif[274] = orientation
    Image.fromarray(np.ascontiguousarray(kidney()[:, :100])).save(path, exif=exif, quality=95)
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image))


@pytest.mark.parametrize("orientation", [2, 3, 6, 8])
@pytest.mark.parametrize("form", ["masks", "coco"])
def test_image_and_mask_are_upright(form: str, orientation: int, tmp_path: Path, here: Run) -> None:  # noqa: F811
    home = tmp_path / "my"
    (home / "images").mkdir(parents=True)
    upright = turned(home / "images" / "a.jpg", orientation)
    height, width = upright.shape[:2]
    mask = np.zeros((height, width), np.uint8)
    mask[BOX] = 1
    if form == "masks":
        (home / "masks").mkdir()
        Image.fromarray(mask).save(home / "masks" / "a.png")
        (home / "labels.csv").write_text("class,label\n1,breast-tissue-tumor\n")
    else:
        corners = [20, 10, 70, 10, 70, 60, 20, 60]
        drawn = {"id": 1, "image_id": 1, "category_id": 1, "iscrowd": 0, "segmentation": [corners]}
        listing = {
            "images": [{"id": 1, "file_name": "images/a.jpg", "width": width, "height": height}],
            "annotations": [drawn],
            "categories": [{"id": 1, "name": "tumor"}],
        }
        (home / "c.json").write_text(json.dumps(listing))
    done = here("data", "build", "--source", f"folder={home}", "--mpp", 0.25, "--out", tmp_path / "set")
    assert done.code == 0, done.out + done.err
    built = PathSeg(tmp_path / "set")
    (sample,) = map(built.sample, built.entries)
    small = cv2.resize(sample.pixels, (width, height), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - upright).mean() < 5
    (found,) = sample.masks.values()
    lies = cv2.resize(found.astype(np.float32), (width, height), interpolation=cv2.INTER_AREA) > 0.5
    assert (lies & (mask > 0)).sum() > 0.92 * (lies | (mask > 0)).sum()


def test_a_mask_that_lies_as_the_file_does_is_refused(tmp_path: Path, here: Run) -> None:  # noqa: F811
    home = tmp_path / "my"
    for name in ("images", "masks"):
        (home / name).mkdir(parents=True)
    upright = turned(home / "images" / "a.jpg", 6)
    Image.fromarray(np.ones(upright.shape[1::-1], np.uint8)).save(home / "masks" / "a.png")
    (home / "labels.csv").write_text("class,label\n1,breast-tissue-tumor\n")
    done = here("data", "build", "--source", f"folder={home}", "--mpp", 0.25, "--out", tmp_path / "set")
    assert done.code in (1, 2) and "EXIF orientation" in " ".join((done.out + done.err).split())
