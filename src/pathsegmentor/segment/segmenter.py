"""``Segmenter``: encode an image once, ask it for many things.

An image is looked at in tiles at the scale each label was learnt at; tiles overlap and are blended,
and masks come back at the image's own size.
"""

from __future__ import annotations

import math
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from pathsegmentor import __version__
from pathsegmentor.errors import BadInput
from pathsegmentor.imaging import (
    SMALLEST_SIDE,
    Blender,
    Picture,
    Tile,
    Tissue,
    check_mpp,
    find_tissue,
    plan_tiles,
    read_picture,
    resize_pixels,
    resize_probability,
    scaled_size,
)
from pathsegmentor.model.find import find_model
from pathsegmentor.model.folder import Model
from pathsegmentor.model.joint_decoder import ImageMemory
from pathsegmentor.segment.objects import drop_specks, drop_unstained
from pathsegmentor.segment.result import Found, Result, Status
from pathsegmentor.vocabulary import Candidate

Image = str | PathLike[str] | Picture | NDArray[np.uint8]
# Encoded tiles kept per image; beyond that they are encoded again for every question.
KEPT_TILES = 64
# Pixels of all probability maps held at a time.
HELD_PIXELS = 200_000_000
STRIDE = 32
# An image is enlarged at most this often a side: no source of PathSeg is, so no model has learnt from blurrier
# tissue, and a nucleus is then about four pixels wide.
MOST_ENLARGED = 4
# Nor to more pixels than this, for each takes 15 bytes: its colours, and sum, weight and mean of the probability.
MOST_SCALED_PIXELS = 360_000_000


@dataclass
class EncodedImage:
    """A picture and the tiles of it that one model has encoded so far, by scale (um per pixel)."""

    picture: Picture
    mpp: tuple[float, float]
    weights_sha256: str = ""
    kept: dict[float, list[tuple[Tile, ImageMemory]]] = field(default_factory=dict)
    seconds: float = 0.0

    @cached_property
    def tissue(self) -> Tissue:
        """Where the picture shows tissue; nothing else is looked at."""
        return find_tissue(self.picture.pixels, self.mpp)


class Segmenter:
    """Segments pictures with one model.

    >>> segmenter = Segmenter.from_pretrained("nano")
    >>> encoded = segmenter.encode_image("colon.png", mpp=0.5)
    >>> result = segmenter.segment(encoded, ["glands in colon", "malignant glands"])
    >>> result.founds[0].mask.shape == (encoded.picture.height, encoded.picture.width)
    True
    """

    def __init__(self, model: Model) -> None:
        self.model = model
        self._words: dict[str, tuple[Tensor, Tensor]] = {}

    @classmethod
    def from_pretrained(cls, name: str = "nano", device: str = "cpu") -> Segmenter:
        """A bundled model's name, a model folder or a Hub id; raises ``BadModel`` or ``BadInput``."""
        return cls(find_model(name, device))

    def encode_image(self, image: Image, mpp: float | tuple[float, float] | None = None) -> EncodedImage:
        """Read an image (path, ``Picture`` or (H, W, 3) uint8 RGB) and fix its scale in um per pixel.

        Tiles are encoded when first asked for, at the scale the question needs.
        """
        scale = check_mpp(mpp) if mpp is not None else None
        picture = _picture(image)
        if scale is None and picture.mpp is not None:
            scale = check_mpp(picture.mpp)
        if scale is None:
            raise BadInput(
                f"{picture.source}: {picture.no_mpp}; add --mpp (um per pixel): 0.25 for 40x, 0.5 for 20x, 1.0 for 10x"
            )
        return EncodedImage(picture, scale, self.model.weights_sha256)

    def segment(self, encoded: EncodedImage, prompts: str | Sequence[str], threshold: float | None = None) -> Result:
        """Answer all prompts; each is answered as if it had been asked alone.

        Raises ``BadPrompt`` for words this model does not know, before anything is computed.
        """
        if encoded.weights_sha256 != self.model.weights_sha256:
            raise BadInput("the image was encoded by another model; call encode_image of this one")
        asked = [prompts] if isinstance(prompts, str) else list(prompts)
        cut = self.threshold(threshold)
        candidates = self.understand(asked)
        distinct = {c.label.id: c for c in candidates}
        found = {
            label: self._found(distinct[label], probability, presence, seconds, cut, encoded)
            for label, probability, presence, seconds in self.probabilities(encoded, list(distinct))
        }
        founds = tuple(
            replace(found[candidate.label.id], prompt=words, reason=candidate.reason)
            for words, candidate in zip(asked, candidates, strict=True)
        )
        picture = encoded.picture
        return Result(
            image=picture.source,
            image_sha256=picture.sha256,
            width=picture.width,
            height=picture.height,
            mpp=encoded.mpp,
            model=self.model.name,
            weights_sha256=self.model.weights_sha256,
            threshold=cut,
            founds=founds,
            encode_seconds=encoded.seconds,
            version=__version__,
            notes=picture.notes,
            icc_profile=picture.profile,
        )

    def understand(self, prompts: str | Sequence[str]) -> list[Candidate]:
        """The label each prompt means; raises ``BadPrompt`` for words this model does not know."""
        asked = [prompts] if isinstance(prompts, str) else list(prompts)
        if not asked:
            raise BadInput("no prompt given; say what to segment, for instance 'glands in colon'")
        return [self.model.vocabulary.resolve(words, self.model.name) for words in asked]

    def threshold(self, asked: float | None = None) -> float:
        """The probability that counts as inside: the asked one, or the model's."""
        cut = self.model.config.threshold if asked is None else asked
        if not 0 <= cut <= 1:  # also refuses nan
            raise BadInput(f"threshold {cut} is not between 0 and 1")
        return cut

    def probabilities(
        self, encoded: EncodedImage, labels: Sequence[str]
    ) -> Iterator[tuple[str, NDArray[np.float32], float, float]]:
        """Label id, probability map (H, W) at the image's size, presence and seconds, one at a time.

        Tiles without tissue are not looked at: probability and presence are 0 there. Labels of one scale share the
        encoded tiles; in a large image only a few are held at once.
        """
        config, picture = self.model.config, encoded.picture
        scales = sorted({config.mpp_of(label) for label in labels})
        for mpp in scales:
            _check_scale(encoded, mpp)
        for mpp in scales:
            here = [label for label in labels if config.mpp_of(label) == mpp]
            height, width = scaled_size(picture.height, picture.width, encoded.mpp, mpp)
            at_once = max(int(HELD_PIXELS // (height * width)), 1)
            for first in range(0, len(here), at_once):
                yield from self._at_scale(encoded, mpp, here[first : first + at_once])

    def _at_scale(
        self, encoded: EncodedImage, mpp: float, labels: list[str]
    ) -> Iterator[tuple[str, NDArray[np.float32], float, float]]:
        picture = encoded.picture
        height, width = scaled_size(picture.height, picture.width, encoded.mpp, mpp)
        blenders = [Blender(height, width) for _ in labels]
        presence = np.zeros(len(labels))
        tokens, features, real = self._text(labels)
        seconds = 0.0
        for tile, memory in self._tiles(encoded, mpp, (height, width)):
            started = time.perf_counter()
            maps, seen = self._ask(memory, tokens, features, real, tile)
            for blender, probability in zip(blenders, maps, strict=True):
                blender.add(tile, probability)
            presence = np.maximum(presence, seen)
            seconds += time.perf_counter() - started
        for label, blender, seen_here in zip(labels, blenders, presence, strict=True):
            full = resize_probability(blender.result(), (picture.height, picture.width))
            yield label, full, float(seen_here), seconds / len(labels)

    @torch.inference_mode()
    def _ask(
        self, memory: ImageMemory, tokens: Tensor, features: Tensor, real: Tensor, tile: Tile
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Probability maps (P, h, w) and presence (P,) of one tile."""
        answer = self.model.net.answer(memory, tokens, features, real)
        padded = (_whole(tile.height), _whole(tile.width))
        logits = F.interpolate(answer.logits, size=padded, mode="bilinear", align_corners=False)
        maps = logits[0, :, : tile.height, : tile.width].sigmoid().cpu().numpy()
        if answer.presence is None:
            # Without a presence head the surest pixel is all the network says about presence.
            return maps, maps.reshape(len(maps), -1).max(axis=1).astype(np.float64)
        return maps, answer.presence[0].sigmoid().cpu().double().numpy()

    def _tiles(self, encoded: EncodedImage, mpp: float, size: tuple[int, int]) -> Iterator[tuple[Tile, ImageMemory]]:
        """Encoded tiles with tissue of the image at a scale, from memory where they were kept."""
        if mpp in encoded.kept:
            yield from encoded.kept[mpp]
            return
        config = self.model.config
        plan = [tile for tile in plan_tiles(*size, config.tile, config.overlap) if _has_tissue(encoded, tile, size)]
        keep = len(plan) + sum(map(len, encoded.kept.values())) <= KEPT_TILES
        pixels = resize_pixels(encoded.picture.pixels, size)
        kept = []
        for tile in plan:
            started = time.perf_counter()
            memory = self._encode(pixels[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width])
            encoded.seconds += time.perf_counter() - started
            if keep:
                kept.append((tile, memory))
            yield tile, memory
        if keep:
            encoded.kept[mpp] = kept

    @torch.inference_mode()
    def _encode(self, pixels: NDArray[np.uint8]) -> ImageMemory:
        """Encode one tile, mirrored at right and bottom to whole strides."""
        net = self.model.net
        height, width = pixels.shape[:2]
        grow = ((0, _whole(height) - height), (0, _whole(width) - width), (0, 0))
        padded = np.pad(pixels, grow, mode="symmetric")
        batch = torch.from_numpy(padded).permute(2, 0, 1)[None].to(net.logit_scale.device)
        return net.encode(net.normalise(batch))

    @torch.inference_mode()
    def _text(self, labels: list[str]) -> tuple[Tensor, Tensor, Tensor]:
        """Words of the labels as (1, P, T, D), (1, P, D) and (1, P, T); each prompt is encoded once."""
        net = self.model.net
        prompts = {label.id: label.prompt for label in self.model.vocabulary}
        for label in labels:
            if label not in self._words:
                ids, mask = self.model.tokenize([prompts[label]])
                tokens, features = net.text_encoder(ids, mask)
                self._words[label] = (tokens[0], features[0])
        rows = [self._words[label] for label in labels]
        tokens = torch.nn.utils.rnn.pad_sequence([t for t, _ in rows], batch_first=True)
        lengths = torch.tensor([len(t) for t, _ in rows], device=tokens.device)
        real = torch.arange(tokens.shape[1], device=tokens.device) < lengths[:, None]
        return tokens[None], torch.stack([f for _, f in rows])[None], real[None]

    def _found(
        self,
        candidate: Candidate,
        probability: NDArray[np.float32],
        presence: float,
        seconds: float,
        threshold: float,
        encoded: EncodedImage,
    ) -> Found:
        status, why = self._status(presence), encoded.tissue.why_none
        mask = np.zeros(probability.shape, bool)
        if status != "absent":
            mask = drop_specks((probability > threshold) & encoded.tissue.reach, encoded.mpp)
            mask = drop_unstained(mask, encoded.tissue.stained)
        if status == "present" and not mask.any():
            status, why = "unsure", "no object above the threshold in tissue"
        label, mpp = candidate.label, encoded.mpp
        return Found(label.prompt, label, candidate.reason, status, presence, mask, mpp, seconds, why)

    def _status(self, presence: float) -> Status:
        config = self.model.config
        if presence < config.absent_below:
            return "absent"
        return "present" if presence > config.present_above else "unsure"


def _picture(image: Image) -> Picture:
    if isinstance(image, Picture):
        return image
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8:
            raise BadInput(f"expected (H, W, 3) uint8 RGB, found {image.shape} {image.dtype}")
        if min(image.shape[:2]) < SMALLEST_SIDE:
            raise BadInput(
                f"the array has {image.shape[1]} x {image.shape[0]} pixels; at least {SMALLEST_SIDE} a side are needed"
            )
        return Picture(np.ascontiguousarray(image), None, "array", None)
    return read_picture(Path(image))


def _check_scale(encoded: EncodedImage, mpp: float) -> None:
    """Refuse to enlarge an image so far that it needs more memory than any answer is worth."""
    picture = encoded.picture
    height, width = scaled_size(picture.height, picture.width, encoded.mpp, mpp)
    if max(encoded.mpp) > MOST_ENLARGED * mpp:
        raise BadInput(
            f"{picture.source}: at {max(encoded.mpp):g} um per pixel this cannot be seen; the model looks for it at"
            f" {mpp:g}, and at most {MOST_ENLARGED * mpp:.3g} will do; check --mpp"
        )
    if height * width > MOST_SCALED_PIXELS:
        raise BadInput(
            f"{picture.source}: brought to the model's {mpp:g} um per pixel it has {width} x {height} pixels,"
            f" more than {MOST_SCALED_PIXELS:,}; check --mpp, or cut out a region"
        )


def _has_tissue(encoded: EncodedImage, tile: Tile, size: tuple[int, int]) -> bool:
    """Whether a tile of the image at ``size`` (rows, columns) holds a pixel where objects can lie."""
    reach = encoded.tissue.reach
    down, across = reach.shape[0] / size[0], reach.shape[1] / size[1]
    rows = slice(int(tile.y * down), math.ceil((tile.y + tile.height) * down))
    columns = slice(int(tile.x * across), math.ceil((tile.x + tile.width) * across))
    return bool(reach[rows, columns].any())


def _whole(side: int) -> int:
    """The side rounded up to whole strides."""
    return -(-side // STRIDE) * STRIDE
