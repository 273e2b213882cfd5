"""What the harness asks of a model, whoever made it: an image and labels in, one mask per label out."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.imaging import Picture

WantsBoxes = Literal["none", "union", "instances"]


@dataclass(frozen=True)
class Asked:
    """One label asked of an image, by its id.

    ``boxes`` (N, 4) are x0, y0, x1, y1 in pixels of the image, half open, made from the annotation; None for a
    predictor that wants none.
    """

    label: str
    boxes: NDArray[np.float64] | None = None


@dataclass(frozen=True)
class Predicted:
    """The answer to one label: ``mask`` (H, W) boolean at the image's own size.

    ``presence`` in 0..1 and ``status`` (present, absent, unsure) are None where a predictor does not judge that;
    ``prompts`` is how many texts or boxes were used.
    """

    label: str
    mask: NDArray[np.bool_]
    presence: float | None = None
    status: str | None = None
    prompts: int = 1


class Predictor(Protocol):
    """A model under test.

    ``name`` and ``weights`` (SHA-256, or ``none``) say which one it is. ``wants_boxes`` says whether it is told where
    to look: not at all, by one box around all of a label, or by one around each instance.
    """

    name: str
    weights: str
    wants_boxes: WantsBoxes

    def why_not(self, label: str, mpp: tuple[float, float]) -> str:
        """Why a label cannot be asked of an image of this scale (um per pixel, x and y), in one line; "" if it can."""
        ...

    def answer(self, image: Picture, asked: Sequence[Asked]) -> list[Predicted]:
        """Answers in the order asked; the image is encoded once, and no answer depends on what else is asked.

        What is raised is recorded as the reason why these labels of the image have no score.
        """
        ...
