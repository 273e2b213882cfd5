"""A norm with fixed statistics does on average what the norm by tile did."""

from __future__ import annotations

import torch

from pathsegmentor.model.pixel_decoder import NormedConv
from pathsegmentor.train.fix_statistics import Moments


def test_on_tiles_alike_both_norms_give_the_same() -> None:
    torch.manual_seed(0)
    by_tile = NormedConv(4, 12, 3, groups=3, relu=False).eval()
    torch.nn.init.uniform_(by_tile.norm.weight, 0.5, 2)  # type: ignore[arg-type]
    torch.nn.init.uniform_(by_tile.norm.bias, -1, 1)  # type: ignore[arg-type]
    fixed = NormedConv(4, 12, 3, groups=0, relu=False).eval()
    fixed.weight = by_tile.weight
    tile = torch.randn(1, 4, 64, 64) * torch.tensor([1.0, 2.0, 0.5, 1.0])[:, None, None] + 1
    assert isinstance(by_tile.norm, torch.nn.GroupNorm)
    seen = Moments(by_tile.norm)
    for _ in range(3):
        by_tile(tile)
    fixed.norm.load_state_dict(seen.fixed())
    assert torch.allclose(fixed(tile), by_tile(tile), atol=1e-4)
