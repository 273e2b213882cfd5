"""Percentile bootstrap intervals of means: over samples, as in the paper, or over clusters of them."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Numbers drawn at a time, so that memory does not grow with samples and draws.
_AT_ONCE = 4_000_000


@dataclass(frozen=True)
class Interval:
    """A mean with the ends of its interval, which are nan if there is only one sample or cluster."""

    mean: float
    low: float
    high: float


def bootstrap(
    values: ArrayLike,
    *,
    clusters: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    draws: int = 2000,
    seed: int = 0,
    level: float = 0.95,
) -> Interval:
    """Mean of ``values`` (n,) and its percentile interval.

    ``clusters`` (n,) names what is drawn together, a patient with all its samples; without it each sample is drawn for
    itself. ``weights`` (n,), above 0, make it a weighted mean and travel with their samples. Raises ``ValueError``
    for no values, nan, and weights that are none.
    """
    numbers = np.asarray(values, np.float64)
    if numbers.ndim != 1 or not len(numbers):
        raise ValueError("an interval needs at least one value")
    if not np.isfinite(numbers).all():
        raise ValueError(f"{np.count_nonzero(~np.isfinite(numbers))} of {len(numbers)} values are no numbers")
    if draws < 1 or not 0 < level < 1:
        raise ValueError(f"{draws} draws at a level of {level:g}: at least 1, and between 0 and 1")
    masses = np.ones_like(numbers) if weights is None else _weights(weights, len(numbers))
    units = np.arange(len(numbers)) if clusters is None else _codes(clusters, len(numbers))
    # Only sums are drawn, so a cluster of a thousand samples costs no more than one sample.
    mass = np.bincount(units, masses).astype(np.float64)
    total = np.bincount(units, masses * numbers).astype(np.float64)
    mean = float((masses * numbers).sum() / masses.sum())
    if len(mass) < 2:
        return Interval(mean, math.nan, math.nan)
    tail = 50 * (1 - level)
    low, high = np.percentile(_means(total, mass, draws, seed), [tail, 100 - tail])
    return Interval(mean, float(low), float(high))


def _means(total: NDArray[np.float64], mass: NDArray[np.float64], draws: int, seed: int) -> NDArray[np.float64]:
    rng = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // len(mass))
    means = np.empty(draws)
    equal = bool((mass == mass[0]).all())
    for first in range(0, draws, step):
        last = min(first + step, draws)
        drawn = rng.integers(0, len(mass), (last - first, len(mass)), dtype=np.int32)
        below = mass[0] * len(mass) if equal else mass[drawn].sum(axis=1)
        means[first:last] = total[drawn].sum(axis=1) / below
    return means


def _weights(weights: ArrayLike, count: int) -> NDArray[np.float64]:
    numbers = np.asarray(weights, np.float64)
    if numbers.shape != (count,) or not (np.isfinite(numbers) & (numbers > 0)).all():
        raise ValueError(f"weights are {count} numbers above 0, one for each value")
    return numbers


def _codes(clusters: ArrayLike, count: int) -> NDArray[np.intp]:
    names = np.asarray(clusters)
    if names.shape != (count,):
        raise ValueError(f"{count} values need as many names of clusters")
    return np.unique(names, return_inverse=True)[1]
