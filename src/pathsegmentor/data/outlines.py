"""Outlines to masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ring = NDArray[np.float64]
# Farther from the image no position is meant, and arithmetic on it would overflow.
FARTHEST = 1e15


def fill(rings: Sequence[Ring], height: int, width: int) -> NDArray[np.bool_]:
    """Pixels (H, W) whose centre lies inside the rings by the even-odd rule, so inner rings are holes.

    A ring is (n, 2) of x, y with pixel corners as origin; it need not be closed.
    """
    # Only whether a count is odd matters, so that it may overflow.
    turns = np.zeros((height, width + 1), np.uint8)
    starts = np.concatenate(rings)
    ends = np.concatenate([np.roll(ring, -1, axis=0) for ring in rings])
    up = (starts[:, 1] < ends[:, 1])[:, None]
    (x0, y0), (x1, y1) = np.where(up, starts, ends).T, np.where(up, ends, starts).T
    # Rows whose centre (row + 0.5) lies in [y0, y1): none for a level edge.
    first, last = (np.clip(np.ceil(y - 0.5), 0, height).astype(int) for y in (y0, y1))
    counts = last - first
    edge = np.repeat(np.arange(len(counts)), counts)
    rows = np.arange(len(edge)) - np.repeat(counts.cumsum() - counts - first, counts)
    crossing = x0[edge] + (rows + 0.5 - y0[edge]) * (x1 - x0)[edge] / (y1 - y0)[edge]
    columns = np.clip(np.ceil(crossing - 0.5), 0, width).astype(int)
    np.add.at(turns, (rows, columns), 1)
    return np.asarray(turns.cumsum(axis=1, dtype=np.uint8)[:, :width] % 2 == 1)


def paint(instances: NDArray[np.int32], rings: Sequence[Ring], number: int) -> int:
    """Write ``number`` into ``instances`` (H, W) inside the rings, and return into how many pixels.

    Works on their bounding box only.
    """
    if not rings:
        return 0
    points = np.concatenate([np.asarray(ring) for ring in rings])
    height, width = instances.shape
    # Clipped first, for what lies far outside fits in no integer.
    left, top = np.clip(np.floor(points.min(axis=0)), 0, (width, height)).astype(int)
    right, bottom = np.clip(np.ceil(points.max(axis=0)), 0, (width, height)).astype(int)
    if right <= left or bottom <= top:
        return 0
    inside = fill([ring - (left, top) for ring in rings], bottom - top, right - left)
    instances[top:bottom, left:right][inside] = number
    return int(np.count_nonzero(inside))


def ring(points: object) -> Ring:
    """Check and convert a list of positions; raises ``ValueError`` unless it is at least three x, y pairs."""
    try:
        values = np.asarray(points, dtype=float)
    except (TypeError, ValueError, OverflowError):
        values = np.empty(0)
    if values.ndim != 2 or values.shape[0] < 3 or values.shape[1] < 2 or not (np.abs(values) < FARTHEST).all():
        raise ValueError("has an outline that is not at least three finite x, y positions")
    return np.ascontiguousarray(values[:, :2])
