"""The overlay: a legend that can be read and covers nothing, a scale bar of the right length."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import ImageFont

from pathsegmentor.imaging import draw as module
from pathsegmentor.imaging import needs_overview, overlay, overview
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


def discs(height: int, width: int, step: int, radius: int) -> np.ndarray:
    """As many nuclei as fit, ``step`` pixels apart."""
    y, x = np.mgrid[:step, :step] - step / 2 + 0.5
    one = np.hypot(y, x) <= radius
    return np.tile(one, (height // step + 1, width // step + 1))[:height, :width]


@pytest.mark.parametrize("side", [500, 3000, 9000])
def test_lines_are_as_thin_in_a_large_image(side: int) -> None:
    """Of nuclei 12 pixels wide the inside is seen, and of the tissue between them most."""
    height = min(side, 600)
    mask, pixels = discs(height, side, 20, 6), np.full((height, side, 3), 180, np.uint8)
    drawn = overlay(pixels, [("nuclei", mask, GREEN)], (0.25, 0.25))
    zoom = max(1, -(-600 // side))
    tissue = drawn[: height * zoom, : side * zoom]
    line, left = where(tissue, GREEN), where(tissue, (180, 180, 180))
    assert 0.05 < line.mean() < 0.2 and left.mean() > 0.65
    inside = discs(height, side, 20, 4).repeat(zoom, 0).repeat(zoom, 1)
    assert left[inside].mean() > 0.95
    # A line is one pixel wide, two where the image was enlarged: a cut through a nucleus meets it twice.
    cut = line[10 * zoom, : 20 * zoom]
    assert cut.sum() == 2 * zoom


def test_a_large_image_is_seen_whole_in_its_overview() -> None:
    mask, pixels = discs(3000, 2200, 100, 30), np.full((3000, 2200, 3), 180, np.uint8)
    assert needs_overview(3000, 2200) and not needs_overview(1900, 2000)
    drawn = overview(pixels, [("nuclei", mask, GREEN)], (0.25, 0.25))
    assert drawn.shape[1] == 1173 and 1600 < drawn.shape[0] < 1800
    tissue = where(drawn[:1600], GREEN)
    assert 0.01 < tissue.mean() < 0.08 and tissue[26, :53].sum() == 2
    assert bar(drawn, 1600) == pytest.approx(100 / 0.25 * 1600 / 3000, abs=1)


@pytest.mark.parametrize("size", [(16, 60_000), (60_000, 16)])
def test_a_long_strip_stays_small(size: tuple[int, int]) -> None:
    mask, pixels = discs(*size, 16, 5), np.full((*size, 3), 180, np.uint8)
    drawn = overlay(pixels, [("nuclei", mask, GREEN)] * 8, (0.25, 0.25))
    assert drawn.shape[0] <= size[0] + 500 and drawn.shape[1] <= size[1] + 500
    assert not needs_overview(*size)
    assert (drawn[: size[0], : size[1]] == 180).all(axis=2).mean() > 0.5


@settings(max_examples=20)
@given(st.integers(1, 7), st.integers(1, 3), st.integers(0, 2**32 - 1))
def test_bands_leave_no_trace(band: int, line: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    masks = [rng.random((23, 17)) < 0.8 for _ in range(3)]
    pixels = np.full((23, 17, 3), 180, np.uint8)
    at_once = outlined(pixels, layers(*masks), line)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_BAND", band)
        np.testing.assert_array_equal(outlined(pixels, layers(*masks), line), at_once)
