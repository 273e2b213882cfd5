"""``Vocabulary``: a set of labels that can be searched in words."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from importlib.resources import files
from textwrap import shorten

from pathsegmentor.errors import BadPrompt
from pathsegmentor.vocabulary.label import Label
from pathsegmentor.vocabulary.lexicon import cleaned
from pathsegmentor.vocabulary.lookup import Lookup
from pathsegmentor.vocabulary.query import Candidate, Query

# Characters of a prompt that a message repeats.
SHOWN = 120


class Vocabulary:
    """Labels in a stable order; any label set works, the paper's 160 are ``Vocabulary.paper()``."""

    def __init__(self, labels: Iterable[Label], words: Mapping[str, Iterable[str]] | None = None) -> None:
        """``words`` are further ways to say a label, whole phrases by label id."""
        self._labels = {label.id: label for label in labels}
        self.words = {label: tuple(phrases) for label, phrases in (words or {}).items()}

    @classmethod
    def paper(cls) -> Vocabulary:
        """The 160 labels of table 5, in its order."""
        return cls(label for label, _ in _paper_rows())

    @classmethod
    def from_ids(cls, ids: Iterable[str], words: Mapping[str, Iterable[str]] | None = None) -> Vocabulary:
        """Labels from their ids; raises ``BadInput`` for one that is malformed."""
        return cls((Label.from_id(text) for text in ids), words)

    def __len__(self) -> int:
        return len(self._labels)

    def __iter__(self) -> Iterator[Label]:
        return iter(self._labels.values())

    def __contains__(self, label: object) -> bool:
        return isinstance(label, Label) and label.id in self._labels

    def look_up(self, words: str) -> Query:
        """What the words mean here; raises ``BadPrompt`` only for empty or endless ones."""
        return self._lookup(words)

    def understand(self, words: str, model: str | None = None) -> tuple[Candidate, ...]:
        """What is meant by each thing the words ask for, in order; the reasons name what else could be.

        Raises ``BadPrompt`` with the nearest labels if any of it is not understood; ``model`` is whose labels these
        are, for the message.
        """
        query = self.look_up(words)
        if query.status == "unknown":
            raise self._refusal(query, model)
        return query.meant

    def resolve(self, words: str, model: str | None = None) -> Candidate:
        """The label of words that ask for one thing; raises ``BadPrompt`` like ``understand``, or if it is several."""
        meant = self.understand(words, model)
        if len(meant) > 1:
            asked = ", ".join(f"'{candidate.words}'" for candidate in meant)
            raise BadPrompt(f"'{_shown(words)}' asks for {len(meant)} things: {asked}; ask for one")
        return meant[0]

    def _refusal(self, query: Query, model: str | None) -> BadPrompt:
        known, limit = ("this vocabulary", "") if model is None else (f"model {model}", f" --model {model}")
        part = next(part for part in query.parts if part.status == "unknown")
        near = [candidate.label.id for candidate in part.candidates[:3]]
        # A prompt of several things is refused as a whole: say which of them it was.
        which = f"'{_shown(part.words)}'" + (f" (of '{_shown(query.words)}')" if len(query.parts) > 1 else "")
        said = "was not understood" if part.why else f"names nothing {known} knows"
        notes = [f"not understood: {', '.join(part.not_understood)}"] if part.not_understood else []
        notes += [f"no label for: {', '.join(part.no_label)}"] if part.no_label else []
        why = (f" ({_shown('; '.join(notes))})" if notes else "") + (f"; {part.why}" if part.why else "")
        return BadPrompt(
            f"{which} {said}{why}; nearest: {', '.join(near)}; all {len(self)} labels: pathsegmentor prompts{limit}",
            near,
        )

    @cached_property
    def _lookup(self) -> Lookup:
        own = {phrase: self._labels[label] for label, phrases in self.words.items() for phrase in phrases}
        return Lookup(tuple(self), {label.id: masks for label, masks in _paper_rows()}, own)


def _paper_rows() -> list[tuple[Label, int]]:
    """The labels of table 5 and their numbers of masks."""
    text = (files("pathsegmentor.vocabulary") / "labels.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return [(Label(row["region"], row["structure"], row["object_type"]), int(row["masks"])) for row in rows]


def _shown(words: str) -> str:
    """Words on one line, the end of long ones left out."""
    return shorten(cleaned(words), SHOWN, placeholder=" ...") if len(words) > SHOWN else cleaned(words)
