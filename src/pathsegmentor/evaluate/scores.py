"""Dice (eq. 18) and the area under the presence curve."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata


def dice(found: NDArray[np.bool_], truth: NDArray[np.bool_]) -> float:
    """2 |A and B| / (|A| + |B|) of two masks of one shape; 1 if both are empty."""
    total = int(found.sum()) + int(truth.sum())
    return 1.0 if total == 0 else 2.0 * float((found & truth).sum()) / total


def auroc(scores: list[float], present: list[bool]) -> float:
    """Chance that a present prompt scores above an absent one, ties half; nan if one kind is missing."""
    truth = np.asarray(present)
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float("nan")
    ranks = rankdata(np.asarray(scores))
    return float((ranks[truth].sum() - positives * (positives + 1) / 2) / (positives * negatives))
