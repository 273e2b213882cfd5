"""Where a slide has tissue: the check of plain images, over the slide's overview."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.imaging import Tissue, find_tissue
from pathsegmentor.imaging.tissue import LOOK_MPP
from pathsegmentor.slide.slide import Region, Slide
from pathsegmentor.slide.source import DAMAGED, Box

# Um per pixel of the overview; of slides that say they are larger than glass is, so many pixels. Small ones, of up to
# so many pixels, are looked at from nearer, as images are: of 0.25 mm too little is left at 8 um per pixel.
OVERVIEW_MPP, _MOST_PIXELS, _SMALL = 8.0, 40_000_000, 1_000_000


@dataclass(frozen=True)
class SlideTissue:
    """Where a slide has tissue.

    ``mask`` (h, w) is where tissue can lie, ``sure`` (h, w) what surely is stained; both cover the whole of the slide.
    ``mpp`` is um per pixel of the mask and ``scale`` pixels of level 0 per pixel of it, as (x, y). ``state`` is
    "found", or "empty" with the reason in ``why_empty``. ``overview`` (h, w, 3) is what was looked at; ``lost_um2``
    the area in which nothing could be seen because the file is damaged there.
    """

    mask: NDArray[np.bool_]
    sure: NDArray[np.bool_]
    overview: NDArray[np.uint8]
    mpp: tuple[float, float]
    scale: tuple[float, float]
    state: Literal["found", "empty"]
    why_empty: str
    lost_um2: float

    @property
    def area_um2(self) -> float:
        """Area of what surely is tissue."""
        return float(self.sure.sum()) * self.mpp[0] * self.mpp[1]

    def share(self, box: Box) -> float:
        """The share of a rectangle of level 0, which lies in the slide, where tissue can lie: 0..1."""
        if box.width < 1 or box.height < 1:
            return 0.0
        height, width = self.mask.shape
        x0, y0 = min(int(box.x / self.scale[0]), width - 1), min(int(box.y / self.scale[1]), height - 1)
        x1 = min(max(-int(-(box.x + box.width) / self.scale[0] // 1), x0 + 1), width)
        y1 = min(max(-int(-(box.y + box.height) / self.scale[1] // 1), y0 + 1), height)
        total = self._sums
        count = total[y1, x1] - total[y0, x1] - total[y1, x0] + total[y0, x0]
        return float(count) / ((x1 - x0) * (y1 - y0))

    @cached_property
    def _sums(self) -> NDArray[np.int64]:
        height, width = self.mask.shape
        sums = np.zeros((height + 1, width + 1), np.int64)
        np.cumsum(np.cumsum(self.mask, axis=0, dtype=np.int64), axis=1, out=sums[1:, 1:])
        return sums


def find_slide_tissue(slide: Slide) -> SlideTissue:
    """Look for tissue within the slide's bounds at 8 um per pixel, of small slides at down to 2.

    Raises ``BadInput`` if it has no scale.
    """
    width, height = slide.size
    square_um = slide.scale[0] * slide.scale[1] * width * height
    near = max(LOOK_MPP, np.sqrt(square_um / _SMALL))
    mpp = max(min(near, OVERVIEW_MPP), np.sqrt(square_um / _MOST_PIXELS))
    rows, columns = slide.size_at(width, height, mpp)
    if max(slide.scale) >= mpp:
        rows, columns = height, width
    seen = slide.region(0, 0, width, height, size=(rows, columns))
    scale = width / columns, height / rows
    found_mpp = slide.scale[0] * scale[0], slide.scale[1] * scale[1]
    tissue = find_tissue(seen.pixels, found_mpp)
    inside = _inside(slide.bounds, scale, (rows, columns))
    there = inside if seen.lost is None else inside & (seen.lost == 0)
    sure, mask = tissue.mask & there, tissue.reach & inside
    lost = float((seen.lost == DAMAGED).sum()) * found_mpp[0] * found_mpp[1] if seen.lost is not None else 0.0
    empty = not sure.any()
    why = _why(tissue, seen) if empty else ""
    return SlideTissue(
        mask & (not empty), sure, seen.pixels, found_mpp, scale, "empty" if empty else "found", why, lost
    )


def _why(tissue: Tissue, seen: Region) -> str:
    if seen.lost is not None and (seen.lost == DAMAGED).any():
        return "no tissue in what can be read; parts of the file are damaged"
    return tissue.why_none or "no tissue within the part that was scanned"


def _inside(bounds: Box, scale: tuple[float, float], size: tuple[int, int]) -> NDArray[np.bool_]:
    inside = np.zeros(size, np.bool_)
    x, y = scale
    left, top = int(bounds.x / x), int(bounds.y / y)
    right, bottom = -int(-(bounds.x + bounds.width) // x), -int(-(bounds.y + bounds.height) // y)
    inside[top:bottom, left:right] = True
    return inside
