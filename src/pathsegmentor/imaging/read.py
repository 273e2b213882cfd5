"""Ordinary image files to ``Picture``: PNG, JPEG, TIFF, BMP and WebP.

Whatever the file holds becomes 8-bit RGB: transparency is laid over white, 16 bits keep their upper 8,
palettes and CMYK are converted, EXIF rotation is applied. Of a file with several pages the first is
read. Anything else is refused with ``BadInput`` in one line.
"""

from __future__ import annotations

import hashlib
import io
import re
import warnings
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import ExifTags, Image, ImageOps, UnidentifiedImageError

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.picture import Picture, check_mpp, plausible_mpp

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
# Larger images are slides; they are read in pieces, not whole.
MOST_PIXELS = 178_956_970
SMALLEST_SIDE = 16

_BITS, _PHOTOMETRIC, _DESCRIPTION, _SAMPLES, _PLANAR = 258, 262, 270, 277, 284  # TIFF tags
_UNIT_UM = {2: 25_400.0, 3: 10_000.0}  # TIFF resolution units: inch, centimetre
_OME_LENGTH = {"nm": 1e-3, "µm": 1.0, "um": 1.0, "μm": 1.0, "mm": 1e3}

_TOO_LARGE = "{} needs more memory than there is; cut it into smaller images"


def read_picture(path: Path | str, mpp: float | tuple[float, float] | None = None) -> Picture:
    """Read an image file; ``mpp`` (um per pixel) wins over what the file says.

    Raises ``BadInput`` if it is missing, empty, truncated, no image, too large, too small or unreadable.
    """
    path = Path(path)
    given = check_mpp(mpp) if mpp is not None else None
    data = _bytes(path)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            pixels, scale = _decode(data, path)
    except BadInput:
        raise
    except UnidentifiedImageError as error:
        raise BadInput(_unidentified(data, path)) from error
    except Image.DecompressionBombError as error:
        raise BadInput(f"{path} has more than {MOST_PIXELS:,} pixels; cut out a region") from error
    except MemoryError as error:
        raise BadInput(_TOO_LARGE.format(path)) from error
    except Exception as error:  # decoders raise many classes on broken files; all mean the same here
        raise BadInput(f"{path} is damaged or cut short: {_line(error)}") from error
    return Picture(pixels, given or scale, path.name, hashlib.sha256(data).hexdigest())


def read_scale(path: Path) -> tuple[float, float] | None:
    """Um per pixel (x, y) of the stored pixels as the file says it, without decoding them.

    None if the file does not say, or is too large to be opened; raises ``BadInput`` if it is no image.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            with Image.open(path, formats=FORMATS) as image:
                return _scale(image)
    except Image.DecompressionBombError:
        return None
    except Exception as error:  # decoders raise many classes on broken files
        raise BadInput(f"{path} is damaged or not an image: {_line(error)}") from error


def _bytes(path: Path) -> bytes:
    try:
        if path.is_dir():
            raise BadInput(f"{path} is a folder; give one image file")
        if path.exists() and not path.is_file():
            raise BadInput(f"{path} is a device or pipe; give one image file")
        data = path.read_bytes()
    except BadInput:
        raise
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist") from error
    except MemoryError as error:
        raise BadInput(_TOO_LARGE.format(path)) from error
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {getattr(error, 'strerror', None) or _line(error)}") from error
    if not data:
        raise BadInput(f"{path} is empty")
    return data


def _decode(data: bytes, path: Path) -> tuple[NDArray[np.uint8], tuple[float, float] | None]:
    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        _check_size(image, path)
        _check_tiff(image, path)
        scale = _scale(image)
        white_is_zero = getattr(image, "tag_v2", {}).get(_PHOTOMETRIC) == 0
        # A TIFF is turned while it is loaded; a PNG may say its orientation only after the pixels.
        turned = _is_turned(image)
        image.load()
        turned = turned or _is_turned(image)
        upright = ImageOps.exif_transpose(image)
        pixels = np.ascontiguousarray(_rgb(upright, path, white_is_zero))
    if scale is not None and turned:
        scale = (scale[1], scale[0])
    return pixels, scale


def _check_size(image: Image.Image, path: Path) -> None:
    width, height = image.size
    if width * height > MOST_PIXELS:
        raise BadInput(f"{path} has {width} x {height} pixels, more than {MOST_PIXELS:,}; cut out a region")
    if min(width, height) < SMALLEST_SIDE:
        raise BadInput(f"{path} has {width} x {height} pixels; at least {SMALLEST_SIDE} a side are needed")


def _unidentified(data: bytes, path: Path) -> str:
    if data[:4] in (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"):
        return f"{path} is a kind of TIFF that cannot be read, or damaged; save it as 8-bit RGB TIFF or PNG"
    return f"{path} is not an image of a known kind; expected {', '.join(FORMATS)}"


def _check_tiff(image: Image.Image, path: Path) -> None:
    """Refuse what Pillow would read wrongly without a word."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        return
    # Uncompressed planes of more than 8 bits come out as noise.
    if tags.get(_PLANAR) == 2 and max(tags.get(_BITS, (1,))) > 8:
        raise BadInput(f"{path} holds its colours as planes of more than 8 bits; save it as 8-bit RGB")
    # Of channels on pages of their own only the first would be read, as if it were grey.
    channels = re.search(r'SizeC="([0-9]+)"', str(tags.get(_DESCRIPTION, "")))
    if channels and int(channels[1]) > 1 and tags.get(_SAMPLES, 1) == 1:
        raise BadInput(f"{path} holds its {channels[1]} channels on separate pages; save it as RGB")


def _is_turned(image: Image.Image) -> bool:
    return image.getexif().get(ExifTags.Base.Orientation, 1) >= 5


def _rgb(image: Image.Image, path: Path, white_is_zero: bool) -> NDArray[np.uint8]:
    mode = image.mode
    if mode.startswith("I;16") or mode == "I":
        values = np.asarray(image)
        return _from_16_bit(65_535 - values.astype(np.int64) if white_is_zero else values, path)
    if mode == "F":
        raise BadInput(f"{path} holds floating-point values; save it as 8-bit RGB")
    if mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        clear = image.convert("RGBA")
        white = Image.new("RGBA", clear.size, "white")
        image = Image.alpha_composite(white, clear)
    return np.asarray(image.convert("RGB"))


def _from_16_bit(values: NDArray[np.generic], path: Path) -> NDArray[np.uint8]:
    """Grey values 0..65535 to 0..255 RGB: 257 steps of 16 bits are one of 8."""
    wide = values.astype(np.int64)
    if wide.min() < 0 or wide.max() > 65_535:
        raise BadInput(f"{path} holds values outside 16 bits; save it as 8-bit RGB")
    if 0 < wide.max() < 256:
        raise BadInput(f"{path} holds 8-bit values in 16 bits and would be black; save it as 8-bit RGB")
    grey = (wide // 257).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def _scale(image: Image.Image) -> tuple[float, float] | None:
    """Um per pixel from OME-TIFF or resolution tags, if plausible."""
    tags = getattr(image, "tag_v2", None)
    if tags is None:
        dpi = image.info.get("dpi")
        return _per_inch(dpi) if dpi else None
    description = str(tags.get(_DESCRIPTION, ""))
    ome = _ome_scale(description)
    if ome:
        return ome
    aperio = re.search(r"\|\s*MPP\s*=\s*([0-9.]+)", description)
    if aperio:
        return plausible_mpp(float(aperio[1]), float(aperio[1]))
    unit, x, y = _UNIT_UM.get(tags.get(296, 2)), tags.get(282), tags.get(283)
    if not (unit and x and y):
        return None
    return plausible_mpp(unit / float(x), unit / float(y))


def _per_inch(dpi: tuple[float, float]) -> tuple[float, float] | None:
    x, y = (float(v) for v in dpi)
    return plausible_mpp(25_400 / x, 25_400 / y) if x > 0 and y > 0 else None


def _ome_scale(description: str) -> tuple[float, float] | None:
    found = {}
    for axis in "XY":
        size = re.search(rf'PhysicalSize{axis}="([0-9.eE+-]+)"', description)
        unit = re.search(rf'PhysicalSize{axis}Unit="([^"]+)"', description)
        factor = _OME_LENGTH.get(unit[1] if unit else "µm")
        if not size or factor is None:
            return None
        found[axis] = float(size[1]) * factor
    return plausible_mpp(found["X"], found["Y"])


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
