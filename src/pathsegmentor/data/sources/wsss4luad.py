"""WSSS4LUAD: tissue of lung adenocarcinoma at 10x (C. Han et al., arXiv 2204.06455)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pathsegmentor.data import files
from pathsegmentor.data.record import Annotated, Counts, Item, Licence, MaskArray, Problem, Source

# In the order of the codes; code 3 is background.
LABELS = (
    "lung-tissue-tumor epithelial tissue",
    "lung-tissue-tumor associated stroma tissue",
    "lung-tissue-normal tissue",
)
PARTS = ("2.validation", "3.testing")
FOLDERS = ("img", "mask", "background-mask")
LAYOUT = (
    "2.validation/{img,mask,background-mask}/NN.png",
    "3.testing/{img,mask,background-mask}/NN.png",
    "mask: palette index 0 tumour, 1 stroma, 2 normal, 3 background; background-mask: 1 white",
)
BACKGROUND = 3
MPP = 1.0
FACTOR = 4.0


def items(folder: Path) -> Iterator[Item | Problem]:
    """The crops with masks: validation and test; training has labels of whole images only."""
    places = {part: _place(folder, part) for part in PARTS}
    yield from files.at_least_one(
        (item for part, place in places.items() for item in _items(part, place)), folder, LAYOUT
    )


def _place(folder: Path, part: str) -> Path:
    place = files.need(folder / part, "; ".join(LAYOUT))
    # The archives unpack into a folder of their own name.
    place = place / part if (place / part).is_dir() else place
    for name in FOLDERS:
        files.need(place / name, "; ".join(LAYOUT))
    return place


def _items(part: str, place: Path) -> Iterator[Item | Problem]:
    found = {name: {path.stem: path for path in files.visible(place / name, "*.png")} for name in FOLDERS}
    for name in sorted({name for paths in found.values() for name in paths}):
        lacking = [kind for kind, paths in found.items() if name not in paths]
        if lacking:
            yield Problem(f"{part}/{name}.png: missing in {', '.join(lacking)}")
        else:
            yield Item(f"{part}/{name}", tuple(found[kind][name] for kind in FOLDERS), MPP, FACTOR)


def read(item: Item) -> Annotated:
    """Three tissues, painted wherever they occur; white gaps are none of them."""
    pixels = files.rgb(item.files[0])
    tissue, white = (files.codes(path) for path in item.files[1:])
    for mask, name, known in ((tissue, "mask", range(4)), (white, "background-mask", range(2))):
        files.same_size(pixels, mask, f"{item.name} ({name})")
        files.known_codes(mask, known, f"{item.name} ({name})")
    masks: dict[str, MaskArray] = {label: np.asarray(tissue == code) for code, label in enumerate(LABELS)}
    # White that is painted as background is none of the tissues; only where the two masks disagree is it unknown.
    ignore = (white > 0) != (tissue == BACKGROUND)
    return Annotated(pixels, masks, frozenset(LABELS), ignore if ignore.any() else None)


SOURCE = Source(
    name="wsss4luad",
    title="WSSS4LUAD",
    url="https://wsss4luad.grand-challenge.org/",
    licence=Licence("by registration, text unknown", False, None, None),
    layout=LAYOUT,
    magnification="10x",
    mpp=MPP,
    factor=FACTOR,
    labels=LABELS,
    split="random",
    seen="bytes",
    items=items,
    read=read,
    paper=Counts(2863, 5735, 4590, 1145),
    batch=16,
    notes=(
        "the paper splits validation and test together at random, here by crop",
        "the challenge leaves white background out of its scores; here it counts as background",
    ),
)
