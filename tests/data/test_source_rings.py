"""RINGS: tumour everywhere, healthy glands only in tiles without tumour."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathsegmentor.data.record import Item, Problem
from pathsegmentor.data.sources.rings import GLAND, GLANDS, IMAGES, SOURCE, TUMOR, TUMORS
from pathsegmentor.errors import BadInput

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
NOTHING = np.zeros((24, 20), np.uint8)
SPOT, OTHER = NOTHING.copy(), NOTHING.copy()
SPOT[2:9, 3:12] = 255
OTHER[5:20, 8:18] = 255


def put(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def tile(part: Path, name: str, gland: np.ndarray, tumor: np.ndarray) -> None:
    for folder, array in ((IMAGES, PIXELS), (GLANDS, gland), (TUMORS, tumor)):
        put(part / folder / f"{name}.png", array)


@pytest.fixture
def download(tmp_path: Path) -> Path:
    tile(tmp_path / "TRAIN", "P3_A8_12_16_1", SPOT, NOTHING)
    tile(tmp_path / "TRAIN", "P3_A8_3_5_1", SPOT, OTHER)
    tile(tmp_path / "TEST", "P4_C11_5_10_6", NOTHING, NOTHING)
    (tmp_path / "TRAIN" / IMAGES / "._P3_A8_12_16_1.png").write_bytes(b"left behind")
    return tmp_path


def found(folder: Path) -> tuple[list[Item], list[str]]:
    every = list(SOURCE.items(folder))
    return [x for x in every if isinstance(x, Item)], [x.what for x in every if isinstance(x, Problem)]


def test_items_have_the_official_split_and_the_core(download: Path) -> None:
    items, problems = found(download)
    assert not problems
    assert [(item.name, item.split, item.group) for item in items] == [
        ("TRAIN/P3_A8_12_16_1", "train", "P3_A8"),
        ("TRAIN/P3_A8_3_5_1", "train", "P3_A8"),
        ("TEST/P4_C11_5_10_6", "test", "P4_C11"),
    ]
    assert {(item.mpp, item.factor) for item in items} == {(0.34, 4.0)}


def test_beside_a_tumour_the_absence_of_healthy_glands_is_not_known(download: Path) -> None:
    healthy, ill, empty = (SOURCE.read(item) for item in found(download)[0])
    np.testing.assert_array_equal(healthy.pixels, PIXELS)
    np.testing.assert_array_equal(healthy.masks[GLAND], SPOT > 0)
    assert not healthy.masks[TUMOR].any() and healthy.complete == {GLAND, TUMOR}
    np.testing.assert_array_equal(ill.masks[TUMOR], OTHER > 0)
    assert ill.complete == {TUMOR}
    np.testing.assert_array_equal(ill.masks[GLAND], (SPOT > 0) & ~(OTHER > 0))
    assert not empty.masks[GLAND].any() and empty.complete == {GLAND, TUMOR}


@pytest.mark.parametrize("stored", [np.dstack([SPOT] * 3), SPOT > 0, np.dstack([SPOT, SPOT, SPOT, NOTHING + 255])])
def test_masks_may_be_colours_or_bits(download: Path, stored: np.ndarray) -> None:
    put(download / "TRAIN" / GLANDS / "P3_A8_12_16_1.png", stored)
    np.testing.assert_array_equal(SOURCE.read(found(download)[0][0]).masks[GLAND], SPOT > 0)


@pytest.mark.parametrize("place", ["RINGS algorithm dataset/{}", "{0}/{0}", "RINGS algorithm dataset/{0}/{0}"])
def test_accepts_what_unpacking_makes(tmp_path: Path, place: str) -> None:
    for part in ("TRAIN", "TEST"):
        tile(tmp_path / place.format(part), "P3_A8_1_1_1", SPOT, NOTHING)
    assert [item.name for item in found(tmp_path)[0]] == ["TRAIN/P3_A8_1_1_1", "TEST/P3_A8_1_1_1"]


@pytest.mark.parametrize("missing", ["TEST", f"TRAIN/{TUMORS}"])
def test_a_missing_half_is_named(download: Path, missing: str) -> None:
    (download / missing).rename(download / "elsewhere")
    with pytest.raises(BadInput, match=r"expected TRAIN/IMAGES/NAME\.png") as error:
        found(download)
    assert missing.split("/")[-1] in str(error.value)


def test_a_tile_without_one_mask_is_a_problem(download: Path) -> None:
    (download / "TRAIN" / TUMORS / "P3_A8_3_5_1.png").unlink()
    items, problems = found(download)
    assert len(items) == 2 and problems == ["TRAIN/P3_A8_3_5_1.png: missing in MANUAL TUMOR"]


def test_empty_folders_are_refused(tmp_path: Path) -> None:
    for name in (IMAGES, GLANDS, TUMORS):
        for part in ("TRAIN", "TEST"):
            (tmp_path / part / name).mkdir(parents=True)
    with pytest.raises(BadInput, match="no annotated image"):
        found(tmp_path)


@pytest.mark.parametrize(
    ("stored", "message"),
    [
        (SPOT[:-1], "image is 20 x 24, mask 20 x 23"),
        (SPOT // 255, "unknown class code 1"),
        (np.dstack([SPOT, NOTHING, NOTHING]), "holds colours"),
    ],
)
def test_wrong_masks_are_refused(download: Path, stored: np.ndarray, message: str) -> None:
    put(download / "TRAIN" / GLANDS / "P3_A8_12_16_1.png", stored)
    with pytest.raises(BadInput, match=message):
        SOURCE.read(found(download)[0][0])


def test_a_truncated_file_is_refused(download: Path) -> None:
    path = download / "TRAIN" / IMAGES / "P3_A8_12_16_1.png"
    path.write_bytes(path.read_bytes()[:-400])
    with pytest.raises(BadInput, match="damaged"):
        SOURCE.read(found(download)[0][0])
