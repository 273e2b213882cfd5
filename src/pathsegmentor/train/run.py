"""What a training run is made of, and how it is built from a config and data."""

from __future__ import annotations

import math
import os
from dataclasses import dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric
from torch import Tensor

from pathsegmentor.atomic import sha256_of
from pathsegmentor.data.manifest import MANIFEST
from pathsegmentor.data.pathseg import Entry, PathSeg
from pathsegmentor.errors import BadInput
from pathsegmentor.model.tokenizer import tokenize
from pathsegmentor.train.adapters import adapt
from pathsegmentor.train.batches import Batch, Sampler
from pathsegmentor.train.config import TrainConfig, checked
from pathsegmentor.train.criterion import Criterion, Targets
from pathsegmentor.train.feed import Feed, Share
from pathsegmentor.train.keep import Keep
from pathsegmentor.train.learner import Learner, Places, Words
from pathsegmentor.train.optimiser import optimiser
from pathsegmentor.train.recompute import recompute
from pathsegmentor.train.start import Start, start
from pathsegmentor.train.together import check_labels
from pathsegmentor.vocabulary import Label


@dataclass(frozen=True)
class Material:
    """All that a config and data give before a device is chosen."""

    config: TrainConfig
    pathseg: PathSeg
    entries: list[Entry]
    start: Start
    sampler: Sampler
    steps: int
    manifest_sha256: str


@dataclass
class Run:
    """All that a run needs to go on; everything that learns lives on the run's device."""

    material: Material
    fabric: Fabric
    learner: torch.nn.Module
    optimizer: torch.optim.Optimizer
    average: dict[str, Tensor]
    feed: Feed
    step: int = 0
    best: float = -math.inf
    overflows: int = 0

    @property
    def config(self) -> TrainConfig:
        """The run's settings."""
        return self.material.config

    @property
    def net(self) -> torch.nn.Module:
        """The network that learns."""
        return self.material.start.net


def prepare(config: TrainConfig, data: Path) -> Material:
    """Read and check config, data, labels and starting weights; raises ``BadInput`` before hours are spent."""
    checked(config)
    pathseg = PathSeg(data)
    entries = pathseg.select("train", config.sources, config.held_out, config.seed)
    labels = {label for entry in entries for label in entry.labels}
    missing = sorted(set(config.labels) - labels)
    if missing:
        raise BadInput(f"{data}: the train part has no object of {missing[0]}; it has {', '.join(sorted(labels))}")
    labels = set(config.labels) or labels
    if not labels:
        raise BadInput(
            f"{data}: the train part of {', '.join(config.sources)} has no image; check sources and held_out"
        )
    begin = start(config.model, config.init, labels)
    of_data = {label for entry in pathseg.entries for label in (*entry.labels, *entry.first.annotated)}
    check_labels(config, of_data | set(begin.labels))
    sampler = sampler_of(config, pathseg, entries, begin.labels)
    steps = config.schedule.steps
    if steps is None:
        length = sampler.epochs.length if sampler.epochs is not None else len(sampler.items)
        steps = max(math.ceil((config.schedule.epochs or 0) * length / config.sampling.images), 1)
    return Material(config, pathseg, entries, begin, sampler, steps, sha256_of(data / MANIFEST))


def teach(net: torch.nn.Module, config: TrainConfig) -> None:
    """Put the network in training mode, but parts that are frozen and statistics that are to stay."""
    net.train()
    for name, part in net.named_children():
        if config.schedule.rates.get(name) == 0:
            part.eval()
    if config.fixed_statistics:
        for part in net.modules():
            if isinstance(part, torch.nn.modules.batchnorm._BatchNorm):
                part.eval()


def keeper(config: TrainConfig, begin: Start) -> Keep | None:
    """What holds the answers to the starting model's labels, but to those that are to be learnt again."""
    held = [label for label in begin.known if label not in config.labels]
    if not (config.keep and held):
        return None
    prompts = [config.model.prompt_of(Label.from_id(label)) for label in held]
    ids, real = tokenize(begin.tokenizer, prompts, config.model.text, torch.device("cpu"))
    return Keep(begin.net, ids, real, config.keep)


def sampler_of(config: TrainConfig, pathseg: PathSeg, entries: list[Entry], labels: list[str]) -> Sampler:
    """The sampler of some images of a run."""
    scales = {label: config.model.mpp_of(label) for label in labels}
    return Sampler(pathseg, entries, labels, scales, config.sources, config.sampling, config.seed)


def fabric_for(precision: str, devices: int) -> Fabric:
    """Fabric on this machine's accelerator, or on CPUs; as many processes as ``torchrun`` says, or ``devices``."""
    nodes = 1
    if "TORCHELASTIC_RUN_ID" in os.environ:
        devices = int(os.environ["LOCAL_WORLD_SIZE"])
        nodes = int(os.environ["WORLD_SIZE"]) // devices
    if torch.cuda.is_available() and devices > torch.cuda.device_count():
        raise BadInput(f"--devices {devices}: this machine has {torch.cuda.device_count()}")
    if precision == "auto":
        precision = "bf16-mixed" if torch.cuda.is_available() and torch.cuda.is_bf16_supported() else "32-true"
    several = devices * nodes > 1
    return Fabric(
        accelerator="auto",
        devices=devices,
        num_nodes=nodes,
        precision=precision,
        strategy="ddp" if several else "auto",
    )


def assemble(material: Material, fabric: Fabric) -> Run:
    """Put network, optimiser and averages on the device, and start drawing this process's batches."""
    config, net = material.config, material.start.net
    keep = keeper(config, material.start)
    if keep is not None:
        keep.to(fabric.device)
    if config.adapters:
        adapt(net, config.adapters)
    net.to(fabric.device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    if fabric.world_size > 1 and fabric.device.type == "cuda":
        torch.nn.SyncBatchNorm.convert_sync_batchnorm(net)
    if config.recompute:
        recompute(net)
    adam = optimiser(net, config.schedule)
    teach(net, config)
    learner, adam = fabric.setup(Learner(net, Criterion(config.weights), keep), adam)
    share = Share(fabric.global_rank, fabric.world_size, config.schedule.accumulate)
    state = net.state_dict()
    average = {k: v.clone() for k, v in state.items()} if config.schedule.ema else state
    return Run(material, fabric, learner, adam, average, Feed(material.sampler, share, config.readers, material.steps))


def seed_of(config: TrainConfig, step: int) -> int:
    """What the random numbers of a step depend on."""
    return config.seed * 1_000_003 + step


def words_of(material: Material, labels: Tensor, device: torch.device) -> Words:
    """Token ids of label indices (B, P); each label is read once."""
    asked, which = labels.unique(return_inverse=True)
    prompts = [material.config.model.prompt_of(Label.from_id(material.start.labels[i])) for i in asked.tolist()]
    ids, real = tokenize(material.start.tokenizer, prompts, material.config.model.text, device)
    return Words(ids, real, which.to(device))


def inputs_of(run: Run, batch: Batch) -> tuple[Tensor, Words, Targets, Places]:
    """What the learner takes of a batch, on the run's device."""
    device = run.fabric.device
    places = Places(seed_of(run.config, run.step), batch.images, run.config.points, batch.rows)
    targets = Targets(*(x.to(device) for x in batch.targets))
    return batch.pixels.to(device), words_of(run.material, batch.labels, device), targets, places
