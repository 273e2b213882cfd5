"""The tables beside a user's images: ``labels.csv`` and ``images.csv``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path

from pathsegmentor.data import files
from pathsegmentor.data.counted import shown
from pathsegmentor.data.drawn import key_of
from pathsegmentor.data.layout import known_split
from pathsegmentor.data.names import Spelt, spellings, stem
from pathsegmentor.data.record import Problem
from pathsegmentor.errors import BadInput
from pathsegmentor.vocabulary import Label

IMAGES, LABELS = "images.csv", "labels.csv"


@dataclass(frozen=True)
class Facts:
    """What ``images.csv`` says of an image; "" for nothing, ``split`` is ``train`` or ``test``."""

    split: str = ""
    patient: str = ""
    slide: str = ""
    mpp: str = ""


COLUMNS = ("image", *(f.name for f in fields(Facts)))


def together(facts: Sequence[Facts]) -> Facts:
    """What several rows say of one image; raises ``BadInput`` where they contradict each other."""
    found = {}
    for column in COLUMNS[1:]:
        values = dict.fromkeys(value for one in facts if (value := getattr(one, column)))
        if len(values) > 1:
            raise BadInput(f"{IMAGES} says {column} {' and '.join(map(shown, values))}")
        found[column] = next(iter(values), "")
    return Facts(**found)


class ImagesTable:
    """``images.csv``, row by row; an empty one if there is none."""

    def __init__(self, top: Path) -> None:
        path = top / IMAGES
        rows = files.table(path) if path.is_file() else []
        self.columns = list(dict.fromkeys(name for row in rows for name in row))
        plain = [{name.strip().lower(): value.strip() for name, value in row.items()} for row in rows]
        plain = [row for row in plain if any(row.values())]  # spreadsheets leave empty rows
        if plain and "image" not in plain[0]:
            raise BadInput(f"{path} has no column image; it has {', '.join(self.columns)}")
        self.rows = [(row["image"], _facts(row)) for row in plain]

    def tells(self, column: str) -> bool:
        """Whether any row says something there."""
        return any(getattr(facts, column) for _, facts in self.rows)

    def unknown(self) -> Iterator[Problem]:
        """Columns that mean nothing here; one that is spelt nearly as one that does is a mistake."""
        for name in self.columns:
            plain = name.strip().lower()
            if plain not in COLUMNS:
                near = get_close_matches(plain, COLUMNS, 1, 0.7)
                more = f"; is it {near[0]}?" if near else f"; known are {', '.join(COLUMNS)}"
                yield Problem(f"{IMAGES}: column '{shown(name)}' is not used{more}", lost=bool(near))

    def given(self, images: dict[str, Path]) -> tuple[dict[Path, list[Facts]], dict[Path, str], list[Problem]]:
        """Rows by image (found by place); why an image is left out; rows that match nothing.

        A row names an image by its place in the folder or its name, with or without extension.
        """
        ways = [Spelt((form(place), path) for place, path in images.items()) for form in _FORMS]
        facts: dict[Path, list[Facts]] = {}
        unclear: dict[Path, str] = {}
        problems = {}
        for name, row in self.rows:
            found = next((hits for text in spellings(name) for way in ways if (hits := way.find(text))), [])
            for path in found:
                facts.setdefault(path, []).append(row)
            if not found:
                problems[name] = Problem(f"{IMAGES}: no annotated image '{shown(name)}'")
            elif len(found) > 1:
                unclear |= dict.fromkeys(found, f"{IMAGES}: '{shown(name)}' may mean {len(found)} images")
        return facts, unclear, [problems[name] for name in sorted(problems)]


def _facts(row: dict[str, str]) -> Facts:
    return Facts(
        known_split(row.get("split", ""), IMAGES), row.get("patient", ""), row.get("slide", ""), row.get("mpp", "")
    )


def _name(place: str) -> str:
    return place.rsplit("/", 1)[-1]


# The most exact first.
_FORMS = (str, stem, _name, lambda place: stem(_name(place)))


def read_labels(top: Path) -> dict[str, str]:
    """Label id by class, as ``labels.csv`` says; names differ by more than case and blanks around them."""
    path = top / LABELS
    labels: dict[str, str] = {}
    for number, row in enumerate(files.table(path, ["class", "label"]) if path.is_file() else [], start=2):
        try:
            label = Label.from_id(row["label"].lower()).id
        except BadInput as error:
            raise BadInput(f"{path} line {number}: {error}") from error
        if labels.setdefault(key_of(row["class"]), label) != label:
            raise BadInput(f"{path} line {number}: class '{row['class']}' has another label above")
    return labels
