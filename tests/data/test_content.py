"""The same picture is one image, whatever its file is called and wherever it lies."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathsegmentor.data.manifest import read_rows
from tests.cases.made import BOX, OTHER, Run, boxes, build, feature, image, outlines
from tests.cli.conftest import Done, here  # noqa: F401

TUMOR, STROMA = {"name": "Tumor"}, {"name": "Stroma"}


def copied(path: Path, end: str) -> Path:
    """The same pixels in another file."""
    other = path.with_name(f"copy{end}")
    Image.open(path).save(other)
    return other


@pytest.mark.parametrize("end", [".png", ".tif", ".bmp"])
def test_two_names_of_a_picture_are_one_image_with_both_annotations(tmp_path: Path, here: Run, end: str) -> None:  # noqa: F811
    folder = tmp_path / "my"
    copied(image(folder / "a.png"), end)
    outlines(folder / "a.geojson", feature(BOX, TUMOR))
    outlines(folder / "copy.geojson", feature(OTHER, STROMA))
    done = build(here, folder)
    (entry,) = done.json["sources"]
    assert done.code == 0 and entry["remarks"] == [f"copy{end}: the same picture as a.png; both are one image"]
    assert boxes(folder) == {"unspecified-tissue-tumor": BOX, "unspecified-tissue-stroma": OTHER}
    assert {row.origin for row in read_rows(tmp_path / "pathseg")} == {"a"}


def test_what_both_copies_show_counts_once(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "my"
    copied(image(folder / "a.png"), ".tif")
    for name in ("a", "copy"):
        outlines(folder / f"{name}.geojson", feature(BOX, TUMOR))
    (entry,) = build(here, folder).json["sources"]
    assert entry["left_out"] == [
        "a: feature 1 of copy.geojson, class 'Tumor': is drawn twice: it is feature 1 of a.geojson again"
    ]
    assert entry["images"] == entry["masks"] == entry["objects"]["used"] == 1 and entry["objects"]["read"] == 2


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        (["a.png,train,,", "copy.tif,test,,"], "images.csv says split train and test"),
        (["a.png,,p1,", "copy.tif,,p2,"], "images.csv says patient p1 and p2"),
        (["a.png,,,0.25", "copy.tif,,,0.5"], "images.csv says mpp 0.25 and 0.5"),
    ],
)
def test_a_picture_of_which_two_things_are_said_is_left_out(
    tmp_path: Path,
    here: Run,  # noqa: F811
    rows: list[str],
    expected: str,
) -> None:
    folder = tmp_path / "my"
    copied(image(folder / "a.png"), ".tif")
    image(folder / "b.png", 2)
    for name in ("a", "copy", "b"):
        outlines(folder / f"{name}.geojson", feature(BOX, TUMOR))
    (folder / "images.csv").write_text("\n".join(["image,split,patient,mpp", *rows]))
    done = build(here, folder)
    (entry,) = done.json["sources"]
    assert done.code == 1 and entry["problems"] == [f"a.png and copy.tif: {expected}"]
    assert entry["objects"]["read"] == 3 and {row.origin for row in read_rows(tmp_path / "pathseg")} == {"b"}


def two(here: Run, tmp_path: Path, out: str, *order: str, rows: tuple[str, str] = ("", "")) -> Done:  # noqa: F811
    """Two folders that share half of their pictures, built one after the other, or in one command."""
    for place, said in zip(("one", "two"), rows, strict=True):
        for seed in range(4):
            shared = place if seed % 2 else "both"
            # Other names for the same pictures, so that chance alone would split them otherwise.
            name = f"{place}{seed if place == 'one' else (seed + 1) % 4}"
            image(tmp_path / place / f"{name}.png", sum(map(ord, shared)) + seed)
            outlines(tmp_path / place / f"{name}.geojson", feature(BOX, {"name": place}))
        if said:
            (tmp_path / place / "images.csv").write_text(f"image,split\n{place}{int(place == 'two')},{said}\n")
    for places in order:
        wishes = [word for p in places.split() for word in ("--source", f"folder={tmp_path / p}")]
        done = here("data", "build", *wishes, "--mpp", 0.25, "--out", tmp_path / out, "--json")
    return done


def splits(folder: Path) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for row in read_rows(folder):
        found.setdefault(row.sha256, set()).add(row.split)
    return found


@pytest.mark.parametrize("order", [("one", "two"), ("two", "one"), ("one two",), ("one", "two", "one")])
def test_a_picture_in_two_folders_is_in_one_split(tmp_path: Path, here: Run, order: tuple[str, ...]) -> None:  # noqa: F811
    done = two(here, tmp_path, "out", *order)
    assert done.code == 0, done.out
    found = splits(tmp_path / "out")
    assert len(found) == 6 and all(len(parts) == 1 for parts in found.values())
    assert {len(parts) for parts in found.values()} == {1} and {"train", "test"} == set().union(*found.values())


def test_a_picture_that_two_folders_want_in_different_splits_is_named(tmp_path: Path, here: Run) -> None:  # noqa: F811
    done = two(here, tmp_path, "out", "one", "two", rows=("train", "test"))
    told = [what for entry in done.json["sources"] for what in entry["problems"]]
    assert done.code == 1 and len(told) == 1 and "two1" in told[0] and "one" in told[0]
    assert all(len(parts) == 1 for parts in splits(tmp_path / "out").values())


def test_pictures_that_differ_in_one_pixel_are_two(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "my"
    values = np.asarray(Image.open(image(folder / "a.png"))).copy()
    values[0, 0] ^= 1
    Image.fromarray(values).save(folder / "b.png")
    for name in ("a", "b"):
        outlines(folder / f"{name}.geojson", feature(BOX, TUMOR))
    assert build(here, folder).json["sources"][0]["images"] == 2
