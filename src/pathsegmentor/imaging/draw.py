"""Pictures for people: contours on the image, a legend and a scale bar."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pathsegmentor.atomic import whole_file

Colour = tuple[int, int, int]
Layer = tuple[str, NDArray[np.bool_], Colour]

# Bright against pink and purple, told apart by most colour-blind people (after Okabe and Ito, 2008).
PALETTE: tuple[Colour, ...] = (
    (0, 220, 90),
    (255, 225, 0),
    (0, 200, 255),
    (255, 120, 0),
    (30, 80, 255),
    (255, 255, 255),
    (0, 130, 90),
    (140, 255, 220),
    (150, 110, 0),
    (190, 255, 60),
    (0, 0, 0),
    (120, 160, 255),
)

_SQUARE = np.ones((3, 3), np.uint8)
_SMALL_SIDE = 600
# Sides of an overview fill a screen; an image that is not much larger is its own overview.
_OVERVIEW_SIDE, _LARGE_SIDE, _NARROWEST = 1600, 2000, 64
_SEAM: Colour = (20, 20, 20)
_DASH = 8
# Rows drawn at a time: what is held beside the picture itself stays small.
_BAND = 1024
_LEGEND_WIDTH = 480
_FONT_SIZES = (14, 32)
_BARS_UM = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def overlay(
    pixels: NDArray[np.uint8], layers: Sequence[Layer], mpp: tuple[float, float] | None = None
) -> NDArray[np.uint8]:
    """Contours of masks (H, W) on pixels (H, W, 3), with a legend below; (H', W', 3).

    ``layers`` are (legend text, mask, colour). Lines are one pixel wide with a dark seam of one, whatever the image's
    size; small images are enlarged. A narrow image gets white beside it, so that the legend can be read.
    """
    height, width = pixels.shape[:2]
    zoom = max(1, -(-_SMALL_SIDE // max(height, width)))
    if zoom > 1:
        pixels = _resized(pixels, (height * zoom, width * zoom), cv2.INTER_LINEAR)
        layers = [(text, np.repeat(np.repeat(mask, zoom, axis=0), zoom, axis=1), c) for text, mask, c in layers]
    return _drawn(pixels, layers, None if mpp is None else mpp[0] / zoom, 1 if zoom == 1 else 2, seam=True)


def overview(
    pixels: NDArray[np.uint8], layers: Sequence[Layer], mpp: tuple[float, float] | None = None
) -> NDArray[np.uint8]:
    """The overlay of a large image, reduced before the lines are drawn, so that they stay as thin; (H', W', 3)."""
    height, width = pixels.shape[:2]
    shrink = max(height, width) / _OVERVIEW_SIDE
    size = (round(height / shrink), round(width / shrink))
    small = [(text, _resized(mask.astype(np.uint8) * 255, size, cv2.INTER_AREA) > 127, c) for text, mask, c in layers]
    scale = None if mpp is None else mpp[0] * width / size[1]
    # Objects are a few pixels large here; a seam would leave nothing of what lies between them.
    return _drawn(_resized(pixels, size, cv2.INTER_AREA), small, scale, 1, seam=False)


def needs_overview(height: int, width: int) -> bool:
    """Whether an image is too large for a screen, and not so narrow that nothing would be seen of it on one."""
    longest, shortest = max(height, width), min(height, width)
    return longest > _LARGE_SIDE and shortest * _OVERVIEW_SIDE >= _NARROWEST * longest


def _resized(values: NDArray[np.uint8], size: tuple[int, int], how: int) -> NDArray[np.uint8]:
    return np.asarray(cv2.resize(values, (size[1], size[0]), interpolation=how), np.uint8)


def outlined(
    pixels: NDArray[np.uint8], layers: Sequence[tuple[NDArray[np.bool_], Colour]], line: int
) -> NDArray[np.uint8]:
    """Contours of masks (H, W) on pixels (H, W, 3), ``line`` wide inside the masks, with a dark seam outside.

    Where several run along each other they take turns, so that none hides another.
    """
    canvas = pixels.copy()
    _outline(canvas, layers, line, seam=True)
    return canvas


def _outline(
    canvas: NDArray[np.uint8], layers: Sequence[tuple[NDArray[np.bool_], Colour]], line: int, seam: bool
) -> None:
    """``outlined`` on the picture itself, band by band."""
    height = len(canvas)
    for top in range(0, height, _BAND):
        bottom = min(top + _BAND, height)
        above, below = max(top - line - 1, 0), min(bottom + line + 1, height)
        masks = [mask[above:below].astype(np.uint8) for mask, _ in layers]
        keep = np.s_[top - above : bottom - above]
        edges = [_edge(mask, line)[keep] for mask in masks]
        seams = [(cv2.dilate(mask, _SQUARE) != mask)[keep] for mask in masks] if seam else []
        owners = np.zeros(canvas[top:bottom].shape[:2], np.uint8)
        for edge in edges:
            owners += edge
        band, passed = canvas[top:bottom], np.zeros_like(owners)
        for place in seams:
            band[place & (owners == 0)] = _SEAM
        for edge, (_, colour) in zip(edges, layers, strict=True):
            y, x = np.nonzero(edge)
            mine = passed[y, x] == (x + y + top) // (_DASH * line) % owners[y, x]
            band[y[mine], x[mine]] = colour
            passed[y, x] += 1


def _edge(mask: NDArray[np.uint8], line: int) -> NDArray[np.bool_]:
    """The outermost pixels inside a mask of 0 and 1; the border of the image is none."""
    return np.asarray(cv2.erode(mask, _SQUARE, iterations=line, borderType=cv2.BORDER_REPLICATE) != mask)


def _drawn(
    pixels: NDArray[np.uint8], layers: Sequence[Layer], um_per_pixel: float | None, line: int, seam: bool
) -> NDArray[np.uint8]:
    """Outlines and legend on one canvas, which is the only copy of the pixels."""
    height, width = pixels.shape[:2]
    legend = _legend([(text, colour) for text, _, colour in layers], width, um_per_pixel)
    canvas = np.full((height + legend.shape[0], max(width, legend.shape[1]), 3), 255, np.uint8)
    canvas[:height, :width] = pixels
    canvas[height:, : legend.shape[1]] = legend
    _outline(canvas[:height, :width], [(mask, colour) for _, mask, colour in layers], line, seam)
    return canvas


def _legend(entries: Sequence[tuple[str, Colour]], width: int, um_per_pixel: float | None) -> NDArray[np.uint8]:
    """The legend of a picture as wide as ``width``: a row for each entry, and a scale bar."""
    least, most = _FONT_SIZES
    size = min(max(least, round(width / 45)), most)
    font = ImageFont.load_default(size)
    row = round(size * 1.6)
    wide = max(width, _LEGEND_WIDTH)
    out = Image.new("RGB", (wide, row * (len(entries) + (um_per_pixel is not None)) + size), "white")
    draw = ImageDraw.Draw(out)
    for i, (text, colour) in enumerate(entries):
        y = size // 2 + i * row
        draw.rectangle((size // 2, y + 2, size * 2, y + size), fill=colour, outline="black", width=1)
        draw.text((size * 2.5, y), fitting(text, font, wide - size * 3), fill="black", font=font)
    if um_per_pixel is not None:
        _scale_bar(draw, font, (size // 2, size // 2 + len(entries) * row), min(width, 45 * size), um_per_pixel)
    return np.asarray(out)


def _scale_bar(
    draw: ImageDraw.ImageDraw,
    font: ImageFont.FreeTypeFont | ImageFont.ImageFont,
    place: tuple[int, int],
    width: int,
    um_per_pixel: float,
) -> None:
    """The largest round length that fills at most a quarter of the width."""
    fitting = [um for um in _BARS_UM if um / um_per_pixel <= width / 4]
    um = fitting[-1] if fitting else _BARS_UM[0]
    x, y = place
    length = round(um / um_per_pixel)
    draw.rectangle((x, y + 6, x + length - 1, y + 10), fill="black")
    draw.text((x + length + 8, y), f"{um} um", fill="black", font=font)


def fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """The text on one line, shortened in its middle until it is no wider than ``width`` pixels."""
    whole = " ".join(text.split())
    short, keep = whole, len(whole)
    while keep > 4 and font.getlength(short) > width:
        keep -= 2
        short = f"{whole[: keep // 2]}...{whole[len(whole) - keep // 2 :]}"
    return short


def write_png(path: Path, array: NDArray[np.uint8]) -> None:
    """Write (H, W) or (H, W, 3) uint8 as PNG; the file is whole or not there."""
    with whole_file(path) as beside:
        Image.fromarray(array).save(beside, format="PNG")
