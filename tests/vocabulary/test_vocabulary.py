"""The paper's labels add up, and words lead to them."""

from __future__ import annotations

import csv
import re
import time
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathsegmentor.errors import BadInput, BadPrompt
from pathsegmentor.vocabulary import Label, Vocabulary
from tests.vocabulary.accuracy import NANO, PAPER, score

HERE = Path(__file__).parent
LABELS = st.sampled_from(list(PAPER))


def rows(path: Path) -> list[dict[str, str]]:
    return list(csv.DictReader(path.read_text(encoding="utf-8").splitlines()))


def table5() -> list[dict[str, str]]:
    return rows(Path(str(files("pathsegmentor.vocabulary") / "labels.csv")))


def test_sizes_of_the_paper() -> None:
    assert len(PAPER) == 160
    assert len({label.region.lower() for label in PAPER}) == 20
    assert len({label.structure.lower() for label in PAPER}) == 3
    assert len({label.object_type.lower() for label in PAPER}) == 61
    assert sum(int(row["masks"]) for row in table5()) == 274_853


@pytest.mark.parametrize(
    ("table", "column"), [("regions", "region"), ("structures", "structure"), ("object_types", "object_type")]
)
def test_tables_2_to_4_agree_with_table_5(table: str, column: str) -> None:
    labels: Counter[str] = Counter()
    masks: Counter[str] = Counter()
    for row in table5():
        labels[row[column].lower()] += 1
        masks[row[column].lower()] += int(row["masks"])
    expected = rows(HERE / f"{table}.csv")
    assert {row[column].lower() for row in expected} == set(labels)
    for row in expected:
        name = row[column].lower()
        assert (labels[name], masks[name]) == (int(row["labels"]), int(row["masks"])), name


def test_label_forms() -> None:
    label = Label("Breast", "Nuclei", "Neoplastic")
    assert label.id == "breast-nuclei-neoplastic"
    assert label.prompt == "nuclei-level neoplastic in breast pathology"
    assert label == Label("breast", "NUCLEI", "neoplastic") and len({label, Label.from_id(label.id)}) == 1
    assert Label("Colon", "Nuclei", "Spindle-shaped") == Label.from_id("colon-nuclei-spindle-shaped")
    assert Label("Unspecified", "Cell", "Red blood cells").file_name == "unspecified-cell-red_blood_cells"


@pytest.mark.parametrize(
    "text", ["", "breast", "breast-nuclei", "--", "breast--x", "a-b-\x1b[31mc", "a-b-c\u202e", "a-b\n-c", "a-b-\x00"]
)
def test_malformed_labels_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="no label") as caught:
        Label.from_id(text)
    assert str(caught.value).isprintable()


@given(LABELS, st.sampled_from([str.upper, str.lower, str.title]))
def test_every_label_is_found_by_its_own_forms(label: Label, change: object) -> None:
    for form in (label.id, label.prompt, f"{label.prompt}.", label.file_name):
        query = PAPER.look_up(change(form))  # type: ignore[operator]
        assert query.status == "found" and query.candidates[0].label == label


@given(LABELS, st.randoms(use_true_random=False))
def test_word_order_does_not_matter(label: Label, random: object) -> None:
    # Small words belong where they stand.
    kind = re.sub(r" (or|in a) ", " ", label.object_type).replace("non mitotic", "nonmitotic")
    words = [*f"please outline all {kind} {label.structure}".split(), label.region]
    random.shuffle(words)  # type: ignore[attr-defined]
    assert PAPER.look_up(" ".join(words)).candidates[0].label.object_type == label.object_type


@given(st.text(min_size=1, max_size=80))
def test_any_text_has_an_answer(text: str) -> None:
    try:
        query = PAPER.look_up(text)
    except BadPrompt:
        assert not text.split()
    else:
        assert query.candidates and query.status in ("found", "ambiguous", "unknown")


def test_ambiguous_words_give_candidates_with_reasons() -> None:
    query = PAPER.look_up("tumor")
    assert query.status == "ambiguous"
    assert [c.label.id for c in query.candidates[:2]] == ["breast-tissue-tumor", "breast-nuclei-tumor"]
    assert all(c.reason for c in query.candidates)


@pytest.mark.parametrize("words", ["", "   ", "x" * 501])
def test_no_words_and_endless_words_are_refused(words: str) -> None:
    with pytest.raises(BadPrompt):
        PAPER.look_up(words)


def test_unknown_words_name_the_nearest_labels() -> None:
    with pytest.raises(BadPrompt, match="nearest: ") as caught:
        PAPER.resolve("zebra stripes")
    assert len(caught.value.suggestions) == 3 and "\n" not in str(caught.value)


def test_another_organ_is_not_silently_taken() -> None:
    colon_only = Vocabulary.from_ids(["colon-tissue-gland"])
    assert colon_only.look_up("glands in breast").status == "unknown"
    any_organ = Vocabulary.from_ids(["unspecified-nuclei-nuclei"])
    answer = any_organ.resolve("nuclei in brain")
    assert "no label for brain" in answer.reason


@pytest.mark.parametrize("half", ["tune", "held"])
def test_accuracy_on_phrases(half: str) -> None:
    found = score(half)
    assert found.known >= 70 and found.unknown >= 30
    assert found.accuracy >= 0.95
    assert found.invented == 0


TIES = {
    "TILs": "unspecified-cell-lymphocyte",
    "tumour-infiltrating lymphocytes": "unspecified-cell-lymphocyte",
    "tumor infiltrating lymphocyte": "unspecified-cell-lymphocyte",
    "PMNs": "unspecified-cell-neutrophil",
    "polymorphonuclear leucocytes": "unspecified-cell-neutrophil",
    "RBCs": "unspecified-cell-red blood cells",
    "erythrocytes": "unspecified-cell-red blood cells",
    "WBCs": "unspecified-cell-leukocytes",
    "histiocytes": "unspecified-cell-macrophage",
    "smooth muscle": "unspecified-tissue-smooth muscle cells",
    "smooth-muscle": "unspecified-tissue-smooth muscle cells",
    "lymphocytes": "unspecified-cell-lymphocyte",
    "plasma cells": "unspecified-cell-plasma cells",
    "epithelium": "unspecified-tissue-epithelial",
    "tumour": "breast-tissue-tumor",
    "necrosis": "breast-tissue-necrosis or debris",
    "inflammatory nuclei": "breast-nuclei-inflammatory",
    "neoplastic nuclei": "breast-nuclei-neoplastic",
}


@pytest.mark.parametrize("words", TIES)
def test_without_an_organ_meaning_decides(words: str) -> None:
    """The label for any organ, else the one with most masks; never the alphabet."""
    assert PAPER.look_up(words).candidates[0].label.id == TIES[words]


def test_a_tie_is_decided_the_same_whatever_order_the_labels_have() -> None:
    turned = Vocabulary(reversed(list(PAPER)))
    for words in TIES:
        assert turned.resolve(words).label == PAPER.resolve(words).label


def test_a_tie_is_shown_with_how_to_choose() -> None:
    reason = PAPER.resolve("lymphocytes").reason
    assert "could also mean colon-nuclei-lymphocyte, breast-nuclei-lymphocyte" in reason
    assert "name the organ to choose" in reason
    assert "15 more: name the organ" in PAPER.resolve("epithelium").reason
    assert "say tissue, cells or nuclei to choose" in PAPER.resolve("tumour in breast").reason


def test_a_reason_tells_what_was_made_of_the_words() -> None:
    assert PAPER.resolve("glands in colon").reason == "its own words"
    assert "'TILs' means lymphocyte; all lymphocytes, inside the tumor or not" in PAPER.resolve("TILs").reason
    assert "'PMNs' means neutrophil" in PAPER.resolve("PMNs in colon").reason
    assert "read 'lymphocites' as 'lymphocyte'" in PAPER.resolve("lymphocites in colon").reason
    assert "any tumor of the breast" in PAPER.resolve("IDC").reason


@pytest.mark.parametrize(
    "words", ["carcinoma ductal in situ", "in situ ductal carcinoma", "DCIS", "intraductal carcinoma"]
)
def test_words_of_a_name_in_any_order(words: str) -> None:
    assert PAPER.resolve(words).label.id == "breast-tissue-dcis"


@pytest.mark.parametrize("words", ["RBCs", "smooth muscle", "mitoses"])
def test_words_that_are_known_but_have_no_label_are_named_as_they_were_said(words: str) -> None:
    with pytest.raises(BadPrompt, match="no label for: ") as caught:
        NANO.resolve(words)
    assert all(word in str(caught.value) for word in words.split())


HIDDEN = [
    "\x1b[31mglands\x1b[0m",
    "gl\u200bands",
    "\u202eglands",
    "glands\x00",
    "gl\u00adands",
    "\ufeffglands",
    "glands\x07",
]


@pytest.mark.parametrize("words", HIDDEN)
def test_hidden_characters_neither_matter_nor_come_back(words: str) -> None:
    query = NANO.look_up(words)
    assert query.status == "unknown" or query.candidates[0].label.object_type == "gland"
    with pytest.raises(BadPrompt) as caught:
        NANO.resolve(f"zebra {words}")
    assert str(caught.value).isprintable()


@given(st.text(max_size=500), st.sampled_from([NANO, PAPER]))
def test_any_text_is_answered_in_bounded_time(text: str, vocabulary: Vocabulary) -> None:
    started, said = time.process_time(), ""
    try:
        vocabulary.understand(text)
    except BadPrompt as error:
        said = str(error)
    assert said.isprintable() and len(said) < 1500
    assert time.process_time() - started < 3


@pytest.mark.parametrize(
    "text", ["lymphocyta " * 45, "🙂" * 500, "\ufdfa" * 500, "glands and " * 45, "a/" * 250, "x" * 499]
)
def test_hard_text_is_answered_in_bounded_time(text: str) -> None:
    test_any_text_is_answered_in_bounded_time.hypothesis.inner_test(text, PAPER)  # type: ignore[attr-defined]
