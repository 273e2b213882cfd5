"""Section 4.1: bring an annotated image to 40x, cut windows, resize them to 1024 x 1024.

Three frames, all with pixel corners as origin: the image as downloaded; the image at 40x; a piece of
1024 x 1024. A ``Window`` is a rectangle of the 40x frame.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from pathsegmentor.data.record import Annotated, MaskArray, Pixels

SIDE = 1024
LONGEST_UNCUT = 1500
# Of a mask, fewer pixels than this at 40x in a window are crumbs at its border; with this number the
# paper's counts for MIDOG come out exactly.
FEWEST_PIXELS = 50


@dataclass(frozen=True)
class Window:
    """A rectangle of the image at 40x: left, top, width, height in its pixels."""

    x: int
    y: int
    width: int
    height: int


@dataclass(frozen=True)
class Piece:
    """A standardised image (1024, 1024, 3) with the masks that occur in it, and where it lies.

    ``mpp`` is um per pixel (x, y) of the piece.
    """

    window: Window
    pixels: Pixels
    masks: dict[str, MaskArray]
    ignore: NDArray[np.bool_] | None
    mpp: tuple[float, float]


def starts(length: int) -> list[int]:
    """Where windows of 1024 start on a side of over 1500 pixels: evenly from 0 to ``length`` - 1024.

    Their overlap is the paper's (1024 n - D) / (n - 1) with n = ceil(D / 1024), rounded per start.
    """
    count = math.ceil(length / SIDE)
    return [round(i * (length - SIDE) / (count - 1)) for i in range(count)]


def windows(height: int, width: int, cut: bool = True) -> list[Window]:
    """Windows of an image at 40x, row by row; a side of up to 1500 pixels stays whole."""

    def spans(length: int) -> list[tuple[int, int]]:
        if not cut or length <= LONGEST_UNCUT:
            return [(0, length)]
        return [(start, SIDE) for start in starts(length)]

    return [Window(x, y, w, h) for y, h in spans(height) for x, w in spans(width)]


def size_at_40x(height: int, width: int, factor: float) -> tuple[int, int]:
    """Rows and columns of an image enlarged ``factor`` times."""
    return max(round(height * factor), 1), max(round(width * factor), 1)


def nearest(old: int, new: int) -> NDArray[np.intp]:
    """For each of ``new`` pixels the one of ``old`` pixels that its centre lies in."""
    return np.minimum(((np.arange(new) + 0.5) * old / new).astype(np.intp), old - 1)


def bilinear(pixels: Pixels, size: tuple[int, int]) -> Pixels:
    """(H, W, 3) to ``size`` (rows, columns), bilinear as the paper has it."""
    if pixels.shape[:2] == size:
        return pixels
    return np.asarray(cv2.resize(pixels, size[::-1], interpolation=cv2.INTER_LINEAR), dtype=np.uint8)


def pieces(image: Annotated, mpp: float, factor: float, cut: bool = True) -> Iterator[Piece]:
    """The windows of an image that hold at least one mask of 50 pixels.

    ``mpp`` is that of the image as given, ``factor`` its enlargement to 40x. Masks are indexed, never
    interpolated, so no value is invented.
    """
    height, width = image.pixels.shape[:2]
    size = size_at_40x(height, width, factor)
    enlarged = None
    for window in windows(*size, cut):
        rows = nearest(height, size[0])[window.y : window.y + window.height]
        columns = nearest(width, size[1])[window.x : window.x + window.width]
        there = {
            label: mask
            for label, mask in image.masks.items()
            if np.count_nonzero(mask[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1])
            and np.count_nonzero(mask[np.ix_(rows, columns)]) >= FEWEST_PIXELS
        }
        if not there:
            continue
        place = np.ix_(rows[nearest(window.height, SIDE)], columns[nearest(window.width, SIDE)])
        masks = {label: mask[place] for label, mask in there.items()}
        masks = {label: mask for label, mask in masks.items() if mask.any()}  # a shrunk window may lose a thin one
        if not masks:
            continue
        if enlarged is None:
            enlarged = bilinear(image.pixels, size)
        part = enlarged[window.y : window.y + window.height, window.x : window.x + window.width]
        ignore = image.ignore[place] if image.ignore is not None else None
        yield Piece(
            window,
            bilinear(part, (SIDE, SIDE)),
            masks,
            ignore if ignore is not None and ignore.any() else None,
            piece_mpp(window, (height, width), size, mpp),
        )


def piece_mpp(window: Window, given: tuple[int, int], size: tuple[int, int], mpp: float) -> tuple[float, float]:
    """Um per pixel (x, y) of a piece: the window's extent in the image as given, over 1024."""
    x = mpp * window.width * given[1] / size[1] / SIDE
    y = mpp * window.height * given[0] / size[0] / SIDE
    return x, y


def to_source(point: tuple[float, float], window: Window, factor: float) -> tuple[float, float]:
    """A position (x, y) in a piece -> the same place in the image as downloaded."""
    x = (window.x + point[0] * window.width / SIDE) / factor
    y = (window.y + point[1] * window.height / SIDE) / factor
    return x, y


def to_piece(point: tuple[float, float], window: Window, factor: float) -> tuple[float, float]:
    """The inverse of ``to_source``."""
    x = (point[0] * factor - window.x) * SIDE / window.width
    y = (point[1] * factor - window.y) * SIDE / window.height
    return x, y
