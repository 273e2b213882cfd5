"""SICAPv2: two codings of Gleason patterns, in PNG or JPEG, and the official partition."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathsegmentor.data.record import Item, Problem
from pathsegmentor.data.sources.sicapv2 import CANCER, PATTERNS, SOURCE
from pathsegmentor.errors import BadInput

openpyxl = pytest.importorskip("openpyxl")

NAMES = [
    "16B0001851_Block_Region_1_0_0_xini_6803_yini_59786",
    "16B0001851_Block_Region_1_0_1_xini_7827_yini_59786",
    "18B0006169J_Block_Region_2_3_4_xini_1_yini_2",
]
PIXELS = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
BENIGN = np.zeros((64, 64), np.uint8)
# One pattern per 16 rows, so that JPEG blocks do not mix them.
MASK = np.repeat(np.array([0, 3, 4, 5], np.uint8), 16)[:, None] * np.ones(64, np.uint8)
RANKS = np.where(MASK > 0, MASK - 2, 0).astype(np.uint8)


def put(folder: Path, masks: list[np.ndarray], suffix: str = ".png") -> None:
    (folder / "images").mkdir(parents=True, exist_ok=True)
    (folder / "masks").mkdir(exist_ok=True)
    for name, mask in zip(NAMES, masks, strict=False):
        Image.fromarray(PIXELS).save(folder / "images" / f"{name}.jpg")
        Image.fromarray(mask).save(folder / "masks" / f"{name}{suffix}")


def partition(folder: Path, train: list[str], test: list[str]) -> None:
    (folder / "partition" / "Test").mkdir(parents=True, exist_ok=True)
    for part, names in (("Train", train), ("Test", test)):
        book = openpyxl.Workbook()
        book.active.append(["image_name", "NC", "G3", "G4", "G5", "G4C"])
        for name in names:
            book.active.append([f"{name}.jpg", 0, 1, 0, 0, 0])
        book.save(folder / "partition" / "Test" / f"{part}.xlsx")


def found(folder: Path) -> tuple[list[Item], list[str]]:
    every = list(SOURCE.items(folder))
    return [x for x in every if isinstance(x, Item)], [x.what for x in every if isinstance(x, Problem)]


def test_patches_are_grouped_by_slide_and_know_their_part(tmp_path: Path) -> None:
    put(tmp_path / "SICAPv2", [BENIGN, MASK, MASK])
    partition(tmp_path / "SICAPv2", NAMES[:2], NAMES[2:])
    items, problems = found(tmp_path)
    assert not problems and found(tmp_path / "SICAPv2")[0] == items
    assert [(item.name, item.split, item.group, item.note) for item in items] == [
        (NAMES[0], "train", "16B0001851", "345"),
        (NAMES[1], "train", "16B0001851", "345"),
        (NAMES[2], "test", "18B0006169J", "345"),
    ]
    assert {(item.mpp, item.factor) for item in items} == {(1.0, 4.0)}


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize("stored", [MASK, RANKS])
def test_both_codings_give_cancer_and_patterns(tmp_path: Path, stored: np.ndarray, suffix: str) -> None:
    put(tmp_path, [BENIGN, stored], suffix)
    partition(tmp_path, NAMES[:2], [])
    benign, ill = (SOURCE.read(item) for item in found(tmp_path)[0])
    assert benign.complete == ill.complete == {CANCER, *PATTERNS}
    assert not any(mask.any() for mask in benign.masks.values())
    np.testing.assert_array_equal(ill.masks[CANCER], MASK > 0)
    for grade, label in zip((3, 4, 5), PATTERNS, strict=True):
        np.testing.assert_array_equal(ill.masks[label], grade == MASK)


def test_jpeg_noise_goes_to_the_nearest_code(tmp_path: Path) -> None:
    put(tmp_path, [MASK], ".jpg")
    noisy = MASK.copy()
    noisy[:, ::7] += 1
    noisy[0, 1] = 2
    Image.fromarray(noisy).save(tmp_path / "masks" / f"{NAMES[0]}.jpg", quality=100)
    (item,) = found(tmp_path)[0]
    assert item.note == "345"
    stored = np.asarray(Image.open(tmp_path / "masks" / f"{NAMES[0]}.jpg")).astype(int)
    got = SOURCE.read(item)
    np.testing.assert_array_equal(got.masks[CANCER], stored >= 2)
    np.testing.assert_array_equal(got.masks[PATTERNS[2]], stored >= 5)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
def test_undecided_coding_gives_cancer_only(tmp_path: Path, suffix: str) -> None:
    only = np.where(MASK > 0, 3, 0).astype(np.uint8)
    put(tmp_path, [BENIGN, only], suffix)
    items, problems = found(tmp_path)
    assert "Gleason patterns cannot be told apart" in problems[0]
    got = SOURCE.read(items[1])
    assert set(got.masks) == got.complete == {CANCER}
    np.testing.assert_array_equal(got.masks[CANCER], only > 0)


def test_what_is_missing_is_told(tmp_path: Path) -> None:
    put(tmp_path, [MASK, MASK, MASK])
    partition(tmp_path, [*NAMES, "17B_gone"], [])
    (tmp_path / "masks" / f"{NAMES[1]}.png").unlink()
    (tmp_path / "images" / f"{NAMES[2]}.jpg").unlink()
    (tmp_path / "partition" / "Test" / "Test.xlsx").unlink()
    items, problems = found(tmp_path)
    assert [item.name for item in items] == NAMES[:1]
    assert problems == [
        "partition/Test/Test.xlsx is missing: official part not known",
        f"{NAMES[1]}.jpg: image without mask",
        f"{NAMES[2]}.png: mask without image",
        "partition/Test names 2 images that are not here",
    ]


def test_a_missing_half_is_named(tmp_path: Path) -> None:
    put(tmp_path, [MASK])
    (tmp_path / "masks").rename(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match=r"masks is missing; expected SICAPv2/images/NAME\.jpg"):
        found(tmp_path)
    (tmp_path / "masks").mkdir()
    with pytest.raises(BadInput, match="no annotated image"):
        found(tmp_path)


def test_openpyxl_is_asked_for_only_with_a_partition(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put(tmp_path, [MASK])
    monkeypatch.setitem(sys.modules, "openpyxl", None)
    assert len(found(tmp_path)[0]) == 1
    partition(tmp_path, NAMES[:1], [])
    with pytest.raises(BadInput, match=r"pip install 'pathsegmentor\[data\]'"):
        found(tmp_path)


def test_broken_workbooks_are_refused(tmp_path: Path) -> None:
    put(tmp_path, [MASK])
    partition(tmp_path, NAMES[:1], [])
    path = tmp_path / "partition" / "Test" / "Train.xlsx"
    path.write_bytes(path.read_bytes()[:300])
    with pytest.raises(BadInput, match=r"Train.xlsx is no readable workbook"):
        found(tmp_path)
    book = openpyxl.Workbook()
    book.active.append(["name"])
    book.save(path)
    with pytest.raises(BadInput, match="no column image_name"):
        found(tmp_path)


@pytest.mark.parametrize("suffix", [".png", ".jpg"])
@pytest.mark.parametrize(("broken", "message"), [(MASK * 40, "unknown class code"), (MASK[:32], "mask 64 x 32")])
def test_wrong_masks_are_refused(tmp_path: Path, suffix: str, broken: np.ndarray, message: str) -> None:
    put(tmp_path, [broken, MASK], suffix)
    with pytest.raises(BadInput, match=message):
        SOURCE.read(found(tmp_path)[0][0])


def test_truncated_files_are_refused(tmp_path: Path) -> None:
    put(tmp_path, [MASK, MASK])
    for path in (tmp_path / "images" / f"{NAMES[0]}.jpg", tmp_path / "masks" / f"{NAMES[1]}.png"):
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for item in found(tmp_path)[0]:
        with pytest.raises(BadInput, match="damaged"):
            SOURCE.read(item)
