"""A training run on a tiny data set: it learns, and a run that was cut off goes on exactly."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from dataclasses import asdict, replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from PIL import Image
from safetensors.torch import load_file

from pathsegmentor.data.build import Settings, Wish, build
from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.data.sources import source_for
from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.model.config import (
    ImageTowerConfig,
    JointDecoderConfig,
    ModelConfig,
    PixelDecoderConfig,
    TextTowerConfig,
)
from pathsegmentor.train.batches import Sampler, SamplingConfig, draw_absent
from pathsegmentor.train.config import ScheduleConfig, TrainConfig, read_train_config
from pathsegmentor.train.loop import train
from pathsegmentor.train.run import rate_at

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
    """PathSeg built from a folder in the layout of TNBC: dark discs on pink, four patients."""
    folder = tmp_path_factory.mktemp("data") / "tnbc"
    rng = np.random.default_rng(0)
    rows = ["split,image,patient"]
    for part in ("images", "instances"):
        (folder / "train" / part).mkdir(parents=True)
    yy, xx = np.mgrid[:96, :96]
    for patient in range(4):
        mask = np.zeros((96, 96), bool)
        for y, x in rng.integers(10, 86, (6, 2)):
            mask |= (yy - y) ** 2 + (xx - x) ** 2 < 64
        pixels = np.where(mask[..., None], (90, 40, 130), (230, 170, 200)) + rng.integers(-10, 10, (96, 96, 3))
        Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / "train" / "images" / f"{patient}_1.jpg")
        Image.fromarray(mask.astype(np.uint16)).save(folder / "train" / "instances" / f"{patient}_1.png")
        rows.append(f"train,{patient}_1,{patient}")
    (folder / "images.csv").write_text("\n".join(rows) + "\n")
    out = folder.parent / "pathseg"
    build([Wish(source_for("tnbc", folder), folder)], out, Settings(all_labels=True))
    return out


def config(steps: int) -> TrainConfig:
    return TrainConfig(
        name="tiny",
        sources={"tnbc": 1.0},
        model=TINY,
        sampling=SamplingConfig(crop=(64,), images=2, prompts=2),
        schedule=ScheduleConfig(steps=steps, rate=2e-3, checkpoint_every=3),
        points=64,
        held_out=0.25,
    )


def losses(out: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]


def test_resumed_run_equals_an_uninterrupted_one(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Cut off after step 4 (last checkpoint: 3): the resumed run repeats step 3 and ends with the same numbers."""
    train(config(6), data, tmp_path / "whole")
    import pathsegmentor.train.loop as loop

    real = loop.one_step

    def stop_at_5(fabric: object, run: loop.Run, criterion: object) -> dict[str, float]:
        if run.step == 5:
            raise KeyboardInterrupt
        return real(fabric, run, criterion)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "one_step", stop_at_5)
    with pytest.raises(KeyboardInterrupt):
        train(config(6), data, tmp_path / "cut")
    monkeypatch.setattr(loop, "one_step", real)
    with pytest.raises(BadInput, match="--resume"):
        train(config(6), data, tmp_path / "cut")
    train(config(6), data, tmp_path / "cut", resume=True)
    whole = losses(tmp_path / "whole")
    cut = {row["step"]: row for row in losses(tmp_path / "cut")}
    assert [cut[i] for i in range(6)] == whole
    ours = (tmp_path / "cut" / "model" / "model.safetensors").read_bytes()
    assert ours == (tmp_path / "whole" / "model" / "model.safetensors").read_bytes()


def test_loss_falls(data: Path, tmp_path: Path) -> None:
    train(config(30), data, tmp_path / "run")
    total = [row["total"] for row in losses(tmp_path / "run")]
    assert np.mean(total[-5:]) < 0.7 * np.mean(total[:5])


def test_a_run_starts_from_another_model(data: Path, tmp_path: Path) -> None:
    first = train(config(2), data, tmp_path / "first")
    still = replace(config(1), init=str(first), schedule=replace(config(1).schedule, rate=0.0))
    second = train(still, data, tmp_path / "second")
    old, new = load_file(first / "model.safetensors"), load_file(second / "model.safetensors")
    learnt = [name for name in old if "running_" not in name and "num_batches" not in name]
    assert learnt and all(torch.equal(old[name], new[name]) for name in learnt)
    with pytest.raises(BadModel, match="nowhere"):
        train(replace(config(1), init=str(tmp_path / "nowhere")), data, tmp_path / "third")


def sampler(data: Path, seed: int = 0, **settings: int) -> Sampler:
    pathseg = PathSeg(data)
    entries = pathseg.select("train", ["tnbc"], 0, 0)
    labels = sorted(entries[0].labels)
    config = SamplingConfig(crop=(64,), **settings)
    return Sampler(pathseg, entries, labels, dict.fromkeys(labels, 0.25), {}, config, seed)


def test_batches_depend_on_seed_and_step_only(data: Path) -> None:
    one, again = sampler(data, 1, images=2), sampler(data, 1, images=2)
    again.batch(3)
    assert torch.equal(one.batch(7).pixels, again.batch(7).pixels)
    assert not torch.equal(one.batch(7).pixels, one.batch(8).pixels)


def test_batches_are_the_same_when_images_do_not_fit_in_memory(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wide, narrow = sampler(data), sampler(data)
    expected = [wide.batch(step).pixels for step in range(3)]
    monkeypatch.setattr("pathsegmentor.train.batches.HELD_BYTES", 1)
    assert all(torch.equal(narrow.batch(step).pixels, expected[step]) for step in range(3))
    assert len(narrow._held) == 1


def test_absent_labels_were_mostly_looked_for() -> None:
    rng = np.random.default_rng(0)
    missed, foreign = ["benign", "normal", "polyp"], ["lung", "kidney"]
    drawn = [draw_absent(missed, foreign, 2, 0.2, rng) for _ in range(400)]
    assert all(len(names) == len(set(names)) == 2 for names in drawn)
    assert 0.15 < sum(name in foreign for names in drawn for name in names) / 800 < 0.25
    assert sorted(draw_absent(missed, foreign, 9, 0.0, rng)) == missed
    assert draw_absent([], foreign, 2, 0.0, rng) == [] == draw_absent([], [], 0, 0.5, rng)


def test_masks_follow_the_pixels_through_augmentation(data: Path) -> None:
    """Discs are dark: inside a mask the crop must be darker than outside, however it was turned."""
    batches = sampler(data)
    for step in range(5):
        batch = batches.batch(step)
        grey = batch.pixels.float().mean(dim=1)
        for image, mask, known in zip(grey, batch.targets.masks[:, 0], batch.targets.known[:, 0], strict=True):
            inside, outside = mask.bool() & known, ~mask.bool() & known
            if inside.sum() > 50:
                border = inside & (torch.nn.functional.max_pool2d(-mask[None], 5, 1, 2)[0] < -0.5)
                assert image[inside].mean() < image[outside].mean() - 40
                assert border.sum() == 0 or image[border].mean() < image[outside].mean() - 40


def test_held_out_part_shares_no_patient(data: Path) -> None:
    pathseg = PathSeg(data)
    kept = pathseg.select("train", ["tnbc"], 0.25, seed=3)
    held = pathseg.select("val", ["tnbc"], 0.25, seed=3)
    assert held and not {e.group for e in kept} & {e.group for e in held}
    assert len(kept) + len(held) == len(pathseg.entries)


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


def test_missing_data_say_what_to_do(data: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="data build"):
        train(config(1), tmp_path / "nowhere", tmp_path / "run")
    with pytest.raises(BadInput, match="no images of glas; it has tnbc"):
        train(replace(config(1), sources={"glas": 1.0}), data, tmp_path / "other")


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_same_weights(data: Path, tmp_path: Path) -> None:
    """Killed without warning after its first checkpoint, by the command a person would give."""
    path = tmp_path / "tiny.yaml"
    path.write_text(yaml.safe_dump(json.loads(json.dumps(asdict(config(40))))), encoding="utf-8")

    def command(out: Path, *more: str) -> list[str]:
        return [
            sys.executable,
            "-m",
            "pathsegmentor",
            "train",
            str(path),
            "--data",
            str(data),
            "--out",
            str(out),
            *more,
        ]

    subprocess.run(command(tmp_path / "whole"), check=True, capture_output=True, timeout=300)
    cut = subprocess.Popen(command(tmp_path / "cut"), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (tmp_path / "cut" / "checkpoint.pt").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    cut.send_signal(signal.SIGKILL)
    cut.wait()
    assert not (tmp_path / "cut" / "model").exists()
    subprocess.run(command(tmp_path / "cut", "--resume"), check=True, capture_output=True, timeout=300)
    weights = [(tmp_path / run / "model" / "model.safetensors").read_bytes() for run in ("whole", "cut")]
    assert weights[0] == weights[1]
