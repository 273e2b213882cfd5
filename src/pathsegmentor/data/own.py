"""A user's own annotated folder, in one of four forms.

- ``pathseg.yaml``: a description (``layout.py``);
- QuPath: images, each with ``NAME.geojson`` beside it or in any other folder (``qupath.py``);
- COCO: images and ``.json`` files with ``images``, ``annotations`` and ``categories`` (``coco.py``);
- masks: ``images/`` and ``masks/`` with the same names, and ``labels.csv`` (``masks.py``).

``labels.csv`` (columns ``class``, ``label``) says which label a class name or mask code means; without it
a class name that is a label id is taken as such, any other becomes ``unspecified-tissue-NAME``. QuPath's
own ``Ignore*`` marks pixels about which nothing is known; other names that end with ``*`` are no labels.
``images.csv`` (column ``image``, and any of ``split``, ``patient``, ``slide``, ``mpp``) tells more about
the images; the scale is otherwise the file's own, or the one given. The same picture under several names
is one image with all of their annotations. Every annotated object is counted (``counted.py``).
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np

from pathsegmentor.data import content, files
from pathsegmentor.data.counted import Count, Passed, all_passed
from pathsegmentor.data.drawn import Drawn, annotate
from pathsegmentor.data.layout import UM_AT_40X, read_layout, source_of
from pathsegmentor.data.masks import read_masks
from pathsegmentor.data.names import composed, stem
from pathsegmentor.data.pairs import MASKS, Pair, Part, find_pairs
from pathsegmentor.data.record import Annotated, Item, Licence, Pixels, Problem, Source, Unused
from pathsegmentor.data.tables import IMAGES, Facts, ImagesTable, read_labels, together
from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.picture import check_mpp
from pathsegmentor.imaging.read import read_scale

DESCRIPTION = "pathseg.yaml"
LAYOUT = (
    DESCRIPTION,
    "or images with NAME.geojson from QuPath",
    "or images and COCO .json files",
    MASKS,
)
# What stands for a user's own folder where a source is named.
OWN = "folder"
# Scales of one picture's files that differ by more contradict each other.
MOST_UNEQUAL = 1.05


def own_source(folder: Path, mpp: float = 0.0) -> Source:
    """The source that reads a user's folder; ``mpp`` is the scale of images that do not tell theirs."""
    if (folder / DESCRIPTION).is_file():
        found = source_of(read_layout(folder / DESCRIPTION))
        return replace(found, items=partial(_once, found))
    labels = tuple(sorted(set(read_labels(folder).values())))
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
        split="official" if ImagesTable(folder).tells("split") else "random",
        seen="bytes",
        items=partial(own_items, mpp=mpp),
        read=read_own,
    )


def _once(source: Source, folder: Path) -> Iterator[Item | Problem]:
    return content.once(source.items(folder))


def own_items(folder: Path, mpp: float = 0.0) -> Iterator[Item | Problem]:
    """Images of the folder with their annotation, whichever form it has."""
    table, labels = ImagesTable(folder), read_labels(folder)
    pairs: list[Pair] = []
    for found in find_pairs(folder):
        if isinstance(found, Problem):
            yield found
            continue
        if found.parts[0].form == "masks" and not labels:
            raise BadInput(f"{folder} has masks/ but no labels.csv (columns class,label); class is the mask's code")
        pairs.append(found)
    facts, unclear, unmatched = table.given({pair.image.relative_to(folder).as_posix(): pair.image for pair in pairs})
    names: set[str] = set()
    for group, picture in _pictures(pairs):
        parts = [part for pair in group for part in pair.parts]
        try:
            item = _item(folder, group, _facts(group, facts, unclear), mpp)
        except BadInput as error:
            yield Problem(_named(folder, group, str(error)), _objects_in(parts))
            continue
        # Two formats of one name are two images.
        place = group[0].image.relative_to(folder).as_posix()
        name = next((name for name in (item.name, composed(place)) if name not in names), place)
        names.add(name)
        note = {"labels": labels, "parts": [(part.form, part.key, part.size) for part in parts]}
        yield replace(item, name=name, content=picture, note=json.dumps(note))
        for pair in group[1:]:
            what = f"{pair.image.relative_to(folder)}: the same picture as {place}; both are one image"
            yield Problem(what, lost=False)
    yield from table.unknown()
    yield from unmatched


def _facts(group: Sequence[Pair], facts: Mapping[Path, list[Facts]], unclear: Mapping[Path, str]) -> Facts:
    """What the table says of a picture under all of its names; raises ``BadInput`` if that is unclear."""
    for pair in group:
        if pair.image in unclear:
            raise BadInput(f"{unclear[pair.image]}; write its place in the folder")
    return together([row for pair in group for row in facts.get(pair.image, [])])


def _pictures(pairs: Sequence[Pair]) -> Iterator[tuple[list[Pair], str]]:
    """Images that are the same picture together, with what identifies it."""
    groups: dict[str, list[Pair]] = defaultdict(list)
    for pair, picture in zip(pairs, content.digests([pair.image for pair in pairs]), strict=True):
        groups[picture or f"unreadable {pair.image}"].append(pair)
    for picture, group in groups.items():
        yield group, "" if picture.startswith("unreadable") else picture


def _item(folder: Path, group: Sequence[Pair], facts: Facts, mpp: float) -> Item:
    """One image; raises ``BadInput`` if what is told about it cannot be used."""
    image = group[0].image
    name = composed(stem(image.relative_to(folder).as_posix()))
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise BadInput("its name is no text; rename it") from error
    scale = _scale([pair.image for pair in group], facts.mpp, mpp)
    return Item(
        name=name,
        files=(image, *(part.file for pair in group for part in pair.parts)),
        mpp=scale,
        factor=scale / UM_AT_40X,
        split=facts.split,
        patient=facts.patient,
        slide=facts.slide,
    )


def _named(folder: Path, group: Sequence[Pair], what: str) -> str:
    """A line that names the images it is about."""
    names = " and ".join(pair.image.relative_to(folder).as_posix() for pair in group)
    return what if group[0].image.name in what else f"{names}: {what}"


def _objects_in(parts: Iterable[Part]) -> int:
    """How many objects annotations hold; of those that cannot be read, and of masks, none."""
    count = 0
    for part in parts:
        try:
            count += len(part.objects()) if part.form != "masks" else 0
        except BadInput:
            continue
    return count


def read_own(item: Item) -> Annotated:
    """Pixels and masks of one image; raises ``Unused`` with its objects if it cannot be used."""
    note = json.loads(item.note)
    labels, image, annotations = note["labels"], item.files[0], item.files[1:]
    if note["parts"][0][0] == "masks":
        return read_masks(item.name, image, annotations, labels)
    parts = [
        Part(form, path, key, tuple(size)) for (form, key, size), path in zip(note["parts"], annotations, strict=True)
    ]
    objects, unreadable = _objects(parts)
    try:
        if unreadable:
            raise BadInput(unreadable)
        pixels = files.rgb(image)
        return annotate(pixels, [one for part, own in objects for one in _of_size(pixels, part, own)], labels)
    except BadInput as error:
        every = all_passed((one for _, own in objects for one in own), "belongs to an image that is left out")
        raise Unused(str(error), Count(passed=every)) from error


def _objects(parts: Iterable[Part]) -> tuple[list[tuple[Part, list[Drawn | Passed]]], str]:
    """The objects of each annotation, and what is wrong with one that cannot be read."""
    found, unreadable = [], ""
    for part in parts:
        try:
            found.append((part, part.objects()))
        except BadInput as error:
            unreadable = unreadable or str(error)
    return found, unreadable


def _of_size(pixels: Pixels, part: Part, objects: Iterable[Drawn | Passed]) -> Iterator[Drawn | Passed]:
    """Objects as they are, unless they were drawn on the image at another size."""
    height, width = pixels.shape[:2]
    told = [side or str(real) for side, real in zip(part.size, (width, height), strict=True)]
    other = told != [str(width), str(height)]
    turned = "; was it drawn without the image's EXIF orientation?" if told == [str(height), str(width)] else ""
    for one in objects:
        if other and isinstance(one, Drawn):
            reason = f"is drawn on {told[0]} x {told[1]} pixels, but the image is {width} x {height} pixels{turned}"
            yield Passed(one.place, one.name, reason)
        else:
            yield one


def _scale(images: Sequence[Path], told: str, given: float) -> float:
    """Um per pixel: the table's, the files', or the one given."""
    name = images[0].name
    if told:
        try:
            return check_mpp(float(told))[0]
        except ValueError as error:  # BadInput is one of them
            raise BadInput(f"{IMAGES}: mpp '{told}' of {name} is no scale in um per pixel") from error
    scales = [read_scale(path) for path in images]
    found = [float(np.sqrt(scale.mpp[0] * scale.mpp[1])) for scale in scales if scale.mpp]
    if found and max(found) > MOST_UNEQUAL * min(found):
        raise BadInput(f"its files say {min(found):.4g} and {max(found):.4g} um per pixel; say which in {IMAGES}")
    if found:
        return found[0]
    if given:
        return check_mpp(given)[0]
    raise BadInput(f"{name}: {scales[0].no_mpp}; add --mpp, or a column mpp in {IMAGES}")
