"""Patients who are in several sources: none is trained on in one and tested on in another."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from pathsegmentor.data.record import Item, Problem
from pathsegmentor.errors import BadInput

SHOWN = 3


@dataclass
class Draft:
    """A source's images with their splits, before any is read.

    ``free`` says that its splits are drawn, so a patient may be put where other sources have them. ``problems``
    names what is not used, ``moved`` which patients follow which source.
    """

    source: str
    items: list[Item]
    splits: list[str]
    free: bool
    problems: list[Problem]
    moved: list[str] = field(default_factory=list)

    @property
    def contents(self) -> dict[str, tuple[str, str]]:
        """Split and source of its pictures, by content where that is known."""
        pairs = zip(self.items, self.splits, strict=True)
        return {item.content: (split, self.source) for item, split in pairs if item.content}


class Parts:
    """Which sources have a patient, or a picture by its content, in which split."""

    def __init__(self, built: Iterable[tuple[str, str, str]] = ()) -> None:
        self._sources: dict[tuple[str, str], set[str]] = defaultdict(set)
        for person, split, source in built:
            self.add(person, split, source)

    def add(self, person: str, split: str, source: str) -> None:
        """A source has the patient in the split."""
        if person:
            self._sources[person, split].add(source)

    def others(self, person: str, split: str, source: str) -> list[str]:
        """Other sources that have the patient in the split."""
        return sorted(self._sources.get((person, split), set()) - {source}) if person else []


def agree(drafts: Sequence[Draft], built: Iterable[tuple[str, str, str]]) -> None:
    """Put every patient of several sources in one split; ``built`` has person, split and source of finished ones.

    Splits that are given stay: where they disagree the patient's training images are left out. Drawn ones follow
    them, what is built, and each other in the order of names. Raises ``BadInput`` if what is built would have to
    change.
    """
    built = list(built)
    parts = Parts(built)
    fixed = [draft for draft in drafts if not draft.free]
    for draft in fixed:
        _add(parts, draft)
    for draft in fixed:
        _refuse_built(draft, Parts(built))
        _leave_out(draft, parts)
    for draft in sorted((draft for draft in drafts if draft.free), key=lambda draft: draft.source):
        _follow(draft, parts)
        _add(parts, draft)


def _add(parts: Parts, draft: Draft) -> None:
    for item, split in zip(draft.items, draft.splits, strict=True):
        for known in item.identities:
            parts.add(known, split, draft.source)


def _refuse_built(draft: Draft, built: Parts) -> None:
    """A finished source trains on whom this one is given as a test: only building it again can mend that."""
    found = {
        item.person: others
        for item, split in zip(draft.items, draft.splits, strict=True)
        if split == "test" and (others := built.others(item.person, "train", draft.source))
    }
    if found:
        names = sorted({name for others in found.values() for name in others})
        raise BadInput(
            f"patients {_few(found)} are in the test part of {draft.source} and in the train part of "
            f"{' and '.join(names)}, built before; build {draft.source} and {' and '.join(names)} with one command"
        )


def _leave_out(draft: Draft, parts: Parts) -> None:
    """Drop training images of patients who are in another source's test part, and name them."""
    kept: list[tuple[Item, str]] = []
    for item, split in zip(draft.items, draft.splits, strict=True):
        others = parts.others(item.person, "test", draft.source) if split == "train" else []
        if others:
            where = f"the test part of {' and '.join(others)}"
            draft.problems.append(Problem(f"{item.name}: left out of training, patient {item.person} is in {where}"))
        else:
            kept.append((item, split))
    draft.items, draft.splits = [item for item, _ in kept], [split for _, split in kept]


def _follow(draft: Draft, parts: Parts) -> None:
    """Move groups to the split that other sources have their patients in; test wins."""
    wanted: dict[str, tuple[str, list[str]]] = {}
    persons: dict[str, set[str]] = defaultdict(set)
    for split in ("train", "test"):
        for item in draft.items:
            for known in item.identities:
                if others := parts.others(known, split, draft.source):
                    wanted[item.group] = split, others
    for item in draft.items:
        persons[item.group].add(item.person)
    moved: dict[tuple[str, ...], set[str]] = defaultdict(set)
    for i, item in enumerate(draft.items):
        split, others = wanted.get(item.group, (draft.splits[i], []))
        if split != draft.splits[i]:
            draft.splits[i] = split
            moved[split, *others] |= persons[item.group] - {""}
    for (split, *names), people in sorted(moved.items()):
        draft.moved.append(f"to {split}, where {' and '.join(names)} has them: patients {_few(people)}")


def _few(people: Iterable[str]) -> str:
    names = sorted(people)
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{', '.join(names[:SHOWN])}{more}"
