"""What fine-tuning gives and keeps: breast tumour and neoplastic nuclei, from 5, 10 and 15 images.

``python benchmarks/finetune.py --data FOLDER --pathseg pathseg --work runs/finetune``: FOLDER holds ``bcss_tumor`` and
``pannuke_breast`` in the layout below; ``pathseg`` is what the model has learnt from. Each case is a folder of ``work``
that is kept, so that several processes can share the work (``--only bcss-5``) and the last call joins the tables.
A case takes ``--steps`` steps; old test sets are evaluated with ``--old``, which takes some minutes for each.

Breast tumour: one slide teaches, the other one tests; the eight tiles of the first are halved, so that there are 16
images. The tumour's annotation is asked of the base model by the label nearest to it, for the figure "before".
"""

from __future__ import annotations

import argparse
import csv
import json
import platform
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.evaluate.columns import read_columns
from pathsegmentor.evaluate.gained import gained
from pathsegmentor.evaluate.groups import grouped
from pathsegmentor.evaluate.scores import dice
from pathsegmentor.imaging import Picture
from pathsegmentor.segment import Segmenter

COUNTS = (5, 10, 15)
TASKS = {
    "bcss": ("breast-tissue-tumor", "lung-tissue-tumor epithelial tissue"),
    "pannuke": ("breast-nuclei-neoplastic", "breast-nuclei-nuclei"),
}
TAUGHT = "TCGA-A2-A1G6-DX1"


def bcss(data: Path, out: Path, count: int) -> None:
    """The first ``count`` halves of tiles of one slide, in an order that mixes the region; the other slide tests."""
    rows = []
    taught = sorted((data / "bcss_tumor" / "train" / "images").glob(f"{TAUGHT}*.jpg"))
    halves = [(path, half) for half in (0, 1) for path in taught]
    for path, half in halves[:count]:
        rows.append(put(path, out, f"{path.stem}_{half}", "train", half))
    for path in sorted((data / "bcss_tumor" / "train" / "images").glob("*.jpg")):
        if not path.name.startswith(TAUGHT):
            rows.append(put(path, out, path.stem, "test", None))
    tables(out, rows, [("1", "breast-tissue-tumor")])


def pannuke(data: Path, out: Path, count: int) -> None:
    """Patches with and without neoplastic nuclei in turn, as many as ``count``; all of the test part."""
    facts = csv.DictReader((data / "pannuke_breast" / "images.csv").read_text().splitlines())
    there: dict[str, list[tuple[str, bool]]] = {"train": [], "test": []}
    for row in facts:
        there[row["split"]].append((row["image"], int(row["neoplastic"]) > 0))
    found = [name for name, some in there["train"] if some]
    none = [name for name, some in there["train"] if not some]
    turns = [name for pair in zip(found, none, strict=False) for name in pair]
    chosen = [*turns, *(name for name, _ in there["train"] if name not in turns)][:count]
    rows = []
    for split, names in (("train", chosen), ("test", [name for name, _ in there["test"]])):
        for name in names:
            rows.append(put(data / "pannuke_breast" / split / "images" / f"{name}.jpg", out, name, split, None))
    tables(out, rows, [("1", "breast-nuclei-neoplastic"), ("2", "breast-nuclei-other")])


def put(path: Path, out: Path, name: str, split: str, half: int | None) -> tuple[str, str, str]:
    """Image and mask, or one half of both, into the folder; returns the row of ``images.csv``."""
    mask = path.parent.parent / "masks" / f"{path.stem}.png"
    for kind, source in (("images", path), ("masks", mask)):
        (out / kind).mkdir(parents=True, exist_ok=True)
        target = out / kind / f"{name}{source.suffix}"
        if half is None:
            shutil.copyfile(source, target)
            continue
        target = target.with_suffix(".png")  # a second JPEG compression would be another picture
        pixels = np.asarray(Image.open(source))
        middle = pixels.shape[0] // 2
        Image.fromarray(pixels[:middle] if half == 0 else pixels[middle:]).save(target)
    return name, split, "0.25"


def tables(out: Path, rows: list[tuple[str, str, str]], labels: list[tuple[str, str]]) -> None:
    """``images.csv`` and ``labels.csv``."""
    for name, head, lines in (("images.csv", "image,split,mpp", rows), ("labels.csv", "class,label", labels)):
        (out / name).write_text("\n".join([head, *(",".join(line) for line in lines)]) + "\n")


def case(task: str, count: int, asked: argparse.Namespace) -> dict[str, Any]:
    """Fine-tune on ``count`` images, as a person would; returns what came of it."""
    folder = asked.work / f"{task}-{count}"
    done = folder / "case.json"
    if done.is_file():
        return dict(json.loads(done.read_text()))
    label, _ = TASKS[task]
    model, work = folder / "model", folder / "model-run"
    if not model.is_dir():
        shutil.rmtree(folder, ignore_errors=True)
        {"bcss": bcss, "pannuke": pannuke}[task](asked.data, folder / "data", count)
        command = [sys.executable, "-m", "pathsegmentor", "finetune", "--data", folder / "data", "--model", asked.model]
        command += ["--labels", label, "--out", model, "--steps", asked.steps, "--train", asked.train, "--json"]
        subprocess.run([*map(str, command)], capture_output=True, check=True)
    sources = {entry.first.source for entry in PathSeg(work / "pathseg").entries}
    row = gained(asked.model, model, work, sorted(sources), [label])[0]
    seconds = [json.loads(line).get("seconds", 0) for line in (work / "metrics.jsonl").read_text().splitlines()]
    found = {
        "task": task,
        "images": count,
        "test_images": row["images"],
        "after": row["after"],
        "called_absent": row["called_absent"],
        "minutes_of_steps": round(sum(seconds) / 60, 1),
    }
    done.write_text(json.dumps(found))
    return found


def before(task: str, asked: argparse.Namespace) -> float:
    """Mean Dice over the test images that show the label, of the base model asked by the nearest label it knows."""
    done = asked.work / f"{task}-before.json"
    if done.is_file():
        return float(json.loads(done.read_text()))
    label, nearest = TASKS[task]
    data = PathSeg(asked.work / f"{task}-{COUNTS[-1]}" / "model-run" / "pathseg")
    segmenter = Segmenter.from_pretrained(asked.model)
    scores = []
    for entry in data.entries:
        if entry.first.split == "test" and label in entry.labels:
            sample = data.sample(entry)
            found = segmenter.segment(segmenter.encode_image(Picture(sample.pixels, sample.mpp, sample.name)), nearest)
            scores.append(dice(found.founds[0].mask, sample.masks[label]))
    done.write_text(json.dumps(float(np.mean(scores))))
    return float(np.mean(scores))


def old(model: str, name: str, asked: argparse.Namespace) -> list[dict[str, Any]]:
    """Dice per source and label of the old test sets."""
    folder = asked.work / f"old-{name}"
    command = [sys.executable, "-m", "pathsegmentor", "evaluate", "--data", asked.pathseg, "--model", model]
    command += ["--split", "test", "--absent", "none", "--out", folder, "--json"]
    for source in asked.source:
        command += ["--source", source]
    if not (folder / "summary.json").is_file():
        subprocess.run([*map(str, command)], capture_output=True, check=True)
    rows = grouped(read_columns(folder), "source", "label")
    return [row for row in rows if row["dice"] is not None]


def join(asked: argparse.Namespace) -> dict[str, Any]:
    """All cases, and old test sets before and after."""
    tasks = [task for task in TASKS if any((asked.work / f"{task}-{n}" / "case.json").is_file() for n in COUNTS)]
    found: dict[str, Any] = {"cases": [], "before": {}, "old": []}
    for task in tasks:
        found["cases"] += [case(task, n, asked) for n in COUNTS if (asked.work / f"{task}-{n}" / "case.json").is_file()]
        found["before"][task] = round(before(task, asked), 4)
    if asked.old:
        models = {"before": asked.model} | {t: str(asked.work / f"{t}-{COUNTS[-1]}" / "model") for t in tasks}
        scores = {
            name: {(r["source"], r["label"]): r["dice"] for r in old(model, name, asked)}
            for name, model in models.items()
        }
        for source, label in sorted(scores["before"]):
            row = {name: round(of[source, label], 4) for name, of in scores.items() if (source, label) in of}
            found["old"].append({"source": source, "label": label} | row)
    return found


def main() -> None:
    """Cases, then the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--pathseg", type=Path, required=True)
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--train", default="heads")
    parser.add_argument("--steps", type=int, default=150)
    parser.add_argument("--only", nargs="*", default=[f"{task}-{n}" for task in TASKS for n in COUNTS])
    parser.add_argument("--source", nargs="*", default=[])
    parser.add_argument("--old", action="store_true")
    asked = parser.parse_args()
    for name in asked.only:
        task, _, count = name.partition("-")
        print(json.dumps(case(task, int(count), asked)), flush=True)
    if asked.out is None:
        return
    about = {
        "command": shlex.join(["python", *sys.argv]),
        "machine": f"{platform.system()} {platform.machine()}, 2 cores shared with other work",
        "model": asked.model,
        "steps": asked.steps,
        "train": asked.train,
    }
    asked.out.write_text(json.dumps(about | join(asked), indent=1) + "\n")


if __name__ == "__main__":
    main()
