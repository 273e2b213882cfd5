"""SAM's network in miniature with random weights, saved as SAM's own code names them."""

from __future__ import annotations

import re
from functools import cache
from typing import Any

import torch
from torch import Tensor

SIDE = 64
# SAM's own names by those of `transformers`, the other way round than the loader has them.
BACK = [
    (r"^vision_encoder\.layers\.(\d+)\.layer_norm(\d)", r"image_encoder.blocks.\1.norm\2"),
    (r"^vision_encoder\.layers\.", "image_encoder.blocks."),
    (r"^vision_encoder\.patch_embed\.projection", "image_encoder.patch_embed.proj"),
    (r"^vision_encoder\.neck\.conv1", "image_encoder.neck.0"),
    (r"^vision_encoder\.neck\.layer_norm1", "image_encoder.neck.1"),
    (r"^vision_encoder\.neck\.conv2", "image_encoder.neck.2"),
    (r"^vision_encoder\.neck\.layer_norm2", "image_encoder.neck.3"),
    (r"^vision_encoder\.", "image_encoder."),
    (r"^shared_image_embedding\.positional_embedding", "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"),
    (r"^prompt_encoder\.point_embed\.", "prompt_encoder.point_embeddings."),
    (r"^prompt_encoder\.mask_embed\.conv1", "prompt_encoder.mask_downscaling.0"),
    (r"^prompt_encoder\.mask_embed\.layer_norm1", "prompt_encoder.mask_downscaling.1"),
    (r"^prompt_encoder\.mask_embed\.conv2", "prompt_encoder.mask_downscaling.3"),
    (r"^prompt_encoder\.mask_embed\.layer_norm2", "prompt_encoder.mask_downscaling.4"),
    (r"^prompt_encoder\.mask_embed\.conv3", "prompt_encoder.mask_downscaling.6"),
    (r"^mask_decoder\.upscale_conv1", "mask_decoder.output_upscaling.0"),
    (r"^mask_decoder\.upscale_layer_norm", "mask_decoder.output_upscaling.1"),
    (r"^mask_decoder\.upscale_conv2", "mask_decoder.output_upscaling.3"),
    (r"^mask_decoder\.transformer\.layer_norm_final_attn", "mask_decoder.transformer.norm_final_attn"),
    (r"^(mask_decoder\.transformer\.layers\.\d+)\.layer_norm(\d)", r"\1.norm\2"),
    (r"^(mask_decoder\.(output_hyper.*\.\d+|iou_prediction_head))\.layers\.0\.", r"\1.layers.1."),
    (r"^(mask_decoder\.(output_hyper.*\.\d+|iou_prediction_head))\.proj_in\.", r"\1.layers.0."),
    (r"^(mask_decoder\.(output_hyper.*\.\d+|iou_prediction_head))\.proj_out\.", r"\1.layers.2."),
]


@cache
def network() -> Any:
    """A ``SamModel`` of `transformers` whose answers depend on the image: its own start is nearly zero."""
    from transformers import SamConfig, SamModel

    config = SamConfig(
        vision_config={
            "hidden_size": 32,
            "output_channels": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "image_size": SIDE,
            "patch_size": 8,
            "mlp_dim": 48,
            "num_pos_feats": 16,
            "window_size": 3,
            "global_attn_indexes": [1],
        },
        prompt_encoder_config={"hidden_size": 32, "image_size": SIDE, "patch_size": 8, "mask_input_channels": 8},
        mask_decoder_config={"hidden_size": 32, "mlp_dim": 40, "iou_head_hidden_dim": 24},
    )
    net = SamModel(config).eval()
    torch.manual_seed(15)  # of few, the one whose masks are neither empty nor full
    with torch.no_grad():
        for name, parameter in net.named_parameters():
            noise = torch.randn_like(parameter)
            parameter.copy_(1 + 0.1 * noise if "norm" in name and name.endswith("weight") else 0.3 * noise)
    net.prompt_encoder.shared_embedding.positional_embedding = net.shared_image_embedding.positional_embedding
    return net


def original(adapters: bool = False) -> dict[str, Tensor]:
    """The same weights under SAM's own names; with ``adapters`` as SAM-Med2D has them."""
    state = {name: t for name, t in network().state_dict().items() if "prompt_encoder.shared_embedding" not in name}
    named = {}
    for name, tensor in state.items():
        for old, new in BACK:
            changed = re.sub(old, new, name)
            if changed != name:
                name = changed
                break
        named[name] = tensor.clone()
    if adapters:
        torch.manual_seed(2)
        shapes = {
            "norm.weight": (32,),
            "norm.bias": (32,),
            "channel.0.weight": (8, 32),
            "channel.2.weight": (32, 8),
            "spatial.0.weight": (32, 32, 3, 3),
            "spatial.2.weight": (32, 32, 4, 4),
        }
        for block in range(2):
            for name, shape in shapes.items():
                named[f"image_encoder.blocks.{block}.Adapter.{name}"] = torch.randn(shape) * 0.2
    return named
