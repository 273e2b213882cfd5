"""From words to labels.

Each thing asked for is read into three parts: the organ, the structure (tissue, cell, nuclei) and the object. Every
word must be explained by a label for that label to be meant; a word that nothing explains makes the prompt unknown.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

from pathsegmentor.errors import BadPrompt
from pathsegmentor.vocabulary.label import Label
from pathsegmentor.vocabulary.lexicon import Lexicon, Word, cleaned, read_lexicon
from pathsegmentor.vocabulary.query import Candidate, Part, Query
from pathsegmentor.vocabulary.reading import Reading, read_words
from pathsegmentor.vocabulary.request import Words, read_request

LONGEST, MOST_WORDS = 500, 80
# Of longer prompts only the beginning is compared with labels, to suggest the nearest.
LONGEST_COMPARED = 80
SUGGESTED, MEASURED = 5, 20
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


class Lookup:
    """Looks words up among labels; ``masks`` says how many examples of a label there are, for ties.

    ``own`` are phrases that the model's maker gave a label, in whatever language: said as they are, they mean it.
    """

    def __init__(self, labels: tuple[Label, ...], masks: Mapping[str, int], own: Mapping[str, Label]) -> None:
        self._labels = labels
        self._masks = masks
        self._lexicon: Lexicon = read_lexicon().for_labels(labels)
        self._exact = {_flat(cleaned(phrase)): label for phrase, label in own.items()}
        self._exact |= {_flat(form): label for label in labels for form in _exact_forms(label)}
        self._plain = {label.id: self._lexicon.plain(label.object_type) for label in labels}
        self._phrases = {label.id: self._phrases_of(label) for label in labels}

    def __call__(self, words: str) -> Query:
        """Read the words; see ``Vocabulary.look_up``."""
        blanks_apart = " ".join(words.split())
        if len(blanks_apart) > LONGEST:
            raise BadPrompt(f"the prompt has {len(blanks_apart)} characters; {LONGEST} are the most")
        plain = cleaned(blanks_apart)
        if not blanks_apart:
            raise BadPrompt("the prompt is empty; say what to segment, for instance 'glands in colon'")
        exact = self._exact.get(_flat(plain))
        if exact is not None:
            return Query(words, (Part(words, "found", (Candidate(exact, 1.0, "the label itself"),)),))
        said = self._lexicon.words(plain)
        if len(said) > MOST_WORDS:
            raise BadPrompt(f"the prompt has {len(said)} words; {MOST_WORDS} are the most; use several prompts")
        request = read_request(said, self._lexicon, self._is_known)
        if request.why or not request.parts:
            return Query(words, (self._unknown(words, said, request.not_understood, (), request.why),))
        if len(request.parts) == 1:
            return Query(words, (self._part(words, sum(request.parts[0], ())),))
        return Query(words, tuple(self._part(_told(*part), sum(part, ())) for part in request.parts))

    def _phrases_of(self, label: Label) -> list[_Phrase]:
        """Of a label for "necrosis or debris" each of the two is its own wording."""
        own = {label.object_type.lower(), *label.object_type.lower().split(" or ")}
        texts = dict.fromkeys([*self._lexicon.ways_to_say(label), *own])
        phrases = (_Phrase(frozenset(self._lexicon.stems(text)), text in own) for text in texts)
        return [phrase for phrase in phrases if phrase.words]

    def _is_known(self, words: Sequence[Word]) -> bool:
        return bool(self._meant(read_words(words, self._lexicon)))

    def _part(self, text: str, words: Words) -> Part:
        reading = read_words(words, self._lexicon)
        found = self._meant(reading)
        if not found:
            return self._unknown(text, words, reading.unknown, reading.no_label, "")
        found.sort(key=lambda c: self._order(c, reading))
        tie = TIE_IF_COMPLETE if reading.regions and reading.structures else TIE
        others = tuple(c.label for c in found[1:] if c.score >= found[0].score - tie)
        sure = not others and PART_SAID not in found[0].reason
        return Part(text, "found" if sure else "ambiguous", tuple(found), others)

    def _meant(self, reading: Reading) -> list[Candidate]:
        if reading.unknown or reading.no_label or not (reading.objects or reading.structures):
            return []
        found = [c for label in self._labels if (c := self._candidate(label, reading)) is not None]
        return _nearest_organ(found, reading)

    def _order(self, candidate: Candidate, reading: Reading) -> tuple[float, bool, bool, int]:
        """Best first; of equals the label for any organ, one that names no organ itself, the one with most masks."""
        label = candidate.label
        names_organ = not reading.regions and label.region.lower() in label.object_type.lower()
        return -candidate.score, not _any_organ(candidate), names_organ, -self._masks.get(label.id, 0)

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
            candidate = self._scored(label, phrase, covered, organs, structures, reading)
            if best is None or candidate.score > best.score:
                best = candidate
        return best

    def _scored(
        self,
        label: Label,
        phrase: _Phrase,
        covered: float,
        organs: frozenset[str],
        structures: frozenset[str],
        reading: Reading,
    ) -> Candidate:
        score = 0.5 + 0.5 * covered
        own = phrase.own and reading.plain <= self._plain[label.id]
        reasons = ["its own words" if own else f"'{reading.said}' means {label.object_type.lower()}"]
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
        return Candidate(label, round(score, 4), "; ".join((*reasons, *reading.remarks)))

    def _unknown(
        self, text: str, words: Sequence[Word], not_understood: Sequence[str], no_label: Sequence[str], why: str
    ) -> Part:
        """The nearest labels as suggestions: those of the organ that was named, then by spelling."""
        regions = read_words(words, self._lexicon).regions
        matcher = SequenceMatcher(b=_flat(cleaned(text))[:LONGEST_COMPARED])

        def closeness(label: Label, measure: Callable[[], float]) -> float:
            spelling = 0.0
            for form in (label.object_type.lower(), f"{label.object_type} {label.region}".lower()):
                matcher.set_seq1(form)
                spelling = max(spelling, measure())
            return round((spelling + (label.region.lower() in regions)) / 4, 3)

        # The exact measure is slow, the quick one never lower: only labels near by that one can be the nearest.
        near = sorted(self._labels, key=lambda label: (-closeness(label, matcher.quick_ratio), label.id))[:MEASURED]
        scores = {label: closeness(label, matcher.ratio) for label in near}
        near = sorted(near, key=lambda label: (-scores[label], label.id))[:SUGGESTED]
        candidates = tuple(
            Candidate(x, scores[x], "same organ" if x.region.lower() in regions else "similar spelling") for x in near
        )
        return Part(text, "unknown", candidates, (), tuple(not_understood), tuple(no_label), why)


def _told(words: Words, where: Words) -> str:
    """A part in words of its own."""
    return " in ".join(" ".join(word.said for word in side) for side in (words, where) if side)


def _flat(text: str) -> str:
    return " ".join(text.lower().strip(" .\"'").split())


def _exact_forms(label: Label) -> tuple[str, ...]:
    return label.id, label.prompt, label.file_name


def _says_all(phrase: _Phrase, reading: Reading) -> bool:
    """A phrase made of structure words only ("nuclei") is meant when just those were said."""
    return phrase.words <= reading.structure_words | reading.regions


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
