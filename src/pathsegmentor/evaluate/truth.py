"""What the annotation says of one image, read mask by mask and held against the manifest."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.data.manifest import Row
from pathsegmentor.data.record import MaskArray
from pathsegmentor.data.shards import Shards, decode_image, decode_mask, instances_of
from pathsegmentor.errors import BadInput
from pathsegmentor.imaging import Picture


@dataclass(frozen=True)
class Truth:
    """A label's mask (H, W), and its instances' numbers where the source numbers them."""

    mask: NDArray[np.bool_]
    numbers: NDArray[np.integer] | None


def read_image(shards: Shards, row: Row) -> Picture:
    """The stored image, named ``SOURCE/NAME``.

    Raises ``BadInput`` if it is missing, damaged or not the one that the manifest names.
    """
    data = shards.read(row.image)
    if hashlib.sha256(data).hexdigest() != row.sha256:
        raise BadInput("the stored image is not the one that the manifest names: its SHA-256 differs")
    pixels = decode_image(data)
    _check_size("the stored image", pixels.shape[:2], row)
    return Picture(pixels, row.mpp, f"{row.source}/{image_name(row.image)}", row.sha256)


def read_known(shards: Shards, row: Row) -> NDArray[np.bool_]:
    """(H, W): where anything is known of the image."""
    if not row.ignore:
        return np.ones((row.height, row.width), bool)
    ignored = decode_mask(shards.read(row.ignore))
    _check_size("the mask of what is unknown", ignored.shape, row)
    return np.asarray(ignored == 0)


def read_truth(shards: Shards, row: Row) -> Truth:
    """A label's mask; raises ``BadInput`` if it is missing, damaged or not what the manifest says of it."""
    stored = decode_mask(shards.read(row.mask))
    _check_size("the mask", stored.shape, row)
    _check_values(stored, row)
    mask = np.asarray(stored > 0)
    pixels = int(np.count_nonzero(mask))
    if pixels != row.mask_pixels:
        raise BadInput(f"the mask marks {pixels} pixels, and {row.mask_pixels} by the manifest")
    return Truth(mask, None if stored.dtype == np.bool_ else stored.astype(np.uint16))


def image_name(member: str) -> str:
    """The name of an image without its shard and ending."""
    return member.rpartition("/")[2].removesuffix(".png")


def _check_values(stored: MaskArray, row: Row) -> None:
    count = instances_of(stored)
    if count == row.instances:
        return
    if row.instances is None:
        values = np.unique(stored)
        shown = ", ".join(map(str, values[:5].tolist())) + (", ..." if len(values) > 5 else "")
        raise BadInput(f"the mask holds the values {shown}; only whether a pixel is inside is expected")
    if count is None:
        raise BadInput(f"the mask numbers no instances, and {row.instances} by the manifest")
    raise BadInput(f"the mask numbers {count} instances, and {row.instances} by the manifest")


def _check_size(what: str, shape: tuple[int, ...], row: Row) -> None:
    if shape != (row.height, row.width):
        found = " x ".join(map(str, shape))
        raise BadInput(f"{what} has {found} pixels (rows x columns), and {row.height} x {row.width} by the manifest")
