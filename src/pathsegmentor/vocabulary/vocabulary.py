"""``Vocabulary``: a set of labels that can be searched in words."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cached_property
from importlib.resources import files

from pathsegmentor.errors import BadPrompt
from pathsegmentor.vocabulary.label import Label
from pathsegmentor.vocabulary.lookup import Lookup
from pathsegmentor.vocabulary.query import Candidate, Query


class Vocabulary:
    """Labels in a stable order; any label set works, the paper's 160 are ``Vocabulary.paper()``."""

    def __init__(self, labels: Iterable[Label]) -> None:
        self._labels = {label.id: label for label in labels}

    @classmethod
    def paper(cls) -> Vocabulary:
        """The 160 labels of table 5, in its order."""
        text = (files("pathsegmentor.vocabulary") / "labels.csv").read_text(encoding="utf-8")
        rows = csv.DictReader(text.splitlines())
        return cls(Label(row["region"], row["structure"], row["object_type"]) for row in rows)

    @classmethod
    def from_ids(cls, ids: Iterable[str]) -> Vocabulary:
        """Labels from their ids; raises ``BadInput`` for one that is malformed."""
        return cls(Label.from_id(text) for text in ids)

    def __len__(self) -> int:
        return len(self._labels)

    def __iter__(self) -> Iterator[Label]:
        return iter(self._labels.values())

    def __contains__(self, label: object) -> bool:
        return isinstance(label, Label) and label.id in self._labels

    def look_up(self, words: str) -> Query:
        """What the words mean here; raises ``BadPrompt`` only for empty or endless ones."""
        return self._lookup(words)

    def resolve(self, words: str, model: str | None = None) -> Candidate:
        """The best candidate; its reason names a second one that is as likely meant.

        Raises ``BadPrompt`` with the nearest labels if the words are unknown; ``model`` is whose labels these
        are, for the message.
        """
        query = self.look_up(words)
        if query.status == "unknown":
            raise self._refusal(query, model)
        best, *others = query.candidates
        if query.status == "ambiguous" and others:
            return replace(best, reason=f"{best.reason}; could also mean {others[0].label.id}")
        return best

    def _refusal(self, query: Query, model: str | None) -> BadPrompt:
        near = [candidate.label.id for candidate in query.candidates[:3]]
        why = f" (not understood: {', '.join(query.not_understood)})" if query.not_understood else ""
        known, limit = ("this vocabulary", "") if model is None else (f"model {model}", f" --model {model}")
        return BadPrompt(
            f"'{' '.join(query.words.split())}' names nothing {known} knows{why};"
            f" nearest: {', '.join(near)}; all {len(self)} labels: pathsegmentor prompts{limit}",
            near,
        )

    @cached_property
    def _lookup(self) -> Lookup:
        return Lookup(tuple(self))
