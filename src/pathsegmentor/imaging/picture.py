"""``Picture``: RGB pixels with a scale and where they came from."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.errors import BadInput

# Um per pixel: finer than any light microscope's camera, coarser than any useful tissue image.
# The smallest crop, 16 pixels at 40x, that PathSeg has enlarged to 1024 pixels lies at 0.004.
FINEST, COARSEST = 0.003, 20.0

UNSAID = "the file does not say its scale"


@dataclass(frozen=True)
class Picture:
    """Pixels (H, W, 3) uint8 RGB; ``mpp`` is um per pixel as (x, y), None if it cannot be told from the file.

    ``source`` is the file's name, ``sha256`` that of its bytes (None for an array). ``no_mpp`` says why
    there is no scale. ``profile`` names the file's ICC profile, which is not applied. ``notes`` are lines
    for people about what had to be decided, or cannot be trusted, in reading.

    Of a slide, ``origin`` is the place (x, y) of the first pixel, and ``shown_from`` that from which viewers such as
    QuPath count; ``is_region`` says that only a part of the slide was asked for.
    """

    pixels: NDArray[np.uint8]
    mpp: tuple[float, float] | None
    source: str
    sha256: str | None = None
    no_mpp: str = UNSAID
    profile: str | None = None
    notes: tuple[str, ...] = ()
    origin: tuple[int, int] = (0, 0)
    shown_from: tuple[int, int] = (0, 0)
    is_region: bool = False

    @property
    def height(self) -> int:
        """Rows."""
        return int(self.pixels.shape[0])

    @property
    def width(self) -> int:
        """Columns."""
        return int(self.pixels.shape[1])

    def with_mpp(self, mpp: float | tuple[float, float]) -> Picture:
        """The same pixels with another scale; raises ``BadInput`` for an absurd one."""
        return replace(self, mpp=check_mpp(mpp))


def check_mpp(value: float | tuple[float, float]) -> tuple[float, float]:
    """Um per pixel as (x, y); raises ``BadInput`` unless both lie in 0.003..20."""
    x, y = value if isinstance(value, tuple) else (value, value)
    for number in (x, y):
        if not (math.isfinite(number) and FINEST <= number <= COARSEST):
            raise BadInput(
                f"mpp {number:g} is not a scale in um per pixel between {FINEST} and {COARSEST:g};"
                " usual values are 0.25 (40x), 0.5 (20x) and 1.0 (10x)"
            )
    return float(x), float(y)
