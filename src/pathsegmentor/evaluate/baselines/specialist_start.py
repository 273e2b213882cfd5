"""Where a specialist starts: fresh, from ImageNet, or from the published encoders."""

from __future__ import annotations

import argparse

import torch
from torch import nn

from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.evaluate.baselines.deeplab import DeepLab, ResNet
from pathsegmentor.evaluate.baselines.sam_keys import to_transformers
from pathsegmentor.evaluate.baselines.sam_path import SamPath, hipt_names
from pathsegmentor.evaluate.baselines.specialist import build
from pathsegmentor.evaluate.baselines.specialist_config import SpecialistConfig
from pathsegmentor.evaluate.baselines.unet import UNet
from pathsegmentor.evaluate.baselines.weights import TABLES, bring
from pathsegmentor.model.lite import LiteTower
from pathsegmentor.model.weights import check_fit, kept
from pathsegmentor.train.start import load_imagenet


def started(config: SpecialistConfig, classes: int) -> nn.Module:
    """The network before its first step; raises ``BadInput`` or ``BadModel`` for starting weights that do not fit."""
    if config.network == "sam_path":
        return _sam_path(config, classes)
    net = build(config.network, classes)
    if not config.init:
        return net
    backbone = net.encoder if isinstance(net, UNet) else net.backbone if isinstance(net, DeepLab) else None
    if config.init == "imagenet":
        if not isinstance(backbone, LiteTower):
            raise BadInput("init: imagenet is for Lite0; a ResNet needs the path of its file, resnet50-19c8e357.pth")
        load_imagenet(backbone)
    elif isinstance(backbone, ResNet):
        brought = bring(config.init)
        state = {name: tensor for name, tensor in brought.state.items() if not name.startswith("fc.")}
        # Files of before 2018 do not count batches.
        counts = {k: v for k, v in backbone.state_dict().items() if k.endswith("num_batches_tracked")}
        check_fit(backbone.state_dict(), kept(counts | state), f"init: {brought.path} does not fit the backbone")
        backbone.load_state_dict(counts | state)
    else:
        raise BadInput(f"init: {config.init} cannot be loaded into {config.network}; give imagenet, or nothing")
    return net


def _sam_path(config: SpecialistConfig, classes: int) -> nn.Module:
    sam = to_transformers(bring(config.init).state)
    # A file of DINO's training keeps its command line beside the weights.
    with torch.serialization.safe_globals([argparse.Namespace]):
        hipt = hipt_names(bring(config.hipt, ("teacher", *TABLES)).state)
    net = SamPath(sam, hipt, classes)
    try:
        net.begin(sam, hipt)
    except RuntimeError as error:
        raise BadModel(f"init or hipt does not fit SAM-Path: {str(error).splitlines()[-1].strip()}") from error
    side = net.sam.config.vision_config.image_size
    if config.sampling.crop != (side,):
        raise BadInput(f"sampling.crop is {config.sampling.crop[0]}; these weights of SAM need {side}")
    return net
