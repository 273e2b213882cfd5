"""The overlay: a legend that can be read and covers nothing, a scale bar of the right length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathsegmentor.imaging import overlay

GREEN = (0, 220, 90)


def bar(picture: np.ndarray, tissue: int) -> int:
    """Length of the longest black run below the tissue."""
    longest = 0
    for row in (picture[tissue:] == 0).all(axis=2):
        ends = np.flatnonzero(np.diff(np.concatenate([[0], row.astype(int), [0]])))
        longest = max(longest, *(ends[1::2] - ends[::2]), 0)
    return int(longest)


@pytest.mark.parametrize(("side", "mpp", "um"), [(800, 0.25, 50), (800, 1.0, 200), (224, 1.0, 50), (1400, 0.5, 100)])
def test_the_scale_bar_is_as_long_as_it_says(side: int, mpp: float, um: int) -> None:
    picture = overlay(np.full((side, side, 3), 200, np.uint8), [], (mpp, mpp))
    zoom = picture.shape[1] / side
    assert bar(picture, round(side * zoom)) == pytest.approx(um / mpp * zoom, abs=1)


def test_the_legend_lies_below_the_tissue() -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (700, 700, 3), dtype=np.uint8)
    nothing = np.zeros((700, 700), bool)
    picture = overlay(pixels, [("nothing", nothing, GREEN)] * 12, (0.5, 0.5))
    np.testing.assert_array_equal(picture[:700], pixels)
    assert picture.shape[0] > 700 + 12 * 14


def test_a_narrow_image_leaves_its_legend_room() -> None:
    narrow = overlay(
        np.full((200, 20, 3), 200, np.uint8), [("glands in colon: gland, 3", np.zeros((200, 20), bool), GREEN)]
    )
    assert narrow.shape[1] >= 400


@settings(max_examples=15)
@given(st.text(max_size=60), st.integers(16, 90), st.integers(16, 90))
def test_any_words_fit_on_one_line_of_the_legend(words: str, height: int, width: int) -> None:
    words = words.encode("utf-8", "replace").decode()
    mask = np.zeros((height, width), bool)
    one = overlay(np.full((height, width, 3), 200, np.uint8), [("gland", mask, GREEN)], (0.5, 0.5))
    any_words = overlay(np.full((height, width, 3), 200, np.uint8), [(f"{words}\n{words}", mask, GREEN)], (0.5, 0.5))
    assert any_words.shape == one.shape
