"""A built PathSeg folder: its images with their labels, and each image's pixels and masks when asked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np

from pathsegmentor.data.manifest import Row, read_rows
from pathsegmentor.data.sample import Sample
from pathsegmentor.data.shards import Shards, decode_image, decode_mask
from pathsegmentor.errors import BadInput

NUCLEI = "nuclei"


@dataclass(frozen=True)
class Entry:
    """One stored image with the rows of its labels; no pixels are read."""

    rows: tuple[Row, ...]

    @property
    def first(self) -> Row:
        """What is the same for all labels of the image."""
        return self.rows[0]

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels present in the image."""
        return tuple(row.label for row in self.rows)

    @property
    def group(self) -> str:
        """Patient, else slide, else the image in the download; unique over sources."""
        row = self.first
        return f"{row.source}/{row.patient or row.slide or row.origin}"

    @property
    def region(self) -> str:
        """The organ that its labels agree on, else ``unspecified``."""
        return _region(self.labels, self.first.annotated)

    def certainly_absent(self, label: str) -> bool:
        """Whether the label is known not to occur: looked for everywhere in the image, or of another organ."""
        if label in self.labels:
            return False
        if label in self.first.annotated:
            return not self.first.ignore  # else it may lie where nothing is known
        return self.of_another_organ(label)

    def of_another_organ(self, label: str) -> bool:
        """Whether the label belongs to an organ that the image does not show.

        Nuclei without a type look alike in every organ, so another organ's are never called absent.
        """
        region, _, kind = label.split("-", 2)
        return kind != NUCLEI and "unspecified" not in (region, self.region) and region != self.region

    def outlined(self, label: str) -> bool:
        """Whether all that the image shows of a label is in its mask; else only that is known which is."""
        return label in self.first.annotated

    def coarseness(self, mpp: float) -> float:
        """How many times coarser the image is than ``mpp``."""
        return max(self.first.mpp) / mpp


@lru_cache(maxsize=1 << 16)
def _region(labels: tuple[str, ...], annotated: tuple[str, ...]) -> str:
    regions = {label.split("-", 1)[0] for label in (*labels, *annotated)} - {"unspecified"}
    return regions.pop() if len(regions) == 1 else "unspecified"


class PathSeg:
    """A PathSeg folder; ``entries`` are its images, in the manifest's order."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.shards = Shards(folder)
        images: dict[str, list[Row]] = {}
        for row in read_rows(folder):
            images.setdefault(row.image, []).append(row)
        self.entries = [Entry(tuple(rows)) for rows in images.values()]

    def select(self, split: str, sources: Iterable[str], held_out: float, seed: int) -> list[Entry]:
        """Images of some sources; ``split`` is ``train``, ``val`` (held out of train, by group) or ``test``."""
        chosen = []
        for source in sources:
            of_source = [entry for entry in self.entries if entry.first.source == source]
            if not of_source:
                there = ", ".join(sorted({entry.first.source for entry in self.entries}))
                raise BadInput(f"{self.folder} has no images of {source}; it has {there}")
            here = [entry for entry in of_source if entry.first.split == ("test" if split == "test" else "train")]
            if split != "test":
                held = held_groups(here, held_out, seed)
                here = [entry for entry in here if (entry.group in held) == (split == "val")]
            chosen += here
        return chosen

    def sample(self, entry: Entry) -> Sample:
        """Pixels and masks of one image."""
        row = entry.first
        masks = {r.label: np.asarray(decode_mask(self.shards.read(r.mask)) > 0) for r in entry.rows}
        return Sample(
            source=row.source,
            name=row.image.rpartition("/")[2].removesuffix(".png"),
            mpp=row.mpp,
            pixels=decode_image(self.shards.read(row.image)),
            masks=masks,
            ignore=np.asarray(decode_mask(self.shards.read(row.ignore)) > 0) if row.ignore else None,
        )


def held_groups(entries: Sequence[Entry], fraction: float, seed: int) -> set[str]:
    """Groups that together hold about ``fraction`` of the images; seeded."""
    sizes = Counter(entry.group for entry in entries)
    groups = sorted(sizes)
    np.random.default_rng(seed).shuffle(groups)
    held: set[str] = set()
    images = 0
    for group in groups:
        if images >= fraction * len(entries):
            break
        held.add(group)
        images += sizes[group]
    return held
