"""One optimiser step, over the parts of a batch and over processes."""

from __future__ import annotations

import math
import time

import torch

from pathsegmentor.train.batches import Batch
from pathsegmentor.train.criterion import Whole
from pathsegmentor.train.optimiser import rate_at
from pathsegmentor.train.run import Run, inputs_of, seed_of

# Half precision meets gradients that overflow until its scale has settled; so many in a row are a fault.
OVERFLOWS = 20


class NotFinite(Exception):
    """A loss or gradient is not finite; ``parts`` are this process's share of the batch."""

    def __init__(self, what: str, run: Run, parts: list[Batch]) -> None:
        super().__init__(f"the {what} is not finite")
        self.step, self.process, self.parts = run.step, run.fabric.global_rank, parts
        self.labels = run.material.start.labels


def one_step(run: Run) -> dict[str, float]:
    """Learn from one batch; returns the whole step's loss terms, its rate, gradient norm and seconds.

    The random numbers of a step depend on seed and step only. Raises ``NotFinite`` before the weights are touched.
    """
    began, fabric, schedule = time.perf_counter(), run.fabric, run.config.schedule
    torch.manual_seed(seed_of(run.config, run.step) + fabric.global_rank)
    rate = rate_at(run.step, run.material.steps, schedule)
    for group in run.optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    parts = run.feed.step(run.step)
    waited = time.perf_counter() - began
    terms = backward(run, parts, whole_of(run, parts))
    if not math.isfinite(terms["total"]):
        raise NotFinite("loss", run, parts)
    norm = fabric.clip_gradients(run.learner, run.optimizer, max_norm=schedule.clip, error_if_nonfinite=False)
    check_norm(run, parts, float(norm))
    run.optimizer.step()
    if schedule.ema:
        update_average(run, schedule.ema)
    seconds = time.perf_counter() - began
    return terms | {"rate": rate, "norm": float(norm), "seconds": seconds, "waited": waited}


def whole_of(run: Run, parts: list[Batch]) -> Whole:
    """Counts of the step over all parts and processes."""
    counts = torch.tensor([Whole.of(part.targets) for part in parts], device=run.fabric.device).sum(dim=0)
    return Whole(*run.fabric.all_reduce(counts, reduce_op="sum").tolist())


def backward(run: Run, parts: list[Batch], whole: Whole) -> dict[str, float]:
    """Gradients of the whole step; returns its loss terms."""
    run.optimizer.zero_grad(set_to_none=True)
    fabric = run.fabric
    sums: dict[str, torch.Tensor] = {}
    for i, part in enumerate(parts):
        with fabric.no_backward_sync(run.learner, enabled=i < len(parts) - 1):
            terms = run.learner(*inputs_of(run, part), whole)
            # Processes average their gradients, but their losses are shares that add up.
            fabric.backward(terms["total"] * fabric.world_size)
        for name, value in terms.items():
            sums[name] = sums.get(name, torch.zeros_like(value)) + value.detach()
    names = sorted(sums)
    values = fabric.all_reduce(torch.stack([sums[name] for name in names]), reduce_op="sum").tolist()
    return dict(zip(names, values, strict=True))


def check_norm(run: Run, parts: list[Batch], norm: float) -> None:
    """Refuse a gradient that is not finite; with scaled half precision only one that stays so."""
    if math.isfinite(norm):
        run.overflows = 0
        return
    run.overflows += 1
    scaled = bool(run.fabric.strategy.precision.state_dict())
    if not scaled or run.overflows > OVERFLOWS:
        raise NotFinite("gradient", run, parts)


@torch.no_grad()
def update_average(run: Run, decay: float) -> None:
    """Exponential moving average of all weights and running statistics; early steps count less."""
    decay = min(decay, (1 + run.step) / (10 + run.step))
    for name, value in run.net.state_dict().items():
        average = run.average[name]
        if average.is_floating_point():
            average.lerp_(value.to(average), 1 - decay)
        else:
            average.copy_(value)
