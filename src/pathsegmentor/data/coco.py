"""COCO files: images, categories and annotations, each annotation drawn or passed over with a reason."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np

from pathsegmentor.data.counted import Passed, Place, shown
from pathsegmentor.data.documents import read_json
from pathsegmentor.data.drawn import Drawn, Runs
from pathsegmentor.data.outlines import Ring, ring
from pathsegmentor.errors import BadInput

# One file a class is common; each is needed again for every image.
FILES_KEPT = 16
DAMAGED = "has a run-length encoding (RLE) that is damaged"
PARTS = ("images", "annotations", "categories")


@dataclass(frozen=True)
class Listed:
    """An image of a COCO file: its id there, its name, and its size (width, height) as far as it is told."""

    key: str
    name: str
    size: tuple[str, str]


@dataclass(frozen=True)
class Coco:
    """A COCO file, taken apart: its images, its categories by id, annotations by the id of their image.

    A category is "" where its id stands for several; ``orphans`` are annotations of no image, or of an id
    that stands for several; ``problems`` are lines about images that cannot be used.
    """

    images: tuple[Listed, ...]
    names: dict[str, str]
    annotations: dict[str, list[tuple[Place, dict[str, Any]]]]
    orphans: tuple[Passed, ...]
    problems: tuple[str, ...]


def is_coco(text: bytes) -> bool:
    """Whether a document is meant as COCO, by its words; in UTF-16 zeros stand between the letters."""
    plain = text.replace(b"\0", b"")
    return all(b'"%s"' % word.encode() in plain for word in PARTS[:2])


def read_coco(path: Path) -> Coco:
    """The file as it is now, parsed once for all of its images; raises ``BadInput`` if it is no COCO file."""
    try:
        stamp = path.stat()
    except OSError as error:
        raise BadInput(f"{path} cannot be read: {error.strerror}") from error
    return _read_coco(path, stamp.st_mtime_ns, stamp.st_size)


@lru_cache(maxsize=FILES_KEPT)
def _read_coco(path: Path, changed: int, size: int) -> Coco:
    document = read_json(path)
    parts: list[Any] = [document.get(part, []) if isinstance(document, dict) else None for part in PARTS]
    for part, value in zip(PARTS, parts, strict=True):
        if not isinstance(value, list):
            raise BadInput(f"{path.name} is damaged or no COCO file: it has no list of {part}")
    images, problems = _images(parts[0], path.name)
    names = _names(parts[2])
    known = {image.key for image in images}
    annotations: dict[str, list[tuple[Place, dict[str, Any]]]] = defaultdict(list)
    orphans = []
    for number, annotation in enumerate(parts[1], start=1):
        place = Place(path.name, _which(annotation, number))
        if not isinstance(annotation, dict):
            orphans.append(Passed(place, "", "is no annotation"))
            continue
        key = key_of(annotation.get("image_id"))
        if key in known:
            annotations[key].append((place, annotation))
        else:
            name, reason = _category(annotation, names)
            missing = f"belongs to no image (image_id {shown(annotation.get('image_id'))})"
            orphans.append(Passed(place, name, missing, lost=bool(name or reason)))
    return Coco(tuple(images), names, dict(annotations), tuple(orphans), tuple(problems))


def key_of(value: object) -> str:
    """An id as text: 1, 1.0 and "1" are the same; "" for what is no id."""
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _which(annotation: object, number: int) -> str:
    key = key_of(annotation.get("id")) if isinstance(annotation, dict) else ""
    return f"annotation {shown(key)}" if key else f"annotation number {number}"


def _images(listed: Iterable[object], where: str) -> tuple[list[Listed], list[str]]:
    """Images that have an id of their own and a name, and lines about the others."""
    found: dict[str, list[Listed]] = defaultdict(list)
    problems = []
    for number, image in enumerate(listed, start=1):
        key, name = (image.get("id"), image.get("file_name")) if isinstance(image, dict) else ("", "")
        if not (key_of(key) and isinstance(name, str) and name.strip() and isinstance(image, dict)):
            problems.append(f"{where}: image number {number} has no id or no file_name")
            continue
        size = (key_of(image.get("width")), key_of(image.get("height")))
        one = Listed(key_of(key), name, size)
        if one not in found[one.key]:
            found[one.key].append(one)
    for key, images in found.items():
        if len(images) > 1:
            names = " and ".join(shown(image.name) for image in images[:3])
            problems.append(f"{where}: image id {shown(key)} stands for {names}; none of them is used")
    return [images[0] for images in found.values() if len(images) == 1], problems


def _names(categories: Iterable[object]) -> dict[str, str]:
    """Names by id; "" for an id that stands for several."""
    names: dict[str, str] = {}
    for category in categories:
        if isinstance(category, dict) and isinstance(category.get("name"), str):
            key, name = key_of(category.get("id")), category["name"].strip()
            names[key] = name if names.get(key, name) == name else ""
    names.pop("", None)  # of a category without an id
    return names


def _category(annotation: dict[str, Any], names: dict[str, str]) -> tuple[str, str]:
    """The class of an annotation, or "" and what is wrong with it ("" if it has none)."""
    value = annotation.get("category_id")
    key = key_of(value)
    if value is None:
        return "", ""
    if key not in names:
        known = ", ".join(map(shown, list(names)[:10])) or "none"
        return "", f"has the unknown category {shown(value)}; known: {known}"
    return names[key], "" if names[key] else f"has the category {shown(key)}, which has no name or several"


def coco_objects(path: Path, key: str) -> list[Drawn | Passed]:
    """Annotations of one image; each polygon of an object adds to it, for COCO knows no holes."""
    coco = read_coco(path)
    return [_object(place, annotation, coco.names) for place, annotation in coco.annotations.get(key, [])]


def _object(place: Place, annotation: dict[str, Any], names: dict[str, str]) -> Drawn | Passed:
    name, wrong = _category(annotation, names)
    if wrong:
        return Passed(place, name, wrong)
    if not name:
        return Passed(place, "", "has no class", lost=False, gap=False)
    crowd = str(annotation.get("iscrowd")).lower() in ("1", "1.0", "true")
    outline = annotation.get("segmentation")
    key = key_of(annotation.get("id"))
    try:
        if isinstance(outline, dict):
            return Drawn(place, name, [], _run_lengths(outline), crowd, key)
        return Drawn(place, name, [[points] for points in _rings(outline)], None, crowd, key)
    except ValueError as error:
        return Passed(place, name, str(error))


def _rings(outline: object) -> list[Ring]:
    if not isinstance(outline, list) or not outline:
        raise ValueError("has no polygon, only a box or nothing; export COCO with polygons")
    # Some programs leave out the list around a single polygon.
    flat = [outline] if all(isinstance(value, int | float) for value in outline) else outline
    try:
        return [ring(np.reshape(np.asarray(points, float), (-1, 2))) for points in flat]
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError("has an outline that is not at least three finite x, y positions") from error


def _run_lengths(outline: dict[str, Any]) -> Runs:
    size: Any = outline.get("size")
    runs: Any = outline.get("counts")
    if isinstance(runs, str):
        runs = _packed(runs)
    if not (_whole_numbers(size) and len(size) == 2 and _whole_numbers(runs)):
        raise ValueError(DAMAGED)
    if sum(runs) != size[0] * size[1]:
        raise ValueError("has a run-length encoding (RLE) whose runs do not fill its size")
    return Runs((size[0], size[1]), tuple(runs))


def _whole_numbers(values: Any) -> bool:
    return isinstance(values, list) and all(type(value) is int and value >= 0 for value in values)


def _packed(text: str) -> list[int]:
    """The runs in COCO's compressed text: groups of 5 bits; from the fourth on each is a change to the last but one."""
    runs: list[int] = []
    value = shift = 0
    for sign in text:
        bits = ord(sign) - 48
        if not 0 <= bits < 64:
            raise ValueError(DAMAGED)
        value |= (bits & 31) << shift
        shift += 5
        if bits & 32:
            continue
        if bits & 16:
            value -= 1 << shift
        runs.append(value + runs[-2] if len(runs) > 2 else value)
        value = shift = 0
    if shift:
        raise ValueError(DAMAGED)
    return runs
