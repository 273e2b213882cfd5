"""What words were understood as."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from pathsegmentor.vocabulary.label import Label

Status = Literal["found", "ambiguous", "unknown"]
# Other meanings that a reason names; the rest is counted.
NAMED = 3


@dataclass(frozen=True)
class Candidate:
    """A label that ``words`` may mean: ``score`` in 0..1 and the reason in words."""

    label: Label
    score: float
    reason: str
    words: str = ""


@dataclass(frozen=True)
class Part:
    """One of the things asked for.

    ``words`` has what it shares with the other parts filled in ("benign glands in colon"). ``candidates`` are the
    labels meant, best first, and ``others`` those of them that are as likely as the first; for ``unknown`` words
    candidates are the nearest labels, to be suggested and not used. ``not_understood`` are the words that had no
    meaning, ``no_label`` those that have one, but no label here; ``why`` says what else a person should know.
    """

    words: str
    status: Status
    candidates: tuple[Candidate, ...]
    others: tuple[Label, ...] = ()
    not_understood: tuple[str, ...] = ()
    no_label: tuple[str, ...] = ()
    why: str = ""

    @property
    def meant(self) -> Candidate:
        """The first candidate; its reason names those that are as likely, and how to choose."""
        best = self.candidates[0]
        reason = f"{best.reason}; {self._choice()}" if self.others else best.reason
        return replace(best, words=self.words, reason=reason)

    def _choice(self) -> str:
        named = ", ".join(label.id for label in self.others[:NAMED])
        more = f" and {len(self.others) - NAMED} more" if len(self.others) > NAMED else ""
        mine = self.candidates[0].label
        if any(label.region.lower() != mine.region.lower() for label in self.others):
            how = "name the organ"
        elif any(label.structure.lower() != mine.structure.lower() for label in self.others):
            how = "say tissue, cells or nuclei"
        else:
            how = "use its name"
        return f"could also mean {named}{more}: {how} to choose"


@dataclass(frozen=True)
class Query:
    """Words and their reading: all things asked for, in order. One that is not understood leaves all unknown."""

    words: str
    parts: tuple[Part, ...]

    @property
    def status(self) -> Status:
        """The worst of the parts': ``unknown``, ``ambiguous``, ``found``."""
        said = {part.status for part in self.parts}
        return "unknown" if "unknown" in said else "ambiguous" if "ambiguous" in said else "found"

    @property
    def candidates(self) -> tuple[Candidate, ...]:
        """Of one thing its candidates, best first; of several what each means, in order.

        For unknown words the nearest labels of the first thing that was not understood.
        """
        if self.status == "unknown":
            return next(part.candidates for part in self.parts if part.status == "unknown")
        return self.parts[0].candidates if len(self.parts) == 1 else self.meant

    @property
    def meant(self) -> tuple[Candidate, ...]:
        """What is answered: one candidate per part, with the part's words; none if anything is unknown."""
        return () if self.status == "unknown" else tuple(part.meant for part in self.parts)

    @property
    def not_understood(self) -> tuple[str, ...]:
        """The words, as they were said, that had no meaning or no label here."""
        return tuple(word for part in self.parts for word in (*part.not_understood, *part.no_label))
