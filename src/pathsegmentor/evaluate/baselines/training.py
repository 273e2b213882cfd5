"""Training of specialists: one source, all its classes, a stated budget, and on from the last checkpoint."""

from __future__ import annotations

import json
import math
import time
from contextlib import closing
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathsegmentor.atomic import sha256_of, whole_file
from pathsegmentor.data.manifest import MANIFEST
from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.baselines.class_sampler import ClassSampler, train_part
from pathsegmentor.evaluate.baselines.nnunet_train import train_nnunet
from pathsegmentor.evaluate.baselines.specialist import SPEC, Spec, normalise
from pathsegmentor.evaluate.baselines.specialist_config import LossConfig, SpecialistConfig
from pathsegmentor.evaluate.baselines.specialist_start import started
from pathsegmentor.model.weights import write_tensors
from pathsegmentor.train.batches import Batch
from pathsegmentor.train.checkpoint import read
from pathsegmentor.train.config import to_yaml
from pathsegmentor.train.criterion import Targets
from pathsegmentor.train.feed import Feed, Share
from pathsegmentor.train.folder import CONFIG, only_writer
from pathsegmentor.train.loop import progress_bar
from pathsegmentor.train.optimiser import optimiser, rate_at
from pathsegmentor.train.stop import Stopped, stop_signals

WEIGHTS, STATE, STEPS = "model.safetensors", "checkpoint.pt", "metrics.jsonl"
# The rate follows the share of the budget that is spent, in so many parts.
PARTS = 100_000
GAMMA = 2.0


@dataclass
class Training:
    """All that learns, and how much of the budget is spent (steps; seconds)."""

    config: SpecialistConfig
    classes: list[str]
    manifest: str
    net: nn.Module
    optimizer: torch.optim.Optimizer
    device: str
    step: int = 0
    spent: float = 0.0

    @property
    def share(self) -> float:
        """Of the budget that is spent, from 0 to 1 and more."""
        config = self.config
        return self.step / config.steps if config.steps else self.spent / (60 * config.minutes)


def train_specialist(config: SpecialistConfig, source: str, data: Path, out: Path, device: str = "cpu") -> Path:
    """Train the specialist of one source in the folder ``out``, or go on, or leave what is done; returns ``out``.

    Raises ``BadInput`` if ``out`` belongs to another run, ``Stopped`` after a signal with all work saved.
    """
    if source not in config.sources:
        raise BadInput(f"{config.name} has no source {source}; it has {', '.join(config.sources)}")
    pathseg, manifest = PathSeg(data), sha256_of(data / MANIFEST)
    with only_writer(out):
        _same_run(config, source, manifest, out)
        if (out / SPEC).is_file():
            return out
        entries, classes = train_part(pathseg, source)
        if config.network == "nnunet":
            spec = train_nnunet(config, source, pathseg, entries, classes, out, device)
        else:
            torch.manual_seed(config.seed)
            sampler = ClassSampler(pathseg, entries, classes, config.sources[source], config.sampling, config.seed)
            training = _begin(config, classes, manifest, device)
            _restore(training, out)
            with closing(Feed(sampler, Share(), 0, PARTS)) as feed:
                _learn(training, feed, out, f"{config.name} {source}")
            spec = _write(training, source, out)
        with whole_file(out / SPEC) as beside:
            beside.write_text(json.dumps(asdict(spec), indent=1) + "\n", encoding="utf-8")
    return out


def _same_run(config: SpecialistConfig, source: str, manifest: str, out: Path) -> None:
    """Note in the folder which run it is of; refuse that of another."""
    told = f"# source {source}, manifest {manifest}\n{to_yaml(config)}"
    path = out / CONFIG
    if path.is_file() and path.read_text(encoding="utf-8") != told:
        raise BadInput(f"{out} belongs to a run with other settings or data ({path}); choose another --out")
    with whole_file(path) as beside:
        beside.write_text(told, encoding="utf-8")


def _begin(config: SpecialistConfig, classes: list[str], manifest: str, device: str) -> Training:
    net = started(config, len(classes)).to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    frozen = [p for p in net.parameters() if not p.requires_grad]
    adam = optimiser(net, config.course.schedule(PARTS))
    for parameter in frozen:  # SAM-Path's encoders
        parameter.requires_grad_(False)
    groups = [{**group, "params": [p for p in group["params"] if p.requires_grad]} for group in adam.param_groups]
    kept = [{key: group[key] for key in ("params", "factor", "weight_decay")} for group in groups if group["params"]]
    if config.course.kind == "sgd":
        chosen: torch.optim.Optimizer = torch.optim.SGD(kept, lr=config.course.rate, momentum=0.9)
    else:
        chosen = torch.optim.AdamW(kept, lr=config.course.rate)
    return Training(config, classes, manifest, net, chosen, device)


def _learn(training: Training, feed: Feed, out: Path, name: str) -> None:
    with stop_signals() as stop, progress_bar(shown=True) as progress:
        task = progress.add_task(name, total=PARTS, completed=0)
        training.net.train()
        while training.share < 1:
            loss = _step(training, feed)
            progress.update(task, completed=int(training.share * PARTS), description=f"{name} loss {loss:.3f}")
            if training.step % training.config.save_steps == 0 or training.share >= 1 or stop.asked:
                _save(training, out)
            if stop.asked:
                raise Stopped(training.step, stop.number)


def _step(training: Training, feed: Feed) -> float:
    """One batch; its random numbers depend on seed and step alone."""
    config, course = training.config, training.config.course
    clock = time.perf_counter if training.device.startswith("cuda") else time.process_time
    began = clock()
    torch.manual_seed(config.seed * 1_000_003 + training.step)
    rate = rate_at(int(training.share * PARTS), PARTS, course.schedule(PARTS))
    for group in training.optimizer.param_groups:
        group["lr"] = rate * group["factor"]
    (batch,) = feed.step(training.step)
    loss = loss_of(training.net, batch, config)
    value = float(loss.detach())
    if not math.isfinite(value):
        raise BadInput(f"the loss is not finite at step {training.step}; lower course.rate")
    training.optimizer.zero_grad(set_to_none=True)
    loss.backward()
    nn.utils.clip_grad_norm_([p for p in training.net.parameters() if p.grad is not None], course.clip)
    training.optimizer.step()
    training.step += 1
    training.spent += clock() - began
    return value


def loss_of(net: nn.Module, batch: Batch, config: SpecialistConfig) -> Tensor:
    """Loss of a batch, on the device of the network."""
    device = next(net.parameters()).device
    logits = net(normalise(config.network, batch.pixels.to(device)).contiguous(memory_format=torch.channels_last))
    return masks_loss(logits, Targets(*(part.to(device) for part in batch.targets)), config.loss)


def masks_loss(logits: Tensor, targets: Targets, weights: LossConfig) -> Tensor:
    """Loss of logits (B, K, H, W) where the pixel's class is known.

    Cross-entropy and focal loss are means over known pixels; Dice is that of a class over the whole batch, and counts
    for classes of which a pixel is known.
    """
    truth, known = targets.masks.float(), targets.known
    cross = F.binary_cross_entropy_with_logits(logits, truth, reduction="none")
    sure = known.sum().clamp(min=1)
    p = logits.sigmoid() * known
    missed = (logits.sigmoid() - truth).abs() ** GAMMA
    overlap, total = (p * truth).sum(dim=(0, 2, 3)), (p + truth * known).sum(dim=(0, 2, 3))
    dice = 1 - (2 * overlap + 1) / (total + 1)
    counted = known.any(dim=3).any(dim=2).any(dim=0)
    return (
        weights.bce * (cross * known).sum() / sure
        + weights.focal * (cross * missed * known).sum() / sure
        + weights.dice * (dice * counted).sum() / counted.sum().clamp(min=1)
    )


def _save(training: Training, out: Path) -> None:
    state = {
        "net": training.net.state_dict(),
        "optimizer": training.optimizer.state_dict(),
        "step": training.step,
        "spent": training.spent,
    }
    with whole_file(out / STATE) as beside:
        torch.save(state, beside)


def _restore(training: Training, out: Path) -> None:
    if not (out / STATE).is_file():
        return
    state: dict[str, Any] = read(out / STATE, training.device)
    training.net.load_state_dict(state["net"])
    training.optimizer.load_state_dict(state["optimizer"])
    training.step, training.spent = state["step"], state["spent"]


def _write(training: Training, source: str, out: Path) -> Spec:
    """Weights, and what is to be said of them; the checkpoint is of no more use."""
    config = training.config
    with whole_file(out / WEIGHTS) as beside:
        write_tensors(training.net.state_dict(), beside)
    square = config.network == "sam_path"
    trained = {
        "config": config.name,
        "source": source,
        "manifest_sha256": training.manifest,
        "steps": str(training.step),
        "seconds": f"{training.spent:.0f}",
        "seed": str(config.seed),
        "device": training.device,
    }
    (out / STATE).unlink(missing_ok=True)
    return Spec(
        config.network,
        tuple(training.classes),
        mpp=0.0 if square else config.sources[source],
        size=config.sampling.crop[0] if square else 0,
        tile=config.tile,
        sha256=sha256_of(out / WEIGHTS),
        trained=trained,
    )
