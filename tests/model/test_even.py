"""Fixed statistics and no places: the answer for a piece of tissue does not depend on the rest of its tile."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

import pytest
import torch
from torch import Tensor

from pathsegmentor.model.attention import grid_positions, no_positions
from pathsegmentor.model.config import ImageTowerConfig, JointDecoderConfig, ModelConfig, PixelDecoderConfig
from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.model.pixel_decoder import Encoder, NormedConv

SMALL = PixelDecoderConfig(conv_dim=32, mask_dim=16, fine_dim=16, layers=1, heads=4, feedforward=32, groups=8)


def trained(module: torch.nn.Module) -> torch.nn.Module:
    """In evaluation mode, with statistics that are not the initial ones."""
    for part in module.modules():
        if isinstance(part, torch.nn.BatchNorm2d):
            torch.nn.init.uniform_(part.running_mean, -0.5, 0.5)  # type: ignore[arg-type]
            torch.nn.init.uniform_(part.running_var, 0.5, 2)  # type: ignore[arg-type]
    return module.eval()


def seen_with_other_surroundings(layer: torch.nn.Module) -> tuple[Tensor, Tensor]:
    """The layer's answer in the left half, twice, with something else on the right."""
    left, right, other = torch.randn(3, 1, 8, 12, 12).unbind()
    return layer(torch.cat([left, right], 3))[..., :10], layer(torch.cat([left, 5 * other + 3], 3))[..., :10]


def test_a_fixed_norm_does_not_see_the_surroundings_and_a_group_norm_does() -> None:
    torch.manual_seed(0)
    one, other = seen_with_other_surroundings(trained(NormedConv(8, 16, 3, groups=0, relu=True)))
    assert torch.equal(one, other)
    one, other = seen_with_other_surroundings(trained(NormedConv(8, 16, 3, groups=4, relu=True)))
    assert (one - other).abs().max() > 0.1


def test_without_places_attention_moves_with_the_picture() -> None:
    torch.manual_seed(0)
    x = torch.randn(1, 32, 4, 6)
    for positions, moves in ((no_positions, True), (grid_positions, False)):
        encoder = Encoder(SMALL, positions).eval()
        moved = encoder(x.roll(2, dims=3)).roll(-2, dims=3)
        assert torch.allclose(encoder(x), moved, atol=1e-5) is moves


@pytest.mark.parametrize(("norm", "positions"), [("batch", "none"), ("batch", "grid"), ("group", "none")])
def test_a_network_is_built_as_its_config_says(
    norm: Literal["group", "batch"], positions: Literal["grid", "none"]
) -> None:
    decoder = JointDecoderConfig(hidden=32, queries=4, layers=3, heads=4, feedforward=32)
    config = ModelConfig(
        image=ImageTowerConfig(kind="lite"), pixel=replace(SMALL, norm=norm), decoder=decoder, positions=positions
    )
    assert ModelConfig.from_dict(config.to_dict()) == config
    net = PathSegmentorNet(config)
    kinds = {type(m) for m in net.pixel_decoder.modules() if isinstance(m, torch.nn.GroupNorm | torch.nn.BatchNorm2d)}
    assert kinds == {torch.nn.BatchNorm2d if norm == "batch" else torch.nn.GroupNorm}
    expected = no_positions if positions == "none" else grid_positions
    assert net.joint_decoder.positions is expected
    assert net.pixel_decoder.transformer["encoder"].positions is expected
