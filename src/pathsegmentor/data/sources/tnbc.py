"""TNBC: nuclei of breast cancer, later typed and with brain (P. Naylor et al., IEEE TMI 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.data import files
from pathsegmentor.data.record import Annotated, Counts, Item, Licence, MaskArray, Problem, Source
from pathsegmentor.errors import BadInput

KINDS = (
    "adipocyte",
    "cancerous",
    "endothelial",
    "epithelial",
    "fibroblast",
    "glial",
    "lymphocyte or plasmocyte",
    "mitosis",
    "myo epithelial",
    "necrosis",
    "neuron",
)
LABELS = tuple(f"breast-cell-{kind}" for kind in KINDS)
NUCLEI = ("breast-nuclei-nuclei", "unspecified-nuclei-nuclei")
TYPES = "types.csv"
LAYOUT = (
    "TNBC_NucleiSegmentation/Slide_NN/NN_M.png",
    "TNBC_NucleiSegmentation/GT_NN/NN_M.png (nuclei not 0; or codes of cell types)",
    f"{TYPES} (code,label) beside the slides, for the release with cell types",
)
MPP = 0.25
FACTOR = 1.0


def items(folder: Path) -> Iterator[Item | Problem]:
    """Images with their masks; one slide is one patient."""
    files.need(folder, "; ".join(LAYOUT))
    base = folder / "TNBC_NucleiSegmentation" if (folder / "TNBC_NucleiSegmentation").is_dir() else folder
    types = tuple(path for path in (folder / TYPES, base / TYPES) if path.exists())[:1]
    for path in types:
        _types(path)
    yield from files.at_least_one(_items(base, types), folder, LAYOUT)


def _items(base: Path, types: tuple[Path, ...]) -> Iterator[Item | Problem]:
    images, masks = files.visible(base, "Slide_*/*.png"), files.visible(base, "GT_*/*.png")
    for pair in files.paired(images, masks):
        if isinstance(pair, Problem):
            yield pair
        else:
            name = pair[0].stem
            yield Item(name, (*pair, *types), MPP, FACTOR, patient=name.split("_")[0])


def _types(path: Path) -> dict[int, str]:
    """Label by code; a code with an empty label is known but means none of the labels."""
    found = {}
    for number, row in enumerate(files.table(path, ["code", "label"]), start=2):
        code, label = (row["code"] or "").strip(), (row["label"] or "").strip().lower()
        if not (code.isascii() and code.isdigit() and int(code) > 0):
            raise BadInput(f"{path} line {number}: '{code}' is no code above 0")
        if int(code) in found:
            raise BadInput(f"{path} line {number}: code {code} is given twice")
        if label and label not in LABELS:
            raise BadInput(f"{path} line {number}: '{label}' is not one of {', '.join(LABELS)}")
        found[int(code)] = label
    if not any(found.values()):
        raise BadInput(f"{path} names no label")
    return found


def read(item: Item) -> Annotated:
    """All nuclei without types, or the cells of every type that types.csv names."""
    pixels, mask = files.rgb(item.files[0]), files.codes(item.files[1])
    files.same_size(pixels, mask, item.name)
    masks = _typed(mask, item) if len(item.files) > 2 else _untyped(mask, item)
    return Annotated(pixels, masks, frozenset(masks))


def _typed(mask: NDArray[Any], item: Item) -> dict[str, MaskArray]:
    types = _types(item.files[2])
    files.known_codes(mask, (0, *types), item.name)
    return {
        label: np.isin(mask, [code for code, other in types.items() if other == label])
        for label in sorted(set(types.values()) - {""})
    }


def _untyped(mask: NDArray[Any], item: Item) -> dict[str, MaskArray]:
    codes = sorted(set(np.unique(mask).tolist()) - {0})
    if len(codes) > 1:
        shown = ", ".join(map(str, codes[:12]))
        raise BadInput(
            f"{item.files[1]} holds codes {shown}: write {TYPES} beside the slides that says what each means "
            f"(header 'code,label', then for example '{codes[0]},{LABELS[1]}')"
        )
    return dict.fromkeys(NUCLEI, mask > 0)


SOURCE = Source(
    name="tnbc",
    title="TNBC",
    url="https://zenodo.org/records/1175282",
    licence=Licence("CC BY 4.0", False, True, True),
    layout=LAYOUT,
    magnification="40x",
    mpp=MPP,
    factor=FACTOR,
    labels=LABELS,
    more=NUCLEI,
    split="random",
    seen="read",
    items=items,
    read=read,
    paper=Counts(66, 167, 134, 33),
    notes=(
        "the paper uses the later release with cell types, whose codes must be given in types.csv",
        "the first release has nuclei without types: breast-nuclei-nuclei",
        "brain cells are filed under Breast, as in the paper",
    ),
)
