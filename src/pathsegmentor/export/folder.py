"""A result as files that people open: masks, overlay, GeoJSON, and the record that names them all."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from pathsegmentor.atomic import sha256_of
from pathsegmentor.export.geojson import dumps
from pathsegmentor.export.place import RECORD
from pathsegmentor.imaging import PALETTE, Picture, needs_overview, overlay, overview
from pathsegmentor.segment import Found, Result
from pathsegmentor.vocabulary import Label

OVERLAY, OVERVIEW, GEOJSON = "overlay.png", "overview.png", "result.geojson"


def file_names(labels: Sequence[Label], picture: Picture) -> list[str]:
    """Names of all files that a result for these labels will have, its record last."""
    large = [OVERVIEW] if needs_overview(picture.height, picture.width) else []
    return [*mask_names(_distinct(labels)), OVERLAY, *large, GEOJSON, RECORD]


def write(result: Result, picture: Picture, stage: Path, folder: Path) -> list[str]:
    """Write all files into ``stage``, to be found in ``folder`` later; returns the masks' paths, one per prompt."""
    labels = [found.label for found in result.distinct]
    names = dict(zip((label.id for label in labels), mask_names(labels), strict=True))
    colours = {label.id: PALETTE[i % len(PALETTE)] for i, label in enumerate(labels)}
    layers = [(_legend(result, found), found.mask, colours[found.label.id]) for found in result.distinct]
    for found in result.distinct:
        _save(stage / names[found.label.id], found.mask.astype(np.uint8) * 255)
    _save(stage / OVERLAY, overlay(picture.pixels, layers, result.mpp))
    if needs_overview(picture.height, picture.width):
        _save(stage / OVERVIEW, overview(picture.pixels, layers, result.mpp))
    (stage / GEOJSON).write_text(dumps(result, colours), encoding="utf-8")
    masks = [str(folder / names[found.label.id]) for found in result.founds]
    record = result.record(masks) | {"files": {path.name: sha256_of(path) for path in sorted(stage.iterdir())}}
    (stage / RECORD).write_text(json.dumps(record, indent=1, allow_nan=False) + "\n", encoding="utf-8")
    return masks


def mask_names(labels: Sequence[Label]) -> list[str]:
    """File names of the labels; of labels that differ only in what a file name cannot hold, later ones get a number."""
    names: list[str] = []
    for label in labels:
        name, number = f"{label.file_name}.png", 2
        # Some file systems take names that differ in case only for one.
        while name.lower() in {OVERLAY, OVERVIEW, *(other.lower() for other in names)}:
            name, number = f"{label.file_name}-{number}.png", number + 1
        names.append(name)
    return names


def _distinct(labels: Sequence[Label]) -> list[Label]:
    return list({label.id: label for label in labels}.values())


def _save(path: Path, array: NDArray[np.uint8]) -> None:
    Image.fromarray(array).save(path, format="PNG")


def _legend(result: Result, found: Found) -> str:
    prompts = dict.fromkeys(other.prompt for other in result.founds if other.label == found.label)
    detail = "absent" if found.status == "absent" else f"{found.count} object{'' if found.count == 1 else 's'}"
    return f"{', '.join(prompts)}: {found.label.object_type.lower()}, {detail}"
