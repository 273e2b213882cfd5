"""Rows of a table: scores of the pairs of a data set, a region, a structure, an object type or a label."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.evaluate.columns import SCORES, Columns
from pathsegmentor.evaluate.intervals import bootstrap

DRAWS, SEED = 2000, 0


def overall(columns: Columns) -> dict[str, Any]:
    """One row over everything."""
    return _row(columns, np.flatnonzero(columns.present), {"name": "all"})


def grouped(columns: Columns, *by: str) -> list[dict[str, Any]]:
    """One row per kind, in alphabetical order; ``by`` are columns of texts. Every present pair is in one row."""
    present = np.flatnonzero(columns.present)
    keys = np.stack([columns.texts[name].codes[present] for name in by])
    kinds, which = np.unique(keys, axis=1, return_inverse=True)
    order = np.argsort(which.ravel(), kind="stable")
    pieces = np.split(present[order], np.cumsum(np.bincount(which.ravel(), minlength=kinds.shape[1]))[:-1])
    rows = []
    for kind, rows_of_kind in zip(kinds.T, pieces, strict=True):
        words = [columns.texts[name].words[code] for name, code in zip(by, kind, strict=True)]
        names = dict(zip(by, words, strict=True)) if len(by) > 1 else {"name": words[0]}
        rows.append(_row(columns, rows_of_kind, names))
    return rows


def _row(columns: Columns, rows: NDArray[np.intp], names: dict[str, Any]) -> dict[str, Any]:
    """Counts and means over present pairs; None where there is nothing to be said.

    Every mean is over (image, label) pairs, each counting once: not over images, labels or other rows of a table.
    """
    state, status = columns.texts["state"], columns.texts["status"]
    scored = rows[state.where("scored", rows)]
    dice = columns.values["dice"][scored]
    clusters = columns.texts["group"].codes[scored]
    row: dict[str, Any] = names | {
        "pairs": len(scored),
        "images": len(np.unique(columns.texts["image"].codes[scored])),
        "groups": len(np.unique(clusters)),
        "failed": int(state.where("failed", rows).sum()),
        "passed_over": int(state.where("passed over", rows).sum()),
        "called_absent": int(status.where("absent", scored).sum()),
    }
    row |= interval("dice", dice) | interval("dice_grouped", dice, clusters)
    for name in SCORES[1:]:
        values = columns.values[name][scored]
        row[name] = number(values[~np.isnan(values)].mean()) if not np.isnan(values).all() else None
    row["hd95_undefined"] = int(np.isnan(columns.values["hd95_um"][scored]).sum())
    row["with_instances"] = int((columns.values["truth_objects"][scored] >= 0).sum())
    return row


def interval(name: str, values: NDArray[np.float64], clusters: NDArray[np.int64] | None = None) -> dict[str, Any]:
    """Mean and 95 % interval as ``NAME``, ``NAME_low``, ``NAME_high``; without an interval where it has one unit."""
    if not len(values):
        return dict.fromkeys((name, f"{name}_low", f"{name}_high"))
    found = bootstrap(values, clusters=clusters, draws=DRAWS, seed=SEED)
    return {name: number(found.mean), f"{name}_low": number(found.low), f"{name}_high": number(found.high)}


def number(value: float) -> float | None:
    """Rounded for a file; None for nan."""
    return None if np.isnan(value) else round(float(value), 6)
