"""What a packed piece says of itself, looked at before it is unpacked: a few bytes can ask for gigabytes."""

from __future__ import annotations

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.damage import check_packed_end

_JPEG, _JPEG2000, _JP2 = b"\xff\xd8", b"\xff\x4f\xff\x51", b"\0\0\0\x0cjP  "
_START_OF_FRAME = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_NO_LENGTH = frozenset((0x01, *range(0xD0, 0xD9)))


def check_packed(data: bytes, width: int, height: int, is_jpeg: bool) -> None:
    """Refuse a piece of JPEG or JPEG 2000 that is cut short, or larger than the piece (width, height) it fills.

    Raises ``BadInput`` (without a path).
    """
    if is_jpeg and b"\xff\xd9" not in data[-64:]:
        raise BadInput("is damaged or cut short: a piece of its pixels has no end")
    if is_jpeg:
        check_packed_end(data)
    size = packed_size(data)
    # Encoders fill up to whole blocks.
    if size and (size[0] > width + 64 or size[1] > height + 64):
        raise BadInput(f"is damaged: a piece of {width} x {height} pixels holds {size[0]} x {size[1]}")


def packed_size(data: bytes) -> tuple[int, int] | None:
    """Width and height that a stream of JPEG or JPEG 2000 says, None for others."""
    if data.startswith(_JPEG):
        return _jpeg_size(data)
    at = data.find(_JPEG2000) if data.startswith((_JPEG2000, _JP2)) else -1
    if at < 0 or len(data) < at + 24:
        return None
    x1, y1, x0, y0 = (int.from_bytes(data[at + 8 + 4 * i : at + 12 + 4 * i]) for i in range(4))
    return x1 - x0, y1 - y0


def _jpeg_size(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data) and data[at] == 0xFF:
        marker = data[at + 1]
        if marker in _START_OF_FRAME:
            return int.from_bytes(data[at + 7 : at + 9]), int.from_bytes(data[at + 5 : at + 7])
        if marker == 0xFF:
            at += 1
        elif marker in _NO_LENGTH:
            at += 2
        else:
            at += 2 + int.from_bytes(data[at + 2 : at + 4])
    return None
