"""CoNIC 2022: typed colon nuclei (S. Graham et al., 2021; patches of Lizard)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pathsegmentor.data import files
from pathsegmentor.data.record import Annotated, Counts, Item, Licence, MaskArray, Problem, Source
from pathsegmentor.errors import BadInput

KINDS = ("neutrophil", "epithelial", "lymphocyte", "plasma cells", "eosinophil", "connective")
LABELS = tuple(f"colon-nuclei-{kind}" for kind in KINDS)
LAYOUT = (
    "images.npy (n x 256 x 256 x 3)",
    "labels.npy (n x 256 x 256 x 2: instance number, class 1 to 6)",
    "patch_info.csv (column patch_info)",
)
MPP = 0.5
FACTOR = 2.0


def items(folder: Path) -> Iterator[Item | Problem]:
    """One item per patch; patches of one Lizard image stay together."""
    for part in ("images.npy", "labels.npy", "patch_info.csv"):
        files.need(folder / part, "; ".join(LAYOUT))
    images = files.array(folder / "images.npy", (None, 256, 256, 3))
    labels = files.array(folder / "labels.npy", (None, 256, 256, 2))
    names = [row["patch_info"] for row in files.table(folder / "patch_info.csv", ["patch_info"])]
    if not len(images) == len(labels) == len(names):
        raise BadInput(
            f"{folder}: images.npy has {len(images)} patches, labels.npy {len(labels)}, patch_info.csv {len(names)}"
        )
    paths = (folder / "images.npy", folder / "labels.npy")
    for number, name in enumerate(names):
        yield Item(name, paths, MPP, FACTOR, slide=name.rsplit("-", 1)[0], note=str(number))


def read(item: Item) -> Annotated:
    """All six kinds are outlined wherever they occur."""
    number = int(item.note)
    images = files.array(item.files[0], (None, 256, 256, 3))
    labels = files.array(item.files[1], (None, 256, 256, 2))
    pixels = np.asarray(images[number], dtype=np.uint8)
    instances, kinds = np.asarray(labels[number, ..., 0]), np.asarray(labels[number, ..., 1])
    files.known_codes(kinds, range(7), item.name)
    masks: dict[str, MaskArray] = {
        label: np.where(kinds == code, instances, 0) for code, label in enumerate(LABELS, start=1)
    }
    return Annotated(pixels, masks, frozenset(LABELS))


SOURCE = Source(
    name="conic2022",
    title="CoNIC2022",
    url="https://conic-challenge.grand-challenge.org/",
    licence=Licence("CC BY-NC-SA 4.0", False, True, False),
    layout=LAYOUT,
    magnification="20x",
    mpp=MPP,
    factor=FACTOR,
    labels=LABELS,
    split="random",
    seen="read",
    items=items,
    read=read,
    paper=Counts(4841, 19332, 15387, 3945),
    batch=256,
    borrowed=(("consep", "consep_"),),
    notes=(
        "patches named consep_* are left out: they are CoNSeP's tiles at 20x, the paper's external test",
        "patches named crag_*, dpath_*, glas_* and pannuke_* come from those sources too, and no name tells from which "
        "of their images: train and test of both together are not apart",
    ),
)
