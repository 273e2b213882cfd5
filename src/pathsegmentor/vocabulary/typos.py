"""Slips in typing: an unknown word becomes a known one only where it cannot be a word of its own.

A corrected word must begin with the same letter, be one or two slips away, and be nearer than any other word of
medicine. Endings that carry the meaning (-oma, -itis, -cyte, ...) and prefixes that turn it (macro-, micro-) are
never taken for one another: carcinoid is no carcinoma, a microphage no macrophage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Set
from dataclasses import dataclass

SHORTEST, LONGEST = 5, 24
# From this length on two slips are allowed.
LONG = 9

_ENDINGS = tuple(
    re.compile(ending + "$")
    for ending in (
        "omas?|omata",
        "itis|itides",
        "osis|oses",
        "a?emias?",
        "philias?",
        "penias?",
        "plasias?",
        "troph(y|ies)",
        "cytes?",
        "blasts?",
        "clasts?",
        "phages?",
        "celes?",
        "oids?",
        "genesis",
        "iasis",
        "stasis|stases",
        "lysis",
        "ectas(is|ia)",
        "rrh(ag|oe?)[a-z]*",
        "(ec|o)tom(y|ies)",
        "stom(y|ies)",
        "path(y|ies)",
        "log(y|ies)",
        "scop(y|ies)",
        "gra(m|ms|phy)",
        "liths?",
        "kines?",
        "ia",
    )
)
_PREFIXES = re.compile(
    "micro|macro|mega|hyper|hypo|endo|ecto|exo|meso|epi|peri|para|intra|inter|extra|neo|poly|oligo|mono|neuro|nephro"
    "|fibro|leio|rhabdo|angio|lympho|leuko|histo|hemo|hepato"
)


@dataclass(frozen=True)
class Speller:
    """Corrects words towards ``known`` ones (word: its stem); ``terms`` are rivals, ``ordinary`` words left alone."""

    known: Mapping[str, str]
    terms: Set[str]
    ordinary: Set[str]

    def correct(self, word: str, singular: str) -> str | None:
        """The one known word a slip away, or None; ``word`` is in lower case."""
        if not SHORTEST <= len(word) <= LONGEST or not (word.isascii() and word.isalpha()):
            return None
        forms = {word, singular, word[:-1] if word.endswith("s") else word}
        if forms & self.ordinary or forms & self.terms:
            return None
        near: dict[str, int] = {}
        for other in (*self.known, *self.terms):
            if len(other) >= SHORTEST and other[0] == word[0]:
                slips = min(count_slips(form, other) for form in forms)
                if slips <= (2 if len(other) >= LONG else 1):
                    near[other] = slips
        least = min(near.values(), default=0)
        best = sorted(other for other, slips in near.items() if slips == least)
        # Forms of one word are no rivals of each other.
        if len({self.known.get(other, other) for other in best}) != 1 or best[0] not in self.known:
            return None
        return best[0] if not any(_turns(word, other) for other in best) else None


def _turns(word: str, other: str) -> bool:
    """Whether reading ``word`` as ``other`` would change an ending or a prefix that carries the meaning."""
    ending = _ending(word)
    if ending is not None and ending != _ending(other):
        return True
    ours, theirs = _PREFIXES.match(word), _PREFIXES.match(other)
    return ours is not None and theirs is not None and ours.group() != theirs.group()


def _ending(word: str) -> int | None:
    return next((i for i, ending in enumerate(_ENDINGS) if ending.search(word)), None)


def count_slips(a: str, b: str, most: int = 2) -> int:
    """Edit distance with a swap of neighbours as one slip; anything above ``most`` is ``most + 1``."""
    if abs(len(a) - len(b)) > most:
        return most + 1
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        if min(row) > most:
            return most + 1
        rows.append(row)
    return min(rows[-1][-1], most + 1)
