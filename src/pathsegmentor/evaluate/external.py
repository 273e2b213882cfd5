"""External evaluation: categories of a data set nobody trained on, asked as categories a model knows (section 2.4).

A mapping file says for each external label which internal ones mean it::

    name: CoNSeP
    source: consep
    labels:
      colon-cell-inflammatory: [colon-nuclei-inflammatory, breast-nuclei-inflammatory]

Of the internal labels a model is asked all that it can be asked; the union of what it finds is its answer.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pathsegmentor.atomic import sha256_of
from pathsegmentor.data import sources
from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.find import Maker
from pathsegmentor.evaluate.predictor import Asked, Predicted, Predictor
from pathsegmentor.imaging import Picture
from pathsegmentor.vocabulary import Label, Vocabulary

KEYS = {"name", "source", "labels"}
STATUSES = ("present", "unsure", "absent")


@dataclass(frozen=True)
class Categories:
    """External label ids, each with the internal ones it is asked as; ``sha256`` is that of the file."""

    name: str
    source: str
    labels: Mapping[str, tuple[str, ...]] = field(compare=False)  # told apart, and hashed, by the file's hash
    sha256: str


def read_mapping(path: Path) -> Categories:
    """Read and check a mapping file; raises ``BadInput``."""
    try:
        read = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise BadInput(f"{path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(read, dict) or set(read) != KEYS:
        raise BadInput(f"{path} does not hold just the keys {', '.join(sorted(KEYS))}; see docs/comparison.md")
    for key in ("name", "source"):
        if not isinstance(read[key], str) or not read[key].strip():
            raise BadInput(f"{path}: {key} is not a word")
    if not isinstance(read["labels"], dict) or not read["labels"]:
        raise BadInput(f"{path}: labels names no external label")
    known = _known_labels()
    labels: dict[str, tuple[str, ...]] = {}
    for key, value in read["labels"].items():
        external = _id(key, path)
        if external in labels:
            raise BadInput(f"{path}: {external} stands there twice")
        labels[external] = _internal(external, value, known, path)
    return Categories(read["name"].strip(), read["source"].strip(), labels, sha256_of(path))


def _known_labels() -> set[str]:
    """The paper's labels and all further ones that a source has."""
    found = {label.id for label in Vocabulary.paper()}
    for name in sources.names():
        if (source := sources.find_source(name)) is not None:
            found.update((*source.labels, *source.more))
    return found


def _internal(external: str, value: Any, known: set[str], path: Path) -> tuple[str, ...]:
    if not isinstance(value, list) or not value:
        raise BadInput(f"{path}: {external} needs a list of internal labels")
    found = tuple(_id(one, path) for one in value)
    twice = [one for one in found if found.count(one) > 1]
    if twice:
        raise BadInput(f"{path}: {external} names {twice[0]} twice")
    unknown = [one for one in found if one not in known]
    if unknown:
        raise BadInput(f"{path}: {external} names {unknown[0]}, which is a label of no source")
    return found


def _id(value: Any, path: Path) -> str:
    try:
        return Label.from_id(str(value)).id
    except BadInput as error:
        raise BadInput(f"{path}: {error}") from error


@dataclass(frozen=True)
class MappedMaker(Maker):
    """Makes a predictor that is asked through ``categories``; travels to other processes."""

    categories: Categories | None = None

    def __call__(self) -> Predictor:
        """Load the predictor."""
        assert self.categories is not None
        return Mapped(super().__call__(), self.categories)


class Mapped:
    """Any predictor, asked for external labels as internal ones; labels that are not mapped are not asked."""

    def __init__(self, predictor: Predictor, categories: Categories) -> None:
        self.predictor = predictor
        self.categories = categories
        self.name = f"{predictor.name}, {categories.name} mapped by {categories.sha256[:8]}"
        self.weights = predictor.weights
        self.config_sha256 = getattr(predictor, "config_sha256", "none")
        self.wants_boxes = predictor.wants_boxes

    def why_not(self, label: str, mpp: tuple[float, float]) -> str:
        """Labels without a mapping, and those of which no internal label can be asked, cannot be asked."""
        internal = self.categories.labels.get(label)
        if internal is None:
            return f"the mapping of {self.categories.name} does not name this label"
        if self._can(label, mpp):
            return ""
        return "; ".join(dict.fromkeys(f"{one}: {self.predictor.why_not(one, mpp)}" for one in internal))

    def answer(self, image: Picture, asked: Sequence[Asked]) -> list[Predicted]:
        """For each label the union of the masks of its internal ones, and the highest presence among them."""
        assert image.mpp is not None
        internal = {one.label: self._can(one.label, image.mpp) for one in asked}
        if self.predictor.wants_boxes == "none":
            # Each internal label once, however many external ones share it.
            wanted = list(dict.fromkeys(name for names in internal.values() for name in names))
            found = dict(zip(wanted, self.predictor.answer(image, [Asked(name) for name in wanted]), strict=True))
            return [_union(one.label, [found[name] for name in internal[one.label]]) for one in asked]
        answers = []
        for one in asked:
            # What is shown by boxes is the same whatever it is called.
            first = internal[one.label][:1]
            shown = self.predictor.answer(image, [Asked(name, one.boxes) for name in first])
            answers.append(_union(one.label, shown))
        return answers

    def _can(self, label: str, mpp: tuple[float, float]) -> list[str]:
        return [one for one in self.categories.labels.get(label, ()) if not self.predictor.why_not(one, mpp)]


def _union(label: str, found: Sequence[Predicted]) -> Predicted:
    presences = [one.presence for one in found if one.presence is not None]
    statuses = [one.status for one in found if one.status is not None]
    return Predicted(
        label,
        np.logical_or.reduce([one.mask for one in found]),
        max(presences, default=None),
        min(statuses, key=STATUSES.index, default=None),
        sum(one.prompts for one in found),
    )
