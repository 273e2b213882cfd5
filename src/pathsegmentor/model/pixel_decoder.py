"""The pixel decoder: a feature pyramid with a transformer encoder on its coarsest level."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathsegmentor.model.attention import Attention, Positions
from pathsegmentor.model.config import PixelDecoderConfig


class EncoderLayer(nn.Module):
    """Post-norm transformer layer; positions are added to queries and keys, not to values."""

    def __init__(self, width: int, heads: int, feedforward: int) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.linear1 = nn.Linear(width, feedforward)
        self.linear2 = nn.Linear(feedforward, width)
        self.norm1 = nn.LayerNorm(width)
        self.norm2 = nn.LayerNorm(width)
        nn.init.xavier_uniform_(self.linear1.weight)
        nn.init.xavier_uniform_(self.linear2.weight)

    def forward(self, x: Tensor, positions: Tensor) -> Tensor:
        """(B, N, C) -> (B, N, C)."""
        located = x + positions
        x = self.norm1(x + self.self_attn(located, located, x))
        return torch.as_tensor(self.norm2(x + self.linear2(F.relu(self.linear1(x)))))


class Encoder(nn.Module):
    """Transformer encoder over a feature map."""

    def __init__(self, config: PixelDecoderConfig, positions: Positions) -> None:
        super().__init__()
        self.positions = positions
        self.layers = nn.ModuleList(
            EncoderLayer(config.conv_dim, config.heads, config.feedforward) for _ in range(config.layers)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        height, width = x.shape[2:]
        positions = self.positions(x)
        tokens = x.flatten(2).transpose(1, 2)
        for layer in self.layers:
            tokens = layer(tokens, positions)
        return tokens.transpose(1, 2).unflatten(2, (height, width))


class NormedConv(nn.Conv2d):
    """Convolution without bias, then a norm (GroupNorm, or BatchNorm for 0 groups), then ReLU where asked."""

    def __init__(self, width_in: int, width: int, kernel: int, groups: int, relu: bool) -> None:
        super().__init__(width_in, width, kernel, padding=kernel // 2, bias=False)
        self.norm: nn.Module = nn.GroupNorm(groups, width) if groups else nn.BatchNorm2d(width)
        self.relu = relu
        nn.init.kaiming_uniform_(self.weight, a=1)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H, W)."""
        x = self.norm(super().forward(x))
        return F.relu(x) if self.relu else x


def plain_conv(width_in: int, width: int, kernel: int) -> nn.Conv2d:
    """Convolution with bias, started as the other convolutions of the pyramid."""
    conv = nn.Conv2d(width_in, width, kernel, padding=kernel // 2)
    nn.init.kaiming_uniform_(conv.weight, a=1)
    nn.init.zeros_(conv.bias)  # type: ignore[arg-type]
    return conv


def add_upsampled(x: Tensor, coarse: Tensor) -> Tensor:
    """X + nearest-upsampled coarse map."""
    return x + F.interpolate(coarse, size=x.shape[-2:], mode="nearest")


class PixelDecoder(nn.Module):
    """Tower levels -> maps at strides 32, 16, 8 for the joint decoder, and mask features.

    Mask features have stride 4 from a tower with four levels and stride 2 from one with five: the
    fifth, finest level joins at ``fine_dim`` channels, since at stride 2 width is what costs.
    Names count from the stride-4 level, as in released weights.
    """

    def __init__(self, widths: Sequence[int], config: PixelDecoderConfig, positions: Positions) -> None:
        super().__init__()
        *fine, w4, w8, w16, w32 = widths
        dim = config.conv_dim
        groups, fine_groups = (config.groups, 8) if config.norm == "group" else (0, 0)
        self.input_proj = plain_conv(w32, dim, 1)
        self.transformer = nn.ModuleDict({"encoder": Encoder(config, positions)})
        for k, width in ((1, w4), (2, w8), (3, w16)):
            self.add_module(f"adapter_{k}", NormedConv(width, dim, 1, groups, relu=False))
        for k in (1, 2, 3, 4):
            self.add_module(f"layer_{k}", NormedConv(dim, dim, 3, groups, relu=True))
        self.fine: nn.ModuleDict | None = None
        if fine:
            small = config.fine_dim
            self.fine = nn.ModuleDict(
                {
                    "adapter": NormedConv(fine[0], small, 1, fine_groups, relu=False),
                    "project": NormedConv(dim, small, 1, fine_groups, relu=False),
                    "layer": NormedConv(small, small, 3, fine_groups, relu=True),
                }
            )
        self.mask_features = plain_conv(config.fine_dim if fine else dim, config.mask_dim, 3)

    def forward(self, levels: Sequence[Tensor]) -> tuple[list[Tensor], Tensor]:
        """Levels, finest first -> ([(B, D, H/32, W/32), stride 16, stride 8], mask features)."""
        *fine, res2, res3, res4, res5 = levels
        y = self.get_submodule("layer_4")(self.transformer["encoder"](self.input_proj(res5)))
        maps = [y]
        for k, level in ((3, res4), (2, res3), (1, res2)):
            y = add_upsampled(self.get_submodule(f"adapter_{k}")(level), y)
            y = self.get_submodule(f"layer_{k}")(y)
            maps.append(y)
        *maps, y = maps
        if self.fine is not None:
            y = add_upsampled(self.fine["adapter"](fine[0]), self.fine["project"](y))
            y = self.fine["layer"](y)
        return maps, self.mask_features(y)
