"""Boxes made from the annotation, for predictors that are shown where to look (paper, sections 2.3 and 4.6).

A box is half-open, (x0, y0, x1, y1) in pixels of the image: the corner of its first pixel and that after its last.
No box is jittered.
"""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.predictor import Asked

# Objects of fewer pixels are not counted (section 4.5); taken to hold for their boxes too.
SMALLEST_OBJECT = 36

Boxes = NDArray[np.float64]


def union_box(mask: NDArray[np.bool_]) -> Boxes:
    """(1, 4): the smallest box around all of a mask (H, W); (0, 4) for an empty one."""
    rows, columns = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    if not len(rows):
        return np.zeros((0, 4))
    return np.array([[columns[0], rows[0], columns[-1] + 1, rows[-1] + 1]], np.float64)


def instance_boxes(mask: NDArray[np.bool_]) -> Boxes:
    """(n, 4): the smallest box around each 8-connected part of at least 36 pixels.

    Touching objects share a box. Where all parts are smaller, each of them has one: no mask is without a prompt.
    """
    count, _, stats, _ = cv2.connectedComponentsWithStats(np.asarray(mask, np.uint8), connectivity=8)
    parts = stats[1:count].astype(np.float64)
    large = parts[parts[:, cv2.CC_STAT_AREA] >= SMALLEST_OBJECT]
    x, y, width, height = (large if len(large) else parts)[:, :4].T
    return np.stack([x, y, x + width, y + height], axis=1)


def fill(boxes: Boxes, height: int, width: int) -> NDArray[np.bool_]:
    """The boxes themselves as a mask (H, W): what they give away without any model."""
    mask = np.zeros((height, width), bool)
    for x0, y0, x1, y1 in np.asarray(boxes).round().astype(int):
        mask[max(y0, 0) : y1, max(x0, 0) : x1] = True
    return mask


def boxes_of(asked: Asked) -> Boxes:
    """The boxes that came with a label; raises ``BadInput`` if none did, which is another thing than no box."""
    if asked.boxes is None:
        raise BadInput(f"{asked.label} was asked without boxes, which this predictor needs")
    return asked.boxes
