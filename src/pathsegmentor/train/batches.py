"""Batches: which image, which crop, which prompts.

Step ``k`` of a run is drawn from the seed and ``k`` alone, so a resumed run sees the same batches.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor

from pathsegmentor.data.pathseg import Entry, PathSeg
from pathsegmentor.data.sample import Sample
from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.resample import resize_labels, resize_pixels, scaled_size
from pathsegmentor.model.config import Share, Within
from pathsegmentor.train.augment import crop_map, inside, jitter_colour, jitter_stain, other_scanner, warp
from pathsegmentor.train.background import background, glass_beside, out_of_focus
from pathsegmentor.train.criterion import Targets
from pathsegmentor.train.order import Epochs, rare

HELD_BYTES = 3 << 30


@dataclass(frozen=True)
class SamplingConfig:
    """How crops are drawn.

    ``crop`` are the sizes that steps choose from, in pixels a side at the label's scale; ``images`` is a
    batch at the first of them, other sizes get as many as have the same area. ``prompts`` per image of
    which about ``absent`` are negatives, ``foreign`` the chance that one belongs to another organ instead of
    to what the annotators looked for; ``scale`` the range of the random rescale; ``stain`` and ``colour``
    the strengths of the jitters, ``scanner`` the chance of another scanner's focus, noise and compression;
    ``aim`` the share of crops centred on an object; ``turn`` and ``flip`` the chances of a quarter turn (one,
    two or three) and of a mirror image; ``glass`` the share of crops partly covered by glass, ``background``
    that of pictures without any tissue.

    ``order`` is ``weighted`` (each source by its weight, larger images more often) or ``epoch`` (every image
    once, or as often as its source's weight says, before any comes again). ``balance`` draws images of
    labels that fewer than this share of the images have up to the root of the lack more often. ``fit``
    scales each image to the crop before the random rescale, as the paper does.
    """

    crop: tuple[Annotated[int, Within(32, 8192)], ...] = (256,)
    images: Annotated[int, Within(1, 65_536)] = 8
    prompts: Annotated[int, Within(1, 1000)] = 4
    absent: Share = 0.25
    foreign: Share = 0.25
    scale: tuple[Annotated[float, Within(0.01, 10)], ...] = (0.9, 1.1)
    stain: Share = 0.2
    colour: Share = 0.1
    scanner: Share = 0.0
    aim: Share = 0.5
    turn: Share = 0.75
    flip: Share = 0.5
    glass: Share = 0.0
    background: Share = 0.0
    order: Literal["weighted", "epoch"] = "weighted"
    balance: Share = 0.0
    fit: bool = False


@dataclass(frozen=True)
class Batch:
    """Pixels (B, 3, S, S) uint8, prompt indices (B, P) into the label list, and targets.

    ``rows`` (B,) are the places of these images in the whole step of ``images``, ``names`` where they are from.
    """

    pixels: Tensor
    labels: Tensor
    targets: Targets
    rows: Tensor
    images: int
    names: tuple[str, ...]


class View(NamedTuple):
    """A crop: pixels (S, S, 3), masks (S, S) by label, and where (S, S) is what is known.

    ``sure`` is inside the image and not ignored, ``unknown`` ignored, ``bare`` glass laid over the image.
    """

    pixels: np.ndarray
    cut: dict[str, np.ndarray]
    sure: np.ndarray
    unknown: np.ndarray
    bare: np.ndarray


@dataclass(frozen=True)
class Scaled:
    """An image at the scale at which its labels are looked for."""

    entry: Entry
    mpp: float
    labels: tuple[str, ...]

    def worth(self, foreign: float) -> float:
        """How often to draw it: less where nothing occurs, least where only other organs' labels could be asked."""
        if any(label in self.labels for label in self.entry.labels):
            return 1.0
        return 0.15 if any(label in self.labels for label in self.entry.first.annotated) else 0.15 * foreign

    @property
    def side(self) -> float:
        """Square root of the area in pixels."""
        row = self.entry.first
        return float(np.sqrt(row.width * row.height * row.mpp[0] * row.mpp[1])) / self.mpp


def at_scale(sample: Sample, mpp: float) -> Sample:
    """The sample resampled to ``mpp`` um per pixel: area or bilinear for pixels, nearest for masks."""
    height, width = sample.pixels.shape[:2]
    size = scaled_size(height, width, sample.mpp, mpp)
    masks = {label: _nearest(mask, size) for label, mask in sample.masks.items()}
    ignore = _nearest(sample.ignore, size) if sample.ignore is not None else None
    pixels = resize_pixels(sample.pixels, size)
    return Sample(sample.source, sample.name, (mpp, mpp), pixels, masks, ignore)


def _nearest(mask: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return resize_labels(mask.astype(np.uint8), size).astype(bool)


class Sampler:
    """Draws batches from images, each source by its weight, larger images more often.

    Images are read when they are drawn; as many as fit in ``HELD_BYTES`` stay in memory.
    """

    def __init__(
        self,
        data: PathSeg,
        entries: list[Entry],
        labels: list[str],
        scales: dict[str, float],
        weights: dict[str, float],
        config: SamplingConfig,
        seed: int,
    ) -> None:
        self.data, self.labels, self.config, self.seed = data, labels, config, seed
        self.items = list(_at_all_scales(entries, labels, scales))
        self._held: OrderedDict[int, Sample] = OrderedDict()
        self._bytes = 0
        self.held_bytes = HELD_BYTES
        sides = np.array([item.side for item in self.items])
        values = sides * np.array([item.worth(config.foreign) for item in self.items])
        sources = np.array([item.entry.first.source for item in self.items])
        often = rare([{x for x in item.entry.labels if x in item.labels} for item in self.items], config.balance)
        values = values * often
        chance = np.zeros(len(self.items))
        for source in set(sources):
            here = sources == source
            chance[here] = weights.get(str(source), 1.0) * values[here] / values[here].sum()
        self.chance = chance / chance.sum()
        times = often * np.array([weights.get(str(source), 1.0) for source in sources])
        self.epochs = Epochs(times, seed) if config.order == "epoch" else None

    def sample(self, number: int) -> Sample:
        """The image of an item, at its scale."""
        if number in self._held:
            self._held.move_to_end(number)
            return self._held[number]
        item = self.items[number]
        sample = at_scale(self.data.sample(item.entry), item.mpp)
        self._held[number] = sample
        self._bytes += _size(sample)
        while self._bytes > self.held_bytes and len(self._held) > 1:
            self._bytes -= _size(self._held.popitem(last=False)[1])
        return sample

    def batch(self, step: int, part: int = 0, parts: int = 1) -> Batch:
        """One of the ``parts`` of a step's batch, the same whenever it is asked for.

        Every image of a step has its own random numbers, so that parts together are the whole.
        """
        rng = np.random.default_rng([self.seed, step])
        size, images = self._shape(rng)
        if images < parts:
            raise BadInput(
                f"a step of {images} images cannot pass in {parts} parts (processes x schedule.accumulate);"
                " raise sampling.images or lower the parts"
            )
        picks = self._picks(step, images, rng)
        rows = np.arange(images)[part::parts]
        crops = [
            self._crop(
                self.items[picks[i]],
                self.sample(picks[i]),
                size,
                self.config.aim,
                np.random.default_rng([self.seed, step, i]),
            )
            for i in rows.tolist()
        ]
        pixels, labels, masks, known = (np.stack(arrays) for arrays in zip(*crops, strict=True))
        return Batch(
            torch.from_numpy(pixels).permute(0, 3, 1, 2),
            torch.from_numpy(labels),
            Targets.of(torch.from_numpy(masks), torch.from_numpy(known)),
            torch.from_numpy(rows),
            images,
            tuple(self.items[picks[i]].entry.first.image for i in rows.tolist()),
        )

    def _shape(self, rng: np.random.Generator) -> tuple[int, int]:
        """Crop size of a batch, and how many crops of it."""
        sizes = self.config.crop
        size = sizes[int(rng.integers(len(sizes)))]
        return size, max(round(self.config.images * (sizes[0] / size) ** 2), 1)

    def _picks(self, step: int, images: int, rng: np.random.Generator) -> list[int]:
        if self.epochs is not None:
            return self.epochs.items(step * images, images)
        return [int(i) for i in rng.choice(len(self.items), size=images, p=self.chance)]

    def _crop(
        self, item: Scaled, sample: Sample, size: int, aim: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, ...]:
        """One crop as ``_asked`` gives it, with the chance ``aim`` of an object in its middle."""
        if rng.random() < self.config.background:
            return self._background(item, sample, size, rng)
        seen = self.view(item, sample, size, aim, rng)
        asked = self._prompts(item, seen.cut, bool((seen.unknown & ~seen.bare).any()), rng)
        if not asked:  # nothing is certain of what is here
            again = aim < 1 and any(label in item.labels for label in sample.masks)
            return self._crop(item, sample, size, 1.0, rng) if again else self._background(item, sample, size, rng)
        # Nothing is known of what the annotators saw under the glass, but glass itself is no object.
        pixels, index, masks, known = self._asked(seen.pixels, asked, seen.cut, seen.sure | seen.bare)
        for i, label in enumerate(asked):
            if label in seen.cut and not item.entry.outlined(label):
                known[i] = seen.cut[label] | seen.bare  # the annotators marked some of it, not all
        return pixels, index, masks, known

    def view(self, item: Scaled, sample: Sample, size: int, aim: float, rng: np.random.Generator) -> View:
        """A crop of an image before anything is asked of it, with the chance ``aim`` of an object in its middle."""
        config = self.config
        scale = rng.uniform(config.scale[0], config.scale[1])
        if config.fit:
            scale *= size / max(sample.pixels.shape[:2])
        affine = crop_map(
            self._centre(item, sample, size / scale / 2, aim, rng),
            size,
            scale,
            int(rng.integers(1, 4)) if rng.random() < config.turn else 0,
            bool(rng.random() < config.flip),
        )
        pixels = warp(sample.pixels, affine, size, nearest=False)
        pixels = jitter_colour(jitter_stain(pixels, config.stain, rng), config.colour, rng)
        if rng.random() < config.scanner:
            pixels = other_scanner(pixels, rng)
        bare = np.zeros((size, size), bool)
        if rng.random() < config.glass:
            pixels, bare = glass_beside(pixels, rng)
        shape = (sample.pixels.shape[0], sample.pixels.shape[1])
        sure = inside(shape, affine, size)
        unknown = np.zeros((size, size), bool)
        if sample.ignore is not None:
            unknown = warp(sample.ignore.astype(np.uint8), affine, size, nearest=True).astype(bool)
            sure &= ~unknown
        cut = {
            label: warp(mask.astype(np.uint8), affine, size, nearest=True).astype(bool) & sure & ~bare
            for label, mask in sample.masks.items()
            if label in item.labels
        }
        return View(pixels, cut, sure, unknown, bare)

    def _background(self, item: Scaled, sample: Sample, size: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        """A picture without tissue; any label that has this scale is absent from it."""
        if rng.random() < 1 / 6:
            affine = crop_map(self._centre(item, sample, size / 2, self.config.aim, rng), size, 1.0, 0, False)
            pixels = out_of_focus(warp(sample.pixels, affine, size, nearest=False), rng)
        else:
            pixels = background(size, rng)
        asked = [self.labels[i] for i in rng.integers(len(self.labels), size=self.config.prompts)]
        return self._asked(pixels, asked, {}, np.ones((size, size), bool))

    def _asked(
        self, pixels: np.ndarray, asked: list[str], cut: dict[str, np.ndarray], sure: np.ndarray
    ) -> tuple[np.ndarray, ...]:
        """Pixels, label indices (P,), masks and known pixels, both (P, S, S), of one crop."""
        none = np.zeros(sure.shape, bool)
        masks = np.stack([cut.get(label, none) for label in asked])
        index = np.array([self.labels.index(label) for label in asked])
        return pixels, index, masks, np.broadcast_to(sure, masks.shape).copy()

    def _centre(
        self, item: Scaled, sample: Sample, half: float, aim: float, rng: np.random.Generator
    ) -> tuple[float, float]:
        """A place in the image: sometimes on an object, else anywhere; moved so that the crop fits.

        ``half`` is half the crop's side in the image's pixels, ``aim`` the chance of an object.
        """
        height, width = sample.pixels.shape[:2]
        there = [label for label in item.labels if label in sample.masks and sample.masks[label].any()]
        if there and rng.random() < aim:
            rows, columns = np.nonzero(sample.masks[there[int(rng.integers(len(there)))]])
            k = int(rng.integers(len(rows)))
            x, y = float(columns[k]), float(rows[k])
        else:
            x, y = rng.uniform(0, width), rng.uniform(0, height)

        def fit(value: float, side: int) -> float:
            return side / 2 if side <= 2 * half else float(np.clip(value, half, side - half))

        return fit(x, width), fit(y, height)

    def _prompts(self, item: Scaled, cut: dict[str, np.ndarray], doubt: bool, rng: np.random.Generator) -> list[str]:
        """P labels: mostly those present in the crop, the rest certainly absent ones; none if there are neither.

        With ``doubt`` something may lie where nothing is known, so only another organ's labels are absent for certain.
        """
        present = [label for label, mask in cut.items() if mask.sum() >= 16]
        entry = item.entry
        # A label that occurs elsewhere in the image is absent from the crop for certain only if it is outlined
        # wherever it occurs.
        here = [label for label, mask in cut.items() if mask.any()]
        missed = [label for label in item.labels if entry.outlined(label) and label not in here and not doubt]
        foreign = [label for label in item.labels if not entry.outlined(label) and label not in entry.labels]
        count = self.config.prompts
        wanted = int(rng.binomial(count, self.config.absent)) if present else count
        chosen = draw_absent(missed, foreign, wanted, self.config.foreign, rng)
        pool = present or missed or foreign
        while pool and len(chosen) < count:
            order = list(rng.permutation(pool))
            chosen += order[: count - len(chosen)]
        return [str(label) for label in chosen]


def draw_absent(
    missed: Sequence[str], foreign: Sequence[str], count: int, share: float, rng: np.random.Generator
) -> list[str]:
    """At most ``count`` absent labels, each once: a ``share`` of another organ, the rest looked for and not found.

    Other organs' labels teach which data set a picture comes from as much as what it shows, so they stay few.
    """
    others = min(int(rng.binomial(count, share)), len(foreign))
    here = min(count - others, len(missed))
    return [str(x) for part, n in ((missed, here), (foreign, others)) if n for x in rng.choice(part, n, replace=False)]


def _size(sample: Sample) -> int:
    return sample.pixels.nbytes + sum(mask.nbytes for mask in sample.masks.values())


def _at_all_scales(entries: Sequence[Entry], labels: list[str], scales: dict[str, float]) -> Iterator[Scaled]:
    """Each image once per scale at which something is known about it, with that scale's labels."""
    steps = sorted(set(scales.values()))
    # Few images differ in both: what can be asked is worked out once for all that do not.
    known: dict[tuple[tuple[str, ...], tuple[str, ...]], dict[float, tuple[str, ...]]] = {}
    for entry in entries:
        there, looked_for = entry.labels, entry.first.annotated
        asked = known.get((there, looked_for))
        if asked is None:
            here = [x for x in labels if x in there or x in looked_for or entry.of_another_organ(x)]
            asked = known[there, looked_for] = {mpp: tuple(x for x in here if scales[x] == mpp) for mpp in steps}
        for mpp, some in asked.items():
            # A coarse picture cannot be made finer: nothing is asked above twice its own resolution.
            if some and entry.coarseness(mpp) <= 2:
                yield Scaled(entry, mpp, some)
