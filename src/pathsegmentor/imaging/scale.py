"""What a file says about its scale, in one or several places, and what may be believed."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from PIL import ExifTags

from pathsegmentor.imaging.picture import COARSEST, FINEST, UNSAID

# Statements of one file may differ by rounding, not by more.
LARGEST_RATIO = 1.05
# The units of the OME schema (its SI prefixes below), in um; those larger than a slide are there to be implausible.
_PREFIXES = {
    "Y": 24, "Z": 21, "E": 18, "P": 15, "T": 12, "G": 9, "M": 6, "k": 3, "h": 2, "da": 1, "": 0, "d": -1, "c": -2,
    "m": -3, "µ": -6, "n": -9, "p": -12, "f": -15, "a": -18, "z": -21, "y": -24,
}  # fmt: skip
_INCH = 25_400.0
_UNITS = {f"{prefix}m": 10.0 ** (power + 6) for prefix, power in _PREFIXES.items()} | {
    "Å": 1e-4,
    "thou": _INCH / 1000,
    "li": _INCH / 12,
    "in": _INCH,
    "ft": _INCH * 12,
    "yd": _INCH * 36,
    "mi": _INCH * 63_360,
    "pt": _INCH / 72,
    "um": 1.0,
}
_WORDS = {
    "micron": 1.0, "microns": 1.0, "micrometer": 1.0, "micrometre": 1.0, "micrometers": 1.0, "micrometres": 1.0,
    "nanometer": 1e-3, "nanometre": 1e-3, "millimeter": 1e3, "millimetre": 1e3, "centimeter": 1e4, "centimetre": 1e4,
    "meter": 1e6, "metre": 1e6, "inch": _INCH, "inches": _INCH, '"': _INCH,
}  # fmt: skip
_NO_LENGTH = ("", "pixel", "pixels", "reference frame")


@dataclass(frozen=True)
class Statement:
    """One place in a file that speaks of its scale: where, and um per pixel (x, y) or why it cannot be read.

    ``usual`` marks a value that programs write when nobody told them a scale.
    """

    where: str
    mpp: tuple[float, float] | None = None
    unreadable: str = ""
    usual: bool = False


@dataclass(frozen=True)
class Scale:
    """Um per pixel (x, y) of the stored pixels; None with the reason if the file's statements give none."""

    mpp: tuple[float, float] | None
    no_mpp: str = UNSAID
    note: str = ""


def unit_um(unit: str) -> float | None:
    """A unit of length in um; None for what is no length; raises ``ValueError`` for an unknown word."""
    # Micro sign and Greek mu look alike; UTF-8 that was once taken for Latin-1 shows as two letters.
    plain = unit.strip().replace("Â\u00b5", "µ").replace("Î¼", "µ").replace("\u03bc", "µ").replace("\\u00B5", "µ")
    if plain.lower() in _NO_LENGTH:
        return None
    factor = _UNITS.get(plain, _WORDS.get(plain.lower()))
    if factor is None:
        raise ValueError(f"'{unit}' is no unit of length")
    return factor


def stated(where: str, x: float, y: float) -> Statement:
    """A statement in um per pixel; what no microscope would write (72 dpi is 353 um) says nothing."""
    if all(math.isfinite(v) and FINEST <= v <= COARSEST for v in (x, y)):
        return Statement(where, (float(x), float(y)))
    return Statement(where)


def per_unit(where: str, dots: Sequence[Any], unit: float) -> Statement:
    """A statement in pixels (x, y) per unit of so many um; exactly one pixel per um is what some writers fill in."""
    try:
        x, y = (float(value) for value in dots)
        said = stated(where, unit / x, unit / y)
    except (TypeError, ValueError, ZeroDivisionError, OverflowError):
        return Statement(where)
    return Statement(where, said.mpp, usual=said.mpp is not None and _close(said.mpp, (1.0, 1.0), 1.0001))


def of_exif(exif: Mapping[int, Any]) -> Statement:
    """What EXIF's resolution says; a missing unit is inches."""
    base = ExifTags.Base
    unit = {2: _INCH, 3: 10_000.0}.get(exif.get(base.ResolutionUnit, 2))
    x, y = exif.get(base.XResolution), exif.get(base.YResolution)
    return per_unit("EXIF resolution", (x, y), unit) if unit and x and y else Statement("EXIF resolution")


def agreed(statements: Sequence[Statement]) -> Scale:
    """The scale that all statements agree on; they are ordered, the most trusted kind first.

    A value that programs fill in by themselves gives way to any other statement.
    """
    speaking = [s for s in statements if s.mpp or s.unreadable]
    told = [s for s in speaking if not s.usual] or speaking
    if not told:
        return Scale(None)
    first = told[0]
    if first.unreadable:
        return Scale(None, f"its {first.where} cannot be read ({first.unreadable})")
    for a, b in combinations([s for s in told if s.mpp], 2):
        if a.mpp and b.mpp and not _close(a.mpp, b.mpp, LARGEST_RATIO):
            return Scale(None, f"its {a.where} says {_shown(a.mpp)} um per pixel, its {b.where} {_shown(b.mpp)}")
    note = (
        f"the scale of 1 um comes from its {first.where}, where some programs write it unasked" if first.usual else ""
    )
    return Scale(first.mpp, note=note)


def _close(a: tuple[float, float], b: tuple[float, float], ratio: float) -> bool:
    return all(max(p, q) <= ratio * min(p, q) for p, q in zip(a, b, strict=True))


def _shown(mpp: tuple[float, float]) -> str:
    return f"{mpp[0]:.4g}" if _close(mpp, mpp[::-1], 1.0001) else f"{mpp[0]:.4g} x {mpp[1]:.4g}"
