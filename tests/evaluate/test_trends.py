"""Intervals, weights and fits of trends whose answer is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathsegmentor.evaluate.fits import FORMS, best_fit, fit
from pathsegmentor.evaluate.trends import IRREGULARITY, RATIO, count_edges, density_weights, points

X = np.linspace(0.05, 1, 15)


@given(st.floats(0.1, 0.9), st.floats(2, 20), st.floats(-0.9, 0.9).filter(lambda a: abs(a) > 0.05))
def test_an_exponential_is_found_again(c: float, b: float, a: float) -> None:
    found = fit("exponential", X, c - a * np.exp(-b * X))
    assert found is not None
    assert (found.a, found.b, found.c) == pytest.approx((a, b, c), rel=1e-3, abs=1e-3)
    assert found.rmse < 1e-6


@given(st.floats(-1, 1), st.floats(-1, 1))
def test_lines_and_reciprocals_are_found_again(a: float, c: float) -> None:
    for form, y in (("linear", a * X + c), ("reciprocal", a / X + c)):
        found = fit(form, X, y)  # type: ignore[arg-type]
        assert found is not None and (found.a, found.c) == pytest.approx((a, c), abs=1e-9)
        assert found.at(X) == pytest.approx(y, abs=1e-9)


def test_errors_are_those_of_the_points() -> None:
    y = 0.5 * X + 0.1 + np.where(np.arange(15) % 2, 0.02, -0.02)
    found = fit("linear", X, y)
    assert found is not None
    rest = y - np.polyval(np.polyfit(X, y, 1), X)
    assert (found.mae, found.rmse) == pytest.approx((np.abs(rest).mean(), np.sqrt((rest**2).mean())))
    assert found.formula.startswith(f"{found.a:.4f} x + 0.")


def test_the_best_form_is_taken_and_too_few_points_have_none() -> None:
    for form, y in zip(FORMS, (0.3 * X, 0.9 - 0.8 * np.exp(-9 * X), 0.02 / X), strict=True):
        found = best_fit(X, y)
        assert found is not None and found.rmse < 1e-6
        assert form in (found.form, "linear") or found.form == form
    assert best_fit(X[:2], X[:2]) is None and fit("exponential", X[:3], X[:3]) is None
    assert fit("reciprocal", [0, 1, 2], [1, 2, 3]) is None
    flat = best_fit(X, np.full(15, 0.4))
    assert flat is not None and flat.at([0.3])[0] == pytest.approx(0.4)


def test_intervals_are_the_papers() -> None:
    assert len(IRREGULARITY) - 1 == 18 and len(RATIO) - 1 == 20
    edges = count_edges(np.repeat(np.arange(1.0, 91), 1))
    assert edges[0] == 2 and edges[-1] >= np.quantile(np.arange(1, 91), 0.9)
    assert (np.diff(edges) == 2).all()
    seventy_two = count_edges(np.array([2.0] * 10 + [72.0] * 80 + [800.0]))
    assert (seventy_two[-2], seventy_two[-1]) == (72, 74) and len(seventy_two) - 1 == 36
    assert len(count_edges(np.array([]))) <= 1


def test_plain_and_weighted_means_by_hand() -> None:
    x, dice = np.array([0.1, 0.12, 0.19, 0.2]), np.array([0.2, 0.4, 0.9, 1.0])
    first, second = points(x, dice, np.array([0.1, 0.2, 0.3]), np.array([1.0, 1.0, 2.0, 5.0]))
    assert (first.pairs, second.pairs) == (3, 1)  # an interval holds its lower end, not its upper one
    assert (first.x, first.dice) == pytest.approx((0.41 / 3, 0.5))
    assert (first.x_weighted, first.dice_weighted) == pytest.approx((0.15, 0.6))
    assert (second.x, second.dice, second.x_weighted, second.dice_weighted) == (0.2, 1, 0.2, 1)


def test_density_pulls_towards_the_mode_and_differs_between_models() -> None:
    rng = np.random.default_rng(0)
    x = rng.uniform(0, 0.05, 400)
    dice = np.clip(np.where(rng.uniform(size=400) < 0.7, 0.05, 0.6) + rng.normal(0, 0.03, 400), 0, 1)
    (one,) = points(x, dice, np.array([0, 0.06]), density_weights(x, dice))
    assert one.dice_weighted < one.dice - 0.05
    (other,) = points(x, 1 - dice, np.array([0, 0.06]), density_weights(x, 1 - dice))
    assert other.x_weighted == pytest.approx(one.x_weighted, abs=0.01) and other.dice_weighted > other.dice


@pytest.mark.parametrize("x", [np.full(9, 72.0), np.array([1.0, 2.0]), np.linspace(0, 1, 9)])
def test_what_has_no_density_is_not_weighted(x: np.ndarray) -> None:
    dice = np.linspace(0, 1, len(x))
    assert (density_weights(x, dice) == 1).all()
