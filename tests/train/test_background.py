"""Pictures without tissue, and glass beside tissue."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from pathsegmentor.train import background
from pathsegmentor.train.augment import other_scanner

KINDS = (background.glass, background.black, background.pen, background.label, background.fat, background.background)


@pytest.mark.parametrize("draw", KINDS)
def test_pictures_are_as_asked_and_drawn_again_from_the_same_seed(
    draw: Callable[[int, np.random.Generator], np.ndarray],
) -> None:
    one, again = draw(80, np.random.default_rng(3)), draw(80, np.random.default_rng(3))
    assert one.shape == (80, 80, 3) and one.dtype == np.uint8
    assert np.array_equal(one, again)
    assert not np.array_equal(one, draw(80, np.random.default_rng(4)))


def test_glass_is_bright_and_what_was_not_scanned_is_dark() -> None:
    rng = np.random.default_rng(0)
    assert min(background.glass(64, rng).mean() for _ in range(10)) > 200
    assert max(background.black(64, rng).mean() for _ in range(10)) < 40


def test_glass_covers_what_it_says_and_leaves_the_rest() -> None:
    rng = np.random.default_rng(1)
    tissue = rng.integers(0, 120, (96, 96, 3), dtype=np.uint8)
    for _ in range(10):
        laid, covered = background.glass_beside(tissue, rng)
        near = np.zeros_like(covered)
        for shift in range(-8, 9):
            near |= np.roll(covered, shift, 0) ^ covered
            near |= np.roll(covered, shift, 1) ^ covered
        away = ~covered & ~near
        assert np.abs(laid[away].astype(int) - tissue[away]).max(initial=0) <= 3
        assert (covered & ~near).sum() == 0 or np.median(laid[covered & ~near]) > 200


def test_out_of_focus_leaves_no_detail() -> None:
    rng = np.random.default_rng(2)
    pixels = rng.integers(0, 255, (64, 64, 3), dtype=np.uint8)
    assert background.out_of_focus(pixels, rng).std() < 0.1 * pixels.std()


def test_another_scanner_sees_the_same_picture() -> None:
    rng = np.random.default_rng(5)
    rows, columns = np.mgrid[:64, :64]
    disc = (rows - 32) ** 2 + (columns - 32) ** 2 < 300
    pixels = np.where(disc[..., None], (90, 40, 130), (230, 170, 200)).astype(np.uint8)
    for _ in range(20):
        seen = other_scanner(pixels, rng)
        assert seen.shape == pixels.shape and not np.array_equal(seen, pixels)
        assert np.corrcoef(seen.mean(axis=2).ravel(), pixels.mean(axis=2).ravel())[0, 1] > 0.9
