"""Splits: groups whole, seeded, near 80:20, the official one respected."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathsegmentor.data.record import Item
from pathsegmentor.data.split import TEST_SHARE, assign_splits

GROUPS = st.lists(st.integers(0, 30), min_size=1, max_size=200)


def items_of(groups: list[int], official: list[str] | None = None) -> list[Item]:
    return [
        Item(f"{number}", (), 0.25, 1.0, official[number] if official else "", f"patient {group}")
        for number, group in enumerate(groups)
    ]


def by_group(items: list[Item], splits: list[str]) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for item, split in zip(items, splits, strict=True):
        found.setdefault(item.group, set()).add(split)
    return found


@given(GROUPS, st.integers(0, 5))
def test_groups_stay_whole_and_a_fifth_is_test(groups: list[int], seed: int) -> None:
    items = items_of(groups)
    splits = assign_splits(items, "random", seed)
    assert set(splits) <= {"train", "test"} and len(splits) == len(items)
    assert all(len(found) == 1 for found in by_group(items, splits).values())
    largest = max(groups.count(group) for group in groups)
    assert abs(splits.count("test") - TEST_SHARE * len(items)) <= largest / 2
    assert splits == assign_splits(items, "random", seed)


@given(GROUPS, st.randoms(use_true_random=False))
def test_order_of_items_does_not_matter(groups: list[int], random: object) -> None:
    items = items_of(groups)
    of = dict(zip([i.name for i in items], assign_splits(items, "random", 0), strict=True))
    random.shuffle(items)  # type: ignore[attr-defined]
    assert [of[item.name] for item in items] == assign_splits(items, "random", 0)


def test_another_seed_splits_otherwise() -> None:
    items = items_of(list(range(100)))
    found = {tuple(assign_splits(items, "random", seed)) for seed in range(5)}
    assert len(found) == 5 and {splits.count("test") for splits in found} == {20}


def test_group_is_patient_else_slide_else_image() -> None:
    def group(patient: str, slide: str) -> str:
        return Item("name", (), 0.25, 1.0, "", patient, slide).group

    assert [group("p", "s"), group("", "s"), group("", "")] == ["p", "s", "name"]


@given(st.data())
def test_official_split_is_kept_and_groups_follow_it(data: st.DataObject) -> None:
    groups = data.draw(GROUPS)
    known = st.lists(st.sampled_from(["train", "test", ""]), min_size=len(groups), max_size=len(groups))
    official = data.draw(known)
    items = items_of(groups, official)
    splits = assign_splits(items, "official", 0)
    assert all(got == wanted for got, wanted in zip(splits, official, strict=True) if wanted)
    told = by_group(items, official)
    for group, found in by_group(items, splits).items():
        # Only a source that tears a group itself has it in both.
        assert found == told[group] - {""} or (told[group] == {""} and len(found) == 1)
    # Asked for, the random rule overrides the source.
    assert assign_splits(items, "random", 0) == assign_splits(items_of(groups), "random", 0)


@pytest.mark.parametrize("official", ["", "train", "test"])
def test_external_is_all_test(official: str) -> None:
    items = items_of([1, 2, 3], [official] * 3)
    assert assign_splits(items, "external", 0) == ["test"] * 3


def test_nothing_to_split() -> None:
    assert assign_splits([], "random", 0) == [] and assign_splits([], "official", 0) == []
