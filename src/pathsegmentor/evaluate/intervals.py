"""Stub."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Interval:
    """I."""

    mean: float
    low: float
    high: float


def bootstrap(values: Any, *, clusters: Any = None, weights: Any = None, draws: int = 2000, seed: int = 0) -> Interval:
    """B."""
    values = np.asarray(values, float)
    if clusters is None:
        clusters = np.arange(len(values))
    _, codes = np.unique(clusters, return_inverse=True)
    sums, ns = np.bincount(codes, values), np.bincount(codes)
    if len(ns) < 2:
        return Interval(float(values.mean()), float("nan"), float("nan"))
    rng = np.random.default_rng(seed)
    means = []
    for _ in range(draws):
        pick = rng.integers(0, len(ns), len(ns))
        means.append(sums[pick].sum() / ns[pick].sum())
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high))
