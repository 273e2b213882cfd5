"""Released BiomedParse-v1 checkpoints to model folders and back, without loss."""

from __future__ import annotations

import pickle
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor

from pathsegmentor.atomic import whole_file
from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.model.biomedparse import join_released, split_released
from pathsegmentor.model.config import ModelConfig
from pathsegmentor.model.folder import (
    UNUSED,
    WEIGHTS,
    check_sums,
    check_words,
    read_config,
    save_model,
    write_sums,
)
from pathsegmentor.model.foreign import foreign, shown
from pathsegmentor.model.store import check_free
from pathsegmentor.model.tokenizer import read_tokenizer
from pathsegmentor.model.weights import check_finite, check_fit, expected, header, kept, write_tensors
from pathsegmentor.vocabulary import Vocabulary

CARD = """---
license: other
library_name: pathsegmentor
---
# Imported BiomedParse-v1 weights

Converted from a released checkpoint by `pathsegmentor models import`. The licence is the checkpoint's.
The vocabulary is the paper's; the weights were not trained on its prompts. Research use only.
"""
SUFFIX = ".safetensors"
# What a pickle may say beside its tensors; real ones have some hundred bytes a tensor.
MOST_PICKLE_BYTES = 64_000_000
# Kinds of number that both formats have; quantised and complex ones are no weights.
DTYPES = {torch.float16, torch.bfloat16, torch.float32, torch.float64}
DTYPES |= {torch.int8, torch.int16, torch.int32, torch.int64, torch.uint8, torch.bool}


def read_checkpoint(path: Path, tables: Sequence[str] = ("model",), legacy: bool = False) -> dict[str, Tensor]:
    """Tensors of a ``.pt`` (nothing is unpickled but tensors) or ``.safetensors`` file; raises ``BadModel``.

    ``tables`` are names under which a training program may keep the weights, beside other things. ``legacy`` also
    takes files as torch wrote them before 1.6, which are read whole, not mapped.
    """
    if not path.is_file():
        raise BadModel(f"{path} {'is no file' if path.exists() else 'does not exist'}")
    what = f"{path} is not a safe checkpoint of tensors"
    if path.suffix.lower() == SUFFIX:
        header(path)
        with foreign(what):
            return _plain(load_file(path), path)
    with foreign(what):
        old = legacy and not zipfile.is_zipfile(path)
        if not old:
            _check_zip(path, what)
        state = _unpickled(path, what, mapped=not old)
    inner = [state[name] for name in tables if name in state] if isinstance(state, dict) else []
    return _plain(inner[0] if inner else state, path)


def _unpickled(path: Path, what: str, mapped: bool) -> Any:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch's advice on how a stranger's file should have been written
            return torch.load(path, map_location="cpu", weights_only=True, mmap=mapped)
    except pickle.UnpicklingError as error:
        # torch's own words end in how to run the pickle nevertheless.
        raise BadModel(f"{what}: its pickle is damaged, or holds more than tensors") from error


def _check_zip(path: Path, what: str) -> None:
    """Refuse an archive that is damaged, or more when opened than it is on disk, before anything in it is opened."""
    if not zipfile.is_zipfile(path):
        raise BadModel(f"{what}: it is cut off, or no zip archive as torch has written since 1.6")
    with zipfile.ZipFile(path) as archive:
        parts = archive.infolist()
        if any(part.compress_type != zipfile.ZIP_STORED for part in parts):
            raise BadModel(f"{what}: its parts are compressed, which torch never does")
        if sum(part.file_size for part in parts) > path.stat().st_size:
            raise BadModel(f"{what}: its parts overlap")
        if any(part.file_size > MOST_PICKLE_BYTES for part in parts if part.filename.endswith(".pkl")):
            raise BadModel(f"{what}: its pickle has more than {MOST_PICKLE_BYTES:,} bytes")
        # torch itself does not look at the checksums.
        damaged = archive.testzip()
    if damaged is not None:
        raise BadModel(f"{what}: {shown(damaged)} in it is damaged (its checksum is another)")


def _plain(state: Any, path: Path) -> dict[str, Tensor]:
    """A table of ordinary tensors that are together no larger than what the file can hold."""
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise BadModel(f"{path} does not hold a table of tensors")
    for name, tensor in state.items():
        if not isinstance(name, str):
            raise BadModel(f"{path}: the name {shown(name)} is no text")
        if tensor.layout != torch.strided or tensor.device.type != "cpu" or tensor.dtype not in DTYPES:
            kind = " ".join(str(x).removeprefix("torch.") for x in (tensor.layout, tensor.device, tensor.dtype))
            raise BadModel(f"{path}: {shown(name)} is no ordinary tensor of numbers but {kind}")
    # Views may repeat one piece of memory without end; tied weights do so once.
    size = sum(tensor.numel() * tensor.element_size() for tensor in state.values())
    if size > 2 * path.stat().st_size:
        raise BadModel(f"{path}: its tensors claim {size:,} bytes, far more than the file has")
    return state


def import_checkpoint(
    checkpoint: Path,
    out: Path,
    tokenizer: Path,
    config: ModelConfig | None = None,
    labels: Sequence[str] = (),
    card: str = CARD,
) -> None:
    """Write a model folder; parts that words do not need are kept in ``unused.safetensors``.

    ``labels`` are the ids of its vocabulary, the paper's where none are given. Everything is checked before anything
    is written, and the folder is whole when it appears. Raises ``BadModel`` for what cannot be used, ``BadInput`` if
    there is something at ``out`` already.
    """
    config, vocabulary = config or ModelConfig(), Vocabulary.from_ids(labels) if labels else Vocabulary.paper()
    check_free(out)
    ours, unused = _split(read_checkpoint(checkpoint), checkpoint)
    check_fit(expected(config), kept(ours), f"{checkpoint} is not a BiomedParse-v1 checkpoint")
    check_finite(ours, checkpoint)
    words = read_tokenizer(tokenizer)
    check_words(words, vocabulary, config, tokenizer)
    out.parent.mkdir(parents=True, exist_ok=True)
    beside = Path(tempfile.mkdtemp(dir=out.parent, prefix=f".{out.name}-"))
    try:
        save_model(beside / "model", config, ours, words, [label.id for label in vocabulary], card)
        write_tensors(unused, beside / "model" / UNUSED)
        write_sums(beside / "model")
        (beside / "model").replace(out)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def _split(state: Mapping[str, Tensor], path: Path) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    try:
        return split_released(state)
    except BadModel as error:
        raise BadModel(f"{path}: {error}") from error


def export_checkpoint(folder: Path, out: Path) -> None:
    """Write the released layout again as safetensors; raises ``BadModel``, or ``BadInput`` for a wrong ``out``."""
    if out.suffix.lower() != SUFFIX:
        raise BadInput(f"{out}: released weights are written as safetensors; give a name that ends with {SUFFIX}")
    if folder.is_dir() and out.resolve().is_relative_to(folder.resolve()):
        raise BadInput(f"{out} lies in the model folder itself; give another place")
    if out.exists():
        raise BadInput(f"{out} is there already; give another name")
    sums = check_sums(folder)
    weights = folder / WEIGHTS
    check_fit(expected(read_config(folder), folder), header(weights), f"{weights} does not fit the config")
    with foreign(f"{folder} cannot be read"):
        unused = load_file(folder / UNUSED) if UNUSED in sums and header(folder / UNUSED) else {}
        state = join_released(load_file(weights), unused)
    with whole_file(out) as beside:
        write_tensors(state, beside)
