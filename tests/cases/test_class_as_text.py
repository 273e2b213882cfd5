"""GDAL and geopandas write a class as text that holds JSON or Python."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.cases.made import BOX, OTHER, Run, boxes, build, feature, image, outlines
from tests.cli.conftest import here  # noqa: F401

TUMOR, STROMA = ({"name": name, "color": [200, 0, 0]} for name in ("Tumor", "Stroma"))


@pytest.mark.parametrize("text", [json.dumps, repr, lambda value: json.dumps(json.dumps(value)), lambda v: v["name"]])
def test_the_class_is_what_the_text_holds(tmp_path: Path, here: Run, text: Any) -> None:  # noqa: F811
    folder = tmp_path / "my"
    image(folder / "a.png")
    outlines(folder / "a.geojson", feature(BOX, text(TUMOR)), feature(OTHER, text(STROMA)))
    done = build(here, folder)
    assert done.code == 0, done.out
    assert boxes(folder) == {"unspecified-tissue-tumor": BOX, "unspecified-tissue-stroma": OTHER}


@pytest.mark.parametrize(
    "text", ['{"name": "Tum', "['Tumor', 'Positive']", '{"name": {"name": "Tumor"}}', "[1]", "{1}"]
)
def test_text_that_holds_no_class_is_named_and_never_a_label(tmp_path: Path, here: Run, text: str) -> None:  # noqa: F811
    folder = tmp_path / "my"
    image(folder / "a.png")
    outlines(folder / "a.geojson", feature(BOX, TUMOR), feature(OTHER, text))
    done = build(here, folder)
    (line,) = done.json["sources"][0]["left_out"]
    assert done.code == 1 and "feature 2 of a.geojson" in line and "classification" in line
    assert boxes(folder) == {"unspecified-tissue-tumor": BOX}


@pytest.mark.parametrize("text", [None, "null", "None", "nan", float("nan"), "", '""', '{"name": null}'])
def test_no_class_as_text_is_no_class(tmp_path: Path, here: Run, text: object) -> None:  # noqa: F811
    folder = tmp_path / "my"
    image(folder / "a.png")
    outlines(folder / "a.geojson", feature(BOX, TUMOR), feature(OTHER, text))
    done = build(here, folder)
    assert done.code == 0 and boxes(folder) == {"unspecified-tissue-tumor": BOX}
    assert done.json["sources"][0]["objects"]["reasons"] == {"has no class": 1}
