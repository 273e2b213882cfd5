"""One step: what it moves, by how much, and that parts and averages are what they say."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from lightning_fabric import Fabric
from lightning_fabric.plugins import MixedPrecision
from torch import Tensor

from pathsegmentor.train.batches import SamplingConfig
from pathsegmentor.train.config import ScheduleConfig, TrainConfig
from pathsegmentor.train.criterion import Whole
from pathsegmentor.train.look import averaged
from pathsegmentor.train.optimiser import optimiser, rate_at
from pathsegmentor.train.run import Run, assemble, fabric_for, prepare
from pathsegmentor.train.step import OVERFLOWS, NotFinite, backward, one_step, update_average, whole_of
from tests.train.tiny import CROP, TINY, TINY_FOCAL, config

# Random depth of the image tower would differ between a batch and its parts.
CALM = replace(TINY_FOCAL, image=replace(TINY_FOCAL.image, drop_path=0.0))


@pytest.fixture
def start(data: Path) -> Callable[..., Run]:
    def make(settings: TrainConfig) -> Run:
        torch.manual_seed(0)
        return assemble(prepare(settings, data), fabric_for(settings.precision, 1))

    return make


def gradients(run: Run) -> dict[str, Tensor]:
    return {name: p.grad.clone() for name, p in run.net.named_parameters() if p.grad is not None}


def test_a_step_in_parts_learns_what_the_whole_does(start: Callable[..., Run]) -> None:
    sampling = SamplingConfig(crop=CROP, images=4, prompts=2, absent=0.5)
    found = []
    for accumulate in (1, 2, 4):
        run = start(replace(config(9, CALM, accumulate=accumulate), sampling=sampling))
        parts = run.feed.step(0)
        assert len(parts) == accumulate
        terms = backward(run, parts, whole_of(run, parts))
        found.append((terms, gradients(run)))
        run.feed.close()
    for terms, grads in found[1:]:
        assert terms == pytest.approx(found[0][0], rel=1e-5)
        for name, value in found[0][1].items():
            assert torch.allclose(grads[name], value, rtol=1e-3, atol=1e-6), name


def test_a_step_counts_all_its_parts(start: Callable[..., Run]) -> None:
    run = start(replace(config(9, accumulate=2), sampling=SamplingConfig(crop=CROP, images=4, prompts=3)))
    parts = run.feed.step(0)
    present = sum(int(part.targets.present.sum()) for part in parts)
    assert whole_of(run, parts) == Whole(12, present) and 0 < present < 13
    run.feed.close()


def test_a_step_moves_weights_at_the_rate_of_the_schedule(start: Callable[..., Run]) -> None:
    """The first step of Adam moves every weight with a gradient by about its rate."""
    run = start(config(100, warmup=0.1, decay=0.0, rates={"image_tower": 0.1, "text_encoder": 0.0}))
    before = {name: value.clone() for name, value in run.net.named_parameters()}
    terms = one_step(run)
    assert terms["rate"] == pytest.approx(2e-3 / 10)
    moved = {name: (value - before[name]).abs().max().item() for name, value in run.net.named_parameters()}
    assert moved["joint_decoder.class_embed"] == pytest.approx(2e-4, rel=0.05)
    tower = max(value for name, value in moved.items() if name.startswith("image_tower."))
    assert tower == pytest.approx(2e-5, rel=0.05)
    assert all(value == 0 for name, value in moved.items() if name.startswith("text_encoder."))
    run.feed.close()


def test_gradients_are_clipped_and_their_norm_is_told(start: Callable[..., Run]) -> None:
    run = start(config(100, clip=0.01))
    terms = one_step(run)
    squares = [grad.square().sum().item() for grad in gradients(run).values()]
    assert math.sqrt(sum(squares)) == pytest.approx(0.01, rel=1e-3) and terms["norm"] > 0.1
    run.feed.close()


def test_gradients_of_one_step_do_not_reach_the_next(start: Callable[..., Run]) -> None:
    run = start(config(100, CALM))
    parts = run.feed.step(0)
    backward(run, parts, whole_of(run, parts))
    once = gradients(run)
    backward(run, parts, whole_of(run, parts))
    assert all(torch.allclose(value, once[name], atol=1e-6) for name, value in gradients(run).items())
    run.feed.close()


def test_random_numbers_of_a_step_depend_on_seed_and_step(start: Callable[..., Run]) -> None:
    """Places and the tower's random depth: the same step from the same weights gives the same loss."""
    totals = []
    for seed, disturbed in ((0, False), (0, True), (1, False)):
        deep = replace(TINY_FOCAL, image=replace(TINY_FOCAL.image, drop_path=0.9))
        run = start(replace(config(100, deep), sampling=SamplingConfig(crop=CROP, images=6, prompts=2)))
        object.__setattr__(run.material.config, "seed", seed)
        if disturbed:
            torch.rand(7)
        totals.append(one_step(run)["total"])
        run.feed.close()
    assert totals[0] == totals[1] != totals[2]


def test_the_average_follows_the_weights(start: Callable[..., Run]) -> None:
    run = start(config(100, TINY, ema=0.5))
    name = "joint_decoder.class_embed"
    statistics = next(n for n in run.average if n.endswith("running_var"))
    counter = next(n for n in run.average if n.endswith("num_batches_tracked"))
    state, run.step = run.net.state_dict(), 1000
    old = {n: run.average[n].clone() for n in (name, statistics)}
    with torch.no_grad():
        for n in (name, statistics):
            state[n].add_(1.0)
        state[counter].fill_(7)
    update_average(run, 0.5)
    for n in (name, statistics):
        assert torch.allclose(run.average[n], old[n] + 0.5)
    assert run.average[counter] == 7
    run.step = 0
    update_average(run, 0.5)  # at first the average is nearly the weights: (1 + 0) / (10 + 0) of it stays
    assert torch.allclose(run.average[name], old[name] + 0.5 + 0.9 * 0.5)
    run.feed.close()


def test_every_step_updates_the_average(start: Callable[..., Run]) -> None:
    run = start(config(100, ema=0.5))
    before = run.average["joint_decoder.class_embed"].clone()
    one_step(run)
    now, live = run.average["joint_decoder.class_embed"], run.net.state_dict()["joint_decoder.class_embed"]
    assert not torch.equal(now, before) and not torch.equal(now, live)
    run.feed.close()


def test_without_an_average_the_weights_themselves_are_kept(start: Callable[..., Run]) -> None:
    run = start(config(100, ema=0.0))
    one_step(run)
    assert all(torch.equal(run.average[name], value) for name, value in run.net.state_dict().items())
    run.feed.close()


def test_a_look_uses_the_average_and_leaves_everything_as_it_was(start: Callable[..., Run]) -> None:
    run = start(config(100, TINY, ema=0.9))
    one_step(run)
    before = {name: value.clone() for name, value in run.net.state_dict().items()}
    with averaged(run) as net:
        assert not net.training
        assert all(torch.equal(value, run.average[name]) for name, value in net.state_dict().items())
    assert run.net.training
    assert all(torch.equal(value, before[name]) for name, value in run.net.state_dict().items())
    run.feed.close()


def test_half_precision_scales_its_loss_and_learns_about_the_same(start: Callable[..., Run]) -> None:
    """With bfloat16 the losses agree to its three digits; the criterion itself stays in full precision."""
    full, half = (start(replace(config(100, CALM), precision=p)) for p in ("32-true", "bf16-mixed"))
    terms = [one_step(run) for run in (full, half)]
    assert terms[1]["total"] == pytest.approx(terms[0]["total"], rel=0.05) and terms[1] != terms[0]
    assert all(p.dtype == torch.float32 for p in half.net.parameters())
    for run in (full, half):
        run.feed.close()


def test_scaled_gradients_are_unscaled_before_they_are_clipped(start: Callable[..., Run], data: Path) -> None:
    """On a CPU Fabric takes bfloat16 where float16 is asked for, so its float16 is put in by hand."""
    full = start(config(100, CALM))
    torch.manual_seed(0)
    fabric = Fabric(accelerator="cpu", devices=1, plugins=[MixedPrecision("16-mixed", "cpu")])
    half = assemble(prepare(config(100, CALM), data), fabric)
    half.fabric.strategy.precision.scaler = torch.amp.GradScaler("cpu", init_scale=64.0)
    norms = [one_step(run)["norm"] for run in (full, half)]
    assert norms[1] == pytest.approx(norms[0], rel=0.1)
    assert half.fabric.strategy.precision.state_dict()["scale"] == 64
    for run in (full, half):
        run.feed.close()


def test_an_overflow_of_scaled_gradients_skips_the_step_and_only_many_stop(data: Path) -> None:
    fabric = Fabric(accelerator="cpu", devices=1, plugins=[MixedPrecision("16-mixed", "cpu")])
    run = assemble(prepare(config(100, CALM), data), fabric)
    run.fabric.strategy.precision.scaler = torch.amp.GradScaler("cpu", init_scale=2.0**60, growth_interval=10**6)
    before = {name: value.clone() for name, value in run.net.named_parameters()}
    one_step(run)
    assert all(torch.equal(before[name], value) for name, value in run.net.named_parameters())
    assert run.fabric.strategy.precision.state_dict()["scale"] == 2.0**59 and run.overflows == 1
    run.overflows = OVERFLOWS
    with pytest.raises(NotFinite, match="gradient"):
        one_step(run)
    run.feed.close()


def test_rate_warms_up_and_ends_at_zero() -> None:
    schedule = ScheduleConfig(rate=1.0, warmup=0.1, power=2.0)
    rates = [rate_at(step, 100, schedule) for step in range(101)]
    assert rates[0] == pytest.approx(0.1) and rates[9] == rates[10] == 1.0 and rates[100] == 0
    assert rates[55] == pytest.approx(0.25)
    assert all(a >= b for a, b in pairwise(rates[10:]))


def test_rate_drops_where_asked() -> None:
    schedule = ScheduleConfig(rate=1.0, warmup=0.0, drops=(0.5, 0.8))
    found = [rate_at(step, 10, schedule) for step in (0, 4, 5, 7, 8, 9)]
    assert found == pytest.approx([1, 1, 0.1, 0.1, 0.01, 0.01])


def test_vectors_do_not_decay_and_parts_have_their_rates(start: Callable[..., Run]) -> None:
    net = prepare_net()
    groups = optimiser(net, ScheduleConfig(decay=0.3, rates={"image_tower": 0.5, "presence": 0.0})).param_groups
    by_id = {id(p): (group["factor"], group["weight_decay"]) for group in groups for p in group["params"]}
    for name, parameter in net.named_parameters():
        if name.startswith("presence."):
            assert id(parameter) not in by_id and not parameter.requires_grad
            continue
        factor = 0.5 if name.startswith("image_tower.") else 1.0
        assert by_id[id(parameter)] == (factor, 0.3 if parameter.ndim > 1 else 0.0), name


def prepare_net() -> torch.nn.Module:
    from pathsegmentor.model.network import PathSegmentorNet

    return PathSegmentorNet(TINY_FOCAL)
