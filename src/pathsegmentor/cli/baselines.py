"""``pathsegmentor baselines``: what there is to compare with, and training of specialists."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import typer

from pathsegmentor.cli.tell import tell_json, tell_table
from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.baselines import baselines, lacks
from pathsegmentor.evaluate.baselines.record import Baseline

KINDS = {"oracle": "the boxes alone", "boxes": "boxes", "text": "words", "specialist": "nothing; one per source"}


@dataclass(frozen=True)
class _Line:
    """A row of the table."""

    name: str
    method: str
    prompted_by: str
    weights: str
    missing: str
    licence: str
    trained_on: tuple[str, ...]
    url: str


def show(as_json: bool) -> None:
    """One row per baseline: how it is prompted, which weights it wants, and what is missing here."""
    lines = [_line(baseline) for baseline in baselines().values()]
    if as_json:
        tell_json([vars(line) | {"trained_on": list(line.trained_on)} for line in lines])
        return
    tell_table(
        "baselines: pathsegmentor evaluate --model NAME:WEIGHTS",
        ("name", "method", "prompted by", "weights to bring", "missing here", "saw in training"),
        [(x.name, x.method, x.prompted_by, x.weights, x.missing or "-", ", ".join(x.trained_on)) for x in lines],
    )


def _line(baseline: Baseline) -> _Line:
    return _Line(
        baseline.name,
        baseline.title,
        KINDS[baseline.kind],
        baseline.needs or "none",
        _missing(baseline),
        baseline.licence,
        baseline.seen,
        baseline.url,
    )


def _missing(baseline: Baseline) -> str:
    """What must be installed before it can run, with the command."""
    if baseline.name == "nnunet":
        from pathsegmentor.evaluate.baselines.nnunet_env import MARK, place

        return "" if (place() / MARK).is_file() else "its environment: pathsegmentor baselines install nnunet"
    lacking = lacks(baseline)
    return f"{', '.join(lacking)}: {baseline.extra or 'pip install ' + ' '.join(lacking)}" if lacking else ""


def install(name: str) -> None:
    """Make nnU-Net's environment and say where it is."""
    if name != "nnunet":
        raise BadInput(f"baseline '{name}' needs no environment of its own; only nnunet does")
    from pathsegmentor.evaluate.baselines.nnunet_env import install as make

    print(f"nnU-Net is ready in {make()}")


def train(config: Path, data: Path, out: Path, sources: list[str], device: str) -> None:
    """Train the specialists of a config, one source after the other; what is done is kept."""
    try:
        from pathsegmentor.evaluate.baselines.training import train_specialist
    except ImportError as error:
        raise BadInput(f"training needs more packages ({error.name}): pip install 'pathsegmentor[train]'") from error
    from pathsegmentor.evaluate.baselines.specialist_config import read_specialist_config
    from pathsegmentor.model.find import check_device
    from pathsegmentor.train.stop import Stopped

    settings = read_specialist_config(config)
    check_device(device)
    try:
        for source in sources or settings.sources:
            print(f"wrote {train_specialist(settings, source, data, out / source, device)}/")
    except Stopped as stopped:
        print(f"pathsegmentor: stopped after step {stopped.step}, all saved; run it again to go on", file=sys.stderr)
        raise typer.Exit(128 + stopped.number) from stopped
