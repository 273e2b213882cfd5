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
    line = max(1, round(max(canvas.shape[:2]) / 700))
    for _, mask, colour in layers:
        grown = np.repeat(np.repeat(mask.astype(np.uint8), zoom, axis=0), zoom, axis=1)
        contours, _ = cv2.findContours(grown, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(canvas, contours, -1, (20, 20, 20), line + 1, cv2.LINE_AA)
        cv2.drawContours(canvas, contours, -1, colour, line, cv2.LINE_AA)
    scale = None if mpp is None else mpp[0] / zoom
    return _with_legend(np.asarray(canvas, np.uint8), [(t, c) for t, _, c in layers], scale)


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
        draw.text((size * 2.5, y), _fitting(text, font, wide - size * 3), fill="black", font=font)
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


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    text = " ".join(text.split())
    while len(text) > 4 and font.getlength(text) > width:
        text = text[:-4].rstrip() + "..."
    return text


def write_png(path: Path, array: NDArray[np.uint8]) -> None:
    """Write (H, W) or (H, W, 3) uint8 as PNG; the file is whole or not there."""
    with whole_file(path) as beside:
        Image.fromarray(array).save(beside, format="PNG")
