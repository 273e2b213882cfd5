"""The smallest network of the released layout, so that a case takes milliseconds."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import torch
from tokenizers import Tokenizer, models, pre_tokenizers

from pathsegmentor.model.biomedparse import join_released
from pathsegmentor.model.config import (
    ImageTowerConfig,
    JointDecoderConfig,
    ModelConfig,
    PixelDecoderConfig,
    TextTowerConfig,
)
from pathsegmentor.model.folder import save_model
from pathsegmentor.model.network import PathSegmentorNet

LABELS = ["colon-tissue-gland", "breast-nuclei-neoplastic", "lung-tissue-normal tissue"]
SMALL = ModelConfig(
    image=ImageTowerConfig(embed_dim=8, depths=(1, 1, 1, 1), focal_levels=1, mlp_ratio=1),
    pixel=PixelDecoderConfig(conv_dim=8, mask_dim=8, fine_dim=8, layers=1, heads=2, feedforward=8, groups=2),
    text=TextTowerConfig(vocab=4, context=8, width=8, layers=1, heads=2, feedforward=8),
    decoder=JointDecoderConfig(hidden=8, queries=2, layers=1, heads=2, feedforward=8),
    mpp={"colon-tissue-gland": 1.0},
    tile=64,
    overlap=16,
)


@cache
def weights() -> dict[str, torch.Tensor]:
    """Random ones, under our names."""
    torch.manual_seed(0)
    return PathSegmentorNet(SMALL).state_dict()


@cache
def released() -> dict[str, torch.Tensor]:
    """The same under the released names."""
    return join_released(weights(), {"criterion.empty_weight": torch.ones(17)})


def small_words() -> Tokenizer:
    """Every word is one of two."""
    words = Tokenizer(models.WordLevel({"[UNK]": 0, "gland": 1}, "[UNK]"))
    words.pre_tokenizer = pre_tokenizers.Whitespace()
    return words


def small_model(folder: Path) -> Path:
    """Write a model folder that loads in some milliseconds."""
    save_model(folder, SMALL, weights(), small_words(), LABELS, "# Small\n")
    return folder
