"""BCSS on a small copy of its layout, and its code table against the original one."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathsegmentor.data.record import Item, Problem
from pathsegmentor.data.sources import bcss
from pathsegmentor.data.sources.bcss import SOURCE
from pathsegmentor.errors import BadInput

NAME = "TCGA-A2-A0CM-DX1_xmin18562_ymin56852_MPP-0.2500"
OTHER = "TCGA-OL-A5RW-DX1_xmin1_ymin2_MPP-0.5000"
RGB = np.arange(24 * 22 * 3, dtype=np.uint8).reshape(24, 22, 3)
CODES = (np.arange(24 * 22) % 22).astype(np.uint8).reshape(24, 22)


def put(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.fixture
def download(tmp_path: Path) -> Path:
    top = tmp_path / "0_Public-data-Amgad2019_0.25MPP"
    for name in (NAME, OTHER):
        put(top / "rgbs_colorNormalized" / f"{name}.png", RGB)
        put(top / "masks" / f"{name}.png", CODES)
    return tmp_path


def found(folder: Path) -> list[Item]:
    return [item for item in SOURCE.items(folder) if isinstance(item, Item)]


def problems(folder: Path) -> list[str]:
    return [item.what for item in SOURCE.items(folder) if isinstance(item, Problem)]


def test_the_codes_are_those_of_the_original_table() -> None:
    with (Path(__file__).parent / "bcss" / "gtruth_codes.tsv").open(newline="") as file:
        table = {int(row["GT_code"]): row["label"] for row in csv.DictReader(file, delimiter="\t")}
    assert list(table) == list(bcss.CODES)
    assert [table[code] for code in bcss.IGNORE] == ["outside_roi", "exclude", "undetermined"]
    labels = {code: f"breast-tissue-{name}".replace("_", " ").lower() for code, name in table.items()}
    assert {code: labels[code] for code in bcss.LABELS} == bcss.LABELS
    assert {table[code] for code in set(table) - set(bcss.LABELS) - set(bcss.IGNORE)} == {"other"}


def test_items_know_slide_patient_and_scale(download: Path) -> None:
    first, second = found(download)
    assert first.name == NAME and first.slide == "TCGA-A2-A0CM-DX1" and first.group == "TCGA-A2-A0CM"
    assert (first.mpp, first.factor, first.split) == (0.25, 1.0, "train")
    assert (second.mpp, second.factor, second.split) == (0.5, 2.0, "test")
    assert found(download / bcss.TOP) == [first, second] and not problems(download)


def test_the_command_line_way_names_the_folder_images(download: Path) -> None:
    (download / bcss.TOP / "rgbs_colorNormalized").rename(download / bcss.TOP / "images")
    assert len(found(download)) == 2


def test_every_code_becomes_its_label_or_is_ignored(download: Path) -> None:
    image = SOURCE.read(found(download)[0])
    assert (image.pixels == RGB).all()
    assert set(image.masks) == image.complete == set(SOURCE.labels) and len(image.masks) == 18
    for code, label in bcss.LABELS.items():
        assert (image.masks[label] == (code == CODES)).all()
    assert image.ignore is not None and (image.ignore == np.isin(CODES, (0, 7, 15))).all()


def test_kinds_that_are_absent_have_empty_masks_and_other_is_no_ignore(download: Path) -> None:
    put(download / bcss.TOP / "masks" / f"{NAME}.png", np.where(CODES < 11, 1, 21).astype(np.uint8))
    image = SOURCE.read(found(download)[0])
    assert image.ignore is None
    assert (image.masks["breast-tissue-tumor"] == (CODES < 11)).all()
    assert sum(bool(mask.any()) for mask in image.masks.values()) == 1


def test_a_region_without_mask_or_scale_is_a_problem(download: Path) -> None:
    (download / bcss.TOP / "masks" / f"{OTHER}.png").unlink()
    put(download / bcss.TOP / "masks" / "lonely.png", CODES)
    put(download / bcss.TOP / "masks" / "a_mag-BASE.png", CODES)
    put(download / bcss.TOP / "rgbs_colorNormalized" / "a_mag-BASE.png", RGB)
    assert len(found(download)) == 1
    assert problems(download) == [
        f"{OTHER}.png: image without mask",
        "a_mag-BASE.png: no scale in its name, as in MPP-0.2500",
        "lonely.png: mask without image",
    ]


def test_a_missing_half_is_named(download: Path) -> None:
    (download / bcss.TOP / "masks").rename(download / bcss.TOP / "elsewhere")
    with pytest.raises(BadInput, match="masks is missing"):
        found(download)
    with pytest.raises(BadInput, match="rgbs_colorNormalized, images"):
        found(download / "nowhere")


@pytest.mark.parametrize(
    ("mask", "words"),
    [(CODES + 1, "unknown class code 22"), (CODES[:-1], "image is 22 x 24, mask 22 x 23"), (None, "damaged")],
)
def test_a_broken_mask_is_refused_in_one_line(download: Path, mask: np.ndarray | None, words: str) -> None:
    path = download / bcss.TOP / "masks" / f"{NAME}.png"
    if mask is None:
        path.write_bytes(path.read_bytes()[:-60])
    else:
        put(path, mask)
    with pytest.raises(BadInput, match=words) as error:
        SOURCE.read(found(download)[0])
    assert "\n" not in str(error.value)
