"""FocalNet, the paper's image tower (section 4.2, eq. 2).

Convolutional stem, blocks whose norm sits after the branch ("post-norm") with layer scale, and focal
modulation whose context is divided by the number of levels. No position embedding.
"""

from __future__ import annotations

from itertools import islice

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathsegmentor.model.config import ImageTowerConfig


class FocalModulation(nn.Module):
    """Query times gated context: chained depthwise convolutions of growing size, then the global mean."""

    def __init__(self, width: int, levels: int, window: int) -> None:
        super().__init__()
        self.levels = levels
        self.f = nn.Linear(width, 2 * width + levels + 1)
        self.h = nn.Conv2d(width, width, 1)
        self.proj = nn.Linear(width, width)
        self.focal_layers = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(width, width, window + 2 * k, padding=window // 2 + k, groups=width, bias=False),
                nn.GELU(),
            )
            for k in range(levels)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        width = x.shape[-1]
        query, context, gates = self.f(x).permute(0, 3, 1, 2).split((width, width, self.levels + 1), dim=1)
        total = torch.zeros_like(query)
        for level, layer in enumerate(self.focal_layers):
            context = layer(context)
            total = total + context * gates[:, level : level + 1]
        everywhere = F.gelu(context.mean(dim=(2, 3), keepdim=True))
        total = (total + everywhere * gates[:, self.levels :]) / (self.levels + 1)
        return torch.as_tensor(self.proj((query * self.h(total)).permute(0, 2, 3, 1)))


class Mlp(nn.Module):
    """Two linear maps with an exact GELU between."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        return torch.as_tensor(self.fc2(F.gelu(self.fc1(x))))


class FocalBlock(nn.Module):
    """x + scale * norm(modulation(x)), then the same with the MLP."""

    def __init__(self, width: int, config: ImageTowerConfig, drop_path: float) -> None:
        super().__init__()
        self.modulation = FocalModulation(width, config.focal_levels, config.focal_window)
        self.mlp = Mlp(width, width * config.mlp_ratio)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        self.gamma_1 = nn.Parameter(torch.full((width,), 1e-4))
        self.gamma_2 = nn.Parameter(torch.full((width,), 1e-4))
        self.drop_path = drop_path

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, C) -> (B, H, W, C)."""
        x = x + self._drop(self.gamma_1 * self.norm1(self.modulation(x)))
        return x + self._drop(self.gamma_2 * self.norm2(self.mlp(x)))

    def _drop(self, branch: Tensor) -> Tensor:
        """Stochastic depth: leave the branch out for whole images, in training only."""
        if not self.training or self.drop_path == 0:
            return branch
        keep = 1 - self.drop_path
        mask = torch.empty(branch.shape[0], 1, 1, 1, device=branch.device).bernoulli_(keep)
        return branch * mask.to(branch.dtype) / keep


class ConvEmbed(nn.Module):
    """Strided convolution with a norm over channels; pads right and bottom to whole steps."""

    def __init__(self, width_in: int, width: int, kernel: int, stride: int, padding: int) -> None:
        super().__init__()
        self.stride = stride
        self.proj = nn.Conv2d(width_in, width, kernel, stride=stride, padding=padding)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, ceil(H / stride), ceil(W / stride), width)."""
        x = F.pad(x, (0, -x.shape[3] % self.stride, 0, -x.shape[2] % self.stride))
        return torch.as_tensor(self.norm(self.proj(x).permute(0, 2, 3, 1)))


class FocalStage(nn.Module):
    """Blocks in a row, then (but for the last stage) a step down by two."""

    def __init__(self, width: int, config: ImageTowerConfig, drops: list[float], last: bool) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(FocalBlock(width, config, drop) for drop in drops)
        self.downsample = None if last else ConvEmbed(width, 2 * width, kernel=3, stride=2, padding=1)


class FocalNet(nn.Module):
    """Image (B, 3, H, W) -> four levels at strides 4, 8, 16, 32, finest first."""

    def __init__(self, config: ImageTowerConfig) -> None:
        super().__init__()
        count = len(config.depths)
        self.widths = tuple(config.embed_dim * 2**i for i in range(count))
        # Padding 2 with kernel 7 is not symmetric; the released weights need it.
        self.patch_embed = ConvEmbed(3, config.embed_dim, kernel=7, stride=4, padding=2)
        blocks = sum(config.depths)
        drops = iter([config.drop_path * k / max(blocks - 1, 1) for k in range(blocks)])
        self.layers = nn.ModuleList(
            FocalStage(width, config, list(islice(drops, depth)), last=i == count - 1)
            for i, (width, depth) in enumerate(zip(self.widths, config.depths, strict=True))
        )
        for i, width in enumerate(self.widths):
            self.add_module(f"norm{i}", nn.LayerNorm(width))

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Normalised pixels (B, 3, H, W) -> levels (B, C_i, H_i, W_i)."""
        x = self.patch_embed(pixels)
        levels = []
        for i, stage in enumerate(self.layers):
            assert isinstance(stage, FocalStage)
            for block in stage.blocks:
                x = block(x)
            levels.append(self.get_submodule(f"norm{i}")(x).permute(0, 3, 1, 2))
            if stage.downsample is not None:
                x = stage.downsample(x.permute(0, 3, 1, 2))
        return levels
