"""``images.csv``: every row and column is used, or said; and masks of codes, of which each is counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathsegmentor.data.manifest import read_rows
from tests.cases.made import BOX, OTHER, Run, boxes, build, feature, image, outlines
from tests.cli.conftest import here  # noqa: F401
from tests.data.made import save


def folder_of(tmp_path: Path, *names: str) -> Path:
    for seed, name in enumerate(names, start=1):
        image(tmp_path / "my" / f"{name}.png", seed)
        outlines(tmp_path / "my" / f"{name}.geojson", feature(BOX, {"name": "Tumor"}))
    return tmp_path / "my"


@pytest.mark.parametrize(
    ("column", "code", "expected"),
    [
        ("patient_id", 1, "column 'patient_id' is not used; is it patient?"),
        ("Splits", 1, "column 'Splits' is not used; is it split?"),
        ("scanner", 0, "column 'scanner' is not used; known are image, split, patient, slide, mpp"),
        ("sex\x1b[1m", 0, "column 'sex?[1m' is not used"),
    ],
)
def test_columns_that_mean_nothing_are_said(
    tmp_path: Path,
    here: Run,  # noqa: F811
    column: str,
    code: int,
    expected: str,
) -> None:
    folder = folder_of(tmp_path, "a")
    (folder / "images.csv").write_text(f" Image ,{column},PATIENT\na,x,p1\n,,\n")
    done = build(here, folder)
    (entry,) = done.json["sources"]
    (line,) = entry["problems" if code else "remarks"]
    assert done.code == code and expected in line
    assert [row.patient for row in read_rows(tmp_path / "pathseg")] == ["p1"]


def test_rows_find_their_image_by_place_or_name_written_on_any_system(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = folder_of(tmp_path, "1/a", "2/a", "3/b", "4/c", "5/d")
    rows = ["1\\a.png,p1", "./2/a,p2", "B.PNG,p3", f"{'c'},p4", "gone,p5", "d.tif,p6"]
    (folder / "images.csv").write_text("\n".join(["image,patient", *rows]))
    done = build(here, folder)
    assert done.code == 1 and done.json["sources"][0]["problems"] == [
        "images.csv: no annotated image 'd.tif'",
        "images.csv: no annotated image 'gone'",
    ]
    assert {row.origin: row.patient for row in read_rows(tmp_path / "pathseg")} == {
        "1/a": "p1",
        "2/a": "p2",
        "3/b": "p3",
        "4/c": "p4",
        "5/d": "",
    }


def test_a_row_that_may_mean_two_images_is_guessed_for_none(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = folder_of(tmp_path, "1/a", "2/a", "3/b")
    (folder / "images.csv").write_text("image,split\na,test\nb,train\n")
    done = build(here, folder)
    assert done.code == 1 and done.json["sources"][0]["problems"] == [
        "1/a.png: images.csv: 'a' may mean 2 images; write its place in the folder",
        "2/a.png: images.csv: 'a' may mean 2 images; write its place in the folder",
    ]
    assert {row.origin for row in read_rows(tmp_path / "pathseg")} == {"3/b"}


def test_two_rows_that_contradict_each_other_are_told(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = folder_of(tmp_path, "a", "b")
    (folder / "images.csv").write_text("image,split,patient\na,test,\na.png,train,\nb,val,p\nb,train,\n")
    done = build(here, folder)
    assert done.code == 1 and done.json["sources"][0]["problems"] == ["a.png: images.csv says split test and train"]
    assert [(row.origin, row.split, row.patient) for row in read_rows(tmp_path / "pathseg")] == [("b", "train", "p")]


def masks_of(folder: Path, mask: Image.Image, name: str = "a.png", seed: int = 1) -> Path:
    image(folder / "images" / "a.png", seed)
    (folder / "masks").mkdir(exist_ok=True)
    mask.save(folder / "masks" / name)
    (folder / "labels.csv").write_text("class,label\n1,breast-tissue-tumor\n300,breast-tissue-stroma\n7,x-tissue-y\n")
    return folder


def codes(second: int = 2, dtype: str = "uint8") -> np.ndarray:
    values = np.zeros((128, 128), dtype)
    for code, (left, top, right, bottom) in ((1, BOX), (second, OTHER)):
        values[top:bottom, left:right] = code
    return values


def palette(values: np.ndarray) -> Image.Image:
    made = Image.fromarray(values)
    made.putpalette([255 - i // 3 for i in range(768)])
    return made


LONE = codes(1) * (np.arange(128) < 64).astype(np.uint8)
GREY = Image.fromarray(LONE)


@pytest.mark.parametrize(
    ("mask", "name"),
    [
        (GREY, "a.png"),
        (palette(LONE), "a.png"),
        (Image.fromarray(LONE > 0), "a.png"),
        (Image.fromarray(LONE.astype(np.uint16)), "a.png"),
        (Image.fromarray(LONE.astype(np.int32)), "a.tif"),
        (Image.fromarray(LONE.astype(np.float32)), "a.tif"),
        (Image.fromarray(np.dstack([LONE] * 3)), "a.png"),
        (Image.fromarray(np.dstack([LONE] * 3 + [255 - LONE])), "a.png"),
        (Image.merge("LA", [GREY, Image.fromarray(255 - LONE)]), "a.png"),
    ],
)
def test_any_picture_of_codes_is_the_mask(tmp_path: Path, here: Run, mask: Image.Image, name: str) -> None:  # noqa: F811
    folder = masks_of(tmp_path / "my", mask, name)
    done = build(here, folder)
    assert done.code == 0, done.out
    assert boxes(folder) == {"breast-tissue-tumor": BOX}
    # What labels.csv names and no mask holds is known to be absent, and no object.
    assert done.json["sources"][0]["objects"] == {
        "read": 1,
        "used": 1,
        "passed_over": 0,
        "reasons": {},
        "said": {},
    }


def test_codes_of_16_bits_are_used_as_they_are(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = masks_of(tmp_path / "my", Image.fromarray(codes(300, "uint16")))
    done = build(here, folder)
    assert done.code == 0 and done.json["sources"][0]["objects"]["used"] == 2
    assert boxes(folder) == {"breast-tissue-tumor": BOX, "breast-tissue-stroma": OTHER}


@pytest.mark.parametrize(
    ("mask", "name", "expected", "read"),
    [
        (Image.fromarray(codes(255)), "a.png", "unknown class code 255; known: 0, 1, 7, 300", 2),
        (Image.fromarray(codes(1).astype(np.float32) / 2), "a.tif", "unknown class code 0.5; known", 1),
        (Image.fromarray(codes(1)[:99]), "a.png", "image is 128 x 128, mask 128 x 99 pixels", 1),
        (Image.fromarray(np.dstack([codes(1), codes(2), codes(1)])), "a.png", "holds colours where class", 0),
    ],
)
def test_a_mask_that_cannot_be_understood_is_named_with_its_codes(
    tmp_path: Path,
    here: Run,  # noqa: F811
    mask: Image.Image,
    name: str,
    expected: str,
    read: int,
) -> None:
    done = build(here, masks_of(tmp_path / "my", mask, name))
    (entry,) = done.json["sources"]
    (line,) = entry["left_out"]
    assert done.code == 1 and line.startswith("images/a: ") and expected in line
    assert (entry["objects"]["read"], entry["objects"]["used"]) == (read, 0)


def test_a_mask_of_several_pages_is_refused(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = masks_of(tmp_path / "my", GREY)
    (folder / "masks" / "a.png").unlink()
    GREY.save(folder / "masks" / "a.tif", save_all=True, append_images=[GREY])
    done = build(here, folder)
    (line,) = done.json["sources"][0]["left_out"]
    assert done.code == 1 and "a.tif holds 2 pages where one mask was expected" in line


def test_two_masks_of_one_image_are_told(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = masks_of(tmp_path / "my", GREY)
    GREY.save(folder / "masks" / "a.tif")
    image(folder / "images" / "b.png", 2)
    GREY.save(folder / "masks" / "b.png")
    done = build(here, folder)
    assert done.code == 1 and done.json["sources"][0]["problems"] == [
        "images/a.png: masks/a.png and masks/a.tif may be its mask or another image's"
    ]


def test_a_described_folder_uses_a_picture_once_and_counts_its_codes(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "my"
    save(folder / "a.png", np.asarray(Image.open(image(tmp_path / "one.png"))))
    Image.open(folder / "a.png").save(folder / "copy.tif")
    image(folder / "b.png", 2)
    for name in ("a", "copy", "b"):
        save(folder / f"{name}_mask.png", codes(9))
    (folder / "images.csv").write_text("image,mask\na.png,a\ncopy.tif,copy\nb.png,b\n")
    (folder / "pathseg.yaml").write_text(
        "name: mine\nimage: '{image}'\nitem: '{image}'\nmpp: 0.25\n"
        "masks: [{file: '{mask}_mask.png', labels: {1: breast-tissue-tumor}, other: [9]}]\n"
    )
    done = build(here, folder)
    (entry,) = done.json["sources"]
    assert done.code == 1
    assert entry["problems"] == ["copy.tif is the same picture as a.png; only that one is used"]
    objects = entry["objects"]
    assert (objects["read"], objects["used"]) == (4, 2) and objects["reasons"] == {"means none of the labels": 2}
