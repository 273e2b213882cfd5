"""Outlines agree with the mask pixel by pixel; independent judges: scikit-image and shapely."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy.ndimage import gaussian_filter
from skimage.measure import label

from pathsegmentor.segment.objects import count_objects, drop_specks, drop_unstained, outline

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))
SIDES = st.integers(1, 70)


@st.composite
def blobs(draw: Callable) -> np.ndarray:
    """Smooth shapes of any size, as a network gives them; sometimes with single pixels flipped."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    field = gaussian_filter(rng.standard_normal((draw(SIDES), draw(SIDES))), draw(st.floats(0, 5)))
    mask = field > np.quantile(field, draw(st.floats(0, 1)))
    return mask ^ (rng.random(mask.shape) < draw(st.sampled_from([0, 0.02])))


@st.composite
def adversaries(draw: Callable) -> np.ndarray:
    """Shapes that meet themselves at corners, again and again, cut at any place."""
    rows, columns = np.mgrid[: draw(SIDES), : draw(SIDES)] + draw(st.integers(0, 5))
    away = np.maximum(abs(rows - 30), abs(columns - 30))
    period = draw(st.integers(1, 3))
    shapes = {
        "checkerboard": (rows // period + columns // period) % 2 == 0,
        "stairs": (rows + columns) % (period + 1) == 0,
        "lattice": (rows % (period + 1) == 0) ^ (columns % (period + 1) == 0),
        "nested rings": away % 2 == 0,
        # At the diagonals, where rings turn, pixels are taken away or bridges are laid.
        "rings held at corners": (away % 2 == 0) ^ ((rows == columns) & (rows % period == 0)),
        "diamonds": (abs(rows - 30) + abs(columns - 30)) % (period + 1) == 0,
        "spiral": (np.arctan2(rows - 30, columns - 30) * 2 + np.hypot(rows - 30, columns - 30)) % 6 < 2 * period,
    }
    mask = shapes[draw(st.sampled_from(sorted(shapes)))]
    return mask if draw(st.booleans()) else ~mask


ALL = st.one_of(MASKS, blobs(), adversaries())


@given(ALL)
def test_each_object_has_the_outline_of_its_pixels(mask: np.ndarray) -> None:
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
    numbers = np.zeros(mask.shape, int)
    items = outline(mask, (0.5, 0.25))
    for number, item in enumerate(items, 1):
        assert item.polygon.is_valid, shapely.is_valid_reason(item.polygon)
        inside = shapely.contains_xy(item.polygon, columns, rows)
        assert not numbers[inside].any()
        numbers[inside] = number
        assert item.polygon.area == inside.sum() == item.area_um2 / 0.125
    np.testing.assert_array_equal(numbers, label(mask, connectivity=2))
    assert count_objects(mask) == len(items)


@given(ALL)
def test_outlines_run_along_pixels_and_hold_no_needless_point(mask: np.ndarray) -> None:
    for item in outline(mask, (1.0, 1.0)):
        for part in shapely.get_parts(item.polygon):
            assert part.exterior.is_ccw  # clockwise on the screen, where y points down
            for ring in (part.exterior, *part.interiors):
                steps = np.diff(shapely.get_coordinates(ring), axis=0)
                level = steps[:, 1] == 0
                assert ((steps == 0).sum(axis=1) == 1).all() and (level[1:] != level[:-1]).all()


@given(ALL)
def test_objects_are_in_the_order_of_their_first_pixels(mask: np.ndarray) -> None:
    firsts = []
    for item in outline(mask, (1.0, 1.0)):
        points = shapely.get_coordinates(item.polygon)
        top = points[points[:, 1] == points[:, 1].min()]
        firsts.append((top[0, 1], top[:, 0].min()))
    assert firsts == sorted(firsts)


def test_one_pixel_is_the_unit_square() -> None:
    mask = np.zeros((3, 4), bool)
    mask[0, 0] = True
    (item,) = outline(mask, (1.0, 1.0))
    assert item.polygon.equals(shapely.box(0, 0, 1, 1))


def test_a_hole_is_a_ring_of_its_own() -> None:
    mask = np.ones((5, 7), bool)
    mask[2, 3] = False
    (item,) = outline(mask, (1.0, 1.0))
    assert len(item.polygon.interiors) == 1 and item.area_um2 == 34


def test_holes_that_meet_at_a_corner_are_two() -> None:
    mask = np.ones((4, 4), bool)
    mask[1, 1] = mask[2, 2] = False
    (item,) = outline(mask, (1.0, 1.0))
    assert item.polygon.geom_type == "Polygon" and len(item.polygon.interiors) == 2


def test_two_pixels_that_meet_at_a_corner_are_one_object_of_two_parts() -> None:
    (item,) = outline(np.eye(2, dtype=bool), (1.0, 1.0))
    assert item.polygon.equals(shapely.MultiPolygon([shapely.box(0, 0, 1, 1), shapely.box(1, 1, 2, 2)]))


def test_nothing_has_no_outline() -> None:
    assert outline(np.zeros((3, 5), bool), (1.0, 1.0)) == [] and count_objects(np.zeros((3, 5), bool)) == 0


@pytest.mark.timeout(60)
def test_time_grows_with_the_size_even_of_a_checkerboard() -> None:
    def seconds(side: int) -> float:
        mask = np.indices((side, side)).sum(axis=0) % 2 == 0
        began = time.process_time()
        (item,) = outline(mask, (1.0, 1.0))
        assert shapely.get_num_geometries(item.polygon) == mask.sum()
        return time.process_time() - began

    seconds(50)
    assert seconds(800) < 16 * 5 * max(seconds(200), 0.02)


@given(MASKS, st.sampled_from([0.25, 0.5, 1.0]))
def test_specks_go_and_the_rest_stays(mask: np.ndarray, mpp: float) -> None:
    kept = drop_specks(mask, (mpp, mpp))
    assert not (kept & ~mask).any()
    numbers = label(mask, connectivity=2)
    for number in range(1, numbers.max() + 1):
        piece = numbers == number
        assert kept[piece].all() == (piece.sum() * mpp**2 >= 2.25) and kept[piece].any() == kept[piece].all()


def test_objects_without_a_stained_pixel_go() -> None:
    mask, stained = np.zeros((20, 20), bool), np.zeros((20, 20), bool)
    mask[1:9, 1:9] = mask[11:19, 11:19] = True
    stained[:10, 4] = True
    kept = drop_unstained(mask, stained)
    assert kept[:10].sum() == 64 and not kept[10:].any()
