"""SAM-Med2D with boxes: 256 x 256, adapters, the best of three masks.

Its released code reads images with OpenCV and never turns the channels round, so the network has learnt from BGR with
means meant for RGB. That is the default here, for the numbers are those of the released network; ``-rgb`` is the other.
"""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
from torch import Tensor

from pathsegmentor.evaluate.baselines.sam import Pixels, Size, Way, both, enlarge, normalised, squeezed


def _rgb(pixels: Pixels, side: int) -> Tensor:
    small = cv2.resize(pixels, (side, side), interpolation=cv2.INTER_NEAREST)
    return normalised(np.asarray(small, np.uint8))[None]


def _bgr(pixels: Pixels, side: int) -> Tensor:
    return _rgb(np.ascontiguousarray(pixels[..., ::-1]), side)


def _masks(logits: Tensor, size: Size, side: int) -> Tensor:
    return enlarge(enlarge(logits, (side, side)), size).sigmoid() > 0.5


WAY = Way(_bgr, squeezed, _masks, several=True)
NEEDS, URL = "sam-med2d_b.pth", "https://github.com/OpenGVLab/SAM-Med2D"
BASELINES = (
    *both("sam-med2d", "SAM-Med2D", WAY, NEEDS, URL),
    *both("sam-med2d-rgb", "SAM-Med2D shown RGB", replace(WAY, pixels=_rgb), NEEDS, URL)[:1],
)
