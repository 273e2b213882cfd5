"""Scores against their definitions, counted out pair by pair."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathsegmentor.evaluate.presence import auroc
from pathsegmentor.evaluate.scores import dice


@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30))
def test_auroc_is_the_share_of_pairs_in_the_right_order(items: list[tuple[int, bool]]) -> None:
    there = [score for score, present in items if present]
    gone = [score for score, present in items if not present]
    found = auroc([float(s) for s, _ in items], [p for _, p in items])
    if not there or not gone:
        assert math.isnan(found)
    else:
        right = sum((a > b) + (a == b) / 2 for a in there for b in gone)
        assert found == pytest.approx(right / (len(there) * len(gone)))


def test_dice() -> None:
    a = np.array([[1, 1, 0, 0]], bool)
    assert dice(a, a) == 1 and dice(a, ~a) == 0
    assert dice(a, np.array([[0, 1, 1, 0]], bool)) == 0.5
    assert dice(~a & a, ~a & a) == 1
