"""Specialists as predictors: networks against independent ones, folders in original layouts, what is refused."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.evaluate.baselines import deeplab, load_baseline
from pathsegmentor.evaluate.baselines.deeplab import DeepLab, ResNet
from pathsegmentor.evaluate.baselines.sam_path import Hipt
from pathsegmentor.evaluate.baselines.specialist import SPEC, Spec, Specialist, class_of
from pathsegmentor.evaluate.baselines.unet import UNet
from pathsegmentor.evaluate.predictor import Asked
from pathsegmentor.imaging import Picture

GLAND, NUCLEI = "colon-tissue-gland", "colon-nuclei-nuclei"


def shaken(net: torch.nn.Module) -> torch.nn.Module:
    """Random weights, and batch statistics that are not those of a fresh layer."""
    torch.manual_seed(0)
    for name, tensor in net.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif name.endswith("running_mean"):
            tensor.normal_(0, 0.1)
    return net.eval()


def picture(height: int = 70, width: int = 100, mpp: float = 0.5, source: str = "glas/a") -> Picture:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3)).astype(np.uint8)
    return Picture(pixels, (mpp, mpp), source)


def folder(path: Path, net: torch.nn.Module, **spec: Any) -> Path:
    path.mkdir(parents=True)
    save_file(net.state_dict(), path / "model.safetensors")
    (path / SPEC).write_text(json.dumps({"mpp": 0.5, "tile": 128, "overlap": 32} | spec))
    return path


def test_deeplab_has_the_sizes_and_names_of_the_code_that_the_paper_used() -> None:
    with torch.device("meta"):
        nets = {name: DeepLab(name, 2) for name in ("resnet50", "resnet101")}
    counts = {name: sum(p.numel() for p in net.parameters()) for name, net in nets.items()}
    assert [round(counts[name] / 1e6, 2) for name in ("resnet50", "resnet101")] == [39.76, 58.75]
    names = set(nets["resnet50"].state_dict())
    assert len(names) == 368
    assert {
        "backbone.layer4.2.bn3.running_var",
        "backbone.layer1.0.downsample.1.weight",
        "classifier.project.0.weight",
        "classifier.aspp.convs.3.1.bias",
        "classifier.aspp.convs.4.1.weight",
        "classifier.aspp.convs.4.2.running_mean",
        "classifier.aspp.project.0.weight",
        "classifier.classifier.0.weight",
        "classifier.classifier.3.bias",
    } <= names


def test_the_resnet_is_that_of_transformers_up_to_its_last_stage() -> None:
    """The last stage is dilated instead of strided, which theirs cannot be."""
    from transformers import ResNetConfig
    from transformers import ResNetModel as Theirs

    ours = shaken(ResNet((1, 2, 1, 1)))
    theirs = Theirs(ResNetConfig(depths=[1, 2, 1, 1])).eval()
    told = ours.state_dict()
    state = {}
    for name in theirs.state_dict():
        part = {"convolution": "conv", "normalization": "bn"}
        words = name.split(".")
        if words[0] == "embedder":
            key = f"{part[words[2]]}1.{words[3]}"
        elif "shortcut" in words:
            key = f"layer{int(words[2]) + 1}.{words[4]}.downsample.{int(words[6] == 'normalization')}.{words[7]}"
        else:
            key = f"layer{int(words[2]) + 1}.{words[4]}.{part[words[7]]}{int(words[6]) + 1}.{words[8]}"
        state[name] = told[key]
    theirs.load_state_dict(state)
    x = torch.randn(1, 3, 64, 96)
    with torch.inference_mode():
        expected = theirs(x, output_hidden_states=True).hidden_states
        low, high = ours(x)
    assert torch.allclose(low, expected[1], atol=1e-4)
    assert high.shape[2:] == expected[3].shape[2:] and high.shape[1] == expected[4].shape[1]


def test_hipts_transformer_is_that_of_transformers_at_its_own_size() -> None:
    from transformers import ViTConfig, ViTModel

    config = ViTConfig(hidden_size=128, num_hidden_layers=2, num_attention_heads=2, intermediate_size=512,
                       image_size=64, patch_size=16, layer_norm_eps=1e-6)  # fmt: skip
    theirs = ViTModel(config, add_pooling_layer=False).eval()
    ours = shaken(Hipt(128, 2, 17))
    with torch.no_grad():
        for p in ours.parameters():
            p.add_(torch.randn_like(p) * 0.05)
    told, state = ours.state_dict(), {}
    for name, tensor in theirs.state_dict().items():
        state[name] = _vit(name, told)
        assert state[name].shape == tensor.shape, name
    theirs.load_state_dict(state)
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        expected = theirs(x).last_hidden_state[:, 1:]
        assert torch.allclose(ours(x).flatten(2).transpose(1, 2), expected, atol=1e-4)
        assert ours(torch.randn(1, 3, 96, 128)).shape == (1, 128, 6, 8)


def _vit(name: str, told: dict[str, torch.Tensor]) -> torch.Tensor:
    """Our tensor for one of theirs."""
    fixed = {
        "embeddings.cls_token": "cls_token",
        "embeddings.position_embeddings": "pos_embed",
        "embeddings.patch_embeddings.projection.weight": "patch_embed.proj.weight",
        "embeddings.patch_embeddings.projection.bias": "patch_embed.proj.bias",
        "layernorm.weight": "norm.weight",
        "layernorm.bias": "norm.bias",
    }
    if name in fixed:
        return told[fixed[name]]
    words = name.split(".")
    block, kind = f"blocks.{next(w for w in words if w.isdigit())}", words[-1]
    for i, part in enumerate(("query", "key", "value")):
        if any(w in (part, f"{part[0]}_proj") for w in words):
            return told[f"{block}.attn.qkv.{kind}"].chunk(3)[i]
    if "layernorm_before" in name:
        return told[f"{block}.norm1.{kind}"]
    if "layernorm_after" in name:
        return told[f"{block}.norm2.{kind}"]
    if "intermediate" in name or "fc1" in name:
        return told[f"{block}.mlp.fc1.{kind}"]
    if "attention" in name or "o_proj" in name:
        return told[f"{block}.attn.proj.{kind}"]
    return told[f"{block}.mlp.fc2.{kind}"]


def test_a_checkpoint_in_its_original_layout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the PyTorch code saves it: background is channel 0, and the likeliest channel wins."""
    monkeypatch.setitem(deeplab.BLOCKS, "resnet50", (1, 1, 1, 1))
    net = shaken(DeepLab("resnet50", 3))
    torch.save({"model_state": net.state_dict(), "cur_itrs": 30000}, tmp_path / "best_deeplabv3plus.pth")
    classes = ["(background)", "tissue-gland", "nuclei-nuclei"]
    spec = {"network": "deeplabv3plus_resnet50", "classes": classes, "answer": "softmax", "mpp": 0.5}
    (tmp_path / SPEC).write_text(json.dumps(spec))
    image = picture(64, 96)
    model = load_baseline(f"deeplabv3plus:{tmp_path}")
    found = {p.label: p.mask for p in model.answer(image, [Asked(GLAND), Asked(NUCLEI)])}
    pixels = torch.tensor(image.pixels).permute(2, 0, 1)[None] / 255
    mean, std = torch.tensor([0.485, 0.456, 0.406]), torch.tensor([0.229, 0.224, 0.225])
    with torch.inference_mode():
        best = net((pixels - mean[:, None, None]) / std[:, None, None])[0].argmax(dim=0).numpy()
    assert (found[GLAND] != (best == 1)).mean() < 1e-3 and (found[NUCLEI] != (best == 2)).mean() < 1e-3
    assert not (found[GLAND] & found[NUCLEI]).any() and len(np.unique(best)) > 1


def test_the_image_is_looked_at_at_the_specialists_scale(tmp_path: Path) -> None:
    path = folder(tmp_path / "s", shaken(UNet(1)), network="unet_lite0", classes=["tissue-gland"], mpp=1.0)
    model = load_baseline(f"unet:{path}")
    seen: list[tuple[int, ...]] = []
    assert isinstance(model, Specialist)
    maps = model.maps
    model.maps = lambda pixels: (seen.append(pixels.shape), maps(pixels))[1]
    (found,) = model.answer(picture(80, 120, mpp=0.25), [Asked(GLAND)])
    assert seen == [(20, 30, 3)] and found.mask.shape == (80, 120)
    with pytest.raises(BadInput, match="does not say its scale; this specialist looks at 1 um per pixel"):
        model.answer(Picture(picture().pixels, None, "x"), [Asked(GLAND)])


def test_tiles_give_what_the_whole_gives_where_they_agree(tmp_path: Path) -> None:
    """A network that looks at a pixel at a time: no seam, every pixel covered, whatever the size."""

    class Red(torch.nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return 50 * x[:, :1]

    from pathsegmentor.evaluate.baselines.specialist import Tiled

    spec = Spec("unet_lite0", ("tissue-gland",), mpp=0.5, tile=64, overlap=16)
    image = picture(150, 201)
    model = Specialist("red", "none", spec, Tiled(spec, Red()))
    (found,) = model.answer(image, [Asked(GLAND)])
    assert np.array_equal(found.mask, image.pixels[..., 0] > 127)


def test_what_is_ignored_never_wins() -> None:
    """As in a released SAM-Path: channel 0 is what nobody labelled, channel 1 the background."""
    spec = Spec("sam_path", ("(ignored)", "(background)", "tissue-gland"), answer="softmax", size=64)
    maps = np.stack([np.full((8, 8), 0.6), np.full((8, 8), 0.1), np.full((8, 8), 0.3)]).astype(np.float32)
    maps[1, :4], maps[2, :4] = 0.3, 0.1
    (found,) = Specialist("made", "none", spec, lambda pixels: maps).answer(picture(8, 8), [Asked(GLAND)])
    assert not found.mask[:3].any() and found.mask[5:].all()


def test_a_label_it_does_not_have_is_answered_with_nothing(tmp_path: Path) -> None:
    path = folder(tmp_path / "s", shaken(UNet(1)), network="unet_lite0", classes=["tissue-gland"])
    answers = load_baseline(f"unet:{path}").answer(picture(), [Asked(NUCLEI), Asked("breast-tissue-gland")])
    assert not answers[0].mask.any() and answers[0].mask.shape == (70, 100)
    assert class_of("breast-tissue-gland") == class_of(GLAND)


def test_a_group_answers_by_the_specialist_of_the_source(tmp_path: Path) -> None:
    nets = {"glas": shaken(UNet(1)), "crag": shaken(UNet(1))}
    with torch.no_grad():
        for source, bias in (("glas", 100.0), ("crag", -100.0)):
            nets[source].head.bias.fill_(bias)  # type: ignore[union-attr, operator]
    for source, net in nets.items():
        folder(tmp_path / source, net, network="unet_lite0", classes=["tissue-gland"])
    model = load_baseline(f"unet:{tmp_path}")
    assert model.answer(picture(source="glas/1"), [Asked(GLAND)])[0].mask.all()
    assert not model.answer(picture(source="crag/1"), [Asked(GLAND)])[0].mask.any()
    with pytest.raises(BadInput, match="no specialist for this source; there are crag, glas"):
        model.answer(picture(source="tnbc/1"), [Asked(GLAND)])
    before = model.weights
    save_file(shaken(UNet(1)).state_dict(), tmp_path / "crag" / "model.safetensors")
    assert load_baseline(f"unet:{tmp_path}").weights != before


WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "network": ({"network": "resnet"}, "is none of unet_lite0"),
    "other baseline": ({"network": "deeplabv3plus_lite0"}, "baseline unet takes unet_lite0"),
    "classes": ({"classes": ["a-b", "c-d"]}, "does not fit unet_lite0 with 2 classes"),
    "twice": ({"classes": ["a-b", "a-b"]}, "none of them twice"),
    "no classes": ({"classes": []}, "classes must name"),
    "both scales": ({"size": 64}, "one of them"),
    "no scale": ({"mpp": 0.0}, "one of them"),
    "overlap": ({"overlap": 100}, "more than half of tile"),
    "key": ({"colour": "red"}, "unknown setting 'colour'"),
    "hash": ({"sha256": "0" * 64}, "is not the file that specialist.json tells of"),
    "answer": ({"answer": "max"}, "none of sigmoid, softmax"),
}


@pytest.mark.parametrize("kind", WRONG)
def test_a_folder_that_is_no_such_specialist(tmp_path: Path, kind: str) -> None:
    change, says = WRONG[kind]
    path = folder(tmp_path / "s", UNet(1), **{"network": "unet_lite0", "classes": ["a-b"]} | change)
    with pytest.raises(BadModel) as told:
        load_baseline(f"unet:{path}")
    assert says in str(told.value) and "\n" not in str(told.value)


def test_a_folder_without_a_specialist(tmp_path: Path) -> None:
    with pytest.raises(BadModel, match=r"has no specialist\.json, nor has a folder in it"):
        load_baseline(f"unet:{tmp_path}")
