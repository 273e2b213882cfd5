"""Train and test: the official split where there is one, else 80:20 by patient or slide, seeded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from pathsegmentor.data.record import Item

TEST_SHARE = 0.2
RULES = ("official", "random", "external")


def assign_splits(
    items: Sequence[Item], rule: str, seed: int, held: Mapping[str, tuple[str, str]] | None = None
) -> list[str]:
    """``train`` or ``test`` for each item; groups are never torn apart by the random rule.

    ``held`` has the split by content of pictures that another source holds; they and their groups follow it.

    With ``official``, an item whose split the source does not tell follows its group; groups without any
    told split fall back to the random rule.
    """
    if rule == "external":
        return ["test"] * len(items)
    official = rule == "official"
    elsewhere = {item.name: held[item.content][0] for item in items if held and item.content in held}
    told = {item.group: elsewhere[item.name] for item in items if item.name in elsewhere}
    told |= {item.group: item.split for item in items if item.split} if official else {}
    test = _test_groups([item for item in items if item.group not in told], seed)

    def split_of(item: Item) -> str:
        if official and item.split:
            return item.split
        return elsewhere.get(item.name) or told.get(item.group) or ("test" if item.group in test else "train")

    return [split_of(item) for item in items]


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
