"""Whether the coarse levels of a slide show what its finest does: some writers store other colours, or other places."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.slide.sampling import resample, weights
from pathsegmentor.slide.source import Level, Source

# Grey levels that means over a patch may be apart: packing makes about 3, another colour space 50 and more.
_MOST_APART = 16.0
_PROBES = ((0.5, 0.5), (0.25, 0.25), (0.75, 0.75))
_SIDE, _MOST_SIDE = 64, 1024


def trusted(source: Source) -> tuple[list[int], list[str]]:
    """Numbers of the levels that agree with the next finer trusted one at three places, and notes on the others."""
    good, bad = [0], []
    for number in range(1, len(source.levels)):
        # A level that is not coarser is another picture, or the same twice.
        coarser = all(a > b for a, b in zip(_down(source, number), _down(source, good[-1]), strict=True))
        if coarser and _agrees(source, good[-1], number):
            good.append(number)
        else:
            bad.append(number)
    if not bad:
        return good, []
    return good, [
        f"{len(bad)} of its {len(source.levels)} levels do not show what its full picture does and are not used"
    ]


def _down(source: Source, number: int) -> tuple[float, float]:
    return source.levels[number].downsample


def _agrees(source: Source, fine: int, coarse: int) -> bool:
    return all(_apart(source, fine, coarse, place) <= _MOST_APART for place in _PROBES)


def _apart(source: Source, fine: int, coarse: int, place: tuple[float, float]) -> float:
    """Mean difference at a place; 0 where the finer level is not there, infinite where only the coarser is not."""
    a, b = source.levels[fine], source.levels[coarse]
    ratios = tuple(q / p for p, q in zip(a.downsample, b.downsample, strict=True))
    side = max(min(_SIDE, int(_MOST_SIDE / max(ratios))), 4)
    width, height = min(side, b.width), min(side, b.height)
    x, y = int((b.width - width) * place[0]), int((b.height - height) * place[1])
    seen = source.patch(coarse, x, y, width, height)
    true, lost = _shrunk(source, fine, a, (x, y, width, height), ratios)
    if lost:
        return 0.0
    if seen.lost is not None:
        return float("inf")
    return float(np.abs(seen.pixels.astype(np.float64) - true).mean())


def _shrunk(
    source: Source, fine: int, level: Level, box: tuple[int, int, int, int], ratios: Sequence[float]
) -> tuple[NDArray[np.float64], bool]:
    """A box of the coarse level made from the finer one, and whether any of it is lost."""
    x, y, width, height = box
    left, top = (
        min(int(at * r), side - 1) for at, r, side in zip((x, y), ratios, (level.width, level.height), strict=True)
    )
    right, bottom = (
        min(int(np.ceil((x + width) * ratios[0])), level.width),
        min(int(np.ceil((y + height) * ratios[1])), level.height),
    )
    patch = source.patch(fine, left, top, right - left, bottom - top)
    rows = weights(y * ratios[1], ratios[1], height, top, bottom - top)
    columns = weights(x * ratios[0], ratios[0], width, left, right - left)
    return resample(patch.pixels, rows, columns), patch.lost is not None
