"""Slides made from the committed ones: huge pyramids whose tiles share JPEG streams, and broken variants."""

from __future__ import annotations

import io
import struct
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import tifffile
import zarr
from numpy.typing import NDArray
from PIL import Image

SLIDES = Path(__file__).parents[1] / "data" / "slides"
SVS = SLIDES / "CMU-1-Small-Region.svs"
TINY = SLIDES / "tiny_16x16.svs"
TILE = 256
Pixels = NDArray[np.uint8]
# A page's tiles (rows, columns): None is never stored, bytes are stored once however often they are named.
Tiles = Callable[[int, int], bytes | None]


@cache
def region(side: int = 1024) -> Pixels:
    """A real region of tissue (side, side, 3)."""
    with tifffile.TiffFile(SVS) as file:
        return np.ascontiguousarray(file.pages.first.asarray()[900 : 900 + side, 600 : 600 + side])


def jpeg(pixels: Pixels, quality: int = 85) -> bytes:
    out = io.BytesIO()
    Image.fromarray(pixels).save(out, "JPEG", quality=quality, subsampling=0)
    return out.getvalue()


def big_tiff(
    path: Path,
    pages: list[tuple[int, int, int, Tiles]],
    mpp: float = 0.25,
    next_of_last: int | None = None,
    more: dict[int, tuple[int, int]] | None = None,
) -> Path:
    """A BigTIFF of tiled JPEG pages, each (width, height, tile, tiles); equal streams are stored once.

    ``next_of_last`` makes the last page point back to that page. ``more`` are tags (type, value) that replace others.
    """
    with path.open("wb") as file:
        file.write(struct.pack("<2sHHHQ", b"II", 43, 8, 0, 16))
        link, starts, places = 8, [], {}
        for number, (width, height, tile, tiles) in enumerate(pages):
            offsets, counts = [], []
            for row in range(-(-min(height, 1 << 20) // tile)):
                for column in range(-(-min(width, 1 << 20) // tile)):
                    stream = tiles(row, column)
                    if stream and stream not in places:
                        places[stream] = file.tell()
                        file.write(stream)
                    offsets.append(places[stream] if stream else 0)
                    counts.append(len(stream) if stream else 0)
            at_offsets = file.tell()
            file.write(struct.pack(f"<{len(offsets)}Q", *offsets))
            at_counts = file.tell()
            file.write(struct.pack(f"<{len(counts)}Q", *counts))
            dots = struct.pack("<II", round(1e6 * 1e4 / mpp / 1e4), 100)
            tags = {
                254: (4, 1 if number else 0), 256: (4, width), 257: (4, height), 258: (3, struct.pack("<HHH", 8, 8, 8)),
                259: (3, 7), 262: (3, 6), 277: (3, 3), 282: (5, dots), 283: (5, dots), 284: (3, 1), 296: (3, 3),
                322: (4, tile), 323: (4, tile), 324: (16, (len(offsets), at_offsets, offsets)),
                325: (16, (len(counts), at_counts, counts)), 530: (3, struct.pack("<HH", 1, 1)),
                **(more or {}),
            }  # fmt: skip
            starts.append(file.tell())
            file.write(_directory(tags))
            here = file.tell()
            last = number == len(pages) - 1
            follows = starts[next_of_last] if last and next_of_last is not None else 0
            file.write(struct.pack("<Q", follows))
            file.seek(link)
            file.write(struct.pack("<Q", starts[-1]))
            file.seek(0, 2)
            link = here
    return path


def _directory(tags: dict[int, Any]) -> bytes:
    sizes = {3: 2, 4: 4, 5: 8, 16: 8}
    out = struct.pack("<Q", len(tags))
    for tag, (kind, value) in sorted(tags.items()):
        if isinstance(value, tuple):
            count, at, values = value
            data = struct.pack("<Q", values[0]) if count == 1 else struct.pack("<Q", at)
        elif isinstance(value, bytes):
            count, data = len(value) // sizes[kind], value
        else:
            count, data = 1, struct.pack("<I" if kind == 4 else "<H", value)
        out += struct.pack("<HHQ8s", tag, kind, count, data)
    return out


@cache
def _streams(level: int) -> dict[tuple[int, int], bytes]:
    """The tiles of a block of 2048 level-0 pixels (a real region, mirrored), at downsample 1 or 4."""
    half = region(1024)
    block = np.concatenate([half, half[:, ::-1]], axis=1)
    block = np.concatenate([block, block[::-1]])
    side = 2048 // level
    small = block.reshape(side, level, side, level, 3).mean((1, 3)).round().astype(np.uint8)
    return {
        (r, c): jpeg(small[r * TILE : (r + 1) * TILE, c * TILE : (c + 1) * TILE])
        for r in range(side // TILE)
        for c in range(side // TILE)
    }


def huge(path: Path, side: int, lost: Tiles | None = None, mpp: float = 0.25, **options: Any) -> Path:
    """A slide of ``side`` pixels with levels 1 and 4 inside a disc of tissue; ``lost`` may replace tiles of level 0."""
    white = jpeg(np.full((TILE, TILE, 3), 243, np.uint8))

    def tiles(level: int) -> Tiles:
        streams, count = _streams(level), 2048 // level // TILE

        def tile(row: int, column: int) -> bytes | None:
            # Whole blocks are tissue or glass, so that the levels agree.
            y, x = (int(k * TILE * level // 2048 * 2048 + 1024) for k in (row, column))
            if (y - side / 2) ** 2 + (x - side / 2) ** 2 > (0.45 * side) ** 2:
                return white
            return streams[row % count, column % count]

        return tile

    def first(row: int, column: int) -> bytes | None:
        return lost(row, column) if lost and not _kept(lost, row, column) else tiles(1)(row, column)

    pages = [(side, side, TILE, first), (side // 4, side // 4, TILE, tiles(4))]
    return big_tiff(path, pages, mpp, **options)


def _kept(lost: Tiles, row: int, column: int) -> bool:
    return lost(row, column) == b"keep"


def ome_tiff(path: Path, pixels: Pixels, **options: Any) -> Path:
    about = {"PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5, "PhysicalSizeYUnit": "µm"}
    with tifffile.TiffWriter(path, ome=True, bigtiff=True) as file:
        kind = {"tile": (256, 256), "photometric": "rgb", "compression": "deflate", **options}
        file.write(pixels, subifds=1, metadata={"axes": "YXS", **about}, **kind)
        file.write(halved(pixels), subfiletype=1, metadata=None, **kind)
    return path


def halved(pixels: Pixels) -> Pixels:
    height, width = (side // 2 * 2 for side in pixels.shape[:2])
    parts = pixels[:height, :width].reshape(height // 2, 2, width // 2, 2, 3)
    return np.asarray(parts.mean((1, 3)).round().astype(np.uint8))


def ome_zarr(path: Path, pixels: Pixels, version: str = "0.4", unit: str = "micrometer", scale: float = 0.5) -> Path:
    """OME-Zarr of two levels, axes c y x."""
    form = 2 if version == "0.4" else 3
    group = zarr.open_group(str(path), mode="w", zarr_format=form)
    keys = {"chunk_key_encoding": {"name": "v2", "separator": "/"}} if form == 2 else {}
    datasets = []
    for number, level in enumerate((pixels, halved(pixels))):
        values = np.moveaxis(level, 2, 0)
        array = group.create_array(str(number), shape=values.shape, chunks=(1, 256, 256), dtype="u1", **keys)
        array[:] = values
        size = scale * 2**number
        datasets.append(
            {"path": str(number), "coordinateTransformations": [{"type": "scale", "scale": [1, size, size]}]}
        )
    axes = [{"name": "c", "type": "channel"}, *({"name": n, "type": "space", "unit": unit} for n in "yx")]
    image = {"axes": axes, "datasets": datasets, "version": version}
    group.attrs.update({"multiscales": [image]} if form == 2 else {"ome": {"version": version, "multiscales": [image]}})
    return path
