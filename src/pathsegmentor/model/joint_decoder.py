"""Joint feature interaction (section 4.2, eq. 4-7): queries, image and words.

What belongs to the image alone (``ImageMemory``) is computed once; prompts then cost a fraction.
Sequences are laid out (B images, P prompts each): every prompt has its own queries and its own words, so
no prompt changes another's mask. Passing the words of several prompts as one sequence (P = 1) gives
the released code's joint reading.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathsegmentor.model.attention import Attention, Positions
from pathsegmentor.model.config import JointDecoderConfig

LEVELS = 3


class CrossAttention(nn.Module):
    """Queries look at one level of the image (eq. 4), residual and post-norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.multihead_attn = Attention(width, heads)
        self.norm = nn.LayerNorm(width)


class SelfAttention(nn.Module):
    """Queries and words look at each other (eq. 5), residual and post-norm."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.self_attn = Attention(width, heads)
        self.norm = nn.LayerNorm(width)

    def forward(self, x: Tensor, positions: Tensor, allowed: Tensor) -> Tensor:
        """(S, Q + T, D) with ``allowed`` keys (S, 1, 1, Q + T)."""
        located = x + positions
        return torch.as_tensor(self.norm(x + self.self_attn(located, located, x, allowed)))


class FeedForward(nn.Module):
    """Two-layer MLP on queries and words (eq. 6), residual and post-norm."""

    def __init__(self, width: int, feedforward: int) -> None:
        super().__init__()
        self.linear1 = nn.Linear(width, feedforward)
        self.linear2 = nn.Linear(feedforward, width)
        self.norm = nn.LayerNorm(width)
        nn.init.xavier_uniform_(self.linear1.weight)
        nn.init.xavier_uniform_(self.linear2.weight)

    def forward(self, x: Tensor) -> Tensor:
        """(S, N, D) -> (S, N, D)."""
        return torch.as_tensor(self.norm(x + self.linear2(F.relu(self.linear1(x)))))


class MaskEmbed(nn.Module):
    """P_mask: three linear layers with ReLU between."""

    def __init__(self, width: int, out: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(width, width), nn.Linear(width, width), nn.Linear(width, out)])

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) -> (..., mask width)."""
        first, second, third = self.layers
        return torch.as_tensor(third(F.relu(second(F.relu(first(x))))))


@dataclass(frozen=True)
class ImageMemory:
    """All that depends on the image and not on the words; B images.

    ``keys``, ``values``: per layer (B, heads, N_l, d). ``shrunk``: per level, mask features on that
    level's grid (B, M, N_l). ``mask_features`` (B, M, H, W). ``queries`` (B, Q, D): after the first
    cross-attention, which no word has entered yet. ``first``: prediction of the learnt queries.
    ``evidence``: keys and values of the presence head, if there is one.
    """

    keys: list[Tensor]
    values: list[Tensor]
    shrunk: list[Tensor]
    mask_features: Tensor
    queries: Tensor
    first: Heads
    evidence: tuple[Tensor, Tensor] | None = None


@dataclass(frozen=True)
class Heads:
    """One prediction: class embeddings (B, P, Q, D) and mask embeddings (B, P, Q, M)."""

    classes: Tensor
    masks: Tensor


@dataclass(frozen=True)
class Decoded:
    """All predictions of a pass, before layer 0 first, and the last state of the words (B, P, T, D)."""

    predictions: list[Heads]
    words: Tensor


def last_word(words: Tensor, real: Tensor) -> Tensor:
    """The last real token of each prompt: (B, P, T, D), (B, P, T) -> (B, P, D)."""
    last = (real.sum(dim=-1) - 1)[..., None, None].expand(-1, -1, 1, words.shape[-1])
    return words.gather(2, last)[:, :, 0]


class JointDecoder(nn.Module):
    """Masked cross-attention over three levels in turn, self-attention with the words, feed-forward."""

    def __init__(self, config: JointDecoderConfig, mask_dim: int, positions: Positions) -> None:
        super().__init__()
        self.positions = positions
        width, count = config.hidden, config.layers
        self.query_feat = nn.Embedding(config.queries, width)
        self.query_embed = nn.Embedding(config.queries, width)
        self.level_embed = nn.Embedding(LEVELS, width)
        heads, ffn = config.heads, config.feedforward
        self.transformer_cross_attention_layers = nn.ModuleList(CrossAttention(width, heads) for _ in range(count))
        self.transformer_self_attention_layers = nn.ModuleList(SelfAttention(width, heads) for _ in range(count))
        self.transformer_ffn_layers = nn.ModuleList(FeedForward(width, ffn) for _ in range(count))
        self.decoder_norm = nn.LayerNorm(width)
        self.mask_embed = MaskEmbed(width, mask_dim)
        self.class_embed = nn.Parameter(torch.empty(width, width))
        nn.init.trunc_normal_(self.class_embed, std=0.02)
        # Not in the paper: small models learn to tell prompts apart much sooner along a direct path.
        self.prompt_path = nn.Linear(width, width) if config.prompt_path else None

    def remember(self, maps: list[Tensor], mask_features: Tensor) -> ImageMemory:
        """Maps (B, D, h, w) at strides 32, 16, 8 and mask features (B, M, H, W) -> what prompts need."""
        contents, places = [], []
        for level, x in enumerate(maps):
            tokens = x.flatten(2).transpose(1, 2) + self.level_embed.weight[level]
            contents.append(tokens)
            places.append(tokens + self.positions(x))
        keys, values = [], []
        for i, layer in enumerate(self.transformer_cross_attention_layers):
            assert isinstance(layer, CrossAttention)
            level = i % LEVELS
            k, v = layer.multihead_attn.keys_values(places[level], contents[level])
            keys.append(k)
            values.append(v)
        # Mask logits are linear in the mask features, so shrinking those once equals shrinking every mask.
        shrunk = [
            F.interpolate(mask_features, size=x.shape[-2:], mode="bilinear", align_corners=False).flatten(2)
            for x in maps
        ]
        start = self.query_feat.weight.expand(len(mask_features), -1, -1)
        first = self._predict(start[:, None])
        queries = self._cross(0, start[:, None], first, keys[0], values[0], shrunk[0])
        return ImageMemory(keys, values, shrunk, mask_features, queries[:, 0], first)

    def forward(self, memory: ImageMemory, tokens: Tensor, real: Tensor) -> Decoded:
        """Words (B, P, T, D) with ``real`` (B, P, T) true where a token is no padding."""
        images, prompts, length, _ = tokens.shape
        count = self.query_embed.num_embeddings
        places = torch.cat(
            [
                self.query_embed.weight.expand(images * prompts, -1, -1),
                tokens.detach().flatten(0, 1),  # their place is what they were before any layer
            ],
            dim=1,
        )
        allowed = F.pad(real.flatten(0, 1), (count, 0), value=True)[:, None, None, :]
        queries = memory.queries[:, None].expand(-1, prompts, -1, -1)
        if self.prompt_path is not None:
            queries = queries + self.prompt_path(last_word(tokens, real))[:, :, None]
        words = tokens
        predictions = [memory.first]
        for i in range(len(self.transformer_ffn_layers)):
            if i > 0:
                level = i % LEVELS
                queries = self._cross(
                    i, queries, predictions[-1], memory.keys[i], memory.values[i], memory.shrunk[level]
                )
            joint = torch.cat([queries, words], dim=2).flatten(0, 1)
            joint = self.transformer_self_attention_layers[i](joint, places, allowed)
            joint = self.transformer_ffn_layers[i](joint).unflatten(0, (images, prompts))
            queries, words = joint.split((count, length), dim=2)
            predictions.append(self._predict(queries))
        return Decoded(predictions, words)

    def _predict(self, queries: Tensor) -> Heads:
        normed = self.decoder_norm(queries)
        return Heads(normed @ self.class_embed, self.mask_embed(normed))

    def _cross(self, i: int, queries: Tensor, latest: Heads, keys: Tensor, values: Tensor, shrunk: Tensor) -> Tensor:
        """Masked cross-attention of layer ``i``: a query sees only where its latest mask is set."""
        layer = self.transformer_cross_attention_layers[i]
        assert isinstance(layer, CrossAttention)
        prompts = queries.shape[1]
        with torch.no_grad():
            allowed = (latest.masks.flatten(1, 2) @ shrunk) >= 0
            allowed |= ~allowed.any(dim=-1, keepdim=True)  # a query with an empty mask sees everything
        x = queries.flatten(1, 2)
        located = (queries + self.query_embed.weight).flatten(1, 2)
        seen = layer.multihead_attn.attend(located, keys, values, allowed[:, None])
        return torch.as_tensor(layer.norm(x + seen)).unflatten(1, (prompts, -1))
