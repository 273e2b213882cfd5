"""Tests of differences against scipy, and Holm's correction by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from pathsegmentor.evaluate.significance import holm, stars, t_test, wilcoxon

RNG = np.random.default_rng(1)
OTHER = RNG.beta(2, 2, 60)
OURS = np.clip(OTHER + RNG.normal(0.05, 0.1, 60), 0, 1)


def test_one_sided_paired_tests() -> None:
    # The statistic from its definition, and twice the p-value where the direction is right.
    d = OURS - OTHER
    t = d.mean() / (d.std(ddof=1) / np.sqrt(len(d)))
    assert t_test(OURS, OTHER) == pytest.approx(stats.t.sf(t, len(d) - 1))
    two_sided = stats.ttest_rel(OURS, OTHER).pvalue
    assert t_test(OURS, OTHER) == pytest.approx(two_sided / 2)
    assert t_test(OTHER, OURS) == pytest.approx(1 - two_sided / 2)
    assert wilcoxon(OURS, OTHER) == pytest.approx(stats.wilcoxon(OURS, OTHER).pvalue / 2)
    assert (wilcoxon(OTHER, OURS) or 0) > 0.99


def test_wilcoxon_of_few_pairs_is_counted_out() -> None:
    # All five differences are positive: one of 2^5 sign patterns.
    assert wilcoxon(np.array([0.2, 0.4, 0.6, 0.8, 1.0]), np.array([0.1, 0.2, 0.3, 0.4, 0.5])) == pytest.approx(1 / 32)


@pytest.mark.parametrize(("count", "places"), [(9, 1), (12, 9), (30, 9)])
def test_wilcoxon_is_scipys_with_ties_and_without(count: int, places: int) -> None:
    rng = np.random.default_rng(count)
    ours, other = rng.integers(0, 10**places, (2, count)) / 10**places
    theirs = stats.wilcoxon(ours - other, alternative="greater").pvalue
    assert wilcoxon(ours, other) == pytest.approx(theirs)


def test_equal_pairs_have_no_p_value() -> None:
    assert t_test(OURS, OURS) is None and wilcoxon(OURS, OURS) is None
    assert t_test(OURS[:1], OTHER[:1]) is None


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, None, 0.03]) == pytest.approx([0.03, 0.06, None, 0.06], nan_ok=True)
    assert holm([0.5, 0.9]) == [1.0, 1.0]
    assert holm([]) == [] and holm([None]) == [None]


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_as_its_definition_rejects(values: list[float]) -> None:
    """Step down: reject while p_i <= level / (m - i)."""
    corrected = holm(values)
    for level in (0.01, 0.05, 0.5):
        rejected, going = set(), True
        for place, i in enumerate(sorted(range(len(values)), key=lambda i: values[i])):
            going = going and values[i] * (len(values) - place) <= level
            if going:
                rejected.add(i)
        assert {i for i, p in enumerate(corrected) if p is not None and p <= level} == rejected


def test_stars() -> None:
    assert [stars(p) for p in (None, 0.2, 0.05, 0.011, 0.01, 0.0)] == ["", "", "*", "*", "**", "**"]
