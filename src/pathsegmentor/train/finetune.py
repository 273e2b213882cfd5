"""A user's own labels: the settings of a short run that starts from a model and keeps what it knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from pathsegmentor.data.drawn import label_of
from pathsegmentor.data.gather import NOTHING
from pathsegmentor.data.pathseg import Entry, PathSeg
from pathsegmentor.errors import BadInput
from pathsegmentor.model.config import ModelConfig
from pathsegmentor.model.find import find_folder
from pathsegmentor.model.folder import MOST_LABEL_BYTES, read_config, read_vocabulary
from pathsegmentor.train.batches import SamplingConfig
from pathsegmentor.train.config import SavingConfig, ScheduleConfig, TrainConfig, checked
from pathsegmentor.train.criterion import Weights
from pathsegmentor.vocabulary import Label

FROZEN = {"image_tower": 0.0, "pixel_decoder": 0.0}
# What each way of learning changes: rates of parts, rank of the change, and the rate itself.
WAYS: dict[str, tuple[dict[str, float], int, float]] = {
    "heads": (FROZEN, 0, 3e-4),
    "adapters": ({}, 8, 3e-3),
    "all": ({"image_tower": 0.1, "pixel_decoder": 0.3}, 0, 3e-4),
}
STEPS = 150
KEEP = 10.0
# How often an image of all data that is rehearsed is drawn for one of the user's.
REHEARSED = 1.0


@dataclass(frozen=True)
class Wanted:
    """What is to be learnt: labels, and on which um per pixel each is looked for (None: chosen by kind)."""

    labels: tuple[str, ...]
    scale: float | None = None


def labels_of(data: PathSeg, own: Sequence[str], model: str, asked: Sequence[str]) -> tuple[str, ...]:
    """Labels to learn: those ``asked`` (ids or plain words), or all of the own data that the model does not know.

    Raises ``BadInput`` for a label that the training part has no object of.
    """
    train = [entry for entry in data.entries if entry.first.source in own and entry.first.split == "train"]
    there = sorted({label for entry in train for label in entry.labels} - {NOTHING})
    if not there:
        raise BadInput(f"{data.folder}: no image for training shows an object; annotate some first")
    known = {label.id for label in read_vocabulary(find_folder(model)[1])}
    wanted = list(dict.fromkeys(label_of(words, {}) for words in asked)) or [x for x in there if x not in known]
    wanted = wanted or there
    for label in wanted:
        if label not in there:
            raise BadInput(f"no image for training shows {label}; the data has {', '.join(there)}")
        if len(label.encode()) > MOST_LABEL_BYTES:
            raise BadInput(f"label '{label[:40]}...' has more than {MOST_LABEL_BYTES} bytes; choose a shorter name")
    return tuple(wanted)


def synonyms_of(told: Sequence[str], labels: Sequence[str]) -> dict[str, list[str]]:
    """Phrases by label from texts LABEL=WORDS; raises ``BadInput`` for another form, or another label."""
    found: dict[str, list[str]] = {}
    for text in told:
        name, equals, phrase = (part.strip() for part in text.partition("="))
        if not (name and equals and phrase and phrase.isprintable() and len(phrase.encode()) <= MOST_LABEL_BYTES):
            raise BadInput(f"--words {text}: expected LABEL=WORDS, of at most {MOST_LABEL_BYTES} bytes")
        label = label_of(name, {})
        if label not in labels:
            raise BadInput(f"--words {text}: {label} is not learnt; learnt are {', '.join(labels)}")
        found.setdefault(label, []).append(phrase)
    return found


def settings_for(
    name: str, data: PathSeg, own: Sequence[str], model: str, wanted: Wanted, what: str, steps: int, seed: int
) -> TrainConfig:
    """The run: the model's own network, its new labels with their scale, and what holds the old ones."""
    if what not in WAYS:
        raise BadInput(f"--train {what}: choose {', '.join(WAYS)}")
    folder = find_folder(model)[1]
    known = {label.id for label in read_vocabulary(folder)}
    entries = [entry for entry in data.entries if entry.first.source in own]
    config = with_scales(read_config(folder), known, wanted, entries)
    rates, rank, rate = WAYS[what]
    others = sorted({entry.first.source for entry in data.entries} - set(own))
    sources = dict.fromkeys(own, 1.0) | dict.fromkeys(others, REHEARSED * len(own) / max(len(others), 1))
    return checked(
        TrainConfig(
            name=name,
            sources=sources,
            model=config,
            sampling=SamplingConfig(
                crop=(min(256, config.tile),),
                images=6,
                prompts=4,
                absent=0.35,
                foreign=0.1,
                scale=(0.8, 1.25),
                stain=0.2,
                colour=0.1,
                scanner=0.15,
                aim=0.6,
                glass=0.05,
                background=0.05,
            ),
            schedule=ScheduleConfig(steps=steps, rate=rate, rates=rates, decay=0.0, warmup=0.1, clip=3.0, ema=0.95),
            saving=SavingConfig(steps=50, minutes=5.0, keep=2, look=steps),
            weights=Weights(presence=1.5),
            labels=wanted.labels,
            keep=KEEP,
            fixed_statistics=True,
            adapters=rank,
            points=1024,
            held_out=0.0,
            seed=seed,
            init=str(folder.resolve()),
        )
    )


def with_scales(config: ModelConfig, known: set[str], wanted: Wanted, entries: Sequence[Entry]) -> ModelConfig:
    """The model's settings with a scale for each new label.

    Unless one is given, that is the scale at which the model looks for most labels of the same structure, or the
    images' own where they are more than twice as coarse.
    """
    mpp = dict(config.mpp)
    coarse = float(np.median([max(entry.first.mpp) for entry in entries]))
    for label in wanted.labels:
        if label in known:
            continue
        structure = Label.from_id(label).structure.lower()
        alike = Counter(config.mpp_of(x) for x in sorted(known) if Label.from_id(x).structure.lower() == structure)
        scale = wanted.scale or (alike.most_common(1)[0][0] if alike else config.default_mpp)
        if coarse > 2 * scale:
            if wanted.scale:
                raise BadInput(f"--scale {scale:g}: images of {coarse:.3g} um per pixel are too coarse for that")
            scale = round(coarse, 4)
        mpp[label] = scale
    return replace(config, mpp=mpp)
