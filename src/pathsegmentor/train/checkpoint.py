"""Checkpoints: whole or not there, the newest few and the best, and only for the run they belong to."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from pathsegmentor.atomic import whole_file
from pathsegmentor.errors import BadInput
from pathsegmentor.train.config import TrainConfig, plain
from pathsegmentor.train.run import Run

FOLDER, BEST = "checkpoints", "best.pt"
# Changing these changes neither what a run sees nor what it learns from it.
FREE = ("name", "saving", "readers", "recompute", "schedule.accumulate")


def checkpoints(out: Path) -> list[Path]:
    """Checkpoints of a run, oldest first, without the best."""
    return sorted((out / FOLDER).glob("step-*.pt"))


def save(run: Run, out: Path, best: bool = False) -> Path:
    """Write the run's state and drop the oldest; ``best`` keeps it beside, whatever comes later.

    Raises ``BadInput`` where it cannot be written; then every older checkpoint is still there.
    """
    path = out / FOLDER / f"step-{run.step:08d}.pt"
    state = {
        "step": run.step,
        "best": run.best,
        "config": plain(run.config),
        "manifest_sha256": run.material.manifest_sha256,
        "labels": run.material.start.labels,
        "net": run.net.state_dict(),
        "average": run.average if run.config.schedule.ema else None,
        "optimizer": run.optimizer.state_dict(),
        "precision": run.fabric.strategy.precision.state_dict(),
    }
    try:
        path.parent.mkdir(exist_ok=True)
        with whole_file(path) as beside:
            torch.save(state, beside)
        if best:
            with whole_file(out / FOLDER / BEST) as beside:
                shutil.copyfile(path, beside)
    except (BadInput, OSError) as error:
        raise cannot_write(out, path, error) from error
    for old in checkpoints(out)[: -run.config.saving.keep]:
        old.unlink()
    return path


def cannot_write(out: Path, path: Path, error: Exception) -> BadInput:
    """What to tell when something cannot be written, and from where the run can go on."""
    older = checkpoints(out)
    kept = f"{older[-1]} is kept; make room and add --resume" if older else "there is no checkpoint yet"
    why = getattr(error, "strerror", None) or " ".join(str(error).split())
    told = str(error) if isinstance(error, BadInput) else f"{path} cannot be written: {why}"
    return BadInput(f"{told}; {kept}")


def restore(run: Run, path: Path) -> None:
    """Go on from a checkpoint of this run; raises ``BadInput`` if it belongs to another."""
    state = read(path, run.fabric.device)
    same_run(state, run.config, run.material.manifest_sha256, run.material.start.labels, path)
    run.net.load_state_dict(state["net"])
    if state["average"] is not None:
        for name, value in state["average"].items():
            run.average[name].copy_(value)
    run.optimizer.load_state_dict(state["optimizer"])
    run.fabric.strategy.precision.load_state_dict(state["precision"])
    run.step, run.best = state["step"], state["best"]


def read(path: Path, device: torch.device | str = "cpu") -> dict[str, Any]:
    """A checkpoint's content; nothing but tensors and plain values is unpickled."""
    try:
        return dict(torch.load(path, map_location=device, weights_only=True))
    except Exception as error:  # torch raises many classes on broken files
        raise BadInput(f"{path} is no whole checkpoint; remove it, and --resume takes the one before") from error


def same_run(state: Mapping[str, Any], config: TrainConfig, manifest: str, labels: list[str], path: Path) -> None:
    """Raise ``BadInput`` unless a checkpoint has this run's settings, data and labels."""
    what = list(_differences(state.get("config", {}), plain(config), ""))
    if state.get("manifest_sha256") != manifest:
        what.append("the data set's manifest is another")
    if state.get("labels") != labels:
        what.append("the labels are others")
    if what:
        raise BadInput(f"{path} belongs to another run: {'; '.join(what[:3])}; choose another --out")


def _differences(old: Any, new: Any, name: str) -> Iterator[str]:
    if name in FREE:
        return
    if isinstance(old, dict) and isinstance(new, dict):
        for key in sorted({*old, *new}):
            yield from _differences(old.get(key), new.get(key), f"{name}.{key}" if name else key)
    elif old != new:
        yield f"{name} was {_shown(old)}, is now {_shown(new)}"


def _shown(value: Any) -> str:
    return "not given" if value is None else str(value)


def is_first_process() -> bool:
    """Whether this process speaks and writes for the run, as known before the processes are connected."""
    return all(os.environ.get(name, "0") == "0" for name in ("RANK", "LOCAL_RANK", "NODE_RANK", "GROUP_RANK"))
