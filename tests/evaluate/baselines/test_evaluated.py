"""Baselines through the command that measures them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from pathsegmentor.atomic import sha256_of
from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.evaluate.boxes import fill, union_box
from pathsegmentor.evaluate.find import Maker
from pathsegmentor.evaluate.run import all_labels, evaluate
from pathsegmentor.evaluate.samples import read_samples
from pathsegmentor.evaluate.scores import dice
from pathsegmentor.evaluate.settings import Settings
from tests.cli.conftest import Done
from tests.evaluate.baselines.sam_files import original


def rows_of(model: str, data: Path, out: Path) -> list[dict[str, Any]]:
    """A run without its report."""
    entries = PathSeg(data).entries
    evaluate(Maker(model), data, out, Settings("train"), entries, all_labels(entries))
    return read_samples(out, ["image", "label", "state", "reason", "present", "prompts", "dice"]).to_pylist()


def test_each_pair_has_the_score_of_its_boxes(data: Path, tmp_path: Path) -> None:
    rows, pathseg = rows_of("filled-union", data, tmp_path / "run"), PathSeg(data)
    assert len(rows) == sum(len(entry.rows) for entry in pathseg.entries)
    of = {entry.first.image: pathseg.sample(entry) for entry in pathseg.entries}
    for row in rows:
        mask = of[row["image"]].masks[row["label"]]
        assert (row["state"], row["present"], row["prompts"]) == ("scored", True, 1)
        assert row["dice"] == pytest.approx(dice(fill(union_box(mask), *mask.shape), mask))


def test_one_with_weights_says_which_and_is_shown_every_instance(data: Path, tmp_path: Path) -> None:
    torch.save(original(), tmp_path / "weights.pth")
    rows = rows_of(f"medsam-instances:{tmp_path / 'weights.pth'}", data, tmp_path / "run")
    run = json.loads((tmp_path / "run" / "run.json").read_text())
    assert run["model"] == "medsam-instances" and run["weights_sha256"] == sha256_of(tmp_path / "weights.pth")
    assert all(row["state"] == "scored" for row in rows)
    assert max(row["prompts"] for row in rows) > 1 and len({row["dice"] for row in rows}) > 1


def test_a_wrong_baseline_is_one_line_and_nothing_is_written(
    data: Path, tmp_path: Path, here: Callable[..., Done]
) -> None:
    done = here("evaluate", "--model", "medsam", "--data", data, "--split", "train", "--out", tmp_path / "run")
    assert done.code == 2 and done.err.count("\n") == 1 and "medsam:PATH" in done.err
    assert not list(tmp_path.rglob("*.parquet")) and not list(tmp_path.rglob("run.json"))


def test_a_group_without_a_source_fails_for_that_source_alone(
    data: Path, tmp_path: Path, here: Callable[..., Done]
) -> None:
    config = tmp_path / "unet.yaml"
    config.write_text(
        "name: tiny\nnetwork: unet_lite0\nsteps: 1\nsources: {tnbc: 0.25}\nsampling: {crop: [64], images: 2}\n"
    )
    assert here("baselines", "train", config, "--data", data, "--out", tmp_path / "group").code == 0
    (tmp_path / "other").mkdir()
    shutil.move(tmp_path / "group" / "tnbc", tmp_path / "other" / "glas")
    rows = rows_of(f"unet:{tmp_path / 'other'}", data, tmp_path / "run")
    assert {row["state"] for row in rows} == {"failed"} and np.isnan([row["dice"] for row in rows]).all()
    assert all("no specialist for this source; there are glas" in row["reason"] for row in rows)
