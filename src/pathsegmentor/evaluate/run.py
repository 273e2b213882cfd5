"""Evaluate a model on PathSeg's images, each at its own scale, through the path a user takes."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pathsegmentor.data.pathseg import Entry, PathSeg
from pathsegmentor.evaluate.scores import auroc, dice
from pathsegmentor.imaging import Picture
from pathsegmentor.segment import Segmenter

# A label is asked of an image only if the image is fine enough for its scale.
COARSEST_FACTOR = 2.0


@dataclass(frozen=True)
class Pair:
    """One image and one label: is it there, how sure was the model, and the Dice if it is there.

    ``dice`` is nan for absent objects; a present object that was called absent scores 0.
    """

    source: str
    image: str
    label: str
    present: bool
    presence: float
    status: str
    dice: float


def evaluate(segmenter: Segmenter, data: PathSeg, entries: Iterable[Entry]) -> list[Pair]:
    """All image-label pairs about which the annotation is sure; ignored pixels count for nothing."""
    pairs = []
    for entry in entries:
        asked = _asked(segmenter, entry)
        if not asked:
            continue
        sample = data.sample(entry)
        encoded = segmenter.encode_image(Picture(sample.pixels, sample.mpp, sample.name))
        result = segmenter.segment(encoded, asked)
        sure = True if sample.ignore is None else ~sample.ignore
        for found in result.founds:
            truth = sample.masks.get(found.label.id)
            score = float("nan") if truth is None else dice(found.mask & sure, truth & sure)
            pairs.append(
                Pair(
                    sample.source,
                    sample.name,
                    found.label.id,
                    truth is not None,
                    found.presence,
                    found.status,
                    score,
                )
            )
    return pairs


def _asked(segmenter: Segmenter, entry: Entry) -> list[str]:
    config = segmenter.model.config
    known = [label.id for label in segmenter.model.vocabulary]
    return [
        label
        for label in known
        if entry.coarseness(config.mpp_of(label)) <= COARSEST_FACTOR
        and ((label in entry.labels and entry.outlined(label)) or entry.certainly_absent(label))
    ]


def summary(pairs: list[Pair]) -> dict[str, Any]:
    """Mean Dice per source and label over present pairs, overall mean, and presence AUROC."""
    groups: dict[tuple[str, str], list[Pair]] = defaultdict(list)
    for pair in pairs:
        groups[pair.source, pair.label].append(pair)
    rows = []
    for (source, label), group in sorted(groups.items()):
        there = [p for p in group if p.present]
        if not there:
            continue
        rows.append(
            {
                "source": source,
                "label": label,
                "images": len(there),
                "dice": round(float(np.mean([p.dice for p in there])), 4),
                "called_absent": sum(p.status == "absent" for p in there),
            }
        )
    present = [p for p in pairs if p.present]
    absent = [p for p in pairs if not p.present]
    area = auroc([p.presence for p in pairs], [p.present for p in pairs])
    return {
        "rows": rows,
        "pairs_present": len(present),
        "pairs_absent": len(absent),
        "dice_mean": round(float(np.mean([p.dice for p in present])), 4) if present else None,
        "presence_auroc": None if np.isnan(area) else round(area, 4),
        "absent_called_absent": sum(p.status == "absent" for p in absent),
        "absent_called_present": sum(p.status == "present" for p in absent),
    }
