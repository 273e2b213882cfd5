"""SAM and MedSAM with boxes: one network, two ways of pixels in and masks out.

MedSAM: J. Ma et al., 2024. Both are rebuilt from their released code: SAM keeps the shape of the image and pads it,
MedSAM squeezes it to a square and stretches its grey values; SAM enlarges logits, MedSAM probabilities.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from scipy import ndimage
from torch import Tensor
from torch.nn import functional as F

from pathsegmentor.evaluate.baselines.record import Baseline
from pathsegmentor.evaluate.baselines.sam_network import ask, encode, sam_network
from pathsegmentor.evaluate.baselines.weights import bring
from pathsegmentor.evaluate.boxes import boxes_of
from pathsegmentor.evaluate.ours import one_thread
from pathsegmentor.evaluate.predictor import Asked, Predicted, WantsBoxes
from pathsegmentor.imaging import Picture

MEAN, STD = (123.675, 116.28, 103.53), (58.395, 57.12, 57.375)
Pixels = NDArray[np.uint8]
Size = tuple[int, int]


@dataclass(frozen=True)
class Way:
    """How a network is shown an image, and how its answer is read.

    ``pixels(image, side)`` gives (1, 3, S, S); ``boxes(boxes, size, side)`` brings boxes of an image of this size
    (rows, columns) to the network's pixels; ``masks(logits, size, side)`` are boolean (n, H, W). ``several``: the
    network is asked for three masks a box, and the one it thinks best counts.
    """

    pixels: Callable[[Pixels, int], Tensor]
    boxes: Callable[[NDArray[np.float64], Size, int], NDArray[np.float64]]
    masks: Callable[[Tensor, Size, int], Tensor]
    several: bool = False


def normalised(pixels: Pixels) -> Tensor:
    """(H, W, 3) -> (3, H, W) by SAM's mean and deviation, in the order of the channels as they come."""
    values = (pixels.astype(np.float32) - np.array(MEAN, np.float32)) / np.array(STD, np.float32)
    return torch.from_numpy(values).permute(2, 0, 1)


def enlarge(maps: Tensor, size: Size) -> Tensor:
    """(n, h, w) -> (n, H, W), bilinear."""
    return F.interpolate(maps[None], size=size, mode="bilinear", align_corners=False)[0]


def squeezed(boxes: NDArray[np.float64], size: Size, side: int) -> NDArray[np.float64]:
    """Boxes of an image that is brought to a square, whatever its shape."""
    rows, columns = size
    return boxes * np.array([side / columns, side / rows] * 2)


def _fitted(size: Size, side: int) -> Size:
    """Rows and columns of an image whose longer side is brought to ``side``."""
    factor = side / max(size)
    return int(size[0] * factor + 0.5), int(size[1] * factor + 0.5)


def _sam_pixels(pixels: Pixels, side: int) -> Tensor:
    rows, columns = _fitted((pixels.shape[0], pixels.shape[1]), side)
    small = np.asarray(Image.fromarray(pixels).resize((columns, rows), Image.Resampling.BILINEAR))
    return F.pad(normalised(small), (0, side - columns, 0, side - rows))[None]


def _sam_boxes(boxes: NDArray[np.float64], size: Size, side: int) -> NDArray[np.float64]:
    rows, columns = _fitted(size, side)
    return boxes * np.array([columns / size[1], rows / size[0]] * 2)


def _sam_masks(logits: Tensor, size: Size, side: int) -> Tensor:
    rows, columns = _fitted(size, side)
    return enlarge(enlarge(logits, (side, side))[:, :rows, :columns], size) > 0


def _medsam_pixels(pixels: Pixels, side: int) -> Tensor:
    small = _cubic(pixels, side).astype(np.float32)
    stretched = (small - small.min()) / max(float(small.max() - small.min()), 1e-8)
    return torch.from_numpy(stretched).permute(2, 0, 1)[None]


def _cubic(pixels: Pixels, side: int) -> Pixels:
    """Third-order splines after a Gaussian against aliasing, cut to whole numbers: scikit-image's ``resize``."""
    if pixels.shape[:2] == (side, side):
        return pixels
    factors = np.array([pixels.shape[0] / side, pixels.shape[1] / side, 1.0])
    smooth = ndimage.gaussian_filter(pixels.astype(np.float64), np.maximum((factors - 1) / 2, 0), mode="mirror")
    large = ndimage.zoom(smooth, 1 / factors, order=3, mode="mirror", grid_mode=True)
    return np.clip(large, pixels.min(), pixels.max()).astype(np.uint8)


def _medsam_boxes(boxes: NDArray[np.float64], size: Size, side: int) -> NDArray[np.float64]:
    # Its own script takes the last pixel itself as the far corner.
    return squeezed(boxes - np.array([0, 0, 1, 1]), size, side)


def _medsam_masks(logits: Tensor, size: Size, side: int) -> Tensor:
    return enlarge(logits.sigmoid(), size) > 0.5


SAM = Way(_sam_pixels, _sam_boxes, _sam_masks)
MEDSAM = Way(_medsam_pixels, _medsam_boxes, _medsam_masks)


@dataclass
class BoxPredictor:
    """A network of SAM's kind; the mask of a label is the union of those of its boxes."""

    name: str
    weights: str
    wants_boxes: WantsBoxes
    net: Any
    way: Way
    device: str = "cpu"

    def why_not(self, label: str, mpp: tuple[float, float]) -> str:
        """Any label can be shown by boxes."""
        return ""

    def answer(self, image: Picture, asked: Sequence[Asked]) -> list[Predicted]:
        """Encode once, then ask box by box."""
        with one_thread():
            return self._answer(image, asked)

    def _answer(self, image: Picture, asked: Sequence[Asked]) -> list[Predicted]:
        side, size = self.net.config.vision_config.image_size, (image.height, image.width)
        embeddings = encode(self.net, self.way.pixels(image.pixels, side).to(self.device))
        found = []
        for one in asked:
            boxes, mask = boxes_of(one), np.zeros(size, bool)
            for logits in ask(self.net, embeddings, self.way.boxes(boxes, size, side), self.way.several):
                mask |= self.way.masks(logits, size, side).any(dim=0).cpu().numpy()
            found.append(Predicted(one.label, mask, prompts=len(boxes)))
        return found


def loader(name: str, way: Way, boxes: WantsBoxes, adapters: bool = False) -> Callable[[str, str], BoxPredictor]:
    """What loads a box predictor from weights, onto a device."""

    def load(weights: str, device: str) -> BoxPredictor:
        brought = bring(weights)
        net = sam_network(brought, adapters).to(device)
        return BoxPredictor(name, brought.sha256, boxes, net, way, device)

    return load


def both(name: str, title: str, way: Way, needs: str, url: str, seen: tuple[str, ...] = ()) -> tuple[Baseline, ...]:
    """A baseline with one box around all of a label, and with one around each instance."""
    made = []
    for boxes, suffix, words in (("union", "", "union box"), ("instances", "-instances", "instance boxes")):
        kind: WantsBoxes = "union" if boxes == "union" else "instances"
        load = loader(name + suffix, way, kind, adapters=way.several)
        made.append(
            Baseline(
                name + suffix,
                f"{title} ({words})",
                "boxes",
                load,
                needs,
                "Apache-2.0",
                url,
                seen,
                ("transformers",),
                "pip install 'pathsegmentor[text]'",
            )
        )
    return tuple(made)


BASELINES = (
    *both(
        "sam",
        "SAM",
        SAM,
        "sam_vit_b_01ec64.pth (or another size), or facebook/sam-vit-base",
        "https://github.com/facebookresearch/segment-anything",
    ),
    *both(
        "medsam",
        "MedSAM",
        MEDSAM,
        "medsam_vit_b.pth, or wanglab/medsam-vit-base",
        "https://github.com/bowang-lab/MedSAM",
        seen=("glas",),
    ),
)
