"""From words to labels.

Words are read into three parts: the organ, the structure (tissue, cell, nuclei) and the object. Every
word must be explained by a label for that label to be meant; a word that nothing explains makes the
phrase unknown. Synonyms live in ``synonyms.json``.
"""

from __future__ import annotations

from dataclasses import dataclass
from difflib import SequenceMatcher

from pathsegmentor.errors import BadPrompt
from pathsegmentor.vocabulary.label import Label
from pathsegmentor.vocabulary.query import Candidate, Query
from pathsegmentor.vocabulary.words import Lexicon, Reading, read_lexicon

LONGEST = 500
# Candidates this close to the best are as likely meant; with organ and structure said, wording decides.
TIE, TIE_IF_COMPLETE = 0.08, 0.02
SYNONYM = 0.93
OTHER_STRUCTURE = 0.88
ANY_ORGAN = 0.9
PARTLY = 0.5
PART_SAID = "only part of its words were said"


@dataclass(frozen=True)
class _Phrase:
    """One way to say a label's object: its words, and whether it is the label's own wording."""

    words: frozenset[str]
    own: bool
    text: str


class Lookup:
    """Looks words up among labels."""

    def __init__(self, labels: tuple[Label, ...]) -> None:
        self._labels = labels
        self._lexicon: Lexicon = read_lexicon()
        self._exact = {self._flat(form): label for label in labels for form in _exact_forms(label)}
        self._phrases = {label.id: self._phrases_of(label) for label in labels}
        object_words = {w for phrases in self._phrases.values() for p in phrases for w in p.words}
        self._lexicon = self._lexicon.with_objects(object_words)

    def __call__(self, words: str) -> Query:
        """Read the words; see ``Vocabulary.look_up``."""
        plain = " ".join(words.split())
        if not plain:
            raise BadPrompt("the prompt is empty; say what to segment, for instance 'glands in colon'")
        if len(plain) > LONGEST:
            raise BadPrompt(f"the prompt has {len(plain)} characters; {LONGEST} are the most")
        exact = self._exact.get(self._flat(plain))
        if exact is not None:
            return Query(words, "found", (Candidate(exact, 1.0, "the label itself"),))
        reading = self._lexicon.read(plain)
        if reading.negated:
            return self._unknown(words, plain, (reading.negated,), reading.regions)
        if reading.unknown or not (reading.objects or reading.structures):
            return self._unknown(words, plain, reading.unknown, reading.regions)
        found = [c for label in self._labels if (c := self._candidate(label, reading)) is not None]
        found = _nearest_organ(found, reading)
        if not found:
            return self._unknown(words, plain, (), reading.regions)
        found.sort(key=lambda c: (-c.score, c.label.id))
        tie = TIE_IF_COMPLETE if reading.regions and reading.structures else TIE
        close = len(found) > 1 and found[1].score >= found[0].score - tie
        ambiguous = close or PART_SAID in found[0].reason
        return Query(words, "ambiguous" if ambiguous else "found", tuple(found))

    def _candidate(self, label: Label, reading: Reading) -> Candidate | None:
        """The label with its score if it explains every word, else None."""
        region = label.region.lower()
        best: Candidate | None = None
        for phrase in self._phrases[label.id]:
            # Organ and structure words may belong to the object ("prostate tumor", "plasma cells").
            organs = reading.regions - phrase.words
            if organs - {region} and region != "unspecified":
                continue
            if len(organs) > 1:
                continue
            structures = reading.structures - phrase.words
            if "nuclei" in structures and label.structure.lower() == "tissue":
                continue  # an area is no stand-in for the nuclei in it
            needed = phrase.words - {region, *reading.structure_words}
            asked = reading.objects - {region} if region in phrase.words else reading.objects
            if not asked <= phrase.words or (not asked and needed):
                continue
            covered = len(asked & needed) / len(needed) if needed else 1.0
            if covered < PARTLY or (not asked and not _says_all(phrase, reading)):
                continue
            candidate = _scored(label, phrase, covered, organs, structures, reading)
            if best is None or candidate.score > best.score:
                best = candidate
        return best

    def _phrases_of(self, label: Label) -> list[_Phrase]:
        kind = label.object_type.lower()
        texts = [kind, *self._lexicon.aliases_of(kind)]
        return [_Phrase(frozenset(self._lexicon.stems(t)), i == 0, t) for i, t in enumerate(texts)]

    def _unknown(self, words: str, plain: str, not_understood: tuple[str, ...], regions: set[str]) -> Query:
        """The nearest labels as suggestions: those of the organ that was named, then by spelling."""
        flat = self._flat(plain)

        def closeness(label: Label) -> float:
            forms = (label.object_type.lower(), f"{label.object_type} {label.region}".lower())
            spelling = max(SequenceMatcher(None, flat, form).ratio() for form in forms)
            return (spelling + (label.region.lower() in regions)) / 4

        near = sorted(self._labels, key=lambda label: (-closeness(label), label.id))[:5]
        candidates = tuple(
            Candidate(x, round(closeness(x), 3), "same organ" if x.region.lower() in regions else "similar spelling")
            for x in near
        )
        return Query(words, "unknown", candidates, not_understood)

    @staticmethod
    def _flat(text: str) -> str:
        return " ".join(text.lower().strip(" .\"'").split())


def _exact_forms(label: Label) -> tuple[str, ...]:
    return label.id, label.prompt, label.file_name


def _says_all(phrase: _Phrase, reading: Reading) -> bool:
    """A phrase made of structure words only ("nuclei") is meant when just those were said."""
    return phrase.words <= reading.structure_words | reading.regions


def _scored(
    label: Label, phrase: _Phrase, covered: float, organs: set[str], structures: set[str], reading: Reading
) -> Candidate:
    score = 0.5 + 0.5 * covered
    reasons = ["its own words" if phrase.own else f"'{phrase.text}' means {label.object_type.lower()}"]
    if not phrase.own:
        score *= SYNONYM
    if covered < 1:
        reasons.append(PART_SAID)
    if structures and label.structure.lower() not in structures:
        score *= OTHER_STRUCTURE
        reasons.append(f"as {label.structure.lower()}, since no {min(structures)} label fits")
    if organs and label.region.lower() not in organs:
        score *= ANY_ORGAN
        reasons.append(f"no label for {min(organs)}, so the one for any organ")
    if reading.corrected:
        reasons.append("read " + ", ".join(f"'{a}' as '{b}'" for a, b in reading.corrected))
    return Candidate(label, round(score, 4), "; ".join(reasons))


def _nearest_organ(found: list[Candidate], reading: Reading) -> list[Candidate]:
    """Without an organ in the words, a label for any organ stands for all of the same object."""
    if reading.regions:
        return found
    anywhere = {(c.label.structure.lower(), c.label.object_type.lower()) for c in found if _any_organ(c)}
    return [
        c for c in found if _any_organ(c) or (c.label.structure.lower(), c.label.object_type.lower()) not in anywhere
    ]


def _any_organ(candidate: Candidate) -> bool:
    return candidate.label.region.lower() == "unspecified"
