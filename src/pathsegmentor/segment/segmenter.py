"""``Segmenter``: encode an image once, ask it for many things.

An image is looked at in tiles at the scale each label was learnt at; tiles overlap and are blended,
and masks come back at the image's own size.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from pathsegmentor import __version__
from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.imaging import (
    Blender,
    Tile,
    check_mpp,
    resize_pixels,
    resize_probability,
)
from pathsegmentor.model.find import find_model
from pathsegmentor.model.folder import Model
from pathsegmentor.model.joint_decoder import ImageMemory
from pathsegmentor.segment.encoded import EncodedImage, Image, as_picture, check_scale
from pathsegmentor.segment.objects import drop_specks, drop_unstained
from pathsegmentor.segment.result import Found, Result, Status
from pathsegmentor.segment.side_by_side import side_by_side
from pathsegmentor.vocabulary import Candidate

# Called after each tile with the number of tiles done and of all.
Progress = Callable[[int, int], None]
# Encoded tiles kept per image; beyond that they are encoded again for every question.
KEPT_TILES = 64
# Pixels of all probability maps held at a time.
HELD_PIXELS = 200_000_000
STRIDE = 32
# A mask of at least this share of the tissue and this mean probability is kept whatever the presence: presence fails
# on tissue unlike the training's. Of 1,909 prompts that nano rightly calls absent on PathSeg's train part, 19 have one.
LARGE, SURE = 0.05, 0.7


@dataclass(frozen=True)
class _Answered:
    """A tile with probability maps (P, h, w), presence (P,), and the seconds of encoding and of asking."""

    tile: Tile
    maps: NDArray[np.float32]
    presence: NDArray[np.float64]
    encoding: float
    asking: float


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
        picture = as_picture(image)
        if scale is None and picture.mpp is not None:
            scale = check_mpp(picture.mpp)
        if scale is None:
            raise BadInput(
                f"{picture.source}: {picture.no_mpp}; add --mpp (um per pixel): 0.25 for 40x, 0.5 for 20x, 1.0 for 10x"
            )
        return EncodedImage(picture, scale, self.model.weights_sha256)

    def segment(
        self,
        encoded: EncodedImage,
        prompts: str | Sequence[str],
        threshold: float | None = None,
        progress: Progress | None = None,
    ) -> Result:
        """Answer all prompts, each as if it had been asked alone; one that asks for several things has as many answers.

        ``progress`` is called after each tile with the number of tiles done and of all; what it raises ends the work.
        Raises ``BadPrompt`` for words this model does not know, before anything is computed.
        """
        if encoded.weights_sha256 != self.model.weights_sha256:
            raise BadInput("the image was encoded by another model; call encode_image of this one")
        cut = self.threshold(threshold)
        candidates = self.understand(prompts)
        distinct = {c.label.id: c for c in candidates}
        found = {
            label: self._found(distinct[label], probability, presence, seconds, cut, encoded)
            for label, probability, presence, seconds in self.probabilities(encoded, list(distinct), progress)
        }
        founds = tuple(replace(found[c.label.id], prompt=c.words, reason=c.reason) for c in candidates)
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
            threads=torch.get_num_threads(),
            region=(*picture.origin, picture.width, picture.height) if picture.is_region else None,
            shown_from=picture.shown_from,
        )

    def understand(self, prompts: str | Sequence[str]) -> list[Candidate]:
        """What the prompts mean, in order: one candidate per thing asked for, with its words.

        Raises ``BadPrompt`` for words this model does not know.
        """
        asked = [prompts] if isinstance(prompts, str) else list(prompts)
        if not asked:
            raise BadInput("no prompt given; say what to segment, for instance 'glands in colon'")
        return [meant for words in asked for meant in self.model.vocabulary.understand(words, self.model.name)]

    def threshold(self, asked: float | None = None) -> float:
        """The probability that counts as inside: the asked one, or the model's."""
        cut = self.model.config.threshold if asked is None else asked
        if not 0 <= cut <= 1:  # also refuses nan
            raise BadInput(f"threshold {cut} is not between 0 and 1")
        return cut

    def probabilities(
        self, encoded: EncodedImage, labels: Sequence[str], progress: Progress | None = None
    ) -> Iterator[tuple[str, NDArray[np.float32], float, float]]:
        """Label id, probability map (H, W) at the image's size, presence and seconds, one at a time.

        Tiles without tissue are not looked at: probability and presence are 0 there. Labels of one scale share the
        encoded tiles; in a large image only a few are held at once.
        """
        portions = list(self._portions(encoded, labels))
        total, done = sum(tiles for _, _, tiles in portions), 0

        def one_more() -> None:
            nonlocal done
            done += 1
            if progress is not None:
                progress(done, total)

        for mpp, here, _ in portions:
            yield from self._at_scale(encoded, mpp, here, one_more)

    def _portions(self, encoded: EncodedImage, labels: Sequence[str]) -> Iterator[tuple[float, list[str], int]]:
        """Scale, labels and number of tiles of each round over the image."""
        config = self.model.config
        scales = sorted({config.mpp_of(label) for label in labels})
        for mpp in scales:
            check_scale(encoded, mpp)
        for mpp in scales:
            here = [label for label in labels if config.mpp_of(label) == mpp]
            tiles = len(encoded.tiles_at(mpp, config))
            at_once = max(int(HELD_PIXELS // math.prod(encoded.size_at(mpp))), 1)
            for first in range(0, len(here), at_once):
                yield mpp, here[first : first + at_once], tiles

    def _at_scale(
        self, encoded: EncodedImage, mpp: float, labels: list[str], one_more: Callable[[], None]
    ) -> Iterator[tuple[str, NDArray[np.float32], float, float]]:
        blenders = [Blender(*encoded.size_at(mpp)) for _ in labels]
        presence = np.zeros(len(labels))
        started, encoding, asking = time.perf_counter(), 0.0, 0.0
        for answered in self._answers(encoded, mpp, self._text(labels)):
            for blender, probability in zip(blenders, answered.maps, strict=True):
                blender.add(answered.tile, probability)
            presence = np.maximum(presence, answered.presence)
            encoding, asking = encoding + answered.encoding, asking + answered.asking
            one_more()
        # Tiles are worked on side by side, so the time that has passed is shared out by what each kind of work took.
        passed = (time.perf_counter() - started) / max(encoding + asking, 1e-9)
        encoded.seconds += passed * encoding
        for label, blender, seen_here in zip(labels, blenders, presence, strict=True):
            full = resize_probability(blender.result(), (encoded.picture.height, encoded.picture.width))
            yield label, full, float(seen_here), passed * asking / len(labels)

    def _answers(self, encoded: EncodedImage, mpp: float, words: tuple[Tensor, Tensor, Tensor]) -> Iterator[_Answered]:
        """All tiles with tissue at a scale, encoded (or from memory where they were kept) and asked, in order."""
        tiles = encoded.tiles_at(mpp, self.model.config)
        kept = encoded.kept.setdefault(mpp, {})
        keep = len(tiles) + sum(len(of_scale) for at, of_scale in encoded.kept.items() if at != mpp) <= KEPT_TILES
        pixels = resize_pixels(encoded.picture.pixels, encoded.size_at(mpp))

        def answer(tile: Tile) -> _Answered:
            encoding, memory = 0.0, kept.get(tile)
            if memory is None:
                started = time.perf_counter()
                memory = self._encode(pixels[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width])
                encoding = time.perf_counter() - started
                if keep:
                    kept[tile] = memory
            asked = time.perf_counter()
            maps, presence = self._ask(memory, *words, tile)
            return _Answered(tile, maps, presence, encoding, time.perf_counter() - asked)

        on_cpu = self.model.net.logit_scale.device.type == "cpu"
        yield from side_by_side(answer, tiles) if on_cpu else map(answer, tiles)

    @torch.inference_mode()
    def _ask(
        self, memory: ImageMemory, tokens: Tensor, features: Tensor, real: Tensor, tile: Tile
    ) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
        """Probability maps (P, h, w) and presence (P,) of one tile."""
        answer = self.model.net.answer(memory, tokens, features, real)
        padded = (_whole(tile.height), _whole(tile.width))
        logits = F.interpolate(answer.logits, size=padded, mode="bilinear", align_corners=False)
        maps = logits[0, :, : tile.height, : tile.width].sigmoid().cpu().numpy()
        # Without a presence head the surest pixel is all the network says about presence.
        seen = (
            maps.reshape(len(maps), -1).max(axis=1) if answer.presence is None else answer.presence[0].sigmoid().cpu()
        )
        presence = np.asarray(seen, np.float64)
        if not (np.isfinite(maps).all() and np.isfinite(presence).all()):
            raise BadModel(f"model {self.model.name} gives probabilities that are no numbers; its weights are unfit")
        return maps, presence

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
        prompts = {label.id: self.model.config.prompt_of(label) for label in self.model.vocabulary}
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
        status, note = self._status(presence), encoded.tissue.why_none
        mask = (probability > threshold) & encoded.tissue.reach
        if status == "absent" and (against := _too_much_to_drop(mask, probability, encoded.tissue.reach)):
            status, note = "unsure", against
        if status == "absent":
            mask = np.zeros(probability.shape, bool)
        else:
            mask = drop_unstained(drop_specks(mask, encoded.mpp), encoded.tissue.stained)
        if status == "present" and not mask.any():
            status = "unsure"
            note = f"probably there, but nothing larger than a speck in tissue reaches the threshold {threshold:g}"
        label, reason, mpp = candidate.label, candidate.reason, encoded.mpp
        return Found(self.model.config.prompt_of(label), label, reason, status, presence, mask, mpp, seconds, note)

    def _status(self, presence: float) -> Status:
        config = self.model.config
        if presence < config.absent_below:
            return "absent"
        return "present" if presence > config.present_above else "unsure"


def _too_much_to_drop(mask: NDArray[np.bool_], probability: NDArray[np.float32], tissue: NDArray[np.bool_]) -> str:
    """Why a mask is kept whose presence says that there is nothing; empty if that may be believed."""
    pixels = int(mask.sum())
    share = pixels / max(int(tissue.sum()), 1)
    sure = float(probability[mask].mean(dtype=np.float64)) if pixels else 0.0
    if share < LARGE or sure < SURE:
        return ""
    return f"called absent, but a mask covers {share:.0%} of the tissue, mean probability {sure:.2f}; look at it"


def _whole(side: int) -> int:
    """The side rounded up to whole strides."""
    return -(-side // STRIDE) * STRIDE
