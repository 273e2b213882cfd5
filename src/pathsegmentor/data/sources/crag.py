"""CRAG: colon glands (S. Graham et al., Medical Image Analysis 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pathsegmentor.data import files
from pathsegmentor.data.record import Annotated, Counts, Item, Licence, MaskArray, Problem, Source
from pathsegmentor.errors import BadInput

GLAND = "colon-tissue-gland"
LAYOUT = (
    "train/Images/train_N.png and train/Annotation/train_N.png (instance numbers)",
    "valid/Images/test_N.png and valid/Annotation/test_N.png",
)
# The description says test, the archive valid.
PARTS = {"train": ("train",), "test": ("valid", "test")}
OUTLINES = ("Annotation", "Annotations")
MPP = 0.5
FACTOR = 2.0


def items(folder: Path) -> Iterator[Item | Problem]:
    """All tiles of both official parts."""
    homes = (folder, folder / "CRAG", folder / "CRAG" / "CRAG")
    top = next((home for home in homes if (home / "train").is_dir()), folder)
    parts = {split: files.first_of(top, names, "; ".join(LAYOUT)) for split, names in PARTS.items()}
    yield from files.at_least_one(_items(parts), folder, LAYOUT)


def _items(parts: dict[str, Path]) -> Iterator[Item | Problem]:
    for split, part in parts.items():
        images = files.pictures(files.need(part / "Images", LAYOUT[0]))
        outlines = files.pictures(files.first_of(part, OUTLINES, LAYOUT[0]))
        for pair in files.paired(images, outlines):
            if isinstance(pair, Problem):
                yield Problem(f"{part.name}: {pair.what}")
            else:
                yield Item(pair[0].stem, pair, MPP, FACTOR, split)


def read(item: Item) -> Annotated:
    """All glands."""
    pixels, outline = files.rgb(item.files[0]), _outline(item.files[1])
    files.same_size(pixels, outline, item.name)
    return Annotated(pixels, {GLAND: outline}, frozenset([GLAND]))


def _outline(path: Path) -> MaskArray:
    """Instance numbers; a copy that shows instances in colours still tells gland from background."""
    try:
        return files.codes(path)
    except BadInput:
        return np.asarray(files.channels(path).any(axis=2))


SOURCE = Source(
    name="crag",
    title="CRAG",
    url="https://warwick.ac.uk/fac/cross_fac/tia/data/mildnet/",
    licence=Licence("research with citation, text unknown", False, None, None),
    layout=LAYOUT,
    magnification="20x",
    mpp=MPP,
    factor=FACTOR,
    labels=(GLAND,),
    split="official",
    seen="read",
    items=items,
    read=read,
    paper=Counts(1750, 1750, 1429, 321),
    batch=48,
    notes=("enlarged 2 times: 1,917 windows are possible, of which the paper has 1,750; at 20x there would be 852",),
)
