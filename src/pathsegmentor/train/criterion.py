"""From a batch to one number: masks, choice of the query, and presence."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from pathsegmentor.model.joint_decoder import Decoded, Heads, ImageMemory
from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.train.losses import assign, bce, choice, dice, matching_cost, sample_at


@dataclass(frozen=True)
class Weights:
    """Weights of the terms; 1 and 1 are the paper's lambdas, 0.8 the released recipe's choice.

    ``deep`` weighs the same terms on the earlier predictions, ``presence`` the presence head,
    ``empty`` the cross-entropy on prompts whose object is absent.
    """

    bce: float = 1.0
    dice: float = 1.0
    choice: float = 0.8
    deep: float = 0.5
    presence: float = 0.5
    empty: float = 0.5


@dataclass(frozen=True)
class Targets:
    """What B images with P prompts should give.

    ``masks`` (B, P, H, W) 0 or 1, ``known`` (B, P, H, W) false where nothing is known about a pixel,
    ``present`` (B, P) boolean.
    """

    masks: Tensor
    known: Tensor
    present: Tensor

    def to(self, device: torch.device) -> Targets:
        """The same on another device."""
        return Targets(self.masks.to(device), self.known.to(device), self.present.to(device))


class Criterion:
    """Loss of a decoded batch, one prompt per sequence.

    The last prediction is judged on all pixels at full resolution (eq. 9-10), earlier ones at
    ``points`` random places.
    """

    def __init__(self, weights: Weights, points: int) -> None:
        self.weights = weights
        self.points = points

    def __call__(
        self,
        net: PathSegmentorNet,
        memory: ImageMemory,
        decoded: Decoded,
        prompts: Tensor,
        real: Tensor,
        targets: Targets,
        generator: torch.Generator,
    ) -> dict[str, Tensor]:
        """Terms by name, with ``total``; prompts (B, P, D), real tokens (B, P, T)."""
        places = torch.rand(len(prompts), self.points, 2, generator=generator).to(prompts)
        features = sample_at(memory.mask_features, places)  # (B, M, N)
        flat = torch.cat([targets.masks, targets.known.to(targets.masks)], dim=1)
        labels, known = sample_at(flat, places).chunk(2, dim=1)  # (B, P, N)
        terms: dict[str, list[Tensor]] = {"bce": [], "dice": [], "choice": []}
        present = targets.present
        for i, heads in enumerate(decoded.predictions):
            last = i == len(decoded.predictions) - 1
            heads = _spread(heads, prompts.shape[1])
            similarity = net.similarity(heads, prompts).diagonal(dim1=1, dim2=3)  # (B, Q, P)
            logits = heads.masks @ features[:, None]  # (B, P, Q, N)
            query = _answering(logits, labels, known, similarity, present)
            own = heads.masks.gather(2, query[..., None, None].expand(-1, -1, 1, heads.masks.shape[-1]))
            if last:
                found = torch.einsum("bpm,bmhw->bphw", own[:, :, 0], memory.mask_features)
                found = F.interpolate(found, size=targets.masks.shape[-2:], mode="bilinear").flatten(2)
                judged = _judge(found, targets.masks.flatten(2), targets.known.flatten(2), present, self.weights)
            else:
                judged = _judge((own @ features[:, None])[:, :, 0], labels, known, present, self.weights)
            taught = choice(similarity, query) * present
            judged["choice"] = taught.sum() / present.sum().clamp(min=1)
            for name, value in judged.items():
                terms[name].append(value if last else self.weights.deep * value)
        sums = {name: torch.stack(values).sum() for name, values in terms.items()}
        w = self.weights
        total = w.bce * sums["bce"] + w.dice * sums["dice"] + w.choice * sums["choice"]
        seen = net.presence_logits(memory, decoded, prompts, real)
        if seen is not None:
            sums["presence"] = F.binary_cross_entropy_with_logits(seen, present.to(seen))
            total = total + w.presence * sums["presence"]
        return sums | {"total": total}


def _spread(heads: Heads, prompts: int) -> Heads:
    """The prediction before layer 0 is shared by all prompts of an image: repeat it."""
    if heads.classes.shape[1] == prompts:
        return heads
    return Heads(heads.classes.expand(-1, prompts, -1, -1), heads.masks.expand(-1, prompts, -1, -1))


@torch.no_grad()
def _answering(logits: Tensor, labels: Tensor, known: Tensor, similarity: Tensor, present: Tensor) -> Tensor:
    """The query (B, P) that is trained for each prompt: matched if present, else the one now chosen.

    Unknown points agree with every query, so they do not decide.
    """
    sure = known > 0.5
    logits = torch.where(sure[:, :, None], logits, torch.zeros_like(logits) - 20.0)
    labels = torch.where(sure, labels, torch.zeros_like(labels))
    per_prompt = similarity.transpose(1, 2)[..., None]  # (B, P, Q, 1)
    cost = matching_cost(logits, labels[:, :, None], per_prompt)
    chosen = similarity.argmax(dim=1)
    for b, p in present.nonzero().tolist():
        chosen[b, p] = assign(cost[b, p])[0][0]
    return chosen


def _judge(logits: Tensor, labels: Tensor, known: Tensor, present: Tensor, w: Weights) -> dict[str, Tensor]:
    """BCE and Dice over known pixels (B, P, N); absent prompts count in BCE only."""
    sure = (known > 0.5).to(logits)
    inside = logits * sure - 20.0 * (1 - sure)
    labels = labels * sure
    share = sure.mean(dim=-1).clamp(min=1e-3)
    weight = torch.where(present, 1.0, w.empty)
    count = present.sum().clamp(min=1)
    return {
        "bce": (bce(inside, labels) / share * weight).mean(),
        "dice": (dice(inside, labels) * present).sum() / count,
    }
