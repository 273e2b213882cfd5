"""Is the asked object in the image at all? Not in the paper; without it every prompt gets a mask."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PresenceHead(nn.Module):
    """Each prompt gathers evidence from all places of the tower's coarsest level, and judges it.

    Words reach the image in the joint decoder too, but only where a mask is already drawn; what the whole
    image looks like, as the grade of its glands, is seen here.
    """

    def __init__(self, width_in: int, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm = nn.LayerNorm(width)
        self.query = nn.Linear(width, width)
        self.key_value = nn.Linear(width_in, 2 * width)
        self.judge = nn.Sequential(nn.Linear(3 * width, width), nn.ReLU(), nn.Linear(width, 1))

    def remember(self, coarsest: Tensor) -> tuple[Tensor, Tensor]:
        """Coarsest level (B, C, h, w) -> keys and values (B, heads, h w, D / heads), once per image."""
        keys, values = self.key_value(coarsest.flatten(2).transpose(1, 2)).chunk(2, dim=-1)
        return self._split(keys), self._split(values)

    def forward(self, keys: Tensor, values: Tensor, prompts: Tensor, words: Tensor) -> Tensor:
        """Prompt features and last states of their last words, both (B, P, D) -> logits (B, P)."""
        asked = self.norm(prompts)
        seen = F.scaled_dot_product_attention(self._split(self.query(asked)), keys, values)
        seen = seen.transpose(1, 2).flatten(2)
        return torch.as_tensor(self.judge(torch.cat([words, seen, seen * asked], dim=-1))[..., 0])

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)
