"""Prompts that ask for several things, relate things, or deny them: nothing is lost without a word."""

from __future__ import annotations

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathsegmentor.errors import BadPrompt
from pathsegmentor.vocabulary import Vocabulary
from tests.vocabulary.accuracy import NANO, PAPER

ORDINARY = [
    "glands",
    "glands in colon",
    "malignant glands",
    "benign glands in colon",
    "nuclei",
    "nuclei in kidney",
    "lymphocytes",
    "macrophages",
    "neutrophils",
    "epithelial cells",
    "inflammatory nuclei, colon",
    "epithelial nuclei in colon",
    "spindle-shaped nuclei in colon",
    "tumor",
    "prostate cancer",
    "tumour in lung",
    "stroma in lung",
    "stroma",
    "normal lung",
    "healthy prostate glands",
    "polyps",
    "low-grade dysplasia",
    "TILs",
    "epithelium",
]
JOINS = [" and ", " or ", ", ", "; ", "/", " & ", " + ", " as well as ", ", and ", " und ", " plus ", " along with "]
RELATIONS = [
    *("in", "within", "inside", "around", "near", "next to", "between", "outside", "with", "surrounding", "touching"),
    *("close to", "beneath", "along", "adjacent to", "containing", "from", "on", "against", "surrounded by"),
]
PAIRS = list(itertools.permutations(ORDINARY, 2))


def meant(words: str, vocabulary: Vocabulary = NANO) -> list[tuple[str, str]]:
    """Words and label of all that is asked for."""
    return [(c.words, c.label.id) for c in vocabulary.understand(words)]


def refusal(words: str, vocabulary: Vocabulary = NANO) -> str:
    with pytest.raises(BadPrompt) as caught:
        vocabulary.understand(words, "nano")
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)


def content(words: str) -> set[str]:
    return set(re.findall(r"\w+", words.lower())) - {"in"}


def lost(prompt: str, halves: tuple[str, str]) -> str:
    """What of the halves is in no answer, or "" for a refusal that repeats the prompt."""
    try:
        found = NANO.understand(prompt)
    except BadPrompt as error:
        return "" if f"'{prompt}'" in str(error) else "the prompt"
    if len(found) != 2:
        return f"{len(found)} answers"
    for half, candidate in zip(halves, found, strict=True):
        missing = content(half) - content(candidate.words)
        if missing or NANO.understand(candidate.words)[0].label != candidate.label:
            return f"{half}: {missing} {candidate}"
    return ""


@pytest.mark.parametrize("join", JOINS)
def test_no_half_of_a_list_is_lost(join: str) -> None:
    few = PAIRS[JOINS.index(join) :: len(JOINS)]
    assert [(pair, why) for pair in few if (why := lost(join.join(pair), pair))] == []


@pytest.mark.slow
@pytest.mark.parametrize("join", JOINS)
def test_no_half_of_any_list_is_lost(join: str) -> None:
    assert [(pair, why) for pair in PAIRS if (why := lost(join.join(pair), pair))] == []


def related(pair: tuple[str, str], relation: str) -> str:
    """What is wrong with the answer to "A near B", or "" for a refusal that says so."""
    prompt = f"{pair[0]} {relation} {pair[1]}"
    try:
        (found,) = NANO.understand(prompt)
    except BadPrompt as error:
        return "" if f"not understood: {relation}" in str(error) and "relations" in str(error) else str(error)
    named = relation in found.reason and found.label.object_type.lower() == "tumor associated stroma tissue"
    return "" if named else f"{prompt}: {found}"


@pytest.mark.parametrize("relation", RELATIONS)
def test_a_relation_is_never_answered_by_half(relation: str) -> None:
    few = PAIRS[RELATIONS.index(relation) :: len(RELATIONS)]
    assert [why for pair in few if (why := related(pair, relation))] == []


@pytest.mark.slow
@pytest.mark.parametrize("relation", RELATIONS)
def test_no_relation_is_ever_answered_by_half(relation: str) -> None:
    assert [why for pair in PAIRS if (why := related(pair, relation))] == []


SHARED = {
    "benign and malignant glands in colon": ["colon-tissue-benign gland", "colon-tissue-malignant gland"],
    "Benign, malignant, and normal glands in the colon": [
        *("colon-tissue-benign gland", "colon-tissue-malignant gland", "colon-tissue-normal gland"),
    ],
    "epithelial and inflammatory nuclei, colon": ["colon-nuclei-epithelial", "colon-nuclei-inflammatory"],
    "colon: epithelial and inflammatory nuclei": ["colon-nuclei-epithelial", "colon-nuclei-inflammatory"],
    "tumour and stroma of the lung": [
        "lung-tissue-tumor epithelial tissue",
        "lung-tissue-tumor associated stroma tissue",
    ],
    "lung tumor and stroma": ["lung-tissue-tumor epithelial tissue", "lung-tissue-tumor associated stroma tissue"],
    "both glands and nuclei in colon": ["colon-tissue-gland", "colon-nuclei-nuclei"],
    "glands, malignant and benign, colon": ["colon-tissue-malignant gland", "colon-tissue-benign gland"],
    "nuclei in colon and kidney": ["colon-nuclei-nuclei", "kidney-nuclei-nuclei"],
    "colon and kidney nuclei": ["colon-nuclei-nuclei", "kidney-nuclei-nuclei"],
    "low and high grade dysplasia": [
        "colon-tissue-low-grade neoplasia gland",
        "colon-tissue-high-grade neoplasia gland",
    ],
    "normal lung and prostate tumor": ["lung-tissue-normal tissue", "prostate-tissue-prostate tumor"],
    "nuclei, epithelial, colon": ["colon-nuclei-epithelial"],
    "colon, glands, malignant": ["colon-tissue-malignant gland"],
    "please outline all of the malignant glands in colon, all of them": ["colon-tissue-malignant gland"],
    "nuclei in kidney,": ["kidney-nuclei-nuclei"],
    "glands of the colon": ["colon-tissue-gland"],
    "nuclei of the epithelium in colon": ["colon-nuclei-epithelial"],
}


@pytest.mark.parametrize("words", SHARED)
def test_nouns_and_organs_are_shared(words: str) -> None:
    assert [label for _, label in meant(words)] == SHARED[words]


def test_parts_say_what_they_share() -> None:
    assert [words for words, _ in meant("benign and malignant glands in colon")] == [
        "benign glands in colon",
        "malignant glands in colon",
    ]
    assert [words for words, _ in meant(" Glands  in colon ")] == [" Glands  in colon "], "one thing keeps its words"


WHOLE = {
    "necrosis or debris in breast": "breast-tissue-necrosis or debris",
    "lymphocytes or plasmocytes in breast": "breast-cell-lymphocyte or plasmocyte",
    "Normal acinus or duct, breast": "breast-tissue-normal acinus or duct",
    "head and neck neoplastic nuclei": "head neck-nuclei-neoplastic",
    "H&N dead nuclei": "head neck-nuclei-dead",
    "metastatic colon cancer in a liver": "liver-tissue-metastatic colon cancer in a liver",
    "H&E stained section of breast: fat": "breast-tissue-fat",
    "carcinoma in situ of the breast": "breast-tissue-dcis",
    "non-mitotic figures": "unspecified-nuclei-neuroendocrine tumor non mitotic figure",
}


@pytest.mark.parametrize("words", WHOLE)
def test_names_that_hold_small_words_stay_whole(words: str) -> None:
    assert [label for _, label in meant(words, PAPER)] == [WHOLE[words]]


@pytest.mark.parametrize("kind", ["a/b", "wall, inner", "pus and blood", "non tumor", "cells around vessels"])
def test_labels_of_other_sets_that_hold_small_words_stay_whole(kind: str) -> None:
    others = Vocabulary.from_ids([f"larynx-tissue-{kind}", "larynx-tissue-gland", "inner ear-tissue-tumor"])
    assert meant(f"{kind} in larynx", others) == [(f"{kind} in larynx", f"larynx-tissue-{kind}")]
    assert [label for _, label in meant(f"{kind} and glands in larynx", others)] == [
        f"larynx-tissue-{kind}",
        "larynx-tissue-gland",
    ]
    assert meant("tumor of the inner ear", others)[0][1] == "inner ear-tissue-tumor"


def test_a_label_without_words_is_only_meant_by_its_name() -> None:
    others = Vocabulary.from_ids(["colon-tissue-§§", "colon-tissue-other", "§-cell-gland"])
    assert others.look_up("tissue in colon").status == others.look_up("nuclei").status == "unknown"
    assert others.resolve("colon-tissue-§§").label.id == "colon-tissue-§§"


def test_a_denied_label_is_not_reached_by_what_it_denies() -> None:
    others = Vocabulary.from_ids(["colon-tissue-non tumor"])
    assert others.look_up("tumor in colon").status == "unknown"
    assert all("non" not in c.label.object_type for c in PAPER.look_up("mitotic figures").candidates[:1])


DENIED = [
    *(
        "no necrosis",
        "non-neoplastic nuclei",
        "nonneoplastic glands",
        "not malignant",
        "without tumor",
        "tumor-free glands",
    ),
    *(
        "glands but not nuclei",
        "everything but stroma",
        "neither glands nor nuclei",
        "don't outline glands",
        "no glands, nuclei",
    ),
    *(
        "glands except malignant glands",
        "absence of tumor",
        "unhealthy glands",
        "glands instead of nuclei",
        "keine nuclei",
    ),
    *("glands other than malignant glands", "glands excluding polyps", "glands w/o tumor", "ignore the stroma"),
]


@pytest.mark.parametrize("vocabulary", [NANO, PAPER], ids=["nano", "paper"])
@pytest.mark.parametrize("words", DENIED)
def test_what_is_denied_is_never_answered(words: str, vocabulary: Vocabulary) -> None:
    said = refusal(words, vocabulary)
    assert "what is not there cannot be asked for yet" in said and "not understood: " in said


def test_a_refused_relation_says_what_and_how_to_ask() -> None:
    said = refusal("stroma between glands and tumor")
    assert "(not understood: between glands)" in said and "on its own: 'stroma' 'glands'" in said
    assert "ask for the thing itself: 'glands'" in refusal("glands with necrosis")
    assert "not understood: zebra" in refusal("zebra in glands") and "relations" not in refusal("glands in moon")


def test_one_unknown_thing_refuses_all() -> None:
    assert "'zebra' (of 'glands and zebra') names nothing" in refusal("glands and zebra")
    assert NANO.look_up("glands and zebra").meant == ()
    with pytest.raises(BadPrompt, match="asks for 2 things"):
        NANO.resolve("glands and nuclei")


@pytest.mark.parametrize(
    "words", ["stroma around lung tumor", "stroma in the tumour of the lung", "lung stroma near cancer"]
)
def test_a_relation_that_a_label_names_is_understood(words: str) -> None:
    (found,) = NANO.understand(words)
    assert found.label.id == "lung-tissue-tumor associated stroma tissue" and "means tumor associated" in found.reason
    assert "relations" in refusal("stroma around glands")


PIECES = st.lists(
    st.sampled_from(
        [*ORDINARY, *RELATIONS, *(j.strip() for j in JOINS), "no", "of", "colon", "zebra", "benign", "the"]
    ),
    max_size=12,
)


@given(PIECES, st.sampled_from([NANO, PAPER]))
def test_any_mixture_is_understood_whole_or_refused(pieces: list[str], vocabulary: Vocabulary) -> None:
    words = " ".join(pieces)
    try:
        found = vocabulary.understand(words)
    except BadPrompt:
        return
    assert not {"no", "zebra"} & set(pieces)
    said = set().union(*(content(candidate.words) for candidate in found))
    assert all(content(piece) <= said for piece in pieces if piece in ORDINARY), (words, found)


def test_endless_lists_are_refused() -> None:
    assert "20 are the most" in refusal(", ".join(["glands"] * 21))
    assert "80 are the most" in refusal("a " * 90)
