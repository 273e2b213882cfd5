"""A user's own annotated folder, in one of four forms.

- ``pathseg.yaml``: a description (``layout.py``);
- QuPath: images, each with ``NAME.geojson`` beside it or in any folder below;
- COCO: images and one ``.json`` with ``images``, ``annotations`` and ``categories``;
- masks: ``images/`` and ``masks/`` with the same names, and ``labels.csv``.

``labels.csv`` (columns ``class``, ``label``) says which label a class name or mask code means; without it
a class name that is a label id is taken as such, any other becomes ``unspecified-tissue-NAME``.
``images.csv`` (column ``image``, and any of ``split``, ``patient``, ``slide``, ``mpp``) tells more about
the images; the scale is otherwise the file's own, or the one given.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.data import files
from pathsegmentor.data.layout import UM_AT_40X, known_split, read_layout, source_of
from pathsegmentor.data.outlines import paint, ring
from pathsegmentor.data.record import Annotated, Item, Licence, MaskArray, Problem, Source
from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.picture import check_mpp
from pathsegmentor.imaging.read import read_picture
from pathsegmentor.vocabulary import Label

DESCRIPTION = "pathseg.yaml"
LAYOUT = (
    f"{DESCRIPTION}",
    "or images with NAME.geojson from QuPath",
    "or images and one COCO .json",
    "or images/ and masks/ with labels.csv (class,label)",
)
STRUCTURES = ("tissue", "cell", "nuclei")


def own_source(folder: Path, mpp: float = 0.0) -> Source:
    """The source that reads a user's folder; ``mpp`` is the scale of images that do not tell theirs."""
    if (folder / DESCRIPTION).is_file():
        return source_of(read_layout(folder / DESCRIPTION))
    labels = tuple(sorted(set(_labels(folder).values())))
    return Source(
        name="folder-" + "".join(c if c.isalnum() else "_" for c in folder.resolve().name.lower()),
        title=folder.resolve().name,
        url="",
        licence=Licence("your own", False, None, None),
        layout=LAYOUT,
        magnification="as the files say",
        mpp=mpp,
        factor=1.0,
        labels=labels,
        split="official" if _told(folder, "split") else "random",
        seen="bytes",
        items=partial(own_items, mpp=mpp),
        read=read_own,
    )


def own_items(folder: Path, mpp: float = 0.0) -> Iterator[Item | Problem]:
    """Images of the folder with their annotation, whichever form it has."""
    told = {row["image"]: row for row in _images_table(folder)}
    labels = _labels(folder)
    for found in _annotated(folder):
        if isinstance(found, Problem):
            yield found
            continue
        image, annotation, note = found
        row = told.get(image.name) or told.get(image.stem) or {}
        try:
            scale = _scale(image, row.get("mpp", ""), mpp)
        except BadInput as error:
            yield Problem(str(error))
            continue
        yield Item(
            name=str(image.relative_to(folder).with_suffix("")),
            files=(image, annotation),
            mpp=scale,
            factor=scale / UM_AT_40X,
            split=known_split(row.get("split", ""), "images.csv"),
            patient=row.get("patient", ""),
            slide=row.get("slide", ""),
            note=json.dumps(note | {"labels": labels}),
        )


def read_own(item: Item) -> Annotated:
    """Pixels and masks of one image."""
    note = json.loads(item.note)
    pixels = files.rgb(item.files[0])
    reader = {"masks": _read_mask, "qupath": _read_qupath, "coco": _read_coco}[note["form"]]
    masks = reader(item, note, pixels.shape[0], pixels.shape[1])
    return Annotated(pixels, masks, frozenset(masks) | frozenset(note["labels"].values()))


def label_of(name: str, labels: dict[str, str]) -> str:
    """The label id that a class name means."""
    if name in labels:
        return labels[name]
    parts = name.lower().split("-", 2)
    if len(parts) == 3 and parts[1] in STRUCTURES:
        return Label.from_id(name).id
    return Label("unspecified", "tissue", name.strip().lower()).id


def _annotated(folder: Path) -> Iterator[tuple[Path, Path, dict[str, Any]] | Problem]:
    coco = _coco_file(folder)
    if coco:
        yield from _coco_images(folder, coco)
    elif (folder / "masks").is_dir():
        if not _labels(folder):
            raise BadInput(f"{folder} has masks/ but no labels.csv (columns class,label); class is the mask's code")
        for pair in files.paired(files.pictures(folder / "images"), files.pictures(folder / "masks")):
            yield pair if isinstance(pair, Problem) else (*pair, {"form": "masks"})
    else:
        outlines = files.visible(folder, "**/*.geojson")
        used: set[Path] = set()
        images = [p for p in files.visible(folder, "**/*") if p.suffix.lower() in files.IMAGES]
        for image in images if outlines else []:
            # QuPath users export both NAME.geojson and NAME.png.geojson.
            named = [path for path in outlines if path.name in (f"{image.stem}.geojson", f"{image.name}.geojson")]
            found = [path for path in named if path.parent == image.parent] or named
            if not found:
                yield Problem(f"{image.name}: image without .geojson")
            elif len(found) > 1:
                places = " and ".join(str(path.relative_to(folder)) for path in found)
                yield Problem(f"{image.relative_to(folder)}: either of {places} may be its annotation")
            else:
                used.add(found[0])
                yield image, found[0], {"form": "qupath"}
        for path in outlines if images else []:
            if path in used:
                continue
            yield Problem(f"{path.name}: annotation without image")


def _read_mask(item: Item, note: dict[str, Any], height: int, width: int) -> dict[str, MaskArray]:
    values = files.codes(item.files[1])
    if values.shape != (height, width):
        raise BadInput(f"image is {width} x {height}, mask {values.shape[1]} x {values.shape[0]} pixels")
    if values.dtype == bool:
        values = values.astype(np.uint8)
    try:
        known = {int(code): label for code, label in note["labels"].items()}
    except ValueError as error:
        raise BadInput(f"labels.csv: classes of masks are numbers ({error})") from error
    files.known_codes(values, {0, *known}, item.name)
    return {label: values == code for code, label in known.items()}


def _read_qupath(item: Item, note: dict[str, Any], height: int, width: int) -> dict[str, MaskArray]:
    document = _json(item.files[1])
    features = document.get("features", [document]) if isinstance(document, dict) else document
    if not isinstance(features, list):
        raise BadInput(f"{item.files[1].name} is no GeoJSON as QuPath writes it")
    found: list[tuple[str, list[Any]]] = []
    for number, feature in enumerate(features, start=1):
        try:
            name = _class_name(feature["properties"])
            geometry = feature["geometry"]
            shapes = {"Polygon": [geometry["coordinates"]], "MultiPolygon": geometry["coordinates"]}
            if name is not None and geometry["type"] in shapes:
                found.append((name, [ring(r) for shape in shapes[geometry["type"]] for r in shape]))
        except (KeyError, TypeError, ValueError) as error:
            raise BadInput(f"{item.files[1].name}: feature {number} is no QuPath object ({error})") from error
    return _painted(found, note["labels"], height, width)


def _class_name(properties: dict[str, Any]) -> str | None:
    """The class of a QuPath object; None for one without a class."""
    kind = properties.get("classification")
    if kind is None:
        return None
    if "names" in kind:
        return ": ".join(kind["names"])
    return str(kind["name"])


def _read_coco(item: Item, note: dict[str, Any], height: int, width: int) -> dict[str, MaskArray]:
    document = _json(item.files[1])
    names = {category["id"]: str(category["name"]) for category in document["categories"]}
    found = []
    for annotation in document["annotations"]:
        if annotation["image_id"] != note["id"] or annotation.get("iscrowd"):
            continue
        outline = annotation.get("segmentation")
        if not isinstance(outline, list) or not outline:
            raise BadInput(
                f"annotation {annotation.get('id')} has no polygon; export COCO with polygons, not RLE or boxes"
            )
        try:
            rings = [ring(np.reshape(np.asarray(flat, float), (-1, 2))) for flat in outline]
            found.append((names[annotation["category_id"]], rings))
        except (KeyError, ValueError) as error:
            raise BadInput(f"annotation {annotation.get('id')} of {item.files[1].name} is damaged: {error}") from error
    return _painted(found, note["labels"], height, width)


def _painted(
    found: list[tuple[str, list[Any]]], labels: dict[str, str], height: int, width: int
) -> dict[str, MaskArray]:
    """Instance maps by label; a later object wins where two of one class overlap."""
    masks: dict[str, NDArray[np.int32]] = {}
    for number, (name, rings) in enumerate(found, start=1):
        mask = masks.setdefault(label_of(name, labels), np.zeros((height, width), np.int32))
        paint(mask, rings, number)
    return dict(masks)


def _coco_file(folder: Path) -> Path | None:
    for path in files.visible(folder, "*.json", "annotations/*.json"):
        document = _json(path)
        if isinstance(document, dict) and {"images", "annotations", "categories"} <= set(document):
            return path
    return None


def _coco_images(folder: Path, path: Path) -> Iterator[tuple[Path, Path, dict[str, Any]] | Problem]:
    for image in _json(path)["images"]:
        name = str(image.get("file_name", ""))
        places = [files.below(folder, name), files.below(folder, f"images/{name}")]
        there = next((place for place in places if name and place.is_file()), None)
        yield (
            (there, path, {"form": "coco", "id": image["id"]}) if there else Problem(f"{path.name}: {name} is missing")
        )


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise BadInput(f"{path} is no readable JSON: {' '.join(str(error).split())}") from error


def _images_table(folder: Path) -> list[dict[str, str]]:
    path = folder / "images.csv"
    return files.table(path, ["image"]) if path.is_file() else []


def _told(folder: Path, column: str) -> bool:
    return any(row.get(column) for row in _images_table(folder))


def _labels(folder: Path) -> dict[str, str]:
    path = folder / "labels.csv"
    if not path.is_file():
        return {}
    return {row["class"]: Label.from_id(row["label"]).id for row in files.table(path, ["class", "label"])}


def _scale(image: Path, told: str, given: float) -> float:
    """Um per pixel: the table's, the file's, or the one given."""
    if told:
        try:
            return check_mpp(float(told))[0]
        except ValueError as error:  # BadInput is one of them
            raise BadInput(f"images.csv: mpp '{told}' of {image.name} is no scale in um per pixel") from error
    found = read_picture(image).mpp
    if found:
        return float(np.sqrt(found[0] * found[1]))
    if given:
        return check_mpp(given)[0]
    raise BadInput(f"{image.name}: the file does not tell its scale; add --mpp, or a column mpp in images.csv")
