"""Sizes and settings of a network: what ``config.json`` of a model folder says.

Everything is a frozen dataclass; unknown or missing keys are refused by name, and so is every number outside
the range its field states, since a config may come from anyone. Lengths are in pixels of the network input
unless a field says micrometres.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, is_dataclass
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.imaging.picture import COARSEST, FINEST
from pathsegmentor.model.foreign import shown
from pathsegmentor.vocabulary import Label

T = TypeVar("T")

# Values of one feature map of a tile; beyond, a config asks for gigabytes at every step.
MOST_MAP_VALUES = 2**28
MOST_PROMPT = 200


@dataclass(frozen=True)
class Within:
    """The smallest and the largest allowed number, for ``Annotated``; not-a-number lies in no range."""

    least: float
    most: float


Width = Annotated[int, Within(8, 4096)]
Hidden = Annotated[int, Within(8, 16_384)]
Count = Annotated[int, Within(1, 64)]
Share = Annotated[float, Within(0, 1)]
Mpp = Annotated[float, Within(FINEST, COARSEST)]
Mean = Annotated[float, Within(0, 255)]
Spread = Annotated[float, Within(1, 1000)]


@dataclass(frozen=True)
class ImageTowerConfig:
    """Image tower: ``focalnet`` as in the paper, ``lite`` for a laptop CPU (sizes fixed)."""

    kind: Literal["focalnet", "lite"] = "focalnet"
    embed_dim: Width = 192
    depths: tuple[Count, ...] = (2, 2, 18, 2)
    focal_levels: Annotated[int, Within(1, 8)] = 4
    focal_window: Annotated[int, Within(1, 31)] = 3
    mlp_ratio: Annotated[int, Within(1, 16)] = 4
    drop_path: Annotated[float, Within(0, 0.9)] = 0.3

    def __post_init__(self) -> None:
        if len(self.depths) != 4:
            raise BadModel(f"depths has {len(self.depths)} stages, expected 4 (strides 4, 8, 16 and 32)")
        if self.focal_window % 2 == 0:
            raise BadModel(f"focal_window {self.focal_window} has no middle; expected an odd number")


@dataclass(frozen=True)
class PixelDecoderConfig:
    """Feature pyramid with a transformer on its coarsest level.

    ``fine_dim`` is the width of the extra stride-2 level that a tower with five levels gets. ``norm`` is
    ``group`` as in the paper, whose statistics are those of the tile at hand, or ``batch``, whose
    statistics are fixed after training; ``groups`` counts for the first only.
    """

    conv_dim: Width = 512
    mask_dim: Width = 512
    fine_dim: Width = 64
    layers: Count = 6
    heads: Count = 8
    feedforward: Hidden = 2048
    groups: Annotated[int, Within(1, 512)] = 32
    norm: Literal["group", "batch"] = "group"

    def __post_init__(self) -> None:
        _divides(self, "heads", "conv_dim")
        if self.conv_dim % 2:
            raise BadModel(f"conv_dim {self.conv_dim} is odd; rows and columns of a place take half of it each")
        if self.norm == "group":
            _divides(self, "groups", "conv_dim")
            if self.fine_dim % 8:
                raise BadModel(f"fine_dim {self.fine_dim} is no multiple of 8, the number of its groups")


@dataclass(frozen=True)
class TextTowerConfig:
    """Text tower: ``clip`` is the causal tower of the released weights, ``pubmedbert`` the paper's."""

    kind: Literal["clip", "pubmedbert"] = "clip"
    vocab: Annotated[int, Within(2, 1_000_000)] = 49408
    context: Annotated[int, Within(2, 1024)] = 77
    width: Width = 512
    layers: Count = 12
    heads: Count = 8
    feedforward: Hidden = 2048

    def __post_init__(self) -> None:
        _divides(self, "heads", "width")


@dataclass(frozen=True)
class JointDecoderConfig:
    """Joint feature interaction.

    ``presence`` adds the head that says whether the object is there; ``prompt_path`` adds the prompt's
    feature to the queries before the first self-attention. The paper has neither.
    """

    hidden: Width = 512
    queries: Annotated[int, Within(1, 1000)] = 101
    layers: Count = 9
    heads: Count = 8
    feedforward: Hidden = 2048
    presence: bool = False
    prompt_path: bool = False

    def __post_init__(self) -> None:
        _divides(self, "heads", "hidden")


@dataclass(frozen=True)
class ModelConfig:
    """A whole model; the defaults are the paper's size (``base``).

    ``mpp``: um per pixel at which an image is shown to the network, per label id, with ``default_mpp``
    for labels not listed. ``prompts``: what the network was taught to read for a label, per label id, where that
    is not the paper's template. ``tile`` and ``overlap`` are pixels at that scale. ``mean`` and ``std`` are
    on the 0..255 scale. ``positions`` says what attention knows of places: ``grid`` as in the paper, fractions
    of the tile, or ``none``, so that tissue gets the same answer wherever in a tile it lies. ``threshold`` cuts
    the probability of a mask, ``absent_below`` and ``present_above`` the presence.
    """

    image: ImageTowerConfig = field(default_factory=ImageTowerConfig)
    pixel: PixelDecoderConfig = field(default_factory=PixelDecoderConfig)
    text: TextTowerConfig = field(default_factory=TextTowerConfig)
    decoder: JointDecoderConfig = field(default_factory=JointDecoderConfig)
    mean: tuple[Mean, Mean, Mean] = (123.675, 116.28, 103.53)
    std: tuple[Spread, Spread, Spread] = (58.395, 57.12, 57.375)
    positions: Literal["grid", "none"] = "grid"
    default_mpp: Mpp = 0.25
    mpp: dict[str, Mpp] = field(default_factory=dict)
    prompts: dict[str, str] = field(default_factory=dict)
    tile: Annotated[int, Within(32, 4096)] = 1024
    overlap: Annotated[int, Within(0, 2048)] = 128
    threshold: Share = 0.5
    absent_below: Share = 0.35
    present_above: Share = 0.65

    def __post_init__(self) -> None:
        if self.pixel.conv_dim != self.decoder.hidden:
            raise BadModel(f"pixel.conv_dim {self.pixel.conv_dim} and decoder.hidden {self.decoder.hidden} must agree")
        # Tiles that share more than half advance so little that one image becomes thousands of them.
        if self.overlap > self.tile // 2:
            raise BadModel(f"overlap {self.overlap} is more than half of tile {self.tile}")
        if self.absent_below > self.present_above:
            raise BadModel(f"absent_below {self.absent_below} is more than present_above {self.present_above}")
        for setting, labels in (("mpp", self.mpp), ("prompts", self.prompts)):
            for label in labels:
                if not _is_label(label):
                    raise BadModel(f"{setting}: {shown(label)} is no label id; expected region-structure-object type")
        for text in self.prompts.values():
            if not (text.strip() and text.isprintable() and len(text) <= MOST_PROMPT):
                raise BadModel(f"prompts: {shown(text)} is no text of 1 to {MOST_PROMPT} printed characters")
        self._check_maps()

    def _check_maps(self) -> None:
        """Refuse sizes that each are allowed and together make a feature map of gigabytes."""
        lite = self.image.kind == "lite"
        widths = {"pixel.mask_dim": self.pixel.mask_dim}
        if lite:
            widths |= {"pixel.fine_dim": self.pixel.fine_dim}
        else:
            widths |= {
                "pixel.conv_dim": self.pixel.conv_dim,
                "image.embed_dim x image.mlp_ratio": self.image.embed_dim * self.image.mlp_ratio,
            }
        finest = (self.tile // (2 if lite else 4)) ** 2
        values = {name: width * finest for name, width in widths.items()}
        values |= {
            "decoder.queries": self.decoder.queries * (self.tile // 8) ** 2,
            "pixel.feedforward": self.pixel.feedforward * (self.tile // 32) ** 2,
        }
        name = max(values, key=lambda key: values[key])
        if values[name] > MOST_MAP_VALUES:
            raise BadModel(
                f"tile {self.tile} with this {name} makes maps of {values[name]:,} values,"
                f" more than {MOST_MAP_VALUES:,}"
            )

    def mpp_of(self, label_id: str) -> float:
        """Um per pixel at which this label is looked for."""
        return self.mpp.get(label_id, self.default_mpp)

    def prompt_of(self, label: Label) -> str:
        """The words by which the network is asked for a label."""
        return self.prompts.get(label.id, label.prompt)

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> ModelConfig:
        """Read what ``to_dict`` wrote; raises ``BadModel`` on unknown keys, wrong types, and sizes out of range."""
        return read_dataclass(cls, values, "config")


def _divides(config: object, part: str, whole: str) -> None:
    less, more = getattr(config, part), getattr(config, whole)
    if more % less:
        raise BadModel(f"{part} {less} does not divide {whole} {more}")


def _is_label(text: str) -> bool:
    try:
        return Label.from_id(text).id == text
    except BadInput:
        return False


def read_dataclass(cls: type[T], values: Any, where: str) -> T:
    """Build a (nested) dataclass from JSON values; unknown keys, wrong types and ranges are refused by name."""
    if not isinstance(values, Mapping):
        raise BadModel(f"{where}: expected a table of settings, found {type(values).__name__}")
    hints = get_type_hints(cls, include_extras=True)
    known = {f.name for f in fields(cls)}  # type: ignore[arg-type]
    unknown = [name for name in values if name not in known]
    if unknown:
        raise BadModel(f"{where}: unknown setting {shown(unknown[0])}; known: {', '.join(sorted(known))}")
    ready = {name: _value(hints[name], value, f"{where}.{name}") for name, value in values.items()}
    try:
        return cls(**ready)
    except (TypeError, BadModel) as error:
        raise BadModel(f"{where}: {error}") from error


def _value(hint: Any, value: Any, where: str) -> Any:
    origin, inner = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return _within(inner[1], _value(inner[0], value, where), where)
    if is_dataclass(hint):
        return read_dataclass(hint, value, where)  # type: ignore[arg-type]
    if origin in (UnionType, Union) and NoneType in inner:
        return None if value is None else _value(next(h for h in inner if h is not NoneType), value, where)
    if origin is Literal:
        if value not in inner:
            raise BadModel(f"{where}: {shown(value)} is none of {', '.join(map(str, inner))}")
        return value
    if origin is tuple and isinstance(value, (list, tuple)):
        return _items(inner, value, where)
    if origin is dict and isinstance(value, Mapping):
        return {str(k): _value(inner[1], v, f"{where}.{shown(str(k))[1:-1]}") for k, v in value.items()}
    if origin is list and isinstance(value, list):
        return [_value(inner[0], item, where) for item in value]
    if hint is float and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**53:
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and not (hint is int and isinstance(value, bool)):
        return value
    raise BadModel(f"{where}: {shown(value)} is not of the expected kind ({getattr(hint, '__name__', hint)})")


def _items(hints: tuple[Any, ...], values: Sequence[Any], where: str) -> tuple[Any, ...]:
    """Items of a tuple; ``hints`` are those of ``tuple[X, ...]`` or of one item each."""
    if hints[-1] is Ellipsis:
        hints = hints[:1] * len(values)
    if len(values) != len(hints):
        raise BadModel(f"{where}: {len(values)} values, expected {len(hints)}")
    return tuple(_value(hint, item, where) for hint, item in zip(hints, values, strict=True))


def _within(allowed: Within, value: Any, where: str) -> Any:
    if not allowed.least <= value <= allowed.most:
        raise BadModel(f"{where}: {shown(value)} is not between {allowed.least:g} and {allowed.most:,}")
    return value
