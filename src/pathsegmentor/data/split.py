"""Train and test: the official split where there is one, else 80:20 by patient or slide, seeded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from pathsegmentor.data.record import Item

TEST_SHARE = 0.2
RULES = ("official", "random", "external")


def assign_splits(items: Sequence[Item], rule: str, seed: int) -> list[str]:
    """``train`` or ``test`` for each item; groups are never torn apart by the random rule.

    ``official`` falls back to the random rule for items whose split the source does not tell.
    """
    if rule == "external":
        return ["test"] * len(items)
    test = _test_groups([item for item in items if rule == "random" or not item.split], seed)
    return [
        item.split if rule == "official" and item.split else "test" if item.group in test else "train" for item in items
    ]


def _test_groups(items: Sequence[Item], seed: int) -> set[str]:
    """Groups in a seeded order until a fifth of the items is reached as nearly as it gets."""
    sizes = Counter(item.group for item in items)
    names = sorted(sizes)
    np.random.default_rng(seed).shuffle(names)
    wanted, got, test = TEST_SHARE * len(items), 0, set()
    for name in names:
        if abs(got + sizes[name] - wanted) < abs(got - wanted):
            test.add(name)
            got += sizes[name]
    return test
