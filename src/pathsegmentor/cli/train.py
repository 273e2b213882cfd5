"""``pathsegmentor train``."""

from __future__ import annotations

from pathlib import Path

from pathsegmentor.errors import BadInput


def run(config: Path, data: Path, out: Path, resume: bool) -> None:
    """Train by a YAML and say where the model is."""
    try:
        from pathsegmentor.train.loop import train
    except ImportError as error:
        raise BadInput(f"training needs more packages ({error.name}): pip install 'pathsegmentor[train]'") from error
    from pathsegmentor.train.config import read_train_config

    folder = train(read_train_config(config), data, out, resume)
    print(f"wrote {folder}/; use it with --model {folder}")
