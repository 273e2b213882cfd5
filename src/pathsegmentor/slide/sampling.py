"""One rule for every change of scale: area means where an axis shrinks, bilinear where it grows."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import csr_array

_Places = NDArray[np.int64]


def weights(start: float, step: float, count: int, first: int, stored: int) -> csr_array:
    """(count, stored) weights of stored pixels ``first``, ``first + 1``, ... for new pixels along one axis.

    New pixel i covers ``start + i * step`` to ``start + (i + 1) * step`` of the stored axis, and has the mean of what
    it covers; of less than one stored pixel, the line between the two centres next to its own. What lies
    outside of the stored pixels is that at the edge.
    """
    lows = start + step * np.arange(count, dtype=np.float64)
    if step >= 1:
        rows, columns, values = _areas(lows, lows + step)
    else:
        rows, columns, values = _lines(lows + step / 2)
    columns = np.clip(columns - first, 0, stored - 1)
    return csr_array((values, (rows, columns)), shape=(count, stored))


def _areas(lows: NDArray[np.float64], highs: NDArray[np.float64]) -> tuple[_Places, _Places, NDArray[np.float64]]:
    # Rounding must not draw in a neighbour by a billionth.
    near = [np.where(np.abs(v - np.rint(v)) < 1e-6, np.rint(v), v) for v in (lows, highs)]
    lows, highs = near
    begin, end = np.floor(lows).astype(np.int64), np.ceil(highs).astype(np.int64)
    most = int((end - begin).max())
    columns = begin[:, None] + np.arange(most)
    covered = np.minimum(columns + 1, highs[:, None]) - np.maximum(columns, lows[:, None])
    values = np.maximum(covered, 0) / (highs - lows)[:, None]
    rows = np.broadcast_to(np.arange(len(lows))[:, None], columns.shape)
    used = values > 0
    return rows[used], columns[used], values[used]


def _lines(centres: NDArray[np.float64]) -> tuple[_Places, _Places, NDArray[np.float64]]:
    left = np.floor(centres - 0.5)
    right = centres - 0.5 - left
    rows = np.tile(np.arange(len(centres)), 2)
    columns = np.concatenate([left, left + 1]).astype(np.int64)
    return rows, columns, np.concatenate([1 - right, right])


def resample(values: NDArray[np.uint8], rows: csr_array, columns: csr_array) -> NDArray[np.float64]:
    """(h, w, c) to (H, W, c) by weights of rows (H, h) and columns (W, w)."""
    height, width, channels = values.shape
    tall = rows @ values.reshape(height, width * channels).astype(np.float64)
    turned = np.swapaxes(tall.reshape(-1, width, channels), 0, 1).reshape(width, -1)
    wide = (columns @ turned).reshape(columns.shape[0], -1, channels)
    return np.ascontiguousarray(np.swapaxes(wide, 0, 1))
