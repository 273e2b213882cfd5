"""One module per source of the paper; converted copies of some, and further sources, described by YAML."""

from __future__ import annotations

from dataclasses import replace
from importlib import import_module
from pathlib import Path

from pathsegmentor.data.layout import read_layout, source_of
from pathsegmentor.data.own import OWN, own_source
from pathsegmentor.data.record import Source
from pathsegmentor.errors import BadInput

NAMES = (
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


def source(name: str) -> Source:
    """The source of this name, in any case; raises ``BadInput`` with the names there are."""
    key = name.strip().lower()
    if key in FURTHER:
        return source_of(read_layout(COPIES / f"{key}.yaml"))
    if key not in NAMES:
        raise BadInput(f"no source named '{name}'; there are {', '.join((*NAMES, *FURTHER, OWN))}")
    found: Source = import_module(f"pathsegmentor.data.sources.{key}").SOURCE
    return found


def source_for(name: str, folder: Path, mpp: float = 0.0) -> Source:
    """The source that reads this folder: as downloaded, a copy with a table, or a user's own (``folder``).

    ``mpp`` is the scale of a user's images that do not tell theirs.
    """
    if name.strip().lower() == OWN:
        return own_source(folder, mpp)
    found = source(name)
    description = COPIES / f"{found.name}.yaml"
    if found.name in FURTHER or not description.is_file() or not (folder / "images.csv").is_file():
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
    )
