"""What holds a model's answers to its own labels."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.train.keep import Keep
from pathsegmentor.train.run import keeper, teach
from pathsegmentor.train.start import Start
from pathsegmentor.train.words import prompt_tokenizer
from tests.train.tiny import TINY, config


@pytest.fixture(scope="module")
def net() -> PathSegmentorNet:
    torch.manual_seed(0)
    return PathSegmentorNet(TINY).eval()


def drift(keep: Keep, net: PathSegmentorNet, seed: int = 0) -> torch.Tensor:
    images = torch.linspace(-1, 1, 2 * 3 * 64 * 64).view(2, 3, 64, 64)
    looked = net.look(images)
    return keep.drift(net, images, looked, net.remember(looked), seed)


def keep_of(net: PathSegmentorNet) -> Keep:
    ids = torch.randint(0, 600, (7, 5), generator=torch.Generator().manual_seed(1))
    return Keep(net, ids, torch.ones(7, 5, dtype=torch.bool), 10.0)


def test_the_same_network_does_not_drift(net: PathSegmentorNet) -> None:
    assert drift(keep_of(net), net).item() == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("part", ["text_encoder", "joint_decoder", "presence", "pixel_decoder", "image_tower"])
def test_a_change_of_any_part_is_drift_and_has_a_gradient(net: PathSegmentorNet, part: str) -> None:
    keep, other = keep_of(net), copy.deepcopy(net)
    with torch.no_grad():
        for parameter in other.get_submodule(part).parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(2)))
    found = drift(keep, other)
    found.backward()
    assert found.item() > 1e-3
    assert any(p.grad is not None and p.grad.abs().sum() > 0 for p in other.get_submodule(part).parameters())


def test_what_is_compared_with_does_not_learn(net: PathSegmentorNet) -> None:
    keep = keep_of(net)
    assert not any(parameter.requires_grad for parameter in keep.parameters())
    assert keep.net is not net


def test_the_labels_asked_depend_on_the_seed_alone(net: PathSegmentorNet) -> None:
    keep, other = keep_of(net), copy.deepcopy(net)
    with torch.no_grad():
        for parameter in other.text_encoder.parameters():
            parameter.mul_(1.1)
    assert drift(keep, other, 3).item() == drift(keep, other, 3).item()
    assert len({round(drift(keep, other, seed).item(), 6) for seed in range(4)}) > 1


def test_labels_that_are_learnt_again_are_not_held() -> None:
    settings = replace(config(1, TINY), keep=1.0)
    known = ["colon-tissue-gland", "breast-nuclei-nuclei"]
    tokenizer = prompt_tokenizer(["tissue-level gland in colon pathology"], 600)
    begin = Start(PathSegmentorNet(TINY), tokenizer, known, known)
    keep, fewer = keeper(settings, begin), keeper(replace(settings, labels=("colon-tissue-gland",)), begin)
    assert keep is not None
    assert fewer is not None
    assert [len(one.get_buffer("ids")) for one in (keep, fewer)] == [2, 1]
    assert keeper(replace(settings, labels=tuple(known)), begin) is None
    assert keeper(replace(settings, keep=0.0), begin) is None


def test_frozen_parts_and_statistics_stay_while_the_rest_learns() -> None:
    net = PathSegmentorNet(TINY)
    norms = [m for m in net.modules() if isinstance(m, torch.nn.BatchNorm2d)]
    teach(net, config(1, TINY))
    assert norms
    assert all(norm.training for norm in norms)
    teach(net, replace(config(1, TINY), fixed_statistics=True))
    assert not any(norm.training for norm in norms)
    assert net.image_tower.training
    teach(net, config(1, TINY, rates={"image_tower": 0.0}))
    assert not any(part.training for part in net.image_tower.modules())
    assert net.joint_decoder.training
