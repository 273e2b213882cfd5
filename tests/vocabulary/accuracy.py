"""Accuracy of the look-up on the phrases, by half: ``python -m tests.vocabulary.accuracy [tune]`` lists misses."""

from __future__ import annotations

import csv
import sys
from dataclasses import dataclass
from pathlib import Path

from pathsegmentor.vocabulary import Vocabulary

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Score:
    """Right first answers of known phrases, and unknown phrases that were given a label."""

    known: int
    right: int
    unknown: int
    invented: int
    misses: tuple[str, ...]

    @property
    def accuracy(self) -> float:
        """Share of known phrases whose first answer is right."""
        return self.right / self.known


def score(half: str) -> Score:
    """Score one half, ``tune`` or ``held``."""
    nano = (HERE / "nano_labels.txt").read_text(encoding="utf-8").split("\n")
    vocabularies = {
        "paper": Vocabulary.paper(),
        "nano": Vocabulary.from_ids(x for x in nano if x),
    }
    known = right = unknown = invented = 0
    misses = []
    with (HERE / "phrases.csv").open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["half"] != half:
                continue
            query = vocabularies[row["vocabulary"]].look_up(row["phrase"])
            answer = "unknown" if query.status == "unknown" else query.candidates[0].label.id
            good = answer == row["gold"]
            if row["gold"] == "unknown":
                unknown += 1
                invented += not good
            else:
                known += 1
                right += good
            if not good:
                misses.append(f"{row['vocabulary']}: '{row['phrase']}' -> {answer}, not {row['gold']}")
    return Score(known, right, unknown, invented, tuple(misses))


if __name__ == "__main__":
    for name in ("tune", "held"):
        found = score(name)
        print(f"{name}: {found.right} of {found.known} = {found.accuracy:.3f}", end="; ")
        print(f"{found.invented} of {found.unknown} unknown phrases given a label")
    if sys.argv[1:] == ["tune"]:
        print(*score("tune").misses, sep="\n")
