"""An evaluation: nothing vanishes, one image is looked at once, and neither processes nor kills change a byte."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pathsegmentor.data.manifest import MANIFEST, read_rows, write_rows
from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate import run as run_module
from pathsegmentor.evaluate.image import Context, rows_of_image
from pathsegmentor.evaluate.masks import read_mask
from pathsegmentor.evaluate.report import write_report
from pathsegmentor.evaluate.run import all_labels, choose, evaluate
from pathsegmentor.evaluate.samples import SAMPLES, SampleRow, read_samples, write_samples
from pathsegmentor.evaluate.settings import Settings
from pathsegmentor.evaluate.summary import summarise
from tests.data.made import hashes
from tests.evaluate.made import (
    ANNOTATED,
    GLAND,
    HEIGHT,
    NUCLEI,
    STROMA,
    WIDTH,
    Oracle,
    OracleMaker,
    made_mask,
    made_set,
)

Rows = list[dict[str, Any]]


@pytest.fixture(autouse=True)
def small_portions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several portions of few images."""
    monkeypatch.setattr(run_module, "IMAGES", 4)


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_set(tmp_path_factory.mktemp("set") / "pathseg")


def run(data: Path, out: Path, flaw: str = "", settings: Settings = Settings("test"), **options: Any) -> Rows:  # noqa: B008
    pathseg = PathSeg(data)
    entries = choose(pathseg, settings)
    evaluate(
        OracleMaker("oracle", data=data, flaw=flaw),
        data,
        out,
        settings,
        entries,
        all_labels(pathseg.entries),
        **options,
    )
    return rows_of(out)


def rows_of(out: Path) -> Rows:
    rows: Rows = read_samples(out).to_pylist()
    return rows


def timeless(out: Path) -> list[str]:
    """All rows without their seconds, to the last bit; nan is nan."""
    return [repr(row) for row in read_samples(out).drop_columns(["seconds"]).to_pylist()]


def test_every_triple_of_the_split_and_every_label_known_to_be_absent_has_one_row(data: Path, tmp_path: Path) -> None:
    rows = run(data, tmp_path / "out")
    triples = Counter((row.image, row.label) for row in read_rows(data) if row.split == "test")
    assert Counter((row["image"], row["label"]) for row in rows if row["present"]) == triples
    assert len({(row["image"], row["label"]) for row in rows}) == len(rows)
    # All three labels are asked of each image: those of its own source were looked for, the other organ's were not.
    assert len(rows) == 3 * len({row["image"] for row in rows})
    assert {row["state"] for row in rows} == {"scored"} and {row["split"] for row in rows} == {"test"}
    for row in rows:
        assert row["looked_for"] == (row["label"] in ANNOTATED[row["source"]])
        assert row["known_pixels"] == HEIGHT * WIDTH and row["group"] == f"{row['source']}/{row['patient']}"


def test_scores_are_those_of_the_stored_masks(data: Path, tmp_path: Path) -> None:
    rows = {
        (row["image"], row["label"]): row for row in run(data, tmp_path / "out", settings=Settings("test", masks=True))
    }
    for row in (row for row in read_rows(data) if row.split == "test"):
        truth = made_mask(row.label, int(row.origin)) > 0
        found = read_mask(tmp_path / "out", row.source, row.image, row.label)
        got = rows[row.image, row.label]
        assert found.shape == (HEIGHT, WIDTH) and 0 < found.sum() < truth.sum()
        assert got["dice"] == pytest.approx(2 * (found & truth).sum() / (found.sum() + truth.sum()))
        assert (got["truth_pixels"], got["found_pixels"]) == (truth.sum(), found.sum())
        assert (got["truth_objects"] == -1) == (row.label != NUCLEI)
        assert got["mpp"] == pytest.approx((0.5 * 0.25) ** 0.5) and got["prompts"] == 1


def test_an_image_is_asked_once_for_all_its_labels(data: Path, tmp_path: Path) -> None:
    pathseg, oracle = PathSeg(data), Oracle(data)
    context = Context(pathseg.shards, (NUCLEI, GLAND, STROMA), tmp_path, Settings("test"))
    for entry in pathseg.entries:
        rows_of_image(entry, oracle, context)
    assert len(oracle.calls) == len(pathseg.entries) and {len(call) for call in oracle.calls} == {4}


@pytest.mark.parametrize(("absent", "labels"), [("looked-for", 1), ("none", 0)])
def test_fewer_absent_labels_are_asked_on_wish(data: Path, tmp_path: Path, absent: Any, labels: int) -> None:
    rows = [row for row in run(data, tmp_path / "out", settings=Settings("test", absent=absent)) if not row["present"]]
    of_one_label = [
        entry.first.image
        for entry in PathSeg(data).entries
        if entry.first.split == "test" and entry.first.source == "first" and len(entry.labels) == 1
    ]
    assert [row["image"] for row in rows] == of_one_label * labels and all(row["looked_for"] for row in rows)


def test_what_a_model_cannot_be_asked_is_listed_with_the_reason(data: Path, tmp_path: Path) -> None:
    rows = run(data, tmp_path / "out", "no stroma")
    passed = [row for row in rows if row["state"] == "passed over"]
    assert {(row["label"], row["reason"]) for row in passed} == {(STROMA, "the oracle does not know stroma")}
    assert len(passed) == sum(row.label == STROMA and row.split == "test" for row in read_rows(data))
    assert all(np.isnan(row["dice"]) for row in passed)


def test_labels_that_are_partly_outlined_are_passed_over_or_scored_on_wish(data: Path, tmp_path: Path) -> None:
    other = made_set(tmp_path / "other")
    write_rows(other / MANIFEST, [replace(row, annotated=(NUCLEI,)) for row in read_rows(other)])
    rows = run(other, tmp_path / "out")
    assert {row["reason"] for row in rows if row["label"] == GLAND} == {
        "only a part of what the image shows of this label is outlined"
    }
    rows = run(other, tmp_path / "whole", settings=Settings("test", unknown="background"))
    assert {row["state"] for row in rows} == {"scored"}


def test_only_the_split_that_is_asked_for_is_scored(data: Path, tmp_path: Path) -> None:
    split = {row.image: row.split for row in read_rows(data)}
    for name in ("test", "train"):
        rows = run(data, tmp_path / name, settings=Settings(name))
        assert rows and {split[row["image"]] for row in rows} == {name} == {row["split"] for row in rows}


def test_boxes_are_those_of_the_annotation(data: Path, tmp_path: Path) -> None:
    class Boxed(Oracle):
        def answer(self, image: Any, asked: Sequence[Any]) -> Any:
            seen.extend((image.source, one.label, one.boxes.tolist()) for one in asked)
            return super().answer(image, asked)

    seen: list[Any] = []
    pathseg = PathSeg(data)
    for wants in ("union", "instances"):
        context = Context(pathseg.shards, (NUCLEI, GLAND, STROMA), tmp_path, Settings("test"))
        rows = rows_of_image(pathseg.entries[0], Boxed(data, wants_boxes=wants), context)  # type: ignore[arg-type]
        assert all(row.present for row in rows)
    assert [boxes for _, label, boxes in seen if label == GLAND] == [[[5, 20, 50, 40]]] * 2
    nuclei = [[2 + 12 * i, 4, 10 + 12 * i, 14] for i in range(3)]
    assert [boxes for _, label, boxes in seen if label == NUCLEI] == [[[2, 4, 34, 14]], nuclei]


def test_a_second_run_keeps_what_is_there_and_tries_again_what_failed(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(data, out)
    before = {path: path.stat().st_mtime_ns for path in (out / "parts").iterdir()}
    assert run(data, out) and before == {path: path.stat().st_mtime_ns for path in (out / "parts").iterdir()}
    (out / "parts" / "000001.parquet").write_bytes(b"cut short")
    table = timeless(out)
    run(data, out)
    assert timeless(out) == table
    other = tmp_path / "failed"
    assert "failed" in {row["state"] for row in run(data, other, "raises@0")}
    # The folder goes by the model's name and hash, which the mended one shares.
    assert "failed" not in {row["state"] for row in run(data, other)}
    assert timeless(other) == table


def test_a_folder_takes_up_only_its_own_run(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    run(data, out)
    before = hashes(out)
    for settings in (Settings("train"), Settings("test", boundary_um=2.0), Settings("test", masks=True)):
        with pytest.raises(BadInput, match="holds an evaluation of oracle with another settings"):
            run(data, out, settings=settings)
    other = made_set(tmp_path / "other", first=12)
    with pytest.raises(BadInput, match="another data set"):
        run(other, out)
    assert hashes(out) == before
    assert {row["split"] for row in run(data, out, settings=Settings("train"), force=True)} == {"train"}


def test_other_peoples_folders_and_the_data_set_are_left_alone(data: Path, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "notes.txt").write_text("mine")
    another = made_set(tmp_path / "another")
    (another / "parts").mkdir()
    (another / "parts" / "first-00000.parquet").write_bytes(b"of the set")
    places = (
        (tmp_path / "mine", "holds other files"),
        (another, "holds other files"),
        (data / "out", "lies in the data"),
    )
    for out, why in places:
        before = hashes(tmp_path), hashes(data)
        for force in (False, True):
            with pytest.raises(BadInput, match=why):
                run(data, out, force=force)
        assert (hashes(tmp_path), hashes(data)) == before and not (data / "out").exists()


@pytest.mark.parametrize(
    ("settings", "why"),
    [
        (Settings("validation"), "has no split 'validation'; it has test, train"),
        (Settings("test", ("third",)), "has no images of third; it has first, second"),
        (Settings("val", ("first",), held_out=0.0), "has no split 'val' of first"),
    ],
)
def test_a_set_without_the_split_or_source_is_refused(data: Path, settings: Settings, why: str) -> None:
    with pytest.raises(BadInput, match=why):
        choose(PathSeg(data), settings)


@pytest.mark.slow
def test_several_processes_give_the_same_bytes_as_one(data: Path, tmp_path: Path) -> None:
    for processes in (1, 3):
        out = tmp_path / str(processes)
        run(data, out, processes=processes)
        write_report(out)
    one, three = tmp_path / "1", tmp_path / "3"
    assert timeless(one) == timeless(three)
    assert all_but_seconds(one) == all_but_seconds(three)


def all_but_seconds(out: Path) -> dict[str, str]:
    """Hashes of every file that holds no seconds; the command stands in the record."""
    apart = ("parts/", SAMPLES, "run.json")
    return {name: value for name, value in hashes(out).items() if not name.startswith(apart)}


@pytest.mark.slow
def test_a_run_that_is_killed_at_any_step_ends_as_if_it_had_not_been(tmp_path: Path) -> None:
    words = [sys.executable, "-m", "tests.evaluate.killed", str(tmp_path)]
    done = subprocess.run(words, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    seen = json.loads(done.stdout)
    assert seen["kills"] > 40 and seen["kept"] > seen["kills"] / 3
    assert seen["wrong"] == []


def test_samples_are_refused_when_damaged(tmp_path: Path) -> None:
    row = SampleRow(*["a"] * 10, mpp=0.5, height=1, width=1, state="scored", present=True, looked_for=True)  # type: ignore[arg-type]
    path = tmp_path / SAMPLES
    write_samples(path, [row])
    assert read_samples(tmp_path).num_rows == 1
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(BadInput, match="is damaged"):
        read_samples(tmp_path)
    path.unlink()
    with pytest.raises(BadInput, match="is missing"):
        read_samples(tmp_path)


def test_presence_is_not_inverted(data: Path, tmp_path: Path) -> None:
    """A model that is right about every label has an AUROC of 1, one that is wrong about every label of 0."""
    for flaw, area in (("", 1.0), ("inverted", 0.0)):
        run(data, tmp_path / str(area), flaw)
        presence = summarise(tmp_path / str(area))["presence"]
        assert presence["all"]["auroc"] == presence["looked_for"]["auroc"] == area
        assert presence["looked_for"]["absent"] < presence["all"]["absent"]


@pytest.mark.slow
def test_a_ray_cluster_gives_the_same_rows(data: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    run(data, tmp_path / "here")
    run(data, tmp_path / "there", ray="local")
    assert timeless(tmp_path / "here") == timeless(tmp_path / "there")
