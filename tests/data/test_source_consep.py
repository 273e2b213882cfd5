"""CoNSeP: seven types as published, four in merged copies; made-up files, for no licence allows copies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from pathsegmentor.data.record import Item, Problem
from pathsegmentor.data.sources.consep import NUCLEI, SOURCE
from pathsegmentor.errors import BadInput
from pathsegmentor.vocabulary import Vocabulary

PIXELS = np.random.default_rng(0).integers(0, 256, (32, 24, 4), dtype=np.uint8)
PIXELS[..., 3] = 255
# Eight nuclei of four rows each: number 10 + n, types 0 (nothing) to 7.
TYPES = np.repeat(np.arange(8), 4)[:, None] * np.ones(24)
NUMBERS = np.where(TYPES > 0, TYPES + 10, 0)
MERGED = np.array([0, 1, 2, 3, 3, 4, 4, 4])[TYPES.astype(int)]


def put(part: Path, name: str, types: np.ndarray = TYPES, numbers: np.ndarray = NUMBERS, suffix: str = ".png") -> Path:
    for folder in ("Images", "Labels"):
        (part / folder).mkdir(parents=True, exist_ok=True)
    pixels = PIXELS if suffix == ".png" else PIXELS[..., :3]
    Image.fromarray(pixels).save(part / "Images" / f"{name}{suffix}")
    path = part / "Labels" / f"{name}.mat"
    kinds = np.arange(1.0, 8)[:, None]
    savemat(path, {"inst_map": numbers, "type_map": types, "inst_type": kinds, "inst_centroid": np.ones((7, 2))})
    return path


def found(folder: Path) -> tuple[list[Item], list[str]]:
    every = list(SOURCE.items(folder))
    return [x for x in every if isinstance(x, Item)], [x.what for x in every if isinstance(x, Problem)]


def instances(*types: int) -> np.ndarray:
    return np.where(np.isin(TYPES, types), NUMBERS, 0)


@pytest.fixture
def download(tmp_path: Path) -> Path:
    put(tmp_path / "Train", "train_1", np.where(TYPES < 4, TYPES, 0))
    put(tmp_path / "Test", "test_1")
    return tmp_path


def test_seven_types_as_published(download: Path) -> None:
    items, problems = found(download)
    assert not problems
    told = [(item.name, item.split, item.note) for item in items]
    assert told == [("train_1", "train", "original"), ("test_1", "test", "original")]
    got = SOURCE.read(items[1])
    np.testing.assert_array_equal(got.pixels, PIXELS[..., :3])
    assert set(got.masks) == got.complete == {*SOURCE.labels, *SOURCE.more}
    for label, types in {
        "colon-cell-inflammatory": (2,),
        "colon-cell-healthy epithelial": (3,),
        "colon-cell-malignant epithelial": (4,),
        "colon-cell-fibroblast": (5,),
        "colon-cell-muscle": (6,),
        "colon-cell-endothelial": (7,),
        "colon-nuclei-inflammatory": (2,),
        "colon-nuclei-epithelial": (3, 4),
        "colon-nuclei-spindle-shaped": (5, 6, 7),
        "colon-nuclei-nuclei": range(1, 8),
        "unspecified-nuclei-nuclei": range(1, 8),
    }.items():
        np.testing.assert_array_equal(got.masks[label], instances(*types), err_msg=label)


def test_four_merged_types_of_integers_and_jpeg(tmp_path: Path) -> None:
    for part, name in (("Train", "train_1"), ("Test", "test_1")):
        put(tmp_path / part, name, MERGED.astype(np.uint8), NUMBERS.astype(np.int32), ".jpg")
    items, _ = found(tmp_path)
    assert {item.note for item in items} == {"merged"}
    got = SOURCE.read(items[0])
    assert got.complete == {"colon-cell-inflammatory", *SOURCE.more} == set(got.masks)
    np.testing.assert_array_equal(got.masks["colon-cell-inflammatory"], instances(2))
    np.testing.assert_array_equal(got.masks["colon-nuclei-epithelial"], instances(3, 4))
    np.testing.assert_array_equal(got.masks["colon-nuclei-spindle-shaped"], instances(5, 6, 7))
    for label in NUCLEI:
        np.testing.assert_array_equal(got.masks[label], NUMBERS)


def test_first_release_has_one_array(download: Path) -> None:
    savemat(download / "Test" / "Labels" / "test_1.mat", {"label": np.dstack([NUMBERS, TYPES])})
    got = SOURCE.read(found(download)[0][1])
    np.testing.assert_array_equal(got.masks["colon-cell-muscle"], instances(6))


def test_labels_are_the_papers() -> None:
    known = {label.id for label in Vocabulary.paper()}
    assert len(SOURCE.labels) == 6 and set(SOURCE.labels) <= known


def test_a_png_wins_over_a_jpeg_and_a_folder_may_lie_deeper(tmp_path: Path) -> None:
    put(tmp_path / "CoNSeP" / "Train", "train_1", suffix=".jpg")
    put(tmp_path / "CoNSeP" / "Train", "train_1")
    put(tmp_path / "CoNSeP" / "Test", "test_1")
    items, problems = found(tmp_path)
    assert [item.files[0].name for item in items] == ["train_1.png", "test_1.png"] and not problems


@pytest.mark.parametrize("missing", ["Test", "Train/Labels"])
def test_a_missing_half_is_named(download: Path, missing: str) -> None:
    (download / missing).rename(download / "elsewhere")
    with pytest.raises(BadInput, match=f"{missing}.* is missing; expected Train/Images"):
        found(download)


def test_unpaired_files_are_problems(download: Path) -> None:
    put(download / "Train", "train_2").unlink()
    put(download / "Test", "test_2")
    (download / "Test" / "Images" / "test_2.png").unlink()
    items, problems = found(download)
    assert len(items) == 2
    assert problems == ["Train: train_2.png: image without mask", "Test: test_2.mat: mask without image"]


@pytest.mark.parametrize(
    ("types", "numbers", "message"),
    [
        (np.where(TYPES == 7, 9, TYPES), NUMBERS, "test_1: unknown class code 9"),
        (TYPES[1:], NUMBERS, r"test_1 \(type_map\): image is 24 x 32, mask 24 x 31"),
        (TYPES, NUMBERS[:, 1:], r"test_1 \(inst_map\): image is 24 x 32, mask 23 x 32"),
        (TYPES, NUMBERS + 0.5, "something other than instance and class numbers"),
        (TYPES, NUMBERS - 1, "something other than instance and class numbers"),
    ],
)
def test_wrong_maps_are_refused(download: Path, types: np.ndarray, numbers: np.ndarray, message: str) -> None:
    put(download / "Test", "test_1", types, numbers)
    put(download / "Train", "train_1")
    with pytest.raises(BadInput, match=message):
        SOURCE.read(found(download)[0][1])


def test_truncated_and_foreign_files_are_refused(download: Path) -> None:
    path = download / "Test" / "Labels" / "test_1.mat"
    whole = path.read_bytes()
    for broken in (whole[: len(whole) // 2], b"", b"not a matrix"):
        path.write_bytes(broken)
        with pytest.raises(BadInput, match=r"test_1.mat is no readable .mat file"):
            SOURCE.read(found(download)[0][1])
    savemat(path, {"type_map": TYPES})
    with pytest.raises(BadInput, match="holds type_map; expected inst_map and type_map"):
        SOURCE.read(found(download)[0][1])
    image = download / "Train" / "Images" / "train_1.png"
    image.write_bytes(image.read_bytes()[:400])
    with pytest.raises(BadInput, match="damaged"):
        SOURCE.read(found(download)[0][0])


def test_merged_copies_with_the_seven_types_beside_them(tmp_path: Path) -> None:
    put(tmp_path / "Train", "train_1", MERGED)
    put(tmp_path / "Test", "test_1", MERGED)
    (tmp_path / "Test" / "Types7").mkdir()
    Image.fromarray(TYPES.astype(np.uint8)).save(tmp_path / "Test" / "Types7" / "test_1.png")
    items, problems = found(tmp_path)
    assert not problems and [item.note for item in items] == ["merged", "original"]
    got = SOURCE.read(items[1])
    np.testing.assert_array_equal(got.masks["colon-cell-muscle"], instances(6))
    np.testing.assert_array_equal(got.masks["colon-nuclei-epithelial"], instances(3, 4))
    assert "colon-cell-muscle" not in SOURCE.read(items[0]).masks
    Image.fromarray(TYPES.astype(np.uint8)[:9]).save(tmp_path / "Test" / "Types7" / "test_1.png")
    with pytest.raises(BadInput, match="test_1"):
        SOURCE.read(items[1])
