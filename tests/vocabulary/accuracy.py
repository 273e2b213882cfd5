"""Accuracy of the look-up, by half of the phrases and of the spellings.

``python -m tests.vocabulary.accuracy [tune]`` prints it; ``tune`` also lists the misses of that half.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from pathsegmentor.vocabulary import Vocabulary
from pathsegmentor.vocabulary.lexicon import read_lexicon

HERE = Path(__file__).parent
PAPER = Vocabulary.paper()
NANO = Vocabulary.from_ids((HERE / "nano_labels.txt").read_text(encoding="utf-8").splitlines())


@dataclass(frozen=True)
class Score:
    """Right first answers of what means a label, and what means none but was given one."""

    known: int
    right: int
    unknown: int
    invented: int
    misses: tuple[str, ...]

    @property
    def accuracy(self) -> float:
        """Share of known phrases whose first answer is right."""
        return self.right / self.known


def answer(vocabulary: Vocabulary, words: str) -> str:
    """The labels that words lead to, or "unknown"."""
    return " + ".join(candidate.label.id for candidate in vocabulary.look_up(words).meant) or "unknown"


def score(half: str) -> Score:
    """Score one half of the phrases, ``tune`` or ``held``."""
    vocabularies = {"paper": PAPER, "nano": NANO}
    return _scored(
        (f"{row['vocabulary']}: '{row['phrase']}'", answer(vocabularies[row["vocabulary"]], row["phrase"]), row["gold"])
        for row in _rows("phrases.csv", half)
    )


def score_spelling(half: str) -> Score:
    """Score one half of the spellings: a slip is read as the word it means, a word of its own as no other."""
    lexicon = read_lexicon().for_labels(PAPER)

    def read(words: str) -> str:
        return " ".join(stem for word in lexicon.words(words) for stem in word.stems)

    return _scored(
        (
            f"'{row['typed']}'",
            read(row["typed"]) if any(word.corrected for word in lexicon.words(row["typed"])) else "unknown",
            read(row["means"]) or "unknown",
        )
        for row in _rows("spelling.csv", half)
    )


def _rows(name: str, half: str) -> list[dict[str, str]]:
    with (HERE / name).open(newline="", encoding="utf-8") as file:
        return [row for row in csv.DictReader(file) if row["half"] == half]


def _scored(answers: Iterator[tuple[str, str, str]]) -> Score:
    known = right = unknown = invented = 0
    misses = []
    for asked, found, gold in answers:
        if gold == "unknown":
            unknown += 1
            invented += found != gold
        else:
            known += 1
            right += found == gold
        if found != gold:
            misses.append(f"{asked} -> {found}, not {gold}")
    return Score(known, right, unknown, invented, tuple(misses))


if __name__ == "__main__":
    for name in ("tune", "held"):
        for what, found in (("phrases", score(name)), ("spellings", score_spelling(name))):
            print(f"{name} {what}: {found.right} of {found.known} = {found.accuracy:.3f}", end="; ")
            print(f"{found.invented} of {found.unknown} that mean nothing here given a meaning")
    if sys.argv[1:] == ["tune"]:
        print(*score("tune").misses, *score_spelling("tune").misses, sep="\n")
