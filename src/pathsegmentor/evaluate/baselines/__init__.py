"""Baselines by name: ours, one module each, and those that other packages bring.

A package brings one by an entry point of the group ``pathsegmentor.baselines`` that names a ``Baseline`` or a tuple
of them; ``docs/baselines.md`` shows one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from importlib.util import find_spec

from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.baselines.record import Baseline
from pathsegmentor.evaluate.predictor import Predictor
from pathsegmentor.model.find import check_device

GROUP = "pathsegmentor.baselines"
# Modules of ours; each names its baselines in BASELINES.
OURS = ("filled_boxes", "sam", "sam_med2d", "biomedparse", "specialists")


def baselines() -> dict[str, Baseline]:
    """All baselines there are, by name, ours first; one that cannot be loaded is refused in one line."""
    found = {baseline.name: baseline for name in OURS for baseline in _of_module(name)}
    for point in sorted(entry_points(group=GROUP), key=lambda point: (point.name, point.value)):
        for baseline in _of_point(point):
            if found.setdefault(baseline.name, baseline) != baseline:
                raise BadInput(f"baseline {baseline.name} is brought twice, once by {point.value}; uninstall one")
    return found


def is_baseline(model: str) -> bool:
    """Whether ``NAME`` or ``NAME:WEIGHTS`` names a baseline, not a model."""
    return model.partition(":")[0] in baselines()


def load_baseline(model: str, device: str = "cpu") -> Predictor:
    """The predictor of ``NAME`` or ``NAME:WEIGHTS``; raises ``BadInput`` or ``BadModel`` in words."""
    check_device(device)
    name, _, weights = model.partition(":")
    there = baselines()
    if name not in there:
        raise BadInput(f"no baseline named '{name}'; there are {', '.join(there)}")
    baseline = there[name]
    if lacking := lacks(baseline):
        raise BadInput(f"baseline {name} needs {lacking[0]}: {baseline.extra or f'pip install {lacking[0]}'}")
    if baseline.needs and not weights:
        raise BadInput(f"baseline {name} needs weights: {name}:PATH, where PATH is {baseline.needs}")
    if weights and not baseline.needs:
        raise BadInput(f"baseline {name} has no weights; leave out ':{weights}'")
    return baseline.load(weights, device)


def lacks(baseline: Baseline) -> list[str]:
    """Packages that a baseline needs and that are not installed."""
    return [name for name in baseline.modules if find_spec(name) is None]


def _of_module(name: str) -> Iterable[Baseline]:
    found: tuple[Baseline, ...] = import_module(f"pathsegmentor.evaluate.baselines.{name}").BASELINES
    return found


def _of_point(point: EntryPoint) -> tuple[Baseline, ...]:
    try:
        found = point.load()
    except Exception as error:  # somebody else's module may raise anything
        raise BadInput(
            f"baseline {point.name} ({point.value}) cannot be loaded: {type(error).__name__}:"
            f" {' '.join(str(error).split())}"
        ) from error
    many = found if isinstance(found, tuple) else (found,)
    for baseline in many:
        if not isinstance(baseline, Baseline):
            raise BadInput(f"baseline {point.name} ({point.value}) is no {Baseline.__module__}.Baseline")
        if not re.fullmatch(r"[a-z0-9][a-z0-9_-]*", baseline.name):
            raise BadInput(
                f"baseline {point.name} ({point.value}) calls itself {baseline.name!r}; a name has small letters,"
                " digits, _ and -"
            )
    return many
