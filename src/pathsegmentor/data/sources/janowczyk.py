"""Janowczyk: breast nuclei, part of them marked (A. Janowczyk and A. Madabhushi, J Pathol Inform 2016)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pathsegmentor.data import files
from pathsegmentor.data.record import Annotated, Counts, Item, Licence, Problem, Source

NUCLEI = "breast-nuclei-nuclei"
IMAGE, MASK = "_original", "_mask"
LAYOUT = (
    "NAME_original.tif (2000 x 2000) and NAME_mask.png (white = nucleus) of nuclei.tgz",
    "NAME as 12750_500_f00003",
)
MPP = 0.25
FACTOR = 1.0


def items(folder: Path) -> Iterator[Item | Problem]:
    """Images with their masks; a name begins with the patient's number."""
    homes = (folder, folder / "nuclei", folder / "nuclei" / "nuclei")
    home = next((home for home in homes if files.visible(home, f"*{IMAGE}.tif*")), folder)
    yield from files.at_least_one(_items(home), folder, LAYOUT)


def _items(home: Path) -> Iterator[Item | Problem]:
    masks = {path.stem.removesuffix(MASK): path for path in files.visible(home, f"*{MASK}.png")}
    for image in files.visible(home, f"*{IMAGE}.tif", f"*{IMAGE}.tiff"):
        name = image.stem.removesuffix(IMAGE)
        mask = masks.pop(name, None)
        if mask:
            yield Item(name, (image, mask), MPP, FACTOR, patient=name.split("_")[0])
        else:
            yield Problem(f"{image.name}: image without mask")
    for mask in masks.values():
        yield Problem(f"{mask.name}: mask without image")


def read(item: Item) -> Annotated:
    """The marked nuclei; others are not marked, so nothing is known of any pixel beside them."""
    pixels, mask = files.rgb(item.files[0]), files.codes(item.files[1])
    files.same_size(pixels, mask, item.name)
    files.known_codes(mask, (0, 1, 255), item.name)
    return Annotated(pixels, {NUCLEI: mask > 0}, frozenset(), mask == 0)


SOURCE = Source(
    name="janowczyk",
    title="Janowczyk",
    url="https://andrewjanowczyk.com/deep-learning/",
    licence=Licence("unknown", False, None, None),
    layout=LAYOUT,
    magnification="40x",
    mpp=MPP,
    factor=FACTOR,
    labels=(NUCLEI,),
    split="random",
    seen="read",
    items=items,
    read=read,
    paper=Counts(500, 500, 400, 100),
    notes=("only part of the nuclei is marked: nothing is known beside them, so it teaches no absence",),
)
