"""How fast training is: images a second, waiting for data, several prompts of one image, and against a plain loop.

    python benchmarks/training_speed.py --data pathseg

On a CPU it measures nano; where there is a CUDA device also nano and base on it, in bfloat16, with and without
torch.compile: images a second, memory, and the share of the device's arithmetic that is used. Steps are the run's own
(``train.step``) on real batches; a "plain loop" is the same network and loss in ten lines of PyTorch, without Fabric,
average and bookkeeping. Writes ``benchmarks/results/training_speed.json``.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from base_step import machine
from torch.utils.flop_counter import FlopCounterMode

from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.train.batches import Batch
from pathsegmentor.train.config import TrainConfig, read_train_config
from pathsegmentor.train.criterion import Criterion
from pathsegmentor.train.learner import Learner
from pathsegmentor.train.run import Run, assemble, fabric_for, inputs_of, prepare
from pathsegmentor.train.step import backward, one_step, update_average, whole_of

ROOT = Path(__file__).parents[1]
RESULT = ROOT / "benchmarks" / "results" / "training_speed.json"
WARM = 2
# Dense bfloat16, as their makers state it.
PEAK = {"H100": 989e12, "H200": 989e12, "A100": 312e12, "L40S": 362e12, "L4": 121e12}
# One GPU's share of the paper's 32 images on four of them.
BASE_IMAGES = 8


def settings(name: str, data: Path, prompts: int | None = None) -> TrainConfig:
    """A shipped config, for the sources that are there, with weights that start at random."""
    config = read_train_config(ROOT / "configs" / f"{name}.yaml")
    there = {entry.first.source for entry in PathSeg(data).entries}
    sampling = config.sampling
    if name == "base":
        sampling = replace(sampling, images=BASE_IMAGES)
    if prompts is not None:
        sampling = replace(sampling, prompts=prompts)
    sources = {source: weight for source, weight in config.sources.items() if source in there}
    return replace(config, init="", sources=sources, sampling=sampling)


def assembled(config: TrainConfig, data: Path, device: str) -> Run:
    torch.manual_seed(0)
    if device == "cpu":
        config = replace(config, precision="32-true")
    return assemble(prepare(config, data), fabric_for(config.precision if device == "cpu" else "auto", 1))


class Times(NamedTuple):
    """Median seconds of a step, and of all cores that the process kept busy: what a shared machine cannot disturb."""

    wall: float
    cpu: float


def median_times(step: Callable[[], object], device: str, steps: int) -> Times:
    wall, cpu = [], []
    for number in range(WARM + steps):
        synchronise(device)
        began = time.perf_counter(), time.process_time()
        step()
        synchronise(device)
        if number >= WARM:
            wall.append(time.perf_counter() - began[0])
            cpu.append(time.process_time() - began[1])
    return Times(statistics.median(wall), statistics.median(cpu))


def synchronise(device: str) -> None:
    if device == "cuda":
        torch.cuda.synchronize()


def whole_steps(run: Run, steps: int) -> dict[str, float]:
    """Steps as a run makes them, reading included: images a second, and the share of time that waits for data."""
    seconds, waited = 0.0, 0.0
    for number in range(WARM + steps):
        terms = one_step(run)
        run.step += 1
        if number >= WARM:
            seconds += terms["seconds"]
            waited += terms["waited"]
    images = steps * run.config.sampling.images
    return {"images_per_second": round(images / seconds, 2), "share_waiting": round(waited / seconds, 3)}


def learning(run: Run, part: Batch) -> None:
    """What a step does once its batch is there."""
    backward(run, [part], whole_of(run, [part]))
    run.fabric.clip_gradients(run.learner, run.optimizer, max_norm=run.config.schedule.clip, error_if_nonfinite=False)
    run.optimizer.step()
    if run.config.schedule.ema:
        update_average(run, run.config.schedule.ema)


def plain(run: Run, part: Batch, device: str) -> Callable[[], None]:
    """The same in ten lines of PyTorch."""
    learner = Learner(run.material.start.net, Criterion(run.config.weights))
    adam = torch.optim.AdamW(learner.parameters(), lr=1e-6)
    whole = whole_of(run, [part])

    def step() -> None:
        adam.zero_grad(set_to_none=True)
        with torch.autocast(device, torch.bfloat16, enabled=device == "cuda"):
            loss = learner(*inputs_of(run, part), whole)["total"]
        loss.backward()
        torch.nn.utils.clip_grad_norm_(learner.parameters(), run.config.schedule.clip)
        adam.step()

    return step


def learning_row(name: str, data: Path, device: str, steps: int, compiled: bool) -> dict[str, Any]:
    """One batch, learnt from again and again."""
    run = assembled(settings(name, data), data, device)
    part = run.feed.step(0)[0]
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    with FlopCounterMode(display=False) as counter:
        backward(run, [part], whole_of(run, [part]))
    if compiled:
        run.material.start.net.image_tower.compile()
        run.material.start.net.pixel_decoder.compile()
    times = median_times(lambda: learning(run, part), device, steps)
    images, triples, flop = len(part.rows), part.labels.numel(), counter.get_total_flops()
    row: dict[str, Any] = {
        "model": name,
        "device": torch.cuda.get_device_name() if device == "cuda" else machine(),
        "precision": str(run.fabric.strategy.precision.precision),
        "images": images,
        "prompts": triples // images,
        "crop": part.pixels.shape[-1],
        "compiled": compiled,
        "images_per_second": round(images / times.wall, 2),
        "cpu_seconds_per_image": round(times.cpu / images, 3),
        "tera_flop_per_image": round(flop / images / 1e12, 4),
        "tera_flop_per_second": round(flop / times.wall / 1e12, 3),
    }
    if device == "cuda":
        row["gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 2)
        peak = next((value for key, value in PEAK.items() if key in row["device"]), None)
        row["utilisation"] = None if peak is None else round(flop / times.wall / peak, 3)
    if not compiled:
        other = median_times(plain(run, part, device), device, steps)
        row["plain_loop"] = {
            "images_per_second": round(images / other.wall, 2),
            "cpu_seconds_per_image": round(other.cpu / images, 3),
        }
    run.feed.close()
    return row


def sharing(name: str, data: Path, device: str, steps: int) -> dict[str, Any]:
    """A triple (image, mask, words) with one prompt an image, and with six that share its encoding."""
    found = {}
    for prompts in (1, 6):
        run = assembled(settings(name, data, prompts), data, device)
        part = run.feed.step(0)[0]
        times = median_times(lambda r=run, p=part: learning(r, p), device, steps)
        # A step on a GPU costs the CPU next to nothing, and on a CPU the wall clock is everyone's.
        found[prompts] = (times.cpu if device == "cpu" else times.wall) / part.labels.numel()
        run.feed.close()
    return {
        "model": name,
        "clock": "CPU seconds of the process" if device == "cpu" else "wall",
        "milliseconds_per_triple": {str(prompts): round(1000 * value, 2) for prompts, value in found.items()},
        "times_cheaper_with_six": round(found[1] / found[6], 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="PathSeg folder")
    parser.add_argument("--steps", type=int, default=15)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    arguments = parser.parse_args()
    data, steps = arguments.data, arguments.steps
    torch.set_num_threads(arguments.threads)
    result: dict[str, Any] = {
        "command": f"python benchmarks/training_speed.py --data pathseg --steps {steps} --threads {arguments.threads}",
        "machine": f"{machine()}, {os.cpu_count()} cores, {arguments.threads} threads",
        "load_before": os.getloadavg()[0],
        "torch": torch.__version__,
    }
    device = "cuda" if torch.cuda.is_available() else "cpu"
    run = assembled(settings("nano", data), data, device)
    result["nano_whole_steps"] = {"device": device} | whole_steps(run, steps)
    run.feed.close()
    result["learning"], result["prompts"] = [], []
    for name in ("nano", "base") if device == "cuda" else ("nano",):
        result["prompts"].append(sharing(name, data, device, steps))
        for compiled in (False, True) if device == "cuda" else (False,):
            result["learning"].append(learning_row(name, data, device, steps, compiled))
            print(result["learning"][-1], flush=True)
    if device == "cpu":
        result["gpu"] = (
            "no CUDA device here: nano and base on a GPU, their memory, utilisation and torch.compile not run"
        )
        print(result["gpu"])
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
