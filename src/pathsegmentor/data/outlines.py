"""Outlines to masks."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Ring = NDArray[np.float64]


def fill(rings: Sequence[Ring], height: int, width: int) -> NDArray[np.bool_]:
    """Pixels (H, W) whose centre lies inside the rings by the even-odd rule, so inner rings are holes.

    A ring is (n, 2) of x, y with pixel corners as origin; it need not be closed.
    """
    turns = np.zeros((height, width + 1), np.int64)
    for ring in rings:
        ends = np.roll(ring, -1, axis=0)
        for (x0, y0), (x1, y1) in zip(ring, ends, strict=True):
            if y0 == y1:
                continue
            (x0, y0), (x1, y1) = ((x0, y0), (x1, y1)) if y0 < y1 else ((x1, y1), (x0, y0))
            # Rows whose centre (row + 0.5) lies in [y0, y1).
            rows = np.arange(max(int(np.ceil(y0 - 0.5)), 0), min(int(np.ceil(y1 - 0.5)), height))
            crossing = x0 + (rows + 0.5 - y0) * (x1 - x0) / (y1 - y0)
            columns = np.clip(np.ceil(crossing - 0.5), 0, width).astype(int)
            np.add.at(turns, (rows, columns), 1)
    return np.asarray(turns.cumsum(axis=1)[:, :width] % 2 == 1)


def paint(instances: NDArray[np.int32], rings: Sequence[Ring], number: int) -> None:
    """Write ``number`` into ``instances`` (H, W) inside the rings; works on their bounding box only."""
    points = np.concatenate([np.asarray(ring) for ring in rings])
    height, width = instances.shape
    left, top = np.clip(np.floor(points.min(axis=0)).astype(int), 0, (width, height))
    right, bottom = np.clip(np.ceil(points.max(axis=0)).astype(int), 0, (width, height))
    if right <= left or bottom <= top:
        return
    inside = fill([ring - (left, top) for ring in rings], bottom - top, right - left)
    instances[top:bottom, left:right][inside] = number


def ring(points: object) -> Ring:
    """Check and convert a list of positions; raises ``ValueError`` unless it is at least three x, y pairs."""
    values = np.asarray(points, dtype=float)
    if values.ndim != 2 or values.shape[0] < 3 or values.shape[1] < 2 or not np.isfinite(values).all():
        raise ValueError("an outline needs at least three finite x, y positions")
    return np.ascontiguousarray(values[:, :2])
