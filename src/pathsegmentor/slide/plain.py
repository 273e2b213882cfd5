"""Plain pictures as slides of one level."""

from __future__ import annotations

from pathlib import Path

from pathsegmentor.imaging import Picture, read_picture
from pathsegmentor.imaging.scale import Scale
from pathsegmentor.slide.source import Box, Level, Patch


class PlainReader:
    """Everything that ``imaging.read_picture`` reads, whole; it is asked last and refuses what it does not know."""

    name = "image"

    def knows(self, path: Path) -> bool:
        """Whether it is a file."""
        return path.is_file()

    def open(self, path: Path) -> PictureSource:
        """Read it; raises ``BadInput`` (with the path)."""
        return PictureSource(read_picture(path), path)


class PictureSource:
    """A picture in memory."""

    def __init__(self, picture: Picture, path: Path) -> None:
        self._pixels = picture.pixels
        self.levels: tuple[Level, ...] = (
            Level(picture.width, picture.height, (1.0, 1.0), (picture.width, picture.height)),
        )
        self.scale = Scale(picture.mpp, picture.no_mpp)
        self.bounds: Box | None = None
        self.files: tuple[Path, ...] = (path,)
        self.associated: tuple[str, ...] = ()
        self.notes = picture.notes

    def close(self) -> None:
        """Nothing is held open."""

    def patch(self, level: int, x: int, y: int, width: int, height: int) -> Patch:
        """A copy of a rectangle."""
        return Patch(self._pixels[y : y + height, x : x + width].copy())
