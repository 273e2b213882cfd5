"""SegPath: pairs of eight kinds, split by the tables beside them."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathsegmentor.data.record import Item, Problem
from pathsegmentor.data.sources.segpath import LABELS, SOURCE
from pathsegmentor.errors import BadInput
from pathsegmentor.vocabulary import Vocabulary

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 20, 3), dtype=np.uint8)
MASK = np.zeros((24, 20), np.uint8)
MASK[3:9, 4:15] = 1
ARCHIVES = {
    "panCK_Epithelium": "unspecified-tissue-epithelial",
    "aSMA_SmoothMuscle": "unspecified-tissue-smooth muscle cells",
    "CD235a_RBC": "unspecified-cell-red blood cells",
    "CD45RB_Leukocyte": "unspecified-cell-leukocytes",
    "CD3CD20_Lymphocyte": "unspecified-cell-lymphocyte",
    "ERG_Endothelium": "unspecified-cell-endothelial",
    "MIST1_PlasmaCell": "unspecified-cell-plasma cells",
    "MNDA_MyeloidCell": "unspecified-cell-myeloid cells",
}


def put(folder: Path, name: str, pixels: np.ndarray = PIXELS, mask: np.ndarray = MASK) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(folder / f"{name}_HE.png")
    Image.fromarray(mask).save(folder / f"{name}_mask.png")


def info(folder: Path, antigen: str, splits: dict[str, str], both: bool = True) -> Path:
    rows = [
        f"{antigen},{name}_{kind}.png,{split}"
        for name, split in splits.items()
        for kind in (("HE", "mask") if both else ("HE",))
    ]
    path = folder / f"{antigen}_fileinfo.csv"
    path.write_text("\n".join(["antigen,filename,train_val_test", *rows]) + "\n")
    return path


def found(folder: Path) -> tuple[list[Item], list[str]]:
    every = list(SOURCE.items(folder))
    return [x for x in every if isinstance(x, Item)], [x.what for x in every if isinstance(x, Problem)]


@pytest.mark.parametrize("place", ["{}", ".", "{0}/{0}"])
def test_eight_kinds_in_one_folder_or_in_many(tmp_path: Path, place: str) -> None:
    for archive in ARCHIVES:
        names = {f"{archive}_0{n}_067584_052224": split for n, split in enumerate(("train", "val", "test"))}
        for name in names:
            put(tmp_path / place.format(archive), name)
        info(tmp_path, archive.split("_")[0], names)
    items, problems = found(tmp_path)
    assert not problems and len(items) == 24
    for item in items:
        archive, slide = item.name.rsplit("_", 3)[0], item.name.split("_")[2]
        label = ARCHIVES[archive]
        assert (item.split, item.slide) == ({"02": "test"}.get(slide, "train"), slide)
        got = SOURCE.read(item)
        assert set(got.masks) == got.complete == {label}
        np.testing.assert_array_equal(got.masks[label], MASK > 0)
        np.testing.assert_array_equal(got.pixels, PIXELS)


def test_labels_are_the_papers() -> None:
    assert len(LABELS) == 8 and set(LABELS) == set(ARCHIVES.values())
    assert set(LABELS) <= {label.id for label in Vocabulary.paper()}


@pytest.mark.parametrize("name", ["ERG_endothelium_1_2_3", "ERG_EC_1_2_3", "x_Endothelium_1_2_3"])
def test_kind_is_told_by_type_or_antigen_in_any_case(tmp_path: Path, name: str) -> None:
    put(tmp_path, name, np.dstack([PIXELS, np.full_like(MASK, 255)]))
    info(tmp_path, name.split("_")[0], {name: "test"}, both=False)
    (item,) = found(tmp_path)[0]
    got = SOURCE.read(item)
    assert list(got.masks) == ["unspecified-cell-endothelial"]
    np.testing.assert_array_equal(got.pixels, PIXELS)


def test_kind_may_come_from_the_folder(tmp_path: Path) -> None:
    put(tmp_path / "ERG_Endothelium", "a_b_1_2_3")
    info(tmp_path, "a", {"a_b_1_2_3": "train"})
    assert found(tmp_path)[0][0].note == "unspecified-cell-endothelial"


def test_a_compressed_table_is_read(tmp_path: Path) -> None:
    put(tmp_path, "ERG_Endothelium_1_2_3")
    path = info(tmp_path, "ERG", {"ERG_Endothelium_1_2_3": "val"})
    packed = gzip.compress(path.read_bytes())
    path.write_bytes(packed)
    assert found(tmp_path)[0][0].split == "train"
    path.write_bytes(packed[:-20])
    with pytest.raises(BadInput, match="no readable table"):
        found(tmp_path)


def test_what_cannot_be_used_is_told(tmp_path: Path) -> None:
    for name in ("ERG_Endothelium_1_0_0", "ERG_Endothelium_1_0_1", "ERG_Endothelium_1_0_2", "ERG_Endothelium_1_0_3"):
        put(tmp_path, name)
    put(tmp_path, "MNDA_MyeloidCell_1_0_0")
    put(tmp_path, "x_y_1_0_0")
    (tmp_path / "ERG_Endothelium_1_0_1_mask.png").unlink()
    (tmp_path / "ERG_Endothelium_1_0_2_HE.png").unlink()
    info(tmp_path, "ERG", {f"ERG_Endothelium_1_0_{n}": "train" for n in (0, 1, 9)})
    items, problems = found(tmp_path)
    assert [item.name for item in items] == ["ERG_Endothelium_1_0_0"]
    assert problems == [
        "ERG_Endothelium_1_0_1_HE.png: image without mask",
        "ERG_Endothelium_1_0_3_HE.png: in no fileinfo.csv",
        "x_y_1_0_0_HE.png: neither antigen nor cell type is known",
        "MNDA_fileinfo.csv is missing or empty: 1 images not used",
        "ERG_Endothelium_1_0_2_mask.png: mask without image",
        "ERG_fileinfo.csv names 1 images that are not here",
    ]


def test_broken_downloads_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "ERG_Endothelium_1_2_3")
    with pytest.raises(BadInput, match=r"holds no \*_fileinfo.csv; expected"):
        found(tmp_path)
    info(tmp_path, "ERG", {"ERG_Endothelium_1_2_3": "fold1"})
    with pytest.raises(BadInput, match=r"split 'fold1' of ERG_Endothelium_1_2_3_HE\.png; known: train, val, test"):
        found(tmp_path)
    (tmp_path / "ERG_fileinfo.csv").write_text("a,b\n1,2\n")
    with pytest.raises(BadInput, match="no column filename, train_val_test"):
        found(tmp_path)
    info(tmp_path, "ERG", {"ERG_Endothelium_9_9_9": "train"})
    with pytest.raises(BadInput, match="no annotated image"):
        found(tmp_path)


@pytest.mark.parametrize(("mask", "message"), [(MASK * 2, "unknown class code 2"), (MASK[:, 1:], "mask 19 x 24")])
def test_wrong_masks_are_refused(tmp_path: Path, mask: np.ndarray, message: str) -> None:
    put(tmp_path, "ERG_Endothelium_1_2_3", mask=mask)
    info(tmp_path, "ERG", {"ERG_Endothelium_1_2_3": "train"})
    with pytest.raises(BadInput, match=message):
        SOURCE.read(found(tmp_path)[0][0])


def test_a_truncated_file_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "ERG_Endothelium_1_2_3")
    info(tmp_path, "ERG", {"ERG_Endothelium_1_2_3": "train"})
    path = tmp_path / "ERG_Endothelium_1_2_3_mask.png"
    path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(BadInput, match="damaged"):
        SOURCE.read(found(tmp_path)[0][0])
