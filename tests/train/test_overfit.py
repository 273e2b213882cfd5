"""Learning itself: one tiny image is learnt to the pixel, and the absence of what is not in it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.imaging import Picture
from pathsegmentor.segment import Segmenter
from pathsegmentor.train.batches import SamplingConfig
from pathsegmentor.train.config import SavingConfig, ScheduleConfig
from pathsegmentor.train.loop import train
from tests.train.tiny import CROP, TINY_FOCAL, config


def test_one_image_is_learnt_to_a_dice_over_095(data: Path, tmp_path: Path) -> None:
    """Through every part: sampling, matching, loss, averages, the model folder and the segmenter."""
    pathseg = PathSeg(data)
    still = SamplingConfig(crop=CROP, images=2, prompts=2, absent=0.3, scale=(1.0, 1.0), stain=0.0, colour=0.0)
    schedule = ScheduleConfig(steps=170, rate=4e-3, ema=0.9)
    model = replace(TINY_FOCAL, image=replace(TINY_FOCAL.image, embed_dim=16))
    learning = replace(
        config(1, model),
        sampling=still,
        schedule=schedule,
        held_out=0.7,
        saving=SavingConfig(steps=10_000, look=10_000),
    )
    (only,) = pathseg.select("train", ["tnbc"], 0.7, 0)
    folder = train(learning, data, tmp_path / "run")
    sample = pathseg.sample(only)
    segmenter = Segmenter.from_pretrained(str(folder))
    encoded = segmenter.encode_image(Picture(sample.pixels, sample.mpp, sample.name))
    found = segmenter.segment(encoded, list(sample.masks)).founds
    for one in found:
        truth = sample.masks[one.label.id]
        dice = 2 * (one.mask & truth).sum() / (one.mask.sum() + truth.sum())
        assert dice > 0.95, (one.label.id, dice)
        assert one.presence > 0.5
