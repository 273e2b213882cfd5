"""Phrases as people type them, against the bundled model's own labels."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathsegmentor.errors import BadPrompt
from pathsegmentor.model.find import bundled
from pathsegmentor.model.folder import read_vocabulary
from pathsegmentor.vocabulary import Vocabulary

NANO = read_vocabulary(bundled()["nano"])
PAPER = Vocabulary.paper()

MEANT = {
    "glands in colon": "colon-tissue-gland",
    "colonic crypts": "colon-tissue-gland",
    "malignant glands": "colon-tissue-malignant gland",
    "malignent glands": "colon-tissue-malignant gland",
    "colon cancer glands": "colon-tissue-malignant gland",
    "please outline all of the malignant glands, all of them": "colon-tissue-malignant gland",
    "benign glands": "colon-tissue-benign gland",
    "nuclei in kidney": "kidney-nuclei-nuclei",
    "kidny nuclei": "kidney-nuclei-nuclei",
    "nuclei in breast": "breast-nuclei-nuclei",
    "urinary bladder nuclei": "bladder-nuclei-nuclei",
    "hepatic nuclei": "liver-nuclei-nuclei",
    "nuclei": "unspecified-nuclei-nuclei",
    "nuclear": "unspecified-nuclei-nuclei",
    "nucleii": "unspecified-nuclei-nuclei",
    "skin nuclei": "unspecified-nuclei-nuclei",
    "epithelial nuclei in colon": "colon-nuclei-epithelial",
    "inflammatory cells, colon": "colon-cell-inflammatory",
    "inflamatory cells colon": "colon-cell-inflammatory",
    "spindle-shaped nuclei in colon": "colon-nuclei-spindle-shaped",
    "tumor in lung": "lung-tissue-tumor epithelial tissue",
    "lung adenocarcinoma": "lung-tissue-tumor epithelial tissue",
    "stroma in lung": "lung-tissue-tumor associated stroma tissue",
    "normal lung": "lung-tissue-normal tissue",
    "prostate glands": "prostate-tissue-prostate healthy glands",
    "prostate cancer": "prostate-tissue-prostate tumor",
    "malignant glands in prostate": "prostate-tissue-prostate tumor",
    "lymphocytes": "unspecified-cell-lymphocyte",
    "TILs": "unspecified-cell-lymphocyte",
    "neutrophil granulocytes": "unspecified-cell-neutrophil",
    "epithelial cells": "unspecified-cell-epithelial",
}


@pytest.mark.parametrize("words", sorted(MEANT))
def test_everyday_words_lead_to_what_nano_knows(words: str) -> None:
    assert NANO.resolve(words).label.id == MEANT[words]


@pytest.mark.parametrize(
    "words", ["gland", "malignant glands", "cancerous glands", "adenocarcinoma", "tumour", "cancer"]
)
def test_words_of_several_meanings_list_them_with_reasons(words: str) -> None:
    query = NANO.look_up(words)
    assert query.status == "ambiguous" and len(query.candidates) >= 2
    assert all(candidate.reason for candidate in query.candidates)
    assert f"could also mean {query.candidates[1].label.id}" in NANO.resolve(words).reason
    assert "to choose" in NANO.resolve(words).reason


OUTSIDE = [
    "mitoses",
    "necrosis",
    "plasma cells",
    "blood vessels",
    "fat",
    "nerve",
    "glomeruli",
    "T cells",
    "breast tumor",
    "melanoma",
    "goblet cells",
    "no glands",
    "glands in breast",
    "colon",
    "nuclei colon kidney",
    "lungs of zebra",
]


@pytest.mark.parametrize("words", OUTSIDE)
def test_what_nano_cannot_do_is_refused_with_what_it_can(words: str) -> None:
    with pytest.raises(BadPrompt) as caught:
        NANO.resolve(words, "nano")
    assert len(caught.value.suggestions) == 3
    assert all(near in {label.id for label in NANO} for near in caught.value.suggestions)
    assert f"all {len(NANO)} labels: pathsegmentor prompts --model nano" in str(caught.value)


@pytest.mark.parametrize("words", ["tumor nuclei", "malignant nuclei", "benign nuclei", "nuclei in glands"])
def test_nuclei_are_never_answered_with_an_area(words: str) -> None:
    assert NANO.look_up(words).status == "unknown"
    meant = PAPER.look_up(words)
    assert meant.status == "unknown" or all(c.label.structure.lower() != "tissue" for c in meant.candidates)


def test_a_part_of_a_name_is_not_taken_for_certain() -> None:
    assert NANO.look_up("colon tumor").status == "ambiguous"
    assert PAPER.look_up("glands in breast").candidates[0].label.id == "breast-tissue-normal acinus or duct"


def test_labels_of_the_organ_that_was_named_are_suggested_first() -> None:
    query = NANO.look_up("goblet cells in prostate")
    assert query.status == "unknown" and query.not_understood == ("goblet",)
    assert query.candidates[0].label.region.lower() == "prostate" and query.candidates[0].reason == "same organ"


WORDS = st.sampled_from([*MEANT, "zebra", "mitoses in colon", "cancer", "Ünïcode nuclei", "no glands"])


@given(WORDS, st.sampled_from([str.upper, str.title, str.capitalize]), st.sampled_from([" ", "\t", "\n", "  \u2003"]))
def test_case_and_blanks_do_not_matter(words: str, change: object, blank: str) -> None:
    other = blank + blank.join(change(words).split(" ")) + blank  # type: ignore[operator]
    ours, theirs = NANO.look_up(words), NANO.look_up(other)
    if not any(mark in words for mark in ("TIL", "Ü")):
        assert [c.label for c in ours.candidates] == [c.label for c in theirs.candidates]
    assert ours.status == theirs.status


@given(st.text(max_size=120) | st.text(alphabet="glands nuclei-,.&_", max_size=60), st.sampled_from([NANO, PAPER]))
def test_any_text_is_a_label_or_one_line_and_always_the_same(text: str, vocabulary: Vocabulary) -> None:
    def answer() -> str:
        try:
            return vocabulary.resolve(text).label.id
        except BadPrompt as error:
            return str(error)

    first = answer()
    assert first == answer() and len(first.splitlines()) == 1
