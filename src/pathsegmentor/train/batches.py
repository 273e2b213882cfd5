"""Batches: which image, which crop, which prompts.

Step ``k`` of a run is drawn from the seed and ``k`` alone, so a resumed run sees the same batches.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
from torch import Tensor

from pathsegmentor.data.sample import Sample
from pathsegmentor.train.augment import crop_map, inside, jitter_colour, jitter_stain, warp
from pathsegmentor.train.criterion import Targets


@dataclass(frozen=True)
class SamplingConfig:
    """How crops are drawn.

    ``crop`` pixels a side at the label's scale, ``images`` a batch, ``prompts`` per image of which
    about ``absent`` are negatives; ``scale`` the range of the random rescale; ``stain`` and ``colour``
    the strengths of the jitters; ``aim`` the share of crops centred on an object.
    """

    crop: int = 256
    images: int = 8
    prompts: int = 4
    absent: float = 0.25
    scale: tuple[float, ...] = (0.9, 1.1)
    stain: float = 0.2
    colour: float = 0.1
    aim: float = 0.5


@dataclass(frozen=True)
class Batch:
    """Pixels (B, 3, S, S) uint8, prompt indices (B, P) into the label list, and targets."""

    pixels: Tensor
    labels: Tensor
    targets: Targets


@dataclass(frozen=True)
class Scaled:
    """A sample brought to the scale its labels are looked for at."""

    sample: Sample
    labels: tuple[str, ...]


def at_scale(sample: Sample, mpp: float) -> Sample:
    """The sample resampled to ``mpp`` um per pixel: area or bilinear for pixels, nearest for masks."""
    factor = sample.mpp / mpp
    height, width = sample.pixels.shape[:2]
    size = (max(round(width * factor), 1), max(round(height * factor), 1))
    how = cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR
    pixels = np.asarray(cv2.resize(sample.pixels, size, interpolation=how), dtype=np.uint8)
    masks = {
        label: cv2.resize(mask.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST).astype(bool)
        for label, mask in sample.masks.items()
    }
    return Sample(sample.source, sample.name, sample.group, sample.region, mpp, pixels, masks, sample.complete)


class Sampler:
    """Draws batches from samples, each source by its weight, larger images more often."""

    def __init__(
        self,
        samples: list[Sample],
        labels: list[str],
        scales: dict[str, float],
        weights: dict[str, float],
        config: SamplingConfig,
        seed: int,
    ) -> None:
        self.labels, self.config, self.seed = labels, config, seed
        self.items = [item for sample in samples for item in _at_all_scales(sample, labels, scales)]
        areas = np.array([np.sqrt(i.sample.pixels.shape[0] * i.sample.pixels.shape[1]) for i in self.items])
        sources = np.array([i.sample.source for i in self.items])
        chance = np.zeros(len(self.items))
        for source in set(sources):
            here = sources == source
            # Images that only serve as negatives stand back behind those with an object.
            value = areas[here] * [1.0 if _has_object(i) else 0.15 for i in self.items if i.sample.source == source]
            chance[here] = weights.get(str(source), 1.0) * value / value.sum()
        self.chance = chance / chance.sum()

    def batch(self, step: int) -> Batch:
        """The batch of one step, the same whenever it is asked for."""
        rng = np.random.default_rng([self.seed, step])
        picks = rng.choice(len(self.items), size=self.config.images, p=self.chance)
        crops = [self._crop(self.items[i], rng) for i in picks]
        pixels, labels, masks, known = (np.stack(parts) for parts in zip(*crops, strict=True))
        target = torch.from_numpy(masks).float()
        sure = torch.from_numpy(known)
        present = (target.bool() & sure).flatten(2).any(dim=2)
        return Batch(
            torch.from_numpy(pixels).permute(0, 3, 1, 2),
            torch.from_numpy(labels),
            Targets(target, sure, present),
        )

    def _crop(self, item: Scaled, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
        config, sample = self.config, item.sample
        size = config.crop
        affine = crop_map(
            self._centre(item, rng),
            size,
            rng.uniform(config.scale[0], config.scale[1]),
            int(rng.integers(4)),
            bool(rng.integers(2)),
        )
        pixels = warp(sample.pixels, affine, size, nearest=False)
        pixels = jitter_colour(jitter_stain(pixels, config.stain, rng), config.colour, rng)
        shape = (sample.pixels.shape[0], sample.pixels.shape[1])
        sure = inside(shape, affine, size)
        cut = {
            label: warp(mask.astype(np.uint8), affine, size, nearest=True).astype(bool) & sure
            for label, mask in sample.masks.items()
            if label in item.labels
        }
        chosen = self._prompts(item, cut, rng)
        none = np.zeros((size, size), bool)
        masks = np.stack([cut.get(label, none) for label in chosen])
        index = np.array([self.labels.index(label) for label in chosen])
        return pixels, index, masks, np.broadcast_to(sure, masks.shape).copy()

    def _centre(self, item: Scaled, rng: np.random.Generator) -> tuple[float, float]:
        """A place in the image: sometimes on an object, else anywhere the crop still fits."""
        sample, half = item.sample, self.config.crop / 2
        height, width = sample.pixels.shape[:2]
        there = [label for label in item.labels if label in sample.masks and sample.masks[label].any()]
        if there and rng.random() < self.config.aim:
            rows, columns = np.nonzero(sample.masks[there[int(rng.integers(len(there)))]])
            k = int(rng.integers(len(rows)))
            x, y = float(columns[k]), float(rows[k])
        else:
            x, y = rng.uniform(0, width), rng.uniform(0, height)

        def fit(value: float, side: int) -> float:
            return side / 2 if side <= 2 * half else float(np.clip(value, half, side - half))

        return fit(x, width), fit(y, height)

    def _prompts(self, item: Scaled, cut: dict[str, np.ndarray], rng: np.random.Generator) -> list[str]:
        """P labels: mostly those present in the crop, the rest certainly absent ones."""
        present = [label for label, mask in cut.items() if mask.sum() >= 16]
        sample = item.sample
        absent = [
            label for label in item.labels if (not cut[label].any() if label in cut else sample.certainly_absent(label))
        ]
        count = self.config.prompts
        negatives = min(int(rng.binomial(count, self.config.absent)) if present else count, len(absent))
        chosen = list(rng.choice(absent, negatives, replace=False)) if negatives else []
        pool = present or absent or list(item.labels[:1])
        while len(chosen) < count:
            order = list(rng.permutation(pool))
            chosen += order[: count - len(chosen)]
        return [str(label) for label in chosen]


def _has_object(item: Scaled) -> bool:
    return any(item.sample.masks[label].any() for label in item.labels if label in item.sample.masks)


def _at_all_scales(sample: Sample, labels: list[str], scales: dict[str, float]) -> list[Scaled]:
    """The sample once per scale at which something is known about it, with that scale's labels."""
    items = []
    for mpp in sorted(set(scales.values())):
        here = [label for label in labels if scales[label] == mpp]
        known = tuple(label for label in here if label in sample.masks or sample.certainly_absent(label))
        # A coarse picture cannot be made finer: nothing is asked above twice its own resolution.
        if known and sample.mpp <= 2 * mpp:
            items.append(Scaled(at_scale(sample, mpp), known))
    return items
