"""What a training YAML may say; unknown keys are refused by name."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import yaml

from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.model.config import ModelConfig, read_dataclass
from pathsegmentor.train.batches import SamplingConfig
from pathsegmentor.train.criterion import Weights


@dataclass(frozen=True)
class ScheduleConfig:
    """Optimiser and its course: linear warm-up, then polynomial decay to zero over ``steps``.

    ``tower`` multiplies the rate of the image tower; ``decay`` is the weight decay of tensors with
    more than one dimension; ``clip`` the largest gradient norm; ``ema`` the decay of the average
    weights that are saved.
    """

    steps: int = 1000
    rate: float = 8e-4
    tower: float = 1.0
    decay: float = 0.05
    warmup: float = 0.05
    power: float = 0.9
    clip: float = 5.0
    ema: float = 0.999
    checkpoint_every: int = 100


@dataclass(frozen=True)
class TrainConfig:
    """A whole run; ``init`` is ``imagenet`` (light tower only), a model folder, or empty.

    ``sources`` are the parts of PathSeg to train on, and how often each is drawn.
    """

    name: str
    sources: dict[str, float]
    model: ModelConfig = field(default_factory=ModelConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    weights: Weights = field(default_factory=Weights)
    points: int = 2048
    held_out: float = 0.1
    seed: int = 0
    init: str = ""
    precision: str = "32-true"


def read_train_config(path: Path) -> TrainConfig:
    """Read and check a training YAML; raises ``BadInput`` in words."""
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        return read_dataclass(TrainConfig, values, path.name)
    except (OSError, yaml.YAMLError, UnicodeDecodeError, BadModel) as error:
        raise BadInput(f"{path} cannot be used: {' '.join(str(error).split())}") from error
