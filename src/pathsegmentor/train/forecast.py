"""Try a run before its hours are spent: settings, data, labels, a real step, and what it would take."""

from __future__ import annotations

import math
import os
import resource
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

import torch

from pathsegmentor.errors import BadInput
from pathsegmentor.train.batches import Batch
from pathsegmentor.train.config import TrainConfig
from pathsegmentor.train.run import Material, Run, assemble, fabric_for, prepare
from pathsegmentor.train.step import backward, one_step, whole_of

FEW_IMAGES = 5
# A whole step is tried too if it should take no longer than this.
PATIENCE_S = 60.0


@dataclass(frozen=True)
class Forecast:
    """What a run needs on this machine; memory in bytes, ``images`` per label in the train part.

    ``memory`` is the peak of one process, ``room`` what its device has.
    """

    device: str
    images: dict[str, int]
    parameters: int
    frozen: int
    steps: int
    step_seconds: float
    read_seconds: float
    memory: int
    room: int
    tried_images: int

    @property
    def hours(self) -> float:
        """Of the whole run: reading goes on while a step is learnt from, and the slower decides."""
        return self.steps * max(self.step_seconds, self.read_seconds) / 3600

    @property
    def rare(self) -> list[str]:
        """Labels with hardly an image."""
        return [label for label, count in self.images.items() if count < FEW_IMAGES]


def forecast(config: TrainConfig, data: Path, devices: int) -> Forecast:
    """Do all that a run does before and in its first step, in one process; nothing is written.

    Raises ``BadInput`` for settings, data or labels that cannot be used, and for weights that get no gradient.
    """
    material = prepare(config, data)
    run = assemble(material, fabric_for(config.precision, 1))
    try:
        part = math.ceil(config.sampling.images / (devices * config.schedule.accumulate))
        reading, seconds, memory, fixed = _one_and_two(run)
        whole = fixed + (memory - fixed) * part
        step_seconds, tried = seconds * part * config.schedule.accumulate, min(2, config.sampling.images)
        if whole < 0.8 * _room(run) and step_seconds * devices < PATIENCE_S:
            step_seconds = one_step(run)["seconds"] / devices
            whole, tried = max(whole, _peak(run)), config.sampling.images
        return Forecast(
            device=torch.cuda.get_device_name() if run.fabric.device.type == "cuda" else "cpu",
            images=_images_per_label(material),
            parameters=sum(p.numel() for p in run.net.parameters()),
            frozen=sum(p.numel() for p in run.net.parameters() if not p.requires_grad),
            steps=material.steps,
            step_seconds=step_seconds,
            read_seconds=reading * config.sampling.images / devices / max(config.readers, 1),
            memory=whole,
            room=_room(run),
            tried_images=tried,
        )
    finally:
        run.feed.close()


def _one_and_two(run: Run) -> tuple[float, float, int, int]:
    """Seconds to read and to learn from an image; peak memory with one image, and the share no image has."""
    images = run.config.sampling.images
    began = time.perf_counter()
    one = run.material.sampler.batch(0, 0, images)
    reading = time.perf_counter() - began
    _learn(run, one)
    check_gradients(run)
    run.optimizer.step()  # Adam's state exists from here on
    seconds = _learn(run, one)
    single = _peak(run)
    if images == 1:
        return reading, seconds, single, _state(run)
    pair = run.material.sampler.batch(0, 0, images // 2)
    seconds = _learn(run, pair) / len(pair.rows)
    per_image = (_peak(run) - single) / max(len(pair.rows) - 1, 1)
    return reading, seconds, single, max(round(single - per_image), 0)


def _learn(run: Run, batch: Batch) -> float:
    began = time.perf_counter()
    terms = backward(run, [batch], whole_of(run, [batch]))
    if not math.isfinite(terms["total"]):
        raise BadInput("the first loss is not finite; look at the starting weights, model.mean and model.std")
    return time.perf_counter() - began


def check_gradients(run: Run) -> None:
    """Raise ``BadInput`` if the last pass gave a weight that learns no gradient."""
    lost = [name for name, p in run.net.named_parameters() if p.requires_grad and p.grad is None]
    if lost:
        raise BadInput(f"{len(lost)} weights get no gradient, the first is {lost[0]}; freeze them by schedule.rates")


def _images_per_label(material: Material) -> dict[str, int]:
    counts = Counter(label for entry in material.entries for label in entry.labels)
    return {label: counts[label] for label in sorted(counts)}


def _state(run: Run) -> int:
    """Bytes of weights, gradients, Adam's two averages, and the average that is saved."""
    return sum(p.numel() * p.element_size() * (4 if p.requires_grad else 1) for p in run.net.parameters()) + sum(
        v.numel() * v.element_size() for v in run.average.values() if run.config.schedule.ema
    )


def _peak(run: Run) -> int:
    if run.fabric.device.type == "cuda":
        return torch.cuda.max_memory_allocated()
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit


def _room(run: Run) -> int:
    if run.fabric.device.type == "cuda":
        return torch.cuda.get_device_properties(run.fabric.device).total_memory
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
