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
from pathsegmentor.data.counted import Count, Mark, Passed, Place
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
    ``instances`` keeps the numbers of a mask as instances (with ``any``). About pixels of the codes in
    ``ignore`` nothing is known; those in ``other`` are none of the labels, as 0 is. Further codes are
    refused.
    """

    file: str
    labels: dict[str, str]
    when: dict[str, list[str]] = field(default_factory=dict)
    only: dict[str, list[str]] = field(default_factory=dict)
    instances: bool = False
    ignore: list[int] = field(default_factory=list)
    other: list[int] = field(default_factory=list)


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
        for rule in layout.masks:
            _check_rule(rule)
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error
    return layout


def _check_rule(rule: MaskRule) -> None:
    for code, label in rule.labels.items():
        Label.from_id(label)
        if code != ANY and not re.fullmatch(r"\d+", code, re.ASCII):
            raise BadInput(f"'{code}' of {rule.file} is no code; expected a whole number or {ANY}")


def source_of(layout: Layout, title: str = "") -> Source:
    """A source that reads folders of this layout."""
    factor = layout.factor or layout.mpp / UM_AT_40X
    labels = [label for rule in layout.masks for label in rule.labels.values() if "{" not in label]
    return Source(
        name=layout.name,
        title=title or layout.title or layout.name,
        url=layout.url,
        licence=Licence(layout.licence, False, layout.share, layout.commercial),
        layout=_expected(layout),
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


def _expected(layout: Layout) -> tuple[str, ...]:
    """The table, and where images and masks lie."""
    return (layout.table, layout.image, *dict.fromkeys(rule.file for rule in layout.masks))


def layout_items(layout: Layout, folder: Path) -> Iterator[Item | Problem]:
    """One item per row of the table; rows whose files are missing are problems."""
    rows = files.table(files.need(files.below(folder, layout.table), "; ".join(_expected(layout))))
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
            name, patient, slide = (_fill(text, row) for text in (layout.item, layout.patient, layout.slide))
            split = known_split(_fill(layout.split, row), layout.table)
            _check_columns(layout, row)
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
            split=split,
            patient=patient,
            slide=slide,
            note=json.dumps({"folder": str(folder), "row": row, "rules": rules}),
        )


def _check_columns(layout: Layout, row: dict[str, str]) -> None:
    """Raise ``KeyError`` if a rule speaks of a column that the table lacks."""
    for rule in layout.masks:
        for column in (*rule.when, *rule.only):
            row[column]
        for label in rule.labels.values():
            _fill(label, row)


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
    known = _known_codes(layout, row)
    count = Count()
    for rule in layout.masks:
        if not _matches(rule.only, row):
            continue
        name = _fill(rule.file, row)
        values = files.codes(folder / name)
        files.same_size(pixels, values, item.name)
        codes = known[name]
        if codes is not None:
            files.known_codes(values, codes, item.name)
        ignore |= np.isin(values, rule.ignore)
        there = _matches(rule.when, row)
        count = count.with_more(_counted(rule, name, values, row, there))
        for code, label in rule.labels.items():
            mask = _mask(values, code, rule.instances) if there else np.zeros(values.shape, bool)
            key = Label.from_id(_fill(label, row)).id
            masks[key] = _joined(masks[key], mask) if key in masks else mask
    complete = frozenset(masks) if layout.complete else frozenset()
    return Annotated(pixels, masks, complete, ignore if ignore.any() else None, count=count)


def _counted(rule: MaskRule, name: str, values: Any, row: dict[str, str], there: bool) -> Count:
    """What becomes of the codes of a mask by a rule; with ``any`` all but 0 are one object."""
    used, passed = [], []
    codes = np.unique(values).tolist()
    for code in [ANY] if ANY in rule.labels and any(codes) else map(str, codes):
        place = Place(Path(name).name, f"code {code}")
        if code in rule.labels and there:
            label = Label.from_id(_fill(rule.labels[code], row)).id
            used.append(Mark(place, label, label))
        elif code in map(str, rule.ignore):
            used.append(Mark(place, "", ""))
        elif code in map(str, rule.other):
            passed.append(Passed(place, "", "means none of the labels", lost=False, gap=False))
    return Count(tuple(used), tuple(passed))


def _known_codes(layout: Layout, row: dict[str, str]) -> dict[str, set[int] | None]:
    """Codes that the rules together know, by mask file; None where any code is right."""
    known: dict[str, set[int] | None] = {}
    for rule in layout.masks:
        name = _fill(rule.file, row)
        codes = known.setdefault(name, {0})
        if ANY in rule.labels:
            known[name] = None
        elif codes is not None:
            codes.update(map(int, rule.labels), rule.ignore, rule.other)
    return known


def _joined(first: MaskArray, second: MaskArray) -> MaskArray:
    """Both masks of one label; where both number a pixel the later one wins."""
    if first.dtype == bool and second.dtype == bool:
        return np.asarray(first | second)
    return np.where(second > 0, second, first)


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
