"""Tar shards in the WebDataset layout: uncompressed, so that any member can be read in place."""

from __future__ import annotations

import io
import os
import tarfile
from collections import OrderedDict
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from pathsegmentor.data.record import MaskArray, Pixels
from pathsegmentor.errors import BadInput

OPEN_SHARDS = 32


def encode_image(pixels: Pixels) -> bytes:
    """RGB (H, W, 3) -> PNG, lossless."""
    # Of zlib's strategies this one is twice as fast as the default, and smaller on stained tissue.
    how = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
    done, data = cv2.imencode(".png", pixels[..., ::-1], how)
    if not done:
        raise BadInput("an image could not be written as PNG")
    return bytes(data)


def decode_image(data: bytes) -> Pixels:
    """PNG -> RGB (H, W, 3)."""
    image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR) if data else None
    if image is None:
        raise BadInput("an image in a shard is damaged")
    return np.ascontiguousarray(image[..., ::-1], dtype=np.uint8)


def encode_mask(mask: MaskArray) -> bytes:
    """A boolean mask -> 1-bit PNG; instance numbers -> 16-bit PNG, renumbered 1..n if they are larger."""
    buffer = io.BytesIO()
    if mask.dtype == np.bool_:
        Image.fromarray(mask).save(buffer, "png")
        return buffer.getvalue()
    if mask.max() > np.iinfo(np.uint16).max:
        numbers = np.unique(mask[mask > 0])
        mask = np.where(mask > 0, np.searchsorted(numbers, mask) + 1, 0)
        if mask.max() > np.iinfo(np.uint16).max:
            raise BadInput(f"a mask holds {mask.max()} instances; 65,535 fit in one image")
    Image.fromarray(mask.astype(np.uint16)).save(buffer, "png")
    return buffer.getvalue()


def decode_mask(data: bytes) -> MaskArray:
    """The inverse of ``encode_mask``: boolean, or instance numbers (H, W) uint16."""
    try:
        image = Image.open(io.BytesIO(data), formats=("PNG",))
        values = np.asarray(image)
    except Exception as error:  # decoders raise many classes on broken files
        raise BadInput("a mask in a shard is damaged") from error
    return values if values.dtype == np.bool_ else values.astype(np.uint16)


def instances_of(mask: MaskArray) -> int | None:
    """How many instances a mask numbers; None for a mask without numbers."""
    return None if mask.dtype == np.bool_ else int(np.count_nonzero(np.unique(mask)))


class ShardWriter:
    """Appends members to a tar file; the same members give the same bytes."""

    def __init__(self, path: Path) -> None:
        self._tar = tarfile.TarFile(path, "w", format=tarfile.PAX_FORMAT)

    def add(self, name: str, data: bytes) -> None:
        """One member."""
        info = tarfile.TarInfo(name)
        info.size = len(data)
        self._tar.addfile(info, io.BytesIO(data))

    def close(self) -> None:
        """Write the end of the archive."""
        self._tar.close()


class Shards:
    """Reads members as ``shards/NAME.tar/MEMBER`` below a folder; keeps a few shards open."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._open: OrderedDict[str, tuple[int, dict[str, tuple[int, int]]]] = OrderedDict()

    def read(self, path: str) -> bytes:
        """The bytes of a member; raises ``BadInput`` if shard or member is missing or cut short."""
        shard, _, member = path.rpartition("/")
        handle, index = self._shard(shard)
        if member not in index:
            raise BadInput(f"{shard} has no member {member}")
        start, size = index[member]
        data = os.pread(handle, size, start)
        if len(data) != size:
            raise BadInput(f"{self.folder / shard} is cut short")
        return data

    def members(self, shard: str) -> list[str]:
        """Names of a shard's members, in order."""
        return list(self._shard(shard)[1])

    def _shard(self, shard: str) -> tuple[int, dict[str, tuple[int, int]]]:
        if shard in self._open:
            self._open.move_to_end(shard)
            return self._open[shard]
        try:
            path = (self.folder / shard).resolve()
        except (OSError, ValueError) as error:
            raise BadInput(f"{shard!r} is no path of a shard: {error}") from error
        if not path.is_relative_to(self.folder.resolve()):
            raise BadInput(f"'{shard}' leaves the folder {self.folder}")
        try:
            with tarfile.open(path, "r:") as tar:
                index = {member.name: (member.offset_data, member.size) for member in tar if member.isfile()}
            self._open[shard] = (os.open(path, os.O_RDONLY), index)
        except (OSError, tarfile.TarError) as error:
            raise BadInput(f"{path} is missing or no whole shard: {error}") from error
        if len(self._open) > OPEN_SHARDS:
            os.close(self._open.popitem(last=False)[1][0])
        return self._open[shard]

    def close(self) -> None:
        """Close all shards."""
        while self._open:
            os.close(self._open.popitem()[1][0])

    def __getstate__(self) -> dict[str, Path]:
        return {"folder": self.folder}  # open files do not travel to other processes

    def __setstate__(self, state: dict[str, Path]) -> None:
        self.__init__(state["folder"])  # type: ignore[misc]
