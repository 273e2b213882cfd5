"""Text towers: the causal CLIP-style one of the released weights, and PubMedBERT (the paper's).

Both give token features (N, T, D) and one prompt feature (N, D), that of the last token (the paper's
F'_text; eq. 3 and 7).
"""

from __future__ import annotations

from collections import OrderedDict

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathsegmentor.model.attention import Attention
from pathsegmentor.model.config import TextTowerConfig


class WideLayerNorm(nn.LayerNorm):
    """LayerNorm with eps 1e-12 and statistics in at least float32."""

    def __init__(self, width: int) -> None:
        super().__init__(width, eps=1e-12)

    def forward(self, x: Tensor) -> Tensor:
        """(..., C) -> (..., C)."""
        wide = x if x.dtype == torch.float64 else x.float()
        y = F.layer_norm(wide, self.normalized_shape, None, None, self.eps)
        return self.weight * y.to(x.dtype) + self.bias


class QuickGELU(nn.Module):
    """z * sigmoid(1.702 z)."""

    def forward(self, x: Tensor) -> Tensor:
        """Any shape."""
        return x * torch.sigmoid(1.702 * x)


class TextBlock(nn.Module):
    """Pre-norm transformer block."""

    def __init__(self, config: TextTowerConfig) -> None:
        super().__init__()
        width = config.width
        self.attn = Attention(width, config.heads)
        self.ln_1 = WideLayerNorm(width)
        self.ln_2 = WideLayerNorm(width)
        self.mlp = nn.Sequential(
            OrderedDict(
                c_fc=nn.Linear(width, config.feedforward),
                gelu=QuickGELU(),
                c_proj=nn.Linear(config.feedforward, width),
            )
        )
        for linear in (self.attn.out_proj, self.mlp.c_fc, self.mlp.c_proj):
            assert isinstance(linear, nn.Linear)
            nn.init.trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def forward(self, x: Tensor, allowed: Tensor) -> Tensor:
        """(N, T, C) -> (N, T, C)."""
        y = self.ln_1(x)
        x = x + self.attn(y, y, y, allowed)
        return x + torch.as_tensor(self.mlp(self.ln_2(x)))


class CausalTower(nn.Module):
    """Each token sees itself and those before it, so padding behind never matters."""

    def __init__(self, config: TextTowerConfig) -> None:
        super().__init__()
        self.token_embedding = nn.Embedding(config.vocab, config.width)
        self.positional_embedding = nn.Parameter(torch.empty(config.context, config.width))
        self.resblocks = nn.ModuleList(TextBlock(config) for _ in range(config.layers))
        self.ln_final = WideLayerNorm(config.width)
        nn.init.trunc_normal_(self.token_embedding.weight, std=0.02)
        nn.init.trunc_normal_(self.positional_embedding, std=0.02)

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids (N, T) -> features (N, T, C); ``mask`` is not needed by this tower."""
        length = ids.shape[1]
        x = self.token_embedding(ids) + self.positional_embedding[:length]
        allowed = torch.ones(length, length, dtype=torch.bool, device=ids.device).tril()
        for block in self.resblocks:
            x = block(x, allowed)
        return torch.as_tensor(self.ln_final(x))


class BertTower(nn.Module):
    """PubMedBERT through transformers, without its pooler."""

    def __init__(self, config: TextTowerConfig) -> None:
        super().__init__()
        from transformers import BertConfig, BertModel  # takes seconds to import; only where it is used

        self.bert = BertModel(
            BertConfig(
                vocab_size=config.vocab,
                hidden_size=config.width,
                num_hidden_layers=config.layers,
                num_attention_heads=config.heads,
                intermediate_size=config.feedforward,
                max_position_embeddings=config.context,
            ),
            add_pooling_layer=False,
        )

    def forward(self, ids: Tensor, mask: Tensor) -> Tensor:
        """Token ids and attention mask (N, T) -> features (N, T, C)."""
        return torch.as_tensor(self.bert(input_ids=ids, attention_mask=mask.long()).last_hidden_state)


class TextEncoder(nn.Module):
    """A tower and its projection to the decoder's width."""

    def __init__(self, config: TextTowerConfig, hidden: int) -> None:
        super().__init__()
        self.tower: nn.Module = CausalTower(config) if config.kind == "clip" else BertTower(config)
        self.lang_proj = nn.Parameter(torch.empty(config.width, hidden))
        nn.init.trunc_normal_(self.lang_proj, std=0.02)

    def forward(self, ids: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Ids and boolean mask of real tokens (N, T) -> token features (N, T, D), prompt features (N, D)."""
        tokens = self.tower(ids, mask) @ self.lang_proj
        last = mask.sum(dim=1) - 1
        return tokens, tokens[torch.arange(len(ids), device=ids.device), last]
