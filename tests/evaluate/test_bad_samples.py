"""One bad sample: it says what is wrong with it, costs nothing else, and counts neither as 0 nor as 1."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pathsegmentor.data.manifest import MANIFEST, read_rows, write_rows
from pathsegmentor.data.shards import encode_mask
from pathsegmentor.evaluate.summary import summarise
from tests.cli.conftest import Done, here  # noqa: F401
from tests.evaluate.made import GLAND, HEIGHT, NUCLEI, WIDTH, made_mask, made_set, png, rewrite
from tests.evaluate.test_run import Rows, run
from tests.model.small import small_model

IMAGE = "first-00000-0000"
GLAND_MASK, NUCLEI_MASK = f"{IMAGE}.{GLAND}.png", f"{IMAGE}.{NUCLEI}.png"
OTHER_IMAGE = png(np.full((HEIGHT, WIDTH, 3), 7, np.uint8))
SHADES = np.where(made_mask(GLAND, 0), 200, 3).astype(np.uint8)
BOTH, GLANDS, NUCLEI_ONLY = {GLAND, NUCLEI}, {GLAND}, {NUCLEI}

# What is in the shard instead, which present labels of the image have no score for it, and what is said.
STORED: dict[str, tuple[dict[str, bytes | None], set[str], str]] = {
    "image missing": ({f"{IMAGE}.png": None}, BOTH, "has no member"),
    "image damaged": ({f"{IMAGE}.png": b"no picture"}, BOTH, "SHA-256 differs"),
    "image exchanged": ({f"{IMAGE}.png": OTHER_IMAGE}, BOTH, "SHA-256 differs"),
    "mask missing": ({GLAND_MASK: None}, GLANDS, "has no member"),
    "mask damaged": ({GLAND_MASK: b"no picture"}, GLANDS, "is damaged"),
    "mask of other values": ({GLAND_MASK: png(SHADES)}, GLANDS, "holds the values 3, 200"),
    "mask in colour": ({GLAND_MASK: png(np.stack([SHADES] * 3, -1))}, GLANDS, "has 48 x 64 x 3 pixels"),
    "mask of another size": ({GLAND_MASK: encode_mask(made_mask(GLAND, 0)[:24])}, GLANDS, "has 24 x 64 pixels"),
    "mask of another image": ({GLAND_MASK: encode_mask(made_mask(GLAND, 3))}, GLANDS, "by the manifest"),
    "mask without instances": ({NUCLEI_MASK: encode_mask(made_mask(NUCLEI, 0) > 0)}, NUCLEI_ONLY, "no instances"),
    "mask lacks an instance": (
        {NUCLEI_MASK: encode_mask(np.where(made_mask(NUCLEI, 0) == 2, 1, made_mask(NUCLEI, 0)))},
        NUCLEI_ONLY,
        "2 instances",
    ),
}
ANSWERED = {
    "size": "has 24 x 64 pixels (rows x columns), the image 48 x 64",
    "nan mask": "holds NaN",
    "soft mask": "holds float64",
    "nan presence": "presence is nan",
    "presence": "presence is 1.5",
    "status": "status is 'maybe'",
    "label": f"asked for {GLAND}, the model answered for {NUCLEI}",
}


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made_set(tmp_path_factory.mktemp("bad") / "pathseg")


@pytest.fixture(scope="module")
def clean(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Rows:
    return run(data, tmp_path_factory.mktemp("bad") / "clean")


def told(rows: Rows) -> dict[tuple[str, str], str]:
    """Rows without seconds, by image and label, comparable though some scores are nan."""
    return {(row["image"], row["label"]): repr(row | {"seconds": 0}) for row in rows}


def check(rows: Rows, clean: Rows, out: Path, why: str, bad: Callable[[dict[str, Any]], bool]) -> None:
    """The bad rows failed for this reason and have no scores; all others are as if nothing had been wrong."""
    failed = [row for row in rows if row["state"] == "failed"]
    assert failed and {(r["image"], r["label"]) for r in failed} == {(r["image"], r["label"]) for r in clean if bad(r)}
    for row in failed:
        assert why in row["reason"] and "\n" not in row["reason"]
        assert all(np.isnan(row[name]) for name in ("dice", "iou", "boundary_dice", "hd95_um", "presence"))
    rest = {(row["image"], row["label"]) for row in clean} - {(row["image"], row["label"]) for row in failed}
    mine, theirs = told(rows), told(clean)
    assert {key: mine[key] for key in rest} == {key: theirs[key] for key in rest}
    summary = summarise(out)
    scored = [row["dice"] for row in rows if row["present"] and row["state"] == "scored"]
    assert summary["overall"]["dice"] == pytest.approx(np.mean(scored), abs=1e-6)
    assert summary["overall"]["failed"] == sum(row["present"] for row in failed)
    assert summary["counts"]["failed"] == len(failed) == sum(row["pairs"] for row in summary["not_scored"])
    assert all(why in row["reason"] for row in summary["not_scored"])


@pytest.mark.parametrize("case", sorted(STORED))
def test_bad_files(clean: Rows, tmp_path: Path, case: str) -> None:
    members, labels, why = STORED[case]
    data = made_set(tmp_path / "pathseg")
    rewrite(data, "first", members)
    rows = run(data, tmp_path / "out")
    whole = case.startswith("image")  # then absent labels cannot be asked either
    check(
        rows,
        clean,
        tmp_path / "out",
        why,
        lambda row: row["image"].endswith(f"{IMAGE}.png") and (whole or row["label"] in labels),
    )


def test_a_shard_that_is_missing_costs_its_images_only(clean: Rows, tmp_path: Path) -> None:
    data = made_set(tmp_path / "pathseg")
    (data / "shards" / "second-00000.tar").unlink()
    rows = run(data, tmp_path / "out")
    check(rows, clean, tmp_path / "out", "is missing or no whole shard", lambda row: row["source"] == "second")


@pytest.mark.parametrize("flaw", sorted(ANSWERED))
def test_bad_answers(data: Path, clean: Rows, tmp_path: Path, flaw: str) -> None:
    rows = run(data, tmp_path / "out", f"{flaw}@0")
    bad = lambda row: row["image"].endswith(f"{IMAGE}.png") and row["label"] == GLAND  # noqa: E731
    check(rows, clean, tmp_path / "out", ANSWERED[flaw], bad)


@pytest.mark.parametrize(
    ("flaw", "why"), [("raises", "RuntimeError: no memory on the device"), ("few", "gave 0 answers")]
)
def test_a_model_that_fails_on_an_image(data: Path, clean: Rows, tmp_path: Path, flaw: str, why: str) -> None:
    rows = run(data, tmp_path / "out", f"{flaw}@0")
    check(rows, clean, tmp_path / "out", why, lambda row: row["image"].endswith(f"{IMAGE}.png"))


def test_a_mask_of_which_nothing_is_known_is_passed_over(tmp_path: Path) -> None:
    data = made_set(tmp_path / "pathseg")
    rewrite(data, "first", {f"{IMAGE}.{NUCLEI}.png": encode_mask(np.ones((HEIGHT, WIDTH), bool))})
    ignored = f"shards/first-00000.tar/{IMAGE}.{NUCLEI}.png"
    rows = [row for row in read_rows(data) if row.mask != ignored]
    rows = [replace(row, ignore=ignored) if row.image.endswith(f"{IMAGE}.png") else row for row in rows]
    write_rows(data / MANIFEST, rows)
    (found,) = (row for row in run(data, tmp_path / "out") if row["image"].endswith(f"{IMAGE}.png") and row["present"])
    assert found["state"] == "passed over" and "nothing is known" in found["reason"] and np.isnan(found["dice"])


def test_the_command_says_what_failed_and_ends_with_1(
    here: Callable[..., Done],  # noqa: F811
    tmp_path: Path,
) -> None:
    data, model = made_set(tmp_path / "pathseg", first=3, second=1), small_model(tmp_path / "model")
    words = ("evaluate", "--model", model, "--data", data)
    whole = here(*words, "--out", tmp_path / "whole")
    assert whole.code == 0, whole.err
    rewrite(data, "first", {GLAND_MASK: None})
    done = here(*words, "--out", tmp_path / "out")
    assert done.code == 1 and done.err == "" and "has no member" in done.out
    assert "model model does not know this label" in done.out
    again = here(*words, "--out", tmp_path / "out", "--json")
    assert again.code == 1 and again.json["counts"] == {"scored": 3, "failed": 1, "passed over": 3}
    assert json.loads((tmp_path / "out" / "summary.json").read_text()) == again.json


@pytest.mark.parametrize(
    ("words", "why"),
    [
        (["--split", "validation"], "has no split 'validation'; it has test, train"),
        (["--split", ""], "--split is empty"),
        (["--split", "val"], "add --config"),
        (["--source", "third"], "no images of third; it has first, second"),
        (["--absent", "some"], "choose all, looked-for, none"),
        (["--workers", "0"], "0 workers cannot do anything"),
        (["--model", "nowhere"], "unknown model"),
        (["--device", "nodevice"], "not available"),
    ],
)
def test_wrong_requests_are_one_line_and_leave_nothing(
    here: Callable[..., Done],  # noqa: F811
    data: Path,
    tmp_path: Path,
    words: list[str],
    why: str,
) -> None:
    done = here("evaluate", "--data", data, "--out", tmp_path / "out", *words)
    assert done.code == 2 and done.out == "" and len(done.err.splitlines()) == 1 and why in done.err, done.err
    assert not (tmp_path / "out").exists()


def test_another_models_folder_is_not_taken_up(
    here: Callable[..., Done],  # noqa: F811
    tmp_path: Path,
) -> None:
    data = made_set(tmp_path / "pathseg", first=3, second=1)
    run(data, tmp_path / "out")
    done = here("evaluate", "--model", small_model(tmp_path / "m"), "--data", data, "--out", tmp_path / "out")
    assert done.code == 2 and "holds an evaluation of oracle with another model; choose another --out" in done.err


def test_a_folder_without_a_finished_run_has_no_report(
    here: Callable[..., Done],  # noqa: F811
    data: Path,
    tmp_path: Path,
) -> None:
    assert "run.json is missing" in here("report", tmp_path).err
    run(data, tmp_path / "out")
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    (tmp_path / "out" / "run.json").write_text(json.dumps(record | {"counts": {}}))
    assert "is not finished" in here("report", tmp_path / "out").err
    (tmp_path / "out" / "run.json").write_text(
        json.dumps(record | {"counts": {"scored": 1, "failed": 0, "passed over": 0}})
    )
    assert "is not the table of this run" in here("report", tmp_path / "out").err
    (tmp_path / "out" / "run.json").write_text("{}")
    done = here("report", tmp_path / "out")
    assert done.code == 2 and "is no record of an evaluation" in done.err and len(done.err.splitlines()) == 1
