"""Stub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def auroc(scores: Any, present: Any) -> float:
    """Chance that a present prompt scores above an absent one, ties half; nan if one kind is missing."""
    truth = np.asarray(present, bool)
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(np.asarray(scores))
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


@dataclass(frozen=True)
class Calibration:
    """C."""

    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    counts: NDArray[np.int64]
    error: float


def calibration(scores: Any, present: Any, bins: int = 10) -> Calibration:
    """C."""
    scores, present = np.asarray(scores, float), np.asarray(present, bool)
    which = np.minimum((scores * bins).astype(int), bins - 1)
    n = np.bincount(which, minlength=bins)
    with np.errstate(invalid="ignore"):
        p = np.bincount(which, scores, bins) / n
        o = np.bincount(which, present, bins) / n
    return Calibration(p, o, n, float(np.nansum(np.abs(p - o) * n) / n.sum()))


def roc(scores: Any, present: Any) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares of absent and of present ones above every boundary, from the highest down, beginning with (0, 0)."""
    scores, truth = np.asarray(scores, float), np.asarray(present, bool)
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(scores[order]) != 0, True))
    above = [np.append(0, np.cumsum(kind[order])[ends]) / max(kind.sum(), 1) for kind in (~truth, truth)]
    return above[0], above[1]
