"""PNG: every checksum is verified, and only what makes pixels goes to the decoder.

Profiles, texts and other chunks may be as large as they like: they are passed over, so no decoder's
limit on them takes a whole file for a damaged one.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from io import BufferedReader

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.held import Held, sensible
from pathsegmentor.imaging.levels import as_rgb, bits_note, bits_used, eight_bits, over_white
from pathsegmentor.imaging.scale import of_exif, per_unit

SIGNATURE = b"\x89PNG\r\n\x1a\n"
_PIXELS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
_SAID = (b"pHYs", b"eXIf", b"iCCP", b"iTXt", b"zTXt", b"tEXt")
_XMP = b"XML:com.adobe.xmp\0"
_RAW_EXIF = b"Raw profile type exif\0"
_ORIENTATION, _METRE = 274, 1e6
# Of what describes a picture no more is looked at, as stored and unpacked.
_MOST_SAID = 1 << 24
_AT_ONCE = 1 << 20
_HEADER = 13


@dataclass
class _Chunks:
    """A walk through the chunks of a file, in order."""

    file: BufferedReader
    size: int
    keep: bool = True
    # By kind, or by the name of a text; the first counts.
    said: dict[bytes, bytes] = field(default_factory=dict)
    pixels: list[bytes] = field(default_factory=lambda: [SIGNATURE])

    def to_pixels(self) -> None:
        """Walk on until pixels, or the end, come next."""
        while (head := self.file.read(8))[4:] not in (b"IDAT", b"IEND"):
            self._pass(head)
        self.file.seek(-8, 1)

    def to_end(self) -> None:
        """Walk on until the end has been read."""
        while (head := self.file.read(8))[4:] != b"IEND":
            self._pass(head)
        self._pass(head)

    def _pass(self, head: bytes) -> None:
        """Read a chunk, verify it, and keep what is needed of it; raises ``BadInput`` (without a path)."""
        length = int.from_bytes(head[:4], "big")
        kind, start = head[4:], self.file.tell()
        if len(head) < 8 or start + length + 4 > self.size:
            raise BadInput("is damaged or cut short: its last chunk does not end")
        if not re.fullmatch(rb"[A-Za-z]{4}", kind):
            raise BadInput(f"is damaged at byte {start - 8:,}: no chunk begins there")
        kept: list[bytes] | None = None
        if (self.keep and kind in _PIXELS) or (kind in _SAID and length <= _MOST_SAID):
            kept = []
        crc = zlib.crc32(kind)
        for part in self._parts(length):
            crc = zlib.crc32(part, crc)
            if kept is not None:
                kept.append(part)
        check = self.file.read(4)
        if int.from_bytes(check, "big") != crc:
            raise BadInput(f"is damaged: the checksum of its {kind.decode()} chunk at byte {start - 8:,} is wrong")
        if kept is not None and kind in _PIXELS:
            self.pixels += [head, *kept, check]
        elif kept is not None:
            self._hear(kind, b"".join(kept))
        elif kind == b"iCCP":
            self.said.setdefault(kind, b"")
        elif kind[:1].isupper() and kind not in _PIXELS:
            raise BadInput(f"is a kind of PNG that cannot be read (chunk {kind.decode()}); save it as plain PNG")

    def _parts(self, length: int) -> Iterator[bytes]:
        while length:
            part = self.file.read(min(length, _AT_ONCE))
            if not part:
                raise BadInput("is damaged or cut short")
            length -= len(part)
            yield part

    def _hear(self, kind: bytes, data: bytes) -> None:
        for name in (_XMP, _RAW_EXIF):
            if data.startswith(name):
                self.said.setdefault(name, _text(kind, data[len(name) :]))
                return
        if kind in (b"pHYs", b"eXIf", b"iCCP"):
            self.said.setdefault(kind, data)


def open_png(file: BufferedReader, size: int) -> Held:
    """The header of a PNG file of so many bytes; raises ``BadInput`` (without a path) for a damaged one."""
    file.seek(len(SIGNATURE))
    header = file.read(8 + _HEADER)
    if header[:8] != _HEADER.to_bytes(4, "big") + b"IHDR" or len(header) < 8 + _HEADER:
        raise BadInput("is damaged: it does not begin with its size")
    width, height = (int.from_bytes(header[i : i + 4], "big") for i in (8, 12))
    file.seek(len(SIGNATURE))
    chunks = _Chunks(file, size)
    # What describes the pixels mostly stands before them.
    chunks.to_pixels()
    held = Held(width, height, lambda held: _decoded(chunks, held))
    _describe(held, chunks)
    return held


def check_png(file: BufferedReader, size: int) -> None:
    """Verify all checksums; raises ``BadInput`` (without a path)."""
    file.seek(len(SIGNATURE))
    _Chunks(file, size, keep=False).to_end()


def _decoded(chunks: _Chunks, held: Held) -> NDArray[np.uint8]:
    import imagecodecs

    chunks.to_end()
    _describe(held, chunks)
    data = b"".join(chunks.pixels)
    chunks.pixels.clear()
    values = imagecodecs.png_decode(data)
    del data
    values = values[..., None] if values.ndim == 2 else values
    colours, alpha = values, None
    if values.shape[2] in (2, 4):
        colours, alpha = values[..., :-1], values[..., -1]
    bits = bits_used(colours)
    held.notes.append(bits_note(bits, 8 * values.itemsize))
    rgb = as_rgb(eight_bits(colours, bits))
    if alpha is None:
        return rgb
    rgb, note = over_white(rgb, eight_bits(alpha, bits_used(alpha)))
    held.notes.append(note)
    return rgb


def _describe(held: Held, chunks: _Chunks) -> None:
    """Scale, orientation and profile, as far as the walk has heard of them."""
    said, held.statements = chunks.said, []
    size = said.get(b"pHYs", b"")
    if len(size) == 9 and size[8] == 1:
        x, y = (int.from_bytes(size[i : i + 4], "big") for i in (0, 4))
        held.statements.append(per_unit("pHYs chunk", (x, y), _METRE))
    exif = Image.Exif()
    data = said.get(b"eXIf") or _raw_profile(said.get(_RAW_EXIF, b""))
    try:
        exif.load(data)
        held.orientation = sensible(exif.get(_ORIENTATION))
        held.statements.append(of_exif(exif))
    except Exception:  # a broken description is none; the pixels are checked on their own
        held.orientation = 1
    turned = re.search(rb'tiff:Orientation(?:="|>)([1-8])', said.get(_XMP, b""))
    if _ORIENTATION not in exif and turned:
        held.orientation = int(turned[1])
    if b"iCCP" in said:
        _, _, packed = said[b"iCCP"].partition(b"\0")
        held.profile = _unpacked(packed[1:])


def _text(kind: bytes, rest: bytes) -> bytes:
    """The text of a chunk behind its name, unpacked."""
    if kind == b"iTXt":
        packed, rest = rest[:1] == b"\1", rest[2:]
        text = rest.split(b"\0", 2)[-1]
        return _unpacked(text) if packed else text
    return _unpacked(rest[1:]) if kind == b"zTXt" else rest


def _unpacked(data: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(data, _MOST_SAID)
    except zlib.error:
        return b""


def _raw_profile(text: bytes) -> bytes:
    """EXIF as some programs keep it in PNG: a title, a length, and hexadecimal digits."""
    try:
        return bytes.fromhex(b"".join(text.split(b"\n")[3:]).decode("ascii"))
    except ValueError:
        return b""
