"""The boxes themselves as the answer ("Instance Box" of the paper's table 11): an oracle without a model.

What is shown boxes and does not beat this has added nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pathsegmentor.evaluate.baselines.record import Baseline
from pathsegmentor.evaluate.boxes import boxes_of, fill
from pathsegmentor.evaluate.predictor import Asked, Predicted, WantsBoxes
from pathsegmentor.imaging import Picture


@dataclass
class FilledBoxes:
    """Every pixel of every box."""

    name: str
    wants_boxes: WantsBoxes
    weights: str = "none"

    def why_not(self, label: str, mpp: tuple[float, float]) -> str:
        """Any label can be shown by boxes."""
        return ""

    def answer(self, image: Picture, asked: Sequence[Asked]) -> list[Predicted]:
        """The boxes of each label, filled."""
        return [
            Predicted(one.label, fill(boxes_of(one), image.height, image.width), prompts=len(boxes_of(one)))
            for one in asked
        ]


BASELINES = (
    Baseline(
        "filled-union",
        "filled union box",
        "oracle",
        lambda weights, device: FilledBoxes("filled-union", "union"),
    ),
    Baseline(
        "filled-instances",
        "filled instance boxes",
        "oracle",
        lambda weights, device: FilledBoxes("filled-instances", "instances"),
    ),
)
