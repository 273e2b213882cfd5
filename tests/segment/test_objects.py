"""Outlines agree with the mask pixel by pixel; independent judges: scikit-image and shapely."""

from __future__ import annotations

import numpy as np
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.measure import label

from pathsegmentor.segment.objects import count_objects, drop_specks, outline

MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=14))


@given(MASKS)
def test_a_pixel_is_inside_an_outline_exactly_if_it_is_set(mask: np.ndarray) -> None:
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
    inside = np.zeros(mask.shape, int)
    for item in outline(mask, (1.0, 1.0)):
        assert item.polygon.is_valid
        inside += shapely.contains_xy(item.polygon, columns, rows)
    np.testing.assert_array_equal(inside, mask.astype(int))


@given(MASKS)
def test_objects_are_the_8_connected_pieces(mask: np.ndarray) -> None:
    numbers = label(mask, connectivity=2)
    assert count_objects(mask) == numbers.max() == len(outline(mask, (1.0, 1.0)))
    areas = sorted(item.area_um2 for item in outline(mask, (0.5, 0.25)))
    assert areas == sorted(np.bincount(numbers.ravel())[1:] * 0.125)


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


@given(MASKS, st.sampled_from([0.25, 0.5, 1.0]))
def test_specks_go_and_the_rest_stays(mask: np.ndarray, mpp: float) -> None:
    kept = drop_specks(mask, (mpp, mpp))
    assert not (kept & ~mask).any()
    numbers = label(mask, connectivity=2)
    for number in range(1, numbers.max() + 1):
        piece = numbers == number
        assert kept[piece].all() == (piece.sum() * mpp**2 >= 2.25) and kept[piece].any() == kept[piece].all()
