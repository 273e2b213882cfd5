"""``run.json``: what was run, with what, on what; a folder takes up only the run that it holds."""

from __future__ import annotations

import json
import shlex
import sys
from collections import Counter
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from pathsegmentor import __version__
from pathsegmentor.atomic import whole_file
from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.find import Maker
from pathsegmentor.evaluate.predictor import Predictor
from pathsegmentor.evaluate.samples import STATES, read_samples
from pathsegmentor.evaluate.settings import Settings

RUN = "run.json"
# What makes one run another, and how a person is told.
_IDENTITY = {
    "model": "model",
    "weights_sha256": "weights",
    "config_sha256": "config of the model",
    "manifest_sha256": "data set",
    "settings": "settings",
    "images": "number of images",
    "labels": "labels",
    "version": "version of pathsegmentor",
}


@dataclass(frozen=True)
class Record:
    """A run; ``counts`` are rows per state, empty while it is not finished. Only our own models have a config."""

    model: str
    weights_sha256: str
    config_sha256: str
    wants_boxes: str
    manifest_sha256: str
    settings: dict[str, Any]
    images: int
    labels: list[str]
    version: str
    command: str
    asked_as: str
    device: str
    counts: dict[str, int] = field(default_factory=dict)
    note: str = "research use only"

    @classmethod
    def of(
        cls,
        predictor: Predictor,
        maker: Maker,
        manifest_sha256: str,
        settings: Settings,
        labels: tuple[str, ...],
        images: int,
    ) -> Record:
        """The record of a run that begins now."""
        return cls(
            model=predictor.name,
            weights_sha256=predictor.weights,
            config_sha256=getattr(predictor, "config_sha256", "none"),
            wants_boxes=predictor.wants_boxes,
            manifest_sha256=manifest_sha256,
            settings=json.loads(json.dumps(asdict(settings))),
            images=images,
            labels=list(labels),
            version=__version__,
            command=shlex.join(["pathsegmentor", *sys.argv[1:]]),
            asked_as=maker.model,
            device=maker.device,
        )

    def finished(self, counts: dict[str, int]) -> Record:
        """The same with its counts."""
        return replace(self, counts=counts)

    def differs(self, other: Record) -> list[str]:
        """In what two runs are not the same, in words."""
        return [words for name, words in _IDENTITY.items() if getattr(self, name) != getattr(other, name)]

    def write(self, folder: Path) -> None:
        """Write ``run.json``, whole or not at all."""
        with whole_file(folder / RUN) as beside:
            beside.write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")


def read_record(folder: Path, missing: bool = False) -> Record | None:
    """The record in a folder; None if there is none and it may be ``missing``; raises ``BadInput``."""
    path = folder / RUN
    if not path.is_file():
        if missing:
            return None
        raise BadInput(f"{path} is missing; it is written by: pathsegmentor evaluate --out {folder}")
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return Record(**{f.name: values[f.name] for f in fields(Record)})
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(f"{path} is no record of an evaluation ({type(error).__name__}: {error})") from error


def kept_record(folder: Path, record: Record) -> Record:
    """The record of this run that the folder holds, or else this one, written; that of another run is refused."""
    there = read_record(folder, missing=True)
    if there is None:
        record.write(folder)
        return record
    if what := there.differs(record):
        raise BadInput(
            f"{folder} holds an evaluation of {there.model} with another {what[0]}; choose another --out, or --force"
            " to do it anew"
        )
    return there


def state_counts(folder: Path) -> dict[str, int]:
    """Rows per state."""
    counts = Counter(read_samples(folder, ["state"]).column("state").to_pylist())
    return {state: counts[state] for state in STATES}
