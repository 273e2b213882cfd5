"""What the YAML of a group of specialists says: one network, trained on each source by itself with an equal budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.baselines.specialist import Network
from pathsegmentor.train.batches import SamplingConfig
from pathsegmentor.train.config import ScheduleConfig, read_settings
from pathsegmentor.train.ranges import check_numbers


@dataclass(frozen=True)
class LossConfig:
    """Weights of cross-entropy, focal loss (gamma 2) and Dice, each over the known pixels of every class."""

    bce: float = 1.0
    focal: float = 0.0
    dice: float = 1.0


@dataclass(frozen=True)
class CourseConfig:
    """Optimiser and rate: warm-up over the share ``warmup`` of the budget, then polynomial decay to zero.

    ``rates`` multiply the rate of parts of the network, by the first word of their names.
    """

    kind: Literal["adamw", "sgd"] = "adamw"
    rate: float = 1.5e-3
    rates: dict[str, float] = field(default_factory=dict)
    decay: float = 0.01
    warmup: float = 0.05
    power: float = 0.9
    clip: float = 1.0

    def schedule(self, steps: int) -> ScheduleConfig:
        """The same for a run of so many steps, as training's own parts read it."""
        return ScheduleConfig(
            steps=steps,
            rate=self.rate,
            rates=self.rates,
            decay=self.decay,
            warmup=self.warmup,
            power=self.power,
            clip=self.clip,
        )


@dataclass(frozen=True)
class Shrunk:
    """A smaller nnU-Net than the planned one; its rows are named "shrunk" wherever they are shown."""

    patch: int = 256
    batch: int = 4
    features: tuple[int, ...] = (16, 32, 64, 128, 256, 256)


@dataclass(frozen=True)
class SpecialistConfig:
    """A group of specialists; ``sources`` says at how many um per pixel each is trained and asked.

    The budget of each is ``steps``, or ``minutes`` of processor time (on a GPU: of the clock). ``init`` is
    ``imagenet`` (Lite0), a file of the backbone's weights, or empty; SAM-Path starts from ``init``, a file of SAM's,
    and ``hipt``. Of ``sampling`` the settings of prompts (``prompts``, ``absent``, ``foreign``, ``background``) have
    no meaning here; nnU-Net has its own augmentation, rate and loss, and ``shrunk`` is for it alone.
    """

    name: str
    network: Network
    sources: dict[str, float]
    steps: int = 0
    minutes: float = 0.0
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    course: CourseConfig = field(default_factory=CourseConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    shrunk: Shrunk | None = None
    init: str = ""
    hipt: str = ""
    save_steps: int = 20
    tile: int = 1024
    seed: int = 0


def read_specialist_config(path: Path) -> SpecialistConfig:
    """Read and check the YAML; raises ``BadInput`` with the setting that is wrong."""
    config = read_settings(SpecialistConfig, path)
    check_numbers(config, path.name)
    check(config, path.name)
    return config


def check(config: SpecialistConfig, where: str) -> None:
    """Raise ``BadInput`` for settings that no run can have."""
    if (config.steps > 0) == (config.minutes > 0) or min(config.steps, config.minutes) < 0:
        raise BadInput(f"{where}: give steps or minutes, one of them, above 0")
    for source, mpp in config.sources.items():
        if not 0.003 <= mpp <= 20:
            raise BadInput(f"{where}: sources.{source} is {mpp:g}; expected um per pixel, from 0.003 to 20")
    if not config.sources:
        raise BadInput(f"{where}: sources names none; give a source and its um per pixel, such as glas: 1.24")
    # Batch norm after the mean of the whole map has one value per image and channel.
    if config.sampling.images < 2 or len(config.sampling.crop) != 1:
        raise BadInput(f"{where}: sampling needs one size in crop and at least 2 images")
    if config.save_steps < 1:
        raise BadInput(f"{where}: save_steps is {config.save_steps}; expected at least 1")
    if config.network == "sam_path" and not (config.init and config.hipt):
        raise BadInput(f"{where}: sam_path needs init (weights of SAM) and hipt (weights of HIPT's ViT-256)")
    if config.network == "nnunet" and config.init:
        raise BadInput(f"{where}: nnunet starts from nothing; leave out init")
