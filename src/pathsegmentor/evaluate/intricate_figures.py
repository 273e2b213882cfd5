"""The paper's figures 5 (a, c, e, f, g) and 7c."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from pathsegmentor.data.figures import pyplot
from pathsegmentor.evaluate.compare_figures import COLOURS
from pathsegmentor.evaluate.figures import GREY, STYLE, WIDTH, save_figure
from pathsegmentor.evaluate.fits import best_fit
from pathsegmentor.evaluate.intricate import OVERALL, column, edges_of, fit_x, usable
from pathsegmentor.evaluate.paired import Paired
from pathsegmentor.evaluate.tables import Row
from pathsegmentor.evaluate.trends import Numbers, points

TITLES = {"irregularity": "irregularity", "ratio": "instance ratio", "count": "instances per mask"}
BAND_DRAWS = 100


def draw(paired: Paired, shapes: list[Row], found: dict[str, Any], folder: Path) -> list[tuple[str, str]]:
    """Write the figures; returns names and captions."""
    plt = pyplot()
    made = []
    with plt.rc_context(STYLE):
        for name, caption, figure in (
            (
                "intricate_trends",
                "Dice against shape, size and density (as figure 5a, c, f): plain means of each interval, the curve of"
                f" smallest error, and its 95 % band over {BAND_DRAWS} draws of pairs.",
                _trends(plt, paired, shapes),
            ),
            ("intricate_counts", "Instances per true mask (as figure 5e).", _counts(plt, shapes, found)),
            (
                "intricate_prompts",
                "Dice against prompts per mask (as figure 5g); crosses are filled boxes, which need no model.",
                _efficiency(plt, found),
            ),
            (
                "intricate_spread",
                "Instances per mask and their largest distance, mean and standard deviation (as figure 7c).",
                _spread(plt, found),
            ),
        ):
            save_figure(figure, folder, name)
            plt.close(figure)
            made.append((name, caption))
    return made


def _trends(plt: Any, paired: Paired, shapes: list[Row]) -> Any:
    figure, panels = plt.subplots(1, 3, figsize=(WIDTH, 2.9), layout="constrained", sharey=True)
    for axes, (kind, title) in zip(panels, TITLES.items(), strict=True):
        values = column(shapes, kind)
        here = usable(kind, values)
        for i, name in enumerate(paired.names):
            _curve(axes, kind, values[here], paired.dice[i, here], edges_of(kind, values), COLOURS[i % len(COLOURS)])
            axes.plot([], [], color=COLOURS[i % len(COLOURS)], marker="o", markersize=3, label=name)
        axes.set(xlabel=title, ylim=(0, 1))
        axes.grid(color="#dddddd", linewidth=0.6)
    panels[0].set_ylabel("mean Dice")
    sizes = column(shapes, "ratio")
    largest = float(sizes[usable("ratio", sizes)].max(initial=0.05))
    panels[1].set_xlim(1.05 * largest, -0.05 * largest)  # smaller is harder, as the others grow harder to the right
    handles, names = panels[0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=4, frameon=False)
    return figure


def _curve(axes: Any, kind: str, x: Numbers, dice: Numbers, edges: Numbers, colour: str) -> None:
    means = points(x, dice, edges, np.ones_like(x)) if len(x) else []
    axes.scatter([one.x for one in means], [one.dice for one in means], s=10, color=colour, zorder=3)
    best = best_fit(fit_x(kind, np.array([one.x for one in means])), [one.dice for one in means])
    if best is None:
        return
    at = np.linspace(means[0].x, means[-1].x, 100)
    axes.plot(at, best.at(fit_x(kind, at)), color=colour, linewidth=1.2, linestyle="--")
    rng, curves = np.random.default_rng(0), []
    for _ in range(BAND_DRAWS):
        drawn = rng.integers(0, len(x), len(x))
        again = points(x[drawn], dice[drawn], edges, np.ones(len(x)))
        refit = best_fit(fit_x(kind, np.array([one.x for one in again])), [one.dice for one in again])
        if refit is not None:
            curves.append(refit.at(fit_x(kind, at)))
    if curves:
        low, high = np.percentile(curves, [2.5, 97.5], axis=0)
        axes.fill_between(at, low, high, color=colour, alpha=0.18, linewidth=0)


def _counts(plt: Any, shapes: list[Row], found: dict[str, Any]) -> Any:
    counts = column(shapes, "count")
    figure, axes = plt.subplots(figsize=(WIDTH * 0.6, 2.4), layout="constrained")
    axes.hist(counts, bins=min(40, int(counts.max()) + 1), color="#2b6a99")
    axes.axvline(found["quantile_90"], color=GREY, linestyle="--", linewidth=1)
    axes.set_title(f"90 % quantile {found['quantile_90']:g}, largest {counts.max():g}", loc="right")
    axes.set(xlabel="instances per mask", ylabel="masks", yscale="log")
    return figure


def _efficiency(plt: Any, found: dict[str, Any]) -> Any:
    structures = list(dict.fromkeys(row["structure"] for row in found["prompts"]))
    figure, panels = plt.subplots(
        1, len(structures), figsize=(WIDTH, 2.7), layout="constrained", sharey=True, sharex=True, squeeze=False
    )
    for axes, structure in zip(panels[0], structures, strict=True):
        rows = [row for row in found["prompts"] if row["structure"] == structure]
        for i, row in enumerate(rows):
            filled = row["method"].endswith("(no model)")
            look = {"marker": "x" if filled else "o", "color": "black" if filled else COLOURS[i % len(COLOURS)]}
            alpha = 0.5 if row["method"].startswith("filled instance") else 1
            axes.scatter(row["prompts"], row["dice"], s=30, alpha=alpha, label=row["method"], zorder=3, **look)
        axes.set(xscale="log", ylim=(0, 1), xlabel="prompts per mask")
        axes.set_title(f"{structure} ({rows[0]['pairs']:,})" if structure != OVERALL else "all", loc="left")
        axes.grid(color="#dddddd", linewidth=0.6)
    panels[0][0].set_ylabel("mean Dice")
    handles, names = panels[0][0].get_legend_handles_labels()
    figure.legend(handles, names, loc="outside lower center", ncols=3, frameon=False)
    return figure


def _spread(plt: Any, found: dict[str, Any]) -> Any:
    figure, axes = plt.subplots(figsize=(WIDTH, 3.2), layout="constrained")
    rows = sorted(found["instances"], key=lambda row: -row["pairs"])[: len(COLOURS)]
    for i, row in enumerate(rows):
        axes.errorbar(
            row["instances"],
            row["distance"],
            xerr=row["instances_std"],
            yerr=row["distance_std"],
            marker="o",
            capsize=2,
            linewidth=0.8,
            color=COLOURS[i],
            label=f"{row['label']} ({row['pairs']:,})",
        )
    axes.set(xlabel="instances per mask", ylabel="largest distance, pixels")
    axes.grid(color="#dddddd", linewidth=0.6)
    figure.legend(loc="outside right upper", frameon=False)
    return figure
