"""Intricacy of shapes whose answer is known."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.spatial.distance import pdist
from skimage.measure import label, regionprops

from pathsegmentor.evaluate.shapes import irregularity, shape


def disk(radius: int) -> np.ndarray:
    y, x = np.ogrid[-radius - 2 : radius + 3, -radius - 2 : radius + 3]
    return x**2 + y**2 <= radius**2


def rectangle(height: int, width: int) -> np.ndarray:
    return np.pad(np.ones((height, width), bool), 3)


@pytest.mark.parametrize("radius", [30, 100, 300])
def test_a_disk_is_regular_at_any_size(radius: int) -> None:
    assert 0 < irregularity(disk(radius)) < 0.11


def test_rectangles_follow_the_formula() -> None:
    for height, width in ((400, 400), (100, 900), (30, 1500)):
        sides = 2 * (height - 1) + 2 * (width - 1)
        assert irregularity(rectangle(height, width)) == pytest.approx(1 - 4 * math.pi * height * width / sides**2)
    assert irregularity(np.ones((1024, 1024), bool)) == pytest.approx(0.213, abs=0.0005)


def test_equal_parts_divide_the_regularity() -> None:
    one = disk(20)
    many = np.tile(one, (6, 6))
    assert 1 - irregularity(many) == pytest.approx((1 - irregularity(one)) / 36)
    assert irregularity(many) > 0.97


def test_a_ring_is_less_regular_than_its_disk() -> None:
    ring = disk(60)
    ring[1:-1, 1:-1] &= ~np.pad(disk(40), 19)[: ring.shape[0] - 2, : ring.shape[1] - 2]
    assert irregularity(ring) > irregularity(disk(60)) + 0.4


def test_counts_ratio_and_dispersion_by_hand() -> None:
    mask = np.zeros((100, 200), bool)
    mask[0:10, 0:10] = True  # centroid (4.5, 4.5)
    mask[30:36, 0:6] = True  # exactly 36 pixels, centroid (2.5, 32.5)
    mask[50:60, 100:110] = True  # centroid (104.5, 54.5)
    mask[60:65, 110:117] = True  # touches it at a corner: one instance
    mask[90:95, 190:197] = True  # 35 pixels: noise
    got = shape(mask)
    assert got.count == 3
    assert got.ratio == pytest.approx((100 + 36 + 135) / 3 / 20_000)
    joint = np.argwhere(mask[50:65, 100:117]).mean(axis=0) + np.array([50, 100])
    assert got.dispersion_px == pytest.approx(math.dist((4.5, 4.5), joint))


def test_masks_without_instances() -> None:
    speck = np.zeros((50, 50), bool)
    speck[4, 4] = True
    for mask in (speck, np.zeros((50, 50), bool)):
        got = shape(mask)
        assert (got.count, got.ratio, got.dispersion_px) == pytest.approx((0, math.nan, math.nan), nan_ok=True)
        assert math.isnan(got.irregularity)
    assert shape(disk(9)).dispersion_px == 0


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.integers(3, 90))
def test_instances_are_those_of_scikit_image(seed: int, number: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.zeros((300, 400), bool)
    for y, x, size in rng.integers((0, 0, 3), (280, 380, 14), (number, 3)):
        mask[y : y + size, x : x + size] = True
    theirs = [one for one in regionprops(label(mask, connectivity=2)) if one.area >= 36]
    got = shape(mask)
    assert got.count == len(theirs)
    if theirs:
        assert got.ratio == pytest.approx(np.mean([one.area for one in theirs]) / mask.size)
        far = pdist([one.centroid for one in theirs]).max() if len(theirs) > 1 else 0
        assert got.dispersion_px == pytest.approx(far)


def test_many_instances_on_one_line_are_compared_too() -> None:
    mask = np.zeros((10, 1000), bool)
    for x in range(0, 1000, 10):
        mask[2:8, x : x + 7] = True
    assert shape(mask).count == 100 and shape(mask).dispersion_px == pytest.approx(990)
