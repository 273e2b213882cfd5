"""A user's folder as the cases need it: one image with boxes drawn on it, built with the one command."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pathsegmentor.data.pathseg import PathSeg
from tests.cli.conftest import Done
from tests.data.made import picture, save

Run = Callable[..., Done]
SIDE = 128
BOX, OTHER = (8, 8, 56, 56), (72, 80, 112, 120)


def ring(box: Sequence[int]) -> list[list[int]]:
    left, top, right, bottom = box
    return [[left, top], [right, top], [right, bottom], [left, bottom], [left, top]]


def feature(box: Sequence[int], classification: Any, **geometry: Any) -> dict[str, Any]:
    """An annotation of QuPath; further words go into its geometry."""
    return {
        "type": "Feature",
        "geometry": {"type": "Polygon", "coordinates": [ring(box)], **geometry},
        "properties": {"objectType": "annotation", "classification": classification},
    }


def outlines(path: Path, *features: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    return path


def coco(path: Path, name: str, *boxes: Sequence[int]) -> Path:
    document = {
        "images": [{"id": 1, "file_name": name, "width": SIDE, "height": SIDE}],
        "annotations": [
            {
                "id": n,
                "image_id": 1,
                "category_id": 1,
                "segmentation": [[value for point in ring(box) for value in point]],
            }
            for n, box in enumerate(boxes, start=1)
        ],
        "categories": [{"id": 1, "name": "Tumor"}],
    }
    path.write_text(json.dumps(document))
    return path


def image(path: Path, seed: int = 1) -> Path:
    return save(path, picture(seed, SIDE, SIDE))


def build(here: Run, folder: Path) -> Done:
    """The user's command; the set comes to lie beside the folder."""
    out = folder.parent / "pathseg"
    return here("data", "build", "--source", f"folder={folder}", "--mpp", 0.25, "--out", out, "--json")


def boxes(folder: Path) -> dict[str, tuple[int, ...]]:
    """Label and box of every mask in the set, in pixels of the image; each mask must fill its box."""
    data, found = PathSeg(folder.parent / "pathseg"), {}
    for entry in data.entries:
        for label, mask in data.sample(entry).masks.items():
            rows, columns = np.nonzero(np.asarray(mask))
            top, bottom, left, right = rows.min(), rows.max() + 1, columns.min(), columns.max() + 1
            assert len(rows) == (bottom - top) * (right - left)
            found[label] = tuple(int(v) * SIDE // 1024 for v in (left, top, right, bottom))
    return found
