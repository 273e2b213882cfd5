"""Broken checkpoints through ``models import``: a whole folder or none, and no pickle runs."""

from __future__ import annotations

import io
import json
import random
import struct
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save

from pathsegmentor.model.folder import check_sums
from pathsegmentor.model.released import export_checkpoint, import_checkpoint
from tests.fuzz.harness import fuzz
from tests.fuzz.mutate import broken_bytes, broken_json
from tests.model.small import SMALL, released, small_words


class Trap:
    """Leaves a mark in the working folder if a pickle is run."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (Path("sprung"),))


def tensors_of(state: Any) -> bytes:
    file = io.BytesIO()
    torch.save(state, file)
    return file.getvalue()


def strange(rng: random.Random, tensor: torch.Tensor) -> Any:
    """Something that may stand where a weight should."""
    kinds: tuple[Callable[[], Any], ...] = (
        lambda: tensor.to(rng.choice([torch.int8, torch.int64, torch.bool, torch.complex64, torch.float64])),
        lambda: tensor.half(),
        lambda: tensor.bfloat16(),
        lambda: tensor.to_sparse(),
        lambda: tensor.to(torch.float8_e4m3fn),
        lambda: torch.full_like(tensor, rng.choice([float("nan"), float("inf"), 1e38])),
        lambda: torch.zeros(1).expand(rng.choice([10, 10**6, 10**12])),
        lambda: torch.empty(0, *tensor.shape),
        lambda: torch.empty(tensor.shape, device="meta"),
        lambda: tensor[..., None],
        lambda: torch.nn.Parameter(tensor),
        lambda: tensor.mT if tensor.ndim > 1 else tensor[:0],
        lambda: {"weight": tensor},
        lambda: [tensor, tensor],
        lambda: tensor.tolist() if tensor.numel() < 100 else "tensor",
        lambda: rng.choice([None, 1, 1.5, "x", b"x", torch.float32, torch.Size([1]), OrderedDict()]),
        Trap,
    )
    return rng.choice(kinds)()


def strange_state(rng: random.Random) -> Any:
    """The released weights with some entries replaced, renamed, tied, added or wrapped."""
    state: dict[Any, Any] = dict(released())
    for _ in range(rng.choice((1, 1, 2))):
        name = rng.choice(list(state))
        how = rng.randrange(6)
        if how <= 1 and isinstance(state[name], torch.Tensor):
            state[name] = strange(rng, state[name])
        elif how == 2:
            state[rng.choice(["", "model." + str(name), 7, None, "a\nb", "x" * 9999, ("t",)])] = state[name]
        elif how == 3:
            state["criterion." + rng.choice(["a", "b"])] = strange(rng, torch.ones(3, 4))
        elif how == 4:
            del state[name]
        else:
            state[name] = state[rng.choice(list(state))]
    wraps: tuple[Any, ...] = (
        state,
        {"model": state},
        {"model": state, "epoch": 1},
        [state],
        {"model": {"model": state}},
    )
    return rng.choice(wraps[:2]) if rng.random() < 0.8 else rng.choice(wraps)


def repacked(rng: random.Random, data: bytes) -> bytes:
    """A zip whose members are broken but have the right checksums, so that torch looks at them."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(out, "w") as after:
        chosen = rng.choice(before.namelist()) if rng.random() < 0.4 else "archive/data.pkl"
        for name in before.namelist():
            body = before.read(name)
            how = rng.choice([zipfile.ZIP_STORED] * 9 + [zipfile.ZIP_DEFLATED])
            after.writestr(name, broken_bytes(rng, body) if name == chosen else body, how)
    return out.getvalue()


def broken_header(rng: random.Random, data: bytes) -> bytes:
    size = struct.unpack("<Q", data[:8])[0]
    text = broken_json(rng, json.loads(data[8 : 8 + size])).encode("utf-8", "surrogateescape")
    return struct.pack("<Q", len(text)) + text + data[8 + size :]


def checkpoint(rng: random.Random, folder: Path) -> Path:
    """Write a broken checkpoint of any kind."""
    how = rng.randrange(5)
    if how == 0:
        path = folder / "released.safetensors"
        path.write_bytes(rng.choice((broken_bytes, broken_header))(rng, save(released())))
        return path
    path = folder / "released.pt"
    if how <= 2:
        path.write_bytes(tensors_of(strange_state(rng)))
    elif how == 3:
        path.write_bytes(repacked(rng, tensors_of(released())))
    else:
        path.write_bytes(broken_bytes(rng, tensors_of(released())))
    return path


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch, at the strange tensors made here
def test_checkpoints(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    words = tmp_path / "words.json"
    small_words().save(str(words))

    def try_checkpoint(rng: random.Random, folder: Path) -> None:
        path, model = checkpoint(rng, folder), folder / "model"
        try:
            import_checkpoint(path, model, words, SMALL)
            check_sums(model)
            export_checkpoint(model, folder / "back.safetensors")
        finally:
            left = {p.name for p in folder.iterdir()} - {path.name, "model", "back.safetensors"}
            assert not left, f"half-written: {left}"
            assert not Path("sprung").exists(), "a pickle was run"

    fuzz("checkpoints", tmp_path, try_checkpoint)
