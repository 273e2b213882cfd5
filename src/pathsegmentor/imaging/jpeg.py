"""JPEG: decoders take a file without its end for a whole one, so the end is looked for."""

from __future__ import annotations

from io import BufferedReader

import numpy as np
from numpy.typing import NDArray
from PIL import JpegImagePlugin

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.held import Held, orientation_of
from pathsegmentor.imaging.levels import as_rgb
from pathsegmentor.imaging.scale import of_exif, per_unit

SIGNATURE = b"\xff\xd8\xff"
_UNIT_UM = {1: 25_400.0, 2: 10_000.0}
_END = 0xD9


def open_jpeg(file: BufferedReader, size: int) -> Held:
    """The header of a JPEG file; raises what Pillow raises for a broken one."""
    image = JpegImagePlugin.JpegImageFile(file)
    held = Held(*image.size, lambda held: _decoded(file, image))
    unit = _UNIT_UM.get(image.info.get("jfif_unit", 0))
    if unit:
        held.statements.append(per_unit("JFIF density", image.info["jfif_density"], unit))
    held.statements.append(of_exif(image.getexif()))
    held.orientation = orientation_of(image)
    held.profile = image.info.get("icc_profile")
    return held


def check_jpeg(file: BufferedReader, size: int) -> None:
    """Look for the end; raises ``BadInput`` (without a path)."""
    file.seek(0)
    _check_end(file.read())


def _decoded(file: BufferedReader, image: JpegImagePlugin.JpegImageFile) -> NDArray[np.uint8]:
    file.seek(0)
    data = file.read()
    _check_end(data)
    if image.mode == "CMYK":
        # Some programs store ink inverted and say so in a segment of their own, which Pillow knows.
        return np.asarray(image.convert("RGB"))
    import imagecodecs

    return as_rgb(imagecodecs.jpeg8_decode(data))


def _check_end(data: bytes) -> None:
    """Refuse a file whose scans do not run up to an end marker."""
    place = 2
    while (place := data.find(b"\xff", place)) >= 0 and place + 1 < len(data):
        marker = data[place + 1]
        if marker == _END:
            return
        # In a scan: a stuffed 255, a restart, or filling.
        if marker == 0 or marker == 1 or 0xD0 <= marker <= 0xD8:
            place += 2
        elif marker == 0xFF:
            place += 1
        else:
            place += 2 + max(int.from_bytes(data[place + 2 : place + 4], "big"), 2)
    raise BadInput("is damaged or cut short: its end is missing")
