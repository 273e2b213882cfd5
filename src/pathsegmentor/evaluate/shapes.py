"""How intricate a true mask is: irregularity, instance ratio, count and dispersion (paper, section 4.5)."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.spatial import ConvexHull, QhullError
from scipy.spatial.distance import pdist

from pathsegmentor.evaluate.boxes import SMALLEST_OBJECT


@dataclass(frozen=True)
class Shape:
    """What equations 19 to 21 say of one mask; nan where a mask has no instances.

    Instances are its 8-connected parts of at least 36 pixels. ``irregularity`` is that of the whole mask: 0 for a
    circle, towards 1 the longer its edges are for its area; below 0 for a few pixels. ``ratio`` is the mean area of
    an instance over that of the image, ``dispersion_px`` the largest distance of two centroids in pixels, 0 for one
    instance.
    """

    irregularity: float
    ratio: float
    count: int
    dispersion_px: float


def shape(mask: NDArray[np.bool_]) -> Shape:
    """Measure a mask (H, W)."""
    number, _, stats, centroids = cv2.connectedComponentsWithStats(mask.astype(np.uint8), connectivity=8)
    areas = stats[1:number, cv2.CC_STAT_AREA]
    large = areas >= SMALLEST_OBJECT
    count = int(large.sum())
    ratio = float(areas[large].mean() / mask.size) if count else math.nan
    return Shape(irregularity(mask), ratio, count, _farthest(centroids[1:number][large]))


def irregularity(mask: NDArray[np.bool_]) -> float:
    """1 - 4 pi area / perimeter^2 (equation 19) over all parts of a mask; nan for one without a perimeter.

    The perimeter is the length of the curves through the centres of the edge pixels, those of holes included. To
    count edge pixels, as the text has it, would give values below 0 for a disk.
    """
    contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    perimeter = sum(cv2.arcLength(contour, closed=True) for contour in contours)
    return 1 - 4 * math.pi * int(np.count_nonzero(mask)) / perimeter**2 if perimeter else math.nan


def _farthest(points: NDArray[np.float64]) -> float:
    """The largest distance of two of some points (n, 2): 0 for one, nan for none."""
    if len(points) < 2:
        return 0.0 if len(points) else math.nan
    with suppress(QhullError):  # all on one line: compare them all
        points = points[ConvexHull(points).vertices] if len(points) > 50 else points
    return float(pdist(points).max())
