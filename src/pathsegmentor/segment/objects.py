"""Objects of a mask: connected pieces, their outlines and sizes.

Coordinates are pixels of the image, x right, y down, the origin at the first pixel's corner, so the
outline of a single pixel at (0, 0) is the unit square.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from shapely import LineString, Point, Polygon, union_all
from shapely.geometry.base import BaseGeometry

Mask = NDArray[np.bool_]

# 36 pixels at 0.25 um per pixel: the paper's smallest instance (section 4.5, instance count).
SMALLEST_UM2 = 2.25


@dataclass(frozen=True)
class Object:
    """One 8-connected piece of a mask: outline with holes, and area from its pixels in um2."""

    polygon: Polygon
    area_um2: float


def drop_specks(mask: Mask, mpp: tuple[float, float]) -> Mask:
    """The mask without 8-connected pieces smaller than ``SMALLEST_UM2``."""
    numbers, stats = _components(mask)
    large = stats[:, cv2.CC_STAT_AREA] * mpp[0] * mpp[1] >= SMALLEST_UM2
    large[0] = False
    return np.asarray(large[numbers])


def count_objects(mask: Mask) -> int:
    """Number of 8-connected pieces."""
    return int(cv2.connectedComponents(mask.astype(np.uint8), connectivity=8)[0]) - 1


def outline(mask: Mask, mpp: tuple[float, float]) -> list[Object]:
    """All 8-connected pieces of a mask (H, W), in the order of their first pixel.

    A pixel belongs to an outline exactly if its centre lies inside.
    """
    numbers, stats = _components(mask)
    objects = []
    for i in range(1, len(stats)):
        x, y, width, height, pixels = (int(v) for v in stats[i])
        piece = np.asarray(numbers[y : y + height, x : x + width] == i)
        objects.append(Object(_polygon(piece, x, y), pixels * mpp[0] * mpp[1]))
    return objects


def _components(mask: Mask) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Piece numbers (H, W), 0 for background, and per piece x, y, width, height and pixels."""
    _, numbers, stats, _ = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    return numbers, stats


def _polygon(piece: Mask, x: int, y: int) -> Polygon:
    """Outline of one piece whose box starts at (x, y).

    Contours run through the centres of border pixels; growing by half a pixel moves them to the pixels'
    edges, and holes shrink by as much.
    """
    contours, tree = cv2.findContours(piece.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    rings = [contour[:, 0, :] + np.array([x + 0.5, y + 0.5]) for contour in contours]
    outer = next(ring for ring, node in zip(rings, tree[0], strict=True) if node[3] < 0)
    grown = _area_of(outer).buffer(0.5, join_style="mitre", cap_style="square")
    holes = [ring for ring, node in zip(rings, tree[0], strict=True) if node[3] >= 0]
    gaps = [part for hole in holes for part in _parts(_area_of(hole).buffer(-0.5, join_style="mitre"))]
    return _without(grown, gaps) if gaps else _one(grown)


def _without(area: BaseGeometry, gaps: list[Polygon]) -> Polygon:
    """The area with gaps cut out; tissue can have ten thousands of them, and cutting is slow."""
    if isinstance(area, Polygon) and not area.interiors:
        ready = Polygon(area.exterior, [gap.exterior for gap in gaps])
        if ready.is_valid:
            return ready
    return _one(area.difference(union_all(gaps)))


def _area_of(ring: NDArray[np.float64]) -> BaseGeometry:
    if len(ring) == 1:
        return Point(ring[0])
    if len(ring) == 2:
        return LineString(ring)
    area = Polygon(ring)
    # A contour that walks along a thin bridge there and back touches itself.
    return area if area.is_valid else area.buffer(0).union(LineString([*ring, ring[0]]))


def _parts(geometry: BaseGeometry) -> list[Polygon]:
    return [part for part in getattr(geometry, "geoms", [geometry]) if not part.is_empty]


def _one(geometry: BaseGeometry) -> Polygon:
    if isinstance(geometry, Polygon):
        return geometry
    return max(geometry.geoms, key=lambda part: part.area)
