"""What a model knew stays: its answers to its own labels are held while it learns new ones."""

from __future__ import annotations

import copy

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathsegmentor.model.joint_decoder import ImageMemory
from pathsegmentor.model.network import Looked, PathSegmentorNet

# Known labels asked of each crop of a step.
ASKED = 5


class Keep(nn.Module):
    """A frozen copy of a network, and how far another one's answers are from its own (knowledge distillation).

    No annotation is needed: any picture of tissue shows what the network said of it.
    """

    def __init__(self, net: PathSegmentorNet, ids: Tensor, real: Tensor, weight: float) -> None:
        super().__init__()
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self.register_buffer("ids", ids)
        self.register_buffer("real", real)
        self.weight = weight

    def drift(self, net: PathSegmentorNet, images: Tensor, looked: Looked, memory: ImageMemory, seed: int) -> Tensor:
        """Mean divergence of masks, of choices of the query and of presences over some of the known labels.

        ``looked`` and ``memory`` are what ``net`` made of the normalised ``images`` (B, 3, H, W); the labels depend on
        ``seed`` alone. 0 for the same answers.
        """
        generator = torch.Generator().manual_seed(seed)
        some = torch.randperm(len(self.get_buffer("ids")), generator=generator)[:ASKED]
        ids, real = self.get_buffer("ids")[some], self.get_buffer("real")[some]
        with torch.no_grad():
            same = not any(p.requires_grad for part in (net.image_tower, net.pixel_decoder) for p in part.parameters())
            old_memory = self.net.remember(looked if same else self.net.look(images))
            old = _answers(self.net, old_memory, ids, real)
        new = _answers(net, memory, ids, real)
        index = old[1].argmax(dim=2)  # (B, P): the query that answers
        chosen = index[..., None, None, None].expand(-1, -1, 1, *old[0].shape[-2:])
        drift = _binary(new[0].gather(2, chosen), old[0].gather(2, chosen))
        drift = (
            drift
            + F.kl_div(new[1].log_softmax(dim=2), old[1].log_softmax(dim=2), reduction="sum", log_target=True)
            / index.numel()
        )
        if new[2] is not None and old[2] is not None:
            drift = drift + _binary(new[2], old[2])
        return drift


def _answers(
    net: PathSegmentorNet, memory: ImageMemory, ids: Tensor, real: Tensor
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Mask logits (B, P, Q, H, W), similarities (B, P, Q) and presence logits (B, P) of prompts (P, T)."""
    tokens, features = net.text_encoder(ids, real)
    images = len(memory.mask_features)
    words, prompts, there = (x.expand(images, *x.shape) for x in (tokens, features, real))
    decoded = net.joint_decoder(memory, words, there)
    last = decoded.predictions[-1]
    masks = torch.einsum("bpqm,bmhw->bpqhw", last.masks.float(), memory.mask_features.float())
    similarity = net.similarity(last, prompts).diagonal(dim1=1, dim2=3).transpose(1, 2)
    return masks, similarity.float(), net.presence_logits(memory, decoded, prompts, there)


def _binary(new: Tensor, old: Tensor) -> Tensor:
    """Mean divergence of yes-or-no answers, from their logits."""
    told = old.float().sigmoid()
    own = F.binary_cross_entropy_with_logits(old.float(), told)
    return F.binary_cross_entropy_with_logits(new.float(), told) - own
