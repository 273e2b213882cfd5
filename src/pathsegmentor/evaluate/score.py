"""One answer held against one annotation: a row of numbers, or ``BadInput`` with why there are none."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate import scores
from pathsegmentor.evaluate.predictor import Predicted
from pathsegmentor.evaluate.samples import SampleRow
from pathsegmentor.evaluate.settings import Settings
from pathsegmentor.evaluate.truth import Truth

STATUSES = ("present", "absent", "unsure")
NOTHING_KNOWN = "all of its mask lies where nothing is known of the image"


def check_answer(answer: Predicted, label: str, size: tuple[int, int]) -> None:
    """Raise ``BadInput`` unless an answer is for this label and has a mask of this size and a sound presence."""
    if answer.label != label:
        raise BadInput(f"asked for {label}, the model answered for {answer.label}")
    mask = np.asarray(answer.mask)
    if mask.shape != size:
        shape = " x ".join(map(str, mask.shape))
        raise BadInput(f"the predicted mask has {shape} pixels (rows x columns), the image {size[0]} x {size[1]}")
    if mask.dtype != np.bool_:
        held = "NaN" if mask.dtype.kind == "f" and np.isnan(mask).any() else str(mask.dtype)
        raise BadInput(f"the predicted mask holds {held}, not inside or outside")
    presence = answer.presence
    if presence is not None and not 0 <= presence <= 1:  # also refuses nan
        raise BadInput(f"the predicted presence is {presence:g}, not between 0 and 1")
    if answer.status is not None and answer.status not in STATUSES:
        raise BadInput(f"the predicted status is '{answer.status}', not one of {', '.join(STATUSES)}")


def score(
    row: SampleRow,
    answer: Predicted,
    truth: Truth | None,
    known: NDArray[np.bool_],
    mpp: tuple[float, float],
    settings: Settings,
) -> SampleRow:
    """The row with all that the answer and the annotation say; ``truth`` is None for an absent label.

    ``known`` (H, W) is where pixels count, ``mpp`` um per pixel (x, y).
    """
    found = answer.mask & known
    row = replace(
        row,
        state="scored",
        status=answer.status or "",
        presence=math.nan if answer.presence is None else float(answer.presence),
        prompts=answer.prompts,
        found_pixels=int(np.count_nonzero(found)),
        known_pixels=int(np.count_nonzero(known)),
    )
    if truth is None:
        return row
    there = truth.mask & known
    if not there.any():
        return replace(row, state="passed over", reason=NOTHING_KNOWN)
    return replace(
        row,
        truth_pixels=int(np.count_nonzero(there)),
        dice=scores.dice(found, there),
        iou=scores.iou(found, there),
        boundary_dice=scores.boundary_dice(found, there, max(settings.boundary_um / row.mpp, 1.0)),
        hd95_um=scores.hd95(found, there, mpp),
        **_instances(found, truth, known),
    )


def _instances(found: NDArray[np.bool_], truth: Truth, known: NDArray[np.bool_]) -> dict[str, Any]:
    """Scores of objects, where the annotation numbers them; found ones are the 8-connected pieces."""
    if truth.numbers is None:
        return {}
    numbers = np.where(known, truth.numbers, 0).astype(np.int32)
    _, pieces = cv2.connectedComponents(found.astype(np.uint8), connectivity=8, ltype=cv2.CV_32S)
    matched = scores.instances(np.asarray(pieces), numbers)
    return {
        "truth_objects": int(np.count_nonzero(np.unique(numbers))),
        "found_objects": int(pieces.max()),
        "f1": matched.f1,
        "aji": matched.aji,
        "pq": matched.pq,
    }
