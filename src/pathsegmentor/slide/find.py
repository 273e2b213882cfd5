"""Which reader opens a path: told by its content; readers of other packages are asked first.

A package brings a reader by an entry point of the group ``pathsegmentor.readers`` that names an object with ``name``,
``knows`` and ``open`` (``source.Reader``); ``docs/slides.md`` shows one.
"""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from pathsegmentor.errors import BadInput
from pathsegmentor.slide.dicom import DicomReader
from pathsegmentor.slide.extra import INSTALL, has
from pathsegmentor.slide.ome_zarr import ZarrReader
from pathsegmentor.slide.plain import PlainReader
from pathsegmentor.slide.slide import Slide, in_one_line
from pathsegmentor.slide.source import Reader
from pathsegmentor.slide.tiff import TiffReader, check_directories, is_tiff, other_maker
from pathsegmentor.slide.vendor import OpenSlideReader

GROUP = "pathsegmentor.readers"
# In the order in which they are asked.
READERS: tuple[Reader, ...] = (DicomReader(), ZarrReader(), OpenSlideReader(), TiffReader(), PlainReader())
# What these begin with, and what reads them.
_OTHERS = {
    b'<DataObject ObjectType="DPUfsImport"': "Philips iSyntax; export it as TIFF or DICOM",
    b"ZISRAWFILE": "Zeiss CZI; export it as OME-TIFF if OpenSlide does not open it",
}


def open_slide(path: Path | str, mpp: float | tuple[float, float] | None = None) -> Slide:
    """Open a slide or image; ``mpp`` (um per pixel of level 0) wins over what the file says.

    Raises ``BadInput`` in one line: it is missing, damaged, of no known kind, or needs a package that is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise BadInput(f"{path} does not exist")
    with in_one_line(path):
        reader = find_reader(path)
        source = reader.open(path)
        try:
            return Slide(path, source, reader.name, mpp)
        except BaseException:
            source.close()
            raise


def is_plain(path: Path) -> bool:
    """Whether a path is read best as one picture: a file that needs none of the readers that only slides have.

    Raises ``BadInput`` as ``open_slide`` does.
    """
    if not path.exists():
        raise BadInput(f"{path} does not exist")
    with in_one_line(path):
        return find_reader(path).name in (PlainReader.name, TiffReader.name)


def find_reader(path: Path) -> Reader:
    """The first reader that knows a path; raises ``BadInput`` (without the path) if there is none."""
    if path.is_file() and is_tiff(path):
        check_directories(path)
    for reader in (*plugged(), *READERS[:-1]):
        if reader.knows(path):
            return reader
    _check_maker(path)
    if path.is_dir():
        raise BadInput("is a folder, but neither OME-Zarr nor DICOM; give one slide")
    return READERS[-1]


def plugged() -> list[Reader]:
    """Readers of other packages, by name; raises ``BadInput`` (without a path) for one that does not work."""
    return [_load(point) for point in sorted(set(entry_points(group=GROUP)), key=lambda p: (p.name, p.value))]


def _load(point: EntryPoint) -> Reader:
    try:
        found = point.load()
    except Exception as error:  # somebody else's module may raise anything
        said = " ".join(str(error).split())
        raise BadInput(f"cannot be opened: reader {point.name} ({point.value}) cannot be loaded: {said}") from error
    if not isinstance(found, Reader):
        raise BadInput(f"cannot be opened: reader {point.name} ({point.value}) has no name, knows and open")
    return found


def _check_maker(path: Path) -> None:
    """Name what is missing for a file of a known maker."""
    if path.is_dir():
        return
    with path.open("rb") as file:
        start = file.read(256)
    told = next((text for sign, text in _OTHERS.items() if sign in start), None)
    maker = _maker(path)
    if (told or maker or path.suffix.lower() in (".mrxs", ".vms")) and not has("openslide"):
        raise BadInput(f"needs openslide, which is not installed: {INSTALL}")
    if told:
        raise BadInput(f"is {told}")
    if maker:
        raise BadInput(f"is a slide of {maker} that OpenSlide cannot read: it is damaged or of a newer kind")


def _maker(path: Path) -> str:
    if not is_tiff(path):
        return ""
    import tifffile

    try:
        with tifffile.TiffFile(path) as file:
            return other_maker(file)
    except Exception:
        return ""
