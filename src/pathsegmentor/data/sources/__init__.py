"""All sources: one module per source of the paper, further ones described by YAML, and those other packages bring.

A package brings a source by an entry point of the group ``pathsegmentor.sources`` that names its ``Source``;
``docs/data.md`` shows one.
"""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from pathlib import Path

from pathsegmentor.data.layout import read_layout, source_of
from pathsegmentor.data.own import OWN, own_source
from pathsegmentor.data.record import Source
from pathsegmentor.errors import BadInput

# The paper's, in the order of its table 1.
PAPER = (
    "bcss",
    "cocahis",
    "conic2022",
    "crag",
    "digestpath2019",
    "glas",
    "janowczyk",
    "midog",
    "monusac",
    "nucls",
    "pannuke",
    "rings",
    "segpath",
    "sicapv2",
    "tnbc",
    "wsss4luad",
    "consep",
)
FURTHER = ("ebhi", "monuseg")
COPIES = Path(__file__).parent / "copies"
GROUP = "pathsegmentor.sources"


def names() -> tuple[str, ...]:
    """Of all sources there are: the paper's, further ones, those of other packages."""
    return (*PAPER, *FURTHER, *sorted(set(_plugged()) - {*PAPER, *FURTHER}))


def source(name: str) -> Source:
    """The source of this name, in any case; raises ``BadInput`` with the names there are."""
    key = name.strip().lower()
    if key in FURTHER:
        return source_of(read_layout(COPIES / f"{key}.yaml"))
    if key in PAPER:
        found: Source = import_module(f"pathsegmentor.data.sources.{key}").SOURCE
        return found
    if key in (points := _plugged()):
        return _load(key, points[key])
    raise BadInput(f"no source named '{name}'; there are {', '.join((*names(), OWN))}")


def find_source(name: str) -> Source | None:
    """The source of this name, or None: of a user's own, or of a package that is not here or does not work."""
    try:
        return source(name)
    except BadInput:
        return None


def _plugged() -> dict[str, list[EntryPoint]]:
    """Entry points by name; one package installed in two places names the same thing twice."""
    found: dict[str, list[EntryPoint]] = {}
    for point in entry_points(group=GROUP):
        same = found.setdefault(point.name.lower(), [])
        if point.value not in [other.value for other in same]:
            same.append(point)
    return found


def _load(name: str, points: list[EntryPoint]) -> Source:
    """The source that an entry point names; what is wrong with it is said in one line."""
    values = " and ".join(point.value for point in points)
    if len(points) > 1:
        raise BadInput(f"source {name} is brought by several packages ({values}); uninstall all but one")
    try:
        found = points[0].load()
    except Exception as error:  # somebody else's module may raise anything
        raise BadInput(
            f"source {name} ({values}) cannot be loaded: {type(error).__name__}: {' '.join(str(error).split())}"
        ) from error
    if not isinstance(found, Source):
        raise BadInput(f"source {name} ({values}) is no pathsegmentor.data.record.Source")
    if found.name != name or not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", name) or name.startswith(f"{OWN}-"):
        raise BadInput(
            f"source {name} ({values}) calls itself {found.name!r}: entry point and source need one name, of small "
            f"letters, digits, _ and -, that does not begin with {OWN}-"
        )
    return found


def source_for(name: str, folder: Path, mpp: float = 0.0) -> Source:
    """The source that reads this folder: as downloaded, a copy with a table, or a user's own (``folder``).

    ``mpp`` is the scale of a user's images that do not tell theirs. A user's own source is named ``folder-NAME``,
    so that it is never taken for another.
    """
    if name.strip().lower() == OWN:
        own = own_source(folder, mpp)
        return own if own.name.startswith(f"{OWN}-") else replace(own, name=f"{OWN}-{own.name.lower()}")
    found = source(name)
    description = COPIES / f"{found.name}.yaml"
    if found.name not in PAPER or not description.is_file() or not (folder / "images.csv").is_file():
        return found
    copy = source_of(read_layout(description))
    more = tuple(label for label in (*found.more, *copy.labels) if label not in found.labels)
    return replace(
        copy,
        title=found.title,
        url=found.url,
        licence=found.licence,
        labels=found.labels,
        more=tuple(dict.fromkeys(more)),
        cut=found.cut,
        paper=found.paper,
        notes=found.notes,
        borrowed=found.borrowed,
    )
