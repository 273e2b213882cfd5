"""Numbers a run cannot be made with, each refused in one line before anything is read."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from typing import Any

from pathsegmentor.errors import BadInput
from pathsegmentor.model.find import bundled
from pathsegmentor.model.folder import read_vocabulary
from pathsegmentor.train.config import TrainConfig
from pathsegmentor.vocabulary import Label, Vocabulary

PARTS = ("image_tower", "pixel_decoder", "text_encoder", "joint_decoder", "presence", "logit_scale")


def between(low: float, high: float) -> tuple[Callable[[Any], bool], str]:
    """From ``low`` to ``high``, both allowed."""
    return lambda x: low <= x <= high, f"from {low:g} to {high:g}"


def above(low: float, high: float) -> tuple[Callable[[Any], bool], str]:
    """Over ``low``, up to ``high``."""
    return lambda x: low < x <= high, f"above {low:g}, at most {high:g}"


SHARE, COUNT = between(0, 1), between(1, 1_000_000_000)
WEIGHT = between(0, 1000)
RULES: dict[str, tuple[Callable[[Any], bool], str]] = {
    "sources": WEIGHT,
    "points": between(16, 1_000_000),
    "held_out": between(0, 0.9),
    "seed": between(0, 2**31 - 1),
    "readers": between(0, 256),
    "sampling.crop": between(32, 8192),
    "sampling.images": between(1, 65_536),
    "sampling.prompts": between(1, 1000),
    "sampling.absent": SHARE,
    "sampling.scale": above(0, 10),
    "sampling.stain": SHARE,
    "sampling.colour": SHARE,
    "sampling.aim": SHARE,
    "sampling.foreign": SHARE,
    "sampling.scanner": SHARE,
    "sampling.glass": SHARE,
    "sampling.background": SHARE,
    "sampling.turn": SHARE,
    "sampling.flip": SHARE,
    "sampling.balance": SHARE,
    "schedule.steps": COUNT,
    "schedule.epochs": above(0, 100_000),
    "schedule.rate": above(0, 1),
    "schedule.rates": between(0, 100),
    "schedule.decay": between(0, 10),
    "schedule.warmup": between(0, 0.9),
    "schedule.power": between(0, 10),
    "schedule.drops": above(0, 1),
    "schedule.clip": above(0, 1e9),
    "schedule.ema": (lambda x: 0 <= x < 1, "from 0 to below 1"),
    "schedule.accumulate": between(1, 65_536),
    "saving.steps": COUNT,
    "saving.minutes": above(0, 100_000),
    "saving.keep": between(1, 10_000),
    "saving.look": COUNT,
    "weights": WEIGHT,
}


def check_ranges(config: TrainConfig, where: str) -> None:
    """Raise ``BadInput`` for the first setting that no run can have."""
    for name, value in _numbers(config, ""):
        if isinstance(value, float) and not math.isfinite(value):
            raise BadInput(f"{where}: {name} is {value}; expected a finite number")
        for rule, (fits, expected) in RULES.items():
            if (name == rule or name.startswith(f"{rule}.")) and not fits(value):
                raise BadInput(f"{where}: {name} is {value:g}; expected a number {expected}")
    _check_together(config, where)


def _check_together(config: TrainConfig, where: str) -> None:
    """What one setting demands of another."""
    schedule, scale = config.schedule, config.sampling.scale
    if (schedule.steps is None) == (schedule.epochs is None):
        raise BadInput(f"{where}: give schedule.steps or schedule.epochs, one of them")
    if not config.sampling.crop:
        raise BadInput(f"{where}: sampling.crop is empty; expected sizes in pixels")
    if config.sampling.order == "epoch" and len(set(config.sampling.crop)) > 1:
        raise BadInput(f"{where}: sampling.order epoch needs one size in sampling.crop")
    if len(scale) != 2 or scale[0] > scale[1]:
        raise BadInput(f"{where}: sampling.scale is {list(scale)}; expected two numbers, the smaller one first")
    if not any(config.sources.values()):
        raise BadInput(f"{where}: sources names none that is ever drawn; give at least one a weight above 0")
    if list(schedule.drops) != sorted(schedule.drops):
        raise BadInput(f"{where}: schedule.drops must rise, and is {list(schedule.drops)}")
    if schedule.accumulate > config.sampling.images:
        raise BadInput(f"{where}: {config.sampling.images} images cannot pass in {schedule.accumulate} parts")
    if config.recompute and config.model.image.kind != "focalnet":
        raise BadInput(f"{where}: recompute is for model.image.kind focalnet; the light tower keeps little")
    for part in schedule.rates:
        if part not in PARTS:
            raise BadInput(f"{where}: schedule.rates names no part '{part}'; parts: {', '.join(PARTS)}")
    for label in config.model.mpp:
        try:
            Label.from_id(label)
        except BadInput as error:
            raise BadInput(f"{where}: model.mpp: {error}") from error


def check_labels(config: TrainConfig, labels: Iterable[str]) -> None:
    """Refuse a label in ``model.mpp`` that neither the data nor the paper nor a bundled model has: it is misspelt."""
    known = {label.id for label in Vocabulary.paper()} | set(labels)
    known |= {label.id for folder in bundled().values() for label in read_vocabulary(folder)}
    for label in config.model.mpp:
        if label not in known:
            near = get_close_matches(label, sorted(known), 1, 0)
            raise BadInput(f"model.mpp names '{label}', which is no label of the data; did you mean '{near[0]}'?")


def _numbers(value: Any, name: str) -> Iterable[tuple[str, Any]]:
    """Every number in nested settings with its dotted name."""
    if is_dataclass(value):
        for f in fields(value):
            yield from _numbers(getattr(value, f.name), f"{name}.{f.name}" if name else f.name)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _numbers(item, f"{name}.{key}")
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _numbers(item, name)
    elif isinstance(value, (int, float)) and not isinstance(value, bool):
        yield name, value
