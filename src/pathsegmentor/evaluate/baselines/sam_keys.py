"""SAM's published weights in the network of `transformers`: names, and sizes read from the tensors' shapes."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

from pathsegmentor.errors import BadModel

# In this order; each applies to what the ones before have left.
_RULES = tuple(
    (re.compile(old), new)
    for old, new in (
        (r"^image_encoder\.", "vision_encoder."),
        (r"^vision_encoder\.patch_embed\.proj\.", "vision_encoder.patch_embed.projection."),
        (r"^vision_encoder\.blocks\.", "vision_encoder.layers."),
        (r"^(vision_encoder\.layers\.\d+)\.norm(\d)", r"\1.layer_norm\2"),
        (r"^(vision_encoder\.layers\.\d+)\.Adapter\.", r"\1.mlp.adapter."),
        (r"^vision_encoder\.neck\.0", "vision_encoder.neck.conv1"),
        (r"^vision_encoder\.neck\.1", "vision_encoder.neck.layer_norm1"),
        (r"^vision_encoder\.neck\.2", "vision_encoder.neck.conv2"),
        (r"^vision_encoder\.neck\.3", "vision_encoder.neck.layer_norm2"),
        (r"^prompt_encoder\.point_embeddings\.", "prompt_encoder.point_embed."),
        (r"^prompt_encoder\.mask_downscaling\.0", "prompt_encoder.mask_embed.conv1"),
        (r"^prompt_encoder\.mask_downscaling\.1", "prompt_encoder.mask_embed.layer_norm1"),
        (r"^prompt_encoder\.mask_downscaling\.3", "prompt_encoder.mask_embed.conv2"),
        (r"^prompt_encoder\.mask_downscaling\.4", "prompt_encoder.mask_embed.layer_norm2"),
        (r"^prompt_encoder\.mask_downscaling\.6", "prompt_encoder.mask_embed.conv3"),
        (r"^(mask_decoder\.transformer\.layers\.\d+)\.norm(\d)", r"\1.layer_norm\2"),
        (r"^mask_decoder\.transformer\.norm_final_attn", "mask_decoder.transformer.layer_norm_final_attn"),
        (r"^mask_decoder\.output_upscaling\.0", "mask_decoder.upscale_conv1"),
        (r"^mask_decoder\.output_upscaling\.1", "mask_decoder.upscale_layer_norm"),
        (r"^mask_decoder\.output_upscaling\.3", "mask_decoder.upscale_conv2"),
        (r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head))\.layers\.0\.", r"\1.proj_in."),
        (r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head))\.layers\.1\.", r"\1.layers.0."),
        (r"^(mask_decoder\.(?:output_hypernetworks_mlps\.\d+|iou_prediction_head))\.layers\.2\.", r"\1.proj_out."),
    )
)
_PLACES = "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix"
_SHARED, _TIED = "shared_image_embedding.positional_embedding", "prompt_encoder.shared_embedding.positional_embedding"


def is_original(state: Mapping[str, Tensor]) -> bool:
    """Whether the names are those of SAM's own code."""
    return any(name.startswith("image_encoder.") for name in state)


def to_transformers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Names of SAM's own code, or those of `transformers`, to the latter; the matrix of places is there twice.

    Raises ``BadModel`` for names of neither.
    """
    plain = {name.removeprefix("module."): tensor for name, tensor in state.items()}
    if is_original(plain):
        named = {_rename(name): tensor for name, tensor in plain.items()}
    elif any(name.startswith("vision_encoder.") for name in plain):
        named = dict(plain)
    else:
        raise BadModel("these are no weights of SAM: no tensor is named image_encoder... or vision_encoder...")
    places = named.get(_SHARED, named.get(_TIED))
    if places is not None:
        named[_SHARED] = named[_TIED] = places
    return named


def _rename(name: str) -> str:
    if name == _PLACES:
        return _SHARED
    for old, new in _RULES:
        name = old.sub(new, name)
    return name


def sizes(state: Mapping[str, Tensor]) -> dict[str, dict[str, Any]]:
    """Arguments of `transformers`' vision, prompt and decoder configs that such weights (its names) need.

    Raises ``BadModel`` if a tensor that tells a size is missing or has another number of dimensions.
    """
    try:
        return _sizes(state)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        raise BadModel(f"these are no weights of SAM: {error} is missing or has an unheard-of shape") from error


def _sizes(state: Mapping[str, Tensor]) -> dict[str, dict[str, Any]]:
    _, grid, _, width = state["vision_encoder.pos_embed"].shape
    patch = state["vision_encoder.patch_embed.projection.weight"].shape[-1]
    layers = _count(state, r"vision_encoder\.layers\.(\d+)\.layer_norm1\.weight")
    reach = [state[f"vision_encoder.layers.{i}.attn.rel_pos_h"].shape for i in range(layers)]
    everywhere = [i for i, (rows, _) in enumerate(reach) if rows == 2 * grid - 1]
    windows = {(rows + 1) // 2 for rows, _ in reach if rows != 2 * grid - 1} or {grid}
    (window,) = windows
    channels = state["vision_encoder.neck.conv1.weight"].shape[0]
    two_way = "mask_decoder.transformer.layers.0"
    narrow = state[f"{two_way}.cross_attn_token_to_image.q_proj.weight"].shape[0]
    return {
        "vision_config": {
            "hidden_size": width,
            "output_channels": channels,
            "num_hidden_layers": layers,
            "num_attention_heads": width // reach[0][1],
            "image_size": grid * patch,
            "patch_size": patch,
            "mlp_dim": state["vision_encoder.layers.0.mlp.lin1.weight"].shape[0],
            "num_pos_feats": state[_SHARED].shape[1],
            "window_size": window,
            "global_attn_indexes": everywhere,
        },
        "prompt_encoder_config": {
            "hidden_size": channels,
            "image_size": grid * patch,
            "patch_size": patch,
            "mask_input_channels": state["prompt_encoder.mask_embed.conv2.weight"].shape[0],
        },
        "mask_decoder_config": {
            "hidden_size": channels,
            "mlp_dim": state[f"{two_way}.mlp.lin1.weight"].shape[0],
            "num_hidden_layers": _count(state, r"mask_decoder\.transformer\.layers\.(\d+)\.layer_norm1\.weight"),
            "attention_downsample_rate": channels // narrow,
            "num_multimask_outputs": state["mask_decoder.mask_tokens.weight"].shape[0] - 1,
            "iou_head_hidden_dim": state["mask_decoder.iou_prediction_head.proj_in.weight"].shape[0],
            "iou_head_depth": 2 + _count(state, r"mask_decoder\.iou_prediction_head\.layers\.(\d+)\.weight"),
        },
    }


def _count(state: Mapping[str, Tensor], pattern: str) -> int:
    """How many members a list of layers has."""
    return len({found[1] for name in state if (found := re.fullmatch(pattern, name))})
