"""A network, a config and a data set small enough to train in seconds."""

from __future__ import annotations

import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pathsegmentor.data.build import Settings, Wish, build
from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.data.sources import source_for
from pathsegmentor.model.config import (
    ImageTowerConfig,
    JointDecoderConfig,
    ModelConfig,
    PixelDecoderConfig,
    TextTowerConfig,
)
from pathsegmentor.train.batches import Sampler, SamplingConfig
from pathsegmentor.train.config import SavingConfig, ScheduleConfig, TrainConfig, to_yaml

TINY = ModelConfig(
    image=ImageTowerConfig(kind="lite"),
    pixel=PixelDecoderConfig(conv_dim=32, mask_dim=16, fine_dim=16, layers=1, heads=4, feedforward=32, groups=8),
    text=TextTowerConfig(vocab=600, context=32, width=32, layers=1, heads=4, feedforward=32),
    decoder=JointDecoderConfig(
        hidden=32, queries=4, layers=3, heads=4, feedforward=32, presence=True, prompt_path=True
    ),
    default_mpp=0.25,
    tile=64,
    overlap=16,
)
# The paper's image tower can be made smaller than nano's, and has no batch statistics: parts of a batch give the whole.
TINY_FOCAL = replace(TINY, image=ImageTowerConfig(embed_dim=8, depths=(1, 1, 1, 1), focal_levels=2, drop_path=0.1))
CROP = (64,)


def make_data(folder: Path) -> Path:
    """PathSeg built from a folder in the layout of TNBC: dark discs on pink, four patients."""
    source = folder / "tnbc"
    rng = np.random.default_rng(0)
    rows = ["split,image,patient"]
    for part in ("images", "instances"):
        (source / "train" / part).mkdir(parents=True)
    yy, xx = np.mgrid[:96, :96]
    for patient in range(4):
        mask = np.zeros((96, 96), bool)
        for y, x in rng.integers(10, 86, (6, 2)):
            mask |= (yy - y) ** 2 + (xx - x) ** 2 < 64
        pixels = np.where(mask[..., None], (90, 40, 130), (230, 170, 200)) + rng.integers(-10, 10, (96, 96, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(source / "train" / "images" / f"{patient}_1.jpg")
        Image.fromarray(mask.astype(np.uint16)).save(source / "train" / "instances" / f"{patient}_1.png")
        rows.append(f"train,{patient}_1,{patient}")
    (source / "images.csv").write_text("\n".join(rows) + "\n")
    out = folder / "pathseg"
    build([Wish(source_for("tnbc", source), source)], out, Settings(all_labels=True))
    return out


def config(steps: int, model: ModelConfig = TINY_FOCAL, **schedule: Any) -> TrainConfig:
    return TrainConfig(
        name="tiny",
        sources={"tnbc": 1.0},
        model=model,
        sampling=SamplingConfig(crop=CROP, images=2, prompts=2),
        schedule=ScheduleConfig(steps=steps, **{"rate": 2e-3} | schedule),
        saving=SavingConfig(steps=3, look=1000),
        points=64,
        held_out=0.25,
    )


def sampler(data: Path, seed: int = 0, **settings: Any) -> Sampler:
    pathseg = PathSeg(data)
    entries = pathseg.select("train", ["tnbc"], 0, 0)
    labels = sorted(entries[0].labels)
    sampling = SamplingConfig(crop=CROP, **settings)
    return Sampler(pathseg, entries, labels, dict.fromkeys(labels, 0.25), {}, sampling, seed)


def rows(out: Path) -> list[dict[str, float]]:
    """All lines of a run's metrics, without the times."""
    lines = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    return [{k: v for k, v in line.items() if k not in ("seconds", "waited")} for line in lines]


def losses(out: Path) -> list[dict[str, float]]:
    """Lines of steps, without those of looks."""
    return [row for row in rows(out) if "total" in row]


def weights(out: Path) -> bytes:
    return (out / "model" / "model.safetensors").read_bytes()


def command(settings: TrainConfig, data: Path, out: Path, *more: str) -> list[str]:
    """What a person would type, with the config in a file beside the run."""
    path = out.parent / f"{out.name}.yaml"
    path.write_text(to_yaml(settings), encoding="utf-8")
    start = [sys.executable, "-m", "pathsegmentor", "train"]
    return [*start, str(path), "--data", str(data), "--out", str(out), *more]
