"""CRAG on a small copy of its layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathsegmentor.data.record import Item, Problem
from pathsegmentor.data.sources.crag import GLAND, SOURCE
from pathsegmentor.errors import BadInput

RGB = np.arange(24 * 22 * 3, dtype=np.uint8).reshape(24, 22, 3)
GLANDS = np.zeros((24, 22), np.uint8)
GLANDS[2:9, 3:9] = 1
GLANDS[12:20, 5:20] = 2


def put(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.fixture
def download(tmp_path: Path) -> Path:
    for part, names in {"train": ("train_1", "train_2"), "valid": ("test_1",)}.items():
        for name in names:
            put(tmp_path / "CRAG" / part / "Images" / f"{name}.png", RGB)
            put(tmp_path / "CRAG" / part / "Annotation" / f"{name}.png", GLANDS)
            put(tmp_path / "CRAG" / part / "Overlay" / f"{name}.png", RGB)
    return tmp_path


def found(folder: Path) -> list[Item]:
    return [item for item in SOURCE.items(folder) if isinstance(item, Item)]


def problems(folder: Path) -> list[str]:
    return [item.what for item in SOURCE.items(folder) if isinstance(item, Problem)]


def test_items_have_the_official_split(download: Path) -> None:
    items = found(download)
    assert [(item.name, item.split) for item in items] == [
        ("train_1", "train"),
        ("train_2", "train"),
        ("test_1", "test"),
    ]
    assert all((item.mpp, item.factor, item.group) == (0.5, 2.0, item.name) for item in items)
    assert found(download / "CRAG") == items and not problems(download)


def test_the_description_names_the_folders_otherwise(download: Path) -> None:
    (download / "CRAG" / "valid").rename(download / "CRAG" / "test")
    (download / "CRAG" / "train" / "Annotation").rename(download / "CRAG" / "train" / "Annotations")
    assert [item.split for item in found(download)] == ["train", "train", "test"]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_glands_keep_their_numbers(download: Path, dtype: type) -> None:
    put(download / "CRAG" / "train" / "Annotation" / "train_1.png", GLANDS.astype(dtype))
    image = SOURCE.read(found(download)[0])
    assert (image.pixels == RGB).all() and (image.masks[GLAND] == GLANDS).all()
    assert image.complete == {GLAND} and image.ignore is None


def test_outlines_in_colour_are_glands_too(download: Path) -> None:
    colours = np.array([[0, 0, 0], [0, 200, 10], [90, 0, 0]], np.uint8)[GLANDS]
    put(download / "CRAG" / "train" / "Annotation" / "train_1.png", colours)
    assert (SOURCE.read(found(download)[0]).masks[GLAND] == (GLANDS > 0)).all()


def test_a_missing_half_is_named(download: Path) -> None:
    (download / "CRAG" / "train" / "Annotation" / "train_2.png").unlink()
    assert len(found(download)) == 2 and problems(download) == ["train: train_2.png: image without mask"]
    (download / "CRAG" / "valid").rename(download / "elsewhere")
    with pytest.raises(BadInput, match="none of valid, test; expected train/Images"):
        found(download)


@pytest.mark.parametrize(("mask", "words"), [(GLANDS[:, 1:], "mask 21 x 24"), (None, "damaged")])
def test_a_broken_mask_is_refused_in_one_line(download: Path, mask: np.ndarray | None, words: str) -> None:
    path = download / "CRAG" / "train" / "Annotation" / "train_1.png"
    if mask is None:
        path.write_bytes(path.read_bytes()[:60])
    else:
        put(path, mask)
    with pytest.raises(BadInput, match=words) as error:
        SOURCE.read(found(download)[0])
    assert "\n" not in str(error.value)
