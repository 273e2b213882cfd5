"""What a baseline says of itself; the entry point of one that another package brings names such a record."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pathsegmentor.evaluate.predictor import Predictor

Kind = Literal["oracle", "boxes", "text", "specialist"]


@dataclass(frozen=True)
class Baseline:
    """A method to compare with.

    ``load(weights, device)`` gives its predictor; ``weights`` is a path or a Hub id as the user gave it, empty if
    ``needs`` is. ``needs`` says which file that is, ``modules`` which packages must be there. ``seen`` are sources of
    PathSeg that the published weights were trained on: their rows are flagged. ``extra`` installs what lacks.
    """

    name: str
    title: str
    kind: Kind
    load: Callable[[str, str], Predictor]
    needs: str = ""
    licence: str = ""
    url: str = ""
    seen: tuple[str, ...] = ()
    modules: tuple[str, ...] = ()
    extra: str = ""
