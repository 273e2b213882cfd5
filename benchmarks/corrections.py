"""How much a person corrects, round by round, when the model draws first: played with annotations held back.

``python benchmarks/corrections.py --data FOLDER/pannuke_breast --work runs/corrections --out FILE``: fifteen patches of
breast, neoplastic nuclei. Five are drawn from nothing and teach the model; ``annotate`` shows what it sees of the other
ten; five of them, the least sure or, for comparison, five at random, are corrected and teach it with the first; then
the last five are shown. A correction makes the file what the held-back annotation says.

Rule: objects found and true are paired one to one so that the sum of IoU is largest. A pair with IoU of at least 0.5 is
left, from 0.1 on it is redrawn; other objects found are deleted, other true ones added. From nothing, all are added.
"""

from __future__ import annotations

import argparse
import csv
import json
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import shapely
from numpy.typing import NDArray
from PIL import Image
from scipy.optimize import linear_sum_assignment

from pathsegmentor.data.drawn import Drawn
from pathsegmentor.data.qupath import qupath_objects
from pathsegmentor.segment.rings import polygons

LABEL = "breast-nuclei-neoplastic"
LEFT, REDRAWN = 0.5, 0.1
ROUND = 5
Numbers = NDArray[np.int32]


def truth_of(data: Path, name: str) -> Numbers:
    """Instance numbers 1..n (H, W) of the neoplastic nuclei of a patch."""
    kinds = np.asarray(Image.open(data / "train" / "masks" / f"{name}.png"))
    instances = np.asarray(Image.open(data / "train" / "instances" / f"{name}.png")) * (kinds == 1)
    return np.unique(instances, return_inverse=True)[1].reshape(kinds.shape).astype(np.int32)


def found_of(path: Path, shape: tuple[int, int]) -> Numbers:
    """Objects of a GeoJSON as instance numbers (H, W)."""
    numbers = np.zeros(shape, np.int32)
    for number, one in enumerate(qupath_objects(path), 1):
        if isinstance(one, Drawn):
            one.paint(numbers, number)
    return np.unique(numbers, return_inverse=True)[1].reshape(shape).astype(np.int32)


def corrections(found: Numbers, truth: Numbers) -> dict[str, int]:
    """Objects to delete, add, redraw and leave; the rule is at the top."""
    overlap = np.zeros((found.max() + 1, truth.max() + 1))
    np.add.at(overlap, (found.ravel(), truth.ravel()), 1)
    sums = overlap.sum(axis=1)[1:, None] + overlap.sum(axis=0)[None, 1:]
    iou = overlap[1:, 1:] / np.maximum(sums - overlap[1:, 1:], 1)
    pairs = iou[linear_sum_assignment(-iou)]
    left, redrawn = int((pairs >= LEFT).sum()), int(((pairs < LEFT) & (pairs >= REDRAWN)).sum())
    paired = left + redrawn
    return {"delete": len(iou) - paired, "add": iou.shape[1] - paired, "redraw": redrawn, "leave": left}


def correct(folder: Path, name: str, truth: Numbers) -> None:
    """Make a GeoJSON what the held-back annotation says, as a person would in QuPath."""
    features = [
        {
            "type": "Feature",
            "geometry": json.loads(shapely.to_geojson(shape)),
            "properties": {"objectType": "detection", "classification": {"name": LABEL}},
        }
        for shape in polygons(truth)
    ]
    (folder / f"{name}.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))


def call(*arguments: object) -> Any:
    """Run a command of the program; returns its JSON document."""
    command = [sys.executable, "-m", "pathsegmentor", *map(str, arguments), "--json"]
    return json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


def teach(data: Path, names: Sequence[str], folder: Path, asked: argparse.Namespace) -> Path:
    """Fine-tune on corrected images; returns the model."""
    model = folder / "model"
    if model.is_dir():
        return model
    shutil.rmtree(folder, ignore_errors=True)
    images = folder / "corrected"
    images.mkdir(parents=True)
    rows = ["image,split,mpp"]
    for name in names:
        shutil.copyfile(data / "train" / "images" / f"{name}.jpg", images / f"{name}.jpg")
        correct(images, name, truth_of(data, name))
        rows.append(f"{name}.jpg,train,0.25")
    (images / "images.csv").write_text("\n".join(rows) + "\n")
    (images / "labels.csv").write_text(f"class,label\n{LABEL},{LABEL}\n")
    call("finetune", "--data", images, "--model", asked.model, "--out", model, "--steps", asked.steps)
    return model


def shown(data: Path, names: Sequence[str], model: Path, folder: Path) -> tuple[list[str], dict[str, dict[str, int]]]:
    """What ``annotate`` shows of images: their names in its order, and the corrections that each needs."""
    shutil.rmtree(folder, ignore_errors=True)
    images = [data / "train" / "images" / f"{name}.jpg" for name in names]
    call("annotate", *images, "--model", model, "--prompt", LABEL, "--mpp", 0.25, "--out", folder)
    order = [row["image"].removesuffix(".jpg") for row in csv.DictReader((folder / "order.csv").open())]
    needed = {}
    for name in order:
        truth = truth_of(data, name)
        needed[name] = corrections(found_of(folder / f"{name}.geojson", truth.shape), truth)
    return order, needed


def row(number: int, way: str, names: Sequence[str], needed: dict[str, dict[str, int]]) -> dict[str, Any]:
    """One round in the table."""
    sums = {key: sum(needed[name][key] for name in names) for key in ("delete", "add", "redraw", "leave")}
    made = sums["delete"] + sums["add"] + sums["redraw"]
    from_nothing = sums["leave"] + sums["redraw"] + sums["add"]
    return {"round": number, "order": way, "images": len(names), **sums, "corrections": made, "nothing": from_nothing}


def play(asked: argparse.Namespace) -> list[dict[str, Any]]:
    """All rounds, in both orders."""
    data, work = asked.data, asked.work
    names = sorted(path.stem for path in (data / "train" / "images").glob("*.jpg"))
    there = [name for name in names if truth_of(data, name).any()]
    none = [name for name in names if name not in there]
    first = [*there[:3], *none[:2]]  # a person begins where there is something to draw
    rest = [name for name in names if name not in first]
    empty = {"delete": 0, "redraw": 0, "leave": 0}
    rows = [row(1, "by hand", first, {name: {**empty, "add": int(truth_of(data, name).max())} for name in first})]
    model = teach(data, first, work / "first", asked)
    order, needed = shown(data, rest, model, work / "shown")
    mixed = [str(name) for name in np.random.default_rng(asked.seed).permutation(rest)]
    for way, names_so in (("least sure first", order), ("random", mixed)):
        rows.append(row(2, way, names_so[:ROUND], needed))
        folder = work / way.replace(" ", "-")
        model = teach(data, [*first, *names_so[:ROUND]], folder, asked)
        _, last = shown(data, names_so[ROUND:], model, folder / "shown")
        rows.append(row(3, way, names_so[ROUND:], last))
    return rows


def main() -> None:
    """Play, and write the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--seed", type=int, default=0)
    asked = parser.parse_args()
    rows = play(asked)
    found = {"command": shlex.join(["python", *sys.argv]), "label": LABEL, "steps": asked.steps, "rounds": rows}
    asked.out.write_text(json.dumps(found, indent=1) + "\n")


if __name__ == "__main__":
    main()
