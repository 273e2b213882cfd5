"""Released BiomedParse-v1 checkpoints to model folders and back, without loss."""

from __future__ import annotations

import pickle
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from pathsegmentor.atomic import whole_file
from pathsegmentor.errors import BadModel
from pathsegmentor.model.biomedparse import join_released, split_released
from pathsegmentor.model.config import ModelConfig
from pathsegmentor.model.folder import UNUSED, WEIGHTS, check_sums, save_model, write_sums
from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.vocabulary import Vocabulary

CARD = """---
license: other
library_name: pathsegmentor
---
# Imported BiomedParse-v1 weights

Converted from a released checkpoint by `pathsegmentor models import`. The licence is the checkpoint's.
The vocabulary is the paper's; the weights were not trained on its prompts. Research use only.
"""


def read_checkpoint(path: Path) -> dict[str, Tensor]:
    """Tensors of a ``.pt`` (nothing is unpickled but tensors) or ``.safetensors`` file."""
    if not path.is_file():
        raise BadModel(f"{path} does not exist")
    try:
        if path.suffix == ".safetensors":
            state = load_file(path)
        else:
            state = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except (SafetensorError, OSError, RuntimeError, pickle.UnpicklingError, EOFError) as error:
        first = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadModel(f"{path} is not a safe checkpoint of tensors: {first}") from error
    state = state.get("model", state) if isinstance(state, dict) else state
    if not isinstance(state, dict) or not all(isinstance(v, Tensor) for v in state.values()):
        raise BadModel(f"{path} does not hold a table of tensors")
    return state


def check_fit(config: ModelConfig, ours: dict[str, Tensor]) -> None:
    """Raise ``BadModel`` unless names and shapes are those of the config; builds no real memory."""
    with torch.device("meta"):
        own = PathSegmentorNet(config).state_dict()
    problems = [f"missing {name}" for name in own if name not in ours]
    problems += [f"unexpected {name}" for name in ours if name not in own]
    problems += [f"{n} has another shape" for n, t in own.items() if n in ours and ours[n].shape != t.shape]
    if problems:
        raise BadModel(f"not a BiomedParse-v1 checkpoint: {'; '.join(problems[:5])} ({len(problems)} in all)")


def import_checkpoint(checkpoint: Path, out: Path, tokenizer: Path, config: ModelConfig | None = None) -> None:
    """Write a model folder; parts that words do not need are kept in ``unused.safetensors``."""
    config = config or ModelConfig()
    ours, unused = split_released(read_checkpoint(checkpoint))
    check_fit(config, ours)
    try:
        words = Tokenizer.from_file(str(tokenizer))
    except Exception as error:  # the library raises bare Exception
        raise BadModel(f"{tokenizer} is no tokenizer: {error}") from error
    save_model(out, config, ours, words, [label.id for label in Vocabulary.paper()], CARD)
    with whole_file(out / UNUSED) as beside:
        save_file({k: v.contiguous() for k, v in unused.items()}, beside)
    write_sums(out)


def export_checkpoint(folder: Path, out: Path) -> None:
    """Write the released layout again as safetensors."""
    check_sums(folder)
    unused = load_file(folder / UNUSED) if (folder / UNUSED).is_file() else {}
    state = join_released(load_file(folder / WEIGHTS), unused)
    with whole_file(out) as beside:
        save_file({k: v.contiguous() for k, v in state.items()}, beside)
