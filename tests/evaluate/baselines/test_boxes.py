"""Boxes from masks, and filled boxes as an answer."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import ndimage

from pathsegmentor.evaluate.baselines import load_baseline
from pathsegmentor.evaluate.boxes import fill, instance_boxes, union_box
from pathsegmentor.evaluate.predictor import Asked
from pathsegmentor.imaging import Picture

masks = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=1, max_side=20))


@given(masks)
def test_the_union_box_is_the_smallest_that_holds_the_mask(mask: np.ndarray) -> None:
    boxes = union_box(mask)
    assert len(boxes) == int(mask.any())
    if not len(boxes):
        return
    filled = fill(boxes, *mask.shape)
    assert not (mask & ~filled).any()
    x0, y0, x1, y1 = boxes[0].astype(int)
    inside = mask[y0:y1, x0:x1]
    assert inside[0].any() and inside[-1].any() and inside[:, 0].any() and inside[:, -1].any()


@given(masks, st.integers(1, 6))
def test_instance_boxes_are_those_of_an_independent_labelling(small: np.ndarray, factor: int) -> None:
    """Enlarged so that parts of over and under 36 pixels occur; the small ones count where there are no others."""
    mask = np.kron(small, np.ones((factor, factor), bool)).astype(bool)
    numbers, count = ndimage.label(mask, np.ones((3, 3)))
    sizes = ndimage.sum_labels(mask, numbers, range(1, count + 1))
    kept = [i for i in range(count) if sizes[i] >= 36] or list(range(count))
    slices = ndimage.find_objects(numbers)
    expected = {(slices[i][1].start, slices[i][0].start, slices[i][1].stop, slices[i][0].stop) for i in kept}
    assert {tuple(box) for box in instance_boxes(mask).astype(int).tolist()} == expected


def test_touching_at_a_corner_is_one_object() -> None:
    mask = np.zeros((20, 20), bool)
    mask[2:8, 2:8] = mask[8:14, 8:14] = True
    assert instance_boxes(mask).tolist() == [[2, 2, 14, 14]]


@pytest.mark.parametrize(("name", "make"), [("filled-union", union_box), ("filled-instances", instance_boxes)])
def test_filled_boxes_answer_with_the_boxes(name: str, make: object) -> None:
    mask = np.zeros((40, 60), bool)
    mask[3:13, 4:14] = mask[20:30, 30:50] = True
    mask[8, 8] = False
    model = load_baseline(name)
    boxes = make(mask)  # type: ignore[operator]
    (found,) = model.answer(Picture(np.zeros((40, 60, 3), np.uint8), None, "x"), [Asked("a-b-c", boxes)])
    assert model.wants_boxes == name.removeprefix("filled-") and model.weights == "none"
    expected = np.zeros_like(mask)
    if name == "filled-union":
        expected[3:30, 4:50] = True
    else:
        expected[3:13, 4:14] = expected[20:30, 30:50] = True
    assert np.array_equal(found.mask, expected) and found.prompts == len(boxes)
