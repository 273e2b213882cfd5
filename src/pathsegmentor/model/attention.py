"""Multi-head attention with packed projections, and the sine position embedding."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Attention(nn.Module):
    """Attention whose keys and values can be projected once and used by many queries.

    ``in_proj_weight`` packs the query, key and value maps, in that order, as released weights do.
    """

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.in_proj_weight = nn.Parameter(torch.empty(3 * width, width))
        self.in_proj_bias = nn.Parameter(torch.zeros(3 * width))
        self.out_proj = nn.Linear(width, width)
        nn.init.xavier_uniform_(self.in_proj_weight)
        nn.init.xavier_uniform_(self.out_proj.weight)
        nn.init.zeros_(self.out_proj.bias)

    def _project(self, x: Tensor, part: int) -> Tensor:
        """(B, N, D) -> (B, heads, N, D / heads) with the query (0), key (1) or value (2) map."""
        width = x.shape[-1]
        rows = slice(part * width, (part + 1) * width)
        y = F.linear(x, self.in_proj_weight[rows], self.in_proj_bias[rows])
        return y.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def keys_values(self, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
        """Project keys and values (B, N, D) for later use by ``attend``."""
        return self._project(key, 1), self._project(value, 2)

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Queries (B, M, D) on projected keys and values; ``allowed`` is boolean, (B, 1, M, N) or alike."""
        out = F.scaled_dot_product_attention(self._project(query, 0), keys, values, attn_mask=allowed)
        return torch.as_tensor(self.out_proj(out.transpose(1, 2).flatten(2)))

    def forward(self, query: Tensor, key: Tensor, value: Tensor, allowed: Tensor | None = None) -> Tensor:
        """Ordinary attention; shapes as in ``attend``, all inputs (B, N, D)."""
        keys, values = self.keys_values(key, value)
        return self.attend(query, keys, values, allowed)


@lru_cache(maxsize=64)
def _sine(height: int, width: int, channels: int) -> Tensor:
    half = channels // 2
    steps = torch.arange(half, dtype=torch.float64)
    scale = 10000 ** (2 * torch.div(steps, 2, rounding_mode="floor") / half)
    axes = []
    for size, other_axis in ((height, 1), (width, 0)):
        coordinate = torch.arange(1, size + 1, dtype=torch.float64) / (size + 1e-6) * 2 * math.pi
        angle = coordinate[:, None] / scale
        wave = torch.where(steps % 2 == 0, angle.sin(), angle.cos())
        axes.append(wave.unsqueeze(other_axis).expand(height, width, half))
    return torch.cat(axes, dim=-1)


Positions = Callable[[Tensor], Tensor]


def no_positions(x: Tensor) -> Tensor:
    """Zeros (1, C), added to every place of a map (B, C, H, W)."""
    return x.new_zeros(1, x.shape[1])


def grid_positions(x: Tensor) -> Tensor:
    """Sine embedding (H * W, C) of the places of a map (B, C, H, W)."""
    return sine_positions(x.shape[2], x.shape[3], x.shape[1], x)


def sine_positions(height: int, width: int, channels: int, like: Tensor) -> Tensor:
    """Sine position embedding (H * W, C): row features first, then column features.

    Rows and columns are counted from 1 and divided by the grid's size, so the last one is 2 pi.
    """
    return _sine(height, width, channels).flatten(0, 1).to(dtype=like.dtype, device=like.device)
