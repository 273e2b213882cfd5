"""The training run: its steps, its checkpoints, its end.

Every step is drawn from (seed, step), so a run that is killed and resumed gives the same batches and
the same losses as one that was not.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import nullcontext
from pathlib import Path

import torch
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from pathsegmentor.atomic import whole_file
from pathsegmentor.errors import BadInput
from pathsegmentor.model.folder import save_model
from pathsegmentor.train.adapters import merged
from pathsegmentor.train.checkpoint import (
    BEST,
    FOLDER,
    cannot_write,
    checkpoints,
    is_first_process,
    read,
    restore,
    save,
)
from pathsegmentor.train.config import TrainConfig
from pathsegmentor.train.folder import Metrics, only_writer, write_particulars
from pathsegmentor.train.look import LookingSet
from pathsegmentor.train.run import Run, assemble, fabric_for, prepare
from pathsegmentor.train.step import NotFinite, one_step
from pathsegmentor.train.stop import Stopped, stop_signals


def train(config: TrainConfig, data: Path, out: Path, resume: bool = False, devices: int = 1) -> Path:
    """Train to the end and write a model folder ``out/model``; returns it.

    ``data`` is a built PathSeg folder. ``resume`` goes on from the newest checkpoint in ``out``; without it
    existing checkpoints are refused, not overwritten. Raises ``Stopped`` after a signal, with all work saved.
    """
    first = is_first_process()
    with only_writer(out) if first else nullcontext():
        there = checkpoints(out)
        if there and not resume:
            raise BadInput(f"{there[-1]} exists; add --resume to go on, or choose another --out")
        fabric = fabric_for(config.precision, devices)
        fabric.seed_everything(config.seed, verbose=False)
        material = prepare(config, data)
        fabric.launch()
        run = assemble(material, fabric)
        try:
            if there:
                restore(run, there[-1])
            if first:
                write_particulars(out, config, material.manifest_sha256, data, fabric.world_size)
            loop(run, out)
            if fabric.is_global_zero:
                finish(run, out)
        except OSError as error:
            raise cannot_write(out, Path(error.filename or out), error) from error
        finally:
            run.feed.close()
        fabric.barrier()
    return out / "model"


def loop(run: Run, out: Path) -> None:
    """Steps until the schedule's end, logging, looking and saving on the way; the first process does these."""
    if not run.fabric.is_global_zero:
        _steps(run, out, None, None)
        return
    _steps(run, out, Metrics(out, run.step), LookingSet(run))


def _steps(run: Run, out: Path, metrics: Metrics | None, looking: LookingSet | None) -> None:
    saved, steps = time.monotonic(), run.material.steps
    with stop_signals() as stop, progress_bar(metrics is not None) as progress:
        task = progress.add_task(run.config.name, total=steps, completed=run.step)
        while run.step < steps:
            try:
                terms = one_step(run)
            except NotFinite as error:
                raise BadInput(keep_culprit(out, error)) from error
            if metrics:
                metrics.add(run.step, terms)
            run.step += 1
            progress.update(task, advance=1, description=f"{run.config.name} loss {terms['total']:.3f}")
            stopping = anywhere(run, stop.asked)
            if looking and metrics:
                better = look(run, looking, metrics, out)
                if better or stopping or _due(run, saved):
                    save(run, out, best=better)
                    saved = time.monotonic()
            if stopping:
                run.fabric.barrier()  # nobody leaves before all is saved
                raise Stopped(run.step, stop.number or signal.SIGTERM)


def anywhere(run: Run, asked: bool) -> bool:
    """Whether any process was asked to stop: all must stop at the same step."""
    flag = torch.tensor(int(asked), device=run.fabric.device)
    return bool(run.fabric.all_reduce(flag, reduce_op="sum").item())


def _due(run: Run, saved: float) -> bool:
    saving = run.config.saving
    return (
        run.step % saving.steps == 0 or run.step == run.material.steps or time.monotonic() - saved > 60 * saving.minutes
    )


def look(run: Run, looking: LookingSet, metrics: Metrics, out: Path) -> bool:
    """Every so many steps and at the end, look at the fixed set; whether it is the best so far."""
    if run.step % run.config.saving.look and run.step != run.material.steps:
        return False
    found = looking.look(run, out)
    metrics.add(run.step - 1, found)
    score = found.get("look_dice", found.get("look_presence", -1.0))
    if not looking.held_out or score <= run.best:
        return False
    run.best = score
    return True


def keep_culprit(out: Path, error: NotFinite) -> str:
    """Save the batch whose loss or gradient is not finite; returns what to tell."""
    path = out / f"not-finite-step-{error.step:08d}-process-{error.process}.pt"
    parts = [
        {"pixels": p.pixels, "labels": p.labels, "names": list(p.names), **p.targets._asdict()} for p in error.parts
    ]
    with whole_file(path) as beside:
        torch.save({"step": error.step, "label_ids": error.labels, "parts": parts}, beside)
    return f"{error} at step {error.step}; its batch is in {path}; lower schedule.rate or look at the batch's images"


def finish(run: Run, out: Path) -> None:
    """Write the model folder of the last average, and that of the best checkpoint if there is one."""
    write_model(run, out / "model", run.average, run.step)
    best = out / FOLDER / BEST
    if best.exists():
        state = read(best)
        write_model(run, out / "best", state["average"] or state["net"], state["step"])


def write_model(run: Run, folder: Path, state: dict[str, torch.Tensor], step: int) -> None:
    """A model folder that says what it was trained on."""
    config, begin = run.config, run.material.start
    card = (
        f"# {config.name}\n\nTrained for {step} steps on {', '.join(config.sources)} of a PathSeg whose manifest"
        f" has the SHA-256 {run.material.manifest_sha256}. Research use only.\n"
    )
    if config.adapters:
        state = merged(state)
    save_model(folder, config.model, state, begin.tokenizer, begin.labels, card, half=True)


def progress_bar(shown: bool) -> Progress:
    """Progress on stderr, quiet where nobody watches."""
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=not (shown and os.isatty(2)))
