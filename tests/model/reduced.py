"""The reduced network of the golden tensors, and how they are read."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file

from pathsegmentor.model.biomedparse import split_released
from pathsegmentor.model.config import (
    ImageTowerConfig,
    JointDecoderConfig,
    ModelConfig,
    PixelDecoderConfig,
    TextTowerConfig,
)
from pathsegmentor.model.network import PathSegmentorNet

GOLDEN = Path(__file__).parents[1] / "golden"
MANIFEST: dict[str, Any] = json.loads((GOLDEN / "manifest.json").read_text())

# Largest difference allowed, relative to the tensor's largest magnitude.
RELATIVE = {torch.float32: 2e-5, torch.float64: 1e-6}

CONFIG = ModelConfig(
    image=ImageTowerConfig(embed_dim=16, depths=(1, 1, 2, 1)),
    pixel=PixelDecoderConfig(conv_dim=64, mask_dim=48, layers=2, feedforward=96),
    text=TextTowerConfig(vocab=97, context=16, width=32, heads=4, layers=2, feedforward=128),
    decoder=JointDecoderConfig(hidden=64, queries=9, layers=4, feedforward=96),
)


def golden(name: str, dtype: torch.dtype = torch.float32) -> dict[str, torch.Tensor]:
    """Tensors of one golden file; floats in ``dtype``."""
    tensors = load_file(GOLDEN / f"{name}.safetensors")
    return {k: v.to(dtype) if v.is_floating_point() else v for k, v in tensors.items()}


def reduced_network(dtype: torch.dtype) -> PathSegmentorNet:
    """The reduced network with the golden weights, in evaluation mode."""
    net = PathSegmentorNet(CONFIG)
    ours, _ = split_released(golden("reduced_state_dict"))
    net.load_state_dict(ours)
    return net.to(dtype).eval()


def assert_close(found: torch.Tensor, expected: torch.Tensor, relative: float | None = None) -> None:
    """Largest difference relative to the largest magnitude, so small entries do not weigh more."""
    assert found.shape == expected.shape, f"{tuple(found.shape)} instead of {tuple(expected.shape)}"
    limit = relative if relative is not None else RELATIVE[found.dtype]
    error = ((found - expected).abs().max() / expected.abs().max().clamp(min=1e-30)).item()
    assert error <= limit, f"relative difference {error:.2e}, allowed {limit:.0e}"
