"""CoCaHis: colon cancer metastasis in the liver, frozen sections (D. Sitnik et al., 2021)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from pathsegmentor.data import files
from pathsegmentor.data.record import Annotated, Counts, Item, Licence, Problem, Source
from pathsegmentor.errors import BadInput

CANCER = "liver-tissue-metastatic colon cancer in a liver"
NAMES = ("CoCaHis.hdf5", "CoCaHis.h5")
IMAGES, MASKS = "HE/raw", "GT/GT_majority_vote"
ATTRIBUTES = ("train_test_split", "patient_num", "image_num")
LAYOUT = (
    "CoCaHis.hdf5 with HE/raw (82 x 1037 x 1388 x 3) and GT/GT_majority_vote (82 x 1037 x 1388)",
    "attributes train_test_split, patient_num and image_num of HE",
)
MPP = 0.45
FACTOR = 1.0


def items(folder: Path) -> Iterator[Item | Problem]:
    """One item per image; split and patient are attributes of the group HE."""
    homes = (folder, folder / "CoCaHis")
    path = next((home / name for home in homes for name in NAMES if (home / name).is_file()), folder / NAMES[0])
    files.need(path, LAYOUT[0])
    with _opened(path) as file:
        images, masks = _array(file, IMAGES, 4, path), _array(file, MASKS, 3, path)
        if images.shape[:3] != masks.shape or images.shape[3] != 3:
            raise BadInput(f"{path}: {IMAGES} has shape {images.shape}, {MASKS} {masks.shape}")
        count = len(images)
        splits, patients, numbers = (_words(file, name, count, path) for name in ATTRIBUTES)
    if not count:
        raise BadInput(f"{path} holds no image")
    for index, (split, patient, number) in enumerate(zip(splits, patients, numbers, strict=True)):
        name = f"{index:02d}_patient_{patient}_image_{number}"
        if split not in ("train", "test"):
            yield Problem(f"{path.name}, image {index}: split '{split}', expected train or test")
        else:
            yield Item(name, (path,), MPP, FACTOR, split, patient, note=str(index))


def read(item: Item) -> Annotated:
    """What most of the seven annotators outlined."""
    path, index = item.files[0], int(item.note)
    with _opened(path) as file:
        pixels = np.asarray(_array(file, IMAGES, 4, path)[index], dtype=np.uint8)
        mask = np.asarray(_array(file, MASKS, 3, path)[index])
    files.same_size(pixels, mask, item.name)
    files.known_codes(mask, (0, 1, 255), item.name)
    return Annotated(pixels, {CANCER: mask > 0}, frozenset([CANCER]))


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    """The HDF5 file; h5py is optional, and says of broken files what only its authors understand."""
    try:
        h5py = import_module("h5py")
    except ImportError as error:
        raise BadInput(f"reading {path.name} needs h5py: pip install 'pathsegmentor[data]'") from error
    try:
        with h5py.File(path, "r") as file:
            yield file
    except OSError as error:
        raise BadInput(f"{path} is no whole HDF5 file: {' '.join(str(error).split())}") from error


def _array(file: Any, key: str, dimensions: int, path: Path) -> Any:
    values = file.get(key)
    if getattr(values, "ndim", 0) != dimensions:
        raise BadInput(f"{path} has no array {key}; expected {LAYOUT[0]}")
    return values


def _words(file: Any, name: str, count: int, path: Path) -> list[str]:
    """An attribute with a value per image; strings may be bytes, and the group GT may have it too."""
    for group in ("HE", "GT"):
        if name in file[group].attrs:
            values = np.asarray(file[group].attrs[name]).ravel().tolist()
            if len(values) != count:
                raise BadInput(f"{path}: attribute {name} has {len(values)} values for {count} images")
            return [value.decode() if isinstance(value, bytes) else str(value) for value in values]
    raise BadInput(f"{path} has no attribute {name}; expected {LAYOUT[1]}")


SOURCE = Source(
    name="cocahis",
    title="CoCaHis",
    url="https://cocahis.irb.hr/",
    licence=Licence("unknown (free download)", False, None, None),
    layout=LAYOUT,
    magnification="40x",
    mpp=MPP,
    factor=FACTOR,
    labels=(CANCER,),
    split="official",
    seen="read",
    items=items,
    read=read,
    paper=Counts(82, 82, 58, 24),
    batch=128,
    notes=(
        "0.45 um per pixel by one list, 40x in the paper; not enlarged, as in the paper",
        "the images as scanned (raw), not the two stain-normalised copies",
    ),
)
