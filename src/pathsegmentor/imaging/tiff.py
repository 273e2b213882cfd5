"""TIFF: one page, strip by strip or tile by tile, with every missing piece noticed."""

from __future__ import annotations

import logging
from io import BufferedReader
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.damage import check_packed_end, check_zero_tail
from pathsegmentor.imaging.held import Held, sensible
from pathsegmentor.imaging.levels import (
    as_rgb,
    bits_note,
    bits_used,
    eight_bits,
    from_cmyk,
    over_white,
)
from pathsegmentor.imaging.tiff_pages import picture_pages
from pathsegmentor.imaging.tiff_scale import is_ome, ome_root, statements

if TYPE_CHECKING:
    from tifffile import TiffPage

SIGNATURES = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _PALETTE, _INK, _YCBCR = 0, 1, 2, 3, 5, 6
_NAMES = {4: "a mask", 8: "CIELab", 9: "ICCLab", 10: "ITULab", 32803: "a camera's raw data", 34892: "raw data"}
_COLOURS = {_WHITE_IS_ZERO: 1, _BLACK_IS_ZERO: 1, _RGB: 3, _PALETTE: 1, _INK: 4, _YCBCR: 3}
_ORIENTATION, _MOST_VALUE = 274, 281
# Ink with its transparency has five; tiles are for reading a part.
_MOST_CHANNELS, _LARGEST_TILE = 5, 1 << 26
_PLAIN, _APERIO_YCBCR = 1, 33003
_JPEG = (6, 7, 33007, 34892)
# These hand over luma and chroma as they stand; the decoders of pictures give RGB.
_GENERAL = (1, 5, 8, 32773, 32946, 34925, 50000)
_ASSOCIATED, _UNASSOCIATED = 1, 2

# What it finds odd in a file ends in our notes or in our one line.
logging.getLogger("tifffile").addHandler(logging.NullHandler())


def open_tiff(file: BufferedReader, size: int) -> Held:
    """The header of a TIFF file; raises ``BadInput`` (without a path), and what tifffile raises."""
    import tifffile

    tiff = tifffile.TiffFile(file)
    pages, notes = picture_pages(tiff)
    page = pages[0]
    if page.imagedepth > 1:
        raise BadInput("holds a volume; save one plane of it as 8-bit RGB")
    if page.samplesperpixel > _MOST_CHANNELS:
        raise BadInput(f"holds {page.samplesperpixel} channels; save it as 8-bit RGB")
    if page.is_tiled and page.tilewidth * page.tilelength > _LARGEST_TILE:
        raise BadInput(f"is damaged: its tiles are {page.tilewidth} x {page.tilelength} pixels large")
    first = tiff.pages.first
    stated = _stated_bits(page, first.description)
    held = Held(page.imagewidth, page.imagelength, lambda held: _decoded(pages, size, stated, held))
    held.statements += statements(first, page)
    held.orientation = sensible(page.tags.valueof(_ORIENTATION))
    held.profile = page.iccprofile
    held.notes += notes
    return held


def _decoded(pages: list[TiffPage], size: int, stated: int, held: Held) -> NDArray[np.uint8]:
    page = pages[0]
    kind = int(page.photometric)
    if kind not in _COLOURS:
        raise BadInput(f"holds {_NAMES.get(kind, f'colours of kind {kind}')}; save it as 8-bit RGB")
    if page.dtype is None or page.dtype.kind not in "uib":
        raise BadInput("holds floating-point values; save it as 8-bit RGB")
    holes: list[tuple[slice, slice]] = []
    if len(pages) > 1:
        values = np.concatenate([_values(one, size, holes) for one in pages], axis=2)
        kind = _RGB
    else:
        values = _values(page, size, holes)
    colours = min(_COLOURS[kind], values.shape[2])
    if colours not in (1, 3, 4) or (kind in (_RGB, _YCBCR) and colours != 3):
        raise BadInput(f"holds {values.shape[2]} channels; save it as 8-bit RGB")
    rgb, bits = _rgb(page, kind, values[..., :colours], stated, held)
    flat = _flat(page, rgb, values[..., colours:], bits, held)
    for hole in holes:
        flat[hole] = 255
    if holes:
        held.notes.append(
            f"{len(holes)} of its tiles were never stored, as scanners do with glass, and were left white"
        )
    return flat


def _rgb(page: TiffPage, kind: int, values: NDArray[Any], stated: int, held: Held) -> tuple[NDArray[np.uint8], int]:
    """Colours (H, W, 3) of stored values (H, W, C), and the bits that these use."""
    if kind == _PALETTE:
        return _from_palette(page, values[..., 0], held), 8
    bits = bits_used(values, stated)
    held.notes.append(bits_note(bits, 8 * values.itemsize if values.dtype != np.bool_ else 1))
    plain = eight_bits(values, bits)
    if kind == _INK:
        return from_cmyk(plain), bits
    if kind == _WHITE_IS_ZERO:
        plain = 255 - plain
    ycbcr = kind == _YCBCR and int(page.compression) in _GENERAL
    if ycbcr or int(page.compression) == _APERIO_YCBCR:
        plain = np.asarray(cv2.cvtColor(np.ascontiguousarray(plain[..., (0, 2, 1)]), cv2.COLOR_YCrCb2RGB), np.uint8)
    return as_rgb(plain), bits


def _from_palette(page: TiffPage, codes: NDArray[Any], held: Held) -> NDArray[np.uint8]:
    """Colours that a map of 16 bits names; some writers put values of 8 bits into it."""
    palette = np.asarray(page.colormap)
    if palette.ndim != 2 or palette.shape[0] != 3 or codes.max() >= palette.shape[1] or codes.min() < 0:
        raise BadInput("is damaged: its palette does not fit its values")
    bits = bits_used(palette)
    if bits < 16:
        held.notes.append(f"the colours of its palette use {bits} of 16 bits and were read as {bits}-bit")
    table = np.ascontiguousarray(eight_bits(palette, bits).T)
    return np.take(table, codes, axis=0)


def _flat(page: TiffPage, rgb: NDArray[np.uint8], extra: NDArray[Any], bits: int, held: Held) -> NDArray[np.uint8]:
    """Colours laid over white by the first further channel that is transparency; others are passed over."""
    if not extra.shape[2]:
        return rgb
    # Without a word on it, a fourth channel beside RGB is transparency by old custom.
    kinds = tuple(int(kind) for kind in page.extrasamples) or (_UNASSOCIATED,)
    at = next((i for i, kind in enumerate(kinds[: extra.shape[2]]) if kind in (_ASSOCIATED, _UNASSOCIATED)), None)
    others = extra.shape[2] - (at is not None)
    if others:
        held.notes.append(f"{others} further channel{'s' * (others > 1)} of unknown meaning passed over")
    if at is None:
        return rgb
    premultiplied = kinds[at] == _ASSOCIATED
    alpha = extra[..., at]
    flat, note = over_white(rgb, eight_bits(alpha, bits if premultiplied else bits_used(alpha)), premultiplied)
    held.notes.append(note)
    return flat


def _stated_bits(page: TiffPage, text: str) -> int:
    """Bits that the file itself gives its values, if fewer than their container's; else 16."""
    told = [page.bitspersample] if isinstance(page.bitspersample, int) else []
    most = page.tags.valueof(_MOST_VALUE)
    most = most[0] if isinstance(most, tuple) and most else most
    if isinstance(most, int) and 255 <= most < 65_535:
        told.append(most.bit_length())
    if is_ome(text):
        try:
            pixels = ome_root(text).find(".//{*}Pixels")
            told.append(int(pixels.get("SignificantBits", "16")) if pixels is not None else 16)
        except ValueError:
            pass
    return min([bits for bits in told if 8 <= bits < 16], default=16)


def _values(page: TiffPage, size: int, holes: list[tuple[slice, slice]]) -> NDArray[Any]:
    """Stored values (H, W, C) of a page; where tiles were left out, rows and columns are added to ``holes``.

    Raises ``BadInput`` (without a path) if any other piece is missing.
    """
    planes, _, height, width, samples = page.shaped
    out = np.zeros((planes, height, width, samples), page.dtype)
    count = int(np.prod(page.chunked))
    places, lengths = page.dataoffsets, page.databytecounts
    if len(places) < count or len(lengths) < count:
        raise BadInput(f"is damaged: {count - min(len(places), len(lengths))} of {count} pieces are not listed")
    missing, empty_last, any_filled = 0, 0, False
    for index, (place, length) in enumerate(zip(places[:count], lengths[:count], strict=True)):
        if not length or not place:
            _, (_, _, y, x, _), shape = page.decode(None, index, **_tables(page))
            holes.append((slice(y, y + shape[1]), slice(x, x + shape[2])))
            missing += 1
            continue
        data = _piece(page, place, length, size)
        filled = any(data) if length < 4096 else bool(np.frombuffer(data, np.uint8).any())
        segment, (plane, _, y, x, _), _ = page.decode(data, index, **_tables(page))
        if segment is None:
            raise BadInput(f"is damaged: piece {index + 1} of {count} is empty")
        target = out[plane, y : y + segment.shape[1], x : x + segment.shape[2]]
        target[...] = segment[0, : target.shape[0], : target.shape[1]]
        any_filled |= filled
        empty_last = 0 if filled else empty_last + target.shape[0]
    if missing and (not page.is_tiled or missing == count):
        raise BadInput(f"is damaged: {missing} of its {count} pieces are missing")
    if int(page.compression) == _PLAIN and not page.is_tiled and any_filled:
        black = int(page.photometric) in (_BLACK_IS_ZERO, _RGB) and not page.extrasamples
        check_zero_tail(out.reshape(planes * height, width, samples), black, empty_last)
    return np.moveaxis(out, 0, -1).reshape(height, width, planes) if samples == 1 else out[0]


def _piece(page: TiffPage, place: int, length: int, size: int) -> bytes:
    """The bytes of a strip or tile."""
    if place + length > size:
        raise BadInput("is damaged or cut short")
    handle = page.parent.filehandle
    handle.seek(place)
    data: bytes = handle.read(length)
    if len(data) < length:
        raise BadInput("is damaged or cut short")
    if int(page.compression) != _PLAIN:
        check_packed_end(data)
    if int(page.compression) in _JPEG and b"\xff\xd9" not in data[-64:]:
        raise BadInput("is damaged or cut short: a piece of its pixels has no end")
    return data


def _tables(page: TiffPage) -> dict[str, Any]:
    """What JPEG pieces share."""
    if int(page.compression) not in _JPEG:
        return {}
    return {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
