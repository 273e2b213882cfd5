"""Figures of a run, as PNG and SVG that read well in print and are the same bytes every time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pathsegmentor.atomic import whole_file
from pathsegmentor.data.figures import pyplot
from pathsegmentor.evaluate.columns import Columns
from pathsegmentor.evaluate.presence import roc

BLUE, ORANGE, GREY = "#2b6a99", "#c8641e", "#8a8a8a"
WIDTH = 7.0  # inches: a page of A4 without its margins
STYLE = {
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "svg.hashsalt": "pathsegmentor",
    "svg.fonttype": "path",
}
Row = dict[str, Any]


def draw_figures(summary: dict[str, Any], columns: Columns, folder: Path) -> list[tuple[str, str]]:
    """Write ``NAME.png`` and ``NAME.svg``; returns names and captions; what has nothing to show is left out."""
    plt = pyplot()
    made = []
    with plt.rc_context(STYLE):
        for name, caption, draw in FIGURES:
            figure = draw(plt, summary, columns)
            if figure is None:
                continue
            save_figure(figure, folder, name)
            plt.close(figure)
            made.append((name, caption))
    return made


def save_figure(figure: Any, folder: Path, name: str) -> None:
    """``NAME.png`` and ``NAME.svg``, the same bytes every time; drawn within ``STYLE``."""
    for ending in ("png", "svg"):
        with whole_file(folder / f"{name}.{ending}") as beside:
            # A date, or a version, would make other bytes of the same figure.
            bare = {"Date": None, "Creator": None} if ending == "svg" else {"Software": None}
            figure.savefig(beside, dpi=200, metadata=bare)


def by_source(plt: Any, summary: Row, columns: Columns) -> Any:
    """Mean Dice per data set."""
    rows = [*_answered(summary["tables"]["by_source"]), *_answered([summary["overall"]])]
    return _bars(plt, [("data set", rows)]) if rows else None


def by_level(plt: Any, summary: Row, columns: Columns) -> Any:
    """Mean Dice per region, structure and object type."""
    names = {"by_region": "anatomical region", "by_structure": "structure", "by_object_type": "object type"}
    parts = [(title, _answered(summary["tables"][name])) for name, title in names.items()]
    return _bars(plt, parts) if any(rows for _, rows in parts) else None


def by_label(plt: Any, summary: Row, columns: Columns) -> Any:
    """Mean Dice per label."""
    rows = _answered(summary["tables"]["by_label"])
    return _bars(plt, [("label", rows)]) if rows else None


def spread(plt: Any, summary: Row, columns: Columns) -> Any:
    """How the Dice of single pairs is spread, per data set."""
    rows = columns.scored & columns.present
    source = columns.texts["source"]
    kinds = np.unique(source.codes[rows])
    if not len(kinds):
        return None
    values = [columns.values["dice"][rows & (source.codes == kind)] for kind in kinds]
    figure, axes = plt.subplots(figsize=(WIDTH, 0.9 + 0.32 * len(kinds)), layout="constrained")
    flat = {"color": "black", "linewidth": 0.8}
    axes.boxplot(
        values,
        orientation="horizontal",
        widths=0.6,
        patch_artist=True,
        boxprops={"facecolor": "#cfe0ec", "linewidth": 0.8},
        medianprops={"color": BLUE, "linewidth": 1.6},
        whiskerprops=flat,
        capprops=flat,
        whis=(5, 95),
        showfliers=False,
    )
    names = [f"{source.words[kind]} ({len(of_kind):,})" for kind, of_kind in zip(kinds, values, strict=True)]
    axes.set_yticks(range(1, len(kinds) + 1), names)
    axes.invert_yaxis()
    _share_axis(axes, "Dice of a pair")
    return figure


def presence(plt: Any, summary: Row, columns: Columns) -> Any:
    """How well presence tells present from absent labels, and whether it can be taken at its word."""
    kinds = {"looked_for": ("looked for", BLUE), "all": ("all", ORANGE)}
    found = {kind: summary["presence"][kind] for kind in kinds if summary["presence"][kind]["auroc"] is not None}
    if not found:
        return None
    figure, (left, right) = plt.subplots(1, 2, figsize=(WIDTH, 3.4), layout="constrained")
    for axes in (left, right):
        axes.plot([0, 1], [0, 1], color=GREY, linewidth=0.8, linestyle=":")
        axes.set(xlim=(0, 1), ylim=(0, 1), aspect="equal")
    for kind, part in found.items():
        title, colour = kinds[kind]
        rows = columns.with_presence & (columns.values["looked_for"] if kind == "looked_for" else True)
        false, true = roc(columns.values["presence"][rows], columns.present[rows])
        style = {
            "color": colour,
            "linewidth": 1.4,
            "clip_on": False,
            "linestyle": "-" if kind == "looked_for" else "--",
        }
        left.plot(false, true, label=f"{title}: AUROC {part['auroc']:.3f}", **style)
        bins = [b for b in part["bins"] if b["pairs"]]
        right.plot(
            [b["predicted"] for b in bins],
            [b["observed"] for b in bins],
            marker="o",
            markersize=3.5,
            label=f"{title}: error {part['calibration_error']:.3f}",
            **style,
        )
    left.set(xlabel="absent labels called present", ylabel="present labels called present", title="Over all boundaries")
    right.set(xlabel="presence, mean of a bin", ylabel="share that is present", title="Calibration")
    for axes, corner in ((left, "lower right"), (right, "upper left")):
        axes.legend(loc=corner, frameon=False)
    return figure


def _answered(rows: Sequence[Row]) -> list[Row]:
    return [row for row in rows if row["dice"] is not None]


def _bars(plt: Any, parts: Sequence[tuple[str, Sequence[Row]]]) -> Any:
    """Bars with both intervals, one panel below the other; rows in descending order."""
    heights = [max(len(rows), 1) for _, rows in parts]
    figure, panels = plt.subplots(
        len(parts),
        1,
        figsize=(WIDTH, 0.55 * len(parts) + 0.45 + 0.2 * sum(heights)),
        height_ratios=heights,
        layout="constrained",
        sharex=True,
        squeeze=False,
    )
    for axes, (title, rows) in zip(panels[:, 0], parts, strict=True):
        ordered = sorted(rows, key=lambda row: (row["name"] == "all", -row["dice"], row["name"]))
        for y, row in enumerate(ordered):
            axes.barh(y, row["dice"], height=0.72, color="#c9c9c9" if row["name"] == "all" else "#cfe0ec")
            _whisker(axes, row, "dice", y - 0.16, BLUE)
            _whisker(axes, row, "dice_grouped", y + 0.16, ORANGE)
        axes.set_yticks(range(len(ordered)), [f"{row['name']} ({row['pairs']:,})" for row in ordered])
        axes.set_ylim(len(ordered) - 0.4, -0.6)
        axes.set_title(f"by {title}" if title != "data set" else "by data set, and over all pairs", loc="left")
        _share_axis(axes, "")
    panels[-1, 0].set_xlabel("mean Dice over pairs")
    handles = [plt.Line2D([], [], color=c, linewidth=1.4) for c in (BLUE, ORANGE)]
    names = ["95 % interval over pairs", "over patients"]
    figure.legend(handles, names, loc="outside lower right", ncols=2, frameon=False)
    return figure


def _whisker(axes: Any, row: Row, key: str, y: float, colour: str) -> None:
    low, high = row[f"{key}_low"], row[f"{key}_high"]
    if low is not None and high is not None:
        axes.plot([low, high], [y, y], color=colour, linewidth=1.4, solid_capstyle="butt")


def _share_axis(axes: Any, title: str) -> None:
    axes.set_xlim(0, 1)
    axes.set_xlabel(title)
    axes.grid(axis="x", color="#dddddd", linewidth=0.6)


FIGURES: tuple[tuple[str, str, Callable[[Any, Row, Columns], Any]], ...] = (
    ("dice_by_source", "Mean Dice by data set; in brackets the number of pairs.", by_source),
    ("dice_by_level", "Mean Dice by anatomical region, structure and object type.", by_level),
    ("dice_by_label", "Mean Dice by label.", by_label),
    (
        "dice_spread",
        "Dice of single pairs: median, middle half (box) and middle nine tenths (lines).",
        spread,
    ),
    ("presence", "Presence: present told from absent at every boundary, and calibration.", presence),
)
