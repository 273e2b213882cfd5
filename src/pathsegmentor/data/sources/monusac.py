"""MoNuSAC: four kinds of cells in four organs (R. Verma et al., IEEE Transactions on Medical Imaging 2021)."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.data import files
from pathsegmentor.data.outlines import paint
from pathsegmentor.data.record import Annotated, Counts, Item, Licence, MaskArray, Pixels, Problem, Source
from pathsegmentor.errors import BadInput

LABELS = {kind: f"unspecified-cell-{kind}" for kind in ("epithelial", "lymphocyte", "macrophage", "neutrophil")}
AMBIGUOUS = "ambiguous"
PARTS = {"train": "MoNuSAC_images_and_annotations", "test": "MoNuSAC Testing Data and Annotations"}
# Found in both official parts by a public list.
TWICE = ("TCGA-A2-A0ES", "TCGA-MP-A4T7")
LAYOUT = tuple(f"{part}/PATIENT/PATIENT_N.svs (or .tif) and .xml" for part in PARTS.values())
MPP = 0.25
FACTOR = 1.0


def items(folder: Path) -> Iterator[Item | Problem]:
    """Crops of both parts; training crops of patients who are also in the test part are left out."""
    homes = [folder, *sorted(path for path in folder.glob("*") if path.is_dir())]
    if folder.name in PARTS.values():
        homes.append(folder.parent)
    top = next((home for home in homes if any((home / part).is_dir() for part in PARTS.values())), folder)
    yield from files.at_least_one(_items(top), folder, LAYOUT)


def _items(top: Path) -> Iterator[Item | Problem]:
    outlines = {split: files.visible(top / part, "*/*.xml") for split, part in PARTS.items()}
    tested = {_patient(path) for path in outlines["test"]}.union(TWICE)
    for split, part in PARTS.items():
        if not (top / part).is_dir():
            yield Problem(f"{top / part} is missing: no images for {split}")
        images = {path.with_suffix(""): path for path in files.visible(top / part, "*/*.tif")}
        # In the .tif files red and blue are exchanged, so those only where there is nothing better.
        images |= {path.with_suffix(""): path for path in files.visible(top / part, "*/*.svs")}
        for outline in outlines[split]:
            image = images.pop(outline.with_suffix(""), None)
            patient = _patient(outline)
            if image is None:
                yield Problem(f"{part}/{outline.name}: no .svs or .tif beside it")
            elif split == "train" and patient in tested:
                yield Problem(f"{image.name}: left out of training, patient {patient} is also in the test part")
            else:
                yield Item(outline.stem, (image, outline), MPP, FACTOR, split, patient, outline.parent.name)
        for image in images.values():
            yield Problem(f"{part}/{image.name}: image without .xml")


def _patient(path: Path) -> str:
    """The patient of a TCGA slide, whose crops share a folder."""
    return "-".join(path.parent.name.split("-")[:3])


def read(item: Item) -> Annotated:
    """All cells of the four kinds; about pixels of ambiguous ones nothing is known."""
    image, outline = item.files
    pixels = files.rgb(image) if image.suffix == ".svs" else _tif(image)
    root = _xml(outline)
    masks = {kind: np.zeros(pixels.shape[:2], np.int32) for kind in (*LABELS, AMBIGUOUS)}
    for annotation in root.iter("Annotation"):
        regions = list(annotation.iter("Region"))
        name = annotation.find("Attributes/Attribute")
        kind = (name.get("Name", "") if name is not None else "").strip().lower()
        if regions and kind not in masks:
            raise BadInput(f"{outline}: unknown class '{kind}'; known: {', '.join(masks)}")
        for region in regions:
            points = _vertices(region, outline)
            if len(points) >= 3:
                # Pixel centres are at whole numbers here, as in the organisers' code.
                paint(masks[kind], [points + 0.5], int(masks[kind].max()) + 1)
    ignore = masks.pop(AMBIGUOUS) > 0
    labelled: dict[str, MaskArray] = {LABELS[kind]: mask for kind, mask in masks.items()}
    return Annotated(pixels, labelled, frozenset(labelled), ignore if ignore.any() else None, _mpp(root))


def _tif(path: Path) -> Pixels:
    """The organisers wrote RGBA with a library that takes BGRA: red and blue are exchanged."""
    return np.ascontiguousarray(files.rgb(path)[..., ::-1])


def _xml(path: Path) -> ET.Element:
    """The root; files that define entities are refused, for those can blow up without end."""
    try:
        text = files.need(path, "an annotation").read_text(encoding="utf-8-sig")
        if "<!DOCTYPE" in text or "<!ENTITY" in text:
            raise BadInput(f"{path} defines a document type or entities, which no file of the set does")
        root = ET.fromstring(text)  # noqa: S314 - entities are refused above
    except (UnicodeDecodeError, ET.ParseError) as error:
        raise BadInput(f"{path} is damaged or no XML: {error}") from error
    if root.tag != "Annotations":
        raise BadInput(f"{path} begins with <{root.tag}>; expected <Annotations>")
    return root


def _mpp(root: ET.Element) -> float:
    """The scanner's scale where it is plausible, else 0."""
    try:
        mpp = float(root.get("MicronsPerPixel", ""))
    except ValueError:
        return 0.0
    return mpp if 0.05 <= mpp <= 2 else 0.0


def _vertices(region: ET.Element, path: Path) -> NDArray[np.float64]:
    """Corners of a polygon (n, 2), x and y in pixels of the crop."""
    try:
        points = np.array([(float(v.attrib["X"]), float(v.attrib["Y"])) for v in region.iter("Vertex")])
    except (KeyError, ValueError) as error:
        raise BadInput(f"{path}: region {region.get('Id', '?')} has a corner without numbers: {error}") from error
    if not np.isfinite(points).all():
        raise BadInput(f"{path}: region {region.get('Id', '?')} has a corner that is not finite")
    return points.reshape(-1, 2)


SOURCE = Source(
    name="monusac",
    title="MoNuSAC",
    url="https://monusac-2020.grand-challenge.org/",
    licence=Licence("CC BY-NC-SA 4.0", True, True, False),
    layout=LAYOUT,
    magnification="40x",
    mpp=MPP,
    factor=FACTOR,
    labels=tuple(LABELS.values()),
    split="official",
    seen="derived",
    items=items,
    read=read,
    paper=Counts(359, 642, 454, 188),
    notes=(
        "the .tif files have red and blue exchanged: put right here, and the .svs is preferred",
        f"training images of {' and '.join(TWICE)} are left out, for these patients are also in the test part",
    ),
)
