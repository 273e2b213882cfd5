"""Slides that OpenSlide opens: Hamamatsu, MIRAX, Leica, Philips, Ventana, Zeiss and others, and DICOM."""

from __future__ import annotations

import threading
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.scale import Scale, agreed, stated
from pathsegmentor.slide.extra import needed
from pathsegmentor.slide.source import DAMAGED, UNSTORED, Box, Patch, levels_of

# What tifffile reads itself, see ``tiff``.
_NOT_OURS = (None, "generic-tiff", "aperio")


class OpenSlideReader:
    """All formats of OpenSlide that no other reader here reads."""

    name = "openslide"

    def knows(self, path: Path) -> bool:
        """Whether OpenSlide tells a maker's format from the file's content."""
        with suppress(Exception):
            import openslide

            return openslide.OpenSlide.detect_format(path) not in _NOT_OURS
        return False

    def open(self, path: Path) -> OpenSlideSource:
        """Open it; raises ``BadInput`` (without the path)."""
        return OpenSlideSource(path)


class OpenSlideSource:
    """One slide open in OpenSlide."""

    def __init__(self, path: Path) -> None:
        self._openslide: ModuleType = needed("openslide")
        self._path = path
        self._lock = threading.Lock()
        self._handle = self._open()
        properties = self._handle.properties
        sizes = list(self._handle.level_dimensions)
        pieces = [
            tuple(int(properties.get(f"openslide.level[{n}].tile-{side}", 256)) for side in ("width", "height"))
            for n in range(len(sizes))
        ]
        self.levels = levels_of(sizes, [(w, h) for w, h in pieces])
        self.scale = _scale(properties)
        self.bounds = _bounds(properties, sizes[0])
        self.files = _files(path, properties.get("openslide.vendor", ""))
        self.associated: tuple[str, ...] = tuple(self._handle.associated_images)
        notes = (
            []
            if self.bounds is None
            else ["only a part of its area was scanned (bounds); all positions are of the whole"]
        )
        if "openslide.icc-size" in properties:
            notes.append("its colour profile was not applied: values are taken as stored")
        self.notes: tuple[str, ...] = tuple(notes)
        colour = properties.get("openslide.background-color", "ffffff")
        self._paper = np.array([int(colour[i : i + 2], 16) for i in (0, 2, 4)], np.uint32)

    def close(self) -> None:
        """Give files back."""
        self._handle.close()

    def patch(self, level: int, x: int, y: int, width: int, height: int) -> Patch:
        """Pixels of a rectangle of a level; where that fails, of its stored pieces one by one."""
        try:
            return self._read(level, x, y, width, height)
        except self._openslide.OpenSlideError:
            return self._by_pieces(level, x, y, width, height)

    def _by_pieces(self, level: int, x: int, y: int, width: int, height: int) -> Patch:
        wide, high = self.levels[level].piece
        out = np.full((height, width, 3), 255, np.uint8)
        lost = np.zeros((height, width), np.uint8)
        for top in range(y - y % high, y + height, high):
            for left in range(x - x % wide, x + width, wide):
                x0, y0, x1, y1 = max(left, x), max(top, y), min(left + wide, x + width), min(top + high, y + height)
                place = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
                try:
                    piece = self._read(level, x0, y0, x1 - x0, y1 - y0)
                except self._openslide.OpenSlideError:
                    lost[place] = DAMAGED
                    continue
                out[place] = piece.pixels
                if piece.lost is not None:
                    lost[place] = piece.lost
        return Patch(out, lost)

    def _read(self, level: int, x: int, y: int, width: int, height: int) -> Patch:
        handle = self._handle
        down = handle.level_downsamples[level]
        try:
            image = handle.read_region((round(x * down), round(y * down)), level, (width, height))
        except self._openslide.OpenSlideError:
            # After one error a handle answers nothing more.
            with self._lock:
                if self._handle is handle:
                    self._handle = self._open()
            raise
        return self._flat(np.asarray(image))

    def _flat(self, values: NDArray[np.uint8]) -> Patch:
        rgb, alpha = np.ascontiguousarray(values[..., :3]), values[..., 3]
        clear = alpha == 0
        part = ~clear & (alpha < 255)
        if part.any():
            share = alpha[part].astype(np.uint32)[:, None]
            rgb[part] = (rgb[part] * share + self._paper * (255 - share) + 127) // 255
        rgb[clear] = 255
        return Patch(rgb, np.where(clear, UNSTORED, 0).astype(np.uint8) if clear.any() else None)

    def _open(self) -> Any:
        try:
            return self._openslide.OpenSlide(self._path)
        except self._openslide.OpenSlideError as error:
            raise BadInput(f"cannot be opened: OpenSlide says: {error}") from error


def _scale(properties: Any) -> Scale:
    try:
        x, y = (float(properties[f"openslide.mpp-{axis}"]) for axis in "xy")
    except (KeyError, ValueError):
        return Scale(None)
    return agreed([stated("metadata", x, y)])


def _bounds(properties: Any, size: tuple[int, int]) -> Box | None:
    names = ("x", "y", "width", "height")
    try:
        x, y, width, height = (int(properties[f"openslide.bounds-{name}"]) for name in names)
    except (KeyError, ValueError):
        return None
    x0, y0 = max(x, 0), max(y, 0)
    box = Box(x0, y0, min(x + width, size[0]) - x0, min(y + height, size[1]) - y0)
    return None if box.width < 1 or box.height < 1 or box == Box(0, 0, *size) else box


def _files(path: Path, vendor: str) -> tuple[Path, ...]:
    """The files of a slide: of MIRAX also its folder, of DICOM and VMS those beside it."""
    more: list[Path] = []
    if vendor == "mirax":
        more = [p for p in path.with_suffix("").rglob("*") if p.is_file()]
    elif vendor == "hamamatsu" and path.suffix.lower() in (".vms", ".vmu"):
        more = [p for p in path.parent.iterdir() if p.is_file() and p.name.startswith(path.stem) and p != path]
    return (path, *sorted(more))
