"""A writer of results that is killed: at each step it makes on the disk, or after a time.

``python -m tests.export.kills FOLDER FIRST MODE...`` writes into ``FOLDER/MODE/out`` in processes of its own that are
killed from the FIRST step on, looks at what they left each time, and prints as JSON what it saw, by mode: ``alone``
(the folder holds results only), ``others`` (it also holds a file of somebody else) or ``inside`` (folders cannot be
exchanged).
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from pathsegmentor.atomic import sha256_of
from pathsegmentor.errors import BadInput
from pathsegmentor.export import place
from pathsegmentor.export.folder import file_names, write
from pathsegmentor.imaging import Picture
from pathsegmentor.segment import Found, Result
from pathsegmentor.vocabulary import Label
from tests.killed import killed_at

STEPS = {"os.mkdir", "os.rename", "os.remove", "os.rmdir", "os.chmod", "os.scandir", "os.listdir", "open"}
PICTURE = Picture(np.full((24, 620, 3), 200, np.uint8), (0.5, 0.5), "a.png", "0" * 64)
MOST = 500


def result(first: int, names: tuple[str, ...]) -> Result:
    """One answer per name, each with some squares; ``first`` makes it another one."""
    founds = []
    for number, name in enumerate(names, first):
        mask = np.zeros((24, 620), bool)
        for i in range(number + 1):
            mask[4:16, 20 * i : 20 * i + 12 + first] = True
        founds.append(Found(name, Label("colon", "tissue", name), "", "present", 1.0, mask, (0.5, 0.5), 0.0))
    return Result("a.png", "0" * 64, 620, 24, (0.5, 0.5), "m", "0", 0.5, tuple(founds), 0.0, "0")


# They share a mask's name, and each has one that the other has not.
OLD, NEW = result(1, ("gland", "stroma")), result(3, ("gland", "tumor", "mucosa"))


def put(one: Result, out: Path) -> None:
    """Write a result as the command does."""
    with place.placed(out, file_names([found.label for found in one.founds], PICTURE)) as stage:
        write(one, PICTURE, stage, out)


def state(out: Path) -> str:
    """``old`` or ``new`` if the folder holds that result, whole; ``none`` if it has no record; else what is wrong."""
    record = place.read_record(out)
    if record is None:
        return "none"
    wrong = [name for name, digest in record["files"].items() if sha256_of(out / name) != digest]
    beside = {path.name for path in out.iterdir() if path.suffix != ".txt" and not path.name.startswith(".")}
    wrong += sorted(beside ^ {*record["files"], place.RECORD})
    for entry in record["results"]:
        mask = np.asarray(Image.open(out / Path(entry["mask"]).name)) > 0
        wrong += [entry["label"]] if abs(mask.sum() * 0.25 - entry["area_um2"]) > 0.01 else []
    features = json.loads((out / "result.geojson").read_text())["features"]
    wrong += ["features"] if len(features) != sum(entry["count"] for entry in record["results"]) else []
    named = [entry["prompt"] for entry in record["results"]]
    known = {"old": [found.prompt for found in OLD.founds], "new": [found.prompt for found in NEW.founds]}
    return f"mixed: {wrong}" if wrong else next(name for name, prompts in known.items() if prompts == named)


def hidden(folder: Path) -> list[str]:
    """What writers have left behind below a folder."""
    return [path.name for path in folder.rglob(".pathsegmentor*")]


def then(out: Path) -> str:
    """The state after another run has begun there and was refused."""
    try:
        with place.placed(out, [place.RECORD]):
            raise BadInput("refused")
    except BadInput:
        return state(out)


def main(folder: Path, first: int, mode: str) -> list[dict[str, object]]:
    """Kill at the first step, the next ... until the writer comes to its end; each time from OLD, whole."""
    out: Path = folder / "out"
    seen: list[dict[str, object]] = []
    out.mkdir(parents=True)
    if mode == "inside":
        place.exchange = lambda one, other: False
    if mode == "others":
        (out / "notes.txt").write_text("mine")
    for step in range(first, MOST):
        put(OLD, out)
        swept = not hidden(folder)
        killed = killed_at(step, STEPS, partial(put, NEW, out))
        seen.append({"state": state(out), "swept": swept, "killed": killed, "then": then(out)})
        if not killed:
            break
    return seen


if __name__ == "__main__":
    # A killed process loses nothing that it has written; waiting for the disk is for power cuts.
    os.fsync = lambda number: None  # type: ignore[assignment]
    print(json.dumps({mode: main(Path(sys.argv[1]) / mode, int(sys.argv[2]), mode) for mode in sys.argv[3:]}))
