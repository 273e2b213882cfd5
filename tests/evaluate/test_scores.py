"""Scores of masks and objects against other people's implementations, hand-made cases, and their own definitions."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage
from scipy.spatial.distance import cdist
from skimage.metrics import hausdorff_distance

from pathsegmentor.evaluate.scores import Instances, boundary_dice, dice, hd95, instances, iou

EMPTY = np.zeros((6, 8), bool)
BLOCK = np.pad(np.ones((2, 3), bool), ((1, 3), (2, 3)))


def blobs(seed: int, height: int = 40, width: int = 56, share: float = 0.4) -> np.ndarray:
    noise = ndimage.gaussian_filter(np.random.default_rng(seed).normal(size=(height, width)), 2.5)
    return noise > np.quantile(noise, 1 - share)


def numbered(seed: int) -> np.ndarray:
    labels, _ = ndimage.label(blobs(seed, share=0.35))
    return labels


pairs = st.tuples(st.integers(0, 500), st.integers(0, 500))


@pytest.mark.parametrize(
    ("found", "truth", "values"),
    [
        (EMPTY, EMPTY, (1, 1, 1, math.nan)),
        (EMPTY, BLOCK, (0, 0, 0, math.nan)),
        (BLOCK, EMPTY, (0, 0, 0, math.nan)),
        (BLOCK, BLOCK, (1, 1, 1, 0)),
        (BLOCK, np.roll(BLOCK, 1, axis=1), (2 / 3, 1 / 2, 2 / 3, 0.5)),
        (BLOCK, np.roll(BLOCK, 3, axis=1), (0, 0, 0, 1.5)),
        (EMPTY[:0], EMPTY[:0], (1, 1, 1, math.nan)),
    ],
)
def test_masks_made_by_hand(found: np.ndarray, truth: np.ndarray, values: tuple[float, ...]) -> None:
    mine = (dice(found, truth), iou(found, truth), boundary_dice(found, truth, 1), hd95(found, truth, 0.5))
    assert mine == pytest.approx(values, nan_ok=True)


def test_the_band_lies_inside_the_mask_and_along_the_border_of_the_image() -> None:
    truth = np.ones((10, 10), bool)
    found = truth.copy()
    found[4:6, 4:6] = False
    # Bands of one pixel: the frame of 36 pixels in both, and the ring of 8 around the hole (no corners) in one.
    assert boundary_dice(found, truth, 1) == pytest.approx(2 * 36 / (36 + 44))
    assert boundary_dice(found, truth, 1.5) == pytest.approx(2 * 36 / (36 + 48))
    assert boundary_dice(found, truth, 99) == dice(found, truth)


@settings(max_examples=25, deadline=None)
@given(pairs, st.sampled_from([1.0, 2.0, 2.9]))
def test_the_band_is_that_of_scipy(seeds: tuple[int, int], width: float) -> None:
    found, truth = blobs(seeds[0]), blobs(seeds[1], share=0.2)
    bands = [m & (ndimage.distance_transform_edt(np.pad(m, 1))[1:-1, 1:-1] <= width) for m in (found, truth)]
    both = 2 * (bands[0] & bands[1]).sum() / (bands[0].sum() + bands[1].sum())
    assert boundary_dice(found, truth, width) == pytest.approx(both)


def brute_hd95(found: np.ndarray, truth: np.ndarray, mpp: tuple[float, float]) -> float:
    """Every edge pixel against every other."""
    cross = ndimage.generate_binary_structure(2, 1)
    places = [np.argwhere(m & ~ndimage.binary_erosion(m, cross)) * mpp[::-1] for m in (found, truth)]
    table = cdist(*places)
    return max(np.percentile(table.min(axis=0), 95), np.percentile(table.min(axis=1), 95))


@settings(max_examples=25, deadline=None)
@given(pairs, st.sampled_from([(1.0, 1.0), (0.25, 0.25), (0.5, 0.25), (0.2, 0.9)]))
def test_hd95_is_what_all_pairs_of_edge_pixels_give(seeds: tuple[int, int], mpp: tuple[float, float]) -> None:
    found, truth = blobs(seeds[0], share=0.1), blobs(seeds[1])
    assert hd95(found, truth, mpp) == pytest.approx(brute_hd95(found, truth, mpp))
    assert hd95(truth, found, mpp) == hd95(found, truth, mpp)


def test_hd95_never_exceeds_the_hausdorff_distance_and_knows_x_from_y() -> None:
    for seed in range(5):
        found, truth = blobs(seed, share=0.1), blobs(seed + 50)
        assert hd95(found, truth, 1) <= hausdorff_distance(found, truth) + 1e-9
    assert hd95(BLOCK, np.roll(BLOCK, 3, axis=1), (2.0, 1.0)) == 6
    assert hd95(BLOCK, np.roll(BLOCK, 2, axis=0), (2.0, 1.0)) == 2


@settings(max_examples=30, deadline=None)
@given(pairs)
def test_overlap_scores_are_counted_pixel_by_pixel(seeds: tuple[int, int]) -> None:
    found, truth = blobs(seeds[0]), blobs(seeds[1], share=0.2)
    cells = list(zip(found.ravel().tolist(), truth.ravel().tolist(), strict=True))
    both, one = sum(a and b for a, b in cells), sum(a or b for a, b in cells)
    assert iou(found, truth) == pytest.approx(both / one)
    assert dice(found, truth) == pytest.approx(2 * both / (both + one))
    assert dice(found, truth) == pytest.approx(2 * iou(found, truth) / (1 + iou(found, truth)))


def brute_instances(found: np.ndarray, truth: np.ndarray) -> tuple[float, float, float]:
    """F1, AJI and PQ as their papers write them, object by object."""
    theirs = [truth == t for t in np.unique(truth) if t]
    mine = [found == f for f in np.unique(found) if f]
    table = [[(t & f).sum() / (t | f).sum() for f in mine] for t in theirs]
    matched = [value for row in table for value in row if value > 0.5]
    f1 = 2 * len(matched) / (len(theirs) + len(mine))
    inter = union = 0
    used = set()
    for t, row in zip(theirs, table, strict=True):
        best = int(np.argmax(row)) if row else 0
        if not row or row[best] == 0:
            union += t.sum()
            continue
        used.add(best)
        inter += (t & mine[best]).sum()
        union += (t | mine[best]).sum()
    union += sum(f.sum() for j, f in enumerate(mine) if j not in used)
    return f1, inter / union, f1 * float(np.mean(matched)) if matched else 0.0


@settings(max_examples=25, deadline=None)
@given(pairs, st.integers(0, 2))
def test_object_scores_follow_their_definitions(seeds: tuple[int, int], shift: int) -> None:
    truth = numbered(seeds[0])
    found = np.roll(truth, shift, axis=1) if seeds[1] % 2 else numbered(seeds[1])
    got = instances(found, truth)
    assert (got.f1, got.aji, got.pq) == pytest.approx(brute_instances(found, truth))
    assert instances(found * 7, truth * 3) == got  # names of objects mean nothing


def test_objects_made_by_hand() -> None:
    truth = np.zeros((10, 20), np.int32)
    truth[0:4, 0:4], truth[0:4, 6:10], truth[6:10, 0:4] = 1, 2, 5
    found = np.zeros_like(truth)
    found[0:4, 0:4] = 3  # the first, exactly
    found[0:4, 8:12] = 4  # half of the second: IoU 8 / 24
    found[6:10, 12:16] = 9  # of nothing
    expected = Instances(f1=1 / 3, aji=(16 + 8) / (16 + 24 + 16 + 16), pq=1 / 3, sq=1.0, matched=1, found=3, truth=3)
    assert instances(found, truth) == expected
    halves = np.where(truth == 1, 1, 0)
    half = halves.copy()
    half[2:] = 0
    assert instances(half, halves).f1 == 0  # an IoU of exactly a half is no match


def test_without_objects() -> None:
    none, one = np.zeros((4, 4), np.int32), np.eye(4, dtype=np.int32)
    both = instances(none, none)
    assert math.isnan(both.f1) and math.isnan(both.aji) and math.isnan(both.pq)
    for got in (instances(none, one), instances(one, none)):
        assert (got.f1, got.aji, got.pq) == (0, 0, 0) and math.isnan(got.sq)


@pytest.mark.parametrize(
    ("call", "what"),
    [
        (lambda: dice(BLOCK, BLOCK[:3]), "masks of 6 x 8 and 3 x 8 pixels"),
        (lambda: iou(BLOCK, BLOCK.astype(np.uint8)), "inside or outside; this one holds uint8"),
        (lambda: dice(np.full((6, 8), np.nan), BLOCK), "holds float64"),
        (lambda: boundary_dice(BLOCK, BLOCK, 0.5), "0.5 pixels wide"),
        (lambda: boundary_dice(BLOCK, BLOCK, math.nan), "nan pixels wide"),
        (lambda: hd95(BLOCK, BLOCK, (0.5, 0.0)), "0.5 x 0 um"),
        (lambda: hd95(BLOCK, BLOCK, math.nan), "nan x nan um"),
        (lambda: hd95(BLOCK, BLOCK[:, :2], 1), "masks of 6 x 8 and 6 x 2 pixels"),
        (lambda: instances(BLOCK, BLOCK.astype(int)), "whole; these are bool and int64"),
        (lambda: instances(np.full((2, 2), -1), np.ones((2, 2), int)), "object number -1"),
        (lambda: instances(np.ones((2, 3), int), np.ones((3, 2), int)), "maps of 2 x 3 and 3 x 2 pixels"),
    ],
)
def test_what_cannot_be_compared_is_refused(call: Callable[[], object], what: str) -> None:
    with pytest.raises(ValueError, match=what):
        call()


@pytest.mark.slow  # importing both takes longer than all other tests here
@pytest.mark.filterwarnings("ignore::FutureWarning")  # theirs, while they are imported
def test_torchmetrics_and_monai_agree() -> None:
    import torch
    from monai.metrics import compute_dice, compute_hausdorff_distance
    from torchmetrics.functional.classification import binary_f1_score, binary_jaccard_index

    for seed in range(6):
        found, truth = blobs(seed, share=0.15), blobs(seed + 50)
        mine, theirs = torch.from_numpy(found), torch.from_numpy(truth)
        assert dice(found, truth) == pytest.approx(float(binary_f1_score(mine, theirs)))
        assert iou(found, truth) == pytest.approx(float(binary_jaccard_index(mine, theirs)))
        deep = [m[None, None].float() for m in (mine, theirs)]
        assert dice(found, truth) == pytest.approx(float(compute_dice(*deep)))
        for mpp in (0.5, (0.5, 0.25)):
            spacing = [mpp, mpp] if isinstance(mpp, float) else list(reversed(mpp))
            far = compute_hausdorff_distance(*deep, include_background=True, percentile=95, spacing=spacing)
            assert hd95(found, truth, mpp) == pytest.approx(float(far), rel=1e-5)
