"""What a data set stores of an image is what ``segment`` sees of it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
import tifffile
from PIL import Image

from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.imaging import read_picture
from tests.cases.pictures import SIDE, Run, kidney
from tests.cli.conftest import here  # noqa: F401


def own_folder(folder: Path) -> Path:
    for name in ("images", "masks"):
        (folder / name).mkdir(parents=True)
    mask = np.zeros((SIDE, SIDE), np.uint8)
    mask[10:70, 10:70] = 1
    Image.fromarray(mask).save(folder / "masks" / "a.png")
    (folder / "labels.csv").write_text("class,label\n1,breast-tissue-tumor\n")
    return folder / "images"


@pytest.mark.parametrize("kind", ["planes of 16 bits", "transparency", "8 bits in 16"])
def test_the_stored_pixels_are_those_of_the_reader(kind: str, tmp_path: Path, here: Run) -> None:  # noqa: F811
    images, pixels = own_folder(tmp_path / "my"), kidney()
    if kind == "planes of 16 bits":
        wide = np.moveaxis(pixels.astype(np.uint16) * 257, 2, 0)
        tifffile.imwrite(images / "a.tif", wide, photometric="rgb", planarconfig="separate")
    elif kind == "transparency":
        alpha = np.full((SIDE, SIDE), 255, np.uint8)
        alpha[:, : SIDE // 4] = 0
        pixels[:, : SIDE // 4] = 0
        Image.fromarray(np.dstack([pixels, alpha])).save(images / "a.png")
        pixels[:, : SIDE // 4] = 255
    else:
        tifffile.imwrite(images / "a.tif", pixels.astype(np.uint16), photometric="rgb")
    (path,) = images.iterdir()
    np.testing.assert_array_equal(read_picture(path).pixels, pixels)
    done = here("data", "build", "--source", f"folder={tmp_path / 'my'}", "--mpp", 0.25, "--out", tmp_path / "set")
    assert done.code == 0, done.err
    built = PathSeg(tmp_path / "set")
    (sample,) = map(built.sample, built.entries)
    small = cv2.resize(sample.pixels, (SIDE, SIDE), interpolation=cv2.INTER_AREA)
    assert np.abs(small.astype(int) - pixels).mean() < 3


def test_a_transparent_image_is_named_and_left_out(tmp_path: Path, here: Run) -> None:  # noqa: F811
    images = own_folder(tmp_path / "my")
    Image.new("RGBA", (SIDE, SIDE)).save(images / "a.png")
    done = here("data", "build", "--source", f"folder={tmp_path / 'my'}", "--mpp", 0.25, "--out", tmp_path / "set")
    assert done.code in (1, 2) and "is fully transparent" in " ".join((done.out + done.err).split())
