"""SegPath: eight kinds of cells, outlined by re-staining (D. Komura et al., Patterns 2023)."""

from __future__ import annotations

import csv
import gzip
import io
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pathsegmentor.data import files
from pathsegmentor.data.record import Annotated, Counts, Item, Licence, Problem, Source
from pathsegmentor.errors import BadInput

# By antigen and by cell type, as file and archive names have them.
KINDS = {
    "panck": "unspecified-tissue-epithelial",
    "epithelium": "unspecified-tissue-epithelial",
    "asma": "unspecified-tissue-smooth muscle cells",
    "smoothmuscle": "unspecified-tissue-smooth muscle cells",
    "cd235a": "unspecified-cell-red blood cells",
    "rbc": "unspecified-cell-red blood cells",
    "cd45rb": "unspecified-cell-leukocytes",
    "leukocyte": "unspecified-cell-leukocytes",
    "cd3cd20": "unspecified-cell-lymphocyte",
    "lymphocyte": "unspecified-cell-lymphocyte",
    "erg": "unspecified-cell-endothelial",
    "endothelium": "unspecified-cell-endothelial",
    "mist1": "unspecified-cell-plasma cells",
    "plasmacell": "unspecified-cell-plasma cells",
    "mnda": "unspecified-cell-myeloid cells",
    "myeloidcell": "unspecified-cell-myeloid cells",
}
LABELS = tuple(dict.fromkeys(KINDS.values()))
SPLITS = {"train": "train", "val": "train", "test": "test"}
HE, MASK, INFO = "_HE.png", "_mask.png", "_fileinfo.csv"
LAYOUT = (
    "ANTIGEN_CELLTYPE_SLIDE_X_Y_HE.png and ANTIGEN_CELLTYPE_SLIDE_X_Y_mask.png (0 and 1), in one folder or several",
    "ANTIGEN_fileinfo.csv (filename, train_val_test)",
)
MPP = 0.2208
FACTOR = 1.0


def items(folder: Path) -> Iterator[Item | Problem]:
    """Pairs that a fileinfo.csv puts into a split."""
    files.need(folder, "; ".join(LAYOUT))
    tables = files.visible(folder, f"**/*{INFO}")
    if not tables:
        raise BadInput(f"{folder} holds no *{INFO}; expected {'; '.join(LAYOUT)}")
    splits: dict[str, str] = {}
    for path in tables:
        splits.update(_splits(path))
    yield from files.at_least_one(_items(folder, splits), folder, LAYOUT)


def _splits(path: Path) -> Iterator[tuple[str, str]]:
    for row in _rows(path):
        name, split = Path(row["filename"] or "").name, (row["train_val_test"] or "").strip().lower()
        if split not in SPLITS:
            raise BadInput(f"{path}: split '{split}' of {name}; known: {', '.join(SPLITS)}")
        yield _stem(name), SPLITS[split]


def _rows(path: Path) -> list[dict[str, str]]:
    with path.open("rb") as file:
        packed = file.read(2) == b"\x1f\x8b"
    if not packed:
        return files.table(path, ["filename", "train_val_test"])
    # The server sends some tables compressed under the name of the plain ones.
    try:
        text = gzip.decompress(path.read_bytes()).decode("utf-8-sig")
    except (OSError, EOFError, ValueError) as error:
        raise BadInput(f"{path} is no readable table: {' '.join(str(error).split())}") from error
    rows = list(csv.DictReader(io.StringIO(text)))
    if not rows or not {"filename", "train_val_test"} <= set(rows[0]):
        raise BadInput(f"{path} has no columns filename and train_val_test")
    return rows


def _stem(name: str) -> str:
    return name.removesuffix(HE).removesuffix(MASK)


def _items(folder: Path, splits: dict[str, str]) -> Iterator[Item | Problem]:
    masks = {_stem(path.name): path for path in files.visible(folder, f"**/*{MASK}")}
    antigens = {name.split("_")[0] for name in splits}
    without_table: Counter[str] = Counter()
    seen = set()
    for image in files.visible(folder, f"**/*{HE}"):
        name = _stem(image.name)
        mask, split, label = masks.pop(name, None), splits.get(name), _label(image)
        seen.add(name)
        if mask is None:
            yield Problem(f"{image.name}: image without mask")
        elif label is None:
            yield Problem(f"{image.name}: neither antigen nor cell type is known")
        elif split is None and name.split("_")[0] not in antigens:
            without_table[name.split("_")[0]] += 1
        elif split is None:
            yield Problem(f"{image.name}: in no {INFO.removeprefix('_')}")
        else:
            yield Item(name, (image, mask), MPP, FACTOR, split, slide=_slide(name), note=label)
    for antigen, count in sorted(without_table.items()):
        yield Problem(f"{antigen}{INFO} is missing or empty: {count} images not used")
    for mask in masks.values():
        yield Problem(f"{mask.name}: mask without image")
    absent = Counter(name.split("_")[0] for name in splits if name not in seen)
    for antigen, count in sorted(absent.items()):
        yield Problem(f"{antigen}{INFO} names {count} images that are not here")


def _label(image: Path) -> str | None:
    """Label by the cell type in the file name, else by its antigen, else by the folder."""
    words = [*reversed(image.name.split("_")[:2]), *image.parent.name.split("_")]
    plain = ("".join(c for c in word.lower() if c.isalnum()) for word in words)
    return next((KINDS[word] for word in plain if word in KINDS), None)


def _slide(name: str) -> str:
    """Between antigen and cell type in front and the position behind."""
    return "_".join(name.split("_")[2:-2])


def read(item: Item) -> Annotated:
    """One kind only: the others are not marked."""
    pixels, mask = files.rgb(item.files[0]), files.codes(item.files[1])
    files.same_size(pixels, mask, item.name)
    files.known_codes(mask, (0, 1), item.name)
    return Annotated(pixels, {item.note: mask > 0}, frozenset([item.note]))


SOURCE = Source(
    name="segpath",
    title="SegPath",
    url="https://dakomura.github.io/SegPath/",
    licence=Licence("CC BY-NC-SA 4.0", True, True, False),
    layout=LAYOUT,
    magnification="40x",
    mpp=MPP,
    factor=FACTOR,
    labels=LABELS,
    split="official",
    seen="derived",
    items=items,
    read=read,
    paper=Counts(133645, 133645, 122536, 11109),
    batch=400,
    notes=(
        "val counts as train, as in the paper",
        "masks come from re-staining and are noisy, smooth muscle and endothelium most of all",
    ),
)
