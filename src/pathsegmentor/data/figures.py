"""Figures of what was built: masks per source, shares of regions and structures, and how labels branch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from textwrap import fill
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from pathsegmentor.atomic import whole_file
from pathsegmentor.data.manifest import Row, read_rows
from pathsegmentor.errors import BadInput, PathSegError
from pathsegmentor.vocabulary import Label

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Box = tuple[float, float, float, float]
Path3 = tuple[str, str, str]
MOST_TYPES = 24
OTHER = "other"
MAKER = "pathsegmentor data stats"
SMALLEST_FONT = 7


def draw_figures(folder: Path, out: Path) -> list[Path]:
    """``sources.png``, ``shares.png`` and ``labels.png`` for the manifest in ``folder``, written to ``out``.

    Raises ``BadInput``, and writes nothing, if a file of such a name there is not an earlier figure.
    """
    plt = pyplot()
    rows = read_rows(folder)
    figures = {out / "sources.png": (treemap, (9, 5)), out / "shares.png": (shares, (9, 5))}
    figures[out / "labels.png"] = (flows, (9, 10))
    for path in figures:
        _check_ours(path)
    out.mkdir(parents=True, exist_ok=True)
    for path, (draw, size) in figures.items():
        figure, axes = plt.subplots(figsize=size, layout="constrained")
        draw(axes, rows)
        with whole_file(path) as beside:
            figure.savefig(beside, dpi=120, metadata={"Software": MAKER})
        plt.close(figure)
    return list(figures)


def _check_ours(path: Path) -> None:
    """Raise ``BadInput`` if there is a file that no earlier call wrote: figures say who made them."""
    if not path.exists():
        return
    try:
        with Image.open(path) as picture:
            maker = picture.info.get("Software")
    except (OSError, ValueError):
        maker = None
    if maker != MAKER:
        raise BadInput(f"{path} is there already, and is not from 'data stats'; choose another --out")


def pyplot() -> Any:
    """Matplotlib without a window, or an error that names the install command."""
    try:
        import matplotlib

        matplotlib.use("Agg")
        import matplotlib.pyplot as plt
    except ImportError as error:
        raise PathSegError("figures need matplotlib: pip install 'pathsegmentor[data]'") from error
    return plt


def treemap(axes: Axes, rows: Sequence[Row]) -> None:
    """Masks per source, as areas; the names of those too small to be written on stand below."""
    counts = Counter(row.source for row in rows).most_common()
    boxes = slice_and_dice([count for _, count in counts], (0.0, 0.0, 1.6, 1.0))
    colours = pyplot().get_cmap("tab20").colors
    small = []
    for i, ((name, count), (x, y, width, height)) in enumerate(zip(counts, boxes, strict=True)):
        axes.add_patch(_rectangle(x, y, width, height, _pale(colours[i % len(colours)])))
        text = f"{count:,}"
        size = min(340 * width / max(len(name), len(text), 6), 130 * height, 16)
        if size < SMALLEST_FONT:
            small.append(f"{name}\u00a0{text}")
            continue
        axes.text(x + width / 2, y + height / 2, f"{name}\n{text}", ha="center", va="center", fontsize=size)
    if small:
        lines = fill("too small for their names: " + ", ".join(small), 110)
        axes.text(0, 1.02, lines, ha="left", va="top", fontsize=9)
    axes.set(xlim=(0, 1.6), ylim=(1, 0), title=f"Masks per source ({len(rows):,} in all)")
    axes.axis("off")


def slice_and_dice(values: Sequence[float], box: Box) -> list[Box]:
    """Boxes (x, y, width, height) with areas in proportion to values, halved along the longer side."""
    if len(values) == 1:
        return [box]
    sums = np.cumsum(values)
    middle = int(np.clip(np.searchsorted(sums, sums[-1] / 2) + 1, 1, len(values) - 1))
    share = float(sums[middle - 1] / sums[-1])
    x, y, width, height = box
    if width >= height:
        first, second = (x, y, width * share, height), (x + width * share, y, width * (1 - share), height)
    else:
        first, second = (x, y, width, height * share), (x, y + height * share, width, height * (1 - share))
    return slice_and_dice(values[:middle], first) + slice_and_dice(values[middle:], second)


def shares(axes: Axes, rows: Sequence[Row]) -> None:
    """Masks per region, split by structure, as bars with their numbers."""
    triples = Counter(_triple(row.label) for row in rows)
    regions, counts = Counter[str](), Counter[tuple[str, str]]()
    for (region, structure, _), count in triples.items():
        regions[region] += count
        counts[region, structure] += count
    names = [name for name, _ in regions.most_common()]
    left = np.zeros(len(names))
    for structure in sorted({structure for _, structure in counts}):
        width = np.array([100 * counts[name, structure] / len(rows) for name in names])
        bars = axes.barh(names, width, left=left, label=structure)
        left += width
    axes.bar_label(bars, [f"{regions[name]:,}" for name in names], padding=4, fontsize=8)
    axes.invert_yaxis()
    axes.margins(x=0.1)
    axes.set(xlabel=f"% of {len(rows):,} masks", title="Regions and structures")
    axes.legend(loc="lower right")  # where the bars are shortest


def flows(axes: Axes, rows: Sequence[Row]) -> None:
    """Region to structure to object type, ribbons as wide as the masks are many (a Sankey diagram)."""
    triples = Counter(_triple(row.label) for row in rows)
    types = Counter[str]()
    for (_, _, kind), count in triples.items():
        types[kind] += count
    kept = {name for name, _ in types.most_common(MOST_TYPES)}
    paths: Counter[Path3] = Counter()
    for (region, structure, kind), count in triples.items():
        paths[region, structure, kind if kind in kept else OTHER] += count
    columns = [_column(paths, level) for level in range(3)]
    colours = dict(zip(columns[0], pyplot().get_cmap("tab20").colors * 2, strict=False))
    for left in (0, 1):
        _ribbons(axes, paths, columns, left, colours)
    for level, column in enumerate(columns):
        totals = Counter[str]()
        for path, count in paths.items():
            totals[path[level]] += count
        for name, (low, high) in column.items():
            axes.add_patch(_rectangle(level - 0.03, low, 0.06, high - low, "0.3"))
            x, side = {0: (-0.05, "right"), 1: (1.05, "left"), 2: (2.05, "left")}[level]
            axes.text(x, (low + high) / 2, f"{name}  {totals[name]:,}", ha=side, va="center", fontsize=8)
    axes.set(xlim=(-0.6, 3.1), ylim=(1.01, -0.01), title="Region, structure and object type of all masks")
    axes.axis("off")


def _triple(label: str) -> Path3:
    parts = Label.from_id(label)
    return parts.region.lower(), parts.structure.lower(), parts.object_type.lower()


def _column(paths: Counter[Path3], level: int) -> dict[str, tuple[float, float]]:
    """Where each name of a level lies, from 0 to 1 downwards; tall enough to carry its text."""
    counts: Counter[str] = Counter()
    for path, count in paths.items():
        counts[path[level]] += count
    least = 0.6 * counts.total() / 40
    gap = 0.012
    ranked = sorted(counts.most_common(), key=lambda pair: pair[0] == OTHER)
    heights = {name: max(count, least) for name, count in ranked}
    scale = (1 - gap * (len(heights) - 1)) / sum(heights.values())
    column, at = {}, 0.0
    for name, height in heights.items():
        column[name] = (at, at + height * scale)
        at += height * scale + gap
    return column


def _ribbons(
    axes: Axes,
    paths: Counter[Path3],
    columns: list[dict[str, tuple[float, float]]],
    left: int,
    colours: dict[str, Any],
) -> None:
    """Ribbons between two columns, coloured by region."""
    if not left:
        merged: Counter[Path3] = Counter()
        for (region, structure, _), count in paths.items():
            merged[region, structure, ""] += count
        paths = merged
    totals = [Counter[str](), Counter[str]()]
    for path, count in paths.items():
        totals[0][path[left]] += count
        totals[1][path[left + 1]] += count
    at = [{name: span[0] for name, span in columns[left + side].items()} for side in (0, 1)]
    # Ribbons leave and arrive in the order of the other side's names, so that few cross.
    order = sorted(paths, key=lambda p: (columns[0][p[0]], columns[1][p[1]], columns[2].get(p[2], (0, 0))))
    x = np.linspace(left + 0.03, left + 0.97, 40)
    bend = (1 - np.cos(np.linspace(0, np.pi, 40))) / 2
    for path in order:
        ends = []
        for side in (0, 1):
            name = path[left + side]
            low, high = columns[left + side][name]
            height = (high - low) * paths[path] / totals[side][name]
            ends.append((at[side][name], at[side][name] + height))
            at[side][name] += height
        (a0, a1), (b0, b1) = ends
        axes.fill_between(x, a0 + (b0 - a0) * bend, a1 + (b1 - a1) * bend, color=colours[path[0]], alpha=0.5, lw=0)


def _pale(colour: Sequence[float]) -> tuple[float, ...]:
    """Light enough for black letters."""
    return tuple(0.5 + 0.5 * float(part) for part in colour)


def _rectangle(x: float, y: float, width: float, height: float, colour: Any) -> Any:
    from matplotlib.patches import Rectangle

    return Rectangle((x, y), width, height, facecolor=colour, edgecolor="white")
