"""The overlay: a legend that can be read and covers nothing, a scale bar of the right length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageFont

from pathsegmentor.imaging import overlay
from pathsegmentor.imaging.draw import PALETTE, fitting, outlined

GREEN = (0, 220, 90)
GREY = np.full((200, 200, 3), 180, np.uint8)


def box(top: int, left: int, side: int) -> np.ndarray:
    mask = np.zeros((200, 200), bool)
    mask[top : top + side, left : left + side] = True
    return mask


def layers(*masks: np.ndarray) -> list[tuple[np.ndarray, tuple[int, int, int]]]:
    return list(zip(masks, PALETTE, strict=False))


def where(drawn: np.ndarray, colour: tuple[int, int, int]) -> np.ndarray:
    return (drawn == np.array(colour)).all(axis=-1)


def test_an_outline_runs_along_the_border_of_its_mask() -> None:
    drawn = outlined(GREY, layers(box(60, 80, 50)), 2)
    line = where(drawn, PALETTE[0])
    rows, columns = np.nonzero(line)
    assert (rows.min(), rows.max(), columns.min(), columns.max()) == (60, 109, 80, 129)
    assert (drawn[62:108, 82:128] == 180).all() and (drawn[:59] == 180).all()
    assert (GREY == 180).all()


def test_labels_with_the_same_outline_are_both_seen() -> None:
    drawn = outlined(GREY, layers(box(60, 60, 80), box(60, 60, 80), box(5, 5, 30)), 2)
    first, second, third = (where(drawn, PALETTE[i]) for i in range(3))
    assert first.sum() > 300 and 0.5 < first.sum() / second.sum() < 2
    assert third.sum() == where(outlined(GREY, layers(box(5, 5, 30)), 2), PALETTE[0]).sum()


def test_the_border_of_the_image_is_no_outline() -> None:
    drawn = outlined(GREY, layers(box(0, 0, 200)), 2)
    assert (drawn == 180).all()
    assert (outlined(GREY, [], 2) == GREY).all()


def test_a_long_name_keeps_its_ends_and_fits() -> None:
    font = ImageFont.load_default(12)
    short = fitting("tcga: " + "long " * 40 + "-x1024-y0", font, 300)
    assert font.getlength(short) <= 300 and short.startswith("tcga: ") and short.endswith("-x1024-y0")
    assert fitting("short", font, 300) == "short"


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
