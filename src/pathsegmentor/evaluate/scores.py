"""Dice (eq. 18) and its relatives."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray


def dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """2 |A and B| / (|A| + |B|) of two masks of one shape; 1 if both are empty."""
    total = int(found.sum()) + int(truth.sum())
    return 1.0 if total == 0 else 2.0 * float((found & truth).sum()) / total


def iou(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    total = int((found | truth).sum())
    return 1.0 if total == 0 else float((found & truth).sum()) / total


def boundary_dice(found: NDArray[np.bool_], truth: NDArray[np.bool_], width_px: float) -> float:
    def band(m: NDArray[np.bool_]) -> NDArray[np.bool_]:
        padded = np.pad(m.astype(np.uint8), 1)
        return np.asarray(m & (cv2.distanceTransform(padded, cv2.DIST_L2, 5)[1:-1, 1:-1] <= width_px))

    return dice(band(found), band(truth))


def hd95(found: NDArray[np.bool_], truth: NDArray[np.bool_], mpp: float | tuple[float, float]) -> float:
    return float("nan")


@dataclass(frozen=True)
class Instances:
    f1: float
    aji: float
    pq: float


def instances(found: NDArray[np.integer], truth: NDArray[np.integer]) -> Instances:
    return Instances(float("nan"), float("nan"), float("nan"))
