"""The light image tower of ``nano``: EfficientNet-Lite0 without its classifier.

Layout from M. Tan and Q. Le, "EfficientNet", 2019, and its "lite" variant (no squeeze-excite, ReLU6,
fixed stem). Five levels at strides 2, 4, 8, 16, 32.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# repeats, kernel, first stride, expansion, channels
_STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# Index of the last block of every stride.
_LEVEL_ENDS = (0, 2, 4, 10, 15)


class SameConv(nn.Conv2d):
    """Convolution padded as TensorFlow's "same": for even inputs and stride 2 more at right and bottom."""

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', ceil(H / stride), ceil(W / stride))."""
        pads: list[int] = []
        for size in (x.shape[3], x.shape[2]):
            stride, kernel = self.stride[0], self.kernel_size[0]
            total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
            pads += [total // 2, total - total // 2]
        return F.conv2d(F.pad(x, pads), self.weight, self.bias, self.stride, 0, 1, self.groups)


def _norm(width: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(width, eps=1e-3, momentum=0.01)


class InvertedBottleneck(nn.Module):
    """Expand, depthwise, project; a residual where shapes agree."""

    def __init__(self, width_in: int, width: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        hidden = width_in * expansion
        self.residual = stride == 1 and width_in == width
        layers: list[nn.Module] = []
        if expansion != 1:
            layers += [nn.Conv2d(width_in, hidden, 1, bias=False), _norm(hidden), nn.ReLU6()]
        depthwise = SameConv(hidden, hidden, kernel, stride=stride, groups=hidden, bias=False)
        layers += [depthwise, _norm(hidden), nn.ReLU6()]
        layers += [nn.Conv2d(hidden, width, 1, bias=False), _norm(width)]
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C', H', W')."""
        y = self.layers(x)
        return x + y if self.residual else torch.as_tensor(y)


class LiteTower(nn.Module):
    """Image (B, 3, H, W) -> five levels at strides 2, 4, 8, 16, 32, finest first."""

    widths = (16, 24, 40, 112, 320)

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(SameConv(3, 32, 3, stride=2, bias=False), _norm(32), nn.ReLU6())
        blocks = []
        width_in = 32
        for repeats, kernel, stride, expansion, width in _STAGES:
            for repeat in range(repeats):
                first = stride if repeat == 0 else 1
                blocks.append(InvertedBottleneck(width_in, width, kernel, first, expansion))
                width_in = width
        self.blocks = nn.ModuleList(blocks)

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """Normalised pixels (B, 3, H, W) -> levels (B, C_i, H_i, W_i)."""
        x = self.stem(pixels)
        levels = []
        for i, block in enumerate(self.blocks):
            x = block(x)
            if i in _LEVEL_ENDS:
                levels.append(x)
        return levels

    def load_imagenet(self, state: dict[str, Tensor]) -> None:
        """Copy published EfficientNet-Lite0 weights; both list their tensors in the order of use."""
        source = [v for k, v in state.items() if not k.startswith(("_conv_head", "_bn1.", "_fc"))]
        own = self.state_dict()
        if [tuple(v.shape) for v in source] != [tuple(v.shape) for v in own.values()]:
            raise ValueError("these weights are not EfficientNet-Lite0's")
        self.load_state_dict(dict(zip(own, source, strict=True)))
