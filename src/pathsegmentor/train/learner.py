"""From pixels and token ids to loss terms in one forward pass, as processes that learn together need it."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from pathsegmentor.model.joint_decoder import Decoded, Heads, ImageMemory
from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.train.criterion import Criterion, Targets, Whole
from pathsegmentor.train.keep import Keep


class Words(NamedTuple):
    """The prompts of a part: token ids and real tokens of those asked (N, T), and which of them (B, P) each is."""

    ids: Tensor
    real: Tensor
    which: Tensor


class Places(NamedTuple):
    """Random places of a part, as a recipe: those of its ``rows`` (B,) among the whole step's ``images``."""

    seed: int
    images: int
    number: int
    rows: Tensor

    def draw(self, device: torch.device) -> Tensor:
        """(B, number, 2) in 0..1; a step cut into parts gets the places of the step in one piece."""
        generator = torch.Generator().manual_seed(self.seed)
        return torch.rand(self.images, self.number, 2, generator=generator)[self.rows.cpu()].to(device)


class Learner(nn.Module):
    """A network with its criterion. Losses are computed in full precision whatever the network computes in."""

    def __init__(self, net: PathSegmentorNet, criterion: Criterion, keep: Keep | None = None) -> None:
        super().__init__()
        self.net, self.criterion = net, criterion
        # In a tuple, so that what is only compared with is no part of what learns.
        self._keep = (keep,)

    def forward(
        self, pixels: Tensor, words: Words, targets: Targets, places: Places, whole: Whole
    ) -> dict[str, Tensor]:
        """This part's share of the loss terms, by name; pixels (B, 3, S, S) uint8."""
        ids, real, which = words
        tokens, features = self.net.text_encoder(ids, real)
        images = self.net.normalise(pixels).contiguous(memory_format=torch.channels_last)
        looked = self.net.look(images)
        memory = self.net.remember(looked)
        decoded = self.net.joint_decoder(memory, tokens[which], real[which])
        with torch.autocast(pixels.device.type, enabled=False):
            terms = self.criterion(
                self.net,
                _wide(memory),
                Decoded([Heads(_full(h.classes), _full(h.masks)) for h in decoded.predictions], _full(decoded.words)),
                (_full(features[which]), real[which]),
                targets,
                places.draw(pixels.device),
                whole,
            )
        (keep,) = self._keep
        if keep is not None:
            share = len(pixels) / places.images
            terms["keep"] = share * keep.drift(self.net, images, looked, memory, places.seed)
            terms["total"] = terms["total"] + keep.weight * terms["keep"]
        return terms


def _full(x: Tensor) -> Tensor:
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _wide(memory: ImageMemory) -> ImageMemory:
    """The parts of a memory that losses are computed from."""
    evidence = None if memory.evidence is None else (_full(memory.evidence[0]), _full(memory.evidence[1]))
    return replace(memory, mask_features=_full(memory.mask_features), evidence=evidence)
