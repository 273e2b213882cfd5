"""Figures of a comparison, as the paper's 3, 4, 6 and 7: bars side by side, levels, ranks, Dice against categories."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pathsegmentor.data.figures import pyplot
from pathsegmentor.evaluate.compare import OVERALL
from pathsegmentor.evaluate.figures import STYLE, WIDTH, save_figure

Row = dict[str, Any]
# The first method stands out; the others can be told apart in grey too.
COLOURS = ("#2b6a99", "#c8641e", "#8aa83c", "#8a8a8a", "#b48ac2", "#d9b23d", "#5bb5b0", "#444444")
BARS_IN_A_ROW = 40
SHOWN = {"by_region": 5, "by_structure": 3, "by_object_type": 8}


def draw(compared: dict[str, Any], folder: Path) -> list[tuple[str, str]]:
    """Write the figures; returns names and captions."""
    plt = pyplot()
    made = []
    with plt.rc_context(STYLE):
        for name, caption, make in _FIGURES:
            figure = make(plt, compared)
            save_figure(figure, folder, name)
            plt.close(figure)
            made.append((name, caption))
    return made


def by_source(plt: Any, compared: Row) -> Any:
    """Overall and each data set (figures 3a, 4, 6a)."""
    return _bars(plt, _names(compared), [("", _overall_first(compared["tables"]["by_source"]))])


def by_level(plt: Any, compared: Row) -> Any:
    """The commonest of each level (figure 6b)."""
    titles = {"by_region": "anatomical region", "by_structure": "structure", "by_object_type": "object type"}
    parts = []
    for name, title in titles.items():
        rows = [row for row in compared["tables"][name] if row["name"] != OVERALL]
        commonest = sorted(rows, key=lambda row: (-row["pairs"], row["name"]))[: SHOWN[name]]
        parts.append((title, commonest))
    return _bars(plt, _names(compared), parts)


def ranks(plt: Any, compared: Row) -> Any:
    """Dice of all methods per object type, and the rank of the first (figure 7b)."""
    rows = _overall_first(compared["tables"]["by_object_type"])[:30]
    names = _names(compared)
    figure, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.24 * len(rows)), layout="constrained")
    for i in reversed(range(len(names))):
        values = [row[names[i]] for row in rows]
        size = 60 if i == 0 else 24
        axes.scatter(values, range(len(rows)), s=size, color=COLOURS[i % len(COLOURS)], label=names[i], zorder=3)
    for y, row in enumerate(rows):
        rank = 1 + sum(row[name] > row[names[0]] for name in names[1:])
        axes.annotate(f"{rank}", (row[names[0]], y), ha="center", va="center", color="white", fontsize=6, zorder=4)
    axes.set_yticks(range(len(rows)), [f"{row['name']} ({row['pairs']:,})" for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.set(xlim=(0, 1), xlabel="mean Dice over pairs")
    axes.grid(color="#dddddd", linewidth=0.6)
    figure.legend(loc="outside lower center", ncols=4, frameon=False, reverse=True)
    return figure


def by_reach(plt: Any, compared: Row) -> Any:
    """Dice over common pairs against the labels that a method can answer (figure 3b)."""
    figure, axes = plt.subplots(figsize=(WIDTH * 0.6, 2.8), layout="constrained")
    for i, method in enumerate(compared["methods"]):
        label = f"{method['name']}: {method['dice']:.3f}"
        axes.scatter(method["labels"], method["dice"], s=60, color=COLOURS[i % len(COLOURS)], label=label, zorder=3)
    axes.set(ylim=(0, 1), xlabel="labels answered", ylabel="mean Dice, common pairs")
    axes.set_xlim(0, 1.1 * max(method["labels"] for method in compared["methods"]))
    axes.grid(color="#dddddd", linewidth=0.6)
    figure.legend(loc="outside right upper", frameon=False)
    return figure


def _names(compared: Row) -> list[str]:
    return [method["name"] for method in compared["methods"]]


def _overall_first(rows: Sequence[Row]) -> list[Row]:
    return sorted(rows, key=lambda row: (row["name"] != OVERALL, row["name"]))


def _bars(plt: Any, names: Sequence[str], parts: Sequence[tuple[str, Sequence[Row]]]) -> Any:
    """Groups of bars with intervals; as many panels as it takes to keep bars wide enough for print."""
    most = max(BARS_IN_A_ROW // len(names), 1)
    panels = [
        (title if first == 0 else "", rows[first : first + most])
        for title, rows in parts
        for first in range(0, len(rows), most)
    ]
    figure, axes = plt.subplots(
        len(panels), 1, figsize=(WIDTH, 0.6 + 1.9 * len(panels)), layout="constrained", squeeze=False, sharey=True
    )
    for panel, (title, rows) in zip(axes[:, 0], panels, strict=True):
        for x, row in enumerate(rows):
            _group(panel, x, row, names)
        panel.set_xticks(range(len(rows)), [f"{_folded(row['name'])}\n({row['pairs']:,})" for row in rows], fontsize=7)
        # A short last panel has bars as wide as the others.
        panel.set_xlim(-0.6, max(len(rows), min(most, max(len(r) for _, r in panels))) - 0.4)
        panel.set(ylim=(0, 1.08), ylabel="mean Dice", yticks=np.linspace(0, 1, 6))
        panel.set_title(title, loc="left")
        panel.grid(axis="y", color="#dddddd", linewidth=0.6)
    handles = [plt.Rectangle((0, 0), 1, 1, color=COLOURS[i % len(COLOURS)]) for i in range(len(names))]
    figure.legend(handles, names, loc="outside lower center", ncols=min(len(names), 4), frameon=False)
    return figure


def _group(axes: Any, x: int, row: Row, names: Sequence[str]) -> None:
    width = 0.84 / len(names)
    for i, name in enumerate(names):
        at = x - 0.42 + width * (i + 0.5)
        axes.bar(at, row[name], width * 0.92, color=COLOURS[i % len(COLOURS)])
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        if low is not None and high is not None:
            axes.plot([at, at], [low, high], color="black", linewidth=0.8)
    if row["stars"]:
        top = row[f"{names[0]}_high"] or row[names[0]]
        axes.annotate(row["stars"], (x - 0.42 + width / 2, top), ha="center", va="bottom", fontsize=7)


def _folded(name: str) -> str:
    """A long name on several lines."""
    from textwrap import fill

    return fill(name, 13)


_FIGURES: tuple[tuple[str, str, Callable[[Any, Row], Any]], ...] = (
    (
        "compare_by_source",
        "Mean Dice with 95 % intervals over pairs, overall and by data set (as figures 3a, 4 and 6a); ** p <= 0.01,"
        " * p <= 0.05 against the second best, uncorrected.",
        by_source,
    ),
    ("compare_by_level", "The commonest regions, structures and object types (as figure 6b).", by_level),
    ("compare_ranks", "Dice by object type, with the rank of the first method (as figure 7b).", ranks),
    ("compare_reach", "Dice against the number of labels that a method answers (as figure 3b).", by_reach),
)
