"""The presence head: what a prompt gathers from the image, judged alone."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.model.presence import PresenceHead
from tests.model.reduced import CONFIG

TINY = replace(CONFIG, image=replace(CONFIG.image, kind="lite"), decoder=replace(CONFIG.decoder, presence=True))


@pytest.fixture
def net() -> PathSegmentorNet:
    torch.manual_seed(0)
    return PathSegmentorNet(TINY).eval()


def presence(net: PathSegmentorNet, image: torch.Tensor, ids: torch.Tensor) -> torch.Tensor:
    """Logits (P,) of prompts (P, T) asked of one image together."""
    mask = torch.ones(ids.shape, dtype=torch.bool)
    tokens, features = net.text_encoder(ids, mask)
    found = net.answer(net.encode(image), tokens[None], features[None], mask[None]).presence
    assert found is not None
    return found[0]


@torch.inference_mode()
def test_a_prompt_is_judged_as_if_asked_alone(net: PathSegmentorNet) -> None:
    image, ids = torch.randn(1, 3, 64, 96), torch.randint(0, 97, (3, 5))
    together = presence(net, image, ids)
    alone = torch.cat([presence(net, image, ids[i : i + 1]) for i in range(3)])
    torch.testing.assert_close(together, alone)
    assert together.unique().numel() == 3


@torch.inference_mode()
def test_evidence_counts_wherever_it_lies() -> None:
    torch.manual_seed(0)
    head = PresenceHead(12, 8, 2)
    level, prompts, words = torch.randn(1, 12, 3, 4), torch.randn(1, 2, 8), torch.randn(1, 2, 8)
    seen = head(*head.remember(level), prompts, words)
    turned = head(*head.remember(level.flip(2).transpose(2, 3)), prompts, words)
    torch.testing.assert_close(seen, turned)
    other = head(*head.remember(torch.randn(1, 12, 3, 4)), prompts, words)
    assert not torch.allclose(seen, other)


@torch.inference_mode()
def test_a_network_without_the_head_keeps_no_evidence(net: PathSegmentorNet) -> None:
    assert net.encode(torch.randn(1, 3, 64, 64)).evidence is not None
    plain = PathSegmentorNet(replace(TINY, decoder=replace(TINY.decoder, presence=False))).eval()
    assert plain.encode(torch.randn(1, 3, 64, 64)).evidence is None
