"""Objects of another plane of a stack, or of another time, are not on the image."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.cases.made import BOX, OTHER, Run, boxes, build, feature, image, outlines
from tests.cli.conftest import here  # noqa: F401


def on(plane: Any, where: str) -> dict[str, Any]:
    """A drawn object that says where it lies, as one of the versions of QuPath or a collection has it."""
    made = feature(OTHER, {"name": "Tumor"})
    if where == "geometry":
        made["geometry"]["plane"] = plane
    elif where == "part":
        made["geometry"] = {"type": "GeometryCollection", "geometries": [made["geometry"] | {"plane": plane}]}
    elif where == "properties":
        made["properties"]["plane"] = plane
    else:
        made["plane"] = plane
    return made


@pytest.mark.parametrize("where", ["geometry", "part", "properties", "feature"])
@pytest.mark.parametrize("plane", [{"c": -1, "z": 1, "t": 0}, {"z": 0, "t": 3}, {"z": -1}, {"t": "2"}, {"z": [1]}])
def test_only_the_first_plane_is_drawn(tmp_path: Path, here: Run, plane: Any, where: str) -> None:  # noqa: F811
    folder = tmp_path / "my"
    image(folder / "a.png")
    outlines(folder / "a.geojson", feature(BOX, {"name": "Tumor"}, plane={"c": -1, "z": 0, "t": 0}), on(plane, where))
    done = build(here, folder)
    (line,) = done.json["sources"][0]["left_out"]
    assert done.code == 1 and "feature 2 of a.geojson, class 'Tumor': lies on plane" in line
    assert boxes(folder) == {"unspecified-tissue-tumor": BOX}


@pytest.mark.parametrize("plane", [{}, {"c": 2}, {"z": 0, "t": 0}, {"z": "0"}, {"z": None}, {"z": 0.0}, None, 5])
def test_the_first_plane_is_used_however_it_is_told(tmp_path: Path, here: Run, plane: Any) -> None:  # noqa: F811
    folder = tmp_path / "my"
    image(folder / "a.png")
    outlines(folder / "a.geojson", on(plane, "geometry"))
    assert build(here, folder).code == 0
    assert boxes(folder) == {"unspecified-tissue-tumor": OTHER}
