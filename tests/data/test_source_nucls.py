"""NuCLS on a small copy of its layout and mask coding."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathsegmentor.data.record import Item, Problem
from pathsegmentor.data.sources.nucls import LABELS, SOURCE
from pathsegmentor.errors import BadInput

NAME = "TCGA-A1-A0SP-DX1_id-5ea4095addda5f8398977ebc_left-11841_top-57182_bottom-57525_right-12205"
OTHER = "TCGA-A1-A0SP-DX1_id-5ea4095addda5f8398977ebc_left-9097_top-55759_bottom-56090_right-9369"
HEADER = (
    ",raw_classification,main_classification,super_classification,type,xmin,ymin,xmax,ymax,coords_x,coords_y\n"
    '0,tumor,tumor_mitotic,tumor_any,rectangle,2,2,6,6,"2,6,6,2","2,2,6,6"\n'
)
RGB = np.arange(24 * 22 * 3, dtype=np.uint8).reshape(24, 22, 3)
CODES = np.full((24, 22), 253, np.uint8)
CODES[0] = 0
CODES[4:8, 2:14] = np.arange(1, 13)
CODES[10:14, 3:6] = 1
CODES[16:18, 3:6] = 99
NUMBERS = np.zeros((24, 22, 2), np.uint8)
NUMBERS[4:8, 2:14] = (1, 7)
NUMBERS[10:14, 3:6] = (200, 251)
MASK = np.dstack([CODES, NUMBERS])


def put(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


def write(home: Path, name: str, mask: np.ndarray = MASK, prefix: str = "") -> None:
    put(home / "rgb" / f"{prefix}{name}.png", RGB)
    put(home / "mask" / f"{prefix}{name}.png", mask)
    (home / "csv").mkdir(exist_ok=True)
    (home / "csv" / f"{prefix}{name}.csv").write_text(HEADER)


@pytest.fixture
def download(tmp_path: Path) -> Path:
    write(tmp_path / "corrected_single_rater", NAME)
    write(tmp_path / "corrected_single_rater", OTHER)
    return tmp_path


def found(folder: Path) -> list[Item]:
    return [item for item in SOURCE.items(folder) if isinstance(item, Item)]


def problems(folder: Path) -> list[str]:
    return [item.what for item in SOURCE.items(folder) if isinstance(item, Problem)]


def test_items_know_slide_and_patient(download: Path) -> None:
    items = found(download)
    assert [item.name for item in items] == [NAME, OTHER]
    assert all((item.slide, item.group) == ("TCGA-A1-A0SP-DX1", "TCGA-A1-A0SP") for item in items)
    assert all((item.mpp, item.factor, item.split) == (0.2, 1.0, "") for item in items)
    assert found(download / "corrected_single_rater") == items and not problems(download)


def test_words_in_front_of_a_name_are_dropped(tmp_path: Path) -> None:
    write(tmp_path, NAME, prefix="FINAL_#_1_#_")
    (item,) = found(tmp_path)
    assert item.name == NAME and item.files[1].name == f"FINAL_#_1_#_{NAME}.png"


def test_classes_and_instance_numbers_are_told_apart(download: Path) -> None:
    image = SOURCE.read(found(download)[0])
    assert (image.pixels == RGB).all() and image.complete == set(LABELS) == set(image.masks) and len(LABELS) == 12
    for code, label in enumerate(LABELS, start=1):
        assert ((image.masks[label] > 0) == (code == CODES)).all()
    tumor = image.masks["breast-nuclei-tumor"]
    assert set(np.unique(tumor)) == {0, 7, 200 * 251}
    assert image.ignore is not None and (image.ignore == ((CODES == 0) | (CODES == 99))).all()


def test_a_nucleus_without_number_does_not_vanish(download: Path) -> None:
    write(download / "corrected_single_rater", NAME, np.dstack([CODES, NUMBERS * np.uint8(0)]))
    image = SOURCE.read(found(download)[0])
    assert (image.masks["breast-nuclei-tumor"] == (CODES == 1)).all()


def test_a_field_without_nucleus_is_a_true_negative(download: Path) -> None:
    write(download / "corrected_single_rater", NAME, np.dstack([np.full_like(CODES, 253), NUMBERS]))
    image = SOURCE.read(found(download)[0])
    assert image.ignore is None and not any(mask.any() for mask in image.masks.values())


def test_unpaired_files_are_problems(download: Path) -> None:
    (download / "corrected_single_rater" / "mask" / f"{NAME}.png").unlink()
    put(download / "corrected_single_rater" / "mask" / "lonely.png", MASK)
    assert [item.name for item in found(download)] == [OTHER]
    assert problems(download) == [f"{NAME}.png: image without mask", "lonely.png: mask without image"]


def test_a_missing_half_is_named(download: Path) -> None:
    (download / "corrected_single_rater" / "mask").rename(download / "elsewhere")
    with pytest.raises(BadInput, match="mask is missing"):
        found(download)
    with pytest.raises(BadInput, match="rgb is missing"):
        found(download / "elsewhere")


@pytest.mark.parametrize(
    ("mask", "words"),
    [
        (np.where(MASK == 253, 13, MASK).astype(np.uint8), "unknown class code 13"),
        (MASK[:-1], "image is 22 x 24, mask 22 x 23"),
        (CODES, "mode L where three channels"),
        (None, "damaged"),
    ],
)
def test_a_broken_mask_is_refused_in_one_line(download: Path, mask: np.ndarray | None, words: str) -> None:
    path = download / "corrected_single_rater" / "mask" / f"{NAME}.png"
    if mask is None:
        path.write_bytes(path.read_bytes()[:60])
    else:
        put(path, mask)
    with pytest.raises(BadInput, match=words) as error:
        SOURCE.read(found(download)[0])
    assert "\n" not in str(error.value)
