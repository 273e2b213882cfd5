"""QuPath's GeoJSON: each object is drawn, or passed over with a reason."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pathsegmentor.data.counted import Passed, Place, shown
from pathsegmentor.data.documents import NoJson, opened, read_documents
from pathsegmentor.data.drawn import Drawn
from pathsegmentor.data.outlines import Ring, ring
from pathsegmentor.errors import BadInput

NO_AREA = ("Point", "MultiPoint", "LineString", "MultiLineString")
GEOMETRIES = (*NO_AREA, "Polygon", "MultiPolygon", "GeometryCollection")
FIRST_PLANE = ("None", "", "0", "0.0", "-0.0")
# How "no class" comes out of programs that turn every value into text.
NO_CLASS = ("", "none", "null", "nan")


def qupath_objects(path: Path) -> list[Drawn | Passed]:
    """The objects of a GeoJSON as QuPath exports it, those within others too; see ``documents`` for its forms.

    The nucleus inside a cell is part of the cell, not an object. Raises ``BadInput`` if it is no GeoJSON.
    """
    documents = read_documents(path)
    if len(documents) == 1 and _members(documents[0]) is None and not isinstance(documents[0], dict):
        raise BadInput(f"{path.name} is no GeoJSON as QuPath writes it")
    if isinstance(documents[0], dict) and not isinstance(documents[0].get("features", []), list):
        raise BadInput(f"{path.name} is no GeoJSON as QuPath writes it")
    return [_object(feature, Place(path.name, f"feature {number}")) for number, feature in _features(documents)]


def _members(value: Any) -> list[Any] | None:
    """The features of a list or collection, None if it is neither."""
    if isinstance(value, dict) and value.get("type") != "Feature":
        value = value.get("features")
    return value if isinstance(value, list) else None


def _features(documents: list[Any]) -> Iterator[tuple[str, Any]]:
    """All features with their numbers; 3.1 is the first one within the third."""
    # A stack, not recursion: how deep objects lie in each other is up to the file.
    waiting = [("", iter(documents), 0)]
    while waiting:
        above, members, number = waiting.pop()
        for value in members:
            inside = _members(value)
            if inside is not None:
                # A collection among features only groups them: counting goes on in it.
                waiting += [(above, members, number + len(inside)), (above, iter(inside), number)]
                break
            number += 1
            name = f"{above}{number}"
            yield name, value
            children = _children(value)
            if children:
                waiting += [(above, members, number), (f"{name}.", iter(children), 0)]
                break


def _children(feature: Any) -> list[Any]:
    """Objects within an object, wherever a version of QuPath put them; not a list: one that cannot be read."""
    found: list[Any] = []
    if isinstance(feature, dict):
        properties = opened(feature.get("properties"))
        for place in (feature, properties if isinstance(properties, dict) else {}):
            value = opened(place.get("childObjects"))
            members = _members(value)
            found += members if members is not None else [] if value is None else [value]
    return found


def _object(feature: Any, place: Place) -> Drawn | Passed:
    name = ""
    try:
        if not isinstance(feature, dict) or (feature.get("type") != "Feature" and "geometry" not in feature):
            if isinstance(feature, dict) and feature.get("type") in GEOMETRIES:
                return Passed(place, "", "has no class", lost=False, gap=False)
            raise ValueError("is no JSON" if feature is NoJson else "is no feature")
        properties = _properties(feature)
        name = class_name(properties)
        if not name:
            return Passed(place, "", "has no class", lost=False, gap=False)
        geometry = feature.get("geometry")
        elsewhere = _other_plane(feature, properties, geometry)
        if elsewhere:
            return Passed(place, name, elsewhere, gap=False)
        return Drawn(place, name, _polygons(geometry), key=shown(feature.get("id") or ""))
    except ValueError as error:
        return Passed(place, name, str(error))


def _properties(feature: dict[str, Any]) -> dict[str, Any]:
    properties = opened(feature.get("properties"))
    if properties is None:
        return {}
    if not isinstance(properties, dict):
        raise ValueError("has properties that are no table of names and values")
    return properties


def class_name(properties: dict[str, Any]) -> str:
    """The class of a QuPath object; "" for one without a class; raises ``ValueError`` for what is no class."""
    kind = opened(properties.get("classification"))
    if isinstance(kind, dict):
        # A class derived from others, as "Tumor: Positive", has a list.
        kind = kind["names"] if kind.get("names") is not None else kind.get("name")
        names = kind if isinstance(kind, list) else [kind]
    else:
        names = [kind]
    words = []
    for name in names:
        if name is None or (isinstance(name, float) and math.isnan(name)):
            continue
        if not isinstance(name, str) or name.strip().startswith(("{", "[")):
            raise ValueError(f"has a classification that is no class of QuPath: {shown(kind)}")
        words.append(name.strip())
    return ": ".join(word for word in words if word.lower() not in NO_CLASS)


def _other_plane(feature: dict[str, Any], properties: dict[str, Any], geometry: Any) -> str:
    """Why an object of another plane of a stack or another time is passed over, "" for the first."""
    places = [feature, properties]
    if isinstance(geometry, dict):
        places += [geometry, *(part for part in _parts(geometry) if part is not geometry)]
    for place in places:
        plane = opened(place.get("plane"))
        for axis in "zt":
            value = plane.get(axis) if isinstance(plane, dict) else None
            if shown(value) not in FIRST_PLANE:
                return f"lies on plane {axis} = {shown(value)}; the image is plane z = 0, t = 0"
    return ""


def _parts(geometry: dict[str, Any]) -> list[dict[str, Any]]:
    """The geometries that a collection holds at any depth, or the geometry itself."""
    found: list[dict[str, Any]] = []
    waiting: list[Any] = [geometry]
    while waiting:
        part = waiting.pop()
        if not isinstance(part, dict):
            raise ValueError("has a geometry that is none of GeoJSON")
        if part.get("type") == "GeometryCollection":
            waiting += reversed(_list(part.get("geometries")))
        else:
            found.append(part)
    return found


def _polygons(geometry: Any) -> list[list[Ring]]:
    """Polygons of a geometry; parts of a collection that have no area add nothing."""
    if geometry is None:
        raise ValueError("has no geometry")
    if not isinstance(geometry, dict):
        raise ValueError("has a geometry that is none of GeoJSON")
    parts, polygons = _parts(geometry), []
    for part in parts:
        kind = part.get("type")
        if kind in ("Polygon", "MultiPolygon"):
            coordinates = _list(part.get("coordinates"))
            shapes = coordinates if kind == "MultiPolygon" else [coordinates]
            polygons += [[ring(points) for points in _list(shape)] for shape in shapes if shape]
        elif kind not in NO_AREA:
            raise ValueError(f"has the unknown geometry '{shown(kind)}'")
    if not polygons and any(part.get("type") in NO_AREA for part in parts):
        raise ValueError(f"has no area, being {' and '.join(sorted({str(part['type']) for part in parts}))}")
    if not polygons:
        raise ValueError("has an empty outline")
    return polygons


def _list(value: Any) -> list[Any]:
    if not isinstance(value, list):
        raise ValueError("has a geometry without a list of positions")
    return value
