"""What the YAML of a group of specialists says: one network, trained on each source by itself with an equal budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.baselines.specialist import Network
from pathsegmentor.model.config import Within
from pathsegmentor.train.batches import SamplingConfig
from pathsegmentor.train.config import ScheduleConfig, read_settings
from pathsegmentor.train.criterion import Weight


@dataclass(frozen=True)
class LossConfig:
    """Weights of cross-entropy, focal loss (gamma 2) and Dice, each over the known pixels of every class."""

    bce: Weight = 1.0
    focal: Weight = 0.0
    dice: Weight = 1.0


@dataclass(frozen=True)
class CourseConfig:
    """Optimiser and rate: warm-up over the share ``warmup`` of the budget, then polynomial decay to zero.

    ``rates`` multiply the rate of parts of the network, by the first word of their names.
    """

    kind: Literal["adamw", "sgd"] = "adamw"
    rate: Annotated[float, Within(1e-15, 1)] = 1.5e-3
    rates: dict[str, Annotated[float, Within(0, 100)]] = field(default_factory=dict)
    decay: Annotated[float, Within(0, 10)] = 0.01
    warmup: Annotated[float, Within(0, 0.9)] = 0.05
    power: Annotated[float, Within(0, 10)] = 0.9
    clip: Annotated[float, Within(1e-6, 1e9)] = 1.0

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

    patch: Annotated[int, Within(32, 4096)] = 256
    batch: Annotated[int, Within(1, 1024)] = 4
    features: tuple[Annotated[int, Within(1, 4096)], ...] = (16, 32, 64, 128, 256, 256)


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
    sources: dict[str, Annotated[float, Within(0.003, 20)]]
    steps: Annotated[int, Within(0, 1_000_000_000)] = 0
    minutes: Annotated[float, Within(0, 1_000_000)] = 0.0
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    course: CourseConfig = field(default_factory=CourseConfig)
    loss: LossConfig = field(default_factory=LossConfig)
    shrunk: Shrunk | None = None
    init: str = ""
    hipt: str = ""
    save_steps: Annotated[int, Within(1, 1_000_000_000)] = 20
    tile: Annotated[int, Within(32, 4096)] = 1024
    seed: Annotated[int, Within(0, 2**31 - 1)] = 0


def read_specialist_config(path: Path) -> SpecialistConfig:
    """Read and check the YAML; raises ``BadInput`` with the setting that is wrong."""
    config = read_settings(SpecialistConfig, path)
    check(config, path.name)
    return config


def check(config: SpecialistConfig, where: str) -> None:
    """Raise ``BadInput`` for settings that no run can have."""
    if (config.steps > 0) == (config.minutes > 0):
        raise BadInput(f"{where}: give steps or minutes, one of them, above 0")
    if not config.sources:
        raise BadInput(f"{where}: sources names none; give a source and its um per pixel, such as glas: 1.24")
    # Batch norm after the mean of the whole map has one value per image and channel.
    if config.sampling.images < 2 or len(config.sampling.crop) != 1:
        raise BadInput(f"{where}: sampling needs one size in crop and at least 2 images")
    if config.network == "sam_path" and not (config.init and config.hipt):
        raise BadInput(f"{where}: sam_path needs init (weights of SAM) and hipt (weights of HIPT's ViT-256)")
    if config.network == "nnunet" and config.init:
        raise BadInput(f"{where}: nnunet starts from nothing; leave out init")
