"""Several evaluations of one data set, pair by pair: what all of them scored, and what one of them did not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.record import Record, read_record, state_counts
from pathsegmentor.evaluate.samples import SAMPLES, read_samples

TEXTS = ("source", "region", "structure", "object_type", "label", "image", "group")
_READ = (*TEXTS, "state", "reason", "present", "dice", "prompts")
# What makes the scores of two runs other things.
_SETTINGS = {"split": "split", "unknown": "rule for unknown pixels"}
Key = tuple[str, str]


@dataclass(frozen=True)
class Run:
    """A finished evaluation: rows of its present labels by (image, label)."""

    folder: Path
    record: Record
    rows: dict[Key, dict[str, Any]]


@dataclass(frozen=True)
class Method:
    """What is compared: one run, or several of which each label takes the one that does best on it (table 16)."""

    name: str
    runs: tuple[Run, ...]
    chosen: dict[str, int]

    def row(self, key: Key) -> dict[str, Any] | None:
        """The row of a pair; None if no run has it."""
        return self.run_of(key[1]).rows.get(key)

    def run_of(self, label: str) -> Run:
        """The run that answers for a label."""
        return self.runs[self.chosen.get(label, 0)]


@dataclass(frozen=True)
class Paired:
    """``dice`` and ``prompts`` are (methods, pairs); ``lost`` are pairs that some method did not score, and why."""

    methods: tuple[Method, ...]
    keys: list[Key]
    texts: dict[str, NDArray[np.str_]]
    dice: NDArray[np.float64]
    prompts: NDArray[np.int64]
    lost: list[dict[str, str]]

    @property
    def names(self) -> list[str]:
        """Of the methods, in order; the first is the one that the others are held against."""
        return [method.name for method in self.methods]


def read_method(word: str) -> Method:
    """``DIR``, or ``NAME=DIR[,DIR...]``; raises ``BadInput``."""
    name, _, rest = ("", "", word) if Path(word).exists() or "=" not in word else word.partition("=")
    folders = [Path(part) for part in (rest.split(",") if name else [rest])]
    runs = tuple(_read_run(folder) for folder in folders)
    return Method(name.strip() or runs[0].record.model, runs, _best_of(runs))


def pair(methods: Sequence[Method]) -> Paired:
    """Match pairs by image and label; raises ``BadInput`` for runs that cannot be compared."""
    _check(methods)
    keys = sorted({key for method in methods for run in method.runs for key in run.rows})
    common, lost = [], []
    for key in keys:
        reasons = [(method.name, _why_not(method, key)) for method in methods]
        missing = [(name, why) for name, why in reasons if why]
        lost += [{"image": key[0], "label": key[1], "method": name, "reason": why} for name, why in missing]
        if not missing:
            common.append(key)
    if not common:
        said = Counter(f"{one['method']}: {one['reason']}" for one in lost).most_common(1)
        raise BadInput(f"no pair was scored by all; {said[0][1]} x {said[0][0]}" if said else "the runs have no pairs")
    rows = [[method.row(key) for key in common] for method in methods]
    texts = {name: np.array([str(row[name]) for row in rows[0] if row]) for name in TEXTS}
    dice = np.array([[row["dice"] for row in of_method if row] for of_method in rows])
    prompts = np.array([[row["prompts"] for row in of_method if row] for of_method in rows])
    return Paired(tuple(methods), common, texts, dice, prompts, lost)


def _read_run(folder: Path) -> Run:
    record = read_record(folder)
    assert record is not None
    if not record.counts:
        raise BadInput(f"{folder} holds a run that is not finished; go on with it: {record.command}")
    if state_counts(folder) != record.counts:
        raise BadInput(f"{folder / SAMPLES} is not the table of this run: it has other rows than run.json counts")
    table = read_samples(folder, _READ)
    rows = table.filter(table.column("present")).to_pylist()
    found = {(row["image"], row["label"]): row for row in rows}
    if len(found) != len(rows):
        raise BadInput(f"{folder / SAMPLES} has a pair of image and label twice; run evaluate again")
    return Run(folder, record, found)


def _best_of(runs: Sequence[Run]) -> dict[str, int]:
    """For each label the run of highest mean Dice over what it scored; one that scored none is never chosen."""
    if len(runs) == 1:
        return {}
    means: dict[str, dict[int, list[float]]] = {}
    for i, run in enumerate(runs):
        for (_, label), row in run.rows.items():
            if row["state"] == "scored":
                means.setdefault(label, {}).setdefault(i, []).append(row["dice"])
    return {label: max(of, key=lambda i: float(np.mean(of[i]))) for label, of in means.items()}


def _check(methods: Sequence[Method]) -> None:
    if len(methods) < 2:
        raise BadInput("a comparison needs two evaluations or more")
    twice = [name for name, count in Counter(method.name for method in methods).items() if count > 1]
    if twice:
        raise BadInput(f"two evaluations are called '{twice[0]}'; name them: NAME=DIR")
    runs = [run for method in methods for run in method.runs]
    first = runs[0]
    for run in runs[1:]:
        if run.record.manifest_sha256 != first.record.manifest_sha256:
            raise BadInput(f"{run.folder} and {first.folder} are of different data sets (their manifests differ)")
        for key, words in _SETTINGS.items():
            if run.record.settings.get(key) != first.record.settings.get(key):
                theirs, ours = run.record.settings.get(key), first.record.settings.get(key)
                raise BadInput(f"{run.folder} has another {words} than {first.folder}: {theirs}, and {ours}")


def _why_not(method: Method, key: Key) -> str:
    row = method.row(key)
    if row is None:
        return "not in its table"
    if row["state"] != "scored":
        return f"{row['state']}: {row['reason']}"
    return "" if np.isfinite(row["dice"]) else "its Dice is no number"
