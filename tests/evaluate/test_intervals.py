"""Intervals against scipy's bootstrap and against what must hold whatever is drawn."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from pathsegmentor.evaluate.intervals import Interval, bootstrap

VALUES = np.random.default_rng(3).beta(2, 1, 180)


def test_scipy_finds_the_same_interval() -> None:
    theirs = stats.bootstrap((VALUES,), np.mean, n_resamples=9999, method="percentile", rng=5)
    mine = bootstrap(VALUES, draws=9999)
    assert mine.mean == pytest.approx(VALUES.mean())
    assert (mine.low, mine.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.002)


def test_scipy_finds_the_same_weighted_interval() -> None:
    weights = np.linspace(0.1, 4, len(VALUES))

    def mean(values: np.ndarray, masses: np.ndarray) -> float:
        return float((values * masses).sum() / masses.sum())

    theirs = stats.bootstrap(
        (VALUES, weights), mean, paired=True, vectorized=False, n_resamples=3000, method="percentile", rng=5
    )
    mine = bootstrap(VALUES, weights=weights, draws=9999)
    assert mine.mean == pytest.approx(np.average(VALUES, weights=weights))
    assert (mine.low, mine.high) == pytest.approx(tuple(theirs.confidence_interval), abs=0.004)


def test_clusters_that_agree_with_themselves_widen_the_interval() -> None:
    values = np.repeat(VALUES[:20], 30)
    patients = np.repeat([f"p{i:02}" for i in range(20)], 30)
    plain, clustered = bootstrap(values), bootstrap(values, clusters=patients)
    assert plain.mean == clustered.mean
    # 30 copies of 20 values are 20 values: as wide as those alone.
    assert (clustered.low, clustered.high) == pytest.approx(
        (bootstrap(VALUES[:20]).low, bootstrap(VALUES[:20]).high), abs=1e-12
    )
    assert clustered.high - clustered.low > 4 * (plain.high - plain.low)


def test_a_large_patient_counts_by_its_samples() -> None:
    got = bootstrap([0, 1, 1, 1], clusters=["a", "b", "b", "b"])
    assert (got.mean, got.low, got.high) == (0.75, 0, 1)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=2, max_size=30), st.integers(0, 9))
def test_what_holds_for_any_values(values: list[float], seed: int) -> None:
    got = bootstrap(values, draws=200, seed=seed)
    assert min(values) - 1e-12 <= got.low <= got.high <= max(values) + 1e-12
    assert got == bootstrap(values, draws=200, seed=seed)
    equal = bootstrap(values, weights=np.full(len(values), 3.0), draws=200, seed=seed)
    assert (equal.mean, equal.low, equal.high) == pytest.approx((got.mean, got.low, got.high))


def test_drawing_in_parts_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = bootstrap(VALUES, draws=100)
    monkeypatch.setattr("pathsegmentor.evaluate.intervals._AT_ONCE", 700)
    assert bootstrap(VALUES, draws=100) == whole


def test_one_sample_or_patient_has_no_interval_and_equal_ones_have_none_to_speak_of() -> None:
    for got in (bootstrap([0.5]), bootstrap([0.4, 0.6], clusters=["a", "a"])):
        assert got.mean == 0.5 and math.isnan(got.low) and math.isnan(got.high)
    assert bootstrap(np.zeros(9)) == Interval(0, 0, 0)


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        ({"values": []}, "at least one"),
        ({"values": [0.1, math.nan]}, "1 of 2 values"),
        ({"values": [0.1, 0.2], "weights": [1, 0]}, "above 0"),
        ({"values": [0.1, 0.2], "weights": [1]}, "one for each"),
        ({"values": [0.1, 0.2], "clusters": ["a"]}, "names of clusters"),
        ({"values": [0.1, 0.2], "draws": 0}, "0 draws"),
        ({"values": [0.1, 0.2], "level": 1}, "level of 1"),
    ],
)
def test_bad_input(arguments: dict[str, Any], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        bootstrap(**arguments)
