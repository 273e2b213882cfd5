"""Crops for a network that answers all classes of a source at once: training's own sampler, asked differently."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from pathsegmentor.data.pathseg import Entry, PathSeg
from pathsegmentor.data.sample import Sample
from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.baselines.specialist import class_of
from pathsegmentor.train.batches import Sampler, SamplingConfig, Scaled


def train_part(pathseg: PathSeg, source: str) -> tuple[list[Entry], list[str]]:
    """The train images of a source, all of them, and the classes that occur in them, in order."""
    entries = pathseg.select("train", [source], 0.0, 0)
    classes = sorted({class_of(label) for entry in entries for label in entry.labels})
    if not classes:
        raise BadInput(f"{pathseg.folder}: the train part of {source} has no image to learn from")
    return entries, classes


class ClassSampler(Sampler):
    """Draws crops as ``Sampler`` does; a batch's prompts are the classes, all of them and always in order.

    A class is known wherever one of its labels was outlined; where it was only marked, its marks alone are; where
    nobody looked for it, nothing is.
    """

    def __init__(
        self,
        data: PathSeg,
        entries: list[Entry],
        classes: Sequence[str],
        mpp: float,
        config: SamplingConfig,
        seed: int,
    ) -> None:
        labels = sorted({label for entry in entries for label in (*entry.labels, *entry.first.annotated)})
        self.classes = {name: [label for label in labels if class_of(label) == name] for name in classes}
        if not any(entry.coarseness(mpp) <= 2 for entry in entries):
            source, finest = entries[0].first.source, min(max(entry.first.mpp) for entry in entries)
            raise BadInput(
                f"{source} is asked at {mpp:g} um per pixel; its images have {finest:.3g}: raise sources.{source}"
            )
        super().__init__(data, entries, labels, dict.fromkeys(labels, mpp), {}, config, seed)

    def _crop(
        self, item: Scaled, sample: Sample, size: int, aim: float, rng: np.random.Generator
    ) -> tuple[np.ndarray, ...]:
        """Pixels, indices of the classes (K,), masks and known pixels, both (K, S, S)."""
        seen = self.view(item, sample, size, aim, rng)
        masks = np.zeros((len(self.classes), size, size), bool)
        known = np.zeros_like(masks)
        for i, labels in enumerate(self.classes.values()):
            for label in labels:
                if label in seen.cut:
                    masks[i] |= seen.cut[label]
            outlined = any(item.entry.outlined(label) for label in labels)
            known[i] = seen.bare | (seen.sure if outlined else masks[i])
        return seen.pixels, np.arange(len(masks)), masks, known
