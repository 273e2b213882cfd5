"""Where a run starts: a model's weights with its own words, ImageNet's tower, or nothing."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.model.folder import load_model, save_model
from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.model.tokenizer import tokenize
from pathsegmentor.train.loop import train
from pathsegmentor.train.run import prepare, words_of
from pathsegmentor.train.start import start
from pathsegmentor.train.words import prompt_tokenizer
from tests.train.tiny import TINY_FOCAL, config

OLD = ["colon-tissue-gland", "breast-nuclei-nuclei"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model whose tokenizer was learnt from other words than a new run would take."""
    folder = tmp_path_factory.mktemp("start") / "model"
    torch.manual_seed(3)
    words = prompt_tokenizer(["liver and spleen", "nuclei of the breast"], 300)
    save_model(folder, TINY_FOCAL, PathSegmentorNet(TINY_FOCAL).state_dict(), words, OLD, "# Old\n")
    return folder


def test_a_model_brings_its_weights_its_tokenizer_and_its_labels(model: Path) -> None:
    begun = start(TINY_FOCAL, str(model), ["lung-tissue-tumor", "breast-nuclei-nuclei", "a-b-c"])
    old = load_model(model)
    assert begun.tokenizer.to_str() == old.tokenizer.to_str()
    assert begun.labels == [*OLD, "a-b-c", "lung-tissue-tumor"]
    assert all(torch.equal(value, old.net.state_dict()[name]) for name, value in begun.net.state_dict().items())
    fresh = start(TINY_FOCAL, "", ["breast-nuclei-nuclei"])
    assert fresh.tokenizer.to_str() != old.tokenizer.to_str() and fresh.labels == ["breast-nuclei-nuclei"]


def test_a_run_from_a_model_reads_prompts_as_the_model_does(model: Path, data: Path, tmp_path: Path) -> None:
    """With a rate next to nothing the new model's answers are the old one's, word for word."""
    still = replace(config(1, rate=1e-12, decay=0.0), init=str(model))
    new = load_model(train(still, data, tmp_path / "run"))
    old = load_model(model)
    assert [label.id for label in new.vocabulary][:2] == OLD
    prompt = ["nuclei-level nuclei in breast pathology"]
    ids, real = new.tokenize(prompt)
    assert torch.equal(ids, old.tokenize(prompt)[0])
    assert torch.allclose(new.net.text_encoder(ids, real)[1], old.net.text_encoder(ids, real)[1], atol=2e-3)
    weights = load_file(tmp_path / "run" / "model" / "model.safetensors")
    assert all(torch.allclose(weights[n].float(), v, atol=1e-3) for n, v in old.net.state_dict().items())


def test_a_run_asks_by_its_models_own_prompts(data: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    label = "breast-nuclei-nuclei"
    own = replace(config(1), model=replace(TINY_FOCAL, prompts={label: "nuclei of the breast"}))
    material = prepare(own, data)
    asked: list[str] = []
    monkeypatch.setattr("pathsegmentor.train.run.tokenize", lambda _, prompts, *rest: (asked.extend(prompts), real)[1])
    real = tokenize(material.start.tokenizer, ["x"], own.model.text, torch.device("cpu"))
    words_of(material, torch.tensor([[material.start.labels.index(label)]]), torch.device("cpu"))
    assert asked == ["nuclei of the breast"]


def test_a_model_without_a_presence_head_gets_a_new_one(tmp_path: Path) -> None:
    without = replace(TINY_FOCAL, decoder=replace(TINY_FOCAL.decoder, presence=False))
    net = PathSegmentorNet(without)
    save_model(tmp_path / "m", without, net.state_dict(), prompt_tokenizer(["a"], 300), OLD, "# Old\n")
    begun = start(TINY_FOCAL, str(tmp_path / "m"), OLD)
    assert begun.net.presence is not None
    save_model(tmp_path / "n", TINY_FOCAL, begun.net.state_dict(), begun.tokenizer, OLD, "# New\n")
    with pytest.raises(BadModel, match=r"another shape.*unexpected presence"):
        start(without, str(tmp_path / "n"), OLD)


def test_a_model_of_another_size_or_nowhere_is_refused_in_one_line(model: Path) -> None:
    wider = replace(TINY_FOCAL, image=replace(TINY_FOCAL.image, embed_dim=16))
    for settings, init, said in ((wider, str(model), "another shape"), (TINY_FOCAL, "nowhere/at/all", "nowhere")):
        with pytest.raises(BadModel, match=said) as caught:
            start(settings, init, OLD)
        assert "\n" not in str(caught.value)


def test_imagenet_is_for_the_light_tower_only() -> None:
    with pytest.raises(BadInput, match="light image tower only"):
        start(TINY_FOCAL, "imagenet", OLD)
