"""A specialist: a network that was trained on one data set and answers all of its classes at once.

A specialist is a folder: ``specialist.json`` and one file of weights, which may be as its own training code wrote it.
A class is a structure and an object type, without the region (paper, section 4.6: one multi-class model a data set).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from pathsegmentor.atomic import sha256_of
from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.evaluate.baselines.deeplab import DeepLab
from pathsegmentor.evaluate.baselines.nnunet_env import Worker, checkpoint_of
from pathsegmentor.evaluate.baselines.sam_path import SamPath, split_released
from pathsegmentor.evaluate.baselines.unet import UNet
from pathsegmentor.evaluate.baselines.weights import Brought, bring, fill_in
from pathsegmentor.evaluate.ours import one_thread
from pathsegmentor.evaluate.predictor import Asked, Predicted, WantsBoxes
from pathsegmentor.imaging import Blender, Picture, plan_tiles, resize_pixels, resize_probability, scaled_size
from pathsegmentor.model.config import Within, read_dataclass
from pathsegmentor.model.foreign import read_json
from pathsegmentor.vocabulary import Label

SPEC = "specialist.json"
MOST_SPEC_BYTES = 1_000_000
# Channels that are no class: what is left, and what a training code ignores.
BACKGROUND, IGNORED = "(background)", "(ignored)"
STRIDE = 32
Network = Literal[
    "unet_lite0", "deeplabv3plus_lite0", "deeplabv3plus_resnet50", "deeplabv3plus_resnet101", "sam_path", "nnunet"
]
_LITE = ((127.0,) * 3, (128.0,) * 3)
_IMAGENET = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))


@dataclass(frozen=True)
class Spec:
    """What ``specialist.json`` says.

    ``classes`` name the channels of the network, in order. ``answer``: each class by itself (``sigmoid``), or the
    likeliest of all channels that are not ignored (``softmax``). The image is brought to ``mpp`` um per pixel and cut
    into tiles, or squeezed to a square of ``size`` pixels. ``sha256``, where given, is that of the weights. ``trained``
    is for people: on what and how long.
    """

    network: Network
    classes: tuple[str, ...]
    answer: Literal["sigmoid", "softmax"] = "sigmoid"
    mpp: Annotated[float, Within(0, 20)] = 0.0
    size: Annotated[int, Within(0, 4096)] = 0
    tile: Annotated[int, Within(32, 4096)] = 1024
    overlap: Annotated[int, Within(0, 2048)] = 128
    sha256: str = ""
    trained: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not self.classes or len(set(self.classes)) < len(self.classes):
            raise BadModel("classes must name every channel of the network, none of them twice")
        if (self.mpp > 0) == (self.size > 0):
            raise BadModel("give mpp (um per pixel) or size (pixels of a square), one of them")
        if self.overlap > self.tile // 2:
            raise BadModel(f"overlap {self.overlap} is more than half of tile {self.tile}")


def class_of(label: str) -> str:
    """The class of a label id: ``nuclei-neoplastic`` of ``breast-nuclei-neoplastic``."""
    named = Label.from_id(label)
    return f"{named.structure}-{named.object_type}".lower()


def build(network: Network, classes: int) -> nn.Module:
    """A network of fixed sizes, with fresh weights."""
    if network == "unet_lite0":
        return UNet(classes)
    return DeepLab(network.removeprefix("deeplabv3plus_"), classes)


def normalise(network: Network, pixels: Tensor) -> Tensor:
    """RGB 0..255 (B, 3, H, W) as the network's starting weights want it."""
    mean, std = _LITE if network.endswith("lite0") else _IMAGENET
    shaped = [torch.tensor(values, device=pixels.device)[:, None, None] for values in (mean, std)]
    return (pixels.float() - shaped[0]) / shaped[1]


Maps = Callable[[NDArray[np.uint8]], NDArray[np.float32]]


@dataclass
class Specialist:
    """Answers labels whose class it has; any other is answered with nothing, which counts as wrong.

    ``maps`` gives the probability (K, h, w) of each channel of pixels (h, w, 3) at the scale of the ``spec``.
    """

    name: str
    weights: str
    spec: Spec
    maps: Maps
    wants_boxes: WantsBoxes = "none"

    def why_not(self, label: str, mpp: tuple[float, float]) -> str:
        """Every label is asked: one that a specialist does not have is one that it cannot find."""
        return ""

    def answer(self, image: Picture, asked: Sequence[Asked]) -> list[Predicted]:
        """All classes in one pass; masks at the image's size."""
        index = {name: i for i, name in enumerate(self.spec.classes)}
        none, found = np.zeros((image.height, image.width), bool), []
        with one_thread():
            masks = self._masks(image) if any(class_of(one.label) in index for one in asked) else none[None]
        for one in asked:
            channel = index.get(class_of(one.label))
            found.append(Predicted(one.label, none if channel is None else masks[channel], prompts=0))
        return found

    def _masks(self, image: Picture) -> NDArray[np.bool_]:
        """(K, H, W): where each channel is found."""
        if self.spec.size:
            small = resize_pixels(image.pixels, (self.spec.size, self.spec.size))
        elif image.mpp is None:
            raise BadInput(f"{image.source}: {image.no_mpp}; this specialist looks at {self.spec.mpp:g} um per pixel")
        else:
            size = scaled_size(image.height, image.width, image.mpp, self.spec.mpp)
            small = resize_pixels(image.pixels, size)
        large = np.stack([resize_probability(one, (image.height, image.width)) for one in self.maps(small)])
        if self.spec.answer == "sigmoid":
            return np.asarray(large > 0.5)
        counted = [i for i, name in enumerate(self.spec.classes) if name != IGNORED]
        best = np.array(counted)[large[counted].argmax(axis=0)]
        return np.asarray(best[None] == np.arange(len(self.spec.classes))[:, None, None])


@dataclass
class Tiled:
    """A network run over tiles that overlap, or over the whole of a square."""

    spec: Spec
    net: nn.Module
    device: str = "cpu"

    @torch.inference_mode()
    def __call__(self, pixels: NDArray[np.uint8]) -> NDArray[np.float32]:
        """Pixels (h, w, 3) -> probability (K, h, w) of each channel."""
        spec, (height, width) = self.spec, pixels.shape[:2]
        blenders = [Blender(height, width) for _ in spec.classes]
        tile, overlap = (spec.size, 0) if spec.size else (spec.tile, spec.overlap)
        for place in plan_tiles(height, width, tile, overlap):
            cut = pixels[place.y : place.y + place.height, place.x : place.x + place.width]
            grow = ((0, -cut.shape[0] % STRIDE), (0, -cut.shape[1] % STRIDE), (0, 0))
            batch = torch.from_numpy(np.pad(cut, grow, mode="symmetric")).permute(2, 0, 1)[None].to(self.device)
            logits = self.net(normalise(spec.network, batch))[0, :, : place.height, : place.width]
            values = (logits.sigmoid() if spec.answer == "sigmoid" else logits.softmax(dim=0)).cpu().numpy()
            for blender, one in zip(blenders, values, strict=True):
                blender.add(place, one)
        return np.stack([blender.result() for blender in blenders])


class Group:
    """One specialist per source (the paper's groups); each answers for the images of its own source.

    ``weights`` is the SHA-256 over those of the members, in the order of their sources.
    """

    wants_boxes: WantsBoxes = "none"

    def __init__(self, name: str, members: Mapping[str, Specialist]) -> None:
        self.name, self.members = name, members
        text = "".join(f"{source} {members[source].weights}\n" for source in sorted(members))
        self.weights = hashlib.sha256(text.encode()).hexdigest()

    def why_not(self, label: str, mpp: tuple[float, float]) -> str:
        """Every label is asked of the source's specialist."""
        return ""

    def answer(self, image: Picture, asked: Sequence[Asked]) -> list[Predicted]:
        """The answer of the specialist of the image's source, which its name begins with (``glas/...``)."""
        source = image.source.partition("/")[0]
        if source not in self.members:
            there = ", ".join(sorted(self.members))
            raise BadInput(f"{image.source}: no specialist for this source; there are {there}")
        return self.members[source].answer(image, asked)


def load_specialist(name: str, networks: Sequence[Network], given: str, device: str) -> Specialist | Group:
    """A specialist's folder, or a folder that holds one per source; raises ``BadModel`` for anything else."""
    folder = Path(given)
    if (folder / SPEC).is_file():
        return _one(name, networks, folder, device)
    members = {path.parent.name: path.parent for path in sorted(folder.glob(f"*/{SPEC}"))}
    if not members:
        raise BadModel(f"{folder} has no {SPEC}, nor has a folder in it; docs/baselines.md says what it holds")
    return Group(name, {source: _one(name, networks, path, device) for source, path in members.items()})


def read_spec(folder: Path) -> Spec:
    """``specialist.json`` of a folder; raises ``BadModel`` with the setting that is wrong."""
    return read_dataclass(Spec, read_json(folder / SPEC, MOST_SPEC_BYTES), str(folder / SPEC))


def _one(name: str, networks: Sequence[Network], folder: Path, device: str) -> Specialist:
    spec = read_spec(folder)
    if spec.network not in networks:
        raise BadModel(f"{folder / SPEC} is of a {spec.network}; baseline {name} takes {', '.join(networks)}")
    if spec.network == "nnunet":
        path = checkpoint_of(folder)
        _check_sha256(spec, path, sha256 := sha256_of(path))
        return Specialist(name, sha256, spec, Worker(folder, device))
    brought = bring(str(folder))
    _check_sha256(spec, brought.path, brought.sha256)
    return Specialist(name, brought.sha256, spec, Tiled(spec, _filled(spec, brought).to(device), device))


def _check_sha256(spec: Spec, path: Path, sha256: str) -> None:
    if spec.sha256 not in ("", sha256):
        raise BadModel(f"{path} is not the file that {SPEC} tells of (SHA-256 {spec.sha256})")


def _filled(spec: Spec, brought: Brought) -> nn.Module:
    channels = len(spec.classes)
    with torch.device("meta"):
        net, state = _fitting(spec, brought.state, channels)
    fill_in(net, state, f"{brought.path} does not fit {spec.network} with {channels} classes")
    return net


def _fitting(spec: Spec, state: Mapping[str, Tensor], channels: int) -> tuple[nn.Module, Mapping[str, Tensor]]:
    """A network for such weights, and the weights under its names."""
    if spec.network != "sam_path":
        return build(spec.network, channels), state
    sam, hipt, neck = split_released(state)
    parts = {"sam": sam, "hipt": hipt, "fusion_neck": neck}
    named = {f"{part}.{key}": value for part, table in parts.items() for key, value in table.items()}
    return SamPath(sam, hipt, channels), named
