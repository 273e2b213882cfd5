"""Changes to bytes and JSON that break them in the ways files are really broken, and in those of an attacker."""

from __future__ import annotations

import copy
import json
import random
import struct
import zlib
from collections.abc import Iterator, MutableMapping, MutableSequence
from typing import Any

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, 1, -1, 2, 7, 0.5, -0.0, 1e-30, 1e308, float("nan"), float("inf"), 2**31, 2**63, 10**30,
    "", " ", "a", "0", "-", "é", "e\u0301", "\u0000", "\x1b[31m", "\u202e", "../../etc/passwd", "x" * 5000,
    [], {}, [[]], [None], [0, 1], {"type": "Sequence"}, [[[[[[[[]]]]]]]],
)  # fmt: skip


def broken_bytes(rng: random.Random, data: bytes) -> bytes:
    """Flipped bits, a cut, a zeroed tail, swapped or repeated pieces, extreme numbers; more often in the header."""
    changed = bytearray(data)
    for _ in range(rng.choice((1, 1, 1, 2, 4))):
        if not changed:
            break
        at = rng.randrange(len(changed) if rng.random() < 0.5 else min(len(changed), 400))
        how = rng.randrange(7)
        if how == 0:
            changed[at] ^= 1 << rng.randrange(8)
        elif how == 1:
            del changed[at:]
        elif how == 2:
            changed[at:] = bytes(len(changed) - at)
        elif how == 3:
            other, size = rng.randrange(len(changed)), rng.choice((1, 2, 4, 8, 64))
            changed[at : at + size], changed[other : other + size] = (
                changed[other : other + size],
                changed[at : at + size],
            )
        elif how == 4:
            piece = changed[at : at + rng.choice((1, 8, 500))]
            changed[at:at] = piece * rng.choice((1, 3, 50))
        elif how == 5:
            number = rng.choice((0, 1, 0x7F, 0xFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF))
            changed[at : at + 4] = struct.pack(rng.choice("<>") + "I", number)
        else:
            del changed[at : at + rng.choice((1, 4, 100))]
    return bytes(changed)


def with_right_checksums(png: bytes) -> bytes:
    """A PNG whose chunks have the checksum of what they hold, so that its contents are looked at."""
    out, at = bytearray(png[:8]), 8
    while at + 12 <= len(png):
        (size,) = struct.unpack(">I", png[at : at + 4])
        body = png[at + 4 : at + 8 + size]
        out += png[at : at + 4] + body + struct.pack(">I", zlib.crc32(body))
        at += 12 + size
    return bytes(out)


def broken_json(rng: random.Random, document: Any) -> str:
    """A document with some values replaced, removed, moved, nested or said twice; sometimes broken as text too."""
    changed = [copy.deepcopy(document)]
    for _ in range(rng.choice((1, 1, 1, 2, 5))):
        places = list(_places(changed))
        holder, key = rng.choice(places)
        how = rng.randrange(6)
        if how <= 2:
            holder[key] = copy.deepcopy(rng.choice(ODD_VALUES))
        elif how == 3:
            other, its_key = rng.choice(places)
            holder[key] = copy.deepcopy(other[its_key])
        elif how == 4 and holder is not changed:
            del holder[key]
        else:
            value = holder[key]
            number = isinstance(value, int | float) and not isinstance(value, bool)
            holder[key] = value * rng.choice((-1, 1000, 1.5)) if number else [value] * rng.choice((1, 2, 200))
    text = json.dumps(changed[0])
    if rng.random() < 0.1:
        deep = rng.choice((50, 2000, 100_000))
        text = rng.choice(
            ("[" * deep, "[" * deep + "]" * deep, '{"a":' * deep, text.replace("{", "{" + text[1:-1] + ",", 1))
        )
    if rng.random() < 0.15:
        text = broken_bytes(rng, text.encode()).decode("utf-8", "surrogateescape")
    return text


def _places(holder: Any) -> Iterator[tuple[Any, Any]]:
    """Every (table or list, key) of a document; of endless lists only the first members."""
    keys: list[Any] = []
    if isinstance(holder, MutableMapping):
        keys = list(holder)
    elif isinstance(holder, MutableSequence):
        keys = list(range(min(len(holder), 30)))
    for key in keys[:300]:
        yield holder, key
        yield from _places(holder[key])
