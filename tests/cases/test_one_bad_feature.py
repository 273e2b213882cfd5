"""One object that cannot be read is named, and does not take its image with it."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tests.cases.made import BOX, OTHER, Run, boxes, build, feature, image, outlines, ring
from tests.cli.conftest import here  # noqa: F401

GOOD = feature(BOX, {"name": "Tumor"})
PYTHON = re.compile(r"NoneType|subscript|indices must|has no attribute|iterable|unhashable|unpack|[A-Z][a-z]+Error")


def bad(**change: Any) -> dict[str, Any]:
    return feature(OTHER, {"name": "Stroma"}) | change


def shaped(kind: str, coordinates: Any, **more: Any) -> dict[str, Any]:
    return bad(geometry={"type": kind, "coordinates": coordinates, **more})


BAD: list[tuple[Any, str]] = [
    (bad(geometry=None), "has no geometry"),
    (bad(geometry=[1]), "geometry that is none of GeoJSON"),
    (bad(geometry={}), "unknown geometry 'None'"),
    (shaped("Circle", 1), "unknown geometry 'Circle'"),
    (shaped("Polygon", None), "without a list of positions"),
    (shaped("Polygon", 5), "without a list of positions"),
    (shaped("Polygon", []), "empty outline"),
    (shaped("MultiPolygon", []), "empty outline"),
    (shaped("MultiPolygon", [5]), "without a list of positions"),
    (shaped("Polygon", [[]]), "at least three finite x, y"),
    (shaped("Polygon", [[[5, 5], [6, 6]]]), "at least three finite x, y"),
    (shaped("Polygon", [ring(OTHER), [[1, 1]]]), "at least three finite x, y"),
    (shaped("Polygon", [[[0, 0], [float("nan"), 1], [1, 1]]]), "at least three finite x, y"),
    (shaped("Polygon", [[[0, 0], [1e300, 1], [1, 1e300]]]), "at least three finite x, y"),
    (shaped("Polygon", [[[0, 0], [10**400, 1], [1, 1]]]), "at least three finite x, y"),
    (shaped("Polygon", [[["x", 0], [1, 1], [1, 0]]]), "at least three finite x, y"),
    (shaped("Polygon", [[[0], [1, 1], [1, 0]]]), "at least three finite x, y"),
    (shaped("Polygon", [[{"x": 0}, {"x": 1}, {"x": 2}]]), "at least three finite x, y"),
    (shaped("Polygon", [[[90, 90], [90, 90], [90, 90]]]), "covers no pixel's centre"),
    (shaped("Polygon", [[[90.1, 90.1], [90.2, 90.1], [90.2, 90.2]]]), "covers no pixel's centre"),
    (shaped("Polygon", [[[-50, -50], [-1, -50], [-1, -1]]]), "lies outside the image of 128 x 128 pixels"),
    (shaped("Polygon", [ring((500, 0, 600, 90))]), "lies outside the image of 128 x 128 pixels"),
    (shaped("Point", [3, 3]), "has no area, being Point"),
    (shaped("LineString", [[3, 3], [9, 9]]), "has no area, being LineString"),
    (bad(geometry={"type": "GeometryCollection", "geometries": []}), "empty outline"),
    (bad(geometry={"type": "GeometryCollection"}), "without a list of positions"),
    (bad(geometry={"type": "GeometryCollection", "geometries": [3]}), "none of GeoJSON"),
    (bad(properties=[1]), "properties that are no table"),
    (bad(properties="text"), "properties that are no table"),
    (feature(OTHER, ["Tumor", "Positive"]), "classification that is no class"),
    (feature(OTHER, 5), "classification that is no class"),
    (feature(OTHER, {"name": 5}), "classification that is no class"),
    (feature(OTHER, {"names": ["a", None, 3]}), "classification that is no class"),
    (feature(OTHER, {"name": "breast-nuclei-"}), "is no label; expected region-structure-object type"),
    (feature(OTHER, {"name": "Stro\x00ma"}), "characters in its name that cannot be shown"),
    (feature(OTHER, {"name": "Stro\ud800ma"}), "characters in its name that cannot be shown"),
    (GOOD, "is drawn twice: it is feature 1 of a.geojson again"),
    (5, "is no feature"),
    (None, "is no feature"),
    ("text", "is no feature"),
    ({}, "is no feature"),
    ({"type": "Topology"}, "is no feature"),
    ({"type": "FeatureCollection", "features": 3}, "is no feature"),
    (GOOD | {"childObjects": 3}, "is no feature"),
]


@pytest.mark.parametrize(("second", "expected"), BAD)
def test_it_is_named_and_the_good_one_is_built(tmp_path: Path, here: Run, second: Any, expected: str) -> None:  # noqa: F811
    folder = tmp_path / "my"
    image(folder / "a.png")
    outlines(folder / "a.geojson", GOOD, second)
    done = build(here, folder)
    (entry,) = done.json["sources"]
    lines = entry["left_out"]
    assert done.code == 1 and not done.err and not PYTHON.search(done.out)
    assert any(re.match(r"a: feature 2(\.1)? of a\.geojson", line) and expected in line for line in lines), lines
    assert boxes(folder) == {"unspecified-tissue-tumor": BOX}
    objects = entry["objects"]
    assert objects["used"] == 1 and objects["read"] == objects["used"] + objects["passed_over"] == 1 + len(lines)


def test_many_of_a_kind_are_one_line(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "my"
    image(folder / "a.png")
    outlines(folder / "a.geojson", *[bad(geometry=None)] * 9, GOOD, *[feature(OTHER, None)] * 3)
    done = build(here, folder)
    (entry,) = done.json["sources"]
    assert entry["left_out"] == [
        "a: 9 objects (feature 1, feature 2, feature 3, feature 4, feature 5, ...) of a.geojson, class 'Stroma':"
        " has no geometry"
    ]
    assert entry["remarks"] == ["a: 3 objects (feature 11, feature 12, feature 13) of a.geojson: has no class"]
    assert entry["objects"]["reasons"] == {"has no geometry": 9, "has no class": 3}
