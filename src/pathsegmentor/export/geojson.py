"""GeoJSON that QuPath opens: one feature per object, in pixels of the image, or of the slide that it is a region of.

Tissue becomes annotations (editable), nuclei and cells become detections (light to draw). Ids depend on
the image, the label and the place only, so the same result gives the same file.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator, Mapping, Sequence

import shapely

from pathsegmentor.segment.result import Found, Result

_SPACE = uuid.UUID("5f0c3c51-2a55-4f0e-9a5e-0d9b7a3cbb10")


def dumps(result: Result, colours: Mapping[str, Sequence[int]], editable: bool = False) -> str:
    """A FeatureCollection of all objects of a result as text; ``colours`` gives (r, g, b) by label id.

    ``editable``: nuclei and cells are annotations too, for QuPath lets nobody redraw a detection.
    """
    features = ",".join(
        text for found in result.distinct for text in _features(result, found, colours[found.label.id], editable)
    )
    return f'{{"type":"FeatureCollection","features":[{features}]}}\n'


def _features(result: Result, found: Found, colour: Sequence[int], editable: bool) -> Iterator[str]:
    """One feature for each object of an answer."""
    kind = "annotation" if editable or found.label.structure.lower() == "tissue" else "detection"
    # Shapely writes them itself: an outline can have a million rings, too many for lists of Python.
    polygons = [item.polygon for item in found.objects]
    if any(result.offset):
        polygons = list(shapely.transform(polygons, lambda corners: corners + result.offset))
    shapes = shapely.to_geojson(polygons)
    # Two regions of a slide may lie on it together.
    image = ":".join(map(str, (result.image_sha256, *(result.region or ()))))
    for number, (item, shape) in enumerate(zip(found.objects, shapes, strict=True)):
        name = f"{image}:{result.weights_sha256}:{found.label.id}:{number}"
        properties = {
            "objectType": kind,
            "classification": {"name": found.label.id, "color": [int(c) for c in colour]},
            "measurements": {
                "Area um^2": round(item.area_um2, 3),
                "Presence": round(found.presence, 4),
            },
        }
        yield (
            f'{{"type":"Feature","id":"{uuid.uuid5(_SPACE, name)}","geometry":{_whole(shape)},'
            f'"properties":{json.dumps(properties, separators=(",", ":"), allow_nan=False)}}}'
        )


def _whole(geometry: str) -> str:
    """Corners of pixels are whole numbers, and look so in the text."""
    return geometry.replace(".0", "")
