"""Training of nnU-Net on one source, by its own environment; the budget, and going on after a stop, are ours."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from pathsegmentor.atomic import sha256_of, whole_file
from pathsegmentor.data.manifest import MANIFEST
from pathsegmentor.data.pathseg import Entry, PathSeg
from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.baselines.nnunet_data import export
from pathsegmentor.evaluate.baselines.nnunet_env import checkpoint_of, command, last_line
from pathsegmentor.evaluate.baselines.specialist import BACKGROUND, Spec
from pathsegmentor.evaluate.baselines.specialist_config import SpecialistConfig
from pathsegmentor.train.loop import progress_bar
from pathsegmentor.train.stop import Stopped, stop_signals

# nnU-Net numbers its data sets; each lies in a folder of its own here, so that one number does for all.
NUMBER = 501
WORK, LOG = "nnunet", "nnunet.log"


def train_nnunet(
    config: SpecialistConfig,
    source: str,
    pathseg: PathSeg,
    entries: Sequence[Entry],
    classes: Sequence[str],
    out: Path,
    device: str,
) -> Spec:
    """Plan, preprocess, train; what of it is done is kept. Leaves nnU-Net's trained folder in ``out``."""
    work, dataset = out / WORK, f"Dataset{NUMBER}_{source}"
    job = {
        "id": NUMBER,
        "dataset": dataset,
        "work": str(work.resolve()),
        "out": str(out.resolve()),
        "shrunk": asdict(config.shrunk) if config.shrunk else None,
        "steps": config.steps,
        "minutes": config.minutes,
        "save_steps": config.save_steps,
        "seed": config.seed,
        "device": device,
    }
    start = command("train", str(work.resolve() / "job.json"))
    overlap = export(pathseg, entries, classes, config.sources[source], work / "raw" / dataset)
    with whole_file(work / "job.json") as beside:
        beside.write_text(json.dumps(job, indent=1) + "\n", encoding="utf-8")
    steps, spent = _run(start, config, f"{config.name} {source}", out)
    trained = {
        "config": config.name,
        "source": source,
        "manifest_sha256": sha256_of(pathseg.folder / MANIFEST),
        "plan": f"shrunk: {json.dumps(job['shrunk'])}" if config.shrunk else "as planned",
        "steps": str(steps),
        "seconds": f"{spent:.0f}",
        "seed": str(config.seed),
        "device": device,
    }
    spec = Spec(
        "nnunet",
        tuple(classes) if overlap else (BACKGROUND, *classes),
        answer="sigmoid" if overlap else "softmax",
        mpp=config.sources[source],
        sha256=sha256_of(checkpoint_of(out)),
        trained=trained,
    )
    shutil.rmtree(work)
    return spec


def _run(start: Sequence[str], config: SpecialistConfig, name: str, out: Path) -> tuple[int, float]:
    """The training process to its end; a signal ends it, and its last saved state is what it goes on from."""
    told = {"step": 0, "spent": 0.0}
    with (out / LOG).open("ab") as log, stop_signals() as stop, progress_bar(shown=True) as progress:
        task = progress.add_task(f"{name}: planning", total=1.0)
        with subprocess.Popen(start, stdout=subprocess.PIPE, stderr=log, text=True) as process:  # noqa: S603
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith('{"step"'):
                    told = json.loads(line)
                    share = told["step"] / config.steps if config.steps else told["spent"] / (60 * config.minutes)
                    progress.update(task, completed=share, description=f"{name} loss {told['loss']:.3f}")
                if stop.asked:  # it saves, and ends
                    process.terminate()
    if stop.asked:
        raise Stopped(int(told["step"]), stop.number)
    if process.returncode:
        last = last_line((out / LOG).read_text(errors="replace"))
        raise BadInput(f"nnU-Net's training ended: {last}; see {out / LOG}")
    return int(told["step"]), float(told["spent"])
