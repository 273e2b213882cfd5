"""Readers of annotated folders, on small copies of their layouts; and what they say of absence."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.io import savemat

from pathsegmentor.data.folders import READERS, read_folder
from pathsegmentor.data.sample import Sample
from pathsegmentor.errors import BadInput

CODES = np.array([[0, 1, 2, 3], [3, 2, 1, 0]] * 4, np.uint8)
RGB = np.arange(96, dtype=np.uint8).reshape(8, 4, 3)


def put(path: Path, array: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path)


def csv(folder: Path, text: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "images.csv").write_text(text)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """One training image of every source."""
    for name in ("glas", "ebhi", "monuseg", "tnbc", "monusac", "rings"):
        put(tmp_path / name / "train" / "images" / "a.jpg", RGB)
        put(tmp_path / name / "train" / "masks" / "a.png", CODES if name in ("monusac", "rings") else CODES > 0)
    csv(tmp_path / "glas", "split,image,patient,grade\ntrain,a,1,malignant\n")
    csv(tmp_path / "ebhi", "split,image,case,class\ntrain,a,1,Polyp\n")
    csv(tmp_path / "monuseg", "split,image,organ\ntrain,a,kidney\n")
    csv(tmp_path / "tnbc", "split,image,patient\ntrain,a,1\n")
    csv(tmp_path / "monusac", "name,split,patient\na,train,1\n")
    csv(tmp_path / "rings", "name,split,core\na,train,1\n")
    put(tmp_path / "wsss4luad" / "2.validation" / "img" / "00.png", RGB)
    put(tmp_path / "wsss4luad" / "2.validation" / "mask" / "00.png", CODES)
    put(tmp_path / "consep" / "Train" / "Images" / "train_1.png", RGB)
    (tmp_path / "consep" / "Train" / "Labels").mkdir()
    savemat(tmp_path / "consep" / "Train" / "Labels" / "train_1.mat", {"type_map": CODES})
    return tmp_path


@pytest.mark.parametrize("name", sorted(READERS))
def test_every_reader_keeps_the_contract(folder: Path, name: str) -> None:
    (sample,) = read_folder(name, folder / name, "train")
    assert sample.source == name and sample.pixels.shape == (8, 4, 3) and sample.group
    assert sample.complete <= set(sample.masks) and 0.1 < sample.mpp < 2
    assert all(mask.shape == (8, 4) and mask.dtype == bool for mask in sample.masks.values())
    with pytest.raises(BadInput):
        read_folder(name, folder / name, "test")
    with pytest.raises(BadInput):
        read_folder(name, folder / "nowhere", "train")


def one(folder: Path, name: str) -> Sample:
    return read_folder(name, folder / name, "train")[0]


def test_codes_mean_what_the_sources_say(folder: Path) -> None:
    lung = one(folder, "wsss4luad").masks
    np.testing.assert_array_equal(lung["lung-tissue-tumor epithelial tissue"], CODES == 0)
    assert "background" not in " ".join(lung)
    np.testing.assert_array_equal(one(folder, "consep").masks["colon-nuclei-epithelial"], CODES == 3)
    np.testing.assert_array_equal(one(folder, "monusac").masks["unspecified-cell-lymphocyte"], CODES == 2)
    rings = one(folder, "rings").masks
    assert list(rings) == ["prostate-tissue-prostate tumor"], "healthy glands are not outlined beside a tumour"


def test_absence_is_claimed_only_where_it_is_known(folder: Path) -> None:
    glas, kidney, rings = one(folder, "glas"), one(folder, "monuseg"), one(folder, "rings")
    assert glas.certainly_absent("colon-tissue-benign gland"), "the image is malignant"
    assert not glas.certainly_absent("colon-tissue-malignant gland")
    assert not glas.certainly_absent("colon-nuclei-epithelial"), "same organ, not annotated"
    assert kidney.certainly_absent("colon-tissue-gland"), "another organ"
    assert not kidney.certainly_absent("liver-nuclei-nuclei"), "nuclei look alike everywhere"
    assert not kidney.certainly_absent("unspecified-cell-lymphocyte")
    assert not rings.certainly_absent("prostate-tissue-prostate healthy glands")


def test_unknown_reader_is_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="known: "):
        read_folder("nobody", tmp_path, "train")
