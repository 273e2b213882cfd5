"""A user's own annotated folder, in one of four forms.

- ``pathseg.yaml``: a description (``layout.py``);
- QuPath: images, each with ``NAME.geojson`` beside it or in any other folder;
- COCO: images and ``.json`` files with ``images``, ``annotations`` and ``categories``;
- masks: ``images/`` and ``masks/`` with the same names, and ``labels.csv``.

``labels.csv`` (columns ``class``, ``label``) says which label a class name or mask code means; without it
a class name that is a label id is taken as such, any other becomes ``unspecified-tissue-NAME``. QuPath's
own ``Ignore*`` marks pixels about which nothing is known; other names that end with ``*`` are no labels.
``images.csv`` (column ``image``, and any of ``split``, ``patient``, ``slide``, ``mpp``) tells more about
the images; the scale is otherwise the file's own, or the one given.
"""

from __future__ import annotations

import json
import os
import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.data import files
from pathsegmentor.data.drawn import Drawn, coco_objects, is_coco, painted, qupath_objects, read_coco, read_json
from pathsegmentor.data.layout import UM_AT_40X, known_split, read_layout, source_of
from pathsegmentor.data.record import Annotated, Item, Licence, MaskArray, Pixels, Problem, Source
from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.picture import check_mpp
from pathsegmentor.imaging.read import read_scale
from pathsegmentor.vocabulary import Label

DESCRIPTION = "pathseg.yaml"
LAYOUT = (
    f"{DESCRIPTION}",
    "or images with NAME.geojson from QuPath",
    "or images and COCO .json files",
    "or images/ and masks/ with labels.csv (class,label)",
)
# What stands for a user's own folder where a source is named.
OWN = "folder"
STRUCTURES = ("tissue", "cell", "nuclei")
# QuPath's class for regions to be left out of everything.
IGNORE = "ignore*"

Found = tuple[Path, Path, dict[str, Any]]


def own_source(folder: Path, mpp: float = 0.0) -> Source:
    """The source that reads a user's folder; ``mpp`` is the scale of images that do not tell theirs."""
    if (folder / DESCRIPTION).is_file():
        return source_of(read_layout(folder / DESCRIPTION))
    labels = tuple(sorted(set(_labels(folder).values())))
    return Source(
        name=f"{OWN}-" + "".join(c if c.isalnum() else "_" for c in folder.resolve().name.lower()),
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
    told = {row["image"].strip(): row for row in _images_table(folder)}
    labels = _labels(folder)
    names: set[str] = set()
    used: set[str] = set()
    for found in _annotated(folder):
        if isinstance(found, Problem):
            yield found
            continue
        image, annotation, note = found
        place = Path(os.path.relpath(image, folder))
        key = next((key for key in _keys(place) if key in told), "")
        row = told.get(key, {})
        used.add(key)
        try:
            scale = _scale(image, row.get("mpp", ""), mpp)
        except BadInput as error:
            yield Problem(str(error))
            continue
        name = str(place.with_suffix(""))
        # Two formats of one name are two images.
        name = str(place) if name in names else name
        names.add(name)
        yield Item(
            name=name,
            files=(image, annotation),
            mpp=scale,
            factor=scale / UM_AT_40X,
            split=known_split(row.get("split", ""), "images.csv"),
            patient=row.get("patient", ""),
            slide=row.get("slide", ""),
            note=json.dumps(note | {"labels": labels}),
        )
    for key in sorted(set(told) - used):
        yield Problem(f"images.csv: no annotated image '{key}'")


def _keys(place: Path) -> Iterator[str]:
    """What an image may be called in images.csv, the most exact first."""
    yield from (place.as_posix(), place.with_suffix("").as_posix(), place.name, place.stem)


def read_own(item: Item) -> Annotated:
    """Pixels and masks of one image."""
    note = json.loads(item.note)
    pixels, labels = files.rgb(item.files[0]), note["labels"]
    if note["form"] == "masks":
        masks = _read_mask(item, labels, pixels)
        return Annotated(pixels, masks, frozenset(labels.values()))
    if note["form"] == "coco":
        _same_size(pixels, note["size"], item)
        objects = coco_objects(item.files[1], note["id"])
    else:
        objects = qupath_objects(item.files[1])
    return _annotation(pixels, objects, labels)


def _same_size(pixels: Pixels, told: list[int | None], item: Item) -> None:
    """Refuse polygons drawn on the image at another size."""
    height, width = pixels.shape[:2]
    if told[0] not in (None, width) or told[1] not in (None, height):
        turned = "; was it drawn without the image's EXIF orientation?" if told == [height, width] else ""
        raise BadInput(f"image is {width} x {height} pixels, {item.files[1].name} says {told[0]} x {told[1]}{turned}")


def label_of(name: str, labels: dict[str, str]) -> str:
    """The label id that a class name means."""
    plain = " ".join(unicodedata.normalize("NFC", name).lower().split())
    if _key(name) in labels:
        return labels[_key(name)]
    parts = [part.strip() for part in plain.split("-", 2)]
    if len(parts) == 3 and parts[1] in STRUCTURES:
        return Label.from_id(plain).id
    if not plain:
        raise BadInput("a class has no name")
    return Label("unspecified", "tissue", plain).id


def _annotation(pixels: Pixels, objects: Sequence[Drawn], labels: dict[str, str]) -> Annotated:
    """Masks of drawn objects; about crowds and what QuPath ignores nothing is known."""
    height, width = pixels.shape[:2]
    wanted: list[tuple[str, Drawn]] = []
    unknown = np.zeros((height, width), np.int32)
    for drawn in objects:
        starred = drawn.name.endswith("*") and _key(drawn.name) not in labels
        if drawn.crowd or (starred and _key(drawn.name) == IGNORE):
            drawn.paint(unknown, 1)
        elif not starred:
            wanted.append((label_of(drawn.name, labels), drawn))
    masks: dict[str, MaskArray] = dict(painted(wanted, height, width))
    if wanted and not any(mask.any() for mask in masks.values()):
        raise BadInput(f"none of its {len(wanted)} objects lies inside the image of {width} x {height} pixels")
    if len({Label.from_id(label).file_name for label in masks}) < len(masks):
        raise BadInput(f"classes differ only in signs that file names lack: {', '.join(sorted(masks))}")
    complete = frozenset(masks) | frozenset(labels.values())
    return Annotated(pixels, masks, complete, unknown > 0 if unknown.any() else None)


def _read_mask(item: Item, labels: dict[str, str], pixels: Pixels) -> dict[str, MaskArray]:
    values: NDArray[Any] = files.codes(item.files[1])
    files.same_size(pixels, values, item.name)
    if values.dtype == bool:
        values = values.astype(np.uint8)
    try:
        known = {int(code): label for code, label in labels.items()}
    except ValueError as error:
        raise BadInput(f"labels.csv: classes of masks are numbers ({error})") from error
    files.known_codes(values, {0, *known}, item.name)
    return {
        label: np.isin(values, [code for code, other in known.items() if other == label])
        for label in dict.fromkeys(known.values())
    }


def _annotated(folder: Path) -> Iterator[Found | Problem]:
    coco = [path for path in files.visible(folder, "*.json", "annotations/*.json") if is_coco(read_json(path))]
    if coco:
        yield from _coco_images(folder, coco)
    elif (folder / "masks").is_dir():
        if not _labels(folder):
            raise BadInput(f"{folder} has masks/ but no labels.csv (columns class,label); class is the mask's code")
        yield from _with_masks(*(files.need(folder / name, LAYOUT[-1]) for name in ("images", "masks")))
    else:
        yield from _with_outlines(folder)


def _pictures_below(folder: Path) -> list[Path]:
    return [path for path in files.visible(folder, "**/*") if path.suffix.lower() in files.IMAGES]


def _with_masks(images: Path, masks: Path) -> Iterator[Found | Problem]:
    """Images and masks in the same place below their folders, with the same name."""
    by_place = {path.relative_to(masks).with_suffix(""): path for path in _pictures_below(masks)}
    for image in _pictures_below(images):
        mask = by_place.pop(image.relative_to(images).with_suffix(""), None)
        yield (image, mask, {"form": "masks"}) if mask else Problem(f"{image.name}: image without mask")
    for mask in by_place.values():
        yield Problem(f"{mask.name}: mask without image")


def _with_outlines(folder: Path) -> Iterator[Found | Problem]:
    """Images with QuPath's outlines; one that lies beside an image of its name belongs to no other."""
    outlines, images = files.visible(folder, "**/*.geojson"), _pictures_below(folder)
    if not (outlines and images):
        return
    by_name: dict[str, list[Path]] = defaultdict(list)
    for path in outlines:
        by_name[path.name].append(path)
    # QuPath users export both NAME.geojson and NAME.png.geojson.
    named = {
        image: [path for end in (image.stem, image.name) for path in by_name.get(f"{end}.geojson", [])]
        for image in images
    }
    beside = {image: [path for path in paths if path.parent == image.parent] for image, paths in named.items()}
    taken = {path for paths in beside.values() for path in paths}
    chosen = {image: beside[image] or [path for path in named[image] if path not in taken] for image in images}
    claims = Counter(path for paths in chosen.values() for path in paths)
    for image, paths in chosen.items():
        places = " and ".join(str(path.relative_to(folder)) for path in paths)
        if not paths:
            yield Problem(f"{image.relative_to(folder)}: image without .geojson")
        elif len(paths) > 1:
            yield Problem(f"{image.relative_to(folder)}: either of {places} may be its annotation")
        elif claims[paths[0]] > 1:
            yield Problem(f"{image.relative_to(folder)}: {places} may be that of another image too")
        else:
            yield image, paths[0], {"form": "qupath"}
    for path in outlines:
        if path not in claims:
            yield Problem(f"{path.relative_to(folder)}: annotation without image")


def _coco_images(folder: Path, listings: list[Path]) -> Iterator[Found | Problem]:
    named = set()
    for path in listings:
        for image in read_coco(path).images:
            name = image["file_name"]
            places = [files.below(folder, name), files.below(folder, f"images/{name}")]
            there = next((place for place in places if name and place.is_file()), None)
            if there is None:
                yield Problem(f"{path.name}: {name} is missing")
                continue
            named.add(there.resolve())
            size = [image.get("width"), image.get("height")]
            yield there, path, {"form": "coco", "id": image["id"], "size": size}
    homes = {path.parent for path in named}
    for picture in _pictures_below(folder):
        if picture.resolve() not in named and picture.resolve().parent in homes:
            yield Problem(f"{picture.relative_to(folder)}: image in no COCO file")


def _images_table(folder: Path) -> list[dict[str, str]]:
    path = folder / "images.csv"
    return files.table(path, ["image"]) if path.is_file() else []


def _told(folder: Path, column: str) -> bool:
    return any(row.get(column) for row in _images_table(folder))


def _labels(folder: Path) -> dict[str, str]:
    """Label id by class, as ``labels.csv`` says; names differ by more than case and blanks around them."""
    path = folder / "labels.csv"
    labels: dict[str, str] = {}
    for number, row in enumerate(files.table(path, ["class", "label"]) if path.is_file() else [], start=2):
        try:
            label = Label.from_id(row["label"].lower()).id
        except BadInput as error:
            raise BadInput(f"{path} line {number}: {error}") from error
        if labels.setdefault(_key(row["class"]), label) != label:
            raise BadInput(f"{path} line {number}: class '{row['class']}' has another label above")
    return labels


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


def _scale(image: Path, told: str, given: float) -> float:
    """Um per pixel: the table's, the file's, or the one given."""
    if told:
        try:
            return check_mpp(float(told))[0]
        except ValueError as error:  # BadInput is one of them
            raise BadInput(f"images.csv: mpp '{told}' of {image.name} is no scale in um per pixel") from error
    found = read_scale(image)
    if found.mpp:
        return float(np.sqrt(found.mpp[0] * found.mpp[1]))
    if given:
        return check_mpp(given)[0]
    raise BadInput(f"{image.name}: {found.no_mpp}; add --mpp, or a column mpp in images.csv")
