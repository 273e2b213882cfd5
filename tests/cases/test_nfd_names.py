"""A Mac writes "ä" as two characters: the same name in another form, as in another case, is the same name."""

from __future__ import annotations

from pathlib import Path
from unicodedata import normalize

import pytest

from pathsegmentor.data.manifest import read_rows
from tests.cases.made import BOX, Run, boxes, build, coco, feature, image, outlines
from tests.cli.conftest import here  # noqa: F401

NAME = "Präparat ß"
TUMOR = {"unspecified-tissue-tumor": BOX}


def forms(name: str) -> list[tuple[str, str]]:
    nfc, nfd = normalize("NFC", name), normalize("NFD", name)
    return [(nfc, nfd), (nfd, nfc), (nfd, nfd), (nfc, nfc.upper()), (nfd.upper(), nfc)]


@pytest.mark.parametrize(("picture", "outline"), forms(NAME))
def test_image_and_outlines_belong_together(tmp_path: Path, here: Run, picture: str, outline: str) -> None:  # noqa: F811
    folder = tmp_path / "my"
    image(folder / f"{picture}.png")
    outlines(folder / f"{outline}.geojson", feature(BOX, {"name": "Tumor"}))
    done = build(here, folder)
    assert done.code == 0, done.out
    assert boxes(folder) == TUMOR


@pytest.mark.parametrize(("picture", "told"), forms(NAME))
def test_the_row_of_a_table_is_used(tmp_path: Path, here: Run, picture: str, told: str) -> None:  # noqa: F811
    folder = tmp_path / "my"
    image(folder / f"{picture}.png")
    outlines(folder / f"{picture}.geojson", feature(BOX, {"name": "Tumor"}))
    (folder / "images.csv").write_text(f"image,split,mpp\n{told}.png,test,0.5\n", encoding="utf-8")
    done = build(here, folder)
    assert done.code == 0, done.out
    (row,) = read_rows(tmp_path / "pathseg")
    assert row.split == "test" and row.mpp[0] * 1024 / 128 == 0.5
    assert row.origin == normalize("NFC", row.origin)


@pytest.mark.parametrize(("picture", "told"), forms(NAME))
def test_the_name_in_a_coco_file_is_found(tmp_path: Path, here: Run, picture: str, told: str) -> None:  # noqa: F811
    folder = tmp_path / "my"
    image(folder / "sub" / f"{picture}.png")
    coco(folder / "c.json", f"sub\\{told}.png", BOX)
    assert build(here, folder).code == 0
    assert boxes(folder) == TUMOR


def test_two_images_whose_names_differ_only_in_form_keep_their_own(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "my"
    for seed, form in enumerate(("NFC", "NFD"), start=1):
        name = normalize(form, NAME)
        image(folder / f"{name}.png", seed)
        outlines(folder / f"{name}.geojson", feature(BOX, {"name": form}))
    if len(list(folder.iterdir())) < 4:
        pytest.skip("this disk takes the two names for one")
    assert build(here, folder).code == 0
    assert boxes(folder) == {"unspecified-tissue-nfc": BOX, "unspecified-tissue-nfd": BOX}
