"""``samples.parquet`` as arrays: texts of few kinds as numbers, so that millions of rows fit in memory."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.evaluate.samples import read_samples

_TEXTS = ("source", "label", "region", "structure", "object_type", "state", "reason", "status", "group", "image")
_FLAGS = ("present", "looked_for")
SCORES = ("dice", "iou", "boundary_dice", "hd95_um", "f1", "aji", "pq")
_NUMBERS = ("mpp", "height", "width", "presence", "found_pixels", "truth_objects", *SCORES)


@dataclass(frozen=True)
class Texts:
    """A column of texts: ``words`` in alphabetical order, and for each row the number of its word."""

    words: list[str]
    codes: NDArray[np.int64]

    def where(self, word: str, rows: Any = slice(None)) -> NDArray[np.bool_]:
        """Which rows, or which of some ``rows``, hold this word."""
        return np.asarray(self.codes[rows] == (self.words.index(word) if word in self.words else -1))


@dataclass(frozen=True)
class Columns:
    """All rows of a run, column by column."""

    texts: dict[str, Texts]
    values: dict[str, NDArray[Any]]

    @property
    def scored(self) -> NDArray[np.bool_]:
        """Rows that have been scored, present and absent ones."""
        return self.texts["state"].where("scored")

    @property
    def present(self) -> NDArray[np.bool_]:
        """Rows whose label the annotation has."""
        return np.asarray(self.values["present"])

    @property
    def with_presence(self) -> NDArray[np.bool_]:
        """Scored rows for which the predictor said how sure it is that the label is there."""
        return self.scored & ~np.isnan(self.values["presence"])

    @property
    def area_um2(self) -> NDArray[np.float64]:
        """What was found, in um2."""
        return np.asarray(self.values["found_pixels"] * self.values["mpp"] ** 2)


def read_columns(folder: Path) -> Columns:
    """The columns of a run's folder; raises ``BadInput``."""
    table = read_samples(folder, [*_TEXTS, *_FLAGS, *_NUMBERS])
    return Columns(
        {name: _texts(table.column(name)) for name in _TEXTS},
        {name: table.column(name).to_numpy() for name in (*_FLAGS, *_NUMBERS)},
    )


def _texts(column: Any) -> Texts:
    encoded = column if hasattr(column.type, "value_type") else column.dictionary_encode()
    words: dict[str, int] = {}
    codes = [np.empty(0, np.int64)]
    # Every portion has a dictionary of its own.
    for chunk in encoded.chunks:
        numbers = [words.setdefault(word, len(words)) for word in chunk.dictionary.to_pylist()]
        codes.append(np.asarray(numbers, np.int64)[chunk.indices.to_numpy()])
    order = sorted(words)
    place = np.empty(len(words), np.int64)
    place[[words[word] for word in order]] = np.arange(len(words))
    return Texts(order, place[np.concatenate(codes)])
