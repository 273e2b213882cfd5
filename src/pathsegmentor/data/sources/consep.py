"""CoNSeP: typed colon nuclei, external test only (S. Graham et al., Medical Image Analysis 2019)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.io import loadmat

from pathsegmentor.data import files
from pathsegmentor.data.record import Annotated, Counts, Item, Licence, MaskArray, Problem, Source
from pathsegmentor.errors import BadInput

# Labels by code, as published and in copies that merge types; code 1 is "other" in both.
ORIGINAL: dict[str, tuple[int, ...]] = {
    "colon-cell-inflammatory": (2,),
    "colon-cell-healthy epithelial": (3,),
    "colon-cell-malignant epithelial": (4,),
    "colon-cell-fibroblast": (5,),
    "colon-cell-muscle": (6,),
    "colon-cell-endothelial": (7,),
    "colon-nuclei-inflammatory": (2,),
    "colon-nuclei-epithelial": (3, 4),
    "colon-nuclei-spindle-shaped": (5, 6, 7),
}
MERGED: dict[str, tuple[int, ...]] = {
    "colon-cell-inflammatory": (2,),
    "colon-nuclei-inflammatory": (2,),
    "colon-nuclei-epithelial": (3,),
    "colon-nuclei-spindle-shaped": (4,),
}
CODINGS = {"original": (ORIGINAL, 7), "merged": (MERGED, 4)}
NUCLEI = ("colon-nuclei-nuclei", "unspecified-nuclei-nuclei")
LAYOUT = (
    "Train/Images/train_N.png and Test/Images/test_N.png",
    "Train/Labels/train_N.mat and Test/Labels/test_N.mat (inst_map and type_map, or one H x W x 2 array)",
)
# Beside copies with merged types some have the seven published ones as PNG of the same pixels.
SEVEN = "Types7"
MPP = 0.25
FACTOR = 1.0


def items(folder: Path) -> Iterator[Item | Problem]:
    """Tiles of both parts; the note says whether the types are the seven published or four merged."""
    base = folder / "CoNSeP" if (folder / "CoNSeP").is_dir() else folder
    for part in ("Train", "Test"):
        for name in ("Images", "Labels"):
            files.need(base / part / name, "; ".join(LAYOUT))
    yield from files.at_least_one(_items(base), folder, LAYOUT)


def _items(base: Path) -> Iterator[Item | Problem]:
    coding = _coding(files.visible(base, "Train/Labels/*.mat", "Test/Labels/*.mat"))
    for part in ("Train", "Test"):
        # Lossless ones last, so that they win over a JPEG of the same name.
        images = sorted(files.pictures(base / part / "Images"), key=lambda path: path.suffix.lower() == ".png")
        unique = sorted({path.stem: path for path in images}.values())
        for pair in files.paired(unique, files.visible(base / part / "Labels", "*.mat")):
            if isinstance(pair, Problem):
                yield Problem(f"{part}: {pair.what}")
                continue
            seven = base / part / SEVEN / f"{pair[0].stem}.png"
            found = (*pair, seven) if seven.is_file() else pair
            yield Item(pair[0].stem, found, MPP, FACTOR, part.lower(), note="original" if found != pair else coding)


def _coding(paths: list[Path]) -> str:
    """Merged copies stop at code 4; among all tiles as published some muscle or vessel goes beyond."""
    for path in paths:
        try:
            highest = _maps(path)[1].max()
        except BadInput:
            continue  # reading the item will say so
        if highest > 4:
            return "original"
    return "merged"


def _maps(path: Path) -> tuple[NDArray[np.int32], NDArray[np.int32]]:
    """Instance numbers and types of one .mat file."""
    try:
        content = loadmat(files.need(path, "a MATLAB file"))
    except BadInput:
        raise
    except Exception as error:  # a broken file raises whatever its bytes happen to mean
        raise BadInput(f"{path} is no readable .mat file: {' '.join(str(error).split())}") from error
    if "inst_map" in content and "type_map" in content:
        return _whole(content["inst_map"], path), _whole(content["type_map"], path)
    both = [value for value in content.values() if isinstance(value, np.ndarray) and value.shape[2:] == (2,)]
    if len(both) != 1:
        names = ", ".join(name for name in content if not name.startswith("__"))
        raise BadInput(f"{path} holds {names or 'nothing'}; expected inst_map and type_map, or one H x W x 2 array")
    return _whole(both[0][..., 0], path), _whole(both[0][..., 1], path)


def _whole(values: NDArray[Any], path: Path) -> NDArray[np.int32]:
    """The first release stores doubles."""
    number = values.dtype.kind in "biuf" and values.ndim == 2 and values.size > 0
    if not number or not (values.min() >= 0 and np.array_equal(values, np.rint(values))):
        raise BadInput(f"{path} holds something other than instance and class numbers")
    return values.astype(np.int32)


def read(item: Item) -> Annotated:
    """Nuclei of every kind, as instances, outlined wherever they occur."""
    pixels = files.rgb(item.files[0])
    instances, kinds = _maps(item.files[1])
    if len(item.files) > 2:
        kinds = _whole(files.codes(item.files[2]), item.files[2])
    labels, highest = CODINGS[item.note]
    for mask, name in ((instances, "inst_map"), (kinds, "type_map")):
        files.same_size(pixels, mask, f"{item.name} ({name})")
    files.known_codes(kinds, range(highest + 1), item.name)
    masks: dict[str, MaskArray] = {
        label: np.where(np.isin(kinds, codes), instances, 0) for label, codes in labels.items()
    }
    masks |= dict.fromkeys(NUCLEI, instances)
    return Annotated(pixels, masks, frozenset(masks))


SOURCE = Source(
    name="consep",
    title="CoNSeP",
    url="https://warwick.ac.uk/fac/cross_fac/tia/data/hovernet/",
    licence=Licence("research with citation", False, None, None),
    layout=LAYOUT,
    magnification="40x",
    mpp=MPP,
    factor=FACTOR,
    labels=tuple(label for label in ORIGINAL if "-cell-" in label),
    more=(*(label for label in ORIGINAL if "-nuclei-" in label), *NUCLEI),
    split="external",
    seen="derived",
    items=items,
    read=read,
    paper=Counts(40, 121, 0, 121),
    notes=(
        "copies with four merged types have only colon-cell-inflammatory of the paper's labels",
        "CoNIC 2022 holds the same tiles at 20x",
    ),
)
