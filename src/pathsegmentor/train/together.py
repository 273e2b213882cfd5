"""What the settings of a run demand of each other, each refused in one line before anything is read."""

from __future__ import annotations

from collections.abc import Iterable
from difflib import get_close_matches

from pathsegmentor.errors import BadInput
from pathsegmentor.model.find import bundled
from pathsegmentor.model.folder import read_vocabulary
from pathsegmentor.train.config import TrainConfig
from pathsegmentor.vocabulary import Vocabulary

PARTS = ("image_tower", "pixel_decoder", "text_encoder", "joint_decoder", "presence", "logit_scale")


def check_together(config: TrainConfig, where: str) -> None:
    """Raise ``BadInput`` where one setting does not allow another."""
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


def check_labels(config: TrainConfig, labels: Iterable[str]) -> None:
    """Refuse a label in the model's settings that neither data, paper nor a bundled model has: it is misspelt."""
    known = {label.id for label in Vocabulary.paper()} | set(labels)
    known |= {label.id for folder in bundled().values() for label in read_vocabulary(folder)}
    for setting, named in (("mpp", config.model.mpp), ("prompts", config.model.prompts)):
        for label in named:
            if label not in known:
                near = get_close_matches(label, sorted(known), 1, 0)
                raise BadInput(
                    f"model.{setting} names '{label}', which is no label of the data; did you mean '{near[0]}'?"
                )
