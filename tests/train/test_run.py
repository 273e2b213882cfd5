"""A whole run on a tiny data set: it learns, and whatever cuts it off, it goes on exactly."""

from __future__ import annotations

import json
import os
import resource
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.errors import BadInput
from pathsegmentor.model.folder import load_model
from pathsegmentor.train import checkpoint, loop, step
from pathsegmentor.train.batches import Sampler
from pathsegmentor.train.config import SavingConfig, TrainConfig, read_train_config
from pathsegmentor.train.folder import only_writer
from pathsegmentor.train.loop import train
from pathsegmentor.train.run import Run
from pathsegmentor.train.stop import Stopped
from tests.train.tiny import command, config, losses, rows, weights


def cut_at(monkeypatch: pytest.MonkeyPatch, number: int, act: Callable[[], None]) -> None:
    """Let something happen when a step begins."""
    real = step.one_step

    def instead(run: Run) -> dict[str, float]:
        if run.step == number:
            act()
        return real(run)

    monkeypatch.setattr(loop, "one_step", instead)


class Cut(Exception):
    """As if the power failed."""


def power_cut() -> None:
    raise Cut


@pytest.fixture(scope="module")
def whole(data: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of six steps that nothing disturbed, with looks after steps 2, 4 and 6."""
    out = tmp_path_factory.mktemp("whole") / "run"
    train(six(), data, out)
    return out


def six() -> TrainConfig:
    return replace(config(6), saving=SavingConfig(steps=3, look=2, keep=2))


def test_what_a_run_folder_holds(whole: Path, data: Path) -> None:
    assert read_train_config(whole / "config.yaml") == six()
    facts = json.loads((whole / "environment.json").read_text())
    assert facts["manifest_sha256"] == loop.prepare(config(1), data).manifest_sha256
    assert "torch" in facts["packages"] and facts["command"] and facts["processes"] == 1
    assert [row["step"] for row in losses(whole)] == list(range(6))
    assert any((whole / "tensorboard").iterdir())
    kept = [p.name for p in checkpoint.checkpoints(whole)]
    assert len(kept) == 2 and kept[-1] == "step-00000006.pt"
    assert facts["manifest_sha256"] in (whole / "model" / "README.md").read_text()
    assert load_model(whole / "model").vocabulary


def test_looks_write_pictures_and_scores_and_keep_the_best(whole: Path) -> None:
    assert sorted(p.name for p in (whole / "pictures").iterdir()) == [f"step-0000000{k}.png" for k in (2, 4, 6)]
    with Image.open(whole / "pictures" / "step-00000002.png") as sheet:
        assert sheet.width > 1000 and np.asarray(sheet).std() > 20
    seen = [row for row in rows(whole) if "look_dice" in row]
    assert [row["step"] for row in seen] == [1, 3, 5]
    assert all(0 <= row["look_dice"] <= 1 and 0 <= row["look_presence"] <= 1 for row in seen)
    best = checkpoint.read(whole / "checkpoints" / "best.pt")
    top = max(row["look_dice"] for row in seen)
    assert best["best"] == pytest.approx(top, abs=1e-6)
    assert best["step"] == 1 + next(row["step"] for row in seen if row["look_dice"] == top)
    assert load_model(whole / "best").vocabulary


@pytest.mark.parametrize("number", [1, 3, 5])
def test_a_run_cut_at_any_step_goes_on_to_the_same_numbers(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    """Cut before its first checkpoint, at one, and between two: some steps are run again."""
    out = tmp_path / "cut"
    with monkeypatch.context() as patch:
        cut_at(patch, number, power_cut)
        with pytest.raises(Cut):
            train(six(), data, out)
    if checkpoint.checkpoints(out):
        with pytest.raises(BadInput, match="--resume"):
            train(six(), data, out)
    train(six(), data, out, resume=True)
    assert rows(out) == rows(whole)
    assert weights(out) == weights(whole)


def test_resume_takes_the_newest_checkpoint(data: Path, whole: Path, tmp_path: Path) -> None:
    """A run that had ended takes no further step, and writes its model anew."""
    out = tmp_path / "run"
    shutil.copytree(whole, out)
    shutil.rmtree(out / "model")
    before = [p.stat().st_mtime_ns for p in checkpoint.checkpoints(out)]
    train(six(), data, out, resume=True)
    assert [p.stat().st_mtime_ns for p in checkpoint.checkpoints(out)] == before
    assert weights(out) == weights(whole)


def test_the_model_is_the_average(whole: Path) -> None:
    state = checkpoint.read(checkpoint.checkpoints(whole)[-1])
    model = load_file(whole / "model" / "model.safetensors")
    name = "joint_decoder.class_embed"
    assert torch.equal(model[name], state["average"][name].half())
    assert not torch.equal(model[name], state["net"][name].half())


def test_loss_falls(data: Path, tmp_path: Path) -> None:
    train(config(30), data, tmp_path / "run")
    total = [row["total"] for row in losses(tmp_path / "run")]
    assert np.mean(total[-5:]) < 0.7 * np.mean(total[:5])


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_lets_the_step_finish_and_saves_it(
    data: Path, whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: signal.Signals
) -> None:
    out, before = tmp_path / "run", signal.getsignal(number)
    with monkeypatch.context() as patch:
        cut_at(patch, 4, lambda: signal.raise_signal(number))
        with pytest.raises(Stopped) as stopped:
            train(six(), data, out)
    assert (stopped.value.step, stopped.value.number) == (5, number)
    assert checkpoint.checkpoints(out)[-1].name == "step-00000005.pt"
    assert not (out / "model").exists() and signal.getsignal(number) == before
    train(six(), data, out, resume=True)
    assert weights(out) == weights(whole)


def test_a_checkpoint_comes_after_minutes_too(data: Path, tmp_path: Path) -> None:
    often = replace(config(4), saving=SavingConfig(steps=1000, minutes=1e-6, keep=9))
    train(often, data, tmp_path / "run")
    assert len(checkpoint.checkpoints(tmp_path / "run")) == 4


def test_a_loss_that_is_not_a_number_stops_with_its_batch(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A weight becomes NaN, as a rate that diverges makes it."""
    out = tmp_path / "run"
    held: list[Run] = []
    real = step.one_step

    def poisoned(run: Run) -> dict[str, float]:
        if run.step == 4:
            held.append(run)
            with torch.no_grad():
                next(run.net.parameters()).fill_(float("nan"))
        return real(run)

    monkeypatch.setattr(loop, "one_step", poisoned)
    with pytest.raises(BadInput, match=r"the loss is not finite at step 4.*rate") as caught:
        train(config(6), data, out)
    assert "\n" not in str(caught.value)
    saved = torch.load(next(out.glob("not-finite-*.pt")), weights_only=True)
    batch = held[0].material.sampler.batch(4)
    assert saved["step"] == 4 and torch.equal(saved["parts"][0]["pixels"], batch.pixels)
    assert saved["parts"][0]["names"] == list(batch.names)
    assert [p.name for p in checkpoint.checkpoints(out)] == ["step-00000003.pt"]


def test_a_gradient_that_is_not_a_number_never_reaches_the_weights(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[tuple[Run, dict[str, torch.Tensor]]] = []
    real = step.backward

    def poisoned(run: Run, *rest: object) -> dict[str, float]:
        terms = real(run, *rest)  # type: ignore[arg-type]
        held.append((run, {k: v.clone() for k, v in run.net.named_parameters()}))
        next(p for p in run.net.parameters() if p.grad is not None).grad.fill_(float("inf"))  # type: ignore[union-attr]
        return terms

    monkeypatch.setattr(step, "backward", poisoned)
    with pytest.raises(BadInput, match="gradient is not finite at step 0"):
        train(config(2), data, tmp_path / "run")
    run, before = held[0]
    assert all(torch.equal(before[name], value) for name, value in run.net.named_parameters())


def test_a_full_disk_keeps_the_last_good_checkpoint(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The size of files is limited from step 4 on, so the checkpoint after step 5 does not fit."""
    out = tmp_path / "run"
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    cut_at(monkeypatch, 4, lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, unlimited[1])))
    try:
        with pytest.raises(BadInput, match=r"step-00000006.pt cannot be written.*step-00000003.pt is kept"):
            train(config(8), data, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        signal.signal(signal.SIGXFSZ, before)
    assert [p.name for p in (out / "checkpoints").iterdir()] == ["step-00000003.pt"]
    monkeypatch.undo()
    train(config(8), data, out, resume=True)
    assert len(losses(out)) == 8


@pytest.mark.parametrize("name", ["metrics.jsonl", "events.out"])
def test_a_disk_that_is_full_for_the_metrics_is_one_line(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], name: str
) -> None:
    """TensorBoard's file is the larger one: a limit between the two stops it alone."""
    out = tmp_path / "run"
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    before = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

    def limit() -> None:
        path = next(path for path in out.rglob("*") if path.name.startswith(name))
        resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 10, unlimited[1]))

    cut_at(monkeypatch, 4, limit)
    try:
        with pytest.raises(BadInput) as told:
            train(config(8), data, out)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
        signal.signal(signal.SIGXFSZ, before)
    assert name in str(told.value) and "cannot be written: File too large; " in str(told.value)
    assert "step-00000003.pt is kept; make room and add --resume" in str(told.value)
    assert "Traceback" not in capfd.readouterr().err
    monkeypatch.undo()
    train(config(8), data, out, resume=True)
    assert len(losses(out)) == 8


def test_tensorboard_reads_the_same_numbers(data: Path, whole: Path, tmp_path: Path) -> None:
    """Those of a run that was cut off and went on, too: steps that were run twice count once."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    out = tmp_path / "run"
    shutil.copytree(whole, out)
    checkpoint.checkpoints(out)[-1].unlink()
    train(six(), data, out, resume=True)
    for folder in (whole, out):
        board = EventAccumulator(str(folder / "tensorboard"))
        board.Reload()
        shown = [(event.step, round(event.value, 4)) for event in board.Scalars("total")]
        assert shown == [(row["step"], round(row["total"], 4)) for row in rows(folder) if "total" in row]


def test_two_runs_in_one_folder_are_refused(data: Path, tmp_path: Path) -> None:
    refused = []

    def second() -> None:
        with pytest.raises(BadInput, match="another run is writing"):
            train(config(1), data, tmp_path / "run")
        refused.append(True)

    with only_writer(tmp_path / "run"):
        thread = threading.Thread(target=second)
        thread.start()
        thread.join()
    assert refused
    train(config(1), data, tmp_path / "run")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"seed": 1}, "seed was 0, is now 1"),
        ({"schedule": replace(config(6).schedule, rate=1e-3)}, "schedule.rate was 0.002, is now 0.001"),
        ({"sampling": replace(config(6).sampling, prompts=3)}, "sampling.prompts was 2, is now 3"),
        ({"schedule": replace(config(6).schedule, steps=7)}, "schedule.steps was 6, is now 7"),
        ({"weights": replace(config(6).weights, presence=1.0)}, "weights.presence was 0.5, is now 1.0"),
    ],
)
def test_resume_refuses_other_settings(data: Path, whole: Path, change: dict[str, object], said: str) -> None:
    with pytest.raises(BadInput, match=said):
        train(replace(six(), **change), data, whole, resume=True)  # type: ignore[arg-type]


def test_a_refused_resume_changes_nothing(data: Path, whole: Path) -> None:
    before = {p.name: p.read_bytes() for p in whole.iterdir() if p.is_file()}
    with pytest.raises(BadInput, match="another run"):
        train(replace(six(), seed=5), data, whole, resume=True)
    assert {p.name: p.read_bytes() for p in whole.iterdir() if p.is_file()} == before


def test_resume_refuses_other_data_and_lets_other_habits_pass(whole: Path, data: Path) -> None:
    state = checkpoint.read(checkpoint.checkpoints(whole)[-1])
    habits = replace(six(), saving=SavingConfig(steps=1), readers=2, schedule=replace(six().schedule, accumulate=2))
    manifest, labels = state["manifest_sha256"], state["labels"]
    checkpoint.same_run(state, habits, manifest, labels, whole)
    for other in ((habits, "0" * 64, labels), (habits, manifest, labels[:-1])):
        with pytest.raises(BadInput, match="another run"):
            checkpoint.same_run(state, *other, whole)


def test_a_damaged_checkpoint_is_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "step-00000001.pt").write_bytes(b"PK\x03\x04 cut short")
    with pytest.raises(BadInput, match="no whole checkpoint") as caught:
        checkpoint.read(tmp_path / "step-00000001.pt")
    assert "\n" not in str(caught.value)


def test_missing_data_say_what_to_do(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="data build"):
        train(config(1), tmp_path / "nowhere", tmp_path / "run")
    with pytest.raises(BadInput, match="no images of glas; it has tnbc"):
        train(replace(config(1), sources={"glas": 1.0}), data, tmp_path / "other")


def test_held_out_part_shares_no_patient(data: Path) -> None:
    pathseg = PathSeg(data)
    kept = pathseg.select("train", ["tnbc"], 0.25, seed=3)
    held = pathseg.select("val", ["tnbc"], 0.25, seed=3)
    assert held and not {e.group for e in kept} & {e.group for e in held}
    assert len(kept) + len(held) == len(pathseg.entries)


def test_a_run_trains_on_nothing_held_out(data: Path) -> None:
    material = loop.prepare(config(1), data)
    held = {entry.first.image for entry in material.pathseg.select("val", ["tnbc"], 0.25, 0)}
    assert held and isinstance(material.sampler, Sampler)
    assert not held & {item.entry.first.image for item in material.sampler.items}


@pytest.mark.slow
@pytest.mark.parametrize("moment", [0.02, 0.5, 0.9])
def test_a_killed_run_goes_on_to_the_same_weights(data: Path, tmp_path: Path, moment: float) -> None:
    """Killed without warning at a share of its steps, by the command a person would give."""
    forty = replace(config(40), saving=SavingConfig(steps=2, look=15))
    subprocess.run(command(forty, data, tmp_path / "whole"), check=True, capture_output=True, timeout=300)
    out = tmp_path / "cut"
    cut = subprocess.Popen(command(forty, data, out), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        metrics = out / "metrics.jsonl"
        if metrics.exists() and len(metrics.read_text().splitlines()) > 40 * moment:
            break
        time.sleep(0.005)
    cut.send_signal(signal.SIGKILL)
    cut.wait()
    assert not (out / "model").exists()
    subprocess.run(command(forty, data, out, "--resume"), check=True, capture_output=True, timeout=300)
    assert rows(out) == rows(tmp_path / "whole")
    assert weights(out) == weights(tmp_path / "whole")


@pytest.mark.slow
def test_sigterm_to_the_command_saves_and_leaves_with_143(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    process = subprocess.Popen(command(config(10_000), data, out), stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 120
    while not (out / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGTERM)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 143 and b"--resume" in said and b"Traceback" not in said
    done = len(losses(out))
    assert checkpoint.checkpoints(out)[-1].name == f"step-{done:08d}.pt"
