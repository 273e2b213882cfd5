"""What became of annotated objects: each one that was read is used, or passed over with a reason."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

NUMBERS = ("read", "used", "passed_over")
LONGEST_NAME = 60
NUMBERS_SHOWN = 5


@dataclass(frozen=True)
class Place:
    """Where an object stands in a file: ``which`` is a word and a number there, such as ``feature 3``."""

    file: str
    which: str


class Named(Protocol):
    """Any object with its place and the name of its class."""

    @property
    def place(self) -> Place:
        """Where it stands."""

    @property
    def name(self) -> str:
        """Its class, "" if it has none."""


@dataclass(frozen=True)
class Passed:
    """An object that is not used, the name of its class ("" if it has none) and why.

    ``lost`` says that somebody named it and it is missing from the data set; ``gap`` that it may lie in the
    image, so that its class must not be taken for absent where its mask is empty.
    """

    place: Place
    name: str
    reason: str
    lost: bool = True
    gap: bool = True


@dataclass(frozen=True)
class Mark:
    """A used object: its place, the name of its class, and the label in whose mask it has ``number``.

    The number is 0 for one that is not numbered, or lies wholly under later objects of its label; the label
    is "" for one about whose pixels nothing is known.
    """

    place: Place
    name: str
    label: str
    number: int = 0


@dataclass(frozen=True)
class Count:
    """Of the objects of an image, or of many: those used, those passed over, and what else is worth saying."""

    used: tuple[Mark, ...] = ()
    passed: tuple[Passed, ...] = ()
    said: Mapping[str, int] = field(default_factory=dict)

    @property
    def read(self) -> int:
        """How many objects there were."""
        return len(self.used) + len(self.passed)

    def with_more(self, other: Count) -> Count:
        """Both together."""
        said = Counter(self.said) + Counter(other.said)
        return Count(self.used + other.used, self.passed + other.passed, said)

    def left(self, seen: Mapping[str, Set[int]], reason: str) -> Count:
        """The count once it is known which numbers each label's masks still hold: others are passed over."""

        def there(mark: Mark) -> bool:
            if not mark.label:
                return bool(seen)
            return mark.label in seen and (not mark.number or mark.number in seen[mark.label])

        gone = [Passed(mark.place, mark.name, reason, bool(mark.label)) for mark in self.used if not there(mark)]
        return replace(self, used=tuple(filter(there, self.used)), passed=(*self.passed, *gone))

    def report(self) -> dict[str, Any]:
        """Numbers for a file."""
        return {
            "read": self.read,
            "used": len(self.used),
            "passed_over": len(self.passed),
            "reasons": dict(Counter(one.reason for one in self.passed).most_common()),
            "said": dict(self.said),
        }


def added(reports: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """The sum of several reports."""
    numbers, reasons, said = Counter[str](), Counter[str](), Counter[str]()
    for report in reports:
        numbers.update({key: report[key] for key in NUMBERS})
        reasons.update(report["reasons"])
        said.update(report["said"])
    return {key: numbers[key] for key in NUMBERS} | {"reasons": dict(reasons.most_common()), "said": dict(said)}


def all_passed(objects: Iterable[Named], reason: str) -> tuple[Passed, ...]:
    """All objects of an image that cannot be used at all."""
    return tuple(o if isinstance(o, Passed) else Passed(o.place, o.name, reason) for o in objects)


def told(passed: Iterable[Passed]) -> list[tuple[str, int]]:
    """A line for each file, class and reason with the first objects it is about, and of how many it speaks."""
    alike: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    for one in passed:
        alike[one.place.file, one.name, one.reason].append(one.place.which)
    return [
        (f"{_listed(which)} of {file}{_class(name)} {reason}", len(which))
        for (file, name, reason), which in alike.items()
    ]


def shown(value: object) -> str:
    """Something from a file as it may stand in a line: short, without what a terminal would obey."""
    try:
        text = " ".join(str(value).split())
    except RecursionError:
        return "..."
    plain = "".join(c if c.isprintable() else "?" for c in text[:LONGEST_NAME])
    return plain if len(text) <= LONGEST_NAME else f"{plain[:-3]}..."


def _listed(which: Sequence[str]) -> str:
    if len(which) == 1:
        return which[0]
    more = ", ..." if len(which) > NUMBERS_SHOWN else ""
    return f"{len(which)} objects ({', '.join(which[:NUMBERS_SHOWN])}{more})"


def _class(name: str) -> str:
    return f", class '{shown(name)}':" if name else ":"
