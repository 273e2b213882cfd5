"""Low-rank changes, and the weights they make in the end."""

from __future__ import annotations

import torch

from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.train.adapters import adapt, merged
from tests.train.tiny import TINY

RANK = 2


def adapted() -> tuple[dict[str, torch.Tensor], PathSegmentorNet]:
    torch.manual_seed(0)
    net = PathSegmentorNet(TINY).eval()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    adapt(net, RANK)
    return before, net


def learn(net: PathSegmentorNet) -> None:
    with torch.no_grad():
        for parameter in net.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=torch.Generator().manual_seed(1)))


def test_nothing_changes_before_anything_is_learnt() -> None:
    before, net = adapted()
    after = merged(net.state_dict())
    assert set(after) == set(before)
    assert all(torch.equal(after[name], before[name]) for name in before)


def test_what_is_learnt_is_merged_into_the_form_of_the_model_and_answers_as_it_did() -> None:
    before, net = adapted()
    learn(net)
    after = merged(net.state_dict())
    plain = PathSegmentorNet(TINY).eval()
    plain.load_state_dict(after)
    ids, real = torch.arange(6)[None], torch.ones(1, 6, dtype=torch.bool)
    for one, other in zip(net.text_encoder(ids, real), plain.text_encoder(ids, real), strict=True):
        torch.testing.assert_close(one, other)
    assert set(after) == set(before)


def test_changes_have_the_rank_and_image_tower_and_pixel_decoder_none() -> None:
    before, net = adapted()
    learn(net)
    after = merged(net.state_dict())
    changed = [name for name in before if not torch.equal(after[name], before[name])]
    assert {name.partition(".")[0] for name in changed} == {"text_encoder", "joint_decoder", "presence"}
    for name in changed:
        assert torch.linalg.matrix_rank(after[name] - before[name], atol=1e-3) <= RANK, name
