"""CoCaHis on a small HDF5 file with its keys and attributes."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pathsegmentor.data.record import Item
from pathsegmentor.data.sources.cocahis import CANCER, SOURCE
from pathsegmentor.errors import BadInput

h5py = pytest.importorskip("h5py")

RGB = np.arange(3 * 20 * 18 * 3, dtype=np.uint8).reshape(3, 20, 18, 3)
MASK = (np.arange(3 * 20 * 18) % 5 == 0).reshape(3, 20, 18).astype(np.uint8)


def write(path: Path, masks: np.ndarray = MASK, kind: str = "S", skip: str = "", folds: tuple[str, ...] = ()) -> Path:
    with h5py.File(path, "w") as file:
        slides, truth = file.create_group("HE"), file.create_group("GT")
        for name in ("raw", "sn1", "sn2"):
            slides[name] = RGB if name == "raw" else RGB // 2
        for name in (*(f"GT{i}" for i in range(1, 8)), "GT_majority_vote"):
            if name != skip:
                truth[name] = masks
        words = {"train_test_split": folds or ("train", "test", "train"), "patient_num": ("1", "2", "19")}
        for name, values in {**words, "image_num": ("1", "1", "4")}.items():
            if name != skip:
                text = np.array(values, "S8") if kind == "S" else np.array(values, h5py.string_dtype())
                slides.attrs[name] = text if kind != "O" else np.array(values, dtype=h5py.string_dtype("utf-8"))
    return path


def found(folder: Path) -> list[Item]:
    return [item for item in SOURCE.items(folder) if isinstance(item, Item)]


@pytest.mark.parametrize("kind", ["S", "O"])
def test_items_have_split_and_patient_whether_strings_are_bytes_or_not(tmp_path: Path, kind: str) -> None:
    write(tmp_path / "CoCaHis.hdf5", kind=kind)
    items = found(tmp_path)
    assert [(item.split, item.group) for item in items] == [("train", "1"), ("test", "2"), ("train", "19")]
    assert len({item.name for item in items}) == 3 and items[2].name == "02_patient_19_image_4"


@pytest.mark.parametrize("white", [1, 255])
def test_the_images_as_scanned_and_the_majority_vote_are_read(tmp_path: Path, white: int) -> None:
    (tmp_path / "CoCaHis").mkdir()
    write(tmp_path / "CoCaHis" / "CoCaHis.hdf5", MASK * np.uint8(white))
    for index, item in enumerate(found(tmp_path)):
        image = SOURCE.read(item)
        assert (image.pixels == RGB[index]).all() and (image.masks[CANCER] == (MASK[index] == 1)).all()
        assert image.complete == {CANCER} and image.ignore is None


def test_a_missing_file_array_or_attribute_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"CoCaHis\.hdf5 is missing"):
        found(tmp_path)
    write(tmp_path / "CoCaHis.hdf5", skip="GT_majority_vote")
    with pytest.raises(BadInput, match="no array GT/GT_majority_vote"):
        found(tmp_path)
    write(tmp_path / "CoCaHis.hdf5", skip="patient_num")
    with pytest.raises(BadInput, match="no attribute patient_num"):
        found(tmp_path)


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    path = write(tmp_path / "CoCaHis.hdf5")
    item = found(tmp_path)[0]
    path.write_bytes(path.read_bytes()[:-2000])
    with pytest.raises(BadInput, match="no whole HDF5 file") as error:
        found(tmp_path)
    assert "\n" not in str(error.value)
    with pytest.raises(BadInput, match="no whole HDF5 file"):
        SOURCE.read(item)


def test_masks_of_another_size_or_code_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "CoCaHis.hdf5", MASK[:, :-1])
    with pytest.raises(BadInput, match="has shape"):
        found(tmp_path)
    write(tmp_path / "CoCaHis.hdf5", MASK * np.uint8(7))
    with pytest.raises(BadInput, match="unknown class code 7"):
        SOURCE.read(found(tmp_path)[0])


def test_an_unknown_part_is_a_problem_and_counts_must_agree(tmp_path: Path) -> None:
    write(tmp_path / "CoCaHis.hdf5", folds=("train", "other", "test"))
    assert len(found(tmp_path)) == 2 and len(list(SOURCE.items(tmp_path))) == 3
    write(tmp_path / "CoCaHis.hdf5", folds=("train",))
    with pytest.raises(BadInput, match="1 values for 3 images"):
        found(tmp_path)


def test_without_h5py_the_install_line_is_given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "CoCaHis.hdf5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(BadInput, match=r"pip install 'pathsegmentor\[data\]'"):
        found(tmp_path)
