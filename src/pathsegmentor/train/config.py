"""What a training YAML may say; unknown keys are refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import yaml

from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.model.config import ModelConfig, Within, read_dataclass
from pathsegmentor.train.batches import SamplingConfig
from pathsegmentor.train.criterion import Weight, Weights

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

T = TypeVar("T")
Number = Annotated[int, Within(1, 1_000_000_000)]


@dataclass(frozen=True)
class ScheduleConfig:
    """Optimiser and its course, over ``steps``, or ``epochs`` over the images instead.

    Linear warm-up over the share ``warmup``, then polynomial decay to zero; or, with ``drops``, a constant
    rate that is divided by ten at those shares of the run. ``rates`` multiply the rate of parts of the
    network, by name (``image_tower: 0.1``; 0 freezes a part); ``decay`` is the weight decay of tensors
    with more than one dimension; ``clip`` the largest gradient norm; ``ema`` the decay of the average
    weights that are saved (0: the weights themselves). A step's images pass in ``accumulate`` parts.
    """

    steps: Number | None = None
    epochs: Annotated[float, Within(0.001, 100_000)] | None = None
    rate: Annotated[float, Within(1e-15, 1)] = 8e-4
    rates: dict[str, Annotated[float, Within(0, 100)]] = field(default_factory=dict)
    decay: Annotated[float, Within(0, 10)] = 0.05
    warmup: Annotated[float, Within(0, 0.9)] = 0.05
    power: Annotated[float, Within(0, 10)] = 0.9
    drops: tuple[Annotated[float, Within(0.001, 1)], ...] = ()
    clip: Annotated[float, Within(1e-6, 1e9)] = 5.0
    ema: Annotated[float, Within(0, 0.999999)] = 0.999
    accumulate: Annotated[int, Within(1, 65_536)] = 1


@dataclass(frozen=True)
class SavingConfig:
    """A checkpoint after ``steps`` steps or ``minutes``, whichever is first; the newest ``keep`` stay.

    ``look``: steps between looks at a fixed validation set, which write pictures and choose the best.
    """

    steps: Number = 100
    minutes: Annotated[float, Within(1e-6, 100_000)] = 15.0
    keep: Annotated[int, Within(1, 10_000)] = 3
    look: Number = 500


@dataclass(frozen=True)
class TrainConfig:
    """A whole run; ``init`` is ``imagenet`` (light tower only), a model's name or folder, or empty.

    ``sources`` are the parts of PathSeg to train on, and how often each is drawn. ``points`` are the random
    places at which earlier predictions are judged. ``readers`` are processes that draw batches (0: a thread).
    ``recompute`` trades time for memory: blocks of the paper's image tower are computed twice instead of kept.

    Of the data's labels that the starting model does not know only ``labels`` are learnt (none named: all).
    ``keep`` weighs how far the answers to the starting model's own labels may drift from its own answers;
    ``fixed_statistics`` leaves the running statistics of norms as they are; ``adapters`` is the rank of the
    changes that matrices may go through (0: any change), see ``adapters.py``.
    """

    name: str
    sources: dict[str, Weight]
    model: ModelConfig = field(default_factory=ModelConfig)
    sampling: SamplingConfig = field(default_factory=SamplingConfig)
    schedule: ScheduleConfig = field(default_factory=ScheduleConfig)
    saving: SavingConfig = field(default_factory=SavingConfig)
    weights: Weights = field(default_factory=Weights)
    labels: tuple[str, ...] = ()
    keep: Weight = 0.0
    fixed_statistics: bool = False
    adapters: Annotated[int, Within(0, 1024)] = 0
    points: Annotated[int, Within(16, 1_000_000)] = 2048
    held_out: Annotated[float, Within(0, 0.9)] = 0.1
    seed: Annotated[int, Within(0, 2**31 - 1)] = 0
    init: str = ""
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "32-true"
    readers: Annotated[int, Within(0, 256)] = 0
    recompute: bool = False


def read_train_config(path: Path) -> TrainConfig:
    """Read and check a training YAML; raises ``BadInput`` in words.

    ``extends: OTHER.yaml`` takes what the other file (beside this one) says, table by table, under what this one
    says; a null takes a setting out.
    """
    from pathsegmentor.train.together import check_together

    config = read_settings(TrainConfig, path)
    check_together(config, path.name)
    return config


def checked(config: TrainConfig) -> TrainConfig:
    """A config that was made in code, every setting checked as if it had been read; raises ``BadInput``."""
    from pathsegmentor.train.together import check_together

    try:
        read_dataclass(TrainConfig, plain(config), config.name)
    except BadModel as error:
        raise BadInput(str(error)) from error
    check_together(config, config.name)
    return config


def read_settings(kind: type[T], path: Path) -> T:
    """A YAML, with what it extends, as a config of this kind; raises ``BadInput`` in words."""
    try:
        return read_dataclass(kind, _merged(path, ()), path.name)
    except (OSError, yaml.YAMLError, UnicodeDecodeError, BadModel) as error:
        raise BadInput(f"{path} cannot be used: {' '.join(str(error).split())}") from error


def to_yaml(config: DataclassInstance) -> str:
    """A config as YAML with every setting spelt out; reads back as the same config."""
    return yaml.safe_dump(plain(config), sort_keys=False)


def plain(config: DataclassInstance) -> dict[str, Any]:
    """A config as tables, lists, numbers and words only."""
    return dict(_plain(asdict(config)))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    return [_plain(item) for item in value] if isinstance(value, (list, tuple)) else value


def _merged(path: Path, seen: tuple[Path, ...]) -> Any:
    """What a file says, on top of what it extends."""
    if path.resolve() in seen:
        raise BadInput(f"{path} extends itself, by way of {' and '.join(p.name for p in seen)}")
    values = yaml.safe_load(path.read_text(encoding="utf-8"))
    if not isinstance(values, dict) or "extends" not in values:
        return values
    other = values.pop("extends")
    if not isinstance(other, str) or not (path.parent / other).is_file():
        raise BadInput(f"{path}: extends {other!r}, which is no file beside it")
    return _over(_merged(path.parent / other, (*seen, path.resolve())), values)


def _over(below: Any, above: Any) -> Any:
    if not isinstance(below, dict) or not isinstance(above, dict):
        return above
    out = dict(below)
    for key, value in above.items():
        if value is None:
            out.pop(key, None)
        else:
            out[key] = _over(below.get(key), value)
    return out
