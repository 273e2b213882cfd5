"""Annotated folders described by a YAML: a table of images, and rules from mask codes to labels."""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pathsegmentor.data import files
from pathsegmentor.data.record import Annotated, Item, Licence, MaskArray, Problem, Source
from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.imaging.picture import check_mpp
from pathsegmentor.model.config import read_dataclass
from pathsegmentor.vocabulary import Label

UM_AT_40X = 0.25
ANY = "any"


@dataclass(frozen=True)
class MaskRule:
    """Which codes of a mask file mean which labels.

    ``file`` and the labels may name columns of the table in braces. ``labels`` maps a code (or ``any``
    for all but 0) to a label id. With ``when`` (column: values) the labels are present only in such
    rows, and known to be absent in others; with ``only`` the rule says nothing at all about other rows.
    ``instances`` keeps the numbers of a mask as instances (with ``any``).
    """

    file: str
    labels: dict[str, str]
    when: dict[str, list[str]] = field(default_factory=dict)
    only: dict[str, list[str]] = field(default_factory=dict)
    instances: bool = False
    ignore: list[int] = field(default_factory=list)


@dataclass(frozen=True)
class Layout:
    """A folder of images and masks with a table, one row per image.

    ``image``, ``item``, ``patient``, ``slide`` and ``split`` are templates over the table's columns.
    ``complete`` says that the labels are outlined wherever they occur.
    """

    name: str
    image: str
    masks: list[MaskRule]
    mpp: float
    item: str
    table: str = "images.csv"
    title: str = ""
    patient: str = ""
    slide: str = ""
    split: str = ""
    factor: float = 0.0
    complete: bool = True
    licence: str = "unknown"
    share: bool | None = None
    commercial: bool | None = None
    url: str = ""
    notes: list[str] = field(default_factory=list)


def read_layout(path: Path) -> Layout:
    """Read and check a description; raises ``BadInput`` in words."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        layout: Layout = read_dataclass(Layout, values, path.name)
    except (OSError, yaml.YAMLError, UnicodeDecodeError, BadModel) as error:
        raise BadInput(f"{path} cannot be used: {' '.join(str(error).split())}") from error
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", layout.name):
        raise BadInput(f"{path}: name {layout.name!r} becomes part of file names: use letters, digits, _ and -")
    if not (math.isfinite(layout.factor) and layout.factor >= 0):
        raise BadInput(f"{path}: factor {layout.factor:g} is no enlargement to 40x")
    try:
        check_mpp(layout.mpp)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    return layout


def source_of(layout: Layout, title: str = "") -> Source:
    """A source that reads folders of this layout."""
    factor = layout.factor or layout.mpp / UM_AT_40X
    labels = [label for rule in layout.masks for label in rule.labels.values() if "{" not in label]
    return Source(
        name=layout.name,
        title=title or layout.title or layout.name,
        url=layout.url,
        licence=Licence(layout.licence, False, layout.share, layout.commercial),
        layout=(layout.table, layout.image, *dict.fromkeys(rule.file for rule in layout.masks)),
        magnification=f"{10 / layout.mpp:.3g}x",
        mpp=layout.mpp,
        factor=factor,
        labels=tuple(dict.fromkeys(Label.from_id(label).id for label in labels)),
        split="official" if layout.split else "random",
        seen="bytes",
        items=partial(layout_items, layout),
        read=partial(read_item, layout),
        notes=tuple(layout.notes),
    )


def layout_items(layout: Layout, folder: Path) -> Iterator[Item | Problem]:
    """One item per row of the table; rows whose files are missing are problems."""
    rows = files.table(files.below(folder, layout.table))
    # Part of every item, so that shards of another description are made anew.
    rules = hashlib.sha256(repr(layout).encode()).hexdigest()[:16]
    if not rows:
        raise BadInput(f"{folder / layout.table} has no rows")
    for number, row in enumerate(rows, start=2):
        try:
            paths = (
                files.below(folder, _fill(layout.image, row)),
                *dict.fromkeys(files.below(folder, _fill(rule.file, row)) for rule in layout.masks),
            )
            name = _fill(layout.item, row)
        except KeyError as error:
            raise BadInput(f"{folder / layout.table} has no column {error}; it has {', '.join(row)}") from error
        lacking = [path.name for path in paths if not path.is_file()]
        if lacking:
            yield Problem(f"{layout.table} line {number}: {', '.join(lacking)} missing")
            continue
        yield Item(
            name=name,
            files=paths,
            mpp=layout.mpp,
            factor=layout.factor or layout.mpp / UM_AT_40X,
            split=known_split(_fill(layout.split, row), layout.table),
            patient=_fill(layout.patient, row),
            slide=_fill(layout.slide, row),
            note=json.dumps({"folder": str(folder), "row": row, "rules": rules}),
        )


def known_split(value: str, table: str) -> str:
    """``train``, ``test`` or "" for what tables call the parts of a data set."""
    known = {"": "", "train": "train", "val": "train", "valid": "train", "validation": "train", "test": "test"}
    if value.strip().lower() not in known:
        raise BadInput(f"{table}: split '{value}' is none of train, val and test")
    return known[value.strip().lower()]


def read_item(layout: Layout, item: Item) -> Annotated:
    """Pixels and masks of one row."""
    pixels = files.rgb(item.files[0])
    note = json.loads(item.note)
    row, folder = note["row"], Path(note["folder"])
    masks: dict[str, MaskArray] = {}
    ignore = np.zeros(pixels.shape[:2], bool)
    for rule in layout.masks:
        if not _matches(rule.only, row):
            continue
        values = files.codes(folder / _fill(rule.file, row))
        files.same_size(pixels, values, item.name)
        ignore |= np.isin(values, rule.ignore)
        there = _matches(rule.when, row)
        for code, label in rule.labels.items():
            mask = _mask(values, code, rule.instances) if there else np.zeros(values.shape, bool)
            masks[Label.from_id(_fill(label, row)).id] = mask
    complete = frozenset(masks) if layout.complete else frozenset()
    return Annotated(pixels, masks, complete, ignore if ignore.any() else None)


def _mask(values: Any, code: str, instances: bool) -> MaskArray:
    if code == ANY:
        return values if instances else values > 0
    return np.asarray(values == int(code))


def _fill(template: str, row: dict[str, str]) -> str:
    try:
        return template.format_map(row)
    except (AttributeError, IndexError, TypeError, ValueError) as error:
        raise BadInput(f"'{template}' is no text with columns of the table in braces: {error}") from error


def _matches(wanted: dict[str, list[str]], row: dict[str, str]) -> bool:
    return all(row[column] in values for column, values in wanted.items())
