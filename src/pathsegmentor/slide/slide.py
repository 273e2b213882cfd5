"""``Slide``: any slide as one picture of level 0, read in pieces at any scale by one rule."""

from __future__ import annotations

import math
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.errors import BadInput, PathSegError
from pathsegmentor.imaging import check_mpp
from pathsegmentor.imaging.scale import LARGEST_RATIO
from pathsegmentor.slide.identity import sha256_of
from pathsegmentor.slide.sampling import resample, weights
from pathsegmentor.slide.source import DAMAGED, UNSTORED, Box, Level, Source
from pathsegmentor.slide.trust import trusted

Mpp = tuple[float, float]
Outside = Literal["mirror", "white"]

# Stored pixels that are held at once; larger regions are put together from blocks.
_BLOCK = 1 << 22
# No scanner makes more: 2 million pixels are 200 mm at 0.1 um.
_MOST_SIDE = 1 << 21
# Rounding of a level's own size may make it seem a little coarser than asked.
_NEARLY = 1.001
# If so many pieces are damaged and not one is whole, the slide is.
_ALL_DAMAGED = 16


@dataclass(frozen=True)
class Region:
    """Pixels (H, W, 3) uint8 RGB; ``lost`` (H, W) marks those of which nothing, or not all, is stored.

    ``lost`` is 0, ``UNSTORED`` or ``DAMAGED``; None if all are there.
    """

    pixels: NDArray[np.uint8]
    lost: NDArray[np.uint8] | None


class Slide:
    """A slide of any format.

    ``name`` is the file's, ``size`` (width, height) in pixels of level 0, ``mpp`` um per pixel of level 0 as (x, y),
    or None with the reason in ``no_mpp``. ``bounds`` is the part that was scanned. ``notes`` are lines for people.
    All positions are pixels of level 0 of the whole slide, also where it has bounds. Reading is thread-safe.
    """

    def __init__(self, path: Path, source: Source, reader: str, mpp: float | Mpp | None = None) -> None:
        self.path, self.name, self.reader = path, path.name, reader
        self._source = source
        first = source.levels[0]
        if not (0 < first.width <= _MOST_SIDE and 0 < first.height <= _MOST_SIDE):
            raise BadInput(f"says that it has {first.width} x {first.height} pixels: it is damaged or no slide")
        self.size = first.width, first.height
        self._numbers, doubts = trusted(source)
        self.levels: tuple[Level, ...] = tuple(source.levels[number] for number in self._numbers)
        self.bounds = source.bounds or Box(0, 0, *self.size)
        self.associated = source.associated
        given = check_mpp(mpp) if mpp is not None else None
        self.mpp: Mpp | None = given or source.scale.mpp
        self.no_mpp = "" if self.mpp else source.scale.no_mpp
        notes = [*source.notes, *doubts, "" if given else source.scale.note, _disagreement(given, source.scale.mpp)]
        self.notes = tuple(dict.fromkeys(filter(None, notes)))
        self._lock = threading.Lock()
        self._lost: dict[tuple[int, int], set[int]] = {}
        self._any_whole = False

    def __enter__(self) -> Slide:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Give files back; nothing can be read afterwards."""
        self._source.close()

    @property
    def scale(self) -> Mpp:
        """``mpp``; raises ``BadInput`` with what to do where there is none."""
        if self.mpp is None:
            raise BadInput(f"{self.path}: {self.no_mpp}; give it with --mpp (0.25 for 40x, 0.5 for 20x)")
        return self.mpp

    @cached_property
    def sha256(self) -> str:
        """Identity of the slide's files, see ``identity.sha256_of``."""
        return sha256_of(self._source.files)

    @property
    def unstored(self) -> int:
        """Pieces read so far that the file does not hold, as scanners do with glass; they were read as white."""
        return self._count(UNSTORED)

    @property
    def damaged(self) -> int:
        """Pieces read so far that the file holds and that cannot be decoded; they were read as white."""
        return self._count(DAMAGED)

    def size_at(self, width: int, height: int, mpp: float) -> tuple[int, int]:
        """Rows and columns of a region of level 0 at ``mpp``; raises ``BadInput`` if the slide has no scale."""
        x, y = self.scale
        return max(round(height * y / mpp), 1), max(round(width * x / mpp), 1)

    def read(
        self,
        x: int,
        y: int,
        width: int,
        height: int,
        mpp: float | None = None,
        size: tuple[int, int] | None = None,
        outside: Outside = "mirror",
    ) -> NDArray[np.uint8]:
        """Pixels (H, W, 3) of a region of level 0, see ``region``."""
        return self.region(x, y, width, height, mpp, size, outside).pixels

    def region(
        self,
        x: int,
        y: int,
        width: int,
        height: int,
        mpp: float | None = None,
        size: tuple[int, int] | None = None,
        outside: Outside = "mirror",
    ) -> Region:
        """Pixels of a region of level 0 (``x``, ``y``, ``width``, ``height``) at ``mpp``, or of a ``size`` (H, W).

        One fixed rule: of the coarsest level that is not coarser than asked on either axis, the mean of the area that
        each new pixel covers; where even level 0 is coarser, bilinear. Each axis has its own scale. Outside of the
        slide its pixels are mirrored, or white. Raises ``BadInput``: the region is empty, there is no scale, the file
        is gone or nothing of it can be read.
        """
        if width < 1 or height < 1:
            raise BadInput(
                f"a region of {width} x {height} pixels shows nothing; give a width and height of at least 1"
            )
        rows, columns = size or (self.size_at(width, height, mpp) if mpp else (height, width))
        steps = width / columns, height / rows
        level = self._level(steps)
        out = np.empty((rows, columns, 3), np.uint8)
        lost = np.zeros((rows, columns), np.uint8)
        high, wide = self._block(level, steps)
        with self._in_one_line():
            for top in range(0, rows, high):
                for left in range(0, columns, wide):
                    block = np.s_[top : min(top + high, rows), left : min(left + wide, columns)]
                    out[block], lost[block] = self._sampled(level, (x, y), steps, block, outside)
        return Region(out, lost if lost.any() else None)

    def _level(self, steps: tuple[float, float]) -> int:
        fine = [
            number
            for number, level in enumerate(self.levels)
            if all(d <= step * _NEARLY for d, step in zip(level.downsample, steps, strict=True))
        ]
        return max(fine, key=lambda n: self.levels[n].downsample, default=0)

    def _block(self, level: int, steps: tuple[float, float]) -> tuple[int, int]:
        """Rows and columns of new pixels that take a bounded number of stored ones."""
        side = math.sqrt(_BLOCK)
        x, y = (side * d / step for d, step in zip(self.levels[level].downsample, steps, strict=True))
        return max(int(min(y, side)), 1), max(int(min(x, side)), 1)

    def _sampled(
        self,
        number: int,
        origin: tuple[int, int],
        steps: tuple[float, float],
        block: tuple[slice, slice],
        outside: Outside,
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """New pixels of one block of a region, and which of them are lost."""
        level = self.levels[number]
        axes = []
        for at, down, step, part in zip(origin, level.downsample, steps, block[::-1], strict=True):
            start, scaled, count = (at + part.start * step) / down, step / down, part.stop - part.start
            first = math.floor(start - (scaled < 1) + 1e-6)
            last = math.ceil(start + count * scaled + (scaled < 1) - 1e-6)
            axes.append((start, scaled, count, first, last))
        (_, _, _, left, right), (_, _, _, top, bottom) = axes
        pixels, lost = self._stored(number, (left, right), (top, bottom), outside)
        plain = [scaled == 1 and abs(start - round(start)) < 1e-6 for start, scaled, *_ in axes]
        if all(plain):
            return pixels, lost
        across, down_ = (
            weights(start, scaled, count, first, last - first) for start, scaled, count, first, last in axes
        )
        new = np.rint(resample(pixels, down_, across)).astype(np.uint8)
        if not lost.any():
            return new, np.zeros(new.shape[:2], np.uint8)
        kinds = np.stack([(lost == UNSTORED), (lost == DAMAGED)], axis=2).astype(np.uint8)
        shares = resample(kinds, down_, across) > 1e-6
        return new, np.where(shares[..., 1], DAMAGED, np.where(shares[..., 0], UNSTORED, 0)).astype(np.uint8)

    def _stored(
        self, number: int, columns: tuple[int, int], rows: tuple[int, int], outside: Outside
    ) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """Pixels of a level from first to last column and row, which may lie outside of it."""
        level = self.levels[number]
        xs, ys = (np.arange(*span) for span in (columns, rows))
        inside_x, inside_y = (_mirrored(at, side) for at, side in ((xs, level.width), (ys, level.height)))
        left, top = int(inside_x.min()), int(inside_y.min())
        width, height = int(inside_x.max()) - left + 1, int(inside_y.max()) - top + 1
        patch = self._source.patch(self._numbers[number], left, top, width, height)
        pixels = patch.pixels
        lost = patch.lost if patch.lost is not None else np.zeros(pixels.shape[:2], np.uint8)
        self._tally(number, left, top, lost)
        if (xs[0], xs[-1], ys[0], ys[-1]) != (left, left + width - 1, top, top + height - 1):
            pick = np.ix_(inside_y - top, inside_x - left)
            pixels, lost = pixels[pick], lost[pick]
            if outside == "white":
                pixels[(ys < 0) | (ys >= level.height)] = 255
                pixels[:, (xs < 0) | (xs >= level.width)] = 255
        return pixels, lost

    def _tally(self, number: int, left: int, top: int, lost: NDArray[np.uint8]) -> None:
        """Remember which stored pieces were missing, each once."""
        if not lost.all():
            self._any_whole = True
        if not lost.any():
            return
        level = self.levels[number]
        across = -(-level.width // level.piece[0])
        for kind in (UNSTORED, DAMAGED):
            ys, xs = np.nonzero(lost == kind)
            places = np.unique((ys + top) // level.piece[1] * across + (xs + left) // level.piece[0])
            with self._lock:
                self._lost.setdefault((kind, number), set()).update(places.tolist())
        if self.damaged >= _ALL_DAMAGED and not self._any_whole:
            raise BadInput("is damaged: not one of its tiles can be decoded; copy it anew")

    def _count(self, kind: int) -> int:
        with self._lock:
            return sum(len(places) for (which, _), places in self._lost.items() if which == kind)

    @contextmanager
    def _in_one_line(self) -> Iterator[None]:
        with in_one_line(self.path):
            yield


@contextmanager
def in_one_line(path: Path) -> Iterator[None]:
    """Whatever goes wrong in reading a slide becomes one line that begins with its path."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except PathSegError as error:
        # Libraries quote bytes of the file.
        text = printable(str(error))
        raise BadInput(text if text.startswith(printable(str(path))) else f"{path} {text}") from error
    except MemoryError as error:
        raise BadInput(f"{path} needs more memory than there is; ask for a smaller region") from error
    except Exception as error:  # readers raise many classes on broken files; all mean the same here
        raise BadInput(f"{path} is damaged or of a kind that cannot be read: {_line(error)}") from error


def _line(error: Exception) -> str:
    # What a decoder trips over in our language tells a person nothing.
    if isinstance(error, (TypeError, AttributeError, LookupError, ArithmeticError)):
        return "its parts do not fit together"
    text = (str(error).strip().splitlines() or [type(error).__name__])[0]
    return printable(text)


def printable(text: str) -> str:
    """A text in which nothing moves a terminal's cursor or changes its colours."""
    return "".join(c if c.isprintable() else "?" for c in text)


def _mirrored(at: NDArray[np.int64], side: int) -> NDArray[np.int64]:
    """Places outside of 0..side - 1 brought back by mirrors at the edges, the edge pixel seen twice."""
    folded = at % (2 * side)
    return np.minimum(folded, 2 * side - 1 - folded)


def _disagreement(given: Mpp | None, said: Mpp | None) -> str:
    if not given or not said:
        return ""
    apart = max(max(a, b) / min(a, b) for a, b in zip(given, said, strict=True))
    if apart <= LARGEST_RATIO:
        return ""
    shown = [f"{x:.4g}" if x == y else f"{x:.4g} x {y:.4g}" for x, y in (given, said)]
    return f"the scale given, {shown[0]} um per pixel, is not that of the file, {shown[1]}"
