"""Crops and colour changes for training, seeded by a NumPy generator.

A crop is one affine map: scale, quarter turns, flips and place at once, so pixels are resampled once
(bilinear) and masks with them (nearest).
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]

# Optical densities of haematoxylin, eosin and DAB: A. Ruifrok and D. Johnston, 2001.
_STAINS = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
_STAINS = (_STAINS / np.linalg.norm(_STAINS, axis=1, keepdims=True)).astype(np.float32)
_UNMIX = np.linalg.inv(_STAINS).astype(np.float32)


def crop_map(centre: tuple[float, float], size: int, scale: float, turns: int, flip: bool) -> NDArray[np.float64]:
    """Affine 2 x 3 from crop pixels to image pixels; ``centre`` (x, y) lands in the crop's middle."""
    turn = np.array([[0, -1], [1, 0]])
    linear = np.linalg.matrix_power(turn, turns % 4).astype(float)
    if flip:
        linear = linear @ np.diag([-1.0, 1.0])
    linear = linear / scale
    middle = np.array([(size - 1) / 2] * 2)
    return np.column_stack([linear, np.asarray(centre) - linear @ middle])


def warp(image: NDArray[np.uint8], affine: NDArray[np.float64], size: int, nearest: bool) -> NDArray[np.uint8]:
    """Sample a square crop; beyond the border the image is mirrored, masks too."""
    flags = (cv2.INTER_NEAREST if nearest else cv2.INTER_LINEAR) | cv2.WARP_INVERSE_MAP
    out = cv2.warpAffine(image, affine, (size, size), flags=flags, borderMode=cv2.BORDER_REFLECT_101)
    return np.asarray(out, dtype=np.uint8)


def inside(shape: tuple[int, int], affine: NDArray[np.float64], size: int) -> NDArray[np.bool_]:
    """Which crop pixels (size, size) lie inside an image of this shape."""
    ones = np.ones(shape, np.uint8)
    flags = cv2.INTER_NEAREST | cv2.WARP_INVERSE_MAP
    return cv2.warpAffine(ones, affine, (size, size), flags=flags, borderValue=0) > 0


def jitter_stain(pixels: NDArray[np.uint8], strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Change the amount of each stain by up to ``strength`` (fraction) and shift it a little."""
    density = -np.log((pixels.astype(np.float32) + 1) / 256)
    amounts = density @ _UNMIX
    amounts *= 1 + rng.uniform(-strength, strength, 3).astype(np.float32)
    amounts += rng.uniform(-strength, strength, 3).astype(np.float32) * 0.15
    return np.clip(np.exp(-(amounts @ _STAINS)) * 256 - 1, 0, 255).astype(np.uint8)


def jitter_colour(pixels: NDArray[np.uint8], strength: float, rng: np.random.Generator) -> NDArray[np.uint8]:
    """Brightness, contrast and each channel, by up to ``strength`` (fraction of the range)."""
    gain = 1 + rng.uniform(-strength, strength) + rng.uniform(-strength, strength, 3) / 3
    shift = 255 * rng.uniform(-strength, strength) / 2
    x = (pixels.astype(np.float32) - 128) * gain.astype(np.float32) + np.float32(128 + shift)
    return np.clip(x, 0, 255).astype(np.uint8)


def other_scanner(pixels: NDArray[np.uint8], rng: np.random.Generator) -> NDArray[np.uint8]:
    """Another scanner's focus, gamma, noise and compression."""
    if rng.random() < 0.5:
        pixels = np.asarray(cv2.GaussianBlur(pixels, (0, 0), rng.uniform(0.3, 1.2)), np.uint8)
    x = 255 * (pixels.astype(np.float32) / 255) ** np.float32(np.exp(rng.uniform(-0.35, 0.35)))
    x += rng.normal(0, rng.uniform(0, 5), x.shape).astype(np.float32)
    pixels = np.clip(x, 0, 255).astype(np.uint8)
    if rng.random() < 0.5:
        _, coded = cv2.imencode(".jpg", pixels, [cv2.IMWRITE_JPEG_QUALITY, int(rng.integers(40, 95))])
        pixels = np.asarray(cv2.imdecode(coded, cv2.IMREAD_COLOR), np.uint8)
    return pixels
