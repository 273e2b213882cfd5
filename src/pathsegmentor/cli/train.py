"""``pathsegmentor train``."""

from __future__ import annotations

import sys
from pathlib import Path

import typer

from pathsegmentor.errors import BadInput


def run(config: Path, data: Path, out: Path, resume: bool, devices: int, check: bool) -> None:
    """Train by a YAML and say where the model is, or check that it can be done."""
    try:
        from pathsegmentor.train.loop import train
    except ImportError as error:
        raise BadInput(f"training needs more packages ({error.name}): pip install 'pathsegmentor[train]'") from error
    from pathsegmentor.train.config import read_train_config
    from pathsegmentor.train.stop import Stopped

    settings = read_train_config(config)
    try:
        folder = train(settings, data, out, resume, devices)
    except Stopped as stopped:
        print(f"pathsegmentor: {stopped}", file=sys.stderr)
        raise typer.Exit(128 + stopped.number) from stopped
    print(f"wrote {folder}/; use it with --model {folder}")
