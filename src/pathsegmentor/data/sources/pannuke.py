"""PanNuke: typed nuclei of 19 tissues (J. Gamper et al., ECDP 2019 and arXiv 2003.10778)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.data import files
from pathsegmentor.data.record import Annotated, Counts, Item, Licence, MaskArray, Pixels, Problem, Source
from pathsegmentor.errors import BadInput

# In the order of the mask channels; the sixth channel is background.
KINDS = ("neoplastic", "inflammatory", "connective", "dead", "epithelial")
REGIONS = {
    "Adrenal_gland": "adrenal",
    "Bile-duct": "bile duct",
    "Bladder": "bladder",
    "Breast": "breast",
    "Cervix": "cervix",
    "Colon": "colon",
    "Esophagus": "esophagus",
    "HeadNeck": "head neck",
    "Kidney": "kidney",
    "Liver": "liver",
    "Lung": "lung",
    "Ovarian": "ovarian",
    "Pancreatic": "pancreatic",
    "Prostate": "prostate",
    "Skin": "skin",
    "Stomach": "stomach",
    "Testis": "testis",
    "Thyroid": "thyroid",
    "Uterus": "uterus",
}
# Pairs without a single mask in the paper.
NOT_IN_PAPER = (
    *(f"{name}-nuclei-dead" for name in ("bladder", "kidney", "ovarian", "pancreatic", "prostate", "skin", "testis")),
    *(f"{name}-nuclei-epithelial" for name in ("lung", "stomach")),
)
LABELS = tuple(
    label
    for region in REGIONS.values()
    for label in (f"{region}-nuclei-{kind}" for kind in KINDS)
    if label not in NOT_IN_PAPER
)
PARTS = ("images.npy", "masks.npy", "types.npy")
LAYOUT = (
    "Fold N/images/foldN/images.npy (n x 256 x 256 x 3)",
    "Fold N/images/foldN/types.npy (n names of tissues)",
    "Fold N/masks/foldN/masks.npy (n x 256 x 256 x 6)",
    "or the three files anywhere below a folder named foldN",
)
MPP = 0.25
FACTOR = 1.0


def items(folder: Path) -> Iterator[Item | Problem]:
    """One item per patch of every whole fold; which patches share a slide is not told."""
    files.need(folder, "; ".join(LAYOUT))
    yield from files.at_least_one(_items(folder), folder, LAYOUT)


def _items(folder: Path) -> Iterator[Item | Problem]:
    folds: dict[int, dict[str, Path]] = {}
    for path in files.visible(folder, *(f"**/{part}" for part in PARTS)):
        number = _fold(folder, path)
        if number is None:
            yield Problem(f"{path.relative_to(folder)}: no folder above it is named fold1, fold2, ...")
        elif path.name in folds.setdefault(number, {}):
            yield Problem(f"{path.relative_to(folder)}: second copy in fold {number}, left out")
        else:
            folds[number][path.name] = path
    for number, paths in sorted(folds.items()):
        lacking = [part for part in PARTS if part not in paths]
        if lacking:
            yield Problem(f"fold {number}: {', '.join(lacking)} missing; expected {'; '.join(LAYOUT)}")
            continue
        try:
            tissues = _tissues(paths)
        except BadInput as error:
            yield Problem(f"fold {number}: {error}")
            continue
        yield from _patches(number, (paths["images.npy"], paths["masks.npy"]), tissues)


def _fold(folder: Path, path: Path) -> int | None:
    """Number of the innermost folder called fold; the folder given may be the fold itself."""
    parts = (folder.resolve().name, *path.relative_to(folder).parts[:-1])
    found = [match for part in parts if (match := re.search(r"fold[ _-]*(\d+)", part, re.IGNORECASE))]
    return int(found[-1][1]) if found else None


def _tissues(paths: dict[str, Path]) -> list[str]:
    """Tissue of every patch, if the three files are whole and belong together."""
    images = files.array(paths["images.npy"], (None, 256, 256, 3))
    masks = files.array(paths["masks.npy"], (None, 256, 256, 6))
    tissues = files.array(paths["types.npy"], (None,))
    if not len(images) == len(masks) == len(tissues):
        raise BadInput(
            f"images.npy has {len(images)} patches, masks.npy {len(masks)}, types.npy {len(tissues)}: "
            "they are not of one fold"
        )
    return [str(name) for name in tissues]


def _patches(fold: int, paths: tuple[Path, ...], tissues: list[str]) -> Iterator[Item | Problem]:
    for name in sorted(set(tissues) - set(REGIONS)):
        yield Problem(f"fold {fold}: {tissues.count(name)} patches of unknown tissue '{name}'")
    for number, tissue in enumerate(tissues):
        if tissue in REGIONS:
            yield Item(f"fold{fold}/{number:04d}", paths, MPP, FACTOR, note=f"{number} {REGIONS[tissue]}")


def read(item: Item) -> Annotated:
    """The five kinds of the patch's region, all outlined wherever they occur."""
    number, region = item.note.split(" ", 1)
    images = files.array(item.files[0], (None, 256, 256, 3))
    masks = files.array(item.files[1], (None, 256, 256, 6))
    pixels = _pixels(np.asarray(images[int(number)]), item.name)
    numbers = _instances(np.asarray(masks[int(number), ..., : len(KINDS)]), item.name)
    found: dict[str, MaskArray] = {}
    taken = np.zeros(pixels.shape[:2], bool)
    # Some pixels are set in two channels; the later channel has them.
    for channel, kind in reversed(list(enumerate(KINDS))):
        found[f"{region}-nuclei-{kind}"] = np.where(taken, 0, numbers[..., channel])
        taken |= numbers[..., channel] > 0
    return Annotated(pixels, found, frozenset(found))


def _pixels(values: NDArray[Any], name: str) -> Pixels:
    # Not the other way round: NaN fails both comparisons.
    if not (values.min() >= 0 and values.max() <= 255):
        raise BadInput(f"{name}: images.npy holds values outside 0 to 255")
    return np.rint(values).astype(np.uint8)


def _instances(values: NDArray[Any], name: str) -> NDArray[np.int32]:
    if not (values.min() >= 0 and np.array_equal(values, np.rint(values))):
        raise BadInput(f"{name}: masks.npy holds values that are no instance numbers")
    return values.astype(np.int32)


SOURCE = Source(
    name="pannuke",
    title="PanNuke",
    url="https://warwick.ac.uk/fac/cross_fac/tia/data/pannuke",
    licence=Licence("CC BY-NC-SA 4.0", False, True, False),
    layout=LAYOUT,
    magnification="40x",
    mpp=MPP,
    factor=FACTOR,
    labels=LABELS,
    more=NOT_IN_PAPER,
    split="random",
    seen="read",
    items=items,
    read=read,
    paper=Counts(7558, 16223, 13017, 3206),
    batch=256,
    notes=(
        "a pixel set in two channels belongs to the later one",
        "slides are not told, so patches of one slide may be in train and test",
        "part was enlarged from 20x by its authors",
    ),
)
