"""Objects of a mask: connected pieces, their outlines and sizes.

Coordinates are pixels of the image, x right, y down, the origin at the first pixel's corner, so the
outline of a single pixel at (0, 0) is the unit square.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label
from shapely import MultiPolygon, Polygon

from pathsegmentor.segment.rings import polygons

Mask = NDArray[np.bool_]

# 36 pixels at 0.25 um per pixel: the paper's smallest instance (section 4.5, instance count).
SMALLEST_UM2 = 2.25
# An object of tissue holds at least this share of pixels with a stain; a fat cell is only rimmed by them.
LEAST_STAINED = 0.05


@dataclass(frozen=True)
class Object:
    """One 8-connected piece of a mask: outline with holes, and area from its pixels in um2.

    Parts that meet at corners only make a ``MultiPolygon``; a pixel belongs to the piece exactly if its
    centre lies inside.
    """

    polygon: Polygon | MultiPolygon
    area_um2: float


def drop_specks(mask: Mask, mpp: tuple[float, float]) -> Mask:
    """The mask without 8-connected pieces smaller than ``SMALLEST_UM2``."""
    numbers, count = _pieces(mask)
    large = _areas(numbers, count, mpp) >= SMALLEST_UM2
    return np.asarray(np.append(False, large)[numbers])


def drop_unstained(mask: Mask, stained: Mask) -> Mask:
    """The mask without 8-connected pieces that hardly hold a pixel with a stain (H, W): bare glass."""
    numbers, count = _pieces(mask)
    pixels = np.bincount(numbers.ravel(), minlength=count + 1)
    kept = np.bincount(numbers.ravel(), stained.ravel(), count + 1) >= LEAST_STAINED * pixels
    kept[0] = False
    return np.asarray(kept[numbers])


def count_objects(mask: Mask) -> int:
    """Number of 8-connected pieces."""
    return _pieces(mask)[1]


def outline(mask: Mask, mpp: tuple[float, float]) -> list[Object]:
    """All 8-connected pieces of a mask (H, W), in the order of their first pixel; ``mpp`` is um per pixel (x, y)."""
    numbers, count = _pieces(mask)
    areas = _areas(numbers, count, mpp)
    return [Object(shape, float(area)) for shape, area in zip(polygons(numbers), areas, strict=True)]


def _pieces(mask: Mask) -> tuple[NDArray[np.int32], int]:
    """Piece numbers (H, W) in the order of first pixels, 0 for background, and how many there are."""
    numbers, count = label(mask, np.ones((3, 3)))
    return numbers, int(count)


def _areas(numbers: NDArray[np.int32], count: int, mpp: tuple[float, float]) -> NDArray[np.float64]:
    """Area of pieces 1..count in um2."""
    return np.asarray(np.bincount(numbers.ravel(), minlength=count + 1)[1:] * (mpp[0] * mpp[1]))
