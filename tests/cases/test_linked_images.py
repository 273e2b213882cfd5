"""Large images are linked into a folder, not copied; names in a file still lead nowhere else."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.cases.made import BOX, Run, boxes, build, coco, feature, image, outlines
from tests.cli.conftest import here  # noqa: F401
from tests.data.made import save

TUMOR = {"unspecified-tissue-tumor": BOX}


@pytest.mark.parametrize("form", ["coco", "qupath", "masks"])
def test_an_image_that_is_a_link_is_read(tmp_path: Path, here: Run, form: str) -> None:  # noqa: F811
    folder, store = tmp_path / "my", image(tmp_path / "store" / "a.png")
    link = folder / ("images/a.png" if form == "masks" else "a.png")
    link.parent.mkdir(parents=True)
    link.symlink_to(store)
    if form == "coco":
        coco(folder / "c.json", "a.png", BOX)
    elif form == "qupath":
        outlines(folder / "a.geojson", feature(BOX, {"name": "Tumor"}))
    else:
        mask = np.zeros((128, 128), np.uint8)
        mask[BOX[1] : BOX[3], BOX[0] : BOX[2]] = 1
        (folder / "masks").mkdir()
        (folder / "masks" / "a.png").symlink_to(save(tmp_path / "store" / "mask.png", mask))
        (folder / "labels.csv").write_text("class,label\n1,unspecified-tissue-tumor\n")
    done = build(here, folder)
    assert done.code == 0, done.out
    assert boxes(folder) == TUMOR


@pytest.mark.parametrize("circle", [False, True])
def test_a_subfolder_that_is_a_link_is_read(tmp_path: Path, here: Run, circle: bool) -> None:  # noqa: F811
    folder, store = tmp_path / "my", tmp_path / "store"
    image(store / "a.png")
    outlines(store / "a.geojson", feature(BOX, {"name": "Tumor"}))
    folder.mkdir()
    (folder / "slides").symlink_to("../store")
    if circle:
        (store / "again").symlink_to(store)
        (store / "above").symlink_to(tmp_path)
        (folder / "self").symlink_to(folder)
        (folder / "nowhere").symlink_to(tmp_path / "gone")
    done = build(here, folder)
    assert done.code == 0, done.out
    assert boxes(folder) == TUMOR


@pytest.mark.parametrize("name", ["../store/a.png", "{store}/a.png", "slides/../../store/a.png"])
def test_a_name_in_a_file_leads_nowhere_else(tmp_path: Path, here: Run, name: str) -> None:  # noqa: F811
    image(tmp_path / "store" / "a.png")
    (tmp_path / "my").mkdir()
    coco(tmp_path / "my" / "c.json", name.replace("{store}", str(tmp_path / "store")), BOX)
    done = build(here, tmp_path / "my")
    assert done.code == 2 and "leaves the folder" in done.err
    assert not (tmp_path / "pathseg" / "manifest.parquet").exists()
