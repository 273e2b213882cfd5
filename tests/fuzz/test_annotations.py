"""Broken annotations of a user's own folder through ``data build``: QuPath, COCO, masks, tables."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tests.data.made import instances, picture
from tests.fuzz.harness import fuzz, run
from tests.fuzz.mutate import broken_bytes, broken_json

RING = [[10.5, 5.2], [60.7, 9.1], [70.2, 40.6], [30.4, 55.8], [10.5, 5.2]]
HOLE = [[30.2, 15.3], [50.6, 18.4], [40.1, 35.7], [30.2, 15.3]]


@cache
def png(seed: int) -> bytes:
    """A picture, or with an odd seed a mask of codes 0 to 3."""
    file = io.BytesIO()
    Image.fromarray(instances(seed) if seed % 2 else picture(seed)).save(file, "PNG")
    return file.getvalue()


def flat(points: list[list[float]]) -> list[float]:
    return [number for point in points for number in point]


def feature(name: Any, coordinates: Any, kind: str = "Polygon") -> dict[str, Any]:
    properties = {"objectType": "annotation", "classification": {"name": name, "color": [200, 0, 0]}}
    return {"type": "Feature", "geometry": {"type": kind, "coordinates": coordinates}, "properties": properties}


QUPATH = {
    "type": "FeatureCollection",
    "features": [
        feature("Tumor", [RING, HOLE]),
        feature("Stroma", [[RING], [HOLE]], "MultiPolygon"),
        feature("Ignore*", [HOLE]),
        feature("Point", [3, 4], "Point"),
    ],
}
COCO = {
    "images": [{"id": n, "file_name": f"{n}.png", "width": 80, "height": 60} for n in (1, 2)],
    "categories": [{"id": 1, "name": "gland"}, {"id": 2, "name": "nucleus"}],
    "annotations": [
        {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [flat(RING)], "bbox": [9, 5, 62, 51]},
        {"id": 2, "image_id": 2, "category_id": 2, "segmentation": [flat(HOLE)], "iscrowd": 0, "area": 200},
        {
            "id": 3,
            "image_id": 2,
            "category_id": 1,
            "iscrowd": 1,
            "segmentation": {"counts": [9, 5, 4786], "size": [60, 80]},
        },
    ],
}


def broken_table(rng: random.Random, text: str) -> bytes:
    return broken_bytes(rng, text.encode()) if rng.random() < 0.7 else text.encode()


def write_json(path: Path, text: str) -> None:
    path.write_text(text, encoding="utf-8", errors="surrogateescape")


def qupath(rng: random.Random, folder: Path) -> None:
    (folder / "a.png").write_bytes(png(2))
    write_json(folder / "a.geojson", broken_json(rng, QUPATH))
    if rng.random() < 0.3:
        (folder / "labels.csv").write_bytes(broken_table(rng, "class,label\nTumor,colon-tissue-tumor\n"))
    if rng.random() < 0.3:
        (folder / "images.csv").write_bytes(broken_table(rng, "image,split,patient,mpp\na.png,train,1,0.5\n"))


def coco(rng: random.Random, folder: Path) -> None:
    for number in (1, 2):
        (folder / f"{number}.png").write_bytes(png(2 * number))
    write_json(folder / "annotations.json", broken_json(rng, COCO))


def masks(rng: random.Random, folder: Path) -> None:
    for name in ("images", "masks"):
        (folder / name).mkdir()
    (folder / "images" / "a.png").write_bytes(png(2))
    mask = png(1)
    (folder / "masks" / "a.png").write_bytes(broken_bytes(rng, mask) if rng.random() < 0.5 else mask)
    table = "class,label\n1,colon-tissue-gland\n2,colon-tissue-tumor\n3,colon-tissue-gland\n4,colon-tissue-stroma\n"
    (folder / "labels.csv").write_bytes(broken_table(rng, table))


FORMS: tuple[Callable[[random.Random, Path], None], ...] = (qupath, qupath, coco, coco, masks)


def try_annotations(rng: random.Random, folder: Path) -> None:
    source, out = folder / "own", folder / "out"
    source.mkdir()
    rng.choice(FORMS)(rng, source)
    before = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
    try:
        run("data", "build", "--source", f"folder={source}", "--mpp", 0.25, "--all-labels", "--out", out)
    finally:
        after = {path: path.read_bytes() for path in source.rglob("*") if path.is_file()}
        assert after == before, "an input was modified"


@pytest.mark.slow
def test_annotations(tmp_path: Path) -> None:
    fuzz("annotations", tmp_path, try_annotations)
