"""DigestPath 2019, tissue part: colon lesions (Q. Da et al., Medical Image Analysis 2022)."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pathsegmentor.data import files
from pathsegmentor.data.record import Annotated, Counts, Item, Licence, Problem, Source

LESION = "colon-tissue-malignant lesion"
WITH, WITHOUT = "tissue-train-pos-v1", "tissue-train-neg"
LAYOUT = (
    f"{WITH}/NAME.jpg and {WITH}/NAME_mask.jpg (white = lesion)",
    f"{WITHOUT}/NAME.jpg (no lesion, no mask)",
    "NAME as 18-02791B_2019-05-07 22_25_06-lv1-14165-17366-6446-4855",
)
MPP = 0.25
FACTOR = 1.0
# The masks are JPEG: grey values ring around 0 and 255.
THRESHOLD = 128

# Names begin with a case in the style of one of four hospitals, or with the time of the scan.
_SCAN = re.compile(r"(?:(?P<case>.*?)_)?\d{4}-\d\d-\d\d \d\d_\d\d_\d\d(?=-lv)")
_CASE = re.compile(r"\d{4}[-_]\d{5}|\d\d[-_]\d{5}|D\d{9}|\d{7}")


def items(folder: Path) -> Iterator[Item | Problem]:
    """Images with lesion, then those without."""
    yield from files.at_least_one(_items(folder), folder, LAYOUT)


def _items(folder: Path) -> Iterator[Item | Problem]:
    lesions = _part(folder, WITH)
    files.need(lesions, LAYOUT[0])
    found = files.visible(lesions, "*.jpg")
    masks = {path.stem.removesuffix("_mask"): path for path in found if path.stem.endswith("_mask")}
    for image in (path for path in found if not path.stem.endswith("_mask")):
        mask = masks.pop(image.stem, None)
        yield _item(image, mask) if mask else Problem(f"{WITH}/{image.name}: image without mask")
    for mask in masks.values():
        yield Problem(f"{WITH}/{mask.name}: mask without image")
    healthy = _part(folder, WITHOUT)
    if not healthy.is_dir():
        yield Problem(f"{healthy} is missing: no images without lesion; expected {LAYOUT[1]}")
    for image in files.visible(healthy, "*.jpg"):
        # Some loaders write empty masks beside them.
        if not image.stem.endswith("_mask"):
            yield _item(image, None)


def _part(folder: Path, name: str) -> Path:
    """A part, found also below the archive's own folder, and doubled as some tools unpack it."""
    homes = [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]
    part = next((home / name for home in homes if (home / name).is_dir()), folder / name)
    return part / name if (part / name).is_dir() else part


def _item(image: Path, mask: Path | None) -> Item:
    scan = _SCAN.match(image.stem)
    case = (scan and scan["case"]) or ""
    # What follows the case's number counts its blocks and slides.
    number = _CASE.match(case)
    patient, slide = number[0] if number else case, scan[0] if scan else ""
    return Item(image.stem, (image, mask) if mask else (image,), MPP, FACTOR, patient=patient, slide=slide)


def read(item: Item) -> Annotated:
    """The lesions; an image without a mask has none."""
    pixels = files.rgb(item.files[0])
    mask = np.zeros(pixels.shape[:2], bool)
    if len(item.files) > 1:
        # As colours, for a JPEG stored in colour is hardly ever grey to the last bit.
        mask = files.rgb(item.files[1])[..., 1] >= THRESHOLD
        files.same_size(pixels, mask, item.name)
    return Annotated(pixels, {LESION: mask}, frozenset([LESION]))


SOURCE = Source(
    name="digestpath2019",
    title="DigestPath2019",
    url="https://digestpath2019.grand-challenge.org/",
    licence=Licence("CC BY-NC 4.0", False, True, False),
    layout=LAYOUT,
    magnification="40x",
    mpp=MPP,
    factor=FACTOR,
    labels=(LESION,),
    split="random",
    seen="read",
    items=items,
    read=read,
    paper=Counts(13391, 13391, 10725, 2666),
    batch=4,
    notes=(
        "lv1 in the names hints at the second level of the pyramid, so 40x is doubtful; not enlarged",
        "many names have no case, only the time of the scan: such images are grouped by scan",
    ),
)
