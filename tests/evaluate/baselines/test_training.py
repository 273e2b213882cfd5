"""Training of specialists: what is learnt, from which pixels, within which budget, and on after a stop."""

from __future__ import annotations

import argparse
import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from pathsegmentor.data.pathseg import Entry, PathSeg
from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.baselines import load_baseline, training
from pathsegmentor.evaluate.baselines.class_sampler import ClassSampler, train_part
from pathsegmentor.evaluate.baselines.specialist import SPEC, read_spec
from pathsegmentor.evaluate.baselines.specialist_config import (
    CourseConfig,
    LossConfig,
    SpecialistConfig,
    read_specialist_config,
)
from pathsegmentor.evaluate.baselines.training import Training, masks_loss, train_specialist
from pathsegmentor.evaluate.predictor import Asked
from pathsegmentor.evaluate.scores import dice
from pathsegmentor.evaluate.truth import read_image
from pathsegmentor.train.batches import SamplingConfig
from pathsegmentor.train.criterion import Targets
from pathsegmentor.train.feed import Feed
from pathsegmentor.train.stop import Stopped
from tests.cli.conftest import Done
from tests.evaluate.baselines.sam_files import SIDE, original

NUCLEI = "breast-nuclei-nuclei"
CONFIGS = sorted((Path(__file__).parents[3] / "configs" / "baselines").glob("*.yaml"))


def config(**settings: object) -> SpecialistConfig:
    few = SpecialistConfig(
        "tiny",
        "unet_lite0",
        {"tnbc": 0.25},
        steps=4,
        sampling=SamplingConfig(crop=(64,), images=2),
        course=CourseConfig(rate=2e-3),
        save_steps=2,
    )
    return replace(few, **settings)  # type: ignore[arg-type]


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.stem)
def test_every_committed_config_is_read(path: Path) -> None:
    assert read_specialist_config(path).sources


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("steps: 3\nminutes: 1", "give steps or minutes, one of them"),
        ("", "give steps or minutes"),
        ("steps: -3", "steps: -3 is not between 0"),
        ("steps: 3\nsources: {glas: 100}", "sources.glas: 100.0 is not between 0.003 and 20"),
        ("steps: 3\nsources: {glas: null}", "sources names none"),
        ("steps: 3\nsampling: {images: 1}", "at least 2 images"),
        ("steps: 3\nsampling: {crop: [64, 96]}", "one size in crop"),
        ("steps: 3\nnetwork: sam_path", "sam_path needs init"),
        ("steps: 3\nnetwork: nnunet\ninit: imagenet", "nnunet starts from nothing"),
        ("steps: 3\nnetwork: resnet", "is none of unet_lite0"),
        ("steps: 3\ncourse: {rate: .nan}", "course.rate: nan is not between"),
        ("steps: 3\nsave_steps: 0", "save_steps: 0 is not between 1"),
        ("steps: 3\ncolour: red", "unknown setting 'colour'"),
    ],
)
def test_a_config_that_no_run_can_have(tmp_path: Path, text: str, says: str) -> None:
    (tmp_path / "a.yaml").write_text("name: a\nnetwork: unet_lite0\nsources: {glas: 1.0}\n")
    (tmp_path / "b.yaml").write_text(f"extends: a.yaml\n{text}\n")
    with pytest.raises(BadInput) as told:
        read_specialist_config(tmp_path / "b.yaml")
    assert says in str(told.value) and "\n" not in str(told.value)


@pytest.mark.slow
def test_it_learns(data: Path, tmp_path: Path) -> None:
    """Dark discs on pink, in some seconds; scored through the path of an evaluation."""
    out = train_specialist(config(steps=30, init="imagenet"), "tnbc", data, tmp_path / "group" / "tnbc")
    spec = read_spec(out)
    assert spec.classes == ("nuclei-nuclei",) and spec.trained["steps"] == "30" and not (out / "checkpoint.pt").exists()
    model, pathseg = load_baseline(f"unet:{tmp_path / 'group'}"), PathSeg(data)
    scores = []
    for entry in pathseg.entries:
        (found,) = model.answer(read_image(pathseg.shards, entry.first), [Asked(NUCLEI)])
        scores.append(dice(found.mask, pathseg.sample(entry).masks[NUCLEI]))
    assert np.mean(scores) > 0.8, scores


def test_a_run_that_was_cut_goes_on_to_the_same_weights(
    data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Cut between two checkpoints, then stopped politely, then finished."""
    train_specialist(config(), "tnbc", data, tmp_path / "whole")
    out, real = tmp_path / "cut", training._step

    def cut_at(step: int, act: Callable[[], None]) -> None:
        def instead(run: Training, feed: Feed) -> float:
            if run.step == step:
                act()
            return real(run, feed)

        monkeypatch.setattr(training, "_step", instead)

    def power_cut() -> None:
        raise KeyboardInterrupt

    cut_at(3, power_cut)
    with pytest.raises(KeyboardInterrupt):
        train_specialist(config(), "tnbc", data, out)
    assert not (out / SPEC).exists()
    cut_at(2, lambda: signal.raise_signal(signal.SIGTERM))
    with pytest.raises(Stopped) as stopped:
        train_specialist(config(), "tnbc", data, out)
    assert stopped.value.step == 3
    monkeypatch.setattr(training, "_step", real)
    train_specialist(config(), "tnbc", data, out)
    whole, cut = (load_file(path / "model.safetensors") for path in (tmp_path / "whole", out))
    assert all(torch.equal(whole[name], cut[name]) for name in whole)
    # What is done is left alone, and another run's folder is refused.
    monkeypatch.setattr(training, "_step", None)
    train_specialist(config(), "tnbc", data, out)
    with pytest.raises(BadInput, match="belongs to a run with other settings"):
        train_specialist(config(seed=1), "tnbc", data, out)


def test_a_budget_of_minutes_ends_a_run(data: Path, tmp_path: Path) -> None:
    out = train_specialist(config(steps=0, minutes=0.02), "tnbc", data, tmp_path / "run")
    told = read_spec(out).trained
    assert int(told["seconds"]) >= 1 and 0 < int(told["steps"]) < 1000


@pytest.mark.parametrize("kind", ["adamw", "sgd"])
def test_parts_have_their_own_rates(data: Path, tmp_path: Path, kind: str) -> None:
    course = CourseConfig(kind=kind, rates={"backbone": 0.0})  # type: ignore[arg-type]
    settings = config(network="deeplabv3plus_lite0", init="imagenet", course=course)
    out = train_specialist(settings, "tnbc", data, tmp_path / "run")
    state = load_file(out / "model.safetensors")
    start = training.started(settings, 1).state_dict()
    weights = [name for name in state if name.endswith("weight") and state[name].ndim == 4]
    same = {name: torch.equal(state[name], start[name]) for name in weights}
    assert all(same[name] for name in weights if name.startswith("backbone."))
    assert not same["classifier.classifier.0.weight"]


def hipt_file(path: Path) -> Path:
    """As DINO's training saves it: two networks, prefixes, and its command line."""
    torch.manual_seed(3)
    from pathsegmentor.evaluate.baselines.sam_path import Hipt

    state = {f"module.backbone.{name}": t for name, t in Hipt(64, 1, 17, patch=8).state_dict().items()}
    teacher = state | {"module.head.mlp.0.weight": torch.ones(2, 2)}
    student = {name: t + 1 for name, t in teacher.items()}
    torch.save({"student": student, "teacher": teacher, "epoch": 9, "args": argparse.Namespace(arch="vit")}, path)
    return path


def test_sam_path_trains_its_decoder_and_neck_alone_and_is_read_in_its_released_layout(
    data: Path,
    tmp_path: Path,
) -> None:
    torch.save(original(), tmp_path / "sam.pth")
    settings = config(
        network="sam_path",
        init=str(tmp_path / "sam.pth"),
        hipt=str(hipt_file(tmp_path / "hipt.pth")),
        sampling=SamplingConfig(crop=(SIDE,), images=2, fit=True),
        loss=LossConfig(0.0, 0.125, 0.875),
    )
    out = train_specialist(settings, "tnbc", data, tmp_path / "ours")
    state, start = load_file(out / "model.safetensors"), training.started(settings, 1).state_dict()
    changed = {".".join(name.split(".")[:2]) for name in start if not torch.equal(state[name], start[name])}
    assert changed == {"sam.mask_decoder", "fusion_neck.0", "fusion_neck.1", "fusion_neck.2", "fusion_neck.3"}
    assert torch.equal(start["hipt.norm.weight"], torch.ones(64))  # the teacher, not the student
    assert torch.equal(start["sam.vision_encoder.pos_embed"], original()["image_encoder.pos_embed"])

    released = tmp_path / "released"
    released.mkdir()
    names = {"sam.": "model.model.", "hipt.": "model.extra_encoder.model.", "fusion_neck.": "model.fusion_neck."}
    table = {new + k.removeprefix(old): t for k, t in state.items() for old, new in names.items() if k.startswith(old)}
    torch.save({"state_dict": table, "epoch": 3}, released / "last.ckpt")
    (released / SPEC).write_text((out / SPEC).read_text().replace(read_spec(out).sha256, ""))
    pathseg = PathSeg(data)
    image = read_image(pathseg.shards, pathseg.entries[0].first)
    masks = [load_baseline(f"sam-path:{path}").answer(image, [Asked(NUCLEI)])[0].mask for path in (out, released)]
    assert np.array_equal(*masks) and masks[0].shape == image.pixels.shape[:2]


def entries_of(data: Path, change: Callable[[Entry], Entry]) -> tuple[PathSeg, list[Entry], list[str]]:
    pathseg = PathSeg(data)
    entries, classes = train_part(pathseg, "tnbc")
    return pathseg, [change(entry) for entry in entries], classes


def sampled(data: Path, change: Callable[[Entry], Entry]) -> Targets:
    pathseg, entries, classes = entries_of(data, change)
    still = SamplingConfig(crop=(64,), images=4, scale=(1.0, 1.0), stain=0.0, colour=0.0)
    return ClassSampler(pathseg, entries, classes, 0.25, still, 0).batch(0).targets


def test_a_class_is_known_everywhere_where_its_labels_were_outlined(data: Path) -> None:
    targets = sampled(data, lambda entry: entry)
    assert targets.masks.shape == (4, 1, 64, 64) and targets.known.float().mean() > 0.95 and targets.masks.any()


def test_where_a_class_was_only_marked_its_marks_alone_are_known(data: Path) -> None:
    targets = sampled(data, lambda entry: Entry(tuple(replace(row, annotated=()) for row in entry.rows)))
    assert torch.equal(targets.known, targets.masks) and targets.masks.any()


def test_a_scale_that_no_image_has_is_refused(data: Path) -> None:
    pathseg, entries, classes = entries_of(data, lambda entry: entry)
    with pytest.raises(BadInput, match=r"tnbc is asked at 0\.01 um per pixel; its images have"):
        ClassSampler(pathseg, entries, classes, 0.01, SamplingConfig(), 0)


def test_pixels_of_which_nothing_is_known_teach_nothing() -> None:
    torch.manual_seed(0)
    logits = torch.randn(2, 3, 8, 8, requires_grad=True)
    masks, known = torch.rand(2, 3, 8, 8) > 0.5, torch.rand(2, 3, 8, 8) > 0.3
    known[:, 2] = False
    weights = LossConfig(1.0, 0.5, 1.0)
    loss = masks_loss(logits, Targets.of(masks, known), weights)
    loss.backward()
    assert logits.grad is not None and (logits.grad[known] != 0).all() and not logits.grad[~known].any()
    flipped = torch.where(known, masks, ~masks)
    assert torch.equal(masks_loss(logits, Targets.of(flipped, known), weights), loss)


def test_the_loss_is_that_of_its_formulas() -> None:
    logits = torch.tensor([[[[0.0, 2.0], [-1.0, 3.0]]]])
    masks = torch.tensor([[[[True, True], [False, False]]]])
    known = torch.tensor([[[[True, True], [True, False]]]])
    p, y = np.array([0.5, 1 / (1 + np.exp(-2)), 1 / (1 + np.e)]), np.array([1, 1, 0])
    cross = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    expected = {
        "bce": cross.mean(),
        "focal": (cross * (p - y) ** 2).mean(),
        "dice": 1 - (2 * (p * y).sum() + 1) / (p.sum() + y.sum() + 1),
    }
    for name, value in expected.items():
        none = {"bce": 0.0, "focal": 0.0, "dice": 0.0}
        assert float(masks_loss(logits, Targets.of(masks, known), LossConfig(**none | {name: 1.0}))) == pytest.approx(
            value, rel=1e-5
        )


def test_the_command_trains_each_source_and_says_what_is_wrong(
    data: Path,
    tmp_path: Path,
    here: Callable[..., Done],
) -> None:
    path = tmp_path / "unet.yaml"
    path.write_text(
        "name: tiny\nnetwork: unet_lite0\nsteps: 1\nsources: {tnbc: 0.25}\nsampling: {crop: [64], images: 2}\n"
    )
    done = here("baselines", "train", path, "--data", data, "--out", tmp_path / "group")
    assert done.code == 0 and json.loads((tmp_path / "group" / "tnbc" / SPEC).read_text())["network"] == "unet_lite0"
    wrong = here("baselines", "train", path, "--data", data, "--out", tmp_path / "group", "--source", "glas")
    assert wrong.code == 2 and wrong.err.count("\n") == 1 and "tiny has no source glas; it has tnbc" in wrong.err
