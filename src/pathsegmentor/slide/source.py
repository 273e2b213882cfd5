"""What a reader of slides gives: levels of stored pixels, a scale, and which pixels are not there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.scale import Scale

# Why a pixel of a patch is not there: scanners do not store glass; damage takes away what was tissue perhaps.
UNSTORED, DAMAGED = 1, 2


@dataclass(frozen=True)
class Level:
    """One stored resolution: pixels, and the pieces (width, height) in which they are stored.

    ``downsample`` is level-0 pixels per pixel as (x, y).
    """

    width: int
    height: int
    downsample: tuple[float, float]
    piece: tuple[int, int] = (256, 256)


@dataclass(frozen=True)
class Patch:
    """Stored pixels (h, w, 3) uint8 RGB; ``lost`` (h, w) is 0, ``UNSTORED`` or ``DAMAGED``; None if all are there.

    Lost pixels are white.
    """

    pixels: NDArray[np.uint8]
    lost: NDArray[np.uint8] | None = None


@dataclass(frozen=True)
class Box:
    """A rectangle in pixels of level 0."""

    x: int
    y: int
    width: int
    height: int


@runtime_checkable
class Source(Protocol):
    """An open slide file, as its format has it; ``Slide`` does the rest.

    ``levels`` begin with the finest. ``scale`` is that of level 0. ``bounds`` is the part that was scanned, None for
    all. ``files`` are the files that make up the slide. ``associated`` names further pictures (label, macro) in it.
    """

    levels: tuple[Level, ...]
    scale: Scale
    bounds: Box | None
    files: tuple[Path, ...]
    associated: tuple[str, ...]
    notes: tuple[str, ...]

    def patch(self, level: int, x: int, y: int, width: int, height: int) -> Patch:
        """Pixels of a rectangle of a level, which lies inside of it; called from several threads at once."""
        ...

    def close(self) -> None:
        """Give files back."""
        ...


@runtime_checkable
class Reader(Protocol):
    """A format: ``name``, whether a path is of it (by content), and how to open it.

    ``open`` raises ``BadInput`` in one line (without the path) for what cannot be used.
    """

    name: str

    def knows(self, path: Path) -> bool:
        """Whether this reader is the one for a file or folder; must not raise."""
        ...

    def open(self, path: Path) -> Source:
        """Open it."""
        ...


def levels_of(sizes: list[tuple[int, int]], pieces: list[tuple[int, int]]) -> tuple[Level, ...]:
    """Levels from sizes (width, height), the finest first.

    A size that a whole downsample explains, be it rounded up or down, has that downsample: 4443 pixels by 2 are 2221
    or 2222, not 2.0005. Raises ``BadInput`` for a level that is not the same picture.
    """
    (width, height), found = sizes[0], []
    for (w, h), piece in zip(sizes, pieces, strict=True):
        x, y = width / w, height / h
        # Chains of halvings that are rounded each time may be off by one or two pixels.
        if abs(x - y) > 0.02 * max(x, y) and (abs(w * y - width) > 2 * y or abs(h * x - height) > 2 * x):
            raise BadInput(f"is damaged: a level of {w} x {h} pixels is not the picture of {width} x {height}")
        found.append(Level(w, h, (_whole(width, w), _whole(height, h)), piece))
    return tuple(found)


def _whole(full: int, side: int) -> float:
    near = round(full / side)
    return float(near) if near and abs(side - full / near) < 1 else full / side
