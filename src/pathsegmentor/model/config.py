"""Sizes and settings of a network: what ``config.json`` of a model folder says.

Everything is a frozen dataclass; unknown or missing keys are refused by name. Lengths are in
pixels of the network input unless a field says micrometres.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Any, Literal, TypeVar, get_args, get_origin, get_type_hints

from pathsegmentor.errors import BadModel

T = TypeVar("T")


@dataclass(frozen=True)
class ImageTowerConfig:
    """Image tower: ``focalnet`` as in the paper, ``lite`` for a laptop CPU (sizes fixed)."""

    kind: Literal["focalnet", "lite"] = "focalnet"
    embed_dim: int = 192
    depths: tuple[int, ...] = (2, 2, 18, 2)
    focal_levels: int = 4
    focal_window: int = 3
    mlp_ratio: int = 4
    drop_path: float = 0.3


@dataclass(frozen=True)
class PixelDecoderConfig:
    """Feature pyramid with a transformer on its coarsest level.

    ``fine_dim`` is the width of the extra stride-2 level that a tower with five levels gets. ``norm`` is
    ``group`` as in the paper, whose statistics are those of the tile at hand, or ``batch``, whose
    statistics are fixed after training; ``groups`` counts for the first only.
    """

    conv_dim: int = 512
    mask_dim: int = 512
    fine_dim: int = 64
    layers: int = 6
    heads: int = 8
    feedforward: int = 2048
    groups: int = 32
    norm: Literal["group", "batch"] = "group"


@dataclass(frozen=True)
class TextTowerConfig:
    """Text tower: ``clip`` is the causal tower of the released weights, ``pubmedbert`` the paper's."""

    kind: Literal["clip", "pubmedbert"] = "clip"
    vocab: int = 49408
    context: int = 77
    width: int = 512
    layers: int = 12
    heads: int = 8
    feedforward: int = 2048


@dataclass(frozen=True)
class JointDecoderConfig:
    """Joint feature interaction.

    ``presence`` adds the head that says whether the object is there; ``prompt_path`` adds the prompt's
    feature to the queries before the first self-attention. The paper has neither.
    """

    hidden: int = 512
    queries: int = 101
    layers: int = 9
    heads: int = 8
    feedforward: int = 2048
    presence: bool = False
    prompt_path: bool = False


@dataclass(frozen=True)
class ModelConfig:
    """A whole model; the defaults are the paper's size (``base``).

    ``mpp``: um per pixel at which an image is shown to the network, per label id, with ``default_mpp``
    for labels not listed. ``tile`` and ``overlap`` are pixels at that scale. ``mean`` and ``std`` are
    on the 0..255 scale. ``positions`` says what attention knows of places: ``grid`` as in the paper, fractions
    of the tile, or ``none``, so that tissue gets the same answer wherever in a tile it lies. ``threshold`` cuts
    the probability of a mask, ``absent_below`` and ``present_above`` the presence.
    """

    image: ImageTowerConfig = field(default_factory=ImageTowerConfig)
    pixel: PixelDecoderConfig = field(default_factory=PixelDecoderConfig)
    text: TextTowerConfig = field(default_factory=TextTowerConfig)
    decoder: JointDecoderConfig = field(default_factory=JointDecoderConfig)
    mean: tuple[float, ...] = (123.675, 116.28, 103.53)
    std: tuple[float, ...] = (58.395, 57.12, 57.375)
    positions: Literal["grid", "none"] = "grid"
    default_mpp: float = 0.25
    mpp: dict[str, float] = field(default_factory=dict)
    tile: int = 1024
    overlap: int = 128
    threshold: float = 0.5
    absent_below: float = 0.35
    present_above: float = 0.65

    def mpp_of(self, label_id: str) -> float:
        """Um per pixel at which this label is looked for."""
        return self.mpp.get(label_id, self.default_mpp)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Read what ``to_dict`` wrote; raises ``BadModel`` on unknown keys or wrong types."""
        return read_dataclass(cls, values, "config")


def read_dataclass(cls: type[T], values: Any, where: str) -> T:
    """Build a (nested) dataclass from JSON values, refusing unknown keys and wrong types by name."""
    if not isinstance(values, Mapping):
        raise BadModel(f"{where}: expected a table of settings, found {type(values).__name__}")
    hints = get_type_hints(cls)
    known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    unknown = sorted(set(values) - known)
    if unknown:
        raise BadModel(f"{where}: unknown setting '{unknown[0]}'; known: {', '.join(sorted(known))}")
    ready = {name: _value(hints[name], value, f"{where}.{name}") for name, value in values.items()}
    try:
        return cls(**ready)
    except TypeError as error:
        raise BadModel(f"{where}: {error}") from error


def _value(hint: Any, value: Any, where: str) -> Any:
    if is_dataclass(hint):
        return read_dataclass(hint, value, where)  # type: ignore[arg-type]
    origin = get_origin(hint)
    if origin is UnionType and NoneType in get_args(hint):
        return None if value is None else _value(next(h for h in get_args(hint) if h is not NoneType), value, where)
    if origin is Literal:
        if value not in get_args(hint):
            raise BadModel(f"{where}: '{value}' is none of {', '.join(map(str, get_args(hint)))}")
        return value
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_value(get_args(hint)[0], item, where) for item in value)
    if origin is dict and isinstance(value, Mapping):
        return {str(k): _value(get_args(hint)[1], v, f"{where}.{k}") for k, v in value.items()}
    if origin is list and isinstance(value, list):
        return [_value(get_args(hint)[0], item, where) for item in value]
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise BadModel(f"{where}: {value!r} is not of the expected kind ({getattr(hint, '__name__', hint)})")
