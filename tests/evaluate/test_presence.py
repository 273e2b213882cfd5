"""Presence against scipy's rank test, counting out, and cases made by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import mannwhitneyu

from pathsegmentor.evaluate.presence import auroc, calibration, roc

items = st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=1, max_size=30)


@given(items)
def test_auroc_is_the_share_of_pairs_in_the_right_order(pairs: list[tuple[int, bool]]) -> None:
    there = [score for score, present in pairs if present]
    gone = [score for score, present in pairs if not present]
    found = auroc([float(s) for s, _ in pairs], [p for _, p in pairs])
    if not there or not gone:
        assert math.isnan(found)
        return
    right = sum((a > b) + (a == b) / 2 for a in there for b in gone)
    assert found == pytest.approx(right / (len(there) * len(gone)))
    assert found == pytest.approx(mannwhitneyu(there, gone).statistic / (len(there) * len(gone)))


@given(items)
def test_the_area_below_the_curve_is_the_auroc(pairs: list[tuple[int, bool]]) -> None:
    scores, present = [s / 5 for s, _ in pairs], [p for _, p in pairs]
    false, true = roc(scores, present)
    assert (np.diff(false) >= 0).all() and (np.diff(true) >= 0).all() and false[0] == true[0] == 0
    if any(present) and not all(present):
        assert (false[-1], true[-1]) == (1, 1)
        assert np.trapezoid(true, false) == pytest.approx(auroc(scores, present))


def test_turned_round_presence_is_noticed() -> None:
    scores, present = np.array([0.9, 0.8, 0.6, 0.2]), np.array([True, True, False, False])
    assert auroc(scores, present) == 1 and auroc(1 - scores, present) == 0
    assert calibration(1 - scores, present).error > calibration(scores, present).error


def test_calibration_made_by_hand() -> None:
    got = calibration([0.0, 0.1, 0.5, 0.7, 1.0], [False, True, True, False, True], bins=2)
    assert got.counts.tolist() == [2, 3]
    assert got.predicted == pytest.approx([0.05, 2.2 / 3])
    assert got.observed == pytest.approx([0.5, 2 / 3])
    assert got.error == pytest.approx((2 * 0.45 + 3 * 0.2 / 3) / 5)
    empty = calibration([0.05], [True], bins=10)
    assert empty.error == pytest.approx(0.95) and np.isnan(empty.predicted[1:]).all()
    assert math.isnan(calibration([], []).error)


def test_probabilities_that_come_true_have_no_error() -> None:
    scores = np.random.default_rng(0).uniform(size=200_000)
    present = np.random.default_rng(1).uniform(size=200_000) < scores
    assert calibration(scores, present).error < 0.005
    assert auroc(scores, present) == pytest.approx(5 / 6, abs=0.005)


def test_bad_input() -> None:
    for broken in (auroc, roc, calibration):
        with pytest.raises(ValueError, match="1 of 2 scores are nan"):
            broken([0.1, math.nan], [True, False])
        with pytest.raises(ValueError, match="2 scores for 1 labels"):
            broken([0.1, 0.2], [True])
    with pytest.raises(ValueError, match="outside"):
        calibration([1.2], [True])
    with pytest.raises(ValueError, match="0 bins"):
        calibration([0.2], [True], bins=0)


@pytest.mark.slow  # importing it takes longer than all other tests here
def test_torchmetrics_agrees() -> None:
    import torch
    from torchmetrics.functional.classification import binary_auroc, binary_calibration_error

    rng = np.random.default_rng(0)
    scores = rng.uniform(size=500)
    present = rng.uniform(size=500) < scores**2
    mine, theirs = torch.from_numpy(scores), torch.from_numpy(present).long()
    assert auroc(scores, present) == pytest.approx(float(binary_auroc(mine, theirs)), abs=1e-6)
    error = float(binary_calibration_error(mine, theirs, n_bins=10, norm="l1"))
    assert calibration(scores, present).error == pytest.approx(error, abs=1e-6)
