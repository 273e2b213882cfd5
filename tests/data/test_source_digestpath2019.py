"""DigestPath 2019 on a small copy of its layout; names as in its public file list."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathsegmentor.data.record import Item, Problem
from pathsegmentor.data.sources.digestpath2019 import LESION, SOURCE, WITH, WITHOUT
from pathsegmentor.errors import BadInput

POSITIVE = "18-02791B_2019-05-07 22_25_06-lv1-14165-17366-6446-4855"
NEGATIVE = "2019-06-11 00_44_44-lv1-3309-17888-12117-9896"
RGB = np.full((48, 64, 3), (200, 120, 180), np.uint8)
MASK = np.zeros((48, 64), np.uint8)
MASK[8:32, 16:40] = 255


def put(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path, quality=90)


@pytest.fixture
def download(tmp_path: Path) -> Path:
    put(tmp_path / WITH / f"{POSITIVE}.jpg", RGB)
    put(tmp_path / WITH / f"{POSITIVE}_mask.jpg", MASK)
    put(tmp_path / WITHOUT / f"{NEGATIVE}.jpg", RGB)
    return tmp_path


def found(folder: Path) -> list[Item]:
    return [item for item in SOURCE.items(folder) if isinstance(item, Item)]


def problems(folder: Path) -> list[str]:
    return [item.what for item in SOURCE.items(folder) if isinstance(item, Problem)]


def test_images_with_and_without_lesion_are_found(download: Path) -> None:
    first, second = found(download)
    assert first.name == POSITIVE and first.group == "18-02791" and len(first.files) == 2
    assert second.name == NEGATIVE and second.group == "2019-06-11 00_44_44" and len(second.files) == 1
    assert (first.mpp, first.factor, first.split) == (0.25, 1.0, "") and not problems(download)


def test_doubled_and_enclosing_folders_are_accepted(download: Path) -> None:
    put(download / "Colonoscopy_tissue_segment_dataset" / WITH / WITH / "a.jpg", RGB)
    put(download / "Colonoscopy_tissue_segment_dataset" / WITH / WITH / "a_mask.jpg", MASK)
    (download / WITH).rename(download / "elsewhere")
    assert [item.name for item in found(download)] == ["a", NEGATIVE]


@pytest.mark.parametrize(
    ("name", "group"),
    [
        ("2018_74969_1-1_2019-02-21 00_48_39-lv1-38647-14050-3934-3066", "2018_74969"),
        ("2019-08979-1-6-6_2019-05-28 21_52_03-lv1-42127-12400-6222-8663", "2019-08979"),
        ("D20190399001_2019-06-10 14_39_51-lv1-15622-18656-3266-1719", "D201903990"),
        ("D201801775B_2019-05-14 16_11_32-lv1-32649-27988-6434-3613", "D201801775"),
        ("18_00991B_2019-05-07 21_27_54-lv1-21230-29833-4835-6374", "18_00991"),
        ("1903326001_2019-06-11 12_07_06-lv1-3173-23728-2837-3546", "1903326"),
        ("2019-06-11 00_48_57-lv1-27349-9694-3362-2073", "2019-06-11 00_48_57"),
        ("renamed", "renamed"),
    ],
)
def test_images_of_a_case_stay_together(tmp_path: Path, name: str, group: str) -> None:
    put(tmp_path / WITH / f"{name}.jpg", RGB)
    put(tmp_path / WITH / f"{name}_mask.jpg", MASK)
    (item,) = found(tmp_path)
    assert item.name == name and item.group == group


@pytest.mark.parametrize("colour", [False, True])
def test_the_jpeg_mask_is_cut_at_half(download: Path, colour: bool) -> None:
    put(download / WITH / f"{POSITIVE}_mask.jpg", np.dstack([MASK] * 3) if colour else MASK)
    image = SOURCE.read(found(download)[0])
    assert image.pixels.shape == RGB.shape and np.abs(image.pixels.astype(int) - RGB).max() <= 3
    assert (image.masks[LESION] == (MASK > 0)).all()
    assert image.complete == {LESION} and image.ignore is None


def test_an_image_without_lesion_is_a_true_negative(download: Path) -> None:
    image = SOURCE.read(found(download)[1])
    assert not image.masks[LESION].any() and image.masks[LESION].shape == (48, 64) and image.complete == {LESION}


def test_a_missing_half_is_named(download: Path) -> None:
    put(download / WITH / "a.jpg", RGB)
    put(download / WITH / "b_mask.jpg", MASK)
    (download / WITHOUT).rename(download / "elsewhere")
    without_mask, without_image, without_part = problems(download)
    assert without_mask.endswith("a.jpg: image without mask") and without_image.endswith("mask without image")
    assert f"{WITHOUT} is missing" in without_part
    (download / WITH).rename(download / "gone")
    with pytest.raises(BadInput, match=f"{WITH} is missing"):
        found(download)


@pytest.mark.parametrize(("mask", "words"), [(MASK[1:], "mask 64 x 47"), (None, "damaged")])
def test_a_broken_mask_is_refused_in_one_line(download: Path, mask: np.ndarray | None, words: str) -> None:
    path = download / WITH / f"{POSITIVE}_mask.jpg"
    if mask is None:
        path.write_bytes(path.read_bytes()[:-50])
    else:
        put(path, mask)
    with pytest.raises(BadInput, match=words) as error:
        SOURCE.read(found(download)[0])
    assert "\n" not in str(error.value)
