"""``data stats``: the paper's tables 1 to 5 for what was built, beside the paper's numbers."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pathsegmentor.data.manifest import Row, read_rows
from pathsegmentor.data.sources import PAPER, source
from pathsegmentor.vocabulary import Label

# Images of tables 2 and 3; all other numbers of the paper follow from its labels and sources.
PAPER_IMAGES = {
    "region": {
        "breast": 7411,
        "lung": 3043,
        "colon": 21487,
        "prostate": 62329,
        "unspecified": 135486,
        "adrenal": 436,
        "bile duct": 395,
        "esophagus": 422,
        "head neck": 327,
        "liver": 305,
        "cervix": 259,
        "thyroid": 221,
        "testis": 189,
        "pancreatic": 195,
        "uterus": 186,
        "stomach": 146,
        "skin": 179,
        "ovarian": 146,
        "kidney": 127,
        "bladder": 130,
    },
    "structure": {"nuclei": 15993, "cell": 78402, "tissue": 139024},
}
# The three levels of a label, each with the name of its count.
LEVELS = {"region": "regions", "structure": "structures", "object_type": "object_types"}


def stats(folder: Path) -> dict[str, Any]:
    """Images and masks in all, and the tables; ``paper`` is None for what the paper does not have."""
    rows = read_rows(folder)
    return {
        "folder": str(folder),
        "images": len({row.image for row in rows}),
        "masks": len(rows),
        "labels": len({row.label for row in rows}),
        "paper": paper_totals(),
        "tables": {
            "sources": sources_table(rows),
            "regions": level_table(rows, "region"),
            "structures": level_table(rows, "structure"),
            "object_types": level_table(rows, "object_type"),
            "labels": grouped(rows, lambda label: label.id),
        },
    }


def paper_totals() -> dict[str, int]:
    """What the paper says of the whole set."""
    counts = [found.paper for found in map(source, PAPER) if found.paper]
    labels = [Label.from_id(name) for name in paper_masks()]
    return {
        "images": sum(count.images for count in counts),
        "masks": sum(count.masks for count in counts),
        "train": sum(count.train for count in counts),
        "test": sum(count.test for count in counts),
        "labels": len(labels),
        **{plural: len({_part(label, level) for label in labels}) for level, plural in LEVELS.items()},
    }


def paper_masks() -> dict[str, int]:
    """Table 5: masks per label id."""
    text = (files("pathsegmentor.vocabulary") / "labels.csv").read_text(encoding="utf-8")
    return {
        Label(row["region"], row["structure"], row["object_type"]).id: int(row["masks"])
        for row in csv.DictReader(text.splitlines())
    }


def sources_table(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Table 1: labels, images, masks and masks per split of each source.

    The paper's own numbers of labels count the background as one more, PanNuke's excepted; here none does.
    """
    of_source: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        of_source[row.source].append(row)
    table = []
    for name in sorted({*PAPER, *of_source}):
        here = of_source[name]
        splits = Counter(row.split for row in here)
        facts = source(name) if name in PAPER else None
        paper = facts.paper if facts else None
        table.append(
            {
                "source": name,
                "labels": len({row.label for row in here}),
                "images": len({row.image for row in here}),
                "masks": len(here),
                "train": splits["train"],
                "test": splits["test"],
                "paper_labels": len(facts.labels) if facts else None,
                "paper_images": paper.images if paper else None,
                "paper_masks": paper.masks if paper else None,
                "paper_train": paper.train if paper else None,
                "paper_test": paper.test if paper else None,
            }
        )
    return table


def level_table(rows: Sequence[Row], level: str) -> list[dict[str, Any]]:
    """Tables 2 to 4: as ``grouped``, and images and how many names of the other two levels each name has.

    The paper's names are counted in its table 5: its table 3 has those of nuclei and tissue the wrong way
    round, and it gives breast one object type more.
    """
    images: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        images[_part(Label.from_id(row.label), level)].add(row.image)
    built = [Label.from_id(name) for name in {row.label for row in rows}]
    paper = [Label.from_id(name) for name in paper_masks()]
    table = grouped(rows, lambda label: _part(label, level))
    for entry in table:
        name = entry["name"]
        entry |= {"images": len(images[name]), "paper_images": PAPER_IMAGES.get(level, {}).get(name)}
        for other in LEVELS.keys() - {level}:
            here, there = (
                len({_part(label, other) for label in labels if _part(label, level) == name})
                for labels in (built, paper)
            )
            entry |= {LEVELS[other]: here, f"paper_{LEVELS[other]}": there or None}
    return table


def _part(label: Label, level: str) -> str:
    name: str = getattr(label, level)
    return name.lower()


def grouped(rows: Sequence[Row], key: Callable[[Label], str]) -> list[dict[str, Any]]:
    """Table 5, or a coarser one: labels and masks per group, most masks of the paper first."""
    built: Counter[str] = Counter()
    built_labels: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        label = Label.from_id(row.label)
        built[key(label)] += 1
        built_labels[key(label)].add(label.id)
    paper: Counter[str] = Counter()
    paper_labels: Counter[str] = Counter()
    for name, masks in paper_masks().items():
        paper[key(Label.from_id(name))] += masks
        paper_labels[key(Label.from_id(name))] += 1
    names = sorted({*built, *paper}, key=lambda name: (-paper[name], -built[name], name))
    return [
        {
            "name": name,
            "labels": len(built_labels[name]),
            "masks": built[name],
            "paper_labels": paper_labels[name] or None,
            "paper_masks": paper[name] or None,
        }
        for name in names
    ]
