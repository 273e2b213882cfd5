"""Strange words through ``prompts``, which reads them as ``segment`` does."""

from __future__ import annotations

import csv
import json
import random
from functools import cache
from pathlib import Path

import pytest

from pathsegmentor.vocabulary import Vocabulary
from tests.fuzz.harness import fuzz, run

PHRASES = Path(__file__).parents[1] / "vocabulary" / "phrases.csv"
JOINTS = (
    " ",
    "  ",
    " and ",
    ", ",
    " or ",
    " in ",
    " within ",
    " around ",
    " of ",
    "/",
    "-",
    " & ",
    "; ",
    " not ",
    "\t",
)
MARKUP = ("", " ", "'", '"', "`", "[bold]", "%s", "{}", "--json", "-h", "*", "\\")
LETTERS = ("\u00df", "\u0130", "\u0301" * 40, "\u202e", "\u200b", "\ufeff", "😀", "細胞", "ядра", "نوى", "０１")
CONTROL = ("\x1b[2J", "\x07", "\n", "\r", "\x00", "\ud800")
ODD = (*MARKUP, *LETTERS, *CONTROL, "a" * 3000, "and " * 400, "(" * 500)


@cache
def words() -> tuple[str, ...]:
    """What people say, and what the labels are made of."""
    with PHRASES.open(encoding="utf-8", newline="") as file:
        said = [row[0] for row in csv.reader(file) if row]
    labels = list(Vocabulary.paper())
    parts = [part for label in labels for part in (label.region, label.structure, label.object_type, label.prompt)]
    return tuple(dict.fromkeys([*said, *parts]))


def misspelt(rng: random.Random, text: str) -> str:
    letters = list(text)
    for _ in range(rng.choice((0, 0, 1, 2))):
        at = rng.randrange(len(letters) + 1)
        letters[at : at + rng.randrange(2)] = rng.choice(["", "x", "e", "-", "é", "\u0301", " ", "'", "\u00ad"])
    cased = "".join(letters)
    return rng.choice((str, str, str.upper, str.title, str.swapcase))(cased)


def prompt(rng: random.Random) -> str:
    parts = [misspelt(rng, rng.choice(words())) for _ in range(rng.choice((1, 1, 2, 3, 6)))]
    if rng.random() < 0.4:
        parts.insert(rng.randrange(len(parts) + 1), rng.choice(ODD))
    text = parts[0]
    for part in parts[1:]:
        text += rng.choice(JOINTS) + part
    return text


def try_prompt(rng: random.Random, folder: Path) -> None:
    asked = [prompt(rng) for _ in range(rng.choice((1, 1, 2)))]
    if rng.random() < 0.5:
        json.loads(run("prompts", "--json", "--", *asked))
    else:
        run("prompts", *asked)


@pytest.mark.slow
def test_prompts(tmp_path: Path) -> None:
    fuzz("prompts", tmp_path, try_prompt)
