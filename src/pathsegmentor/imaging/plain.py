"""BMP and WebP, by Pillow."""

from __future__ import annotations

from io import BufferedReader

import numpy as np
from numpy.typing import NDArray
from PIL import BmpImagePlugin, Image, WebPImagePlugin

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.damage import check_packed_end, check_zero_tail
from pathsegmentor.imaging.held import Held, orientation_of
from pathsegmentor.imaging.levels import over_white
from pathsegmentor.imaging.scale import of_exif, per_unit

_INCH = 25_400.0


def open_bmp(file: BufferedReader, size: int) -> Held:
    """The header of a BMP file."""
    image = BmpImagePlugin.BmpImageFile(file)
    held = Held(*image.size, lambda held: _bmp(image, held))
    dots = image.info.get("dpi")
    if dots:
        held.statements.append(per_unit("resolution", dots, _INCH))
    return held


def _bmp(image: BmpImagePlugin.BmpImageFile, held: Held) -> NDArray[np.uint8]:
    packed = image.info.get("compression", 0) not in (0, 3)
    # Rows are stored from the bottom up, except where the height is negative.
    args = image.tile[0].args if image.tile else None
    upwards = not isinstance(args, tuple) or args[-1] == -1
    paletted = image.mode == "P"
    rgb = _flat(image, held)
    if not packed:
        check_zero_tail(rgb[::-1] if upwards else rgb, zero_is_black=not paletted)
    return rgb


def open_webp(file: BufferedReader, size: int) -> Held:
    """The header of a WebP file, whose length must be as it says."""
    file.seek(0)
    head = file.read(30)
    told = int.from_bytes(head[4:8], "little") + 8
    if told > size:
        raise BadInput(f"is damaged or cut short: it has {size:,} of {told:,} bytes")
    width, height = _webp_size(head)
    file.seek(max(told - 4096, 12))
    check_packed_end(file.read(min(4096, told - 12)))
    file.seek(0)
    image = WebPImagePlugin.WebPImageFile(file)
    held = Held(width, height, lambda held: _flat(image, held))
    held.orientation = orientation_of(image)
    held.profile = image.info.get("icc_profile")
    held.statements.append(of_exif(image.getexif()))
    if getattr(image, "n_frames", 1) > 1:
        held.notes.append(f"it holds {image.n_frames} pictures; the first was read")
    return held


def _webp_size(head: bytes) -> tuple[int, int]:
    """Width and height from the first 30 bytes."""
    kind = head[12:16]
    if len(head) == 30 and kind == b"VP8X":
        return int.from_bytes(head[24:27], "little") + 1, int.from_bytes(head[27:30], "little") + 1
    if len(head) == 30 and kind == b"VP8L":
        bits = int.from_bytes(head[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if len(head) == 30 and kind == b"VP8 ":
        return int.from_bytes(head[26:28], "little") & 0x3FFF, int.from_bytes(head[28:30], "little") & 0x3FFF
    raise BadInput("is damaged: it does not begin with its size")


def _flat(image: Image.Image, held: Held) -> NDArray[np.uint8]:
    """Pixels of an image of Pillow laid over white."""
    if image.mode != "RGBA":
        return np.asarray(image.convert("RGB"))
    values = np.asarray(image)
    rgb, note = over_white(np.ascontiguousarray(values[..., :3]), values[..., 3])
    held.notes.append(note)
    return rgb
