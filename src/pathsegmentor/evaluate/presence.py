"""How well presence tells present from absent labels, and whether it can be taken at its word."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.stats import rankdata


@dataclass(frozen=True)
class Calibration:
    """Per bin of equal width the mean score, the share that is present (nan without any) and how many there are.

    ``error`` is the expected calibration error: the distance of the two, averaged over samples.
    """

    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    counts: NDArray[np.int64]
    error: float


def auroc(scores: ArrayLike, present: ArrayLike) -> float:
    """Chance that a present label scores above an absent one, ties half; nan if one kind is missing.

    Raises ``ValueError`` for nan.
    """
    numbers, truth = _checked(scores, present)
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return math.nan
    ranks = rankdata(numbers)
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def roc(scores: ArrayLike, present: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Shares of absent and of present labels at or above every boundary, from the highest down, from 0 to 1."""
    numbers, truth = _checked(scores, present)
    order = np.argsort(-numbers, kind="stable")
    ends = np.flatnonzero(np.append(np.diff(numbers[order]) != 0, True)) if len(order) else np.empty(0, np.intp)
    shares = [np.append(0, np.cumsum(kind[order])[ends]) / max(int(kind.sum()), 1) for kind in (~truth, truth)]
    return shares[0], shares[1]


def calibration(scores: ArrayLike, present: ArrayLike, bins: int = 10) -> Calibration:
    """Compare probabilities in 0..1 with what is there; a bin holds its lower end, the last one both.

    Raises ``ValueError`` for nan and numbers outside 0..1.
    """
    numbers, truth = _checked(scores, present)
    if bins < 1:
        raise ValueError(f"{bins} bins; at least 1")
    if ((numbers < 0) | (numbers > 1)).any():
        raise ValueError("a probability is outside 0..1")
    which = np.minimum((numbers * bins).astype(np.int64), bins - 1)
    counts = np.bincount(which, minlength=bins)
    filled = counts > 0
    predicted, observed = np.full(bins, np.nan), np.full(bins, np.nan)
    predicted[filled] = np.bincount(which, numbers, bins)[filled] / counts[filled]
    observed[filled] = np.bincount(which, truth, bins)[filled] / counts[filled]
    gaps = np.abs(predicted - observed)[filled]
    error = float((gaps * counts[filled]).sum() / len(numbers)) if len(numbers) else math.nan
    return Calibration(predicted, observed, counts, error)


def _checked(scores: ArrayLike, present: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    numbers, truth = np.asarray(scores, np.float64), np.asarray(present, np.bool_)
    if numbers.shape != truth.shape or numbers.ndim != 1:
        raise ValueError(f"{numbers.size} scores for {truth.size} labels")
    if np.isnan(numbers).any():
        raise ValueError(f"{np.count_nonzero(np.isnan(numbers))} of {len(numbers)} scores are nan")
    return numbers, truth
