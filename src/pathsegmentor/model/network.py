"""The whole network (eq. 1): image tower, pixel decoder, text tower, joint decoder."""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from pathsegmentor.model.attention import grid_positions, no_positions
from pathsegmentor.model.config import ModelConfig
from pathsegmentor.model.focalnet import FocalNet
from pathsegmentor.model.joint_decoder import Decoded, Heads, ImageMemory, JointDecoder, last_word
from pathsegmentor.model.lite import LiteTower
from pathsegmentor.model.pixel_decoder import PixelDecoder
from pathsegmentor.model.presence import PresenceHead
from pathsegmentor.model.text import TextEncoder

MAX_SCALE = 100.0
TINY = 1e-7


@dataclass(frozen=True)
class Looked:
    """The tower's coarsest level (B, C, h, w), the pixel decoder's maps, coarsest first, and its mask features."""

    coarsest: Tensor
    maps: list[Tensor]
    mask_features: Tensor


@dataclass(frozen=True)
class Answer:
    """One answer per prompt: mask logits (B, P, H, W), chosen query (B, P), presence logits (B, P) or None."""

    logits: Tensor
    chosen: Tensor
    presence: Tensor | None


class PathSegmentorNet(nn.Module):
    """Pixels and tokens in, mask logits out; sized by a ``ModelConfig``."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        tower = LiteTower() if config.image.kind == "lite" else FocalNet(config.image)
        self.image_tower: nn.Module = tower
        positions = grid_positions if config.positions == "grid" else no_positions
        self.pixel_decoder = PixelDecoder(tower.widths, config.pixel, positions)
        hidden = config.decoder.hidden
        if config.pixel.conv_dim != hidden:
            raise ValueError(f"pixel.conv_dim {config.pixel.conv_dim} and decoder.hidden {hidden} must agree")
        self.text_encoder = TextEncoder(config.text, hidden)
        self.joint_decoder = JointDecoder(config.decoder, config.pixel.mask_dim, positions)
        self.logit_scale = nn.Parameter(torch.ones(()))
        heads = config.decoder.heads
        self.presence = PresenceHead(tower.widths[-1], hidden, heads) if config.decoder.presence else None
        self.register_buffer("mean", torch.tensor(config.mean)[:, None, None], persistent=False)
        self.register_buffer("std", torch.tensor(config.std)[:, None, None], persistent=False)

    def normalise(self, pixels: Tensor) -> Tensor:
        """RGB 0..255 (B, 3, H, W), any number type -> what the image tower takes."""
        mean, std = self.get_buffer("mean"), self.get_buffer("std")
        return (pixels.to(mean.dtype) - mean) / std

    def encode(self, images: Tensor) -> ImageMemory:
        """Normalised images (B, 3, H, W) -> everything that prompts ask of them."""
        return self.remember(self.look(images))

    def look(self, images: Tensor) -> Looked:
        """Normalised images (B, 3, H, W) -> what image tower and pixel decoder make of them."""
        levels = self.image_tower(images)
        return Looked(levels[-1], *self.pixel_decoder(levels))

    def remember(self, looked: Looked) -> ImageMemory:
        """What the decoder and the presence head keep of a look."""
        memory = self.joint_decoder.remember(looked.maps, looked.mask_features)
        return memory if self.presence is None else replace(memory, evidence=self.presence.remember(looked.coarsest))

    def similarity(self, heads: Heads, prompts: Tensor) -> Tensor:
        """Scaled cosine between class embeddings (B, P, Q, D) and prompt features (B, N, D) -> (B, P, Q, N)."""
        v = heads.classes / (heads.classes.norm(dim=-1, keepdim=True) + TINY)
        t = prompts / (prompts.norm(dim=-1, keepdim=True) + TINY)
        return self.logit_scale.exp().clamp(max=MAX_SCALE) * (v @ t[:, None].transpose(-1, -2))

    def presence_logits(self, memory: ImageMemory, decoded: Decoded, prompts: Tensor, real: Tensor) -> Tensor | None:
        """Presence of each prompt's object (B, P); None without that head."""
        if self.presence is None or memory.evidence is None:
            return None
        return torch.as_tensor(self.presence(*memory.evidence, prompts, last_word(decoded.words, real)))

    def answer(self, memory: ImageMemory, tokens: Tensor, prompts: Tensor, real: Tensor) -> Answer:
        """One by one: words (B, P, T, D), prompt features (B, P, D), real tokens (B, P, T) -> answers.

        Per prompt the query with the largest similarity in the last prediction answers (eq. 7).
        """
        decoded = self.joint_decoder(memory, tokens, real)
        last = decoded.predictions[-1]
        own = self.similarity(last, prompts).diagonal(dim1=1, dim2=3)  # (B, Q, P)
        chosen = own.argmax(dim=1)
        index = chosen[..., None, None].expand(-1, -1, 1, last.masks.shape[-1])
        embedding = last.masks.gather(2, index)[:, :, 0]
        logits = torch.einsum("bpm,bmhw->bphw", embedding, memory.mask_features)
        return Answer(logits, chosen, self.presence_logits(memory, decoded, prompts, real))

    def answer_jointly(self, memory: ImageMemory, tokens: Tensor, prompts: Tensor, real: Tensor) -> Answer:
        """All prompts of an image read as one sequence, as released code does: they influence each other.

        Shapes as in ``answer``.
        """
        flat = tokens.flatten(1, 2)[:, None]
        decoded = self.joint_decoder(memory, flat, real.flatten(1, 2)[:, None])
        last = decoded.predictions[-1]
        chosen = self.similarity(last, prompts)[:, 0].argmax(dim=1)  # (B, P)
        embedding = last.masks[:, 0].gather(1, chosen[..., None].expand(-1, -1, last.masks.shape[-1]))
        return Answer(torch.einsum("bpm,bmhw->bphw", embedding, memory.mask_features), chosen, None)
