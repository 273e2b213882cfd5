"""One optimiser step of configs/base.yaml, the paper's run, on a CPU: seconds and memory of one image of 1024 pixels.

    python benchmarks/base_step.py --data pathseg

and what the forward pass keeps for the backward pass, with and without ``recompute``, which computes the blocks of the
image tower again in the backward pass. The config is the paper's to the letter but for what one image on a CPU asks:
``sampling.images`` is 1, weights start at random (they cost the same), and only those of its sources are read that the
given PathSeg has. Each row is a process of its own, since memory is the peak of a process. Writes
``benchmarks/results/base_step.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.train.config import TrainConfig, read_train_config
from pathsegmentor.train.run import assemble, fabric_for, inputs_of, prepare
from pathsegmentor.train.step import one_step, whole_of

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "base_step.json"
# Without recomputing, 1024 pixels take more than most desktops have.
ROWS = ((1024, True), (512, True), (512, False))
KEPT = ((512, True), (512, False))
UNIT = 1 if sys.platform == "darwin" else 1024


def settings(data: Path, side: int, recompute: bool) -> TrainConfig:
    config = read_train_config(ROOT / "configs" / "base.yaml")
    there = {entry.first.source for entry in PathSeg(data).entries}
    return replace(
        config,
        init="",
        readers=0,
        recompute=recompute,
        sources={name: weight for name, weight in config.sources.items() if name in there},
        sampling=replace(config.sampling, images=1, crop=(side,)),
        schedule=replace(config.schedule, accumulate=1),
    )


def step(data: Path, side: int, recompute: bool, threads: int) -> dict[str, Any]:
    """A first step: it also makes Adam's two averages of every weight."""
    torch.set_num_threads(threads)
    run = assemble(prepare(settings(data, side, recompute), data), fabric_for("auto", 1))
    before = {name: p.detach().clone() for name, p in list(run.net.named_parameters())[:50]}
    started, began = peak(), (time.perf_counter(), time.process_time())
    terms = one_step(run)
    seconds, cpu_seconds = time.perf_counter() - began[0], time.process_time() - began[1]
    run.feed.close()
    moved = [name for name, p in list(run.net.named_parameters())[:50] if not torch.equal(p, before[name])]
    return {
        "side": side,
        "recompute": recompute,
        "prompts": run.config.sampling.prompts,
        "parameters": sum(p.numel() for p in run.net.parameters()),
        "moved": f"{len(moved)} of {len(before)} looked at",
        "loss": terms["total"],
        "gradient_norm": terms["norm"],
        "seconds": round(seconds, 1),
        "cpu_seconds": round(cpu_seconds, 1),
        "gib_before": round(started / 2**30, 2),
        "gib_peak": round(peak() / 2**30, 2),
    }


def kept(data: Path, side: int, recompute: bool, threads: int) -> dict[str, Any]:
    """Tensors that a forward pass leaves for the backward pass, weights and their views apart."""
    torch.set_num_threads(threads)
    run = assemble(prepare(settings(data, side, recompute), data), fabric_for("auto", 1))
    weights = {p.untyped_storage().data_ptr() for p in run.net.parameters()}
    found: dict[int, int] = {}

    def keep(tensor: Tensor) -> Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in weights:
            found[storage.data_ptr()] = storage.nbytes()
        return tensor

    parts = run.feed.step(0)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        terms = run.learner(*inputs_of(run, parts[0]), whole_of(run, parts))
    run.feed.close()
    del terms
    return {"side": side, "recompute": recompute, "gib_kept": round(sum(found.values()) / 2**30, 2)}


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * UNIT


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="PathSeg folder")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--row", type=int, help="only this row, as JSON on stdout")
    arguments = parser.parse_args()
    if arguments.row is not None:
        row = (arguments.data, *(*ROWS, *KEPT)[arguments.row], arguments.threads)
        print(json.dumps(step(*row) if arguments.row < len(ROWS) else kept(*row)))
        return
    rows = []
    for number in range(len(ROWS) + len(KEPT)):
        again = [sys.executable, __file__, "--data", str(arguments.data), "--threads", str(arguments.threads)]
        done = subprocess.run([*again, "--row", str(number)], stdout=subprocess.PIPE, text=True, check=True)
        rows.append(json.loads(done.stdout.splitlines()[-1]))
        print(rows[-1], flush=True)
    result = {
        "command": f"python benchmarks/base_step.py --data pathseg --threads {arguments.threads}",
        "machine": f"{machine()}, {os.cpu_count()} cores, {arguments.threads} thread, shared with other work",
        "torch": torch.__version__,
        "python": platform.python_version(),
        "steps": rows[: len(ROWS)],
        "kept_by_the_forward_pass": rows[len(ROWS) :],
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def machine() -> str:
    """What the system says of its processor."""
    info = Path("/proc/cpuinfo")
    names = [line.split(":", 1)[1].strip() for line in info.read_text().splitlines() if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


if __name__ == "__main__":
    main()
