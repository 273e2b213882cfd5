"""An image as one model sees it: its scale, its tissue, the tiles that hold some, and what was encoded of them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging import (
    SMALLEST_SIDE,
    Picture,
    Tile,
    Tissue,
    find_tissue,
    plan_tiles,
    read_picture,
    scaled_size,
)
from pathsegmentor.model.config import ModelConfig
from pathsegmentor.model.joint_decoder import ImageMemory

Image = str | PathLike[str] | Picture | NDArray[np.uint8]
# An image is enlarged at most this often a side: no source of PathSeg is, so no model has learnt from blurrier
# tissue, and a nucleus is then about four pixels wide.
MOST_ENLARGED = 4
# Nor to more pixels than this, for each takes 15 bytes: its colours, and sum, weight and mean of the probability.
MOST_SCALED_PIXELS = 360_000_000


@dataclass
class EncodedImage:
    """A picture and the tiles of it that one model has encoded so far, by scale (um per pixel)."""

    picture: Picture
    mpp: tuple[float, float]
    weights_sha256: str = ""
    kept: dict[float, dict[Tile, ImageMemory]] = field(default_factory=dict)
    seconds: float = 0.0

    @cached_property
    def tissue(self) -> Tissue:
        """Where the picture shows tissue; nothing else is looked at."""
        return find_tissue(self.picture.pixels, self.mpp)

    def size_at(self, mpp: float) -> tuple[int, int]:
        """Rows and columns of the picture at a scale (um per pixel)."""
        return scaled_size(self.picture.height, self.picture.width, self.mpp, mpp)

    def tiles_at(self, mpp: float, config: ModelConfig) -> list[Tile]:
        """Tiles of the picture at a scale that hold tissue."""
        size = self.size_at(mpp)
        return [tile for tile in plan_tiles(*size, config.tile, config.overlap) if self._has_tissue(tile, size)]

    def _has_tissue(self, tile: Tile, size: tuple[int, int]) -> bool:
        """Whether a tile of the image at ``size`` (rows, columns) holds a pixel where objects can lie."""
        reach = self.tissue.reach
        down, across = reach.shape[0] / size[0], reach.shape[1] / size[1]
        rows = slice(int(tile.y * down), math.ceil((tile.y + tile.height) * down))
        columns = slice(int(tile.x * across), math.ceil((tile.x + tile.width) * across))
        return bool(reach[rows, columns].any())


def as_picture(image: Image) -> Picture:
    """A picture from a path, or from pixels (H, W, 3) uint8 RGB without a scale; raises ``BadInput``."""
    if isinstance(image, Picture):
        return image
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise BadInput(f"expected (H, W, 3) uint8 RGB, found {image.shape} {image.dtype}")
        if min(image.shape[:2]) < SMALLEST_SIDE:
            raise BadInput(
                f"the array has {image.shape[1]} x {image.shape[0]} pixels; at least {SMALLEST_SIDE} a side are needed"
            )
        return Picture(np.ascontiguousarray(image), None, "array", None)
    return read_picture(Path(image))


def check_scale(encoded: EncodedImage, mpp: float) -> None:
    """Refuse to enlarge an image so far that it needs more memory than any answer is worth."""
    picture = encoded.picture
    height, width = encoded.size_at(mpp)
    if max(encoded.mpp) > MOST_ENLARGED * mpp:
        raise BadInput(
            f"{picture.source}: at {max(encoded.mpp):g} um per pixel this cannot be seen; the model looks for it at"
            f" {mpp:g}, and at most {MOST_ENLARGED * mpp:.3g} will do; check --mpp"
        )
    if height * width > MOST_SCALED_PIXELS:
        raise BadInput(
            f"{picture.source}: brought to the model's {mpp:g} um per pixel it has {width} x {height} pixels,"
            f" more than {MOST_SCALED_PIXELS:,}; check --mpp, or cut out a region"
        )
