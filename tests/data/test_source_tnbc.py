"""TNBC: nuclei without types, and the typed release by a table the user writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathsegmentor.data.record import Item, Problem
from pathsegmentor.data.sources.tnbc import LABELS, NUCLEI, SOURCE
from pathsegmentor.errors import BadInput
from pathsegmentor.vocabulary import Vocabulary

PIXELS = np.random.default_rng(0).integers(0, 256, (24, 20, 4), dtype=np.uint8)
PIXELS[..., 3] = 255
MASK = np.zeros((24, 20), np.uint8)
MASK[3:9, 4:15] = 255
TYPED = MASK.copy()
TYPED[3:9, 4:8], TYPED[3:9, 8:12], TYPED[3:9, 12:15] = 1, 2, 7


def put(base: Path, name: str, mask: np.ndarray = MASK) -> None:
    slide = name.split("_")[0]
    for folder, array in ((f"Slide_{slide}", PIXELS), (f"GT_{slide}", mask)):
        (base / folder).mkdir(parents=True, exist_ok=True)
        Image.fromarray(array).save(base / folder / f"{name}.png")


def found(folder: Path) -> tuple[list[Item], list[str]]:
    every = list(SOURCE.items(folder))
    return [x for x in every if isinstance(x, Item)], [x.what for x in every if isinstance(x, Problem)]


@pytest.mark.parametrize("top", [".", "TNBC_NucleiSegmentation"])
def test_first_release_has_nuclei_without_types(tmp_path: Path, top: str) -> None:
    for name in ("01_1", "01_2", "11_3"):
        put(tmp_path / top, name)
    (tmp_path / "__MACOSX" / "Slide_01").mkdir(parents=True)
    items, problems = found(tmp_path)
    assert not problems
    assert [(i.name, i.group, i.split) for i in items] == [("01_1", "01", ""), ("01_2", "01", ""), ("11_3", "11", "")]
    got = SOURCE.read(items[0])
    np.testing.assert_array_equal(got.pixels, PIXELS[..., :3])
    assert set(got.masks) == got.complete == set(NUCLEI)
    np.testing.assert_array_equal(got.masks["breast-nuclei-nuclei"], MASK > 0)


@pytest.mark.parametrize("place", [".", "TNBC_NucleiSegmentation"])
def test_typed_release_needs_a_table(tmp_path: Path, place: str) -> None:
    put(tmp_path / "TNBC_NucleiSegmentation", "12_1", TYPED)
    with pytest.raises(BadInput, match=r"holds codes 1, 2, 7: write types\.csv .*'1,breast-cell-cancerous'"):
        SOURCE.read(found(tmp_path)[0][0])
    rows = "code,label\n1,Breast-Cell-Cancerous\n2,breast-cell-glial\n7,\n9,breast-cell-glial\n"
    (tmp_path / place / "types.csv").write_text(rows)
    got = SOURCE.read(found(tmp_path)[0][0])
    assert set(got.masks) == got.complete == {"breast-cell-cancerous", "breast-cell-glial"}
    np.testing.assert_array_equal(got.masks["breast-cell-cancerous"], TYPED == 1)
    np.testing.assert_array_equal(got.masks["breast-cell-glial"], TYPED == 2)


def test_a_code_outside_the_table_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "12_1", TYPED)
    (tmp_path / "types.csv").write_text("code,label\n1,breast-cell-cancerous\n2,breast-cell-glial\n")
    with pytest.raises(BadInput, match="12_1: unknown class code 7; known: 0, 1, 2"):
        SOURCE.read(found(tmp_path)[0][0])


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("x,breast-cell-glial", "line 2: 'x' is no code"),
        ("0,breast-cell-glial", "line 2: '0' is no code"),
        ("1,breast-cell-glial\n1,breast-cell-neuron", "line 3: code 1 is given twice"),
        ("1,breast-cell-cat", "'breast-cell-cat' is not one of breast-cell-adipocyte"),
        ("1,", "names no label"),
    ],
)
def test_a_wrong_table_is_refused_before_anything_is_read(tmp_path: Path, rows: str, message: str) -> None:
    put(tmp_path, "12_1", TYPED)
    (tmp_path / "types.csv").write_text(f"code,label\n{rows}\n")
    with pytest.raises(BadInput, match=message):
        found(tmp_path)
    (tmp_path / "types.csv").write_text("1;breast-cell-glial\n")
    with pytest.raises(BadInput, match="no column code, label"):
        found(tmp_path)


def test_labels_are_the_papers() -> None:
    assert len(LABELS) == 11 and set(LABELS) <= {label.id for label in Vocabulary.paper()}


def test_unpaired_files_are_problems(tmp_path: Path) -> None:
    for name in ("01_1", "01_2", "02_1"):
        put(tmp_path, name)
    (tmp_path / "GT_01" / "01_2.png").unlink()
    (tmp_path / "Slide_02" / "02_1.png").unlink()
    items, problems = found(tmp_path)
    assert [item.name for item in items] == ["01_1"]
    assert problems == ["01_2.png: image without mask", "02_1.png: mask without image"]


def test_a_missing_half_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "01_1")
    (tmp_path / "GT_01").rename(tmp_path / "elsewhere")
    with pytest.raises(BadInput, match=r"no annotated image; expected TNBC_NucleiSegmentation/Slide_NN/NN_M\.png"):
        found(tmp_path)
    with pytest.raises(BadInput, match="is missing"):
        found(tmp_path / "nowhere")


def test_wrong_files_are_refused(tmp_path: Path) -> None:
    put(tmp_path, "01_1", MASK[1:])
    put(tmp_path, "01_2")
    path = tmp_path / "GT_01" / "01_2.png"
    path.write_bytes(path.read_bytes()[:50])
    size, cut = found(tmp_path)[0]
    with pytest.raises(BadInput, match="image is 20 x 24, mask 20 x 23"):
        SOURCE.read(size)
    with pytest.raises(BadInput, match="damaged"):
        SOURCE.read(cut)
