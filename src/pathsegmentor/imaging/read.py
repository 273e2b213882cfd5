"""Image files to ``Picture``: PNG, JPEG, TIFF, BMP and WebP, told by their content.

Whatever the file holds becomes upright 8-bit RGB: the range of values that is used counts, not the
container's; transparency is laid over white; palettes and ink are converted; EXIF's orientation is applied.
What had to be decided, and what cannot be trusted, stands in the picture's notes. A file that is damaged,
or whose picture cannot be told, is refused with ``BadInput`` in one line.

The header is looked at before the pixels. Reading takes at most the bytes of the file (of TIFF one strip
or tile of it), the values as stored, and twice the 8-bit picture.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from io import BufferedReader, BytesIO
from pathlib import Path

import numpy as np
from PIL import ImageCms

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging import jpeg, plain, png, tiff
from pathsegmentor.imaging.held import Held, upright
from pathsegmentor.imaging.levels import dullness
from pathsegmentor.imaging.picture import Picture, check_mpp
from pathsegmentor.imaging.scale import Scale, agreed

FORMATS = ("PNG", "JPEG", "TIFF", "BMP", "WEBP")
# Larger images are slides; they are read in pieces, not whole.
MOST_PIXELS = 178_956_970
SMALLEST_SIDE = 16
# Of all but TIFF the file is held in memory as well; 16-bit RGBA of that many pixels, unpacked, is less.
_MOST_BYTES = 1 << 31

_TOO_LARGE = "{} needs more memory than there is; cut it into smaller images"

_Opener = Callable[[BufferedReader, int], Held]


def read_picture(
    path: Path | str, mpp: float | tuple[float, float] | None = None, most_pixels: int = MOST_PIXELS
) -> Picture:
    """Read an image file; ``mpp`` (um per pixel) wins over what the file says.

    Raises ``BadInput`` if it is missing, empty, truncated, no image, too large, too small or unreadable.
    """
    path = Path(path)
    given = check_mpp(mpp) if mpp is not None else None
    with _opened(path) as (file, size, opener), _in_one_line(path):
        held = opener(file, size)
        _check_size(held, most_pixels)
        pixels = held.decode(held)
        if pixels.shape != (held.height, held.width, 3):
            raise BadInput(f"is damaged: it holds {pixels.shape[1]} x {pixels.shape[0]} pixels, not as many as it says")
        pixels = np.ascontiguousarray(upright(pixels, held.orientation))
        file.seek(0)
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    scale = _scale(held)
    profile = _profile(held.profile)
    notes = [*held.notes, dullness(pixels), "" if given else scale.note, _profile_note(profile)]
    return Picture(
        pixels, given or scale.mpp, path.name, digest, scale.no_mpp, profile, tuple(dict.fromkeys(filter(None, notes)))
    )


def read_scale(path: Path | str) -> Scale:
    """Um per pixel (x, y) of the upright picture as the file says it, without its pixels.

    Raises ``BadInput`` if it is no image.
    """
    path = Path(path)
    with _opened(path) as (file, size, opener), _in_one_line(path):
        return _scale(opener(file, size))


def check_whole(path: Path | str) -> None:
    """Raise ``BadInput`` for PNG with a wrong checksum and for JPEG without an end, whatever they hold."""
    path = Path(path)
    with _opened(path) as (file, size, opener), _in_one_line(path):
        if opener is png.open_png:
            png.check_png(file, size)
        elif opener is jpeg.open_jpeg:
            jpeg.check_jpeg(file, size)


@contextmanager
def _opened(path: Path) -> Iterator[tuple[BufferedReader, int, _Opener]]:
    """The file, its size and the reader of its format."""
    try:
        if path.is_dir():
            raise BadInput(f"{path} is a folder; give one image file")
        if path.exists() and not path.is_file():
            raise BadInput(f"{path} is a device or pipe; give one image file")
        file = path.open("rb")
    except BadInput:
        raise
    except FileNotFoundError as error:
        raise BadInput(f"{path} does not exist") from error
    except (OSError, ValueError) as error:
        raise BadInput(f"{path} cannot be read: {getattr(error, 'strerror', None) or _line(error)}") from error
    with file:
        size = file.seek(0, 2)
        if not size:
            raise BadInput(f"{path} is empty")
        file.seek(0)
        start = file.read(16)
        file.seek(0)
        opener = _opener(start)
        if opener is None:
            raise BadInput(f"{path} is not an image of a known kind; expected {', '.join(FORMATS)}")
        if size > _MOST_BYTES and opener is not tiff.open_tiff:
            raise BadInput(f"{path} has {size / 1e9:.1f} GB, more than {_MOST_BYTES / 1e9:.1f}; cut out a region")
        yield file, size, opener


def _opener(start: bytes) -> _Opener | None:
    if start.startswith(png.SIGNATURE):
        return png.open_png
    if start.startswith(jpeg.SIGNATURE):
        return jpeg.open_jpeg
    if start.startswith(tiff.SIGNATURES):
        return tiff.open_tiff
    if start.startswith(b"BM"):
        return plain.open_bmp
    return plain.open_webp if start[:4] == b"RIFF" and start[8:12] == b"WEBP" else None


@contextmanager
def _in_one_line(path: Path) -> Iterator[None]:
    """Whatever goes wrong in reading becomes one line that begins with the path."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except BadInput as error:
        raise BadInput(f"{path} {error}") from error
    except MemoryError as error:
        raise BadInput(_TOO_LARGE.format(path)) from error
    except Exception as error:  # decoders raise many classes on broken files; all mean the same here
        raise BadInput(f"{path} is damaged or of a kind that cannot be read: {_line(error)}") from error


def _check_size(held: Held, most: int) -> None:
    width, height = held.width, held.height
    if width * height > most:
        raise BadInput(f"has {width} x {height} pixels, more than {most:,}; cut out a region")
    if min(width, height) < SMALLEST_SIDE:
        raise BadInput(f"has {width} x {height} pixels; at least {SMALLEST_SIDE} a side are needed")


def _scale(held: Held) -> Scale:
    """The scale of the upright picture."""
    scale = agreed(held.statements)
    if scale.mpp and held.orientation >= 5:
        return Scale(scale.mpp[::-1], scale.no_mpp, scale.note)
    return scale


def _profile(data: bytes | None) -> str | None:
    """The name of an ICC profile."""
    if data is None:
        return None
    try:
        name = ImageCms.getProfileDescription(ImageCms.ImageCmsProfile(BytesIO(data)))
    except Exception:  # a profile may be anything; it is only named
        name = ""
    return " ".join("".join(c for c in name if c.isprintable()).split()) or "without a name"


def _profile_note(profile: str | None) -> str:
    """What to say of it: sRGB is what everything here means by RGB."""
    if profile is None or "srgb" in profile.lower():
        return ""
    return f"its colour profile ({profile}) was not applied: values are taken as stored"


def _line(error: Exception) -> str:
    # What a decoder trips over in our language tells a person nothing.
    if isinstance(error, (TypeError, AttributeError, LookupError, ArithmeticError)):
        return "its parts do not fit together"
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
