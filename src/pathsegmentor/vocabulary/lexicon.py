"""What a word can be: spelling, plurals, synonyms, organs, structures, and the small words between them.

The curated words are in ``synonyms.json``, words of medicine that name no label in ``terms.txt``.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import cache, cached_property
from importlib.resources import files
from typing import Literal

from pathsegmentor.vocabulary.label import Label
from pathsegmentor.vocabulary.typos import Speller

Kind = Literal["join", "list", "loose", "relation", "negation", "filler", "organ", "structure", "thing"]

_IRREGULAR = {
    "nuclei": "nucleus",
    "mitoses": "mitosis",
    "metastases": "metastasis",
    "necroses": "necrosis",
    "apoptoses": "apoptosis",
    "testes": "testis",
    "acini": "acinus",
    "bodies": "body",
    "lumina": "lumen",
    "epithelia": "epithelium",
    "stromata": "stroma",
    "biopsies": "biopsy",
    "ovaries": "ovary",
    "biliaries": "biliary",
}
_NO_PLURAL = re.compile(r"(ss|us|is|nos|dcis)$")
_TOKEN = re.compile(r"[^\W_]+(?:['’][^\W_]+)*|[&+,;/|]")


@dataclass(frozen=True)
class Word:
    """A word, or several that mean one thing.

    ``said`` is the text as it was typed, ``stems`` what it is read as, ``plain`` the same without synonyms.
    ``corrected`` is the known word a slip was read as, ``note`` what a person should know of a synonym.
    """

    said: str
    stems: tuple[str, ...]
    plain: tuple[str, ...]
    corrected: str = ""
    note: str = ""


@dataclass(frozen=True)
class Lexicon:
    """Everything a word can be; ``objects`` are the words the labels' objects are made of."""

    spelling: dict[str, str]
    phrases: dict[tuple[str, ...], tuple[tuple[str, ...], str]]
    regions: dict[str, str]
    structures: dict[str, str]
    aliases: dict[str, list[str]]
    small: dict[str, Kind]
    adjectives: frozenset[str]
    adjuncts: frozenset[str]
    related: tuple[dict[str, list[str]], ...]
    shorthand: dict[str, str]
    terms: frozenset[str]
    ordinary: frozenset[str]
    everyday: frozenset[str] = frozenset()
    objects: frozenset[str] = frozenset()

    def for_labels(self, labels: Iterable[Label]) -> Lexicon:
        """The same for the labels of one vocabulary: their words, organs, and names that hold an "or"."""
        phrases, regions = dict(self.phrases), dict(self.regions)
        for label in labels:
            region = label.region.lower()
            if region not in regions.values():
                key = self._key(region)
                regions["".join(key)] = region
                phrases |= {key: (("".join(key),), "")} if len(key) > 1 else {}
            key = self._key(label.object_type)
            kinds = {self.kind(word) for word in self._merge(label.object_type, self._tokens(label.object_type), {})}
            if "negation" in kinds:
                phrases.setdefault(key, ((" ".join(key),), ""))  # "non tumor" is a thing of its own
            elif kinds & {"join", "list", "relation"}:
                phrases.setdefault(key, (tuple(stem for stem in key if stem not in self.small), ""))
        larger = replace(self, phrases=phrases, regions=regions)
        texts = [text for label in labels for text in larger.ways_to_say(label)]
        return replace(larger, objects=frozenset(stem for text in texts for stem in larger.stems(text)))

    def ways_to_say(self, label: Label) -> list[str]:
        """The label's own object type, then its synonyms."""
        kind = label.object_type.lower()
        return [kind, *self.aliases.get(kind, [])]

    def stems(self, text: str) -> list[str]:
        """Plain words of a text: one spelling, singular, synonyms replaced, none of the small ones."""
        words = self._merge(text, self._tokens(text), {})
        return [s for word in words if self.kind(word) in ("organ", "structure", "thing") for s in word.stems]

    def words(self, text: str) -> list[Word]:
        """The words of a prompt, slips corrected, words that mean one thing together as one."""
        for short, long in self.shorthand.items():
            text = re.sub(rf"\b{re.escape(short)}\b", long, text, flags=re.IGNORECASE)
        tokens = self._tokens(text)
        corrected: dict[int, str] = {}
        for i, (stem, start, end) in enumerate(tokens):
            if stem in self.small or stem in self.speller.known:
                continue
            meant = self.speller.correct(text[start:end].lower(), stem)
            if meant is not None:
                corrected[i] = meant
                tokens[i] = (self._stem(meant), start, end)
        return self._merge(text, tokens, corrected)

    def plain(self, text: str) -> set[str]:
        """Stems of a text without synonyms."""
        return {stem for stem, _, _ in self._tokens(text)}

    def kind(self, word: Word) -> Kind:
        """What part the word can play."""
        if all(stem in self.regions for stem in word.stems):
            return "organ"
        if len(word.stems) == 1:
            (stem,) = word.stems
            if stem in self.small:
                return self.small[stem]
            if stem in self.structures:
                return "structure"
            if any(stem.startswith(x) and stem[len(x) :] in self.everyday for x in ("non", "un")):
                return "thing" if stem in self.everyday else "negation"
        return "thing"

    def is_adjective(self, word: Word) -> bool:
        """Whether the word waits for a noun: "malignant", "epithelial", "low grade"."""
        said = " ".join((word.corrected or word.said).lower().replace("-", " ").split())
        return said in self.adjectives

    @cached_property
    def speller(self) -> Speller:
        """Corrects slips towards words that mean something; a slip in a small word is not guessed at."""
        keys = {stem for key, (stems, _) in self.phrases.items() if not set(stems) & set(self.small) for stem in key}
        words = {*self.regions, *self.structures, *self.objects, *self.everyday, *keys, *self.spelling}
        known = {word: self._stem(word) for word in words if word not in self.small}
        return Speller(known, self.terms - words, self.ordinary - words)

    def _tokens(self, text: str) -> list[tuple[str, int, int]]:
        """Stem, start and end of every word."""
        return [(self._stem(m.group().lower().replace("’", "'")), *m.span()) for m in _TOKEN.finditer(text)]

    def _key(self, text: str) -> tuple[str, ...]:
        return tuple(stem for stem, _, _ in self._tokens(text))

    def _stem(self, word: str) -> str:
        word = self.spelling.get(word, word)
        return self.spelling.get(single := _singular(word), single)

    def _merge(self, text: str, tokens: list[tuple[str, int, int]], corrected: dict[int, str]) -> list[Word]:
        """Words from tokens; of the phrases that begin at a token the longest counts."""
        words, i = [], 0
        while i < len(tokens):
            keys = (tuple(t[0] for t in tokens[i : i + n]) for n in range(min(self._longest, len(tokens) - i), 0, -1))
            plain = next((key for key in keys if key in self.phrases), (tokens[i][0],))
            stems, note = self.phrases.get(plain, (plain, ""))
            end = i + len(plain)
            slips = " ".join(corrected[j] for j in range(i, end) if j in corrected)
            words.append(Word(text[tokens[i][1] : tokens[end - 1][2]], stems, plain, slips, note))
            i = end
        return words

    @cached_property
    def _longest(self) -> int:
        return max(map(len, self.phrases))


def cleaned(text: str) -> str:
    """One line of letters that can be seen: no control characters, no invisible or direction marks."""
    shown = (
        "" if unicodedata.category(c) == "Cf" else " " if unicodedata.category(c)[0] == "C" else c
        for c in unicodedata.normalize("NFKC", text)
    )
    return " ".join("".join(shown).split())


def _singular(word: str) -> str:
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if len(word) > 3 and word.endswith("s") and not _NO_PLURAL.search(word):
        return word[:-1]
    return word


def _small(data: dict[str, list[str]]) -> dict[str, Kind]:
    kinds: dict[str, Kind] = {
        "fillers": "filler",
        "joins": "join",
        "lists": "list",
        "loose": "loose",
        "relations": "relation",
        "negations": "negation",
    }
    return {word: kind for group, kind in kinds.items() for word in data[group]}


@cache
def read_lexicon() -> Lexicon:
    """The curated words, for no labels in particular."""
    folder = files("pathsegmentor.vocabulary")
    data = json.loads((folder / "synonyms.json").read_text(encoding="utf-8"))
    lines = (folder / "terms.txt").read_text(encoding="utf-8").splitlines()
    small = _small(data)
    bare = Lexicon(
        spelling=data["spelling"],
        phrases={},
        regions={word: region for region, words in data["regions"].items() for word in (region, *words)},
        structures={word: name for name, words in data["structures"].items() for word in words},
        aliases=data["objects"],
        small=small,
        adjectives=frozenset(data["adjectives"]),
        adjuncts=frozenset(data["adjuncts"]),
        related=tuple(data["related"]),
        shorthand=data["shorthand"],
        terms=frozenset(word for line in lines if not line.startswith("#") for word in line.split()),
        ordinary=frozenset(data["never_typos"]),
    )
    meanings = {words: (meaning, "") for words, meaning in data["phrases"].items()}
    meanings |= {words: (meaning, note) for words, (meaning, note) in data["noted"].items()}
    phrases = {bare._key(words): (tuple(meaning.split()), note) for words, (meaning, note) in meanings.items()}
    phrases |= {key: ((word,), "") for word in small if len(key := bare._key(word)) > 1}
    full = replace(bare, phrases=phrases)
    texts = [text for kind, others in data["objects"].items() for text in (kind, *others)]
    return replace(full, everyday=frozenset(stem for text in texts for stem in full.stems(text)))
