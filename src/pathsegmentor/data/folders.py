"""Readers for the annotated folders that ``nano`` learns from.

Each reader yields the images of one split in a stable order. The layout it expects is the
folder's own README; anything missing raises ``BadInput`` with the path.
"""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.io import loadmat

from pathsegmentor.data.sample import NUCLEI, Mask, Pixels, Sample
from pathsegmentor.errors import BadInput

Reader = Callable[[Path, str], Iterator[Sample]]
READERS: dict[str, Reader] = {}

ANY_NUCLEI = f"unspecified-nuclei-{NUCLEI}"


def reader(name: str) -> Callable[[Reader], Reader]:
    """Register a reader under the name used in training configs."""

    def add(function: Reader) -> Reader:
        READERS[name] = function
        return function

    return add


def read_rgb(path: Path) -> Pixels:
    """(H, W, 3) uint8."""
    with Image.open(_existing(path)) as image:
        return np.asarray(image.convert("RGB"))


def read_codes(path: Path) -> Pixels:
    """Palette or grey values as stored, (H, W)."""
    with Image.open(_existing(path)) as image:
        return np.asarray(image)


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise BadInput(f"{path} is missing; the folder does not have the layout its README describes")
    return path


def _rows(path: Path) -> list[dict[str, str]]:
    with _existing(path).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _nuclei(region: str, mask: Mask) -> dict[str, Mask]:
    masks = {ANY_NUCLEI: mask}
    if region != "unspecified":
        masks[f"{region}-nuclei-{NUCLEI}"] = mask
    return masks


def _sample(
    source: str, name: str, group: str, region: str, mpp: float, pixels: Pixels, masks: dict[str, Mask]
) -> Sample:
    """A sample whose labels are all outlined wherever they occur."""
    return Sample(source, name, group, region, mpp, pixels, masks, frozenset(masks))


@reader("glas")
def glas(folder: Path, split: str) -> Iterator[Sample]:
    """Colon glands, 0.62 um per pixel; the grade belongs to the whole image."""
    for row in _rows(folder / "images.csv"):
        if row["split"] != split:
            continue
        base = folder / split
        gland = read_codes(base / "masks" / f"{row['image']}.png").astype(bool)
        none = np.zeros_like(gland)
        masks = {
            "colon-tissue-gland": gland,
            "colon-tissue-benign gland": gland if row["grade"] == "benign" else none,
            "colon-tissue-malignant gland": gland if row["grade"] == "malignant" else none,
        }
        pixels = read_rgb(base / "images" / f"{row['image']}.jpg")
        yield _sample("glas", row["image"], row["patient"], "colon", 0.62, pixels, masks)


_EBHI_KINDS = {
    "Normal": "colon-tissue-normal gland",
    "Polyp": "colon-tissue-polyp gland",
    "Low-grade IN": "colon-tissue-low-grade neoplasia gland",
    "High-grade IN": "colon-tissue-high-grade neoplasia gland",
    "Serrated adenoma": "colon-tissue-serrated adenoma gland",
    "Adenocarcinoma": "colon-tissue-malignant gland",
}
_EBHI_BENIGN = {"Normal", "Polyp", "Low-grade IN", "Serrated adenoma"}


@reader("ebhi")
def ebhi(folder: Path, split: str) -> Iterator[Sample]:
    """Colon glands in six classes; the scale is unknown, taken as 1 um per pixel by eye."""
    for row in _rows(folder / "images.csv"):
        if row["split"] != split:
            continue
        base = folder / split
        gland = read_codes(base / "masks" / f"{row['image']}.png").astype(bool)
        none = np.zeros_like(gland)
        masks = {label: gland if row["class"] == kind else none for kind, label in _EBHI_KINDS.items()}
        masks["colon-tissue-gland"] = gland
        if row["class"] != "High-grade IN":  # neither side of GlaS's benign / malignant
            masks["colon-tissue-benign gland"] = gland if row["class"] in _EBHI_BENIGN else none
        pixels = read_rgb(base / "images" / f"{row['image']}.jpg")
        yield _sample("ebhi", row["image"], row["case"], "colon", 1.0, pixels, masks)


@reader("monuseg")
def monuseg(folder: Path, split: str) -> Iterator[Sample]:
    """All nuclei in nine organs, one image per patient, 0.25 um per pixel."""
    for row in _rows(folder / "images.csv"):
        if row["split"] != split:
            continue
        mask = read_codes(folder / split / "masks" / f"{row['image']}.png").astype(bool)
        pixels = read_rgb(folder / split / "images" / f"{row['image']}.jpg")
        region = row["organ"].lower()
        yield _sample("monuseg", row["image"], row["image"], region, 0.25, pixels, _nuclei(region, mask))


@reader("tnbc")
def tnbc(folder: Path, split: str) -> Iterator[Sample]:
    """All nuclei of triple-negative breast cancer, 0.25 um per pixel."""
    for row in _rows(folder / "images.csv"):
        if row["split"] != split:
            continue
        mask = read_codes(folder / split / "masks" / f"{row['image']}.png").astype(bool)
        pixels = read_rgb(folder / split / "images" / f"{row['image']}.jpg")
        yield _sample("tnbc", row["image"], row["patient"], "breast", 0.25, pixels, _nuclei("breast", mask))


_CONSEP_KINDS = {
    "colon-nuclei-inflammatory": 2,
    "colon-nuclei-epithelial": 3,
    "colon-nuclei-spindle-shaped": 4,
}


@reader("consep")
def consep(folder: Path, split: str) -> Iterator[Sample]:
    """Typed colon nuclei (types merged to four), 0.25 um per pixel."""
    base = folder / split.capitalize()
    for path in sorted([*(base / "Images").glob("*.jpg"), *(base / "Images").glob("*.png")]):
        types = loadmat(_existing(base / "Labels" / f"{path.stem}.mat"))["type_map"]
        masks = {label: types == code for label, code in _CONSEP_KINDS.items()}
        masks |= _nuclei("colon", types > 0)
        yield _sample("consep", path.stem, path.stem, "colon", 0.25, read_rgb(path), masks)


_MONUSAC_KINDS = {"epithelial": 1, "lymphocyte": 2, "macrophage": 3, "neutrophil": 4}


@reader("monusac")
def monusac(folder: Path, split: str) -> Iterator[Sample]:
    """Four typed cell kinds in four organs, 0.25 um per pixel."""
    for row in _rows(folder / "images.csv"):
        if row["split"] != split:
            continue
        base = folder / split
        codes = read_codes(base / "masks" / f"{row['name']}.png")
        masks = {f"unspecified-cell-{kind}": codes == code for kind, code in _MONUSAC_KINDS.items()}
        pixels = read_rgb(base / "images" / f"{row['name']}.jpg")
        yield _sample("monusac", row["name"], row["patient"], "unspecified", 0.25, pixels, masks)


_LUNG_KINDS = ("tumor epithelial tissue", "tumor associated stroma tissue", "normal tissue")


@reader("wsss4luad")
def wsss4luad(folder: Path, split: str) -> Iterator[Sample]:
    """Lung tissue, about 1 um per pixel; mask code 3 is background, code 0 is tumour."""
    base = folder / {"train": "2.validation", "test": "3.testing"}[split]
    for path in sorted((base / "img").glob("*.png")):
        codes = read_codes(base / "mask" / path.name)
        masks = {f"lung-tissue-{kind}": codes == code for code, kind in enumerate(_LUNG_KINDS)}
        yield _sample("wsss4luad", path.stem, path.stem, "lung", 1.0, read_rgb(path), masks)


@reader("rings")
def rings(folder: Path, split: str) -> Iterator[Sample]:
    """Prostate glands, about 1 um per pixel; healthy glands are outlined only where there is no tumour."""
    for row in _rows(folder / "images.csv"):
        if row["split"] != split:
            continue
        codes = read_codes(folder / split / "masks" / f"{row['name']}.png")
        masks = {"prostate-tissue-prostate tumor": codes == 2}
        if not (codes == 2).any():
            masks["prostate-tissue-prostate healthy glands"] = codes == 1
        pixels = read_rgb(folder / split / "images" / f"{row['name']}.jpg")
        yield _sample("rings", row["name"], row["core"], "prostate", 1.0, pixels, masks)


def read_folder(source: str, folder: Path, split: str) -> list[Sample]:
    """All samples of a split (``train`` or ``test``); unknown sources and empty folders raise ``BadInput``."""
    if source not in READERS:
        raise BadInput(f"no reader named '{source}'; known: {', '.join(sorted(READERS))}")
    samples = list(READERS[source](folder, split))
    if not samples:
        raise BadInput(f"{folder}: no {split} images of '{source}' found")
    return samples


def hold_out(samples: list[Sample], fraction: float, seed: int) -> tuple[list[Sample], list[Sample]]:
    """Split by group (patient or slide) into (kept, held out) of about ``fraction``; seeded."""
    groups = sorted({s.group for s in samples})
    np.random.default_rng(seed).shuffle(groups)
    held: set[str] = set()
    for group in groups:
        if sum(s.group in held for s in samples) >= fraction * len(samples):
            break
        held.add(group)
    return [s for s in samples if s.group not in held], [s for s in samples if s.group in held]
