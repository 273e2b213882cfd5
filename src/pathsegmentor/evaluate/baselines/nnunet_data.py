"""A source's train part as nnU-Net wants it: one RGB file and one file of whole numbers per image."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pathsegmentor.atomic import whole_file
from pathsegmentor.data.pathseg import Entry, PathSeg
from pathsegmentor.data.sample import Sample
from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.baselines.specialist import class_of
from pathsegmentor.train.batches import at_scale

MOST_VALUES = 250
DONE = "dataset.json"
UNKNOWN = 255


class Codes:
    """Numbers for the combinations of classes that occur; 0 is background.

    Classes overlap (a gland is also a benign one), and a pixel of nnU-Net's has one number, so every combination has
    its own, and a class is the list of numbers it is part of (nnU-Net's regions).
    """

    def __init__(self, classes: Sequence[str]) -> None:
        self.classes = tuple(classes)
        self._numbers: dict[frozenset[int], int] = {frozenset(): 0}

    def coded(self, sample: Sample, entry: Entry) -> NDArray[np.uint8]:
        """(H, W): numbers, and ``UNKNOWN`` where the annotation says nothing, or marked only some of a class."""
        masks = np.zeros((len(self.classes), *sample.pixels.shape[:2]), bool)
        for label, mask in sample.masks.items():
            masks[self.classes.index(class_of(label))] |= mask
        out = np.zeros(sample.pixels.shape[:2], np.uint8)
        powers = 1 << np.arange(len(self.classes), dtype=np.int64)
        combined = np.tensordot(powers, masks.astype(np.int64), axes=1)
        for value in np.unique(combined):
            members = frozenset(i for i in range(len(self.classes)) if value >> i & 1)
            number = self._numbers.setdefault(members, len(self._numbers))
            if number > MOST_VALUES:
                raise BadInput(f"{sample.source} has more than {MOST_VALUES} combinations of classes")
            out[combined == value] = number
        partly = any(not entry.outlined(label) for label in sample.masks)
        unknown = np.zeros(out.shape, bool) if sample.ignore is None else sample.ignore
        out[unknown | ((out == 0) & partly)] = UNKNOWN
        return out

    def labels(self, unknown: bool) -> dict[str, int | list[int]]:
        """The table ``labels`` of dataset.json."""
        told: dict[str, int | list[int]] = {"background": 0}
        for i, name in enumerate(self.classes):
            numbers = sorted(number for members, number in self._numbers.items() if i in members)
            told[name] = numbers if self.regions else numbers[0]
        if unknown:
            told["ignore"] = len(self._numbers)
        return told

    @property
    def regions(self) -> bool:
        """Whether a class overlaps another, so that each is answered by itself."""
        return any(len(members) > 1 for members in self._numbers)

    @property
    def count(self) -> int:
        """Numbers that are in use, background among them."""
        return len(self._numbers)


def export(pathseg: PathSeg, entries: Sequence[Entry], classes: Sequence[str], mpp: float, folder: Path) -> bool:
    """Write images and labels at ``mpp`` um per pixel; whether classes overlap. What is written already is kept.

    ``dataset.json`` comes last: with it the folder is whole.
    """
    codes = Codes(classes)
    if (folder / DONE).is_file():
        told = json.loads((folder / DONE).read_text(encoding="utf-8"))
        return "regions_class_order" in told
    for part in ("imagesTr", "labelsTr"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    maps, unknown = [], False
    for number, entry in enumerate(entries):
        sample = at_scale(pathseg.sample(entry), mpp)
        Image.fromarray(sample.pixels).save(folder / "imagesTr" / f"case{number:06d}_0000.png")
        path = folder / "labelsTr" / f"case{number:06d}.png"
        coded = codes.coded(sample, entry)
        Image.fromarray(coded).save(path)
        if (coded == UNKNOWN).any():
            maps.append(path)
            unknown = True
    for path in maps:  # which number is free for the unknown is known only now
        with Image.open(path) as image:
            coded = np.array(image)
        coded[coded == UNKNOWN] = codes.count
        Image.fromarray(coded).save(path)
    told = {
        "channel_names": {"0": "R", "1": "G", "2": "B"},
        "labels": codes.labels(unknown),
        "numTraining": len(entries),
        "file_ending": ".png",
    }
    if codes.regions:
        # Only for nnU-Net's own single map, which is not asked for here.
        told["regions_class_order"] = list(range(1, len(codes.classes) + 1))
    with whole_file(folder / DONE) as beside:
        beside.write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return codes.regions
