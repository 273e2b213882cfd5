"""``pathsegmentor finetune``: gather the data, train, measure on held-out images, and write the model folder."""

from __future__ import annotations

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from pathsegmentor.cli.plain import plain
from pathsegmentor.cli.progress import bar
from pathsegmentor.cli.streams import complain, speaking
from pathsegmentor.cli.tell import tell_json, tell_table
from pathsegmentor.data.gather import gather
from pathsegmentor.data.manifest import MANIFEST
from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.errors import BadInput

SHOWN = 10


@dataclass(frozen=True)
class Request:
    """What a person asked for."""

    data: Path
    out: Path
    model: str
    labels: list[str]
    words: list[str]
    what: str
    rehearse: list[Path]
    steps: int
    mpp: float
    scale: float | None
    seed: int


def run(asked: Request, resume: bool, as_json: bool) -> None:
    """Teach, measure, write, tell."""
    try:
        from pathsegmentor.train.loop import train
    except ImportError as error:
        raise BadInput(f"training needs more packages ({error.name}): pip install 'pathsegmentor[train]'") from error
    from pathsegmentor.train.finetune import Wanted, labels_of, settings_for, synonyms_of
    from pathsegmentor.train.stop import Stopped

    _check_place(asked)
    work = asked.out.with_name(f"{asked.out.name}-run")
    names = _gathered(asked, work)
    data = PathSeg(work / "pathseg")
    labels = labels_of(data, names, asked.model, asked.labels)
    synonyms = synonyms_of(asked.words, labels)
    settings = settings_for(
        asked.out.name, data, names, asked.model, Wanted(labels, asked.scale), asked.what, asked.steps, asked.seed
    )
    try:
        folder = train(settings, work / "pathseg", work, resume)
    except Stopped as stopped:
        complain(str(stopped))
        raise typer.Exit(128 + stopped.number) from stopped
    _finish(asked, work, folder, names, labels, synonyms, as_json)


def _check_place(asked: Request) -> None:
    out = asked.out
    if out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise BadInput(f"--out {out} is there already; choose a new model folder")
    work = out.with_name(f"{out.name}-run").resolve()
    for folder in (asked.data, *asked.rehearse):
        if folder.exists() and work.is_relative_to(folder.resolve()):
            raise BadInput(f"--out {out} lies in {folder}, which is read; choose a place outside")


def _gathered(asked: Request, work: Path) -> list[str]:
    with bar() as shown:
        task = shown.add_task("reading images", total=None)
        names, report = gather(
            asked.data,
            asked.rehearse,
            work / "pathseg",
            asked.mpp,
            lambda _, done, total: shown.update(task, completed=done, total=total),
        )
    left = [what for entry in report["sources"] if entry["source"] in names for what in _left(entry)]
    for line in left[:SHOWN]:
        complain(f"left out: {line}")
    if len(left) > SHOWN:
        complain(f"left out: {len(left) - SHOWN} more, see {work / 'pathseg' / 'report.json'}")
    return names


def _left(entry: dict[str, Any]) -> list[str]:
    return [*entry["problems"], *entry["left_out"]]


def _finish(
    asked: Request,
    work: Path,
    folder: Path,
    names: list[str],
    labels: tuple[str, ...],
    synonyms: dict[str, list[str]],
    as_json: bool,
) -> None:
    from pathsegmentor.atomic import sha256_of
    from pathsegmentor.evaluate.gained import gained
    from pathsegmentor.model.find import find_folder
    from pathsegmentor.model.folder import WEIGHTS
    from pathsegmentor.model.learnt import describe_learnt

    _, base = find_folder(asked.model)
    rows = gained(asked.model, folder, work, names, labels)
    provenance = {
        "command": shlex.join(sys.argv),
        "base": asked.model,
        "base_weights_sha256": sha256_of(base / WEIGHTS),
        "data": str(asked.data),
        "rehearsed": [str(path) for path in asked.rehearse],
        "manifest_sha256": sha256_of(work / "pathseg" / MANIFEST),
        "labels": list(labels),
        "learnt": asked.what,
        "steps": asked.steps,
        "seed": asked.seed,
        "held_out": rows,
    }
    describe_learnt(folder, base, provenance, synonyms)
    if asked.out.is_dir():
        asked.out.rmdir()
    folder.rename(asked.out)
    if as_json:
        tell_json({"model": str(asked.out), **provenance})
        return
    if rows:
        cells = [(r["label"], r["images"], _number(r["before"]), _number(r["after"]), r["called_absent"]) for r in rows]
        tell_table("held-out images", ("label", "images#", "Dice before#", "Dice after#", "called absent#"), cells)
    with speaking():
        if not rows:
            print("nothing is measured: no held-out image that could be scored shows a learnt label")
        print(f"wrote {plain(asked.out)}/; pictures, metrics and checkpoints in {plain(work)}/")
        print(f"pathsegmentor segment IMAGE '{plain(labels[0])}' --model {plain(asked.out)}")


def _number(value: float | None) -> str:
    return "not known" if value is None else f"{value:.3f}"
