"""QuPath takes ``.ome.tif`` off a name as one extension."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest

from pathsegmentor.data.manifest import read_rows
from tests.cases.made import BOX, Run, boxes, build, feature, image, outlines
from tests.cli.conftest import here  # noqa: F401
from tests.data.made import save

TUMOR = {"unspecified-tissue-tumor": BOX}


@pytest.mark.parametrize("end", [".ome.tif", ".ome.tiff", ".OME.TIF", ".tif"])
@pytest.mark.parametrize("outline", ["a.geojson", "a{end}.geojson", "sub/a.geojson", "a.geojson.gz", "a.json"])
def test_image_and_outlines_belong_together(tmp_path: Path, here: Run, end: str, outline: str) -> None:  # noqa: F811
    folder = tmp_path / "my"
    image(folder / f"a{end}")
    path = outlines(folder / outline.format(end=end), feature(BOX, {"name": "Tumor"}))
    if path.suffix == ".gz":
        path.write_bytes(gzip.compress(path.read_bytes()))
    (folder / "images.csv").write_text("image,patient\na,p1\n")
    done = build(here, folder)
    assert done.code == 0, done.out
    assert boxes(folder) == TUMOR
    assert [(row.origin, row.patient) for row in read_rows(tmp_path / "pathseg")] == [("a", "p1")]


def test_image_and_mask_belong_together(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "my"
    image(folder / "images" / "a.ome.tif")
    mask = np.zeros((128, 128), np.uint8)
    mask[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 1
    save(folder / "masks" / "a.png", mask)
    (folder / "labels.csv").write_text("class,label\n1,unspecified-tissue-tumor\n")
    assert build(here, folder).code == 0
    assert boxes(folder) == TUMOR
