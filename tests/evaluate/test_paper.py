"""The paper's own tables: its fits come out of its points, its summary rows out of its sub-tables."""

from __future__ import annotations

from pathlib import Path

import pytest
from benchmarks.paper_adds_up import Check, checks, markdown

ROOT = Path(__file__).parents[2]
FOUND = checks(ROOT / "tests" / "data" / "paper")


def kind(word: str) -> list[Check]:
    return [one for one in FOUND if word in one.what]


def test_table_7_comes_out_of_tables_8_to_10() -> None:
    fits = kind("table 7")
    assert len(fits) == 27
    assert [one for one in fits if not one.holds] == []


@pytest.mark.parametrize(
    ("word", "count"),
    [
        ("table 6, overall, from data sets", 7),
        ("table 6, overall, from table 13", 7),
        ("table 11, overall", 4),
        ("table 17, overall", 7),
        ("best specialist", 18),
        ("highest label", 364),
        ("inside their intervals", 1491),
    ],
)
def test_summary_rows_come_out_of_the_sub_tables(word: str, count: int) -> None:
    found = kind(word)
    assert len(found) == count
    assert [one for one in found if not one.holds] == []


def test_a_wrong_number_is_listed() -> None:
    lines = markdown([Check("a row", "ours", 0.671, 0.67104, 0.001), Check("a row", "theirs", 0.5, 0.6, 0.001)])
    assert "| a row | 2 | 1 | theirs: 0.5, computed 0.6 |" in lines


def test_the_docs_show_what_is_found() -> None:
    kept = ROOT / "benchmarks" / "results" / "paper_adds_up.md"
    assert kept.read_text(encoding="utf-8") == markdown(FOUND)
