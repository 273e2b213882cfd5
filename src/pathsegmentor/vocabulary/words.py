"""Reading words: spelling, plurals, fillers, synonyms of organs and structures, typos."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

_IRREGULAR = {
    "nuclei": "nucleus",
    "mitoses": "mitosis",
    "metastases": "metastasis",
    "acini": "acinus",
    "bodies": "body",
    "lumina": "lumen",
    "epithelia": "epithelium",
    "stromata": "stroma",
    "biopsies": "biopsy",
}
_NO_PLURAL = re.compile(r"(ss|us|is|nos|dcis)$")


@dataclass(frozen=True)
class Reading:
    """Words sorted into parts, all as stems.

    ``structures`` are those named, as label structures; ``structure_words`` the stems that named them.
    ``corrected`` are (word, what it was read as). ``negated`` is the word that turns the meaning round.
    """

    regions: set[str]
    structures: set[str]
    structure_words: set[str]
    objects: set[str]
    unknown: tuple[str, ...]
    corrected: tuple[tuple[str, str], ...]
    negated: str = ""


@dataclass(frozen=True)
class Lexicon:
    """Everything a word can be."""

    spelling: dict[str, str]
    phrases: tuple[tuple[str, str], ...]
    regions: dict[str, str]
    structures: dict[str, str]
    aliases: dict[str, list[str]]
    fillers: frozenset[str]
    negations: frozenset[str]
    never_typos: frozenset[str]
    objects: frozenset[str] = frozenset()

    def with_objects(self, words: set[str]) -> Lexicon:
        """The same with the words that labels' objects are made of."""
        return replace(self, objects=frozenset(words))

    def aliases_of(self, object_type: str) -> list[str]:
        """Other ways to say an object type."""
        return self.aliases.get(object_type, [])

    def stems(self, text: str) -> list[str]:
        """Words of a text in their plain form: lower case, one spelling, singular, no fillers."""
        plain = re.sub(r"[^\w&]+", " ", text.lower().replace("_", " ")).strip()
        padded = f" {plain} "
        for phrase, meaning in self.phrases:
            padded = padded.replace(f" {phrase} ", f" {meaning} ")
        return [stem for word in padded.split() if (stem := self._stem(word)) not in self.fillers]

    def _stem(self, word: str) -> str:
        word = self.spelling.get(word, word)
        return self.spelling.get(single := _singular(word), single)

    def read(self, text: str) -> Reading:
        """Sort the words of a prompt into organ, structure and object."""
        reading = Reading(set(), set(), set(), set(), (), ())
        for stem in self.stems(text):
            if stem in self.negations:
                return replace(reading, negated=stem)
            reading = self._add(reading, stem)
        return reading

    def _add(self, reading: Reading, stem: str) -> Reading:
        known = self._known(stem)
        if not known:
            meant = self._typo(stem)
            if meant is None:
                return replace(reading, unknown=(*reading.unknown, stem))
            reading = replace(reading, corrected=(*reading.corrected, (stem, meant)))
            stem = self._stem(meant)
        if stem in self.regions:
            return replace(reading, regions=reading.regions | {self.regions[stem]})
        if stem in self.structures:
            return replace(
                reading,
                structures=reading.structures | {self.structures[stem]},
                structure_words=reading.structure_words | {stem},
            )
        return replace(reading, objects=reading.objects | {stem})

    def _known(self, stem: str) -> bool:
        return stem in self.regions or stem in self.structures or stem in self.objects

    def _typo(self, word: str) -> str | None:
        """The one known word a slip of the finger away; short or ordinary words are taken as they are."""
        if len(word) < 5 or word in self.never_typos or not word.isalpha():
            return None
        pool = {*self.regions, *self.structures, *self.objects}
        near = {w for w in pool if len(w) >= 5 and w[0] == word[0] and _slips(word, w) <= _allowed(w)}
        least = min((_slips(word, w) for w in near), default=0)
        best = [w for w in near if _slips(word, w) == least]
        return best[0] if len(best) == 1 else None


def _allowed(word: str) -> int:
    return 2 if len(word) >= 9 else 1


def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 3 and word.endswith("s") and not _NO_PLURAL.search(word):
        return word[:-1]
    return word


def _slips(a: str, b: str) -> int:
    """Edit distance with swaps of neighbours as one slip."""
    if abs(len(a) - len(b)) > 2:
        return 3
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


@cache
def read_lexicon() -> Lexicon:
    """The curated words of ``synonyms.json``."""
    text = (files("pathsegmentor.vocabulary") / "synonyms.json").read_text(encoding="utf-8")
    data = json.loads(text)
    return Lexicon(
        spelling=data["spelling"],
        phrases=tuple(sorted(data["phrases"].items(), key=lambda item: -len(item[0]))),
        regions={word: region for region, words in data["regions"].items() for word in (region, *words)},
        structures={word: name for name, words in data["structures"].items() for word in words},
        aliases=data["objects"],
        fillers=frozenset(data["fillers"]),
        negations=frozenset(data["negations"]),
        never_typos=frozenset(data["never_typos"]),
    )
