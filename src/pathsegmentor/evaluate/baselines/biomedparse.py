"""BiomedParse by words, through the project's own network, which is the same (docs/architecture.md).

The paper's prompt is "[object type] in [anatomical region] pathology", without the structure word; ``-bare`` gives
the object type alone. One prompt a pass: prompts read together change each other's answer. The image is squeezed to
the network's square by PIL's bicubic, and always answered with a mask: there is no presence.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch.nn import functional as F

from pathsegmentor.evaluate.baselines.record import Baseline
from pathsegmentor.evaluate.ours import one_thread
from pathsegmentor.evaluate.predictor import Asked, Predicted, WantsBoxes
from pathsegmentor.imaging import Picture
from pathsegmentor.model.find import find_model
from pathsegmentor.model.folder import Model
from pathsegmentor.vocabulary import Label


def paper_prompt(label: Label) -> str:
    """``neoplastic in breast pathology``."""
    return f"{label.object_type} in {label.region} pathology".lower()


def bare_prompt(label: Label) -> str:
    """``neoplastic``."""
    return label.object_type.lower()


class BiomedParse:
    """The released network asked in its own way, not by our tiles and thresholds."""

    wants_boxes: WantsBoxes = "none"

    def __init__(self, name: str, model: Model, prompt: Callable[[Label], str]) -> None:
        self.name, self.model, self.prompt = name, model, prompt
        self.weights = model.weights_sha256

    def why_not(self, label: str, mpp: tuple[float, float]) -> str:
        """Any words can be asked at any scale."""
        return ""

    @torch.inference_mode()
    def answer(self, image: Picture, asked: Sequence[Asked]) -> list[Predicted]:
        """Encode the squeezed image once, ask each prompt alone."""
        with one_thread():
            return self._answer(image, asked)

    def _answer(self, image: Picture, asked: Sequence[Asked]) -> list[Predicted]:
        net, side = self.model.net, self.model.config.tile
        square = Image.fromarray(image.pixels).resize((side, side), Image.Resampling.BICUBIC)
        pixels = torch.from_numpy(np.asarray(square).copy()).permute(2, 0, 1)[None].to(net.logit_scale.device)
        memory = net.encode(net.normalise(pixels))
        found = []
        for one in asked:
            ids, real = self.model.tokenize([self.prompt(Label.from_id(one.label))])
            tokens, features = net.text_encoder(ids, real)
            logits = net.answer(memory, tokens[None], features[None], real[None]).logits
            large = F.interpolate(logits, (image.height, image.width), mode="bilinear", align_corners=False)
            found.append(Predicted(one.label, (large[0, 0].sigmoid() > 0.5).cpu().numpy()))
        return found


def _baseline(name: str, title: str, prompt: Callable[[Label], str]) -> Baseline:
    return Baseline(
        name,
        title,
        "text",
        lambda weights, device: BiomedParse(name, find_model(weights, device), prompt),
        "the folder that 'pathsegmentor models import biomedparse_v1.pt' wrote",
        "CC BY-NC-SA 4.0",
        "https://github.com/microsoft/BiomedParse",
        ("glas", "pannuke"),
    )


BASELINES = (
    _baseline("biomedparse", "BiomedParse", paper_prompt),
    _baseline("biomedparse-bare", "BiomedParse (object type alone)", bare_prompt),
)
