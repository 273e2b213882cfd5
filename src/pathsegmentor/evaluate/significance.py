"""Whether one model is better than another on the same pairs."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy import stats

# Up to so many pairs Wilcoxon's test is exact, beyond it is the normal approximation.
EXACT = 50


def t_test(ours: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """The p of the one-sided paired Student t-test that ours is greater, as in the paper; both (n,).

    None for fewer than two pairs, and for differences that are all the same.
    """
    difference = ours - other
    if len(difference) < 2 or np.ptp(difference) == 0:
        return None
    return _number(stats.ttest_rel(ours, other, alternative="greater").pvalue)


def wilcoxon(ours: NDArray[np.float64], other: NDArray[np.float64]) -> float | None:
    """The p of the one-sided Wilcoxon signed-rank test; None where no pair differs.

    Equal pairs are left out, and ties are allowed for.
    """
    difference = ours - other
    difference = difference[difference != 0]
    if not len(difference):
        return None
    if len(difference) > EXACT:
        return _number(stats.wilcoxon(difference, alternative="greater", method="asymptotic").pvalue)
    # Ranks that are shared are halves. All signs are as likely, so the sums of positive ranks are counted out; scipy
    # does that for ties by trying every sign, which takes a second where this takes a millisecond.
    ranks = np.rint(2 * stats.rankdata(np.abs(difference))).astype(np.int64)
    ways = np.zeros(int(ranks.sum()) + 1)
    ways[0] = 1
    for rank in ranks.tolist():
        ways[rank:] += ways[:-rank].copy()
    return float(ways[ranks[difference > 0].sum() :].sum() / ways.sum())


def holm(values: Sequence[float | None]) -> list[float | None]:
    """p-values corrected for how many there are (Holm); those that are None are not counted."""
    order = sorted((i for i, p in enumerate(values) if p is not None), key=lambda i: values[i] or 0.0)
    corrected: list[float | None] = [None] * len(values)
    highest = 0.0
    for place, i in enumerate(order):
        highest = max(highest, min(1.0, (values[i] or 0.0) * (len(order) - place)))
        corrected[i] = highest
    return corrected


def stars(p: float | None) -> str:
    """As in the paper's figures: two at 0.01 and below, one at 0.05."""
    return "" if p is None or p > 0.05 else "**" if p <= 0.01 else "*"


def _number(p: float) -> float | None:
    return None if math.isnan(p) else float(p)
