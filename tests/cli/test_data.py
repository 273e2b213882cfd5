"""From downloads to a trained model through the command line, on a few real images."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import pytest
import yaml
from PIL import Image

from tests.cli.conftest import ROOT, Done

SMALL = ROOT / "tests" / "data" / "small"
SOURCES = ("ebhi", "rings", "segpath")
Run = Callable[..., Done]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("pathseg") / "small"


def build(here: Run, out: Path, *more: str) -> Done:
    pairs = [word for name in SOURCES for word in ("--source", f"{name}={SMALL / name}")]
    return here("data", "build", *pairs, "--source", f"monusac={ROOT / 'tests/data/monusac'}", "--out", out, *more)


def test_small_pathseg_is_built_checked_shown_and_trained_from(here: Run, built: Path, tmp_path: Path) -> None:
    done = build(here, built, "--json")
    # MoNuSAC's training part is not here, and the build says so.
    assert done.code == 1
    report = {entry["source"]: entry for entry in done.json["sources"]}
    assert set(report) == {*SOURCES, "monusac"}
    assert report["monusac"]["images"] == 2 and "MoNuSAC_images_and_annotations" in report["monusac"]["problems"][0]
    assert report["ebhi"]["images"] == 8 and report["segpath"]["masks"] == 9 and not report["rings"]["left_out"]

    again = build(here, built, "--json")
    assert again.json == done.json

    stats = here("data", "stats", built, "--out", tmp_path / "figures", "--json").json
    assert stats["masks"] == sum(entry["masks"] for entry in report.values())
    rings = next(row for row in stats["tables"]["sources"] if row["source"] == "rings")
    assert rings["masks"] == report["rings"]["masks"] and rings["paper_masks"] == 43739
    assert sorted(path.name for path in (tmp_path / "figures").iterdir()) == ["labels.png", "shares.png", "sources.png"]

    assert here("data", "check", built, "--json").json["findings"] == []
    assert here("data", "show", built, "--out", tmp_path / "sheet.png", "--count", 6).code == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width > 1000
    licences = here("data", "licences", built, "--json").json
    assert licences["may_be_passed_on"] and licences["weights"] == "CC BY-NC-SA 4.0"

    config = yaml.safe_load((ROOT / "configs" / "nano.yaml").read_text(encoding="utf-8"))
    config |= {"init": "", "sources": {"ebhi": 1, "rings": 1, "segpath": 1}, "points": 64, "held_out": 0.0}
    config["sampling"] |= {"crop": [64], "images": 2, "prompts": 2}
    config["schedule"] |= {"steps": 3}
    path = tmp_path / "few_steps.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    trained = here("train", path, "--data", built, "--out", tmp_path / "run")
    assert trained.code == 0, trained.err
    model, out = tmp_path / "run" / "model", tmp_path / "scores"
    scores = here("evaluate", "--config", path, "--data", built, "--model", model, "--out", out, "--json")
    assert {row["name"] for row in scores.json["tables"]["by_source"]} == {"ebhi", "rings", "segpath"}
    assert (
        scores.json["run"]["manifest_sha256"] == hashlib.sha256((built / "manifest.parquet").read_bytes()).hexdigest()
    )


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["build", "--source", "nosuch=x", "--out", "{out}"], "no source named 'nosuch'"),
        (["build", "--source", "glas", "--out", "{out}"], "expected NAME=VALUE"),
        (["build", "--source", "glas={out}/nowhere", "--out", "{out}"], "is no folder"),
        (["build", "--source", "crag={empty}", "--out", "{out}"], "expected"),
        (
            ["build", "--source", "rings={small}", "--split", "glas=random", "--out", "{out}"],
            "no --source of that name",
        ),
        (["build", "--source", "rings={small}", "--split", "rings=half", "--out", "{out}"], "choose official"),
        (["build", "--source", "rings={small}", "--workers", "0", "--out", "{out}"], "workers"),
        (["build", "--source", "rings={small}", "--out", "{file}"], "cannot be written"),
        (["stats", "{empty}"], "manifest.parquet is missing"),
        (["check", "{empty}"], "manifest.parquet is missing"),
        (["show", "{empty}"], "manifest.parquet is missing"),
        (["licences", "{empty}"], "report.json is missing"),
    ],
)
def test_bad_requests_get_one_line(here: Run, tmp_path: Path, arguments: list[str], expected: str) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "file").write_text("x")
    places = {
        "out": tmp_path / "out",
        "empty": tmp_path / "empty",
        "file": tmp_path / "file",
        "small": SMALL / "rings",
    }
    done = here("data", *(text.format_map(places) for text in arguments))
    assert done.code == 2 and expected in done.err
    assert len(done.err.strip().splitlines()) == 1 and done.out == ""


def test_sources_lists_all(here: Run) -> None:
    rows = here("data", "sources", "--json").json
    assert len(rows) == 19 and sum(row["paper"] is not None for row in rows) == 17
    assert all(row["layout"] and row["licence"]["name"] and row["url"].startswith("https://") for row in rows)
    assert "SICAPv2" in {row["title"] for row in rows}
    assert "sicapv2" in here("data", "sources").out
