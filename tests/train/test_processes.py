"""Two processes on one machine learn what one process does with the same batches."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from pathsegmentor.train.batches import SamplingConfig
from pathsegmentor.train.checkpoint import checkpoints
from pathsegmentor.train.config import SavingConfig, TrainConfig
from pathsegmentor.train.loop import train
from tests.train.tiny import CROP, TINY_FOCAL, command, config, losses, rows, weights

pytestmark = pytest.mark.slow


def calm(steps: int) -> TrainConfig:
    """Without the tower's random depth, which differs between processes."""
    model = replace(TINY_FOCAL, image=replace(TINY_FOCAL.image, drop_path=0.0))
    sampling = SamplingConfig(crop=CROP, images=4, prompts=2, absent=0.4)
    return replace(config(steps, model), sampling=sampling, saving=SavingConfig(steps=2, look=1000))


def run(line: list[str]) -> subprocess.CompletedProcess[bytes]:
    return subprocess.run(line, check=True, capture_output=True, timeout=500)


def same_losses(one: Path, other: Path) -> None:
    first, second = losses(one), losses(other)
    assert len(first) == len(second) > 0
    for a, b in zip(first, second, strict=True):
        assert b == pytest.approx(a, rel=2e-3, abs=2e-5), a["step"]


def test_two_processes_give_the_losses_of_one(data: Path, tmp_path: Path) -> None:
    train(calm(5), data, tmp_path / "one")
    said = run(command(calm(5), data, tmp_path / "two", "--devices", "2"))
    assert b"wrote" in said.stdout and said.stdout.count(b"wrote") == 1
    same_losses(tmp_path / "one", tmp_path / "two")
    assert (tmp_path / "two" / "model" / "model.safetensors").is_file()


def test_torchrun_starts_the_same(data: Path, tmp_path: Path) -> None:
    train(calm(3), data, tmp_path / "one")
    line = command(calm(3), data, tmp_path / "two")
    start = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"]
    run([*start, *line[1:]])
    same_losses(tmp_path / "one", tmp_path / "two")


def test_sigterm_to_one_stops_both_at_the_same_step(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    line = command(calm(10_000), data, out, "--devices", "2")
    process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    deadline = time.monotonic() + 300
    while not (out / "metrics.jsonl").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate(timeout=200)
    assert process.returncode == 143 and b"--resume" in said and b"Traceback" not in said
    assert checkpoints(out)[-1].name == f"step-{len(losses(out)):08d}.pt"


def test_two_processes_killed_together_go_on_to_the_same_weights(data: Path, tmp_path: Path) -> None:
    run(command(calm(8), data, tmp_path / "whole", "--devices", "2"))
    out = tmp_path / "cut"
    cut = subprocess.Popen(
        command(calm(8), data, out, "--devices", "2"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    deadline = time.monotonic() + 300
    while not checkpoints(out) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(cut.pid, signal.SIGKILL)
    cut.wait()
    assert checkpoints(out) and not (out / "model").exists()
    run(command(calm(8), data, out, "--devices", "2", "--resume"))
    assert rows(out) == rows(tmp_path / "whole")
    assert weights(out) == weights(tmp_path / "whole")
