"""From a batch to one number: masks, choice of the query, and presence."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import torch
from torch import Tensor
from torch.nn import functional as F

from pathsegmentor.model.config import Within
from pathsegmentor.model.joint_decoder import Decoded, Heads, ImageMemory
from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.train.losses import assign, bce, choice, dice, matching_cost, sample_at

# The logit that is given to pixels about which nothing is known, with the label 0: no loss, no overlap.
SURE_OF_NOTHING = -20.0


Weight = Annotated[float, Within(0, 1000)]


@dataclass(frozen=True)
class Weights:
    """Weights of the terms; 1 and 1 are the paper's lambdas, 0.8 the released recipe's choice.

    ``deep`` weighs the same terms on the earlier predictions, ``presence`` the presence head,
    ``empty`` the cross-entropy on prompts whose object is absent.
    """

    bce: Weight = 1.0
    dice: Weight = 1.0
    choice: Weight = 0.8
    deep: Weight = 0.5
    presence: Weight = 0.5
    empty: Weight = 0.5


class Targets(NamedTuple):
    """What B images with P prompts should give, all boolean.

    ``masks`` (B, P, H, W), ``known`` (B, P, H, W) false where nothing is known about a pixel,
    ``present`` (B, P).
    """

    masks: Tensor
    known: Tensor
    present: Tensor

    @classmethod
    def of(cls, masks: Tensor, known: Tensor) -> Targets:
        """Objects are present where a known pixel shows them."""
        return cls(masks, known, (masks & known).flatten(2).any(dim=2))


class Whole(NamedTuple):
    """How many prompts a whole step has, and how many of them have their object.

    A step may be cut into parts (for memory, or over processes): each part divides its sums by these, so
    that the parts' losses add up to the loss of the step in one piece.
    """

    prompts: int
    present: int

    @classmethod
    def of(cls, targets: Targets) -> Whole:
        """The counts of a step in one piece."""
        return cls(targets.present.numel(), int(targets.present.sum()))


class Criterion:
    """Loss of a decoded batch, one prompt per sequence.

    The last prediction is judged on all pixels at full resolution (eq. 9-10), earlier ones at random places.
    """

    def __init__(self, weights: Weights) -> None:
        self.weights = weights

    def __call__(
        self,
        net: PathSegmentorNet,
        memory: ImageMemory,
        decoded: Decoded,
        words: tuple[Tensor, Tensor],
        targets: Targets,
        places: Tensor,
        whole: Whole | None = None,
    ) -> dict[str, Tensor]:
        """Terms by name, with ``total``; each is this part's share of the ``whole`` step's.

        ``words`` are prompt features (B, P, D) and real tokens (B, P, T); ``places`` (B, N, 2), x and y in
        0..1, are where the match is decided and earlier predictions are judged.
        """
        prompts, real = words
        whole = whole or Whole.of(targets)
        features = sample_at(memory.mask_features, places)  # (B, M, N)
        flat = torch.cat([targets.masks, targets.known], dim=1).to(features)
        labels, known = sample_at(flat, places).chunk(2, dim=1)  # (B, P, N)
        last = len(decoded.predictions) - 1
        sums: dict[str, Tensor] = {}
        for i, heads in enumerate(decoded.predictions):
            heads = _spread(heads, prompts.shape[1])
            similarity = net.similarity(heads, prompts).diagonal(dim1=1, dim2=3)  # (B, Q, P)
            logits = heads.masks @ features[:, None]  # (B, P, Q, N)
            query = _answering(logits, labels, known, similarity, targets.present)
            if i == last:
                found = _full_size(heads, query, memory.mask_features, targets.masks.shape[-2:])
                judged = self._judge(found, targets.masks.flatten(2), targets.known.flatten(2), targets.present, whole)
            else:
                judged = self._judge(_own(logits, query), labels, known, targets.present, whole)
            judged["choice"] = (choice(similarity, query) * targets.present).sum() / max(whole.present, 1)
            depth = 1.0 if i == last else self.weights.deep
            for name, value in judged.items():
                sums[name] = sums.get(name, 0) + depth * value
        w = self.weights
        total = w.bce * sums["bce"] + w.dice * sums["dice"] + w.choice * sums["choice"]
        seen = net.presence_logits(memory, decoded, prompts, real)
        if seen is not None:
            doubt = F.binary_cross_entropy_with_logits(seen, targets.present.to(seen), reduction="sum")
            sums["presence"] = doubt / whole.prompts
            total = total + w.presence * sums["presence"]
        return sums | {"total": total}

    def _judge(self, logits: Tensor, labels: Tensor, known: Tensor, present: Tensor, whole: Whole) -> dict[str, Tensor]:
        """BCE and Dice over known pixels (B, P, N); absent prompts count in BCE only."""
        sure = (known > 0.5).to(logits)
        inside = logits * sure + SURE_OF_NOTHING * (1 - sure)
        labels = labels * sure
        share = sure.mean(dim=-1).clamp(min=1e-3)
        weight = torch.where(present, 1.0, self.weights.empty)
        return {
            "bce": (bce(inside, labels) / share * weight).sum() / whole.prompts,
            "dice": (dice(inside, labels) * present).sum() / max(whole.present, 1),
        }


def _own(maps: Tensor, query: Tensor) -> Tensor:
    """What each prompt's query gives: (B, P, Q, N), (B, P) -> (B, P, N)."""
    return maps.gather(2, query[..., None, None].expand(-1, -1, 1, maps.shape[-1]))[:, :, 0]


def _full_size(heads: Heads, query: Tensor, features: Tensor, size: torch.Size) -> Tensor:
    """Mask logits of each prompt's query at all pixels: (B, P, H W)."""
    found = torch.einsum("bpm,bmhw->bphw", _own(heads.masks, query), features)
    return F.interpolate(found, size=size, mode="bilinear").flatten(2)


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
    logits = torch.where(sure[:, :, None], logits, torch.full_like(logits, SURE_OF_NOTHING))
    labels = torch.where(sure, labels, torch.zeros_like(labels))
    per_prompt = similarity.transpose(1, 2)[..., None]  # (B, P, Q, 1)
    cost = matching_cost(logits, labels[:, :, None], per_prompt)
    chosen = similarity.argmax(dim=1)
    for b, p in present.nonzero().tolist():
        chosen[b, p] = assign(cost[b, p])[0][0]
    return chosen
