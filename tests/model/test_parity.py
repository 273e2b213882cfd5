"""The network reproduces the golden tensors of the released code, stage by stage."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from pathsegmentor.model.attention import sine_positions
from pathsegmentor.model.config import TextTowerConfig
from pathsegmentor.model.joint_decoder import ImageMemory
from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.model.text import TextEncoder
from tests.model.reduced import MANIFEST, assert_close, golden, reduced_network

DTYPES = [torch.float32, torch.float64]
Words = tuple[torch.Tensor, torch.Tensor, torch.Tensor]


@pytest.fixture(params=DTYPES, ids=["float32", "float64"])
def net(request: pytest.FixtureRequest) -> PathSegmentorNet:
    return reduced_network(request.param)


def dtype_of(net: PathSegmentorNet) -> torch.dtype:
    return net.logit_scale.dtype


def flat(x: torch.Tensor) -> torch.Tensor:
    """(B, H, W, C) -> (B, H * W, C)."""
    return x.flatten(1, 2)


@pytest.mark.parametrize("case", ["A", "B"])
@torch.no_grad()
def test_image_tower(net: PathSegmentorNet, case: str) -> None:
    want = {
        k.split("/")[1]: v
        for k, v in golden("image_encoder", dtype_of(net)).items()
        if k.startswith(f"image_encoder_{case}/")
    }
    seen: dict[str, torch.Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_module: torch.nn.Module, inputs: tuple[torch.Tensor], output: torch.Tensor) -> None:
            seen[f"{name}_in"], seen[f"{name}_out"] = inputs[0], output

        return hook

    tower = net.image_tower
    tower.get_submodule("patch_embed").register_forward_hook(keep("stem"))
    tower.get_submodule("layers.0.downsample").register_forward_hook(keep("down"))
    tower.get_submodule("layers.2.blocks.1").register_forward_hook(keep("block"))
    tower.get_submodule("layers.2.blocks.1.modulation").register_forward_hook(keep("modulation"))
    levels = tower(want["input"])
    for i, level in enumerate(levels):
        assert_close(level, want[f"res{i + 2}"])
    assert_close(seen["stem_out"].permute(0, 3, 1, 2), want["patch_embed"])
    assert_close(seen["down_out"].permute(0, 3, 1, 2), want["layers0_downsample"])
    assert_close(flat(seen["block_in"]), want["layers2_block1_in"])
    assert_close(flat(seen["block_out"]), want["layers2_block1_out"])
    assert_close(seen["modulation_in"], want["layers2_block1_modulation_in"])
    assert_close(seen["modulation_out"], want["layers2_block1_modulation_out"])


@pytest.mark.parametrize("case", ["A", "B"])
@torch.no_grad()
def test_pixel_decoder(net: PathSegmentorNet, case: str) -> None:
    image = golden("image_encoder", dtype_of(net))
    want = golden("pixel_decoder", dtype_of(net))
    levels = [image[f"image_encoder_{case}/res{i}"] for i in (2, 3, 4, 5)]
    decoder = net.pixel_decoder
    projected = decoder.input_proj(levels[-1])
    assert_close(projected, want[f"pixel_decoder_{case}/input_proj"])
    assert_close(decoder.transformer["encoder"](projected), want[f"pixel_decoder_{case}/transformer"])
    height, width = projected.shape[2:]
    place = sine_positions(height, width, 64, projected).T.unflatten(1, (height, width))
    assert_close(place.expand(len(projected), -1, -1, -1), want[f"pixel_decoder_{case}/pos_stride32"])
    maps, mask_features = decoder(levels)
    names = ["level0_stride32", "level1_stride16", "level2_stride8"]
    for name, x in zip(names, maps, strict=True):
        assert_close(x, want[f"pixel_decoder_{case}/{name}"])
    assert_close(mask_features, want[f"pixel_decoder_{case}/mask_features_stride4"])


@torch.no_grad()
def test_causal_text_tower(net: PathSegmentorNet) -> None:
    want = golden("text_causal", dtype_of(net))
    ids, mask = want["text_clip/input_ids"], want["text_clip/attention_mask"].bool()
    assert_close(net.text_encoder.tower(ids, mask), want["text_clip/last_hidden_state"])
    tokens, prompts = net.text_encoder(ids, mask)
    assert_close(tokens, want["text_clip/token_emb"])
    assert_close(prompts, want["text_clip/class_emb"])
    longest = int(mask.sum(dim=1).max())
    assert_close(net.text_encoder(ids[:, :longest], mask[:, :longest])[1], want["text_clip/class_emb"])


@torch.no_grad()
def test_bert_text_tower() -> None:
    sizes = MANIFEST["config"]["text_bert"]
    config = TextTowerConfig(
        kind="pubmedbert",
        vocab=sizes["vocab_size"],
        context=sizes["max_position_embeddings"],
        width=sizes["hidden_size"],
        layers=sizes["num_hidden_layers"],
        heads=sizes["num_attention_heads"],
        feedforward=sizes["intermediate_size"],
    )
    want = golden("text_bert", torch.float64)
    encoder = TextEncoder(config, hidden=64)
    prefix = "sem_seg_head.predictor.lang_encoder.biomed_encoder."
    weights = {
        k.removeprefix(prefix): v
        for k, v in golden("reduced_state_dict").items()
        if k.startswith(prefix) and "pooler" not in k and "position_ids" not in k
    }
    encoder.tower.get_submodule("bert").load_state_dict(weights)
    encoder = encoder.double().eval()
    encoder.lang_proj.copy_(want["text_bert/lang_proj"])
    mask = want["text_bert/attention_mask"].bool()
    tokens, prompts = encoder(want["text_bert/input_ids"], mask)
    assert_close(encoder.tower(want["text_bert/input_ids"], mask), want["text_bert/last_hidden_state"])
    assert_close(tokens, want["text_bert/token_emb"])
    assert_close(prompts, want["text_bert/class_emb_last_token"])


def words_of(net: PathSegmentorNet, prompts: list[int]) -> Words:
    """Token features (1, P, T, D), prompt features (1, P, D), real tokens (1, P, T) of golden prompts."""
    text = golden("text_causal", dtype_of(net))
    ids, mask = text["text_clip/input_ids"][prompts], text["text_clip/attention_mask"][prompts].bool()
    tokens, features = net.text_encoder(ids, mask)
    return tokens[None], features[None], mask[None]


def memory_of(net: PathSegmentorNet, case: str) -> ImageMemory:
    x = golden("pixel_decoder", dtype_of(net))
    names = ["level0_stride32", "level1_stride16", "level2_stride8", "mask_features_stride4"]
    *maps, features = (x[f"pixel_decoder_{case}/{name}"][:1] for name in names)
    return net.joint_decoder.remember(maps, features)


@pytest.mark.parametrize("case", ["A", "B"])
@torch.no_grad()
def test_prompts_one_by_one(net: PathSegmentorNet, case: str) -> None:
    """All prompts in one batch give what each gives alone in the released code."""
    want = golden("joint_decoder", dtype_of(net))
    tokens, features, real = words_of(net, [0, 1, 2])
    memory = memory_of(net, case)
    answer = net.answer(memory, tokens, features, real)
    last = net.joint_decoder(memory, tokens, real).predictions[-1]
    similarity = net.similarity(last, features)
    for p in range(3):
        name = f"joint_decoder_{case}_one_prompt{p}"
        assert_close(similarity[0, p, :, p : p + 1], want[f"{name}/similarity"])
        assert answer.chosen[0, p] == want[f"{name}/chosen_query"][0]
        assert_close(answer.logits[0, p : p + 1], want[f"{name}/chosen_mask_logits"])
        assert_close(last.classes[0, p], want[f"{name}/class_embedding"])
        assert_close(last.masks[0, p], want[f"{name}/mask_embedding"])


@pytest.mark.parametrize("case", ["A", "B"])
@torch.no_grad()
def test_prompts_jointly(net: PathSegmentorNet, case: str) -> None:
    want = golden("joint_decoder", dtype_of(net))
    tokens, features, real = words_of(net, [0, 1, 2])
    answer = net.answer_jointly(memory_of(net, case), tokens, features, real)
    name = f"joint_decoder_{case}_joint_prompts012"
    assert answer.chosen[0].tolist() == want[f"{name}/chosen_query"].tolist()
    assert_close(answer.logits[0], want[f"{name}/chosen_mask_logits"])


@torch.no_grad()
def test_every_layer_of_the_joint_decoder(net: PathSegmentorNet) -> None:
    want = golden("joint_decoder", dtype_of(net))
    name = "joint_decoder_A_one_prompt0"
    tokens, _, real = words_of(net, [0])
    count = int(real.sum())
    tokens, real = tokens[:, :, :count], real[:, :, :count]
    decoder = net.joint_decoder
    seen: dict[str, torch.Tensor] = {}

    def keep(key: str) -> Any:
        def hook(_m: torch.nn.Module, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
            seen[key], seen[f"{key}_in"] = output, inputs[0]
            if len(inputs) > 1:
                seen[f"{key}_place"] = inputs[1]

        return hook

    for i in range(4):
        decoder.transformer_cross_attention_layers[i].norm.register_forward_hook(keep(f"cross{i}"))
        decoder.transformer_self_attention_layers[i].register_forward_hook(keep(f"self{i}"))
        decoder.transformer_ffn_layers[i].register_forward_hook(keep(f"ffn{i}"))
    memory = memory_of(net, "A")
    decoded = decoder(memory, tokens, real)
    for i in range(4):
        assert_close(seen[f"cross{i}"][0], want[f"{name}/layer{i}_cross_out"])
        assert_close(seen[f"self{i}_in"][0], want[f"{name}/layer{i}_self_in"])
        assert_close(seen[f"self{i}_place"][0], want[f"{name}/layer{i}_self_pos"])
        assert_close(seen[f"self{i}"][0], want[f"{name}/layer{i}_self_out"])
        assert_close(seen[f"ffn{i}"][0], want[f"{name}/layer{i}_ffn_out"])
    for i, heads in enumerate(decoded.predictions):
        for ours, theirs in (("classes", "class_embedding"), ("masks", "mask_embedding")):
            key = f"{name}/after{i}_{theirs}"
            if key in want:
                assert_close(getattr(heads, ours)[0, 0], want[key])


@torch.no_grad()
def test_image_in_mask_out(net: PathSegmentorNet) -> None:
    want = {k.split("/")[1]: v for k, v in golden("end_to_end", dtype_of(net)).items()}
    image = Image.fromarray(want["image_uint8"].numpy())
    resized = np.asarray(image.resize((128, 128), Image.Resampling.BICUBIC))
    np.testing.assert_array_equal(resized, want["resized_uint8"].numpy())
    pixels = torch.from_numpy(resized.copy()).permute(2, 0, 1)[None]
    memory = net.encode(net.normalise(pixels))
    tokens, features, real = words_of(net, [0, 1, 2])
    cases = {
        "joint": net.answer_jointly(memory, tokens, features, real),
        **{f"one{p}": net.answer(memory, tokens[:, [p]], features[:, [p]], real[:, [p]]) for p in range(3)},
    }
    for name, answer in cases.items():
        assert answer.chosen[0].tolist() == want[f"{name}_chosen_query"].tolist()
        assert_close(answer.logits[0], want[f"{name}_mask_logits_stride4"])
        probability = F.interpolate(answer.logits, size=(80, 120), mode="bilinear").sigmoid()[0]
        assert_close(probability, want[f"{name}_probability"])
        wrong = (probability > 0.5) != want[f"{name}_mask"].bool()
        assert wrong.sum() <= 1, "one pixel lies within rounding of 0.5 on other machines"


@torch.no_grad()
def test_padded_image(net: PathSegmentorNet) -> None:
    want = {k.split("/")[1]: v for k, v in golden("end_to_end", dtype_of(net)).items()}
    pixels = want["padded_image_uint8"].permute(2, 0, 1)[None]
    images = F.pad(net.normalise(pixels), (0, 128 - 101, 0, 96 - 75))
    tokens, features, real = words_of(net, [0, 1, 2])
    answer = net.answer_jointly(net.encode(images), tokens, features, real)
    assert answer.chosen[0].tolist() == want["padded_chosen_query"].tolist()
    assert_close(answer.logits[0], want["padded_mask_logits_stride4"])
    grown = F.interpolate(answer.logits, size=(96, 128), mode="bilinear")[0, :, :75, :101]
    assert_close(grown, want["padded_logits_75x101"])


@torch.no_grad()
def test_prompts_do_not_change_each_other(net: PathSegmentorNet) -> None:
    memory = memory_of(net, "A")
    tokens, features, real = words_of(net, [0, 1, 2])
    together = net.answer(memory, tokens, features, real).logits[0]
    for p in range(3):
        alone = net.answer(memory, tokens[:, [p]], features[:, [p]], real[:, [p]]).logits[0, 0]
        assert_close(together[p], alone, 1e-5)


@pytest.mark.parametrize(("name", "size", "channels"), [("1x3", (1, 3), 8), ("4x5", (4, 5), 16)])
def test_sine_positions(name: str, size: tuple[int, int], channels: int) -> None:
    want = golden("points")[f"sine_{name}_c{channels}"]
    found = sine_positions(*size, channels, want).T.unflatten(1, size)[None]
    assert_close(found, want)
