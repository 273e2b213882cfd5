"""What a model sees of a person's images, as a folder to correct in QuPath and to learn from again.

The folder is one that ``data build`` and ``finetune`` read: each image with its ``NAME.geojson``, ``labels.csv`` (what
was looked for, so that an image from which all objects are deleted teaches that nothing is there), ``images.csv`` (the
scale), and ``order.csv``: the images by how sure the model is, the least sure first.
"""

from __future__ import annotations

import csv
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.atomic import hidden, written
from pathsegmentor.data.names import stem
from pathsegmentor.errors import BadInput
from pathsegmentor.export.geojson import dumps
from pathsegmentor.imaging import PALETTE, read_picture
from pathsegmentor.segment import Segmenter
from pathsegmentor.segment.result import Status

ORDER = "order.csv"
OURS = {ORDER, "labels.csv", "images.csv"}


@dataclass(frozen=True)
class Seen:
    """One image: its name in the folder, its scale, how sure the model is, and of which label it is least sure."""

    name: str
    mpp: float
    sureness: float
    label: str
    objects: int


def sureness(probability: NDArray[np.float32], mask: NDArray[np.bool_], presence: float, status: Status) -> float:
    """How sure an answer is, 0..1: the Dice that the model itself expects of its mask, or that nothing is there.

    The probability (H, W) of each pixel is taken at its word: of a mask M, 2 sum(p in M) / (|M| + sum(p)) is then
    about the Dice with what a person would draw; where the model sees nothing, 1 - presence.
    """
    if status == "absent" or not mask.any():
        return 1.0 - presence
    inside = float(probability[mask].sum(dtype=np.float64))
    return 2 * inside / (float(mask.sum()) + float(probability.sum(dtype=np.float64)))


def annotate(
    images: Sequence[Path],
    segmenter: Segmenter,
    prompts: Sequence[str],
    out: Path,
    mpp: float | None = None,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> tuple[list[Seen], list[str]]:
    """Write the folder; returns what was seen, the least sure first, and a line about each image that failed.

    Without ``prompts`` all labels of the model are asked. Raises ``BadInput`` if ``out`` holds anything (corrections
    are never written over), for words the model does not know, or if no image can be used.
    """
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise BadInput(f"--out {out} is not empty; corrections are never written over: choose a new folder")
    asked = list(prompts) or [label.id for label in segmenter.model.vocabulary]
    labels = list(dict.fromkeys(candidate.label.id for candidate in segmenter.understand(asked)))
    seen: list[Seen] = []
    failed: list[str] = []
    with written(out):
        out.parent.mkdir(parents=True, exist_ok=True)
        with hidden(out.parent, is_folder=True) as stage:
            for number, (image, name) in enumerate(zip(images, names_of(images), strict=True)):
                try:
                    seen.append(_one(image, name, segmenter, labels, stage, mpp))
                except BadInput as error:
                    failed.append(str(error))
                progress(number + 1, len(images))
            if not seen:
                raise BadInput(failed[0])
            seen.sort(key=lambda one: (one.sureness, one.name))
            _tables(stage, seen, labels)
            if out.is_dir():
                out.rmdir()
            stage.rename(out)
    return seen, failed


def names_of(images: Sequence[Path]) -> Iterator[str]:
    """File names for images of one folder: of those with one stem, later ones get a number."""
    taken = {Path(name).stem for name in OURS}
    for image in images:
        name, number = stem(image.name), 2
        while name.lower() in taken:
            name, number = f"{stem(image.name)}-{number}", number + 1
        taken.add(name.lower())
        yield name + image.name[len(stem(image.name)) :]


def _one(image: Path, name: str, segmenter: Segmenter, labels: Sequence[str], stage: Path, mpp: float | None) -> Seen:
    picture = read_picture(image, mpp)
    encoded = segmenter.encode_image(picture, mpp)
    result = segmenter.segment(encoded, labels)
    founds = {found.label.id: found for found in result.founds}
    sure = {
        label: sureness(probability, founds[label].mask, founds[label].presence, founds[label].status)
        for label, probability, _, _ in segmenter.probabilities(encoded, labels)
    }
    colours = {label: PALETTE[i % len(PALETTE)] for i, label in enumerate(labels)}
    shutil.copyfile(image, stage / name)
    (stage / f"{stem(name)}.geojson").write_text(dumps(result, colours, editable=True), encoding="utf-8")
    least = min(sure, key=lambda label: sure[label])
    objects = sum(found.count for found in founds.values())
    return Seen(name, float(np.sqrt(encoded.mpp[0] * encoded.mpp[1])), sure[least], least, objects)


def _tables(stage: Path, seen: Sequence[Seen], labels: Sequence[str]) -> None:
    _write(stage / "labels.csv", ("class", "label"), [(label, label) for label in labels])
    _write(stage / "images.csv", ("image", "mpp"), [(one.name, f"{one.mpp:g}") for one in seen])
    rows = [(i, one.name, f"{one.sureness:.4f}", one.label, one.objects) for i, one in enumerate(seen, 1)]
    _write(stage / ORDER, ("rank", "image", "sureness", "least_sure_label", "objects"), rows)


def _write(path: Path, columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file, lineterminator="\n").writerows([columns, *rows])
