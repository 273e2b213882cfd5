"""A small U-Net on EfficientNet-Lite0: what a data set gives to a quarter of an hour of training on one CPU thread."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathsegmentor.model.lite import LiteTower

WIDTHS = (96, 64, 48, 32)


def conv_norm(width_in: int, width: int, kernel: int = 3, dilation: int = 1) -> nn.Sequential:
    """Convolution without bias that keeps the size, batch norm, ReLU."""
    padding = dilation * (kernel // 2)
    conv = nn.Conv2d(width_in, width, kernel, padding=padding, dilation=dilation, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(width), nn.ReLU())


class UNet(nn.Module):
    """Encoder at strides 2 to 32, decoder with skip connections at strides 16 to 2, one logit per class."""

    def __init__(self, classes: int) -> None:
        super().__init__()
        self.encoder = LiteTower()
        skips = self.encoder.widths[-2::-1]
        above = (self.encoder.widths[-1], *WIDTHS)
        self.decoder = nn.ModuleList(
            nn.Sequential(conv_norm(deep + skip, width), conv_norm(width, width))
            for deep, skip, width in zip(above, skips, WIDTHS, strict=False)
        )
        self.head = nn.Conv2d(WIDTHS[-1], classes, 1)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised pixels (B, 3, H, W) -> logits (B, K, H, W)."""
        *skips, x = self.encoder(pixels)
        for block, skip in zip(self.decoder, reversed(skips), strict=True):
            x = block(torch.cat([F.interpolate(x, skip.shape[2:], mode="nearest"), skip], dim=1))
        return F.interpolate(self.head(x), pixels.shape[2:], mode="bilinear", align_corners=False)
