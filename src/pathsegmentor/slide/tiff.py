"""TIFF slides by tifffile: Aperio, OME-TIFF, generic pyramids and large plain files, piece by piece."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.levels import as_rgb, over_white
from pathsegmentor.imaging.scale import agreed
from pathsegmentor.imaging.tiff import SIGNATURES
from pathsegmentor.imaging.tiff_scale import statements
from pathsegmentor.slide.packed import check_packed
from pathsegmentor.slide.source import DAMAGED, UNSTORED, Box, Patch, levels_of

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

# Smaller plain TIFF are pictures, whatever they hold; these sizes are pixels.
SMALLEST_STRIPED, _LARGEST_PIECE = 25_000_000, 1 << 26
_MOST_PAGES = 1 << 16
_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _YCBCR = 0, 1, 2, 6
_JPEG, _APERIO_YCBCR, _GENERAL = (6, 7, 33007, 34892), 33003, (1, 5, 8, 32773, 32946, 34925, 50000)
_ASSOCIATED, _UNASSOCIATED = 1, 2


class TiffReader:
    """Aperio, OME-TIFF and generic TIFF of 8-bit colours."""

    name = "tiff"

    def knows(self, path: Path) -> bool:
        """Whether it is a TIFF that is a pyramid, tiled, or large, and no other maker's."""
        if not is_tiff(path):
            return False
        import tifffile

        with suppress(Exception), tifffile.TiffFile(path) as file:
            first = file.pages.first
            if other_maker(file):
                return False
            large = first.imagewidth * first.imagelength > SMALLEST_STRIPED
            return file.is_svs or first.is_tiled or large or (file.is_ome and bool(first.subifds))
        return False

    def open(self, path: Path) -> TiffSource:
        """Open it; raises ``BadInput`` (without the path)."""
        return TiffSource(path)


def is_tiff(path: Path) -> bool:
    """Whether a file begins as TIFF does."""
    try:
        with path.open("rb") as file:
            return file.read(4) in SIGNATURES
    except OSError:
        return False


def check_directories(path: Path) -> None:
    """Refuse a TIFF whose directories lead back to one another, or behind its end, as those of a copy that stopped do.

    Raises ``BadInput`` (without the path).
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(16)
        order: Literal["little", "big"] = "little" if start[:2] == b"II" else "big"
        big = int.from_bytes(start[2:4], order) == 43
        counted, entry, link = (8, 20, 8) if big else (2, 12, 4)
        at, seen = int.from_bytes(start[8:16] if big else start[4:8], order), set[int]()
        while at:
            if at in seen or len(seen) > _MOST_PAGES:
                raise BadInput("is damaged: its directories (pages) lead back to one another without an end")
            # Pages before that one may be whole: nothing else would tell.
            if seen and at >= size:
                raise BadInput("is damaged or cut short: a page of it is missing")
            seen.add(at)
            file.seek(at)
            count = int.from_bytes(file.read(counted), order)
            if count > 1 << 16:
                return
            file.seek(at + counted + count * entry)
            at = int.from_bytes(file.read(link), order)


def other_maker(file: TiffFile) -> str:
    """The maker of a TIFF whose pages only OpenSlide can put together; "" for all others."""
    for name in ("ndpi", "scn", "philips", "bif"):
        if getattr(file, f"is_{name}"):
            return name
    return ""


class TiffSource:
    """One open TIFF slide; every piece is read and decoded on its own."""

    def __init__(self, path: Path) -> None:
        import tifffile

        self._tiff = tifffile.TiffFile(path)
        try:
            self._open(path)
        except BaseException:
            self._tiff.close()
            raise

    def _open(self, path: Path) -> None:
        if not self._tiff.series:
            raise BadInput("is damaged or cut short: no page of it can be read")
        series = self._tiff.series[0]
        self._levels = [_pages(level) for level in series.levels]
        for pages in self._levels:
            _check(pages)
        # Some pyramids are listed from small to large.
        self._levels.sort(key=lambda pages: -pages[0].imagewidth)
        sizes = [(pages[0].imagewidth, pages[0].imagelength) for pages in self._levels]
        self.levels = levels_of(sizes, [_piece_size(pages[0]) for pages in self._levels])
        page = self._levels[0][0]
        self.scale = agreed(statements(self._tiff.pages.first, page))
        self.bounds: Box | None = None
        self.files: tuple[Path, ...] = (path,)
        self.associated: tuple[str, ...] = tuple(s.name for s in self._tiff.series[1:]) if self._tiff.is_svs else ()
        self.notes: tuple[str, ...] = tuple(_notes(self._tiff, page))
        self._size = path.stat().st_size
        self._file = os.open(path, os.O_RDONLY)

    def close(self) -> None:
        """Give the file back."""
        self._tiff.close()
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def patch(self, level: int, x: int, y: int, width: int, height: int) -> Patch:
        """Pixels of a rectangle of a level, decoded piece by piece."""
        pages = self._levels[level]
        wide, high = self.levels[level].piece
        across = -(-self.levels[level].width // wide)
        out = np.full((height, width, 3), 255, np.uint8)
        lost = np.zeros((height, width), np.uint8)
        for row in range(y // high, (y + height - 1) // high + 1):
            for column in range(x // wide, (x + width - 1) // wide + 1):
                target = _cut(row * high, y, high, height), _cut(column * wide, x, wide, width)
                piece = self._piece(pages, row * across + column)
                if isinstance(piece, int):
                    lost[target] = piece
                    continue
                source = tuple(
                    slice(t.start + offset - first, t.stop + offset - first)
                    for t, offset, first in zip(target, (y, x), (row * high, column * wide), strict=True)
                )
                out[target] = piece[source]
        return Patch(out, lost if lost.any() else None)

    def _piece(self, pages: list[TiffPage], index: int) -> NDArray[np.uint8] | int:
        """Colours of one strip or tile, or why there are none."""
        decoded = [self._decoded(page, index) for page in pages]
        if len(pages) > 1 or (pages[0].planarconfig == 2 and pages[0].samplesperpixel > 1):
            decoded = decoded if len(pages) > 1 else self._planes(pages[0], index)
        bad = [piece for piece in decoded if isinstance(piece, int)]
        if bad:
            return max(bad)
        values = [piece for piece in decoded if not isinstance(piece, int)]
        return _colours(pages[0], np.concatenate(values, axis=2) if len(values) > 1 else values[0], len(pages) > 1)

    def _planes(self, page: TiffPage, index: int) -> list[NDArray[np.uint8] | int]:
        count = int(np.prod(page.chunked)) // page.samplesperpixel
        return [self._decoded(page, index + plane * count) for plane in range(page.samplesperpixel)]

    def _decoded(self, page: TiffPage, index: int) -> NDArray[np.uint8] | int:
        places, lengths = page.dataoffsets, page.databytecounts
        if index >= len(places) or index >= len(lengths):
            return DAMAGED
        place, length = places[index], lengths[index]
        if not place or not length:
            return UNSTORED
        if place + length > self._size:
            return DAMAGED
        try:
            data = os.pread(self._file, length, place)
            wide, high = _piece_size(page)
            check_packed(data, wide, high, int(page.compression) in _JPEG)
            tables = {"jpegtables": page.jpegtables, "jpegheader": page.jpegheader}
            more: dict[str, Any] = tables if int(page.compression) in _JPEG else {}
            piece, _, shape = page.keyframe.decode(data, index, **more)
        except Exception:  # decoders raise many classes on broken data; the piece is lost, not the slide
            return DAMAGED
        if piece is None:
            return UNSTORED
        whole = np.asarray(piece)[0]
        return whole if whole.shape[0] >= shape[1] and whole.shape[1] >= shape[2] else DAMAGED


def _pages(level: Any) -> list[TiffPage]:
    """The page of a level, or its red, green and blue; of stacks the first plane."""
    pages = [page for page in level.pages[:3] if page is not None]
    if not pages:
        raise BadInput("is damaged: a page of its picture is missing")
    first = pages[0].aspage()
    if first.samplesperpixel == 1 and "C" in level.axes and level.shape[level.axes.index("C")] == 3:
        if len(pages) < 3:
            raise BadInput("is damaged: a page of its picture is missing")
        return [page.aspage() for page in pages]
    return [first]


def _check(pages: list[TiffPage]) -> None:
    """Refuse what is no bright-field picture of 8 bits; raises ``BadInput`` (without the path)."""
    page = pages[0]
    if page.imagedepth > 1:
        raise BadInput("holds a volume; save one plane of it as 8-bit RGB")
    if page.dtype != np.uint8 or page.bitspersample != 8:
        raise BadInput(f"holds values of type {page.dtype}; slides are read as 8-bit RGB: convert it")
    if int(page.photometric) not in (_WHITE_IS_ZERO, _BLACK_IS_ZERO, _RGB, _YCBCR):
        raise BadInput(f"holds colours of kind {page.photometric!r}; convert it to 8-bit RGB")
    channels = page.samplesperpixel * len(pages)
    if channels not in (1, 3, 4):
        raise BadInput(f"holds {channels} channels, which are not red, green and blue; convert it to 8-bit RGB")
    if len({(p.imagewidth, p.imagelength, _piece_size(p)) for p in pages}) > 1:
        raise BadInput("is damaged: its colours have different sizes")
    wide, high = _piece_size(page)
    if not 0 < wide * high <= _LARGEST_PIECE:
        raise BadInput(f"is stored in pieces of {wide} x {high} pixels, which cannot be read one by one; save it tiled")


def _piece_size(page: TiffPage) -> tuple[int, int]:
    if page.is_tiled:
        return page.tilewidth, page.tilelength
    return page.imagewidth, min(page.rowsperstrip or page.imagelength, page.imagelength)


def _colours(page: TiffPage, values: NDArray[np.uint8], separate: bool) -> NDArray[np.uint8]:
    kind, packing = int(page.photometric), int(page.compression)
    if values.shape[2] == 4:
        premultiplied = _ASSOCIATED in tuple(int(k) for k in page.extrasamples)
        alpha = values[..., 3]
        if not alpha.any():
            return np.full((*values.shape[:2], 3), 255, np.uint8)
        return over_white(np.ascontiguousarray(values[..., :3]), alpha, premultiplied)[0]
    if kind == _WHITE_IS_ZERO and not separate:
        values = 255 - values
    if (kind == _YCBCR and packing in _GENERAL) or packing == _APERIO_YCBCR:
        values = np.asarray(cv2.cvtColor(np.ascontiguousarray(values[..., (0, 2, 1)]), cv2.COLOR_YCrCb2RGB), np.uint8)
    return as_rgb(values)


def _notes(tiff: TiffFile, page: TiffPage) -> list[str]:
    notes = []
    planes = int(
        np.prod([n for axis, n in zip(tiff.series[0].axes, tiff.series[0].shape, strict=True) if axis in "ZTI"])
    )
    if planes > 1:
        notes.append(f"it holds {planes} planes (depth or time); the first was read")
    if page.iccprofile:
        notes.append("its colour profile was not applied: values are taken as stored")
    if page.samplesperpixel == 4:
        notes.append("what is transparent was laid over white")
    return notes


def _cut(first: int, origin: int, piece: int, side: int) -> slice:
    """The part of a region (from ``origin``, of ``side`` pixels) that a piece covers, counted from its origin."""
    return slice(max(first - origin, 0), min(first + piece - origin, side))
