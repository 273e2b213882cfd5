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

_SMALL_SIDE = 600
_SEAM: Colour = (20, 20, 20)
_DASH = 8
_LEGEND_WIDTH = 480
_BARS_UM = (5, 10, 20, 50, 100, 200, 500, 1000, 2000, 5000)


def overlay(
    pixels: NDArray[np.uint8], layers: Sequence[Layer], mpp: tuple[float, float] | None = None
) -> NDArray[np.uint8]:
    """Contours of masks (H, W) on pixels (H, W, 3), with a legend below; (H', W', 3).

    A narrow image gets white beside it, so that the legend can be read.

    ``layers`` are (legend text, mask, colour). Small images are enlarged so that lines stay thin.
    """
    height, width = pixels.shape[:2]
    zoom = max(1, -(-_SMALL_SIDE // max(height, width)))
    canvas = cv2.resize(pixels, (width * zoom, height * zoom), interpolation=cv2.INTER_LINEAR)
    line = max(2, round(max(canvas.shape[:2]) / 600))
    grown = [(np.repeat(np.repeat(mask, zoom, axis=0), zoom, axis=1), colour) for _, mask, colour in layers]
    drawn = outlined(np.asarray(canvas, np.uint8), grown, line)
    scale = None if mpp is None else mpp[0] / zoom
    return _with_legend(drawn, [(t, c) for t, _, c in layers], scale)


def outlined(
    pixels: NDArray[np.uint8], layers: Sequence[tuple[NDArray[np.bool_], Colour]], line: int
) -> NDArray[np.uint8]:
    """Contours of masks (H, W) on pixels (H, W, 3), about ``line`` wide, with a dark seam.

    Where several run along each other they take turns, so that none hides another.
    """
    places = [np.flatnonzero(_edge(mask, line)) for mask, _ in layers]
    owners = np.zeros(pixels.shape[:2], np.uint8)
    for place in places:
        owners.flat[place] += 1
    canvas = pixels.copy()
    canvas[(cv2.dilate(owners, np.ones((3, 3), np.uint8)) > 0) & (owners == 0)] = _SEAM
    passed = np.zeros(owners.size, np.uint8)
    for place, (_, colour) in zip(places, layers, strict=True):
        y, x = np.divmod(place, pixels.shape[1])
        mine = passed[place] == (x + y) // (_DASH * line) % owners.flat[place]
        canvas[y[mine], x[mine]] = colour
        passed[place] += 1
    return canvas


def _edge(mask: NDArray[np.bool_], line: int) -> NDArray[np.uint8]:
    """The outermost pixels inside a mask, thickened to the line; the border of the image is none."""
    inside = mask.astype(np.uint8)
    edge = inside - cv2.erode(inside, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)
    return np.asarray(cv2.dilate(edge, np.ones((2 * line - 1, 2 * line - 1), np.uint8)), np.uint8)


def _with_legend(
    canvas: NDArray[np.uint8], entries: Sequence[tuple[str, Colour]], um_per_pixel: float | None
) -> NDArray[np.uint8]:
    height, width = canvas.shape[:2]
    size = max(14, round(width / 45))
    font = ImageFont.load_default(size)
    row = round(size * 1.6)
    rows = len(entries) + (um_per_pixel is not None)
    wide = max(width, _LEGEND_WIDTH)
    out = Image.new("RGB", (wide, height + row * rows + size), "white")
    out.paste(Image.fromarray(canvas), (0, 0))
    draw = ImageDraw.Draw(out)
    for i, (text, colour) in enumerate(entries):
        y = height + size // 2 + i * row
        draw.rectangle((size // 2, y + 2, size * 2, y + size), fill=colour, outline="black", width=1)
        draw.text((size * 2.5, y), fitting(text, font, wide - size * 3), fill="black", font=font)
    if um_per_pixel is not None:
        _scale_bar(draw, font, (size // 2, height + size // 2 + len(entries) * row), width, um_per_pixel)
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
