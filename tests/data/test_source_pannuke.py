"""PanNuke: folds found wherever they lie, kinds by channel, tissues by the genuine list."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pathsegmentor.data.record import Item, Problem
from pathsegmentor.data.sources.pannuke import KINDS, LABELS, NOT_IN_PAPER, REGIONS, SOURCE
from pathsegmentor.errors import BadInput
from pathsegmentor.vocabulary import Vocabulary

GENUINE = Path(__file__).parent / "pannuke" / "Fold 1" / "images" / "fold1" / "types.npy"
TISSUES = np.array(["Bile-duct", "Lung"], "<U13")


def masks(dtype: str = "float64") -> np.ndarray:
    """Two patches: instances 3 (neoplastic) and 7 (epithelial) meet in one row; 9 is dead."""
    made = np.zeros((2, 256, 256, 6), dtype)
    made[0, 10:20, 10:20, 0] = 3
    made[0, 19:30, 10:20, 4] = 7
    made[1, 40:50, 40:50, 3] = 9
    made[..., 5] = made[..., :5].sum(-1) == 0
    return made


def fold(images: Path, masks_at: Path, tissues: np.ndarray = TISSUES, dtype: str = "float64") -> None:
    images.mkdir(parents=True, exist_ok=True)
    masks_at.mkdir(parents=True, exist_ok=True)
    pictures = np.zeros((2, 256, 256, 3), dtype)
    pictures[1, 5, 6] = (255, 128, 1)
    np.save(images / "images.npy", pictures)
    np.save(images / "types.npy", tissues)
    np.save(masks_at / "masks.npy", masks(dtype))


def found(folder: Path) -> tuple[list[Item], list[str]]:
    every = list(SOURCE.items(folder))
    return [x for x in every if isinstance(x, Item)], [x.what for x in every if isinstance(x, Problem)]


@pytest.mark.parametrize("dtype", ["float64", "uint8", "int32"])
def test_reads_a_fold_as_downloaded(tmp_path: Path, dtype: str) -> None:
    fold(tmp_path / "Fold 2/images/fold2", tmp_path / "Fold 2/masks/fold2", dtype=dtype)
    (bile, lung), problems = found(tmp_path)
    assert not problems
    assert (bile.name, lung.name, bile.split, bile.group) == ("fold2/0000", "fold2/0001", "", "fold2/0000")
    one = SOURCE.read(bile)
    assert one.complete == {f"bile duct-nuclei-{kind}" for kind in KINDS} == set(one.masks)
    expected = np.zeros((256, 256), int)
    expected[10:19, 10:20] = 3  # the row in both channels belongs to the later one
    np.testing.assert_array_equal(one.masks["bile duct-nuclei-neoplastic"], expected)
    np.testing.assert_array_equal(one.masks["bile duct-nuclei-epithelial"], masks()[0, ..., 4])
    assert not one.masks["bile duct-nuclei-dead"].any() and one.ignore is None
    two = SOURCE.read(lung)
    assert two.pixels.dtype == np.uint8 and two.pixels[5, 6].tolist() == [255, 128, 1]
    np.testing.assert_array_equal(two.masks["lung-nuclei-dead"], masks()[1, ..., 3])


@pytest.mark.parametrize(
    ("images", "masks_at"),
    [("fold1", "fold1"), ("images/fold1", "masks/fold1"), ("FOLD_1/images", "FOLD_1/masks"), ("pan/Fold 1", "fold1")],
)
def test_finds_folds_in_other_layouts(tmp_path: Path, images: str, masks_at: str) -> None:
    fold(tmp_path / images, tmp_path / masks_at)
    items, problems = found(tmp_path)
    assert [item.name for item in items] == ["fold1/0000", "fold1/0001"] and not problems


def test_takes_one_fold_given_as_the_folder(tmp_path: Path) -> None:
    fold(tmp_path / "Fold 3", tmp_path / "Fold 3")
    assert found(tmp_path / "Fold 3")[0][0].name == "fold3/0000"


def test_genuine_tissues_are_regions_of_the_vocabulary() -> None:
    tissues = np.load(GENUINE, allow_pickle=False)
    assert len(tissues) == 2656 and set(tissues.tolist()) == set(REGIONS)
    known = {label.id for label in Vocabulary.paper()}
    assert len(LABELS) == 86 and set(LABELS) <= known
    assert len(NOT_IN_PAPER) == 9 and not set(NOT_IN_PAPER) & known
    assert {*LABELS, *NOT_IN_PAPER} == {f"{region}-nuclei-{kind}" for region in REGIONS.values() for kind in KINDS}


def test_a_broken_fold_leaves_the_others(tmp_path: Path) -> None:
    for number in "123":
        fold(tmp_path / f"Fold {number}/images/fold{number}", tmp_path / f"Fold {number}/masks/fold{number}")
    (tmp_path / "Fold 1/masks/fold1/masks.npy").unlink()
    broken = tmp_path / "Fold 2/masks/fold2/masks.npy"
    broken.write_bytes(broken.read_bytes()[:-100])
    items, problems = found(tmp_path)
    assert {item.name.split("/")[0] for item in items} == {"fold3"}
    assert "fold 1: masks.npy missing; expected" in problems[0]
    assert "fold 2: " in problems[1] and "no whole .npy file" in problems[1]


def test_no_whole_fold_is_refused(tmp_path: Path) -> None:
    fold(tmp_path / "Fold 1/images/fold1", tmp_path / "Fold 1/masks/fold1")
    (tmp_path / "Fold 1/images/fold1/types.npy").unlink()
    with pytest.raises(BadInput, match="no annotated image; expected Fold N"):
        found(tmp_path)
    with pytest.raises(BadInput, match="is missing"):
        found(tmp_path / "nowhere")


def test_folds_of_different_length_are_not_mixed(tmp_path: Path) -> None:
    fold(tmp_path / "fold1", tmp_path / "fold1", TISSUES[:1])
    fold(tmp_path / "fold2", tmp_path / "fold2", np.array(["Lung", "Spleen"]))
    items, problems = found(tmp_path)
    assert [item.name for item in items] == ["fold2/0000"]
    assert "not of one fold" in problems[0] and "1 patches of unknown tissue 'Spleen'" in problems[1]


@pytest.mark.parametrize(("part", "value"), [("images", 300.0), ("images", np.nan), ("masks", 0.5), ("masks", -1)])
def test_refuses_values_that_mean_nothing(tmp_path: Path, part: str, value: float) -> None:
    fold(tmp_path / "fold1", tmp_path / "fold1")
    values = np.load(tmp_path / "fold1" / f"{part}.npy")
    values[0, 3, 3, 0] = value
    np.save(tmp_path / "fold1" / f"{part}.npy", values)
    items, _ = found(tmp_path)
    with pytest.raises(BadInput, match=f"fold1/0000: {part}.npy holds values"):
        SOURCE.read(items[0])
    assert SOURCE.read(items[1]).complete
