"""Activation checkpointing: what a block computes is computed again in the backward pass instead of being kept."""

from __future__ import annotations

from functools import partial

from torch import nn
from torch.utils.checkpoint import checkpoint

from pathsegmentor.model.focalnet import FocalBlock
from pathsegmentor.model.pixel_decoder import EncoderLayer

# Most of what the paper's network keeps for the backward pass. None of them has statistics of its own, which a second
# pass would count twice; random depth is drawn as in the first.
BLOCKS = (FocalBlock, EncoderLayer)


def recompute(net: nn.Module) -> None:
    """Let the blocks of a network keep their inputs only; losses and gradients stay what they are."""
    for block in net.modules():
        if isinstance(block, BLOCKS):
            block.forward = partial(checkpoint, block.forward, use_reentrant=False)  # type: ignore[method-assign]
