"""The samples of several annotated folders, split."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pathsegmentor.data.folders import hold_out, read_folder
from pathsegmentor.data.sample import Sample


@dataclass(frozen=True)
class SourceConfig:
    """One annotated folder: its reader, its place and how often it is drawn in training."""

    reader: str
    folder: str
    weight: float = 1.0


def read_sources(sources: Sequence[SourceConfig], data: Path, split: str, held_out: float, seed: int) -> list[Sample]:
    """All samples of all sources; ``split`` is ``train``, ``val`` (held out of train) or ``test``."""
    samples = []
    for source in sources:
        found = read_folder(source.reader, data / source.folder, "test" if split == "test" else "train")
        if split != "test":
            kept, held = hold_out(found, held_out, seed)
            found = kept if split == "train" else held
        samples += found
    return samples
