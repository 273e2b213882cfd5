"""The paper's labels add up, and words lead to them."""

from __future__ import annotations

import csv
from collections import Counter
from importlib.resources import files
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathsegmentor.errors import BadInput, BadPrompt
from pathsegmentor.vocabulary import Label, Vocabulary
from tests.vocabulary.accuracy import score

HERE = Path(__file__).parent
PAPER = Vocabulary.paper()
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


@pytest.mark.parametrize("text", ["", "breast", "breast-nuclei", "--", "breast--x"])
def test_malformed_labels_are_refused(text: str) -> None:
    with pytest.raises(BadInput, match="no label"):
        Label.from_id(text)


@given(LABELS, st.sampled_from([str.upper, str.lower, str.title]))
def test_every_label_is_found_by_its_own_forms(label: Label, change: object) -> None:
    for form in (label.id, label.prompt, f"{label.prompt}.", label.file_name):
        query = PAPER.look_up(change(form))  # type: ignore[operator]
        assert query.status == "found" and query.candidates[0].label == label


@given(LABELS, st.randoms(use_true_random=False))
def test_word_order_does_not_matter(label: Label, random: object) -> None:
    words = f"please outline all {label.object_type} {label.structure} {label.region}".split()
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
    first = [c.label.id for c in query.candidates[:2]]
    assert sorted(first) == ["breast-nuclei-tumor", "breast-tissue-tumor"]
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
