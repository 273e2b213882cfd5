"""The training run: its steps, its checkpoints, its end.

Every step is drawn from (seed, step), so a run that is killed and resumed gives the same batches and
the same losses as one that was not.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from pathsegmentor.atomic import whole_file
from pathsegmentor.errors import BadInput
from pathsegmentor.model.folder import save_model
from pathsegmentor.train.batches import Batch
from pathsegmentor.train.config import TrainConfig
from pathsegmentor.train.criterion import Criterion
from pathsegmentor.train.run import Run, build, log, pixels_of, progress_bar, rate_at, read_prompts

CHECKPOINT = "checkpoint.pt"


def train(config: TrainConfig, data: Path, out: Path, resume: bool = False) -> Path:
    """Train to the end and write a model folder ``out/model``; returns it.

    ``data`` is a built PathSeg folder. ``resume`` goes on from
    ``out/checkpoint.pt``; without it an existing checkpoint is refused, not overwritten.
    """
    checkpoint = out / CHECKPOINT
    if checkpoint.exists() and not resume:
        raise BadInput(f"{checkpoint} exists; add --resume to go on, or choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    fabric = Fabric(accelerator="auto", devices=1, precision=config.precision)
    fabric.seed_everything(config.seed, verbose=False)
    run = build(config, data)
    if resume and checkpoint.exists():
        restore(run, checkpoint)
    loop(fabric, run, out)
    card = f"# {config.name}\n\nTrained for {run.step} steps. Research use only.\n"
    save_model(out / "model", config.model, run.average, run.tokenizer, run.labels, card, half=True)
    return out / "model"


def batch_loss(run: Run, criterion: Criterion, batch: Batch) -> dict[str, Tensor]:
    """Forward pass and loss terms of a batch."""
    net, read = run.net, read_prompts(run, batch.labels)
    memory = net.encode(pixels_of(run, batch))
    decoded = net.joint_decoder(memory, read.tokens, read.real)
    generator = torch.Generator().manual_seed(run.config.seed * 1_000_003 + run.step)
    targets = batch.targets.to(net.logit_scale.device)
    return criterion(net, memory, decoded, read.features, read.real, targets, generator)


def loop(fabric: Fabric, run: Run, out: Path) -> None:
    """Steps until the schedule's end, logging and saving on the way."""
    schedule = run.config.schedule
    run.net.to(fabric.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    criterion = Criterion(run.config.weights, run.config.points)
    run.net.train()
    writer = SummaryWriter(out / "tensorboard", purge_step=run.step)
    with progress_bar() as progress:
        task = progress.add_task(run.config.name, total=schedule.steps, completed=run.step)
        while run.step < schedule.steps:
            terms = one_step(fabric, run, criterion)
            log(out, writer, run.step, terms)
            run.step += 1
            progress.update(task, advance=1, description=f"{run.config.name} loss {terms['total']:.3f}")
            if run.step % schedule.checkpoint_every == 0 or run.step == schedule.steps:
                save(run, out / CHECKPOINT)
    writer.close()


def one_step(fabric: Fabric, run: Run, criterion: Criterion) -> dict[str, float]:
    """One optimiser step; the random numbers of a step depend on seed and step only."""
    schedule = run.config.schedule
    torch.manual_seed(run.config.seed * 1_000_003 + run.step)
    rate = rate_at(run.step, schedule)
    for group in run.optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    batch = run.batches.batch(run.step)
    with fabric.autocast():
        terms = batch_loss(run, criterion, batch)
    run.optimizer.zero_grad(set_to_none=True)
    fabric.backward(terms["total"])
    norm = torch.nn.utils.clip_grad_norm_(run.net.parameters(), schedule.clip)
    if not torch.isfinite(norm):
        raise BadInput(f"the gradient is not finite at step {run.step}; lower the rate or check the data")
    run.optimizer.step()
    update_average(run, schedule.ema)
    return {name: value.item() for name, value in terms.items()} | {"rate": rate, "norm": norm.item()}


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


def save(run: Run, path: Path) -> None:
    """Checkpoint with everything needed to go on; whole or not there."""
    state: dict[str, Any] = {
        "step": run.step,
        "labels": run.labels,
        "net": run.net.state_dict(),
        "average": run.average,
        "optimizer": run.optimizer.state_dict(),
    }
    with whole_file(path) as beside:
        torch.save(state, beside)


def restore(run: Run, path: Path) -> None:
    """Go on from a checkpoint; refuses one of another label set."""
    state = torch.load(path, map_location="cpu", weights_only=True)
    if state["labels"] != run.labels:
        raise BadInput(f"{path} was trained on other labels; choose another --out")
    run.net.load_state_dict(state["net"])
    run.average = state["average"]
    run.optimizer.load_state_dict(state["optimizer"])
    run.step = state["step"]
