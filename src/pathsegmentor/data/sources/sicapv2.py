"""SICAPv2: prostate cancer by Gleason pattern (J. Silva-Rodriguez et al., CMPB 2020)."""

from __future__ import annotations

import random
import warnings
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.data import files
from pathsegmentor.data.record import Annotated, Counts, Item, Licence, MaskArray, Problem, Source
from pathsegmentor.errors import BadInput

CANCER = "prostate-tissue-prostate cancer"
PATTERNS = tuple(f"prostate-tissue-gleason pattern {grade}" for grade in (3, 4, 5))
# Copies of the download code the three patterns in one of two ways.
CODINGS = {"345": (3, 4, 5), "123": (1, 2, 3)}
LAYOUT = (
    "SICAPv2/images/NAME.jpg",
    "SICAPv2/masks/NAME.png or NAME.jpg (0, 3, 4, 5 or 0, 1, 2, 3)",
    "SICAPv2/partition/Test/Train.xlsx and Test.xlsx (image_name)",
)
MPP = 1.0
FACTOR = 4.0
# Masks looked at, at most, to tell the coding.
SAMPLE = 2000
# Grey levels by which JPEG may move a code.
JPEG_NOISE = 2


def items(folder: Path) -> Iterator[Item | Problem]:
    """One item per patch with its official part; the note holds the coding of the whole set."""
    base = folder if (folder / "images").is_dir() else folder / "SICAPv2"
    for name in ("images", "masks"):
        files.need(base / name, "; ".join(LAYOUT))
    yield from files.at_least_one(_items(base), folder, LAYOUT)


def _items(base: Path) -> Iterator[Item | Problem]:
    images, masks = files.pictures(base / "images"), files.pictures(base / "masks")
    coding = _coding(masks)
    if not coding:
        yield Problem(f"{base / 'masks'}: only codes 0 and 3 found, so Gleason patterns cannot be told apart")
    parts: dict[str, str] = {}
    for part in ("Train", "Test"):
        table = base / "partition" / "Test" / f"{part}.xlsx"
        if table.exists():
            parts |= dict.fromkeys(_names(table), part.lower())
        else:
            yield Problem(f"partition/Test/{part}.xlsx is missing: official part not known")
    for pair in files.paired(images, masks):
        if isinstance(pair, Problem):
            yield pair
        else:
            name = pair[0].stem
            yield Item(name, pair, MPP, FACTOR, parts.get(name, ""), slide=name.split("_")[0], note=coding)
    absent = len(set(parts) - {path.stem for path in images})
    if absent:
        yield Problem(f"partition/Test names {absent} images that are not here")


def _names(path: Path) -> list[str]:
    """Stems in the column image_name of a workbook."""
    try:
        openpyxl: Any = import_module("openpyxl")
    except ImportError as error:
        raise BadInput(f"{path} needs openpyxl: pip install 'pathsegmentor[data]'") from error
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            book = openpyxl.load_workbook(path, read_only=True, data_only=True)
            rows = list(book.active.iter_rows(values_only=True))
            book.close()
    except Exception as error:  # a broken archive raises classes of zip, XML and of its own
        raise BadInput(f"{path} is no readable workbook: {' '.join(str(error).split())}") from error
    if not rows or "image_name" not in rows[0]:
        raise BadInput(f"{path} has no column image_name")
    column = rows[0].index("image_name")
    return [Path(str(row[column])).stem for row in rows[1:] if row[column]]


def _coding(masks: list[Path]) -> str:
    """Which codes the set uses, by the first mask that tells; "" if none does."""
    for path in random.Random(0).sample(masks, min(len(masks), SAMPLE)):
        try:
            mask = files.codes(path)
        except BadInput:
            continue  # reading the item will say so
        marked = mask[mask > 0]
        if not len(marked):
            continue
        # JPEG blurs outlines: there a few pixels prove nothing.
        high, low = (0.0, 0.0) if _exact(path) else (0.25, 0.5)
        if (marked > 3).mean() > high:
            return "345"
        if (marked < 3).mean() > low:
            return "123"
    return ""


def _exact(path: Path) -> bool:
    return path.suffix.lower() not in (".jpg", ".jpeg")


def read(item: Item) -> Annotated:
    """All cancer of the patch; single patterns where the coding is known."""
    coding = item.note
    pixels, mask = files.rgb(item.files[0]), files.codes(item.files[1])
    files.same_size(pixels, mask, item.name)
    if not _exact(item.files[1]):
        mask = _nearest(mask, (0, *CODINGS.get(coding, (3,))), item.name)
    files.known_codes(mask, (0, *CODINGS[coding]) if coding else range(6), item.name)
    masks: dict[str, MaskArray] = {CANCER: mask > 0}
    for code, label in zip(CODINGS.get(coding, ()), PATTERNS, strict=False):
        masks[label] = np.asarray(mask == code)
    return Annotated(pixels, masks, frozenset(masks))


def _nearest(mask: NDArray[Any], codes: tuple[int, ...], name: str) -> NDArray[np.int64]:
    if int(mask.max()) > max(codes) + JPEG_NOISE:
        raise BadInput(f"{name}: unknown class code {mask.max()}; known: {', '.join(map(str, codes))}")
    away = np.abs(mask.astype(np.int64)[..., None] - np.array(codes))
    return np.array(codes)[away.argmin(axis=-1)]


SOURCE = Source(
    name="sicapv2",
    title="SICAPv2",
    url="https://data.mendeley.com/datasets/9xxm58dvs3/1",
    licence=Licence("CC BY 4.0", False, True, True),
    layout=LAYOUT,
    magnification="20x",
    mpp=MPP,
    factor=FACTOR,
    labels=(CANCER,),
    more=PATTERNS,
    split="random",
    seen="read",
    items=items,
    read=read,
    paper=Counts(23924, 23924, 19140, 4784),
    batch=100,
    notes=(
        "split at random by slide, for the paper splits at random; official is the download's partition/Test",
        "table 1 says 20x; its counts and the source's descriptions say 10x",
    ),
)
