"""Objects drawn in other programs: QuPath's GeoJSON and COCO."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.data.outlines import Ring, paint, ring
from pathsegmentor.errors import BadInput

NO_AREA = ("Point", "MultiPoint", "LineString", "MultiLineString")


@dataclass(frozen=True)
class Drawn:
    """An object: its class, and polygons that together are it; a polygon's further rings are holes.

    About the pixels of a ``crowd`` nothing is known but that such objects lie there.
    """

    name: str
    polygons: list[list[Ring]]
    crowd: bool = False

    def paint(self, mask: NDArray[np.int32], number: int) -> None:
        """Write ``number`` into ``mask`` (H, W) where the object is."""
        for rings in self.polygons:
            paint(mask, rings, number)


def read_json(path: Path) -> Any:
    """The document in a file; raises ``BadInput`` in one line."""
    try:
        return json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is no readable JSON: {' '.join(str(error).split())}") from error


def qupath_objects(path: Path) -> list[Drawn]:
    """Classified areas of a GeoJSON as QuPath exports it: a collection, a list or one feature.

    Points and lines have no area, and what has no class no label: both are passed over, as is the
    nucleus inside a cell.
    """
    document = read_json(path)
    features = document.get("features", [document]) if isinstance(document, dict) else document
    if not isinstance(features, list):
        raise BadInput(f"{path.name} is no GeoJSON as QuPath writes it")
    found = []
    for number, feature in enumerate(features, start=1):
        try:
            name = _class_name(feature["properties"] or {})
            polygons = _polygons(feature["geometry"]) if name else []
            if polygons:
                found.append(Drawn(name, polygons))
        except (AttributeError, KeyError, TypeError, ValueError, RecursionError) as error:
            raise BadInput(f"{path.name}: feature {number} is no QuPath object ({_line(error)})") from error
    return found


def _class_name(properties: dict[str, Any]) -> str:
    """The class of a QuPath object; "" for one without a class."""
    kind = properties.get("classification")
    if kind is None:
        return ""
    if isinstance(kind, str):
        return kind.strip()
    # A class derived from others, as "Tumor: Positive", has a list.
    names = kind["names"] if "names" in kind else [kind["name"]]
    return ": ".join(name.strip() for name in names if name)


def _polygons(geometry: dict[str, Any]) -> list[list[Ring]]:
    kind = geometry["type"]
    if kind == "GeometryCollection":
        return [polygon for part in geometry["geometries"] for polygon in _polygons(part)]
    if kind in NO_AREA:
        return []
    if kind not in ("Polygon", "MultiPolygon"):
        raise ValueError(f"unknown geometry '{kind}'")
    shapes = geometry["coordinates"] if kind == "MultiPolygon" else [geometry["coordinates"]]
    return [[ring(points) for points in shape] for shape in shapes if shape]


@dataclass(frozen=True)
class Coco:
    """A COCO file, taken apart: its images, its categories by id, annotations by the id of their image."""

    images: list[dict[str, Any]]
    names: dict[Any, str]
    annotations: dict[Any, list[dict[str, Any]]]


def is_coco(document: object) -> bool:
    """Whether a JSON document is a COCO file."""
    return isinstance(document, dict) and {"images", "annotations", "categories"} <= set(document)


def read_coco(path: Path) -> Coco:
    """The file as it is now; parsed once for all of its images."""
    try:
        stamp = path.stat()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    return _read_coco(path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=1)
def _read_coco(path: Path, changed: int, size: int) -> Coco:
    document = read_json(path)
    try:
        names = {category["id"]: str(category["name"]) for category in document["categories"]}
        images = [{"id": image["id"], "file_name": str(image["file_name"])} | image for image in document["images"]]
        annotations = defaultdict(list)
        for annotation in document["annotations"]:
            annotations[annotation["image_id"]].append(annotation)
    except (AttributeError, KeyError, TypeError) as error:
        raise BadInput(f"{path.name} is damaged or no COCO file: {type(error).__name__}: {_line(error)}") from error
    return Coco(images, names, dict(annotations))


def coco_objects(path: Path, image: Any) -> list[Drawn]:
    """Objects of one image; each polygon of an object adds to it, for COCO knows no holes."""
    coco = read_coco(path)
    return [_coco_object(annotation, coco, path) for annotation in coco.annotations.get(image, [])]


def _coco_object(annotation: dict[str, Any], coco: Coco, path: Path) -> Drawn:
    where = f"annotation {annotation.get('id')} of {path.name}"
    outline = annotation.get("segmentation")
    if isinstance(outline, dict):
        raise BadInput(f"{where} is run-length encoded (RLE), as crowds are; export it as polygons or remove it")
    if not isinstance(outline, list) or not outline:
        raise BadInput(f"{where} has no polygon, only a box or nothing; export COCO with polygons")
    name = coco.names.get(annotation.get("category_id"))
    if name is None:
        known = ", ".join(map(str, coco.names)) or "none"
        raise BadInput(f"{where} has the unknown category {annotation.get('category_id')}; known: {known}")
    try:
        rings = [ring(np.reshape(np.asarray(flat, float), (-1, 2))) for flat in outline]
    except (TypeError, ValueError) as error:
        raise BadInput(f"{where} is damaged: {_line(error)}") from error
    return Drawn(name, [[points] for points in rings], bool(annotation.get("iscrowd")))


def painted(objects: Iterable[tuple[str, Drawn]], height: int, width: int) -> dict[str, NDArray[np.int32]]:
    """Instance maps (H, W) by label; a later object wins where two of one label overlap."""
    masks: dict[str, NDArray[np.int32]] = {}
    for number, (label, drawn) in enumerate(objects, start=1):
        drawn.paint(masks.setdefault(label, np.zeros((height, width), np.int32)), number)
    return masks


def _line(error: BaseException) -> str:
    return " ".join(str(error).split()) or type(error).__name__
