"""Tiles that cover an image with overlap, and their seamless blending."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Tile:
    """A rectangle of an image: first row and column, rows and columns."""

    y: int
    x: int
    height: int
    width: int


def starts(side: int, tile: int, overlap: int) -> list[int]:
    """Evenly spread tile starts along a side; neighbours share at least ``overlap`` pixels."""
    if side <= tile:
        return [0]
    count = -(-(side - overlap) // (tile - overlap))
    return [round(i * (side - tile) / (count - 1)) for i in range(count)]


def plan_tiles(height: int, width: int, tile: int, overlap: int) -> list[Tile]:
    """Tiles row by row; all have ``tile`` pixels a side, less only where the image is smaller."""
    if not 0 <= overlap < tile:
        raise ValueError(f"overlap {overlap} must be at least 0 and less than tile {tile}")
    rows, columns = min(height, tile), min(width, tile)
    return [Tile(y, x, rows, columns) for y in starts(height, tile, overlap) for x in starts(width, tile, overlap)]


class Blender:
    """Weighted mean of overlapping tiles; weights fall towards tile edges, so no seam shows."""

    def __init__(self, height: int, width: int) -> None:
        self._sum = np.zeros((height, width), np.float32)
        self._weight = np.zeros((height, width), np.float32)

    def add(self, tile: Tile, values: NDArray[np.float32]) -> None:
        """Add a tile's values (h, w)."""
        weight = np.outer(_ramp(tile.height), _ramp(tile.width))
        place = np.s_[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width]
        self._sum[place] += weight * values
        self._weight[place] += weight

    def result(self) -> NDArray[np.float32]:
        """Blended values (H, W), 0 where no tile was added."""
        return np.asarray(self._sum / np.maximum(self._weight, 1), np.float32)


def _ramp(side: int) -> NDArray[np.float32]:
    """Weights along a side: 1 at the edge pixels, growing to the middle."""
    distance = np.minimum(np.arange(side), np.arange(side)[::-1]) + 1
    return distance.astype(np.float32)
