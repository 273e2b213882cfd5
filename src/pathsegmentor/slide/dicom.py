"""DICOM whole slides: a folder of instances or one of them; by OpenSlide, and by wsidicom where that refuses."""

from __future__ import annotations

import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import numpy as np

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.scale import agreed, stated
from pathsegmentor.slide.extra import needed
from pathsegmentor.slide.source import DAMAGED, Box, Patch, levels_of
from pathsegmentor.slide.vendor import OpenSlideSource

_MOST_FILES = 10_000
_BLOCK = 512


class DicomReader:
    """DICOM VL whole slide microscopy."""

    name = "dicom"

    def knows(self, path: Path) -> bool:
        """Whether a file is DICOM, or a folder holds DICOM files."""
        return bool(instances(path)) if path.is_dir() else is_dicom(path)

    def open(self, path: Path) -> OpenSlideSource | WsiDicomSource:
        """Open it; raises ``BadInput`` (without the path)."""
        files = _series(path)
        try:
            source = OpenSlideSource(_largest(files))
        except BadInput as refusal:
            return _by_wsidicom(files, refusal)
        source.files = files
        return source


def is_dicom(path: Path) -> bool:
    """Whether a file begins as DICOM does."""
    try:
        with path.open("rb") as file:
            return file.read(132)[128:] == b"DICM"
    except OSError:
        return False


def instances(folder: Path) -> list[Path]:
    """DICOM files of a folder, by name."""
    files = sorted(p for p in folder.iterdir() if p.is_file())
    return [p for p in files[:_MOST_FILES] if is_dicom(p)]


def _series(path: Path) -> tuple[Path, ...]:
    """The files of the slide that a folder holds, or that a file belongs to."""
    pydicom = needed("pydicom")
    found: dict[str, list[Path]] = defaultdict(list)
    own = ""
    for file in instances(path if path.is_dir() else path.parent):
        try:
            uid = str(
                pydicom.dcmread(file, specific_tags=["SeriesInstanceUID"], stop_before_pixels=True).SeriesInstanceUID
            )
        except Exception:  # a broken neighbour is no reason to refuse a slide
            uid = f"unreadable {file.name}"
        found[uid].append(file)
        own = uid if file == path else own
    if own:
        return tuple(found[own])
    if len(found) > 1:
        firsts = ", ".join(sorted(files[0].name for files in found.values())[:3])
        raise BadInput(f"holds {len(found)} slides (series); give one file of the one you mean ({firsts})")
    return tuple(next(iter(found.values())))


def _largest(files: tuple[Path, ...]) -> Path:
    """The instance with most pixels: OpenSlide finds the others from it, but not from a label."""
    pydicom = needed("pydicom")

    def area(file: Path) -> int:
        tags = ["TotalPixelMatrixColumns", "TotalPixelMatrixRows", "ImageType"]
        try:
            about = pydicom.dcmread(file, specific_tags=tags, stop_before_pixels=True)
            is_volume = "VOLUME" in about.get("ImageType", [])
            return int(about.TotalPixelMatrixColumns) * int(about.TotalPixelMatrixRows) * (1 if is_volume else 0)
        except Exception:
            return -1

    return max(files, key=area)


def _by_wsidicom(files: tuple[Path, ...], refusal: BadInput) -> WsiDicomSource:
    wsidicom = needed("wsidicom")
    try:
        return WsiDicomSource(wsidicom.WsiDicom.open(files), files)
    except Exception as error:
        said = (str(error).splitlines() or [""])[0]
        raise BadInput(f"is DICOM, but no slide that can be read: {refusal}; wsidicom says: {said}") from error


class WsiDicomSource:
    """One slide open in wsidicom."""

    def __init__(self, slide: Any, files: tuple[Path, ...]) -> None:
        self._slide, self.files = slide, files
        self._levels = list(slide.pyramids[0])
        sizes = [(level.size.width, level.size.height) for level in self._levels]
        self.levels = levels_of(sizes, [(level.tile_size.width, level.tile_size.height) for level in self._levels])
        first = self._levels[0]
        self.scale = agreed([stated("PixelSpacing", first.mpp.width, first.mpp.height)])
        self.bounds: Box | None = None
        self.associated: tuple[str, ...] = tuple(
            name for name in ("label", "overview", "thumbnail") if getattr(slide, f"{name}s", None)
        )
        self.notes: tuple[str, ...] = ()
        self._lock = threading.Lock()

    def close(self) -> None:
        """Give files back."""
        self._slide.close()

    def patch(self, level: int, x: int, y: int, width: int, height: int) -> Patch:
        """Pixels of a rectangle of a level, by blocks so that a damaged frame takes no others with it."""
        out = np.full((height, width, 3), 255, np.uint8)
        lost = np.zeros((height, width), np.uint8)
        for top in range(0, height, _BLOCK):
            for left in range(0, width, _BLOCK):
                high, wide = min(_BLOCK, height - top), min(_BLOCK, width - left)
                place = np.s_[top : top + high, left : left + wide]
                try:
                    with self._lock:
                        image = self._slide.read_region((x + left, y + top), self._levels[level].level, (wide, high))
                    out[place] = np.asarray(image.convert("RGB"))
                except Exception:  # decoders raise many classes on broken data
                    lost[place] = DAMAGED
        return Patch(out, lost if lost.any() else None)
