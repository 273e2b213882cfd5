"""``pathsegmentor train``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from pathsegmentor.errors import BadInput

if TYPE_CHECKING:
    from pathsegmentor.train.config import TrainConfig


def run(config: Path, data: Path, out: Path, resume: bool, devices: int, check: bool) -> None:
    """Train by a YAML and say where the model is, or check that it can be done."""
    try:
        from pathsegmentor.train.checkpoint import is_first_process
        from pathsegmentor.train.loop import train
    except ImportError as error:
        raise BadInput(f"training needs more packages ({error.name}): pip install 'pathsegmentor[train]'") from error
    from pathsegmentor.train.config import read_train_config
    from pathsegmentor.train.stop import Stopped

    settings = read_train_config(config)
    if check:
        _tell_forecast(settings, data, devices)
        return
    try:
        folder = train(settings, data, out, resume, devices)
    except Stopped as stopped:
        if not is_first_process():
            return  # its leaving with another code than 0 would end the others
        print(f"pathsegmentor: {stopped}", file=sys.stderr)
        raise typer.Exit(128 + stopped.number) from stopped
    if is_first_process():
        print(f"wrote {folder}/; use it with --model {folder}")


def _tell_forecast(settings: TrainConfig, data: Path, devices: int) -> None:
    from pathsegmentor.train.forecast import forecast

    found = forecast(settings, data, devices)
    gib = 2**30
    print(f"{settings.name}: settings, data and labels can be used; a step of {found.tried_images} images was made")
    print(f"labels    {len(found.images)}, in {min(found.images.values())} to {max(found.images.values())} images each")
    if found.rare:
        print(f"          hardly an image: {', '.join(f'{label} ({found.images[label]})' for label in found.rare)}")
    print(f"weights   {found.parameters / 1e6:.1f} million, {found.frozen / 1e6:.1f} of them frozen")
    print(f"device    {found.device}, x {devices}")
    print(f"memory    {found.memory / gib:.1f} GiB a process, of {found.room / gib:.1f} GiB")
    print(f"step      {found.step_seconds:.2f} s to learn, {found.read_seconds:.2f} s to read")
    print(f"run       {found.steps} steps, {found.hours:.1f} hours")
    if found.memory > found.room:
        raise BadInput(
            "that does not fit; set recompute, raise schedule.accumulate or --devices, or lower sampling.images"
        )
