"""What a prompt asks for: the things it lists, with the noun and the organ they share, and what it says beyond.

"Benign and malignant glands in colon" asks for two things. "Lymphocytes in tumor" relates two, "no necrosis" turns
one round: both are refused in words, since an answer to half of a prompt would look like an answer to all of it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from pathsegmentor.vocabulary.lexicon import Lexicon, Word

MOST_PARTS = 20
Words = tuple[Word, ...]
Known = Callable[[Sequence[Word]], bool]


@dataclass(frozen=True)
class Request:
    """The parts, each its words and the organ it is in; or the words that no part can hold, and ``why``."""

    parts: tuple[tuple[Words, Words], ...]
    not_understood: tuple[str, ...] = ()
    why: str = ""


@dataclass(frozen=True)
class _Piece:
    """What stands between two joining words: the thing, and the organ phrases that follow it."""

    joined: str
    words: Words
    where: tuple[Words, ...] = ()
    relation: tuple[str, Words, Words] | None = None


def read_request(words: Sequence[Word], lexicon: Lexicon, known: Known) -> Request:
    """Take a prompt apart; ``known`` tells whether words alone mean a label."""
    denied = [word for word in words if lexicon.kind(word) == "negation"]
    if denied:
        return Request((), tuple(word.said for word in denied), _why_not(words, lexicon, known))
    reader = _Reader(lexicon, known)
    pieces = reader.pieces(words)
    for piece in pieces:
        if piece.relation is not None:
            relating, thing, place = piece.relation
            why = "relations between objects are not supported yet" + _instead([thing, place], known)
            return Request((), (" ".join([relating, *(w.said for w in place)]),), why)
    pieces, places = reader.spread_organs(pieces)
    pieces = reader.share_organs(reader.put_in(reader.share_nouns(pieces), places))
    parts = [(piece.words, where) for piece in pieces for where in piece.where or ((),)]
    if len(parts) > MOST_PARTS:
        return Request((), (), f"it asks for {len(parts)} things, {MOST_PARTS} are the most; use several prompts")
    return Request(tuple(parts))


class _Reader:
    """The steps from words to pieces; each gives new pieces."""

    def __init__(self, lexicon: Lexicon, known: Known) -> None:
        self._lexicon = lexicon
        self._known = known

    def pieces(self, words: Sequence[Word]) -> list[_Piece]:
        """Cut at joining words and commas, and read what relates words inside each piece."""
        cuts: list[tuple[str, list[Word]]] = [("", [])]
        for word in words:
            kind = self._lexicon.kind(word)
            if kind in ("join", "list"):
                # Of joining words in a row ("A, and B") the last says how.
                how = "," if kind == "list" else "and"
                cuts = [*cuts[:-1], (how, [])] if not cuts[-1][1] and len(cuts) > 1 else [*cuts, (how, [])]
            elif kind != "filler":
                cuts[-1][1].append(word)
        pieces = [self._piece(how, content) for how, content in cuts if content]
        return [piece for piece in pieces if piece.words or piece.where or piece.relation]

    def _piece(self, how: str, words: list[Word]) -> _Piece:
        thing: Words = ()
        where: Words = ()
        before, relating, rest = _first_relating(words, self._lexicon)
        thing = tuple(before)
        while relating is not None:
            after, next_relating, rest = _first_relating(rest, self._lexicon)
            place = tuple(after)
            loose = self._lexicon.kind(relating) == "loose"
            if loose and not self._is_place(place) and self._is_one(how, thing, relating, place):
                thing += place
            elif loose and (self._is_place(place) or not place):
                where += place
            elif self._is_strange((*thing, *place)):
                thing += place  # what is not known at all is said as such
            elif (meaning := self._related(thing, relating, place)) is not None:
                thing = meaning
            else:
                return _Piece(how, thing, (), (relating.said, thing, place))
            relating = next_relating
        return _Piece(how, thing, (where,) if where else ())

    def _is_one(self, how: str, thing: Words, relating: Word, place: Words) -> bool:
        """Whether a loose word relates no two things: "look for glands", "nuclei of lymphocytes", "cancer of skin"."""
        if not self._has_thing(thing):
            return not (how and thing)  # ", colon in glands" is about what stands before the comma
        if relating.stems != ("of",):
            return False
        adjectives = all(self._lexicon.is_adjective(w) for w in place)
        structure = all(self._kind(w) in ("structure", "organ") for w in thing)
        return adjectives or structure or not (self._known(thing) and self._known(place))

    def _related(self, thing: Words, relating: Word, place: Words) -> Words | None:
        """The words for a relation that has a name of its own: "stroma around tumor" is tumor-associated stroma."""
        organs = tuple(w for w in (*thing, *place) if self._kind(w) == "organ")
        what, whom = ({s for w in side if self._kind(w) == "thing" for s in w.stems} for side in (thing, place))
        for entry in self._lexicon.related:
            how = relating.stems[0] in entry["how"]
            if how and what and whom and what <= set(entry["what"]) and whom <= set(entry["whom"]):
                said = " ".join(w.said for w in (*thing, relating, *place) if w not in organs)
                meaning = (Word(said, tuple(entry["means"][0].split()), tuple(what | whom)), *organs)
                return meaning if self._known(meaning) else None
        return None

    def spread_organs(self, pieces: list[_Piece]) -> tuple[list[_Piece], tuple[Words, ...]]:
        """Pieces of only an organ join the thing they belong to ("nuclei in colon and kidney"), or are for all."""
        done: list[_Piece] = []
        places: list[Words] = []
        for i, piece in enumerate(pieces):
            alone = bool(piece.words) and all(self._kind(w) == "organ" for w in piece.words) and not piece.where
            following = pieces[i + 1] if i + 1 < len(pieces) else None
            if not alone:
                done.append(piece)
            elif piece.joined and done and done[-1].where:
                done[-1] = replace(done[-1], where=(*done[-1].where, piece.words))
            elif piece.joined != "," and following and following.joined == "and" and self._organs(following.words):
                noun = tuple(w for w in following.words if self._kind(w) != "organ")
                done.append(_Piece(piece.joined, (*piece.words, *noun), following.where))
            else:
                places.append(piece.words)
        return (done, tuple(places)) if done else (pieces, ())

    def put_in(self, pieces: list[_Piece], places: tuple[Words, ...]) -> list[_Piece]:
        """Things that name no organ are in these: "nuclei, colon"."""
        return [p if p.where or self._organs(p.words) else replace(p, where=places) for p in pieces]

    def share_nouns(self, pieces: list[_Piece]) -> list[_Piece]:
        """Adjectives without a noun take that of the piece after them, or else of the one before."""
        done = list(pieces)
        for i in range(len(done) - 2, -1, -1):
            piece, after = done[i], done[i + 1]
            noun = self._noun(after, len(piece.words))
            bare = noun == after.words
            if self._is_bare_adjective(piece) and noun and not (bare and after.joined == "and"):
                done[i] = replace(piece, words=(*piece.words, *noun))
                if bare:  # "small, malignant, glands" is one thing
                    done[i + 1] = done[i]
            elif self._is_adjunct(piece, noun, bare) and self._known((*piece.words, *noun)):
                done[i] = replace(piece, words=(*piece.words, *noun))
        done = [piece for i, piece in enumerate(done) if not (i + 1 < len(done) and done[i + 1] is piece)]
        return self._share_noun_before(done)

    def _share_noun_before(self, pieces: list[_Piece]) -> list[_Piece]:
        """Malignant glands and benign glands: "glands, malignant and benign"."""
        done: list[_Piece] = []
        absorbed: list[_Piece] = []
        head: _Piece | None = None
        for piece in pieces:
            if head is None or not self._is_bare_adjective(piece):
                head = None if self._is_bare_adjective(piece) else piece
                done.append(piece)
                continue
            together = (*piece.words, *self._noun(head, len(head.words)))
            if self._known((*together, *(head.where[0] if head.where else ()))):
                if piece.joined == "," and not any(self._lexicon.is_adjective(w) for w in head.words):
                    absorbed.append(head)
                piece = replace(piece, words=together)
            done.append(piece)
        return [piece for piece in done if not any(piece is other for other in absorbed)]

    def share_organs(self, pieces: list[_Piece]) -> list[_Piece]:
        """A thing without an organ has the next organ phrase's ("in colon"), or else the last one named before."""
        done = list(pieces)
        following: tuple[Words, ...] = ()
        for i in range(len(done) - 1, -1, -1):
            if done[i].where:
                following = tuple(self._organs(where) for where in done[i].where)
                following = tuple(where for where in following if where)
            elif self._organs(done[i].words):
                following = ()
            elif following:
                done[i] = replace(done[i], where=following)
        before: tuple[Words, ...] = ()
        for i, piece in enumerate(done):
            own = piece.where or ((organs,) if (organs := self._organs(piece.words)) else ())
            if not own and before:
                done[i] = replace(piece, where=before)
            before = tuple(o for where in own if (o := self._organs(where))) or before
        return done

    def _kind(self, word: Word) -> str:
        return self._lexicon.kind(word)

    def _organs(self, words: Words) -> Words:
        return tuple(w for w in words if self._kind(w) == "organ")

    def _has_thing(self, words: Words) -> bool:
        return any(self._kind(w) != "organ" for w in words)

    def _is_place(self, words: Words) -> bool:
        """An organ, its tissue, or no more than "the tissue"."""
        kinds = [self._kind(w) for w in words]
        structures = {self._lexicon.structures[w.stems[0]] for w in words if self._kind(w) == "structure"}
        return bool(kinds) and set(kinds) <= {"organ", "structure"} and ("organ" in kinds or structures == {"tissue"})

    def _is_strange(self, words: Words) -> bool:
        """Whether a word means nothing at all."""
        everything = self._lexicon.objects | self._lexicon.everyday
        return any(
            self._kind(w) == "thing" and not w.note and any(not self._means(s, everything) for s in w.stems)
            for w in words
        )

    def _means(self, stem: str, everything: frozenset[str]) -> bool:
        return stem in everything or stem in self._lexicon.regions or stem in self._lexicon.structures

    def _is_bare_adjective(self, piece: _Piece) -> bool:
        return bool(piece.words) and all(self._lexicon.is_adjective(w) for w in piece.words) and not piece.where

    def _is_adjunct(self, piece: _Piece, noun: Words, bare: bool) -> bool:
        """Whether a noun stands before another one as adjectives do: "tumor and inflammatory cells"."""
        words = [w.said.lower() for w in piece.words if self._kind(w) != "organ"]
        heads = [w for w in noun if self._kind(w) == "structure"]
        return len(words) == 1 and words[0] in self._lexicon.adjuncts and bool(heads) and not bare

    def _noun(self, piece: _Piece, most: int) -> Words:
        """The piece's words without up to ``most`` adjectives before its noun."""
        words = list(piece.words)
        dropped = 0
        while words and dropped < most and self._lexicon.is_adjective(words[0]) and len(words) > 1:
            words, dropped = words[1:], dropped + 1
        return tuple(words)


def _first_relating(words: Sequence[Word], lexicon: Lexicon) -> tuple[list[Word], Word | None, list[Word]]:
    """The words before the first relating one, it, and those after."""
    for i, word in enumerate(words):
        if lexicon.kind(word) in ("loose", "relation"):
            return list(words[:i]), word, list(words[i + 1 :])
    return list(words), None, []


def _why_not(words: Sequence[Word], lexicon: Lexicon, known: Known) -> str:
    """Negations: the things around them may be asked for."""
    sides: list[Words] = [()]
    for word in words:
        kind = lexicon.kind(word)
        if kind in ("organ", "structure", "thing"):
            sides[-1] += (word,)
        elif kind != "filler":
            sides.append(())
    return "what is not there cannot be asked for yet" + _instead(sides, known)


def _instead(sides: Sequence[Words], known: Known) -> str:
    """How to ask for what is known of it."""
    asked = [" ".join(w.said for w in side) for side in sides if side and known(side)]
    if not asked:
        return ""
    each = "ask for each on its own" if len(asked) > 1 else "ask for the thing itself"
    return f"; {each}: {' '.join(repr(text) for text in dict.fromkeys(asked))}"
