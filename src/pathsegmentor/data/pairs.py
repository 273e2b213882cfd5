"""Which annotation belongs to which image in a user's folder."""

from __future__ import annotations

import json
import posixpath
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from pathsegmentor.data import files
from pathsegmentor.data.coco import Coco, coco_objects, is_coco, read_coco
from pathsegmentor.data.counted import Passed, shown, told
from pathsegmentor.data.documents import read_bytes
from pathsegmentor.data.drawn import Drawn
from pathsegmentor.data.names import Spelt, inside, spellings, stem
from pathsegmentor.data.qupath import qupath_objects
from pathsegmentor.data.record import Problem
from pathsegmentor.errors import BadInput

GEOJSON, JSON = (".geojson", ".geojson.gz"), (".json", ".json.gz")
OUTLINES = (*GEOJSON, *JSON)
MASKS = "or images/ and masks/ with labels.csv (class,label)"


@dataclass(frozen=True)
class Part:
    """An annotation of an image, or one of several: its form, its file, and in COCO the image's id and size."""

    form: str
    file: Path
    key: str = ""
    size: tuple[str, str] = ("", "")

    def objects(self) -> list[Drawn | Passed]:
        """Its drawn objects; raises ``BadInput`` if the file cannot be read."""
        return coco_objects(self.file, self.key) if self.form == "coco" else qupath_objects(self.file)


@dataclass(frozen=True)
class Pair:
    """An image and its annotations."""

    image: Path
    parts: tuple[Part, ...]


class Folder:
    """A user's folder: its files, through links as well, by their places in it."""

    def __init__(self, top: Path) -> None:
        self.top = top
        self.files = files.everything(top)
        self.images = [path for path in self.files if path.suffix.lower() in files.IMAGES]
        self.places = Spelt((self.place(path), path) for path in self.files)

    def place(self, path: Path) -> str:
        """Where a file is in the folder."""
        return path.relative_to(self.top).as_posix()

    def ending(self, *ends: str) -> list[Path]:
        """Files whose names end so."""
        return [path for path in self.files if path.name.lower().endswith(ends)]


def find_pairs(top: Path) -> Iterator[Pair | Problem]:
    """All annotated images of a folder, whichever of the forms it has, and what stands alone in it."""
    folder = Folder(top)
    kinds = {path: _kind(path) for path in folder.ending(*JSON)}
    coco = [path for path, kind in kinds.items() if kind == "coco"]
    outlines = sorted([*folder.ending(*GEOJSON), *(path for path, kind in kinds.items() if kind == "geojson")])
    if coco:
        yield from _listed(folder, coco)
    elif (top / "masks").is_dir():
        yield from _masked(folder)
    else:
        yield from _outlined(folder, outlines)
    if coco or (top / "masks").is_dir():
        form = "COCO" if coco else "images/ and masks/"
        for path in outlines:
            yield Problem(f"{folder.place(path)} is not read: the folder is read as {form}", _drawn_in(path))
        if coco and (top / "masks").is_dir():
            yield Problem("masks/ is not read: the folder is read as COCO", lost=False)
    for path, kind in kinds.items():
        if kind == "broken":
            yield Problem(f"{path} is no readable JSON")


def _kind(path: Path) -> str:
    """What a JSON file holds: ``coco``, ``geojson``, ``broken``, or "" for what is none of ours."""
    try:
        text = read_bytes(path)
    except BadInput:
        return "broken"
    if is_coco(text):
        return "coco"
    if b'"Feature' in text.replace(b"\0", b""):
        return "geojson"
    try:
        json.loads(text)
    except (ValueError, RecursionError):
        return "broken"
    return ""


def _drawn_in(path: Path) -> int:
    """How many objects an outline file holds that is not used; none if it cannot be read."""
    try:
        return len(qupath_objects(path))
    except BadInput:
        return 0


def _masked(folder: Folder) -> Iterator[Pair | Problem]:
    """Images and masks in the same place below their folders, with the same name."""
    tops = [files.need(folder.top / name, MASKS) for name in ("images", "masks")]
    images, masks = ([path for path in folder.images if path.is_relative_to(top)] for top in tops)
    by_place = Spelt((stem(path.relative_to(tops[1]).as_posix()), path) for path in masks)
    chosen = {image: by_place.find(stem(image.relative_to(tops[0]).as_posix())) for image in images}
    claims = Counter(path for paths in chosen.values() for path in paths)
    for image, paths in chosen.items():
        if not paths:
            yield Problem(f"{image.name}: image without mask")
        elif len(paths) > 1 or claims[paths[0]] > 1:
            yield Problem(f"{folder.place(image)}: {_places(folder, paths)} may be its mask or another image's")
        else:
            yield Pair(image, (Part("masks", paths[0]),))
    for mask in masks:
        if mask not in claims:
            yield Problem(f"{mask.name}: mask without image")


def _outlined(folder: Folder, outlines: list[Path]) -> Iterator[Pair | Problem]:
    """Images with QuPath's outlines; one that lies beside an image of its name belongs to no other."""
    if not (outlines and folder.images):
        return
    by_name = Spelt((path.name, path) for path in outlines)
    beside = {
        image: _meant(image, folder.places, f"{folder.place(image.parent)}/", outlines) for image in folder.images
    }
    taken = {path for paths in beside.values() for path in paths}
    chosen = {
        image: paths or [path for path in _meant(image, by_name, "", outlines) if path not in taken]
        for image, paths in beside.items()
    }
    claims = Counter(path for paths in chosen.values() for path in paths)
    counted: set[Path] = set()
    for image, paths in chosen.items():
        place, places = folder.place(image), _places(folder, paths)
        objects = 0
        if len(paths) != 1 or claims[paths[0]] > 1:
            objects = sum(_drawn_in(path) for path in paths if path not in counted)
            counted.update(paths)
        if not paths:
            yield Problem(f"{place}: image without .geojson")
        elif len(paths) > 1:
            yield Problem(f"{place}: either of {places} may be its annotation", objects)
        elif claims[paths[0]] > 1:
            yield Problem(f"{place}: {places} may be that of another image too", objects)
        else:
            yield Pair(image, (Part("qupath", paths[0]),))
    for path in outlines:
        if path not in claims:
            yield Problem(f"{folder.place(path)}: annotation without image", _drawn_in(path))


def _meant(image: Path, by_name: Spelt, before: str, outlines: Sequence[Path]) -> list[Path]:
    """Outline files that are named as an image: QuPath's users export NAME.geojson and NAME.png.geojson."""
    names = (f"{before}{base}{end}" for end in OUTLINES for base in (stem(image.name), image.stem, image.name))
    found = dict.fromkeys(path for name in names for path in by_name.find(posixpath.normpath(name)))
    return [path for path in found if path in outlines]


def _places(folder: Folder, paths: Sequence[Path]) -> str:
    return " and ".join(folder.place(path) for path in paths)


def _listed(folder: Folder, listings: list[Path]) -> Iterator[Pair | Problem]:
    """Images that COCO files name; each file that names an image adds to it, as one file a class does."""
    parts: dict[Path, list[Part]] = defaultdict(list)
    for path in listings:
        try:
            coco = read_coco(path)
        except BadInput as error:
            yield Problem(str(error))
            continue
        yield from _alone(coco)
        for image in coco.images:
            try:
                parts[_named(image.name, path, folder)].append(Part("coco", path, image.key, image.size))
            except BadInput as error:
                yield Problem(f"{path.name}: {error}", len(coco.annotations.get(image.key, [])))
    for picture, found in parts.items():
        yield Pair(picture, tuple(found))
    homes = {path.parent for path in parts}
    for picture in folder.images:
        if picture not in parts and picture.parent in homes:
            yield Problem(f"{folder.place(picture)}: image in no COCO file")


def _alone(coco: Coco) -> Iterator[Problem]:
    """What a COCO file holds that belongs to no image."""
    for line in coco.problems:
        yield Problem(line)
    for lost in (True, False):
        for line, objects in told([orphan for orphan in coco.orphans if orphan.lost == lost]):
            yield Problem(line, objects, lost)


def _named(name: str, listing: Path, folder: Folder) -> Path:
    """The file that a COCO file names, looked up among those of the folder, so that no name leads outside."""
    leaves = False
    for text in spellings(name):
        for base in ("", "images", folder.place(listing.parent)):
            place = inside(posixpath.join(base, text), folder.top)
            leaves = leaves or place is None
            found = folder.places.find(place) if place else []
            if len(found) == 1:
                return found[0]
    raise BadInput(f"'{shown(name)}' leaves the folder {folder.top}" if leaves else f"{shown(name)} is missing")
