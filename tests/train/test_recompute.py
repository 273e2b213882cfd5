"""Activation checkpointing changes memory, and nothing that is learnt."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from pathsegmentor.errors import BadInput
from pathsegmentor.train.checkpoint import checkpoints
from pathsegmentor.train.config import checked
from pathsegmentor.train.loop import train
from pathsegmentor.train.run import Run, assemble, fabric_for, inputs_of, prepare
from pathsegmentor.train.step import backward, one_step, whole_of
from tests.train.test_run import losses
from tests.train.tiny import TINY, TINY_FOCAL, config

DEEP = replace(TINY_FOCAL, image=replace(TINY_FOCAL.image, depths=(2, 2, 4, 2), drop_path=0.5))


def start(data: Path, recompute: bool) -> Run:
    torch.manual_seed(0)
    return assemble(prepare(replace(config(9, DEEP), recompute=recompute), data), fabric_for("32-true", 1))


def learnt(data: Path, recompute: bool) -> tuple[list[dict[str, float]], dict[str, Tensor]]:
    """Loss terms of three steps, random depth included, and the weights after them."""
    run = start(data, recompute)
    terms = []
    for _ in range(3):
        found = one_step(run)
        terms.append({name: value for name, value in found.items() if name not in ("seconds", "waited")})
        run.step += 1
    run.feed.close()
    return terms, run.net.state_dict()


def kept_bytes(data: Path, recompute: bool) -> int:
    """What the forward pass of a step keeps for its backward pass."""
    run, kept = start(data, recompute), {}

    def keep(tensor: Tensor) -> Tensor:
        kept[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    parts = run.feed.step(0)
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        run.learner(*inputs_of(run, parts[0]), whole_of(run, parts))
    run.feed.close()
    return sum(kept.values())


def test_losses_and_weights_are_the_same(data: Path) -> None:
    kept_terms, kept_weights = learnt(data, recompute=False)
    terms, weights = learnt(data, recompute=True)
    assert terms == kept_terms
    assert weights.keys() == kept_weights.keys()
    assert all(torch.equal(value, kept_weights[name]) for name, value in weights.items())


def test_the_forward_pass_keeps_less(data: Path) -> None:
    assert kept_bytes(data, recompute=True) < 0.6 * kept_bytes(data, recompute=False)


def test_every_weight_gets_its_gradient(data: Path) -> None:
    run = start(data, recompute=True)
    parts = run.feed.step(0)
    backward(run, parts, whole_of(run, parts))
    run.feed.close()
    assert all(p.grad is not None for p in run.net.parameters())


@pytest.mark.slow
def test_a_run_may_go_on_with_it(data: Path, tmp_path: Path) -> None:
    """It is no other run: a machine with less memory resumes it."""
    settings = config(6)
    train(settings, data, tmp_path / "whole")
    out = tmp_path / "run"
    train(settings, data, out)
    for path in checkpoints(out)[1:]:
        path.unlink()
    train(replace(settings, recompute=True), data, out, resume=True)
    assert losses(out) == losses(tmp_path / "whole")


def test_the_light_tower_has_no_use_for_it() -> None:
    with pytest.raises(BadInput, match=r"recompute is for model\.image\.kind focalnet"):
        checked(replace(config(6, TINY), recompute=True))
