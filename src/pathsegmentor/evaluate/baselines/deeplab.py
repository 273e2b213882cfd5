"""DeepLabV3+ at output stride 16, with the names of the PyTorch code that the paper used.

L.-C. Chen et al., "Encoder-Decoder with Atrous Separable Convolution", 2018; K. He et al., "Deep Residual Learning",
2016. ResNet backbones have the names of torchvision's files, so that their ImageNet weights fit.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathsegmentor.evaluate.baselines.unet import conv_norm
from pathsegmentor.model.lite import LiteTower

RATES = (6, 12, 18)
BLOCKS = {"resnet50": (3, 4, 6, 3), "resnet101": (3, 4, 23, 3)}
# Of the light tower: stride 4, and stride 16, for which the rates are meant.
LITE_LOW, LITE_HIGH = 1, 3


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride), 1x1, and a shortcut; output has four times ``width`` channels."""

    def __init__(self, width_in: int, width: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(width_in, width, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, stride, dilation, dilation, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.conv3 = nn.Conv2d(width, 4 * width, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(4 * width)
        self.downsample = None
        if stride != 1 or width_in != 4 * width:
            conv = nn.Conv2d(width_in, 4 * width, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(4 * width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 4 * width, H / stride, W / stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = F.relu(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        return F.relu(y + (x if self.downsample is None else self.downsample(x)))


class ResNet(nn.Module):
    """Without its classifier; the last stage is dilated instead of strided: stride 16."""

    widths = (256, 2048)

    def __init__(self, blocks: tuple[int, int, int, int]) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.layer1 = self._stage(64, 64, blocks[0], stride=1)
        self.layer2 = self._stage(256, 128, blocks[1], stride=2)
        self.layer3 = self._stage(512, 256, blocks[2], stride=2)
        self.layer4 = self._stage(1024, 512, blocks[3], stride=1, dilation=2)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.momentum = 0.01

    @staticmethod
    def _stage(width_in: int, width: int, blocks: int, stride: int, dilation: int = 1) -> nn.Sequential:
        """A stage; where it is dilated, its first block still has the dilation of the stage before."""
        first = Bottleneck(width_in, width, stride, 1)
        return nn.Sequential(first, *(Bottleneck(4 * width, width, 1, dilation) for _ in range(blocks - 1)))

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Normalised pixels (B, 3, H, W) -> maps at strides 4 and 16."""
        x = F.max_pool2d(F.relu(self.bn1(self.conv1(pixels))), 3, 2, 1)
        low = self.layer1(x)
        return low, self.layer4(self.layer3(self.layer2(low)))

    def load_imagenet(self, state: Mapping[str, Tensor]) -> None:
        """Weights under torchvision's names, with or without the classifier; all others must fit."""
        self.load_state_dict({name: tensor for name, tensor in state.items() if not name.startswith("fc.")})


class LiteBackbone(LiteTower):
    """The light tower, read at strides 4 and 16."""

    def forward(self, pixels: Tensor) -> tuple[Tensor, Tensor]:  # type: ignore[override]
        """Normalised pixels (B, 3, H, W) -> maps at strides 4 and 16."""
        levels = super().forward(pixels)
        return levels[LITE_LOW], levels[LITE_HIGH]


class Pooled(nn.Sequential):
    """The mean of the whole map as one more view of it."""

    def __init__(self, width_in: int, width: int) -> None:
        conv = nn.Conv2d(width_in, width, 1, bias=False)
        super().__init__(nn.AdaptiveAvgPool2d(1), conv, nn.BatchNorm2d(width), nn.ReLU())

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, width, H, W), the same everywhere."""
        pooled = x
        for layer in self:
            pooled = layer(pooled)
        return F.interpolate(pooled, x.shape[2:], mode="bilinear", align_corners=False)


class Aspp(nn.Module):
    """Atrous spatial pyramid pooling: the map seen at several distances at once."""

    def __init__(self, width_in: int, width: int = 256) -> None:
        super().__init__()
        views: list[nn.Module] = [conv_norm(width_in, width, 1)]
        views += [conv_norm(width_in, width, 3, rate) for rate in RATES]
        self.convs = nn.ModuleList([*views, Pooled(width_in, width)])
        self.project = nn.Sequential(*conv_norm(width * len(self.convs), width, 1), nn.Dropout(0.1))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, 256, H, W)."""
        return torch.as_tensor(self.project(torch.cat([view(x) for view in self.convs], dim=1)))


class Head(nn.Module):
    """Pyramid pooling of the coarse map, joined with the fine one."""

    def __init__(self, low: int, high: int, classes: int) -> None:
        super().__init__()
        self.project = conv_norm(low, 48, 1)
        self.aspp = Aspp(high)
        self.classifier = nn.Sequential(*conv_norm(48 + 256, 256), nn.Conv2d(256, classes, 1))
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight)

    def forward(self, low: Tensor, high: Tensor) -> Tensor:
        """Maps at strides 4 and 16 -> logits (B, K, H / 4, W / 4)."""
        fine = self.project(low)
        coarse = F.interpolate(self.aspp(high), fine.shape[2:], mode="bilinear", align_corners=False)
        return torch.as_tensor(self.classifier(torch.cat([fine, coarse], dim=1)))


class DeepLab(nn.Module):
    """DeepLabV3+ with a backbone: ``resnet50``, ``resnet101`` or ``lite0``."""

    def __init__(self, backbone: str, classes: int) -> None:
        super().__init__()
        lite = backbone == "lite0"
        self.backbone: nn.Module = LiteBackbone() if lite else ResNet(BLOCKS[backbone])
        low, high = (LiteTower.widths[LITE_LOW], LiteTower.widths[LITE_HIGH]) if lite else ResNet.widths
        self.classifier = Head(low, high, classes)

    def forward(self, pixels: Tensor) -> Tensor:
        """Normalised pixels (B, 3, H, W) -> logits (B, K, H, W)."""
        logits = self.classifier(*self.backbone(pixels))
        return F.interpolate(logits, pixels.shape[2:], mode="bilinear", align_corners=False)
