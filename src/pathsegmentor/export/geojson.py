"""GeoJSON that QuPath opens: one feature per object, in pixels of the image.

Tissue becomes annotations (editable), nuclei and cells become detections (light to draw). Ids depend on
the image, the label and the place only, so the same result gives the same file.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from shapely import Polygon

from pathsegmentor.segment.objects import Object
from pathsegmentor.segment.result import Found, Result

_SPACE = uuid.UUID("5f0c3c51-2a55-4f0e-9a5e-0d9b7a3cbb10")


def feature_collection(result: Result, colours: Mapping[str, Sequence[int]]) -> dict[str, Any]:
    """All objects of a result; ``colours`` gives (r, g, b) by label id."""
    features = [
        _feature(result, found, number, item, colours[found.label.id])
        for found in result.distinct
        for number, item in enumerate(found.objects)
    ]
    return {"type": "FeatureCollection", "features": features}


def dumps(result: Result, colours: Mapping[str, Sequence[int]]) -> str:
    """``feature_collection`` as text."""
    return json.dumps(feature_collection(result, colours), separators=(",", ":"), allow_nan=False) + "\n"


def _feature(result: Result, found: Found, number: int, item: Object, colour: Sequence[int]) -> dict[str, Any]:
    name = f"{result.image_sha256}:{result.weights_sha256}:{found.label.id}:{number}"
    kind = "annotation" if found.label.structure.lower() == "tissue" else "detection"
    return {
        "type": "Feature",
        "id": str(uuid.uuid5(_SPACE, name)),
        "geometry": {"type": "Polygon", "coordinates": _rings(item.polygon)},
        "properties": {
            "objectType": kind,
            "classification": {"name": found.label.id, "color": [int(c) for c in colour]},
            "measurements": {
                "Area um^2": round(item.area_um2, 3),
                "Presence": round(found.presence, 4),
            },
        },
    }


def _rings(polygon: Polygon) -> list[list[list[float]]]:
    rings = [polygon.exterior, *polygon.interiors]
    return [[[round(x, 2), round(y, 2)] for x, y in ring.coords] for ring in rings]
