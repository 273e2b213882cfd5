"""One annotated image: pixels, one mask per label, and what its source says about absence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Mask = NDArray[np.bool_]
D = TypeVar("D")

NUCLEI = "nuclei"


@dataclass(frozen=True)
class Sample:
    """An image (H, W, 3) uint8 RGB with boolean masks (H, W) by label id.

    ``region`` is the organ (``unspecified`` if unknown), ``group`` the patient or slide, ``mpp`` um per
    pixel. ``complete`` names the labels that the annotators outlined wherever they occur, so that a
    pixel outside their mask, or an image without it, is a true negative. ``ignore`` (H, W) marks
    pixels about which nothing is known.
    """

    source: str
    name: str
    group: str
    region: str
    mpp: float
    pixels: Pixels
    masks: dict[str, Mask]
    complete: frozenset[str]
    ignore: Mask | None = None

    def certainly_absent(self, label_id: str) -> bool:
        """Whether the label is known not to occur here: annotated and empty, or of another organ.

        Nuclei without a type look alike in every organ, so another organ's are never called absent.
        """
        if label_id in self.complete:
            return not self.masks[label_id].any()
        region, _, kind = label_id.split("-", 2)
        return kind != NUCLEI and "unspecified" not in (region, self.region) and region != self.region
