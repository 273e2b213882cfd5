"""The grid of tiles of a slide: anchored at its origin, the same for every region, order, batch and resume."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from pathsegmentor.errors import BadInput
from pathsegmentor.slide.source import Box
from pathsegmentor.slide.tissue import SlideTissue

# Strides of the network: a grid that moves by less changes what it sees.
STRIDE = 32
# Of a tile's core, the share that must be tissue.
LEAST_TISSUE = 0.05


@dataclass(frozen=True)
class GridTile:
    """Tile ``row``, ``column`` of a grid; its rectangle of level 0 may begin or end outside of the slide."""

    row: int
    column: int
    box: Box


@dataclass(frozen=True)
class Grid:
    """Tiles of ``tile`` model pixels that share ``overlap``, over a slide of ``size`` (width, height) at ``mpp``.

    Tile k of an axis begins at model pixel ``k * step - overlap / 2``, ``step = tile - overlap``: the first one begins
    outside, and what is in its core belongs to it alone. Level-0 positions are rounded per axis:
    ``round((k * step - overlap / 2) * model_mpp / mpp)``.
    """

    size: tuple[int, int]
    mpp: tuple[float, float]
    model_mpp: float
    tile: int
    overlap: int

    def __post_init__(self) -> None:
        if not 0 <= self.overlap < self.tile or self.overlap % 2:
            raise BadInput(f"an overlap of {self.overlap} must be even and less than the tile of {self.tile}")
        if self.step % STRIDE:
            raise BadInput(f"tile {self.tile} less overlap {self.overlap} must be a multiple of {STRIDE}")

    @property
    def step(self) -> int:
        """Model pixels from one tile to the next."""
        return self.tile - self.overlap

    @property
    def ratio(self) -> tuple[float, float]:
        """Pixels of level 0 per model pixel, (x, y)."""
        return self.model_mpp / self.mpp[0], self.model_mpp / self.mpp[1]

    @property
    def model_size(self) -> tuple[int, int]:
        """The slide's (width, height) in model pixels; a begun pixel counts."""
        width, height = (max(-int(-side // r), 1) for side, r in zip(self.size, self.ratio, strict=True))
        return width, height

    @property
    def shape(self) -> tuple[int, int]:
        """Rows and columns of tiles."""
        columns, rows = (-(-side // self.step) for side in self.model_size)
        return rows, columns

    def tile_at(self, row: int, column: int) -> GridTile:
        """One tile; raises ``BadInput`` if the grid does not have it."""
        rows, columns = self.shape
        if not (0 <= row < rows and 0 <= column < columns):
            raise BadInput(f"there is no tile {row}, {column} in a grid of {rows} x {columns}")
        x, y, width, height = self._box(row, column, -self.overlap / 2, self.tile)
        return GridTile(row, column, Box(x, y, width, height))

    def core(self, row: int, column: int) -> Box:
        """The part of level 0 that is nearest to this tile, inside of the slide; the cores cover it once."""
        x, y, width, height = self._box(row, column, 0, self.step)
        right, bottom = min(x + width, self.size[0]), min(y + height, self.size[1])
        return Box(x, y, max(right - x, 0), max(bottom - y, 0))

    def tiles(self) -> Iterator[GridTile]:
        """All tiles, row by row."""
        rows, columns = self.shape
        return (self.tile_at(row, column) for row in range(rows) for column in range(columns))

    def needed(self, region: Box) -> Iterator[GridTile]:
        """Tiles, row by row, that have a pixel of a region of level 0."""
        rows, columns = self.shape
        for row in self._touching(region.y, region.height, 1, rows):
            for column in self._touching(region.x, region.width, 0, columns):
                yield self.tile_at(row, column)

    def _touching(self, first: int, side: int, axis: int, count: int) -> list[int]:
        last, step = first + side, self.step * self.ratio[axis]
        reach = range(max(int(first / step) - 2, 0), min(int(last / step) + 3, count))
        spans = {k: self._span(k, axis, -self.overlap / 2, self.tile) for k in reach}
        return [k for k, (low, high) in spans.items() if low < last and high > first]

    def _box(self, row: int, column: int, offset: float, side: int) -> tuple[int, int, int, int]:
        (left, right), (top, bottom) = self._span(column, 0, offset, side), self._span(row, 1, offset, side)
        return left, top, right - left, bottom - top

    def _span(self, k: int, axis: int, offset: float, side: int) -> tuple[int, int]:
        ratio = self.ratio[axis]
        low = round((k * self.step + offset) * ratio)
        return low, max(round((k * self.step + offset + side) * ratio), low + 1)


def with_tissue(grid: Grid, tiles: Iterator[GridTile], tissue: SlideTissue) -> Iterator[GridTile]:
    """Those of some tiles whose core is tissue for at least 5 %."""
    return (tile for tile in tiles if tissue.share(grid.core(tile.row, tile.column)) >= LEAST_TISSUE)
