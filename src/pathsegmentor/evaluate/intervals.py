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
    step = max(1, 2_000_000 // len(ns))
    means = []
    for first in range(0, draws, step):
        pick = rng.integers(0, len(ns), (min(step, draws - first), len(ns)))
        means.extend(sums[pick].sum(axis=1) / ns[pick].sum(axis=1))
    low, high = np.percentile(means, [2.5, 97.5])
    return Interval(float(values.mean()), float(low), float(high))
