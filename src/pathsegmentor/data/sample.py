"""One annotated image in memory: pixels and one mask per label that occurs in it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class Sample:
    """An image (H, W, 3) uint8 RGB with boolean masks (H, W) by label id; ``mpp`` is um per pixel (x, y).

    ``ignore`` (H, W) marks pixels about which nothing is known.
    """

    source: str
    name: str
    mpp: tuple[float, float]
    pixels: Pixels
    masks: dict[str, Mask]
    ignore: Mask | None = None
