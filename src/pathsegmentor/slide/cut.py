"""A region of a slide, or a whole small one, as a ``Picture``."""

from __future__ import annotations

from pathlib import Path

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging import MOST_PIXELS, SMALLEST_SIDE, Picture, read_picture
from pathsegmentor.slide.find import is_plain, open_slide
from pathsegmentor.slide.slide import Slide
from pathsegmentor.slide.source import Box


def cut_out(path: Path | str, mpp: float | tuple[float, float] | None = None, region: Box | None = None) -> Picture:
    """The full-resolution pixels of a region of a slide or image; without a region all of it.

    ``mpp`` (um per pixel) wins over what the file says. Raises ``BadInput`` in one line: what ``read_picture`` and
    ``open_slide`` refuse, a region beyond the slide, or more pixels than are read at once.
    """
    path = Path(path)
    if region is None and is_plain(path):
        return read_picture(path, mpp)
    with open_slide(path, mpp) as slide:
        where = region or Box(0, 0, *slide.size)
        _check(slide, where, region is None)
        pixels = slide.read(where.x, where.y, where.width, where.height)
        return Picture(
            pixels,
            slide.mpp,
            slide.name,
            slide.sha256,
            slide.no_mpp,
            notes=(*slide.notes, *_lost(slide)),
            origin=(where.x, where.y),
            shown_from=(slide.bounds.x, slide.bounds.y),
            is_region=region is not None,
        )


def _check(slide: Slide, region: Box, whole: bool) -> None:
    width, height = slide.size
    if region.x < 0 or region.y < 0 or region.x + region.width > width or region.y + region.height > height:
        raise BadInput(
            f"{slide.path}: the region {region.x},{region.y},{region.width},{region.height} is not within the slide,"
            f" which has {width} x {height} pixels"
        )
    if region.width * region.height > MOST_PIXELS:
        what = "it has" if whole else "the region has"
        raise BadInput(
            f"{slide.path}: {what} {region.width} x {region.height} pixels, more than {MOST_PIXELS:,};"
            " give a smaller one: --region x,y,width,height"
        )
    if min(region.width, region.height) < SMALLEST_SIDE:
        raise BadInput(f"{slide.path}: at least {SMALLEST_SIDE} pixels a side are needed")


def _lost(slide: Slide) -> list[str]:
    """What of the region the file does not hold."""
    kinds = ((slide.damaged, "damaged"), (slide.unstored, "not stored"))
    return [f"{count} of its tiles here are {what}; they were taken for glass" for count, what in kinds if count]
