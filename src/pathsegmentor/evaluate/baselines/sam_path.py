"""SAM-Path: the frozen encoders of SAM and HIPT side by side, and SAM's decoder with one token per class.

J. Zhang et al., "SAM-Path", 2023, the layout that fuses both encoders' tokens. The network is written from the paper
and from facts about the released layout; its code has no licence and nothing of it is here.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pathsegmentor.errors import BadModel
from pathsegmentor.evaluate.baselines.sam_keys import sizes, to_transformers

# The table of places is enlarged by (grid + 0.1) / its own side, as in DINO's code; a plain resize gives other numbers.
MORE = 0.1
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class Block(nn.Module):
    """A transformer block that normalises first; names are DINO's."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})

    def forward(self, x: Tensor) -> Tensor:
        """(B, T, C) -> (B, T, C)."""
        batch, tokens, width = x.shape
        parts = self.attn["qkv"](self.norm1(x)).view(batch, tokens, 3, self.heads, -1).permute(2, 0, 3, 1, 4)
        seen = F.scaled_dot_product_attention(parts[0], parts[1], parts[2])
        x = x + self.attn["proj"](seen.transpose(1, 2).reshape(batch, tokens, width))
        return torch.as_tensor(x + self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x)))))


class Hipt(nn.Module):
    """HIPT's vision transformer for patches of 256 pixels, run on the whole image."""

    def __init__(self, width: int, layers: int, places: int, patch: int = 16) -> None:
        super().__init__()
        self.patch = patch
        self.cls_token = nn.Parameter(torch.zeros(1, 1, width))
        self.pos_embed = nn.Parameter(torch.zeros(1, places, width))
        self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, patch, patch)})
        self.blocks = nn.ModuleList(Block(width, max(width // 64, 1)) for _ in range(layers))
        self.norm = nn.LayerNorm(width, eps=1e-6)

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, S, S) by mean and deviation 0.5 -> tokens (B, C, S / 16, S / 16) for patches of 16."""
        x = self.patch_embed["proj"](pixels)
        batch, width, rows, columns = x.shape
        x = x.flatten(2).transpose(1, 2)
        x = torch.cat([self.cls_token.expand(batch, -1, -1), x], dim=1) + self._places(rows, columns)
        for block in self.blocks:
            x = block(x)
        return torch.as_tensor(self.norm(x)[:, 1:].transpose(1, 2).reshape(batch, width, rows, columns))

    def _places(self, rows: int, columns: int) -> Tensor:
        table = self.pos_embed[:, 1:]
        side = round(table.shape[1] ** 0.5)
        if (rows, columns) == (side, side):
            return self.pos_embed
        grid = table.reshape(1, side, side, -1).permute(0, 3, 1, 2)
        factor = ((rows + MORE) / side, (columns + MORE) / side)
        large = F.interpolate(grid, scale_factor=factor, mode="bicubic", align_corners=False)
        return torch.cat([self.pos_embed[:, :1], large.flatten(2).transpose(1, 2)], dim=1)


class ChannelNorm(nn.Module):
    """LayerNorm over the channels of a map."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight, self.bias = nn.Parameter(torch.ones(width)), nn.Parameter(torch.zeros(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, C, H, W) -> (B, C, H, W)."""
        return F.layer_norm(x.permute(0, 2, 3, 1), self.weight.shape, self.weight, self.bias, 1e-6).permute(0, 3, 1, 2)


class SamPath(nn.Module):
    """Built to fit weights; only the fusion neck and the mask decoder learn.

    ``sam`` and ``hipt`` are tables in the names of `transformers` and of DINO; ``classes`` the number of masks.
    """

    def __init__(self, sam: Mapping[str, Tensor], hipt: Mapping[str, Tensor], classes: int) -> None:
        from transformers import SamConfig, SamModel

        super().__init__()
        told = sizes(sam)
        told["mask_decoder_config"]["num_multimask_outputs"] = classes
        self.sam = SamModel(SamConfig(**told))
        width, channels = told["vision_config"]["hidden_size"], told["vision_config"]["output_channels"]
        self.hipt = _hipt_of(hipt)
        patch = told["vision_config"]["patch_size"]
        if patch != self.hipt.patch:
            raise BadModel(f"SAM looks at patches of {patch} pixels, HIPT at {self.hipt.patch}; they must agree")
        joined = width + self.hipt.cls_token.shape[-1]
        self.fusion_neck = nn.Sequential(
            nn.Conv2d(joined, channels, 1, bias=False),
            ChannelNorm(channels),
            nn.Conv2d(channels, channels, 3, padding=1, bias=False),
            ChannelNorm(channels),
        )
        for frozen in (self.sam, self.hipt):
            frozen.requires_grad_(False)
        self.sam.mask_decoder.requires_grad_(True)
        # Which of its masks SAM would choose is not asked here.
        self.sam.mask_decoder.iou_prediction_head.requires_grad_(False)
        # Token 0 and its network answer a single mask, which is not asked either.
        self.sam.mask_decoder.output_hypernetworks_mlps[0].requires_grad_(False)

    @torch.no_grad()
    def begin(self, sam: Mapping[str, Tensor], hipt: Mapping[str, Tensor]) -> None:
        """Published encoders and decoder; class tokens are fresh, their networks copies of SAM's first."""
        first = "mask_decoder.output_hypernetworks_mlps.0."
        copies = {
            name: sam[first + name.split(".", 3)[3]]
            for name in self.sam.state_dict()
            if name.startswith("mask_decoder.output_hypernetworks_mlps.")
        }
        fresh = ("mask_decoder.mask_tokens.", "mask_decoder.iou_prediction_head.proj_out.")
        kept = {name: tensor for name, tensor in self.sam.state_dict().items() if name.startswith(fresh)}
        ours = {n: t for n, t in sam.items() if not n.startswith((*fresh, "mask_decoder.output_hypernetworks"))}
        self.sam.load_state_dict({**ours, **copies, **kept})
        nn.init.normal_(self.sam.mask_decoder.mask_tokens.weight)
        self.hipt.load_state_dict(dict(hipt))

    def forward(self, pixels: Tensor) -> Tensor:
        """Pixels (B, 3, S, S) by ImageNet's mean and deviation -> logits (B, K, S, S)."""
        with torch.no_grad():
            tokens = self.sam.vision_encoder(pixels, output_hidden_states=True).hidden_states[-1]
            seen = torch.cat([tokens.permute(0, 3, 1, 2), self.hipt(_again(pixels))], dim=1)
        embeddings = self.fusion_neck(seen)
        logits = self.sam(image_embeddings=embeddings, multimask_output=True).pred_masks[:, 0]
        return F.interpolate(logits, pixels.shape[2:], mode="bilinear", align_corners=False)


def _again(pixels: Tensor) -> Tensor:
    """ImageNet's mean and deviation taken back, and 0.5 and 0.5 put instead."""
    mean, std = (torch.tensor(values, device=pixels.device)[:, None, None] for values in (_MEAN, _STD))
    return (pixels * std + mean - 0.5) / 0.5


def _hipt_of(state: Mapping[str, Tensor]) -> Hipt:
    try:
        places, width = state["pos_embed"].shape[1:]
        patch = state["patch_embed.proj.weight"].shape[-1]
        layers = len({name.split(".")[1] for name in state if name.startswith("blocks.")})
    except (KeyError, ValueError) as error:
        raise BadModel("these are no weights of HIPT's ViT-256: a tensor that tells a size is missing") from error
    return Hipt(width, layers, places, patch)


def hipt_names(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The teacher of a DINO training file: prefixes off, its projection head out."""
    plain = {name.removeprefix("module.").removeprefix("backbone."): tensor for name, tensor in state.items()}
    return {name: tensor for name, tensor in plain.items() if not name.startswith(("head.", "last_layer."))}


def split_released(state: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, Tensor], dict[str, Tensor]]:
    """A released SAM-Path checkpoint, or ours, as tables of SAM (`transformers`' names), HIPT (DINO's), fusion neck."""
    parts: dict[str, dict[str, Tensor]] = {"sam": {}, "extra_encoder.model": {}, "fusion_neck": {}}
    for name, tensor in state.items():
        if name.startswith("model."):  # of the class that trains it
            name = name.removeprefix("model.")
            name = "sam." + name.removeprefix("model.") if name.startswith("model.") else name
        name = name.replace("hipt.", "extra_encoder.model.", 1) if name.startswith("hipt.") else name
        part = next((part for part in parts if name.startswith(f"{part}.")), None)
        if part is None:
            raise BadModel(f"{name!r} belongs to no part of SAM-Path")
        parts[part][name.removeprefix(f"{part}.")] = tensor
    return to_transformers(parts["sam"]), parts["extra_encoder.model"], parts["fusion_neck"]
