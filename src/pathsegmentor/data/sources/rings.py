"""RINGS: prostate glands and tumour (M. Salvi et al., Artificial Intelligence in Medicine 2021)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.data import files
from pathsegmentor.data.record import Annotated, Counts, Item, Licence, MaskArray, Problem, Source
from pathsegmentor.errors import BadInput

GLAND = "prostate-tissue-prostate healthy glands"
TUMOR = "prostate-tissue-prostate tumor"
IMAGES, GLANDS, TUMORS = "IMAGES", "MANUAL GLANDS", "MANUAL TUMOR"
LAYOUT = (
    "TRAIN/IMAGES/NAME.png and TEST/IMAGES/NAME.png",
    "TRAIN|TEST/MANUAL GLANDS/NAME.png (0 and 255)",
    "TRAIN|TEST/MANUAL TUMOR/NAME.png (0 and 255)",
)
# Measured on nuclei; the files say nothing.
MPP = 0.34
# The paper's counts fit 36 windows per tile, as if the tiles were of 10x.
FACTOR = 4.0


def items(folder: Path) -> Iterator[Item | Problem]:
    """One item per tile that has both masks; tiles of one tissue core stay together."""
    parts = {part: _part(folder, part) for part in ("TRAIN", "TEST")}
    yield from files.at_least_one((item for part, path in parts.items() for item in _items(part, path)), folder, LAYOUT)


def _part(folder: Path, part: str) -> Path:
    names = [f"{top}{name}" for top in ("", "RINGS algorithm dataset/") for name in (part, part.lower())]
    path = files.first_of(folder, names, "; ".join(LAYOUT))
    # Some programs unpack TRAIN.zip into a folder TRAIN of its own.
    path = path / part if (path / part).is_dir() else path
    for name in (IMAGES, GLANDS, TUMORS):
        files.need(path / name, "; ".join(LAYOUT))
    return path


def _items(part: str, folder: Path) -> Iterator[Item | Problem]:
    found = {
        name: {path.stem: path for path in files.visible(folder / name, "*.png")} for name in (IMAGES, GLANDS, TUMORS)
    }
    for name in sorted({name for paths in found.values() for name in paths}):
        lacking = [kind for kind, paths in found.items() if name not in paths]
        if lacking:
            yield Problem(f"{part}/{name}.png: missing in {', '.join(lacking)}")
            continue
        core = "_".join(name.split("_")[:2])
        paths = tuple(found[kind][name] for kind in (IMAGES, GLANDS, TUMORS))
        yield Item(f"{part}/{name}", paths, MPP, FACTOR, part.lower(), core)


def read(item: Item) -> Annotated:
    """Tumour and healthy glands; where both are set it is tumour.

    Beside a tumour not every healthy gland is outlined, so there their absence is not known.
    """
    pixels = files.rgb(item.files[0])
    gland, tumor = (_mask(path) for path in item.files[1:])
    files.same_size(pixels, gland, f"{item.name} ({GLANDS})")
    files.same_size(pixels, tumor, f"{item.name} ({TUMORS})")
    masks: dict[str, MaskArray] = {TUMOR: tumor, GLAND: gland & ~tumor}
    return Annotated(pixels, masks, frozenset([TUMOR] if tumor.any() else masks))


def _mask(path: Path) -> NDArray[np.bool_]:
    values = files.codes(path)
    if values.dtype == bool:
        return values
    highest = int(values.max())
    # Class numbers under the threshold would vanish without a word.
    if 0 < highest < 128 or highest > 255:
        raise BadInput(f"{path}: unknown class code {highest}; known: 0, 255")
    return np.asarray(values >= 128)


SOURCE = Source(
    name="rings",
    title="RINGS",
    url="https://data.mendeley.com/datasets/h8bdwrtnr5/1",
    licence=Licence("CC BY 4.0", False, True, True),
    layout=LAYOUT,
    magnification="100x",
    mpp=MPP,
    factor=FACTOR,
    labels=(GLAND, TUMOR),
    split="official",
    seen="derived",
    items=items,
    read=read,
    paper=Counts(38227, 43739, 29451, 14288),
    batch=12,
    notes=(
        "0.34 um per pixel is an estimate; 100x is eyepiece times objective",
        "enlarged 4 times as the paper's counts say, though 0.34 um per pixel would ask for less",
        "beside a tumour healthy glands may be outlined or not: their absence there is not known",
    ),
)
