"""MIDOG++: mitotic figures of human neuroendocrine tumours (M. Aubreville et al., Scientific Data 2023)."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.data import files
from pathsegmentor.data.record import Annotated, Counts, Item, Licence, MaskArray, Problem, Source
from pathsegmentor.errors import BadInput

LABELS = {
    1: "unspecified-nuclei-neuroendocrine tumor mitotic figure",
    2: "unspecified-nuclei-neuroendocrine tumor non mitotic figure",
}
TUMOR = "human neuroendocrine tumor"
WORDS = {
    "mitotic figure": 1,
    "not mitotic figure": 2,
    "non-mitotic figure": 2,
    "non mitotic figure": 2,
    "hard negative": 2,
}
KEYS = {
    "images": ("id", "file_name", "width", "height"),
    "categories": ("id", "name"),
    "annotations": ("image_id", "category_id", "bbox"),
}
NAMES = ("MIDOG++.json", "MIDOGpp.json", "MIDOG2022_training.json", "MIDOG.json")
LAYOUT = (
    "images/NNN.tiff, NNN = 350 to 404",
    "MIDOG++.json (images with tumor_type, categories, annotations with bbox)",
)
MPP = 0.23
FACTOR = 1.0
# Side of the boxes, and diameter of the discs that stand for outlines.
SIDE = 50

Box = tuple[float, float, float, float]


def items(folder: Path) -> Iterator[Item | Problem]:
    """One item per image of a neuroendocrine tumour, with its boxes; images without any have no figure."""
    path, data = _listing(folder)
    wanted = [image for image in data["images"] if image["tumor_type"] == TUMOR]
    if not wanted:
        raise BadInput(f"{path} has no image with tumor_type '{TUMOR}'; expected {LAYOUT[1]}")
    kinds = _kinds(data, path)
    corners = _are_corners([annotation["bbox"] for annotation in data["annotations"]], path)
    boxes: dict[Any, list[tuple[int, Box]]] = {image["id"]: [] for image in wanted}
    for annotation in data["annotations"]:
        if annotation["image_id"] in boxes:
            kind = kinds.get(annotation["category_id"])
            if kind is None:
                raise BadInput(f"{path}: unknown class code {annotation['category_id']}; known: {sorted(kinds)}")
            boxes[annotation["image_id"]].append((kind, _corners(annotation["bbox"], corners)))
    yield from files.at_least_one(_items(folder, data["images"], wanted, boxes), folder, LAYOUT)


def _items(
    folder: Path, listed: list[Any], wanted: list[Any], boxes: dict[Any, list[tuple[int, Box]]]
) -> Iterator[Item | Problem]:
    home = folder / "images" if (folder / "images").is_dir() else folder
    for image in wanted:
        path = files.below(home, image["file_name"])
        if not path.is_file():
            yield Problem(f"{image['file_name']}: listed, but not in {home}")
            continue
        note = json.dumps({"size": [image["width"], image["height"]], "boxes": boxes[image["id"]]})
        yield Item(path.stem, (path,), MPP, FACTOR, note=note)
    names = {image["file_name"] for image in listed}
    for path in files.pictures(home):
        if path.name not in names:
            yield Problem(f"{path.name}: image without annotation")


def _listing(folder: Path) -> tuple[Path, dict[str, Any]]:
    """The JSON file, which must say what tumours the images show."""
    found = [path for home in (folder, folder / "databases") for path in files.visible(home, "*.json")]
    found.sort(key=lambda path: NAMES.index(path.name) if path.name in NAMES else len(NAMES))
    if not found:
        raise BadInput(f"{folder} has no .json file; expected {'; '.join(LAYOUT)}")
    for path in found:
        data = _json(path)
        if all("tumor_type" in image for image in data["images"]):
            return path, data
    raise BadInput(f"{found[0]} does not tell which tumours its images show; MIDOG++.json is needed, which does")


def _json(path: Path) -> dict[str, Any]:
    try:
        data: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        lacking = {
            f"{part}: {key}"
            for part, keys in KEYS.items()
            for entry in data.get(part, [{}])
            for key in keys
            if key not in entry
        }
        boxes = np.array([annotation["bbox"] for annotation in data["annotations"]], float).reshape(-1, 4)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(
            f"{path} is damaged or no list of mitotic figures ({type(error).__name__}: {error}); expected {LAYOUT[1]}"
        ) from error
    if lacking or not np.isfinite(boxes).all():
        raise BadInput(f"{path} lacks {', '.join(sorted(lacking)) or 'finite boxes'}; expected {LAYOUT[1]}")
    return data


def _kinds(data: dict[str, Any], path: Path) -> dict[Any, int]:
    """Category ids -> 1 mitotic figure, 2 not: by their words, or by their numbers where they have none."""
    kinds: dict[Any, int] = {}
    for category in data["categories"]:
        words = str(category["name"]).strip().lower()
        kind = WORDS.get(words) if words else category["id"]
        if kind not in LABELS:
            raise BadInput(f"{path}: unknown category '{words or category['id']}'; known: {', '.join(WORDS)}")
        kinds[category["id"]] = kind
    return kinds


def _are_corners(boxes: list[Any], path: Path) -> bool:
    """Whether boxes are [x1, y1, x2, y2], as in the originals, or [x, y, w, h], as COCO has it."""
    if not boxes:
        return True
    values = np.asarray(boxes, dtype=float)
    # Some are floats, hence the tolerance.
    as_corners = np.abs(values[:, 2:] - values[:, :2] - SIDE).max(axis=1) <= 1
    as_sizes = np.abs(values[:, 2:] - SIDE).max(axis=1) <= 1
    if max(as_corners.mean(), as_sizes.mean()) < 0.5:
        raise BadInput(f"{path}: boxes are neither [x1, y1, x2, y2] nor [x, y, w, h] of {SIDE} x {SIDE} pixels")
    return bool(as_corners.sum() >= as_sizes.sum())


def _corners(box: list[float], corners: bool) -> Box:
    x, y, right, bottom = box
    return (x, y, right, bottom) if corners else (x, y, x + right, y + bottom)


def read(item: Item) -> Annotated:
    """A disc for every figure, numbered within its kind; where two overlap the later one wins.

    Mitotic figures were looked for everywhere. The others are look-alikes that some expert or a network proposed:
    where none is marked there may well be a nucleus that is no mitotic figure.
    """
    pixels = files.rgb(item.files[0])
    note = json.loads(item.note)
    height, width = pixels.shape[:2]
    if [width, height] != note["size"]:
        raise BadInput(f"{item.name}: image is {width} x {height} pixels, the list says {note['size']}")
    masks = {label: np.zeros((height, width), np.int32) for label in LABELS.values()}
    numbers = dict.fromkeys(LABELS, 0)
    for kind, box in note["boxes"]:
        numbers[kind] += 1
        _draw_disc(masks[LABELS[kind]], (box[0] + box[2]) / 2, (box[1] + box[3]) / 2, numbers[kind])
    outlined: dict[str, MaskArray] = dict(masks)
    return Annotated(pixels, outlined, frozenset([LABELS[1]]))


def _draw_disc(mask: NDArray[np.int32], x: float, y: float, number: int) -> None:
    """All pixels whose centre is within half of ``SIDE`` of a point, given from the corner of the image."""
    radius = SIDE / 2
    top, left = max(math.floor(y - radius), 0), max(math.floor(x - radius), 0)
    part = mask[top : max(math.ceil(y + radius), 0), left : max(math.ceil(x + radius), 0)]
    rows = np.arange(top, top + part.shape[0])[:, None] + 0.5 - y
    columns = np.arange(left, left + part.shape[1]) + 0.5 - x
    part[rows**2 + columns**2 <= radius**2] = number


SOURCE = Source(
    name="midog",
    title="MIDOG",
    url="https://github.com/DeepMicroscopy/MIDOGpp",
    licence=Licence("CC0 1.0", True, True, True),
    layout=LAYOUT,
    magnification="40x",
    mpp=MPP,
    factor=FACTOR,
    labels=tuple(LABELS.values()),
    split="random",
    seen="read",
    items=items,
    read=read,
    paper=Counts(1482, 1802, 1448, 354),
    batch=8,
    notes=(
        "boxes of 50 x 50 pixels, no outlines: each mask is the disc inside its box",
        "0.23 um per pixel is that of the Hamamatsu XR scanner of this part; not enlarged, as in the paper",
        "only the human neuroendocrine tumours of MIDOG++, as in the paper",
    ),
)
