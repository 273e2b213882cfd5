"""What decides the numbers of an evaluation, apart from model and data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Absent = Literal["all", "looked-for", "none"]
Unknown = Literal["ignored", "background"]


@dataclass(frozen=True)
class Settings:
    """How a model is asked, and how its answers are scored.

    ``sources`` are the parts of the set, none for all. ``absent`` says which absent labels are asked: all that are
    known to be absent, only those the annotators looked for in that very image, or none. ``unknown`` says how pixels
    count about which the annotators said nothing: not at all, or as background, as in the paper. ``boundary_um`` is
    the width of the band that the boundary Dice compares. ``masks`` says whether what was found is kept. The split
    ``val`` is what a training run held out of ``train``: the share ``held_out``, drawn with ``seed``.
    """

    split: str
    sources: tuple[str, ...] = ()
    absent: Absent = "all"
    unknown: Unknown = "ignored"
    boundary_um: float = 1.0
    masks: bool = False
    held_out: float = 0.0
    seed: int = 0
