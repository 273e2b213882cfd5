"""The folder of a run: one writer at a time, what was run and where, and numbers as they come."""

from __future__ import annotations

import importlib.metadata
import json
import os
import platform
import shlex
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from filelock import FileLock, Timeout
from tensorboard.compat.proto.event_pb2 import Event, SessionLog
from tensorboard.summary.writer.record_writer import RecordWriter
from torch.utils.tensorboard.summary import scalar

from pathsegmentor import __version__
from pathsegmentor.atomic import whole_file
from pathsegmentor.errors import BadInput
from pathsegmentor.train.config import TrainConfig, to_yaml

METRICS, CONFIG, ENVIRONMENT, BOARD = "metrics.jsonl", "config.yaml", "environment.json", "tensorboard"
START = SessionLog.START


@contextmanager
def only_writer(out: Path) -> Iterator[None]:
    """Make the folder and hold it; a second run in it is refused. A killed run holds nothing."""
    lock = FileLock(out / ".lock")
    try:
        out.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout as error:
        raise BadInput(f"another run is writing to {out}; wait for it, or choose another --out") from error
    except OSError as error:
        raise BadInput(f"{out} cannot be written: {error.strerror or error}") from error
    try:
        yield
    finally:
        lock.release()


def write_particulars(out: Path, config: TrainConfig, manifest_sha256: str, data: Path, processes: int) -> None:
    """The resolved config, and with what, on which data and by which command it is run."""
    names = ("torch", "lightning-fabric", "numpy", "opencv-python-headless", "tokenizers", "safetensors")
    facts = {
        "command": shlex.join(sys.argv),
        "data": str(data),
        "manifest_sha256": manifest_sha256,
        "pathsegmentor": __version__,
        "python": platform.python_version(),
        "packages": {name: importlib.metadata.version(name) for name in names},
        "machine": f"{platform.system()} {platform.machine()}",
        "device": torch.cuda.get_device_name() if torch.cuda.is_available() else "cpu",
        "processes": processes,
        "threads": torch.get_num_threads(),
    }
    for name, text in ((CONFIG, to_yaml(config)), (ENVIRONMENT, json.dumps(facts, indent=1) + "\n")):
        with whole_file(out / name) as beside:
            beside.write_text(text, encoding="utf-8")


class Metrics:
    """One line of ``metrics.jsonl`` per step or look, and the same for TensorBoard.

    All is written at once and in this thread, so that a full disk is an ``OSError`` here, which names the file.
    """

    def __init__(self, out: Path, step: int) -> None:
        self._path, self._board = out / METRICS, out / BOARD / f"events.out.tfevents.{time.time_ns()}.{os.getpid()}"
        self._forget(step)
        self._board.parent.mkdir(exist_ok=True)
        # TensorBoard forgets later steps of an earlier process when a new one starts.
        self._write([Event(file_version="brain.Event:2"), Event(step=step, session_log=SessionLog(status=START))])

    def add(self, step: int, values: Mapping[str, float]) -> None:
        """Numbers of a step; ``step`` counts from 0."""
        line = json.dumps({"step": step} | {k: round(v, 6) for k, v in values.items()}) + "\n"
        with _naming(self._path), self._path.open("a", encoding="utf-8") as file:
            file.write(line)
        self._write([Event(step=step, summary=scalar(name, value)) for name, value in values.items()])

    def _write(self, events: Iterable[Event]) -> None:
        with _naming(self._board), self._board.open("ab") as file:
            records = RecordWriter(file)
            for event in events:
                event.wall_time = time.time()
                records.write(event.SerializeToString())

    def _forget(self, step: int) -> None:
        """Drop lines of steps that will be run again, and one that was cut short."""
        if not self._path.exists():
            return
        kept = [line for line in self._path.read_text(encoding="utf-8").splitlines() if _step_of(line) < step]
        with whole_file(self._path) as beside:
            beside.write_text("".join(f"{line}\n" for line in kept), encoding="utf-8")


@contextmanager
def _naming(path: Path) -> Iterator[None]:
    """Errors of writing say which file it was."""
    try:
        yield
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def _step_of(line: str) -> float:
    try:
        row: Any = json.loads(line)
        return int(row["step"])
    except (ValueError, KeyError, TypeError):
        return float("inf")
