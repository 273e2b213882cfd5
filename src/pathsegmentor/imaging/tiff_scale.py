"""Where a TIFF speaks of its scale: OME-XML, ImageJ's and Aperio's descriptions, resolution tags."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pathsegmentor.imaging.scale import Statement, per_unit, stated, unit_um

if TYPE_CHECKING:
    from tifffile import TiffPage

_X, _Y, _UNIT = 282, 283, 296
# Inch, centimetre, and two that programs have added.
_TAG_UM = {2: 25_400.0, 3: 10_000.0, 4: 1_000.0, 5: 1.0}


def statements(first: TiffPage, page: TiffPage) -> list[Statement]:
    """What descriptions on the first page and resolution tags of the page that is read say, most trusted first."""
    text = first.description
    told = []
    if is_ome(text):
        told.append(_ome(text))
    dots = [_number(page, tag) for tag in (_X, _Y)]
    imagej = imagej_of(text)
    if text.startswith("Aperio"):
        told.append(_aperio(text))
    unit = str(imagej.get("unit", ""))
    if unit:
        # There the tags are pixels per this unit, and have no unit of their own.
        told.append(_imagej(unit, dots))
    else:
        tag = page.tags.valueof(_UNIT, 2)
        told.append(per_unit("resolution tags", dots, _TAG_UM[tag]) if tag in _TAG_UM else Statement("resolution tags"))
    return told


def is_ome(text: str) -> bool:
    """Whether a description is OME-XML, also if it is not whole."""
    return "<OME" in text[:2000] or ":OME " in text[:2000]


def ome_root(text: str) -> ET.Element:
    """The root of OME-XML; raises ``ValueError`` for what is damaged, or defines entities, which can blow up."""
    if "<!DOCTYPE" in text or "<!ENTITY" in text:
        raise ValueError("it defines a document type")
    try:
        return ET.fromstring(text.strip())  # noqa: S314 - entities are refused above
    except ET.ParseError as error:
        raise ValueError(f"broken XML: {error}") from error


def imagej_of(text: str) -> dict[str, Any]:
    """ImageJ's description as a dictionary, empty if it is none."""
    import tifffile

    if not text.startswith(("ImageJ=", "SCIFIO=")):
        return {}
    return dict(tifffile.tifffile.imagej_description_metadata(text))


def _ome(text: str) -> Statement:
    """PhysicalSizeX and PhysicalSizeY of the first image, um where no unit stands."""
    where = "OME-XML"
    try:
        pixels = ome_root(text).find(".//{*}Pixels")
        if pixels is None:
            return Statement(where)
        sizes = [_length(pixels, axis) for axis in "XY"]
    except ValueError as error:
        return Statement(where, unreadable=" ".join(str(error).split()))
    x, y = sizes[0] or sizes[1], sizes[1] or sizes[0]
    return stated(where, x, y) if x and y else Statement(where)


def _length(pixels: ET.Element, axis: str) -> float:
    """A physical size in um; 0 if there is none, or none that is a length."""
    size = pixels.get(f"PhysicalSize{axis}")
    unit = unit_um(pixels.get(f"PhysicalSize{axis}Unit", "um"))
    return float(size) * unit if size and unit else 0.0


def _imagej(unit: str, dots: Sequence[Any]) -> Statement:
    where = f"ImageJ description (unit={unit})"
    try:
        factor = unit_um(unit)
    except ValueError as error:
        return Statement(where, unreadable=str(error))
    said = per_unit(where, dots, factor) if factor else Statement(where)
    # Whoever set a unit has set a scale.
    return Statement(where, said.mpp)


def _aperio(text: str) -> Statement:
    import tifffile

    where = "Aperio description"
    value = tifffile.tifffile.svs_description_metadata(text).get("MPP")
    if value is None:
        return Statement(where)
    try:
        return stated(where, float(value), float(value))
    except (TypeError, ValueError):
        return Statement(where, unreadable=f"MPP = {value}")


def _number(page: TiffPage, tag: int) -> float | None:
    """A resolution, which is a fraction."""
    value = page.tags.valueof(tag)
    try:
        return value[0] / value[1] if isinstance(value, tuple) else float(value)
    except (TypeError, ValueError, ZeroDivisionError, IndexError):
        return None
