"""Dice against how intricate the objects are, interval by interval (paper, tables 8 to 10)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import gaussian_kde

Numbers = NDArray[np.float64]
QUANTILE = 0.9
# The paper's intervals, [low, high).
IRREGULARITY = np.round(np.arange(0.10, 1.001, 0.05), 2)
RATIO = np.round(np.arange(0, 1.001, 0.05), 2)


@dataclass(frozen=True)
class Point:
    """Pairs of one interval: how many, and the means of x and of Dice, plain and weighted by density."""

    low: float
    high: float
    pairs: int
    x: float
    dice: float
    x_weighted: float
    dice_weighted: float


def count_edges(counts: Numbers) -> Numbers:
    """Intervals of two from 2 to the 90 % quantile of the instance counts, as in table 10; none below 2."""
    end = float(np.quantile(counts, QUANTILE)) if len(counts) else 0
    return np.arange(2, end + 2.001, 2.0)


def density_weights(x: Numbers, dice: Numbers) -> Numbers:
    """The density of the pairs at each pair: Gaussian kernels on (x, Dice) with Scott's bandwidth.

    The paper does not say of what the density is; the mean x of its intervals differs between methods, so Dice must
    be in it. Equal weights where the pairs are too few, or on one line.
    """
    points = np.stack([x, dice])
    if len(x) < 3 or np.linalg.matrix_rank(points - points.mean(axis=1, keepdims=True)) < 2:
        return np.ones_like(x)
    return np.asarray(gaussian_kde(points)(points))


def points(x: Numbers, dice: Numbers, edges: Numbers, weights: Numbers) -> list[Point]:
    """Means of the pairs in each interval [low, high) that has any; ``x``, ``dice`` and ``weights`` are (n,)."""
    found = []
    which = np.digitize(x, edges) - 1
    for i in range(len(edges) - 1):
        here = which == i
        if not here.any():
            continue
        mass = weights[here] / weights[here].sum() if weights[here].sum() > 0 else None
        found.append(
            Point(
                float(edges[i]),
                float(edges[i + 1]),
                int(here.sum()),
                float(x[here].mean()),
                float(dice[here].mean()),
                float(np.average(x[here], weights=mass)),
                float(np.average(dice[here], weights=mass)),
            )
        )
    return found
