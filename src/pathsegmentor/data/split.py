"""Train and test: the official split where there is one, else 80:20 by patient or slide, seeded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from pathsegmentor.data.record import Item
from pathsegmentor.errors import BadInput

TEST_SHARE = 0.2
RULES = ("official", "random", "external")


def assign_splits(
    items: Sequence[Item], rule: str, seed: int, held: Mapping[str, tuple[str, str]] | None = None
) -> list[str]:
    """``train`` or ``test`` for each item; groups are never torn apart by the random rule.

    ``held`` has the split by content of pictures that another source holds; they and their groups follow it.

    With ``official``, an item whose split a table does not tell follows its group; groups without any
    told split fall back to the random rule. ``described`` says in words what was done.
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


def described(items: Sequence[Item], rule: str) -> str:
    """The rule, and what it left to chance."""
    untold = sum(not item.split for item in items) if rule == "official" else 0
    return f"official; {untold} of {len(items)} images, which have no part, at random" if untold else rule


def check_official(items: Sequence[Item], source: str) -> None:
    """Refuse to call a split official that the source does not give."""
    untold = [item.name for item in items if not item.split]
    if len(untold) == len(items):
        raise BadInput(f"{source} comes without official parts; choose random")
    if untold:
        raise BadInput(
            f"{len(untold)} of {len(items)} images of {source} are in no official part, {untold[0]} the first; "
            f"choose random"
        )


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
