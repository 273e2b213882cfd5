"""``data stats``: the paper's tables 1 to 5 for what was built, beside the paper's numbers."""

from __future__ import annotations

import csv
from collections import Counter, defaultdict
from collections.abc import Callable, Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from pathsegmentor.data.manifest import Row, read_rows
from pathsegmentor.data.sources import NAMES, source
from pathsegmentor.vocabulary import Label


def stats(folder: Path) -> dict[str, Any]:
    """Images and masks in all, and the tables; ``paper`` is None for what the paper does not have."""
    rows = read_rows(folder)
    return {
        "folder": str(folder),
        "images": len({row.image for row in rows}),
        "masks": len(rows),
        "labels": len({row.label for row in rows}),
        "tables": {
            "sources": sources_table(rows),
            "regions": grouped(rows, lambda label: label.region.lower()),
            "structures": grouped(rows, lambda label: label.structure.lower()),
            "object_types": grouped(rows, lambda label: label.object_type.lower()),
            "labels": grouped(rows, lambda label: label.id),
        },
    }


def paper_masks() -> dict[str, int]:
    """Table 5: masks per label id."""
    text = (files("pathsegmentor.vocabulary") / "labels.csv").read_text(encoding="utf-8")
    return {
        Label(row["region"], row["structure"], row["object_type"]).id: int(row["masks"])
        for row in csv.DictReader(text.splitlines())
    }


def sources_table(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Table 1: labels, images, masks and masks per split of each source."""
    of_source: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        of_source[row.source].append(row)
    table = []
    for name in sorted({*NAMES, *of_source}):
        here = of_source[name]
        splits = Counter(row.split for row in here)
        paper = source(name).paper if name in NAMES else None
        table.append(
            {
                "source": name,
                "labels": len({row.label for row in here}),
                "images": len({row.image for row in here}),
                "masks": len(here),
                "train": splits["train"],
                "test": splits["test"],
                "paper_images": paper.images if paper else None,
                "paper_masks": paper.masks if paper else None,
                "paper_train": paper.train if paper else None,
                "paper_test": paper.test if paper else None,
            }
        )
    return table


def grouped(rows: Sequence[Row], key: Callable[[Label], str]) -> list[dict[str, Any]]:
    """Tables 2 to 5: labels and masks per group, most masks of the paper first."""
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
