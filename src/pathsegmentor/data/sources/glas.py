"""GlaS: colon glands, benign and malignant (K. Sirinukunwattana et al., Medical Image Analysis 2017)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pathsegmentor.data import files
from pathsegmentor.data.record import Annotated, Counts, Item, Licence, MaskArray, Problem, Source

GLAND = "colon-tissue-gland"
GRADES = ("benign", "malignant")
LAYOUT = (
    "NAME.bmp and NAME_anno.bmp (instance numbers), NAME = train_N, testA_N or testB_N",
    "Grade.csv (name, patient ID, grade (GlaS))",
)
MPP = 0.62
FACTOR = 1.0


def items(folder: Path) -> Iterator[Item | Problem]:
    """Images with their outlines; patient and grade come from Grade.csv."""
    rows = files.table(files.need(folder / "Grade.csv", "; ".join(LAYOUT)), ["name"])
    # The header of the original has blanks in front of some names.
    grades = {row["name"].strip(): {(k or "").strip(): (v or "").strip() for k, v in row.items()} for row in rows}
    outlines = {path.stem.removesuffix("_anno"): path for path in files.visible(folder, "*_anno.bmp")}
    images = [path for path in files.visible(folder, "*.bmp") if not path.stem.endswith("_anno")]
    for image in images:
        outline = outlines.pop(image.stem, None)
        row = grades.get(image.stem)
        if outline is None:
            yield Problem(f"{image.name}: image without mask")
        elif row is None:
            yield Problem(f"{image.name}: not in Grade.csv")
        else:
            split = "train" if image.stem.startswith("train") else "test"
            grade = row.get("grade (GlaS)", "")
            yield Item(image.stem, (image, outline), MPP, FACTOR, split, row.get("patient ID", ""), note=grade)
    for outline in outlines.values():
        yield Problem(f"{outline.name}: mask without image")


def read(item: Item) -> Annotated:
    """All glands; the grade belongs to the whole image."""
    pixels, outline = files.rgb(item.files[0]), files.codes(item.files[1])
    files.same_size(pixels, outline, item.name)
    masks: dict[str, MaskArray] = {GLAND: outline}
    for grade in GRADES:
        masks[f"colon-tissue-{grade} gland"] = outline if item.note == grade else np.zeros_like(outline)
    return Annotated(pixels, masks, frozenset(masks if item.note in GRADES else [GLAND]))


SOURCE = Source(
    name="glas",
    title="GlaS",
    url="https://warwick.ac.uk/fac/cross_fac/tia/data/glascontest/",
    licence=Licence("non-commercial research", True, None, False),
    layout=LAYOUT,
    magnification="20x",
    mpp=MPP,
    factor=FACTOR,
    labels=(GLAND,),
    more=("colon-tissue-benign gland", "colon-tissue-malignant gland"),
    split="official",
    seen="derived",
    items=items,
    read=read,
    paper=Counts(165, 165, 85, 80),
    cut=False,
    notes=("not cut: the paper has 165 images, cutting at 40x would give 330",),
)
