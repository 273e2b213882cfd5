"""An evaluation that is killed before every fourth step it makes on the disk, and gone on with.

``python -m tests.evaluate.killed FOLDER`` prints as JSON how often it was killed, after how many of these kills
finished portions were kept, and after which step something was wrong in the end.
"""

from __future__ import annotations

import json
import os
import sys
from functools import partial
from pathlib import Path
from typing import Any

from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.evaluate import run
from pathsegmentor.evaluate.run import PARTS, all_labels, choose, evaluate
from pathsegmentor.evaluate.samples import SAMPLES, read_samples
from pathsegmentor.evaluate.settings import Settings
from tests.data.made import hashes
from tests.evaluate.made import OracleMaker, made_set
from tests.killed import killed_at

STEPS = {"os.mkdir", "os.rename", "os.remove", "open"}
MOST = 2000
SETTINGS = Settings("test", masks=True)


def go(data: Path, out: Path) -> None:
    pathseg = PathSeg(data)
    entries, labels = choose(pathseg, SETTINGS), all_labels(pathseg.entries)
    evaluate(OracleMaker("oracle", data=data), data, out, SETTINGS, entries, labels)


def state(out: Path) -> tuple[dict[str, str], list[str]]:
    """Every file of a run, the rows as rows without their seconds."""
    files = {name: value for name, value in hashes(out).items() if not name.startswith(PARTS) and name != SAMPLES}
    return files, [repr(row) for row in read_samples(out).drop_columns(["seconds"]).to_pylist()]


def main(folder: Path) -> dict[str, Any]:
    data = made_set(folder / "pathseg", first=15, second=3)
    go(data, folder / "whole")
    whole = state(folder / "whole")
    kills, kept, wrong = 0, 0, []
    for step in range(0, MOST, 4):
        out = folder / str(step)
        if not killed_at(step, STEPS, partial(go, data, out)):
            break
        kills += 1
        there = {path: path.stat().st_mtime_ns for path in (out / PARTS).glob("0*.parquet")}
        kept += bool(there)
        go(data, out)
        untouched = all(path.stat().st_mtime_ns == when for path, when in there.items())
        if state(out) != whole or not untouched:
            wrong.append(step)
    return {"kills": kills, "kept": kept, "wrong": wrong}


if __name__ == "__main__":
    # A killed process loses nothing that it has written; waiting for the disk is for power cuts.
    os.fsync = lambda number: None  # type: ignore[assignment]
    run.IMAGES = 6  # several portions of few images
    print(json.dumps(main(Path(sys.argv[1]))))
