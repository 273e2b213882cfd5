"""Curves through the points of a trend, as in the paper's table 7, by least squares."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

Form = Literal["linear", "exponential", "reciprocal"]
FORMS: tuple[Form, ...] = ("linear", "exponential", "reciprocal")
# An exponential has three numbers; through three points it goes exactly and says nothing.
_FEWEST = {"linear": 3, "reciprocal": 3, "exponential": 4}
# Decay over the width of all points: from all but a line to all but a step.
_STEEPNESS = (0.05, 200.0)
_ROUNDS = 7


@dataclass(frozen=True)
class Fit:
    """``linear`` a x + c, ``exponential`` c - a exp(-b x), ``reciprocal`` a / x + c; errors over the points."""

    form: Form
    a: float
    b: float
    c: float
    mae: float
    rmse: float

    def at(self, x: ArrayLike) -> NDArray[np.float64]:
        """The curve at some places."""
        return _curve(self.form, np.asarray(x, np.float64), self.a, self.b, self.c)

    @property
    def formula(self) -> str:
        """As it is read by people."""
        end = f" {'-' if self.c < 0 else '+'} {abs(self.c):.4f}"
        if self.form == "linear":
            return f"{self.a:.4f} x{end}"
        if self.form == "reciprocal":
            return f"{self.a:.4f} / x{end}"
        return f"{self.c:.4f} {'+' if self.a < 0 else '-'} {abs(self.a):.4f} exp(-{self.b:.4f} x)"


def fit(form: Form, x: ArrayLike, y: ArrayLike) -> Fit | None:
    """The curve of a form nearest to points; None where they are too few or do not determine it."""
    xs, ys = np.asarray(x, np.float64), np.asarray(y, np.float64)
    if len(np.unique(xs)) < _FEWEST[form] or (form == "reciprocal" and not xs.all()):
        return None
    if form == "exponential":
        a, b, c = _exponential(xs, ys)
    else:
        a, c = (float(v) for v in np.polyfit(xs if form == "linear" else 1 / xs, ys, 1))
        b = math.nan
    rest = ys - _curve(form, xs, a, b, c)
    return Fit(form, a, b, c, float(np.abs(rest).mean()), float(np.sqrt((rest**2).mean())))


def best_fit(x: ArrayLike, y: ArrayLike) -> Fit | None:
    """Of the three forms that of the smallest RMSE; None where none can be fitted."""
    found = [one for form in FORMS if (one := fit(form, x, y)) is not None]
    return min(found, key=lambda one: one.rmse, default=None)


def _curve(form: Form, x: NDArray[np.float64], a: float, b: float, c: float) -> NDArray[np.float64]:
    if form == "linear":
        return a * x + c
    return a / x + c if form == "reciprocal" else c - a * np.exp(-b * x)


def _exponential(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float, float]:
    """For a given b the rest is a line through exp(-b x), so only b is searched: coarsely, then around the best."""

    def line(logarithm: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
        """Squared error, a and c for each of some logarithms of b (n,)."""
        base = np.exp(-np.exp(logarithm)[:, None] * x)
        spread = base - base.mean(axis=1, keepdims=True)
        below = (spread**2).sum(axis=1)
        slope = np.divide(spread @ y, below, out=np.zeros_like(below), where=below > 0)
        c = y.mean() - slope * base.mean(axis=1)
        return ((y - c[:, None] - slope[:, None] * base) ** 2).sum(axis=1), -slope, c

    grid = np.log(np.geomspace(*_STEEPNESS, 120) / np.ptp(x))
    for _ in range(_ROUNDS):
        place = int(np.argmin(line(grid)[0]))
        grid = np.linspace(grid[max(place - 1, 0)], grid[min(place + 1, len(grid) - 1)], 60)
    best = grid[[int(np.argmin(line(grid)[0]))]]
    _, a, c = line(best)
    return float(a[0]), float(np.exp(best[0])), float(c[0])
