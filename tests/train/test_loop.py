"""A training run on a tiny data set: it learns, and a run that was cut off goes on exactly."""

from __future__ import annotations

import json
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from pathsegmentor.data.folders import hold_out, read_folder
from pathsegmentor.data.read import SourceConfig
from pathsegmentor.errors import BadInput
from pathsegmentor.model.config import (
    ImageTowerConfig,
    JointDecoderConfig,
    ModelConfig,
    PixelDecoderConfig,
    TextTowerConfig,
)
from pathsegmentor.train.batches import Sampler, SamplingConfig
from pathsegmentor.train.config import ScheduleConfig, TrainConfig, read_train_config
from pathsegmentor.train.loop import rate_at, train

ROOT = Path(__file__).parents[2]

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


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in the layout of TNBC: dark discs on pink, four patients."""
    folder = tmp_path_factory.mktemp("data") / "tnbc"
    rng = np.random.default_rng(0)
    rows = ["split,image,patient"]
    for part in ("images", "masks"):
        (folder / "train" / part).mkdir(parents=True)
    yy, xx = np.mgrid[:96, :96]
    for patient in range(4):
        mask = np.zeros((96, 96), bool)
        for y, x in rng.integers(10, 86, (6, 2)):
            mask |= (yy - y) ** 2 + (xx - x) ** 2 < 64
        pixels = np.where(mask[..., None], (90, 40, 130), (230, 170, 200)) + rng.integers(-10, 10, (96, 96, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "train" / "images" / f"{patient}_1.jpg")
        Image.fromarray(mask).save(folder / "train" / "masks" / f"{patient}_1.png")
        rows.append(f"train,{patient}_1,{patient}")
    (folder / "images.csv").write_text("\n".join(rows) + "\n")
    return folder.parent


def config(steps: int) -> TrainConfig:
    return TrainConfig(
        name="tiny",
        sources=[SourceConfig("tnbc", "tnbc")],
        model=TINY,
        sampling=SamplingConfig(crop=64, images=2, prompts=2),
        schedule=ScheduleConfig(steps=steps, rate=2e-3, checkpoint_every=3),
        points=64,
        held_out=0.25,
    )


def losses(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_resumed_run_equals_an_uninterrupted_one(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off after step 4 (last checkpoint: 3): the resumed run repeats step 3 and ends with the same numbers."""
    train(config(6), tmp_path / "whole", data=data)
    import pathsegmentor.train.loop as loop

    real = loop.one_step

    def stop_at_5(fabric: object, run: loop.Run, criterion: object) -> dict[str, float]:
        if run.step == 5:
            raise KeyboardInterrupt
        return real(fabric, run, criterion)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "one_step", stop_at_5)
    with pytest.raises(KeyboardInterrupt):
        train(config(6), tmp_path / "cut", data=data)
    monkeypatch.setattr(loop, "one_step", real)
    with pytest.raises(BadInput, match="--resume"):
        train(config(6), tmp_path / "cut", data=data)
    train(config(6), tmp_path / "cut", resume=True, data=data)
    whole = losses(tmp_path / "whole")
    cut = {row["step"]: row for row in losses(tmp_path / "cut")}
    assert [cut[i] for i in range(6)] == whole
    ours = (tmp_path / "cut" / "model" / "model.safetensors").read_bytes()
    assert ours == (tmp_path / "whole" / "model" / "model.safetensors").read_bytes()


def test_loss_falls(data: Path, tmp_path: Path) -> None:
    train(config(30), tmp_path / "run", data=data)
    total = [row["total"] for row in losses(tmp_path / "run")]
    assert np.mean(total[-5:]) < 0.7 * np.mean(total[:5])


def test_batches_depend_on_seed_and_step_only(data: Path) -> None:
    samples = read_folder("tnbc", data / "tnbc", "train")
    labels = sorted(samples[0].masks)
    scales = dict.fromkeys(labels, 0.25)
    sampler = Sampler(samples, labels, scales, {}, SamplingConfig(crop=64, images=2), seed=1)
    again = Sampler(samples, labels, scales, {}, SamplingConfig(crop=64, images=2), seed=1)
    again.batch(3)
    assert torch.equal(sampler.batch(7).pixels, again.batch(7).pixels)
    assert not torch.equal(sampler.batch(7).pixels, sampler.batch(8).pixels)


def test_masks_follow_the_pixels_through_augmentation(data: Path) -> None:
    """Discs are dark: inside a mask the crop must be darker than outside, however it was turned."""
    samples = read_folder("tnbc", data / "tnbc", "train")
    labels = sorted(samples[0].masks)
    sampler = Sampler(samples, labels, dict.fromkeys(labels, 0.25), {}, SamplingConfig(crop=64), seed=0)
    for step in range(5):
        batch = sampler.batch(step)
        grey = batch.pixels.float().mean(dim=1)
        for image, mask, known in zip(grey, batch.targets.masks[:, 0], batch.targets.known[:, 0], strict=True):
            inside, outside = mask.bool() & known, ~mask.bool() & known
            if inside.sum() > 50:
                border = inside & (torch.nn.functional.max_pool2d(-mask[None], 5, 1, 2)[0] < -0.5)
                assert image[inside].mean() < image[outside].mean() - 40
                assert border.sum() == 0 or image[border].mean() < image[outside].mean() - 40


def test_held_out_part_shares_no_patient(data: Path) -> None:
    samples = read_folder("tnbc", data / "tnbc", "train")
    kept, held = hold_out(samples, 0.25, seed=3)
    assert held and not {s.group for s in kept} & {s.group for s in held}
    assert len(kept) + len(held) == len(samples)


def test_rate_warms_up_and_ends_at_zero() -> None:
    schedule = ScheduleConfig(steps=100, rate=1.0, warmup=0.1)
    rates = [rate_at(step, schedule) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and max(rates) == 1.0 and rates[100] == 0
    assert all(a >= b for a, b in pairwise(rates[10:]))


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_config_is_valid(path: Path) -> None:
    assert read_train_config(path).name == path.stem


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("name: x\nsource: []\n", "unknown setting 'source'"),
        ("- 1\n", "expected a table"),
        ("name: [\n", "cannot be used"),
    ],
)
def test_a_wrong_config_is_refused_in_one_line(tmp_path: Path, change: str, expected: str) -> None:
    (tmp_path / "bad.yaml").write_text(change)
    with pytest.raises(BadInput, match=expected) as caught:
        read_train_config(tmp_path / "bad.yaml")
    assert "\n" not in str(caught.value)


def test_missing_folder_names_the_file(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"images\.csv is missing"):
        train(replace(config(1), sources=[SourceConfig("tnbc", "nowhere")]), tmp_path / "run", data=data)
