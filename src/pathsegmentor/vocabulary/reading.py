"""The words of one thing asked for, sorted into organ, structure and object."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from pathsegmentor.vocabulary.lexicon import Lexicon, Word


@dataclass(frozen=True)
class Reading:
    """Stems by what they are, and the words as they were said.

    ``structures`` are those named, as label structures; ``structure_words`` the stems that named them; ``plain``
    the object's words without synonyms. ``unknown`` words mean nothing, ``no_label`` have no label here.
    """

    regions: frozenset[str]
    structures: frozenset[str]
    structure_words: frozenset[str]
    objects: frozenset[str]
    plain: frozenset[str]
    said: str
    unknown: tuple[str, ...]
    no_label: tuple[str, ...]
    remarks: tuple[str, ...]


def read_words(words: Sequence[Word], lexicon: Lexicon) -> Reading:
    """Sort the words; the small ones between them say nothing here."""
    kinds = [(word, lexicon.kind(word)) for word in words]
    content = [word for word, kind in kinds if kind in ("organ", "structure", "thing")]
    things = [word for word, kind in kinds if kind == "thing"]
    structural = [word for word, kind in kinds if kind == "structure"]
    stems = {stem for word in content for stem in word.stems}
    named = {stem for word in structural for stem in word.stems} | {s for s in stems if s in lexicon.structures}
    regions = {s for s in stems if s in lexicon.regions}
    strange = [word for word in things if any(not _has_meaning(s, lexicon, lexicon.objects) for s in word.stems)]
    known = [word for word in strange if all(_has_meaning(s, lexicon, lexicon.everyday) for s in word.stems)]
    said = [word.said for word in content if word in things or word in structural] or [w.said for w in content]
    remarks = [word.note for word in words if word.note]
    slips = [f"'{word.said}' as '{word.corrected}'" for word in words if word.corrected]
    return Reading(
        regions=frozenset(lexicon.regions[s] for s in regions),
        structures=frozenset(lexicon.structures[s] for s in named),
        structure_words=frozenset(named),
        objects=frozenset(stems - named - regions),
        plain=frozenset(s for word in things for s in word.plain),
        said=" ".join(dict.fromkeys(said)),
        unknown=tuple(word.said for word in strange if word not in known),
        no_label=tuple(word.said for word in known),
        remarks=(*remarks, *(["read " + ", ".join(slips)] if slips else [])),
    )


def _has_meaning(stem: str, lexicon: Lexicon, objects: frozenset[str]) -> bool:
    return stem in objects or stem in lexicon.regions or stem in lexicon.structures
