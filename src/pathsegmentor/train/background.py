"""Pictures without tissue, drawn: glass, black, pen, printed labels, fat and what is out of focus.

Whatever is asked of them is absent. All draws come from a NumPy generator, so that a step of a run can be drawn again.
"""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


def background(size: int, rng: np.random.Generator) -> Pixels:
    """A picture (size, size, 3) of one kind, chosen at random."""
    kinds: tuple[Callable[[int, np.random.Generator], Pixels], ...] = (glass, glass, black, pen, label, fat)
    return kinds[int(rng.integers(len(kinds)))](size, rng)


def glass(size: int, rng: np.random.Generator) -> Pixels:
    """Nearly white, with a tint, uneven light, noise and sometimes dust."""
    colour = rng.uniform(215, 255) + rng.uniform(-8, 8, 3)
    picture = np.broadcast_to(colour, (size, size, 3)).astype(np.float32)
    picture = picture + _waves(size, rng)[..., None] * rng.uniform(0, 10)
    for _ in range(int(rng.integers(0, 4))):
        place = tuple(int(v) for v in rng.integers(0, size, 2))
        shade = float(rng.uniform(80, 200))
        picture = cv2.circle(picture.copy(), place, int(rng.integers(1, 6)), (shade, shade, shade), -1)
    return _noisy(picture, rng)


def black(size: int, rng: np.random.Generator) -> Pixels:
    """What a scanner did not see."""
    return _noisy(np.full((size, size, 3), rng.uniform(0, 30), np.float32), rng)


def pen(size: int, rng: np.random.Generator) -> Pixels:
    """Strokes of a marker on glass."""
    picture = glass(size, rng).copy()
    inks = ((20, 40, 160), (20, 110, 60), (20, 20, 25), (190, 30, 40))
    ink = tuple(int(v) for v in np.clip(np.asarray(inks[int(rng.integers(4))]) + rng.integers(-15, 40, 3), 0, 255))
    for _ in range(int(rng.integers(1, 4))):
        points = np.cumsum(rng.normal(0, size / 4, (6, 2)), axis=0) + rng.uniform(0, size, 2)
        width = max(int(size * rng.uniform(0.03, 0.3)), 1)
        cv2.polylines(picture, [points.astype(np.int32)], False, ink, width, cv2.LINE_AA)
    return _noisy(cv2.GaussianBlur(picture, (0, 0), rng.uniform(0.5, 3)).astype(np.float32), rng)


def label(size: int, rng: np.random.Generator) -> Pixels:
    """Print and bars as on a slide's label."""
    picture = glass(size, rng).copy()
    for _ in range(int(rng.integers(1, 5))):
        text = "".join(chr(c) for c in rng.integers(48, 91, 8))
        place = (int(rng.integers(-size // 4, size)), int(rng.integers(size)))
        height = float(rng.uniform(0.5, 4) * size / 256)
        cv2.putText(picture, text, place, cv2.FONT_HERSHEY_SIMPLEX, height, (30, 30, 30), max(int(3 * height), 1))
    if rng.random() < 0.5:
        bars = np.repeat(rng.random(size // 4) < 0.5, 4)[:size]
        rows = slice(int(rng.integers(size // 2)), int(rng.integers(size // 2, size)))
        picture[rows, : len(bars)][:, bars] = 25
    return _noisy(picture.astype(np.float32), rng)


def fat(size: int, rng: np.random.Generator) -> Pixels:
    """Empty cells between thin pink walls."""
    spacing = rng.uniform(0.15, 0.5) * size
    count = max(int((1.6 * size / spacing) ** 2), 4)
    seeds = rng.uniform(-0.3 * size, 1.3 * size, (count, 2)).astype(np.float32)
    rows, columns = np.mgrid[:size, :size].astype(np.float32)
    first = np.full((size, size), np.inf, np.float32)
    second = first.copy()
    for y, x in seeds:
        distance = np.hypot(rows - y, columns - x)
        second = np.minimum(second, np.maximum(first, distance))
        first = np.minimum(first, distance)
    wall = np.exp(-(((second - first) / rng.uniform(2, 6)) ** 2))[..., None]
    pink = np.array([rng.uniform(200, 235), rng.uniform(130, 190), rng.uniform(180, 220)])
    return _noisy(glass(size, rng) * (1 - wall) + pink * wall, rng)


def out_of_focus(pixels: Pixels, rng: np.random.Generator) -> Pixels:
    """A picture (H, W, 3) blurred beyond recognition."""
    return np.asarray(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.06, 0.15) * len(pixels)), np.uint8)


def glass_beside(pixels: Pixels, rng: np.random.Generator) -> tuple[Pixels, Mask]:
    """The picture with glass laid over one side of a smooth border, and where (H, W) the glass lies."""
    size = len(pixels)
    rows, columns = np.mgrid[:size, :size] / size - 0.5
    angle = rng.uniform(0, 2 * np.pi)
    across = columns * np.cos(angle) + rows * np.sin(angle) + 0.15 * _waves(size, rng)
    covered = across > rng.uniform(-0.3, 0.4)
    soft = cv2.GaussianBlur(covered.astype(np.float32), (0, 0), rng.uniform(0.5, 2))[..., None]
    return (pixels * (1 - soft) + glass(size, rng) * soft).astype(np.uint8), covered


def _waves(size: int, rng: np.random.Generator) -> NDArray[np.float32]:
    """A smooth random field (size, size) within -1..1."""
    coarse = rng.uniform(-1, 1, (5, 5)).astype(np.float32)
    return np.clip(cv2.resize(coarse, (size, size), interpolation=cv2.INTER_CUBIC), -1, 1)


def _noisy(picture: NDArray[np.floating], rng: np.random.Generator) -> Pixels:
    noise = rng.normal(0, rng.uniform(0, 6), picture.shape)
    return np.clip(picture + noise, 0, 255).astype(np.uint8)
