"""Slips are corrected, words of their own are not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathsegmentor.vocabulary.lexicon import read_lexicon
from pathsegmentor.vocabulary.typos import Speller, count_slips
from tests.vocabulary.accuracy import PAPER, score_spelling

LEXICON = read_lexicon().for_labels(PAPER)


def corrected(words: str) -> str:
    return " ".join(word.corrected for word in LEXICON.words(words) if word.corrected)


@pytest.mark.parametrize("half", ["tune", "held"])
def test_accuracy_on_spellings(half: str) -> None:
    found = score_spelling(half)
    assert found.known >= 70 and found.unknown >= 100
    assert found.accuracy >= 0.85
    assert found.invented <= 2


@pytest.mark.parametrize(
    "words",
    [
        *(
            "carcinoid",
            "carcinoids",
            "lymphocele",
            "eosinophilia",
            "myeloma",
            "adenosis",
            "adenoma",
            "fibrosis",
            "fibroma",
        ),
        *(
            "lymphoma",
            "granuloma",
            "granulocytosis",
            "sarcoma",
            "plasmacytoma",
            "mucosa",
            "epithelioid",
            "mitochondria",
        ),
        *("meiosis", "microphage", "prostatitis", "prostrate", "colitis", "ilium", "struma", "neurosis", "hepatitis"),
    ],
)
def test_words_of_medicine_are_no_slips(words: str) -> None:
    assert corrected(words) == ""
    assert PAPER.look_up(words).status == "unknown"
    assert PAPER.look_up(words).not_understood == (words,)


@pytest.mark.parametrize(
    ("word", "known"),
    [
        ("lymphocoma", "lymphocyte"),
        ("eosinophilitis", "eosinophilic"),
        ("macrophagia", "macrophage"),
        ("microphages", "macrophages"),
        ("carcinosis", "carcinoma"),
        ("adenocarcinoid", "adenocarcinoma"),
        ("lympholysis", "lymphocyte"),
        ("fibroblastoma", "fibroblast"),
        ("neuroplastic", "neoplastic"),
    ],
)
def test_endings_and_prefixes_that_carry_the_meaning_are_kept(word: str, known: str) -> None:
    """Without any list to guard them."""
    assert Speller({known: known}, frozenset(), frozenset()).correct(word, word) is None


def test_a_word_nearer_to_a_word_of_medicine_is_left_alone() -> None:
    alone = Speller({"carcinoma": "carcinoma"}, frozenset(), frozenset())
    guarded = Speller({"carcinoma": "carcinoma"}, frozenset({"carcinoid"}), frozenset())
    assert alone.correct("carcinom", "carcinom") == "carcinoma"
    assert guarded.correct("carcinoi", "carcinoi") is None and guarded.correct("carcinom", "carcinom") == "carcinoma"


def test_no_word_that_is_known_or_guarded_is_ever_corrected() -> None:
    guarded = [*LEXICON.terms, *LEXICON.ordinary, *LEXICON.objects, *LEXICON.everyday, *LEXICON.regions]
    assert [word for word in guarded if corrected(word)] == []


def test_the_list_of_terms_holds_no_word_that_a_label_needs() -> None:
    assert len(LEXICON.terms) > 800
    assert not LEXICON.terms & (LEXICON.objects | set(LEXICON.regions) | set(LEXICON.structures) | set(LEXICON.small))


@given(st.text(alphabet="abc", max_size=7), st.text(alphabet="abc", max_size=7))
def test_slips_are_a_distance(a: str, b: str) -> None:
    assert count_slips(a, b) == count_slips(b, a)
    assert (count_slips(a, b) == 0) == (a == b)
    assert count_slips(a, a[1:]) <= 1 and count_slips(a + b, b + a) <= 3


def test_a_swap_is_one_slip() -> None:
    assert count_slips("colon", "colno") == 1 and count_slips("colon", "clono") == 2 and count_slips("a", "wxyz") == 3
