"""From values as stored to 8-bit RGB: the range that is used counts, not the container; transparency is glass."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.errors import BadInput

Values = NDArray[np.generic]
Pixels = NDArray[np.uint8]

# What cameras give. Bright-field pictures reach into the upper half of their range, so the fewest bits that hold the
# brightest value are the right ones.
_DEPTHS = (8, 10, 12, 14, 16)
_BAND = 4_000_000


def bits_used(values: Values, stated: int = 16) -> int:
    """The bits that integer values 0..65535 take: those of the file's own word for it, or of a usual camera.

    Raises ``BadInput`` (without a path) for values beyond 16 bits.
    """
    if values.dtype == np.bool_:
        return 1
    if values.dtype == np.uint8:
        return 8
    if not np.issubdtype(values.dtype, np.integer):
        raise BadInput("holds floating-point values; save it as 8-bit RGB")
    low, high = int(values.min()), int(values.max())
    if low < 0 or high > 65_535:
        raise BadInput(f"holds values from {low} to {high}, which are not those of 16 bits; save it as 8-bit RGB")
    if stated < 16 and high < 2**stated:
        return stated
    return next(bits for bits in _DEPTHS if high < 2**bits)


def eight_bits(values: Values, bits: int) -> Pixels:
    """Integers 0..2**bits - 1 of any shape to 0..255, rounded."""
    if bits == 8 and values.dtype == np.uint8:
        return values.view(np.uint8)
    top = 2**bits - 1
    table = np.minimum((np.arange(65_536, dtype=np.int64) * 510 + top) // (2 * top), 255).astype(np.uint8)
    out = np.empty(values.shape, np.uint8)
    # Indexing makes 8 bytes of each value: by bands that is bounded.
    for band in _bands(values):
        out[band] = table[values[band].astype(np.intp)]
    return out


def as_rgb(values: Pixels) -> Pixels:
    """(H, W) or (H, W, 1) grey, or (H, W, 3) colours, to (H, W, 3)."""
    grey = values[..., None] if values.ndim == 2 else values
    return np.repeat(grey, 3, axis=2) if grey.shape[2] == 1 else np.ascontiguousarray(grey)


def over_white(rgb: Pixels, alpha: Pixels, premultiplied: bool = False) -> tuple[Pixels, str]:
    """Colours (H, W, 3) laid over white by alpha (H, W), in place, and a note if anything was transparent.

    Raises ``BadInput`` (without a path) if nothing is to be seen at all.
    """
    if not alpha.any():
        raise BadInput("is fully transparent: it shows nothing")
    clear = np.count_nonzero(alpha != 255)
    if not clear:
        return rgb, ""
    for band in _bands(rgb):
        if (alpha[band] == 255).all():
            continue
        here = alpha[band].astype(np.uint32)[..., None]
        colour = rgb[band] * (np.uint32(255) if premultiplied else here)
        rgb[band] = np.minimum((colour + 255 * (255 - here) + 127) // 255, 255)
    return rgb, f"{100 * clear / alpha.size:.3g} % of its pixels are transparent and were laid over white"


def from_cmyk(values: Pixels) -> Pixels:
    """(H, W, 4) ink to (H, W, 3) RGB, without a profile."""
    out = np.empty((*values.shape[:2], 3), np.uint8)
    for band in _bands(values):
        paper = 255 - values[band].astype(np.uint32)
        out[band] = (paper[..., :3] * paper[..., 3:] + 127) // 255
    return out


def bits_note(bits: int, container: int) -> str:
    """What to say of values that use less than their container."""
    return f"its values use {bits} of {container} bits and were read as {bits}-bit" if bits < container else ""


def dullness(pixels: Pixels) -> str:
    """What to say of a picture without any structure; "" for all others."""
    first = pixels[0, 0]
    if not (pixels[0] == first).all() or any((pixels[band] != first).any() for band in _bands(pixels)):
        return "it is nearly black: no value is above 15 of 255" if _darkest(pixels) else ""
    name = {0: "black", 255: "white"}.get(int(first[0])) if (first == first[0]).all() else None
    shown = name or f"of one colour ({', '.join(map(str, first))})"
    return f"every pixel is {shown}: there is nothing to be seen in it"


def _darkest(pixels: Pixels) -> bool:
    return int(pixels[0].max()) < 16 and int(pixels.max()) < 16


def _bands(values: NDArray[np.generic]) -> Iterator[slice]:
    """Slices of rows that together cover an array, each of a bounded number of values."""
    rows = max(_BAND // max(values[:1].size, 1), 1)
    return (slice(start, start + rows) for start in range(0, len(values), rows))
