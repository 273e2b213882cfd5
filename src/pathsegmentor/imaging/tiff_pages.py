"""Which page of a TIFF is the picture, or which three pages are its colours."""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any

import numpy as np

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.tiff_scale import imagej_of, is_ome, ome_root

if TYPE_CHECKING:
    from tifffile import TiffFile, TiffPage

# Of more pages than this the rest is counted, not looked at.
_MOST_PAGES = 64
_OLD_KIND = 255
_REDUCED = 2
_PURE = {(255, 0, 0): 0, (0, 255, 0): 1, (0, 0, 255): 2}
_WORDS = {"r": 0, "red": 0, "g": 1, "green": 1, "b": 2, "blue": 2}
_NUMBERED = re.compile(r"(ch(annel)?|c)?[\s:_#-]*\d*([\s:_-]+\d+)*", re.IGNORECASE)


def picture_pages(file: TiffFile) -> tuple[list[TiffPage], list[str]]:
    """The page that holds the picture, or its red, green and blue; and notes on what else there is.

    Raises ``BadInput`` (without a path) where that cannot be told.
    """
    pages: list[Any] = list(islice(file.pages, _MOST_PAGES))
    if not pages:
        raise BadInput("is damaged or cut short: no page of it can be read")
    first = pages[0]
    if is_reduced(first):
        full = [page for page in (*pages, *(first.pages or ())) if not is_reduced(page)]
        if not full:
            raise BadInput("holds only a reduced copy of its picture; save the picture itself")
        return [max(full, key=_area)], ["its first page is a reduced copy; the full picture was read"]
    if _is_grey(first) and len(pages) > 1 and _alike(first, pages[1]):
        return _channels(file, pages)
    for number, page in enumerate(pages[1:], start=2):
        if not is_reduced(page) and _is_pyramid(first, page):
            raise BadInput(
                f"holds pages of {_size(first)} and {_size(page)} pixels (pages 1 and {number}), and does not say which"
                " of them is the picture; save that one alone"
            )
    others = sum(_alike(first, page) for page in pages[1:])
    more = "at least " if len(pages) == _MOST_PAGES else ""
    return [first], [f"it holds {more}{others + 1} pictures or planes of one size; the first was read"] * (others > 0)


def is_reduced(page: TiffPage) -> bool:
    """Whether a page says that it is a reduced copy of another."""
    return bool(page.is_reduced) or page.tags.valueof(_OLD_KIND) == _REDUCED


def _is_grey(page: TiffPage) -> bool:
    return page.samplesperpixel == 1 and page.photometric in (0, 1)


def _alike(a: TiffPage, b: TiffPage) -> bool:
    return not is_reduced(b) and a.shape == b.shape and a.dtype == b.dtype and a.photometric == b.photometric


def _area(page: TiffPage) -> int:
    return page.imagewidth * page.imagelength


def _size(page: TiffPage) -> str:
    return f"{page.imagewidth} x {page.imagelength}"


def _is_pyramid(small: TiffPage, large: TiffPage) -> bool:
    """Whether the second is the first's picture at a higher resolution, as far as its size tells."""
    ratios = (large.imagewidth / small.imagewidth, large.imagelength / small.imagelength)
    return min(ratios) >= 1.5 and max(ratios) / min(ratios) < 1.05 and small.samplesperpixel == large.samplesperpixel


def _channels(file: TiffFile, pages: Sequence[TiffPage]) -> tuple[list[TiffPage], list[str]]:
    """Grey pages of one size: colours, planes of a stack, or nobody says what."""
    text = pages[0].description
    if is_ome(text):
        kind, colours = "ome", _ome_colours(text)
    elif imagej := imagej_of(text):
        kind, colours = "imagej", _imagej_colours(file, imagej)
    else:
        raise BadInput(
            f"holds {len(pages)} grey pages, and does not say whether they are its colours; save it as 8-bit RGB"
        )
    series = next((s for s in file.series if s.kind == kind), None)
    if series is None or series.axes[-2:] != "YX" or len(series.pages) != np.prod(series.shape[:-2]):
        raise BadInput(f"holds {len(pages)} pages whose order cannot be read; save it as 8-bit RGB")
    axes, counts = series.axes[:-2], series.shape[:-2]
    numbers = np.arange(len(series.pages)).reshape(counts)
    first = tuple(slice(None) if axis == "C" else 0 for axis in axes)
    chosen = [series.pages[int(i)] for i in np.atleast_1d(numbers[first])]
    notes = []
    planes = len(series.pages) // len(chosen)
    if planes > 1:
        notes.append(f"it holds {planes} planes (depth or time); the first was read")
    if len(chosen) == 1:
        return _whole(chosen), notes
    order = _order(colours, len(chosen))
    if order == [0, 1, 2] and not _known(colours):
        notes.append("its three channels on pages of their own were taken as red, green and blue")
    return _whole([chosen[i] for i in order]), notes


def _whole(pages: Sequence[Any]) -> list[TiffPage]:
    if any(page is None for page in pages):
        raise BadInput("is damaged: a page of its picture is missing")
    return [page.aspage() for page in pages]


def _order(colours: list[tuple[str, int | None]], count: int) -> list[int]:
    """Which channel is red, green and blue; raises ``BadInput`` if they are no RGB."""
    places = [place for _, place in colours]
    if count == 3 and sorted(p for p in places if p is not None) == [0, 1, 2] and len(places) == 3:
        return [places.index(colour) for colour in range(3)]
    if count == 3 and not _known(colours):
        return [0, 1, 2]
    names = [name for name, _ in colours if name]
    shown = f" ({', '.join(names)})" if names else ""
    raise BadInput(
        f"holds {count} channels on separate pages{shown}, which are not red, green and blue; save it as RGB"
    )


def _known(colours: list[tuple[str, int | None]]) -> bool:
    """Whether anything at all is said of the channels."""
    return any(place is not None or name for name, place in colours)


def _ome_colours(text: str) -> list[tuple[str, int | None]]:
    """Name and colour (0 red, 1 green, 2 blue) of each channel of the first image."""
    try:
        pixels = ome_root(text).find(".//{*}Pixels")
    except ValueError as error:
        raise BadInput(f"holds several grey pages, and its OME-XML cannot be read ({error})") from error
    found: list[tuple[str, int | None]] = []
    for channel in [] if pixels is None else pixels.findall("{*}Channel"):
        name = channel.get("Name", "")
        name = "" if _NUMBERED.fullmatch(name.strip()) else name
        try:
            rgba = int(channel.get("Color", "-1")) & 0xFFFFFFFF
        except ValueError:
            rgba = 0xFFFFFFFF
        colour = _PURE.get((rgba >> 24, rgba >> 16 & 255, rgba >> 8 & 255))
        said = _WORDS.get(name.strip().lower())
        # A stain that is only shown in red is no red.
        found.append((name, said if name else colour))
    return found


def _imagej_colours(file: TiffFile, imagej: dict[str, Any]) -> list[tuple[str, int | None]]:
    """The colours in which ImageJ shows its channels; without any they are red, green, blue in this order."""
    tables = (file.imagej_metadata or {}).get("LUTs", [])
    tables = tables if isinstance(tables, list) else []
    names = {place: word for word, place in _WORDS.items() if len(word) > 1}
    found: list[tuple[str, int | None]] = []
    for table in tables[: int(imagej.get("channels", 1))]:
        top = tuple(int(v) for v in np.asarray(table).reshape(3, -1)[:, -1])
        place = next((place for pure, place in _PURE.items() if pure == top), None)
        grey = top == (255, 255, 255)
        found.append(("" if grey else names.get(-1 if place is None else place, f"shown as {top}"), place))
    return found
