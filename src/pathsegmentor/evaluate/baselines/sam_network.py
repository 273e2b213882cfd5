"""The network of SAM, MedSAM and SAM-Med2D, built to fit the weights at hand, and what it is asked.

SAM: A. Kirillov et al., 2023. SAM-Med2D (J. Cheng et al., 2023) adds an adapter beside every block's MLP.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pathsegmentor.errors import BadModel
from pathsegmentor.evaluate.baselines.sam_keys import sizes, to_transformers
from pathsegmentor.evaluate.baselines.weights import Brought, fill_in

# Boxes asked at once: more need memory and gain no time.
BOXES_AT_ONCE = 16
ADAPTER = "vision_encoder.layers.0.mlp.adapter.norm.weight"


class Adapter(nn.Module):
    """SAM-Med2D's: a gate per channel, then half the resolution and back; (B, H, W, C) -> the same."""

    def __init__(self, width: int, narrow: int) -> None:
        super().__init__()
        self.channel = nn.Sequential(
            nn.Linear(width, narrow, bias=False), nn.ReLU(), nn.Linear(narrow, width, bias=False), nn.Sigmoid()
        )
        self.spatial = nn.Sequential(
            nn.Conv2d(width, width, 3, stride=2, padding=1, bias=False),
            nn.ReLU(),
            nn.ConvTranspose2d(width, width, 4, stride=2, padding=1, bias=False),
            nn.ReLU(),
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor) -> Tensor:
        """LayerNorm of the input and what both paths make of it."""
        gated = self.channel(x.mean(dim=(1, 2)))[:, None, None] * x
        z = self.spatial(gated.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        return torch.as_tensor(self.norm(x + z))


def sam_network(brought: Brought, adapters: bool) -> Any:
    """A ``SamModel`` with these weights; sizes come from them. Raises ``BadModel`` for weights of another network."""
    from transformers import SamConfig, SamModel

    what = f"{brought.path} does not fit SAM"
    state = to_transformers(brought.state)
    if (ADAPTER in state) != adapters:
        other, name = ("with", "sam-med2d") if ADAPTER in state else ("without", "sam or medsam")
        raise BadModel(f"{brought.path} holds a SAM {other} adapters: it is one for {name}")
    with torch.device("meta"):
        net = SamModel(SamConfig(**sizes(state)))
        if adapters:
            _add_adapters(net, state)
    fill_in(net, state, what)
    return net


def _add_adapters(net: Any, state: dict[str, Tensor]) -> None:
    narrow, width = state[ADAPTER.replace("norm.weight", "channel.0.weight")].shape
    for layer in net.vision_encoder.layers:
        mlp = layer.mlp
        mlp.adapter = Adapter(width, narrow)
        mlp.register_forward_hook(lambda mlp, inputs, out: out + mlp.adapter(inputs[0]))


@torch.inference_mode()
def encode(net: Any, pixels: Tensor) -> Tensor:
    """Pixels (1, 3, S, S) as the network takes them -> embeddings (1, C, s, s)."""
    return torch.as_tensor(net.vision_encoder(pixels).last_hidden_state)


@torch.inference_mode()
def ask(net: Any, embeddings: Tensor, boxes: NDArray[np.floating[Any]], several: bool) -> Iterator[Tensor]:
    """Mask logits (n, h, w) of boxes (N, 4) in the network's pixels, some at a time.

    ``several``: of the three masks for a box take the one that the network thinks best.
    """
    for first in range(0, len(boxes), BOXES_AT_ONCE):
        some = torch.from_numpy(np.asarray(boxes[first : first + BOXES_AT_ONCE], np.float32))[None]
        out = net(input_boxes=some.to(embeddings.device), image_embeddings=embeddings, multimask_output=several)
        masks, scores = out.pred_masks[0], out.iou_scores[0]
        yield masks[torch.arange(len(masks)), scores.argmax(dim=1)]
