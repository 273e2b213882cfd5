"""Weights in a safetensors file: compared with the config by their header, then read, then proven finite.

A network is built on torch's meta device first, which gives every name and shape and takes no memory, so a folder
that claims huge sizes costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.overrides import TorchFunctionMode

from pathsegmentor.errors import BadModel
from pathsegmentor.model.config import ModelConfig
from pathsegmentor.model.foreign import foreign, shown
from pathsegmentor.model.network import PathSegmentorNet

# The paper's model has 340 million values; eight times that is a sign of a forged config.
MOST_VALUES = 3_000_000_000
MOST_HEADER_BYTES = 16_000_000
_NAMES = {
    torch.float16: "F16",
    torch.bfloat16: "BF16",
    torch.float32: "F32",
    torch.float64: "F64",
    torch.int64: "I64",
}
FLOATS = ("F16", "BF16", "F32", "F64")


@dataclass(frozen=True)
class Kept:
    """A tensor as a file's header tells it; ``dtype`` in the words of safetensors."""

    dtype: str
    shape: tuple[int, ...]


class _Unfilled(TorchFunctionMode):
    """Leaves tensors unfilled: starting values of a network that has no memory are worth no time."""

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = getattr(func, "__name__", "")
        if name.endswith("_") and not name.endswith("__"):
            return args[0] if args else kwargs["tensor"]
        return func(*args, **(kwargs or {}))


def expected(config: ModelConfig, where: object = "config") -> dict[str, Tensor]:
    """Names, shapes and types of a config's weights, on the meta device; ``where`` is whose config, for messages."""
    try:
        with torch.device("meta"), _Unfilled():
            own = PathSegmentorNet(config).state_dict()
    except ImportError as error:
        raise BadModel(
            f"{where}: text.kind {config.text.kind} needs more: pip install 'pathsegmentor[text]'"
        ) from error
    values = sum(tensor.numel() for tensor in own.values())
    if values > MOST_VALUES:
        raise BadModel(f"{where} describes a network of {values:,} values, more than {MOST_VALUES:,}")
    return own


def most_bytes(own: Mapping[str, Tensor]) -> int:
    """The largest file that such weights can fill: eight bytes a value, and the header."""
    return 8 * sum(tensor.numel() for tensor in own.values()) + MOST_HEADER_BYTES


def header(path: Path) -> dict[str, Kept]:
    """What a safetensors file says it holds; no tensor is read."""
    with foreign(f"{path} cannot be read"):
        with path.open("rb") as file:
            size = int.from_bytes(file.read(8), "little")
        if size > MOST_HEADER_BYTES:
            raise BadModel(f"{path} cannot be read: its header is said to have {size:,} bytes")
        with safe_open(path, framework="pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  (no mapping)
            return {name: Kept(part.get_dtype(), tuple(part.get_shape())) for name, part in slices.items()}


def check_fit(
    own: Mapping[str, Tensor], found: Mapping[str, Kept], what: str = "the weights do not fit the config"
) -> None:
    """Raise ``BadModel`` unless names, shapes and kinds of number are the same; the first five are listed."""
    problems = [f"missing {name}" for name in own if name not in found]
    problems += [f"unexpected {shown(name)[1:-1]}" for name in found if name not in own]
    for name, tensor in own.items():
        if name not in found:
            continue
        told = found[name]
        if told.shape != tuple(tensor.shape):
            problems.append(f"{name} is {shown(told.shape)}, expected {tuple(tensor.shape)}")
        elif told.dtype not in (FLOATS if tensor.is_floating_point() else ("I64",)):
            problems.append(f"{name} holds {told.dtype}, expected {'floats' if tensor.is_floating_point() else 'I64'}")
    if problems:
        raise BadModel(f"{what}: {'; '.join(problems[:5])} ({len(problems)} in all)")


def check_finite(state: Mapping[str, Tensor], path: Path) -> None:
    """Raise ``BadModel`` if a value is infinite or no number in 32 bits, which is what the network computes in."""
    for name, tensor in state.items():
        if tensor.is_floating_point() and not tensor.float().isfinite().all():
            raise BadModel(f"{path}: {name} holds values that are infinite or no numbers in 32 bits")


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file, floats of any width brought to float32; all of them finite."""
    header(path)
    with foreign(f"{path} cannot be read"):
        state = {k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()}
    check_finite(state, path)
    return state


def load_weights(net: PathSegmentorNet, state: dict[str, Tensor]) -> None:
    """Load with nothing missing, unexpected or of another shape; all of them are listed otherwise."""
    check_fit(net.state_dict(), kept(state))
    net.load_state_dict(state)


def kept(state: Mapping[str, Tensor]) -> dict[str, Kept]:
    """Tensors in memory as a header would tell them."""
    return {
        name: Kept(_NAMES.get(tensor.dtype, str(tensor.dtype)), tuple(tensor.shape)) for name, tensor in state.items()
    }


def write_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    """Write a safetensors file; tensors that share memory are written one by one."""
    seen: set[int] = set()
    apart = {}
    for name, tensor in tensors.items():
        plain = tensor.detach().cpu().contiguous()
        # The format refuses two tensors on one piece of memory, and a view keeps the whole piece alive.
        place = plain.untyped_storage().data_ptr()
        whole = plain.untyped_storage().nbytes() == plain.numel() * plain.element_size()
        apart[name] = plain if whole and place not in seen else plain.clone()
        seen.add(place)
    with foreign(f"{path} cannot be written"):
        save_file(apart, path)
