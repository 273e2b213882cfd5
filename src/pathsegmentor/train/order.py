"""The order in which images are drawn over epochs, and how often those of rare labels come."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray


def rare(labels: Sequence[Collection[str]], balance: float) -> NDArray[np.float64]:
    """How many times more often to draw each item, given the labels that occur in it.

    A label that a share f below ``balance`` of the items has counts sqrt(balance / f), any other 1; an item
    counts as its rarest label. Repeat factors: A. Gupta, P. Dollar and R. Girshick, "LVIS", 2019.
    """
    counts = Counter(label for here in labels for label in set(here))
    factors = {label: max(1.0, float(np.sqrt(balance * len(labels) / n))) for label, n in counts.items()}
    return np.array([max((factors[label] for label in here), default=1.0) for here in labels])


class Epochs:
    """A shuffled list per epoch in which item ``i`` stands ``times[i]`` times, rounded up or down by chance.

    Position ``k`` depends on the seed and ``k`` alone. ``length`` is the same in every epoch.
    """

    def __init__(self, times: NDArray[np.float64], seed: int) -> None:
        self.length = max(round(float(times.sum())), 1)
        self._ends = np.cumsum(times) * (self.length / times.sum())
        self._seed = seed
        self._epoch = lru_cache(2)(self._shuffled)

    def items(self, start: int, count: int) -> list[int]:
        """Items at ``count`` positions from ``start`` on, over the ends of epochs."""
        places = range(start, start + count)
        return [int(self._epoch(k // self.length)[k % self.length]) for k in places]

    def _shuffled(self, epoch: int) -> NDArray[np.int64]:
        rng = np.random.default_rng([self._seed, epoch, 1])
        # Equally spaced marks on the line of all items: each gets its share, none more than rounded up.
        marks = np.arange(self.length) + rng.random()
        drawn = np.minimum(np.searchsorted(self._ends, marks, side="right"), len(self._ends) - 1)
        rng.shuffle(drawn)
        return drawn
