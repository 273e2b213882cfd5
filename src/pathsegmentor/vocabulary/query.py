"""What words were understood as."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from pathsegmentor.vocabulary.label import Label

Status = Literal["found", "ambiguous", "unknown"]


@dataclass(frozen=True)
class Candidate:
    """A label that words may mean: ``score`` in 0..1 and the reason in words."""

    label: Label
    score: float
    reason: str


@dataclass(frozen=True)
class Query:
    """Words and their reading.

    ``candidates`` are the labels meant, best first; for ``unknown`` words they are the nearest labels,
    to be suggested and not used. ``not_understood`` are the words that had no meaning here.
    """

    words: str
    status: Status
    candidates: tuple[Candidate, ...]
    not_understood: tuple[str, ...] = ()
