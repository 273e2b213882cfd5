"""OME-Zarr (NGFF 0.4 and 0.5) by zarr, chunk by chunk."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.levels import as_rgb
from pathsegmentor.imaging.scale import Scale, Statement, agreed, stated, unit_um
from pathsegmentor.slide.extra import needed
from pathsegmentor.slide.source import DAMAGED, UNSTORED, Box, Patch, levels_of

_META = (".zattrs", ".zgroup", "zarr.json", ".zarray")
_LARGEST_CHUNK = 1 << 28


class ZarrReader:
    """Folders of OME-Zarr."""

    name = "ome-zarr"

    def knows(self, path: Path) -> bool:
        """Whether a folder holds Zarr metadata."""
        return path.is_dir() and any((path / name).is_file() for name in _META)

    def open(self, path: Path) -> ZarrSource:
        """Open it; raises ``BadInput`` (without the path)."""
        return ZarrSource(path)


class ZarrSource:
    """One open OME-Zarr image, whose axes end with y and x."""

    def __init__(self, path: Path) -> None:
        zarr = needed("zarr")
        group = zarr.open_group(str(path), mode="r")
        about = _about(dict(group.attrs))
        if about is None and (path / "0").is_dir():
            # Converters of Bio-Formats put each picture into a group of its own.
            path = path / "0"
            group = zarr.open_group(str(path), mode="r")
            about = _about(dict(group.attrs))
        if about is None:
            raise BadInput("is Zarr, but no OME-Zarr image: it has no multiscales; give the folder of one image")
        axes = [a if isinstance(a, Mapping) else {"name": a} for a in about.get("axes", [])]
        names = [str(a.get("name")) for a in axes]
        entries = [e for e in about.get("datasets", []) if isinstance(e, Mapping)]
        if names[-2:] != ["y", "x"] or not entries:
            raise BadInput("is OME-Zarr, but its axes do not end with y and x, or it lists no level")
        self._root = path
        self._arrays = [_array(group, str(entry.get("path"))) for entry in entries]
        self._names = names
        for array in self._arrays:
            _check(array, names)
        sizes = [(array.shape[-1], array.shape[-2]) for array in self._arrays]
        self.levels = levels_of(sizes, [(_chunk(array)[-1], _chunk(array)[-2]) for array in self._arrays])
        self.scale = _scale(about, entries[0], axes)
        self.bounds: Box | None = None
        self.files: tuple[Path, ...] = tuple(sorted(p for p in path.rglob("*") if p.is_file()))
        self.associated: tuple[str, ...] = ()
        planes = int(np.prod([n for name, n in zip(names, self._arrays[0].shape, strict=True) if name in "tz"]))
        self.notes: tuple[str, ...] = (
            (f"it holds {planes} planes (depth or time); the first was read",) if planes > 1 else ()
        )

    def close(self) -> None:
        """Nothing is held open."""

    def patch(self, level: int, x: int, y: int, width: int, height: int) -> Patch:
        """Pixels of a rectangle of a level; chunks that are not there, or cannot be decoded, are marked."""
        array = self._arrays[level]
        wide, high = self.levels[level].piece
        lost = np.zeros((height, width), np.uint8)
        out = np.full((height, width, 3), 255, np.uint8)
        for top in range(y - y % high, y + height, high):
            for left in range(x - x % wide, x + width, wide):
                x0, y0, x1, y1 = max(left, x), max(top, y), min(left + wide, x + width), min(top + high, y + height)
                place = np.s_[y0 - y : y1 - y, x0 - x : x1 - x]
                try:
                    if not self._is_stored(array, top // high, left // wide):
                        lost[place] = UNSTORED
                        continue
                    out[place] = self._pixels(array, np.s_[y0:y1], np.s_[x0:x1])
                except Exception:  # codecs raise many classes on broken data; the chunk is lost, not the slide
                    lost[place] = DAMAGED
        return Patch(out, lost if lost.any() else None)

    def _pixels(self, array: Any, rows: slice, columns: slice) -> NDArray[np.uint8]:
        index = tuple(slice(None) if name == "c" else 0 for name in self._names[:-2])
        values = np.asarray(array[(*index, rows, columns)])
        return as_rgb(np.ascontiguousarray(np.moveaxis(values, 0, -1)) if values.ndim == 3 else values)

    def _is_stored(self, array: Any, row: int, column: int) -> bool:
        """Whether any chunk of a place lies in the folder; what does not is of one value, by the format.

        Raises ``BadInput`` for a chunk that is cut short.
        """
        chunk = _chunk(array)
        channels = array.shape[self._names.index("c")] if "c" in self._names else 1
        stored = False
        for channel in range(-(-channels // (chunk[self._names.index("c")] if "c" in self._names else 1))):
            place = tuple(channel if name == "c" else 0 for name in self._names[:-2])
            key = array.metadata.encode_chunk_key((*place, row, column))
            file = self._root / array.path / key
            if file.is_file():
                stored = True
                if array.shards is None and "blosc" in repr(array.compressors).lower():
                    _check_blosc(file)
        return stored


def _check_blosc(file: Path) -> None:
    """Refuse a chunk that is not as long as it says: its library fills the rest with anything, without a word."""
    with file.open("rb") as chunk:
        head = chunk.read(16)
    if len(head) < 16 or int.from_bytes(head[12:16], "little") != file.stat().st_size:
        raise BadInput("is cut short")


def _about(attributes: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The first multiscale image of 0.5 (under ``ome``) or 0.4."""
    ome = attributes.get("ome")
    found = (ome if isinstance(ome, Mapping) else attributes).get("multiscales")
    return found[0] if isinstance(found, list) and found and isinstance(found[0], Mapping) else None


def _array(group: Any, path: str) -> Any:
    if ".." in Path(path).parts or Path(path).is_absolute():
        raise BadInput(f"is damaged: a level lies outside of it ({json.dumps(path)})")
    return group[path]


def _chunk(array: Any) -> tuple[int, ...]:
    """The part of an array that one file holds."""
    return tuple(array.shards or array.chunks)


def _check(array: Any, names: list[str]) -> None:
    if not hasattr(array, "shape") or len(array.shape) != len(names):
        raise BadInput("is damaged: a level has not the axes that it says")
    if array.dtype != np.uint8:
        raise BadInput(f"holds values of type {array.dtype}; slides are read as 8-bit RGB: convert it")
    channels = array.shape[names.index("c")] if "c" in names else 1
    if channels not in (1, 3):
        raise BadInput(f"holds {channels} channels, which are not red, green and blue; convert it to 8-bit RGB")
    if not 0 < int(np.prod([int(n) for n in array.chunks])) <= _LARGEST_CHUNK:
        raise BadInput(f"is stored in chunks of {array.chunks}, which cannot be read one by one")


def _scale(about: Mapping[str, Any], entry: Mapping[str, Any], axes: list[Any]) -> Scale:
    """The scale of the first level; units of y and x must be lengths."""
    factors = np.ones(len(axes))
    try:
        for holder in (entry, about):
            for step in holder.get("coordinateTransformations") or ():
                if step.get("type") == "scale":
                    factors *= np.asarray(step["scale"], float)
        units = [unit_um(str(axis.get("unit", ""))) for axis in axes[-2:]]
    except (TypeError, ValueError, KeyError, AttributeError) as error:
        return agreed([Statement("OME-Zarr metadata", unreadable=" ".join(str(error).split()))])
    if not all(units):
        return Scale(None)
    y, x = (float(f) * float(unit or 0) for f, unit in zip(factors[-2:], units, strict=True))
    return agreed([stated("OME-Zarr metadata", x, y)])
