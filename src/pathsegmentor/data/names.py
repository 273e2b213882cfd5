"""Names that mean the same file though they are spelt otherwise."""

from __future__ import annotations

import posixpath
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

# Extensions that count as one, as in QuPath.
DOUBLE = (".ome.tif", ".ome.tiff", ".geojson.gz", ".json.gz")


class Spelt:
    """Values by name; a name is found as it is, else in the other Unicode form, else whatever its case."""

    def __init__(self, named: Iterable[tuple[str, Path]]) -> None:
        self._by: list[dict[str, list[Path]]] = [defaultdict(list) for _ in range(3)]
        for name, path in named:
            for by, form in zip(self._by, _forms(name), strict=True):
                by[form].append(path)

    def find(self, name: str) -> list[Path]:
        """All that are meant by a name, none if nothing is."""
        for by, form in zip(self._by, _forms(name), strict=True):
            if form in by:
                return by[form]
        return []


def _forms(name: str) -> Iterator[str]:
    yield from (name, composed(name), composed(composed(name).casefold()))


def composed(name: str) -> str:
    """A name in the form that is the same on every disk: a Mac's takes accents apart."""
    return unicodedata.normalize("NFC", name)


def spellings(name: str) -> tuple[str, ...]:
    """A path in a file's own words, and the one that it is if it was written on Windows; without ``./`` and ``..``."""
    plain = name.strip()
    return tuple(dict.fromkeys(posixpath.normpath(text) for text in (plain, plain.replace("\\", "/"))))


def stem(name: str) -> str:
    """A file's name or path without its extension, of which ``.ome.tif`` is one."""
    for end in DOUBLE:
        if name.lower().endswith(end) and len(posixpath.basename(name)) > len(end):
            return name[: -len(end)]
    folder, file = posixpath.split(name)
    return posixpath.join(folder, file.rsplit(".", 1)[0] if "." in file[1:] else file)


def inside(name: str, folder: Path) -> str | None:
    """The place below a folder that an absolute or relative path means, None if it leaves the folder."""
    for top in (str(folder.absolute()), str(folder.resolve())):
        place = posixpath.relpath(posixpath.join(top, name), top)
        if place != ".." and not place.startswith("../"):
            return place
    return None
