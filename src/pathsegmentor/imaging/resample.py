"""Resampling between scales; pixel centres stay where they are in the tissue."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray


def scaled_size(height: int, width: int, mpp: tuple[float, float], target: float) -> tuple[int, int]:
    """Rows and columns of an image of scale ``mpp`` (x, y) once it is brought to ``target`` um per pixel."""
    return max(round(height * mpp[1] / target), 1), max(round(width * mpp[0] / target), 1)


def resize_pixels(pixels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W, 3) to ``size`` (rows, columns): area means where it shrinks, bilinear where it grows."""
    if pixels.shape[:2] == size:
        return pixels
    shrinks = size[0] * size[1] < pixels.shape[0] * pixels.shape[1]
    how = cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(pixels, size[::-1], interpolation=how), dtype=np.uint8)


def resize_probability(probability: NDArray[np.float32], size: tuple[int, int]) -> NDArray[np.float32]:
    """(H, W) float32 to ``size`` (rows, columns), bilinear."""
    if probability.shape == size:
        return probability
    out = cv2.resize(probability, size[::-1], interpolation=cv2.INTER_LINEAR)
    return np.asarray(out, dtype=np.float32)


def resize_labels(labels: NDArray[np.uint8], size: tuple[int, int]) -> NDArray[np.uint8]:
    """(H, W) codes to ``size`` (rows, columns), nearest: no value is invented."""
    if labels.shape == size:
        return labels
    rows, columns = (
        np.minimum(((np.arange(new) + 0.5) * old / new).astype(int), old - 1)
        for new, old in zip(size, labels.shape, strict=True)
    )
    return np.asarray(labels[np.ix_(rows, columns)])
