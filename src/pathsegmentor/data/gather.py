"""One PathSeg folder for fine-tuning: a user's own data, and data sets that were built before, side by side."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pathsegmentor.atomic import written
from pathsegmentor.data.build import Progress, Settings, Wish, build
from pathsegmentor.data.finish import PART_FOLDER, SHARD_FOLDER, finish, listing
from pathsegmentor.data.manifest import MANIFEST
from pathsegmentor.data.own import own_source
from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.data.record import Annotated, Item, Source
from pathsegmentor.errors import BadInput

# Stands for a picture in which nothing was found; no model learns it.
NOTHING = "unspecified-tissue-nothing that was looked for"


def gather(
    own: Path, others: Sequence[Path], out: Path, mpp: float = 0.0, progress: Progress | None = None
) -> tuple[list[str], dict[str, Any]]:
    """Build or link ``own`` and ``others`` into ``out``; returns the names of the sources of ``own``, and the report.

    ``own`` is a PathSeg or an annotated folder; of a folder pictures are kept, too, in which nothing was found that
    ``labels.csv`` names. Files are linked where the disk allows it, and never changed. Raises ``BadInput``.
    """
    for folder in others:
        if not (folder / MANIFEST).is_file():
            raise BadInput(f"{folder} has no {MANIFEST}; build it with: pathsegmentor data build")
    if not own.is_dir():
        raise BadInput(f"{own} is no folder; give a PathSeg, or images with their annotation")
    with written(out):
        for part in (SHARD_FOLDER, PART_FOLDER):
            (out / part).mkdir(parents=True, exist_ok=True)
        for folder in (*others, *([own] if (own / MANIFEST).is_file() else [])):
            _link(folder, out)
    if (own / MANIFEST).is_file():
        return sorted({entry.first.source for entry in PathSeg(own).entries}), finish(out)
    source = own_source(own, mpp)
    if listing(out, source.name).is_file() and any(listing(folder, source.name).is_file() for folder in others):
        raise BadInput(f"{own} and the data to rehearse are both called {source.name}; rename the folder")
    return [source.name], build([Wish(with_nothing(source), own)], out, Settings(), progress)


def with_nothing(source: Source) -> Source:
    """The same source, whose pictures without any object are kept as such."""
    return replace(source, read=partial(_read, source))


def _read(source: Source, item: Item) -> Annotated:
    image = source.read(item)
    if image.complete and not any(np.any(mask) for mask in image.masks.values()):
        return replace(image, masks={NOTHING: np.ones(image.pixels.shape[:2], bool)})
    return image


def _link(folder: Path, out: Path) -> None:
    for part in (SHARD_FOLDER, PART_FOLDER):
        for path in sorted(folder.joinpath(part).glob("[!.]*")):
            target = out / part / path.name
            if target.exists():
                continue
            try:
                os.link(path, target)
            except OSError:
                shutil.copyfile(path, target)
