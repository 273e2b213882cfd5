"""Losses of the paper (eq. 8-10) and the terms that make the choice of a query learnable.

Masks are flattened: P pixels or sampled points in the last dimension. Equation 8 alone gives the class
embeddings no gradient; as the released recipe does, each prompt is matched to a query and that query
is taught to be chosen by cross-entropy.
"""

from __future__ import annotations

import torch
from scipy.optimize import linear_sum_assignment
from torch import Tensor
from torch.nn import functional as F

COST_BCE, COST_DICE, COST_CHOICE = 5.0, 5.0, 2.0


def bce(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy per mask (eq. 9): (..., P) -> (...)."""
    return F.binary_cross_entropy_with_logits(logits, labels, reduction="none").mean(dim=-1)


def dice(logits: Tensor, labels: Tensor, epsilon: float = 1.0) -> Tensor:
    """Dice loss per mask (eq. 10): (..., P) -> (...)."""
    p = logits.sigmoid()
    overlap = (p * labels).sum(dim=-1)
    return 1 - (2 * overlap + epsilon) / (p.sum(dim=-1) + labels.sum(dim=-1) + epsilon)


def choice(similarity: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy over the queries per prompt: similarity (..., Q, N), target (..., N) -> (..., N)."""
    logs = similarity.log_softmax(dim=-2)
    return -logs.gather(-2, target.unsqueeze(-2)).squeeze(-2)


def pair_bce(logits: Tensor, labels: Tensor) -> Tensor:
    """Mean binary cross-entropy of every query with every target: (..., Q, P), (..., N, P) -> (..., Q, N)."""
    one, zero = F.softplus(-logits), F.softplus(logits)
    across = labels.transpose(-1, -2)
    return (one @ across + zero @ (1 - across)) / logits.shape[-1]


def pair_dice(logits: Tensor, labels: Tensor, epsilon: float = 1.0) -> Tensor:
    """Dice loss of every query with every target: (..., Q, P), (..., N, P) -> (..., Q, N)."""
    p = logits.sigmoid()
    total = p.sum(dim=-1)[..., None] + labels.sum(dim=-1)[..., None, :]
    return 1 - (2 * p @ labels.transpose(-1, -2) + epsilon) / (total + epsilon)


@torch.no_grad()
def matching_cost(logits: Tensor, labels: Tensor, similarity: Tensor) -> Tensor:
    """Cost (..., Q, N) of letting a query answer a prompt; the softmax runs over the queries."""
    return (
        COST_BCE * pair_bce(logits, labels)
        + COST_DICE * pair_dice(logits, labels)
        - COST_CHOICE * similarity.softmax(dim=-2)
    )


def assign(cost: Tensor) -> tuple[Tensor, Tensor]:
    """Cheapest one-to-one assignment of cost (Q, N): queries in ascending order, and their prompts."""
    queries, prompts = linear_sum_assignment(cost.nan_to_num(1e6, 1e6, -1e6).cpu().numpy())
    return torch.as_tensor(queries), torch.as_tensor(prompts)


def sample_at(maps: Tensor, points: Tensor) -> Tensor:
    """Bilinear samples of maps (N, C, H, W) at points (N, P, 2), x and y in 0..1 -> (N, C, P); zero outside."""
    grid = 2 * points[:, None] - 1
    return F.grid_sample(maps, grid, mode="bilinear", padding_mode="zeros", align_corners=False)[:, :, 0]
