"""Figures: areas and ribbons in proportion, every source named, no text on another."""

from __future__ import annotations

from itertools import combinations
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from pathsegmentor.data.figures import flows, pyplot, shares, slice_and_dice, treemap
from pathsegmentor.data.sources import PAPER, source
from pathsegmentor.data.stats import paper_masks


@pytest.fixture(scope="module")
def rows() -> list[Any]:
    """As many rows per source and per label as the paper has, by the thousand, and at least one of each."""
    sources = [name for name in PAPER for _ in range(1 + source(name).paper.masks // 1000)]
    labels = [label for label, masks in paper_masks().items() for _ in range(1 + masks // 1000)]
    return [
        SimpleNamespace(source=sources[i % len(sources)], label=labels[i % len(labels)])
        for i in range(max(len(sources), len(labels)))
    ]


def drawn(draw: Any, rows: list[Any], size: tuple[int, int]) -> Any:
    figure, axes = pyplot().subplots(figsize=size, layout="constrained")
    draw(axes, rows)
    figure.canvas.draw()
    return axes


def test_boxes_fill_their_box_in_proportion_and_do_not_overlap() -> None:
    values = [50, 20, 10, 9, 5, 3, 2, 1]
    boxes = slice_and_dice(values, (0.0, 0.0, 1.6, 1.0))
    assert [w * h for _, _, w, h in boxes] == pytest.approx([1.6 * value / sum(values) for value in values])
    for (x, y, w, h), (u, v, s, t) in combinations(boxes, 2):
        assert min(x + w, u + s) - max(x, u) < 1e-9 or min(y + h, v + t) - max(y, v) < 1e-9


def test_the_treemap_names_every_source(rows: list[Any]) -> None:
    axes = drawn(treemap, rows, (9, 5))
    text = " ".join(text.get_text() for text in axes.texts)
    assert all(name in text for name in {row.source for row in rows})
    pyplot().close(axes.figure)


def test_bars_add_up_to_all_masks(rows: list[Any]) -> None:
    axes = drawn(shares, rows, (9, 5))
    assert sum(bar.get_width() for bar in axes.patches) == pytest.approx(100)
    assert len(axes.get_yticks()) == 20
    pyplot().close(axes.figure)


def test_ribbons_carry_every_mask_once(rows: list[Any]) -> None:
    axes = drawn(flows, rows, (9, 10))
    numbers = [int(text.get_text().rpartition("  ")[2].replace(",", "")) for text in axes.texts]
    assert sum(numbers) == 3 * len(rows)
    assert axes.texts[-1].get_text().startswith("other")
    pyplot().close(axes.figure)


@pytest.mark.parametrize(("draw", "size"), [(treemap, (9, 5)), (shares, (9, 5)), (flows, (9, 10))])
def test_no_text_lies_on_another_or_outside(rows: list[Any], draw: Any, size: tuple[int, int]) -> None:
    axes = drawn(draw, rows, size)
    boxes = [text.get_window_extent() for text in axes.texts]
    for one, other in combinations(boxes, 2):
        assert not one.padded(-1).overlaps(other.padded(-1))
    width, height = axes.figure.canvas.get_width_height()
    edges = np.array([box.extents for box in boxes])
    assert edges.min() >= 0 and edges[:, 2].max() <= width and edges[:, 3].max() <= height
    pyplot().close(axes.figure)
