"""NuCLS: breast nuclei, corrected single-rater set (M. Amgad et al., GigaScience 2022)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pathsegmentor.data import files
from pathsegmentor.data.record import Annotated, Counts, Item, Licence, MaskArray, Problem, Source

KINDS = (
    "tumor",
    "fibroblast",
    "lymphocyte",
    "plasma cells",
    "macrophage",
    "mitotic figure",
    "vascular endothelium",
    "myoepithelium",
    "apoptotic body",
    "neutrophil",
    "ductal epithelium",
    "eosinophil",
)
LABELS = tuple(f"breast-nuclei-{kind}" for kind in KINDS)
# Outside the field, and nuclei that nobody named; FIELD is annotated and no nucleus.
IGNORE = (0, 99)
FIELD = 253
CODES = (*range(13), 99, FIELD)
LAYOUT = (
    "rgb/NAME.png",
    "mask/NAME.png (class code, and two channels whose product is the instance number)",
    "csv/NAME.csv (not read)",
    "NAME as TCGA-A1-A0SP-DX1_id-5ea4..._left-11841_top-57182_bottom-57525_right-12205",
)
MPP = 0.2
FACTOR = 1.0


def items(folder: Path) -> Iterator[Item | Problem]:
    """One item per field of view; slide and patient come from its name."""
    homes = [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]
    home = next((home for home in homes if (home / "rgb").is_dir()), folder)
    images = files.pictures(files.need(home / "rgb", LAYOUT[0]))
    masks = files.pictures(files.need(home / "mask", LAYOUT[1]))
    yield from files.at_least_one(_items(images, masks), folder, LAYOUT)


def _items(images: list[Path], masks: list[Path]) -> Iterator[Item | Problem]:
    by_name = {_name(path): path for path in masks}
    for image in images:
        name = _name(image)
        mask = by_name.pop(name, None)
        if mask:
            slide = name.split("_")[0]
            patient = "-".join(slide.split("-")[:3])
            yield Item(name, (image, mask), MPP, FACTOR, patient=patient, slide=slide)
        else:
            yield Problem(f"{image.name}: image without mask")
    for mask in by_name.values():
        yield Problem(f"{mask.name}: mask without image")


def _name(path: Path) -> str:
    """A field's name; some releases put words that end in ``#_`` in front."""
    return path.stem.rsplit("#_", 1)[-1]


def read(item: Item) -> Annotated:
    """All twelve kinds are marked in the whole field; two thirds of the nuclei are boxes."""
    pixels, mask = files.rgb(item.files[0]), files.channels(item.files[1])
    files.same_size(pixels, mask, item.name)
    codes = mask[..., 0]
    files.known_codes(codes, CODES, item.name)
    # A nucleus must not vanish because a channel is 0.
    instances = np.maximum(mask[..., 1].astype(np.int32) * mask[..., 2], 1)
    masks: dict[str, MaskArray] = {
        label: np.where(codes == code, instances, 0) for code, label in enumerate(LABELS, start=1)
    }
    ignore = np.isin(codes, IGNORE)
    return Annotated(pixels, masks, frozenset(LABELS), ignore if ignore.any() else None)


SOURCE = Source(
    name="nucls",
    title="NuCLS",
    url="https://sites.google.com/view/nucls",
    licence=Licence("CC0 1.0", True, True, True),
    layout=LAYOUT,
    magnification="40x",
    mpp=MPP,
    factor=FACTOR,
    labels=LABELS,
    split="random",
    seen="read",
    items=items,
    read=read,
    paper=Counts(1612, 4443, 3538, 905),
    batch=256,
    notes=(
        "two thirds of the nuclei have only a box: their mask is the filled box",
        "split at random by patient; folds by hospital exist",
    ),
)
