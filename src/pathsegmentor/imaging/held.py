"""What every format's reader gives: a file's header first, its pixels when asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pathsegmentor.imaging.scale import Statement

_ORIENTATION = 274


@dataclass
class Held:
    """What a file holds, before its pixels are read.

    ``decode`` gives RGB (H, W, 3) uint8 as stored, and may add to ``notes`` and set ``orientation``
    (EXIF's 1 to 8), which some files say only behind the pixels. ``profile`` is the ICC profile.
    """

    width: int
    height: int
    decode: Callable[[Held], NDArray[np.uint8]]
    statements: list[Statement] = field(default_factory=list)
    orientation: int = 1
    profile: bytes | None = None
    notes: list[str] = field(default_factory=list)


def upright(values: NDArray[Any], orientation: int) -> NDArray[Any]:
    """An array (H, W, ...) turned and mirrored as EXIF's orientation asks; a view."""
    if orientation >= 5:
        values = values.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        values = values[::-1]
    if orientation in (2, 3, 6, 7):
        values = values[:, ::-1]
    return values


def orientation_of(image: Image.Image) -> int:
    """EXIF's orientation of an image of Pillow, 1 if it has none or a senseless one."""
    return sensible(image.getexif().get(_ORIENTATION))


def sensible(value: object) -> int:
    """An orientation of 1 to 8; anything else is 1."""
    return value if isinstance(value, int) and 1 <= value <= 8 else 1
