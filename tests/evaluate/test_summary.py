"""Tables against counts made by hand: over pairs, not rows; present, not absent; one kind of label, not another."""

from __future__ import annotations

import csv
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathsegmentor.evaluate.columns import read_columns
from pathsegmentor.evaluate.groups import grouped, overall
from pathsegmentor.evaluate.record import Record, state_counts
from pathsegmentor.evaluate.samples import SAMPLES, SampleRow, write_samples
from pathsegmentor.evaluate.summary import summarise
from pathsegmentor.evaluate.tables import html, markdown, tables_of, write_csv
from pathsegmentor.vocabulary import Label

GLAND, STROMA, NUCLEI = "colon-tissue-gland", "breast-tissue-stroma", "colon-nuclei-epithelial"
SETTINGS = {"split": "test", "sources": [], "unknown": "ignored", "boundary_um": 1.0}


def pair(number: int, source: str, label: str, dice: float, **more: Any) -> SampleRow:
    """A scored, present pair unless told otherwise."""
    kind = Label.from_id(label)
    row = SampleRow(
        image=f"shards/{source}-00000.tar/{number}.png",
        source=source,
        label=label,
        region=kind.region,
        structure=kind.structure,
        object_type=kind.object_type,
        patient=f"p{number}",
        slide="",
        group=f"{source}/p{number}",
        split="test",
        mpp=0.5,
        height=10,
        width=20,
        state="scored",
        present=True,
        looked_for=True,
        status="present",
        presence=0.9,
        prompts=1,
        dice=dice,
        iou=dice / (2 - dice),
    )
    return replace(row, **more)


def absent(number: int, label: str, presence: float, looked_for: bool, pixels: int = 0) -> SampleRow:
    status = "present" if presence > 0.5 else "absent"
    row = pair(number, "a", label, float("nan"), present=False, looked_for=looked_for)
    return replace(row, presence=presence, status=status, found_pixels=pixels, iou=float("nan"))


def written(folder: Path, rows: list[SampleRow]) -> Path:
    """A finished run's folder with these rows."""
    write_samples(folder / SAMPLES, rows)
    names = ("model", "weights_sha256", "config_sha256", "wants_boxes", "manifest_sha256")
    record = Record(*names, SETTINGS, 1, [], "0", "pathsegmentor evaluate", "nano", "cpu", state_counts(folder))
    record.write(folder)
    return folder


ROWS = [
    *(pair(number, "a", GLAND, dice) for number, dice in enumerate((0.9, 0.8, 0.7, 0.6))),
    pair(4, "b", STROMA, 0.1),
    pair(5, "b", STROMA, 0.0, status="absent", presence=0.2),
    pair(6, "b", NUCLEI, float("nan"), state="failed", reason="the mask is damaged"),
    pair(7, "b", NUCLEI, float("nan"), state="passed over", reason="not known"),
    absent(0, NUCLEI, 0.1, looked_for=True),
    absent(1, NUCLEI, 0.95, looked_for=True, pixels=40),
    absent(2, STROMA, 0.0, looked_for=False),
    absent(3, STROMA, 0.05, looked_for=False),
]


def test_means_are_over_pairs(tmp_path: Path) -> None:
    summary = summarise(written(tmp_path, ROWS))
    # Over pairs 3.1 / 6; over data sets, labels or images it would be another number.
    assert summary["overall"]["dice"] == pytest.approx(3.1 / 6, abs=1e-6)
    rows = {row["name"]: row for row in summary["tables"]["by_source"]}
    assert rows["a"]["dice"] == pytest.approx(0.75) and rows["b"]["dice"] == pytest.approx(0.05)
    assert (rows["b"]["pairs"], rows["b"]["failed"], rows["b"]["passed_over"]) == (2, 1, 1)
    assert rows["b"]["called_absent"] == 1 and rows["b"]["images"] == 2
    nuclei = next(row for row in summary["tables"]["by_label"] if row["name"] == NUCLEI)
    assert nuclei["pairs"] == 0 and nuclei["dice"] is None and nuclei["dice_low"] is None


def test_presence_is_told_apart_by_what_the_annotators_did(tmp_path: Path) -> None:
    presence = summarise(written(tmp_path, ROWS))["presence"]
    looked_for, everything = presence["looked_for"], presence["all"]
    assert (looked_for["present"], looked_for["absent"]) == (6, 2) and (
        everything["present"],
        everything["absent"],
    ) == (6, 4)
    # Present: five of 0.9, one of 0.2. Absent: 0.1 and 0.95, and the other organ's 0 and 0.05.
    assert looked_for["auroc"] == pytest.approx(6 / 12) and everything["auroc"] == pytest.approx(18 / 24)
    assert (looked_for["present_called_absent"], looked_for["absent_called_present"]) == (1, 1)
    assert everything["absent_called_absent"] == 3
    assert sum(part["pairs"] for part in everything["bins"]) == 10
    top = next(part for part in looked_for["bins"] if part["pairs"] == 6)
    assert top["observed"] == pytest.approx(5 / 6, abs=1e-6) and top["predicted"] == pytest.approx(
        (4.5 + 0.95) / 6, abs=1e-6
    )


def test_what_is_wrongly_found_is_an_area(tmp_path: Path) -> None:
    rows = {row["name"]: row for row in summarise(written(tmp_path, ROWS))["absent"]}
    assert list(rows) == ["all", "looked for", STROMA, NUCLEI]
    assert rows["all"]["area_um2"] == pytest.approx(40 * 0.25 / 4) and rows[NUCLEI]["area_um2"] == pytest.approx(5.0)
    assert rows["looked for"]["area_percent"] == pytest.approx(100 * 40 / 200 / 2) and rows["all"]["with_pixels"] == 1
    assert rows[STROMA]["looked_for"] == 0 and rows[STROMA]["area_um2"] == 0


def test_what_has_no_score_is_listed_and_the_lowest_come_first(tmp_path: Path) -> None:
    summary = summarise(written(tmp_path, ROWS))
    assert [(row["state"], row["reason"], row["pairs"]) for row in summary["not_scored"]] == [
        ("failed", "the mask is damaged", 1),
        ("passed over", "not known", 1),
    ]
    assert [row["dice"] for row in summary["lowest"]] == [0.0, 0.1, 0.6, 0.7, 0.8, 0.9]


def test_intervals_are_over_pairs_and_over_patients(tmp_path: Path) -> None:
    # Forty pairs, but only two patients, who differ.
    rows = [pair(i, "a", GLAND, 0.2 + 0.6 * (i % 2) + 0.001 * i, group=f"a/p{i % 2}") for i in range(40)]
    row = summarise(written(tmp_path, rows))["overall"]
    assert row["dice_low"] < row["dice"] < row["dice_high"] and row["dice_high"] - row["dice_low"] < 0.25
    assert row["dice_grouped"] == row["dice"] and row["groups"] == 2
    assert row["dice_grouped_high"] - row["dice_grouped_low"] > 0.5


def test_one_pair_has_no_interval(tmp_path: Path) -> None:
    row = summarise(written(tmp_path, ROWS[:1]))["overall"]
    assert row["dice"] == 0.9 and row["dice_low"] is None and row["dice_grouped_high"] is None


def test_a_predictor_without_presence_has_no_auroc(tmp_path: Path) -> None:
    rows = [replace(row, presence=float("nan"), status="") for row in ROWS]
    presence = summarise(written(tmp_path, rows))["presence"]
    assert presence["all"]["auroc"] is None and presence["all"]["bins"] == []


KINDS = [("a", GLAND), ("a", NUCLEI), ("b", GLAND), ("b", STROMA)]


@given(st.lists(st.tuples(st.sampled_from(KINDS), st.integers(0, 100)), min_size=1, max_size=40))
def test_every_grouping_shares_out_the_same_pairs(tmp_path_factory: pytest.TempPathFactory, pairs: list[Any]) -> None:
    rows = [pair(i, source, label, dice / 100) for i, ((source, label), dice) in enumerate(pairs)]
    columns = read_columns(written(tmp_path_factory.mktemp("g"), rows))
    everything = overall(columns)
    assert everything["dice"] == pytest.approx(np.mean([row.dice for row in rows]), abs=1e-6)
    for by in (("source",), ("label",), ("structure",), ("source", "label")):
        groups = grouped(columns, *by)
        assert sum(row["pairs"] for row in groups) == len(rows)
        for row in groups:
            names = [row["name"]] if len(by) == 1 else [row[name] for name in by]
            mine = [r.dice for r in rows if [getattr(r, name) for name in by] == names]
            assert row["pairs"] == len(mine) and row["dice"] == pytest.approx(np.mean(mine), abs=1e-6)


def test_tables_say_the_same_in_every_form(tmp_path: Path) -> None:
    odd = "a|<b>"
    summary = summarise(written(tmp_path, [*ROWS, pair(9, odd, GLAND, 0.25)]))
    table = next(table for table in tables_of(summary) if table.name == "by_source")
    assert "| a\\|<b> | 1 | 0 | 0 | 0.250 | – | – |" in markdown(table)
    assert "<td>a|&lt;b&gt;</td>" in html(table) and odd not in html(table)
    write_csv(table, tmp_path)
    with (tmp_path / "by_source.csv").open(newline="") as file:
        rows = {row["name"]: row for row in csv.DictReader(file)}
    assert rows[odd]["dice"] == "0.25" and rows[odd]["dice_low"] == "" and rows["b"]["failed"] == "1"
