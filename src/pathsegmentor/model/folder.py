"""A model is a folder: config, weights, tokenizer, vocabulary, card and the hashes of all of them.

The same folder is a Hub repository. Everything is checked against ``SHA256SUMS`` before it is used and
nothing is unpickled.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor

from pathsegmentor.atomic import whole_file
from pathsegmentor.errors import BadModel
from pathsegmentor.model.config import ModelConfig
from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.vocabulary import Vocabulary

CONFIG, WEIGHTS, TOKENIZER, VOCABULARY = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "vocabulary.json",
)
CARD, UNUSED, SUMS = "README.md", "unused.safetensors", "SHA256SUMS"
REQUIRED = (CONFIG, WEIGHTS, TOKENIZER, VOCABULARY)


@dataclass(frozen=True)
class Model:
    """A loaded model: the network in evaluation mode, its words and where it came from."""

    name: str
    folder: Path
    config: ModelConfig
    net: PathSegmentorNet
    tokenizer: Tokenizer
    vocabulary: Vocabulary
    weights_sha256: str

    def tokenize(self, prompts: list[str]) -> tuple[Tensor, Tensor]:
        """Token ids and boolean mask of real tokens, both (N, T) with T the longest prompt's length."""
        return tokenize(self.tokenizer, prompts, self.config.text.context, self.net.logit_scale.device)


def tokenize(tokenizer: Tokenizer, prompts: list[str], context: int, device: torch.device) -> tuple[Tensor, Tensor]:
    """Ids and mask (N, T); longer prompts are cut at ``context`` and keep their end token."""
    encoded = [e.ids for e in tokenizer.encode_batch([p.lower() for p in prompts])]
    encoded = [ids if len(ids) <= context else [*ids[: context - 1], ids[-1]] for ids in encoded]
    longest = max(map(len, encoded))
    ids = torch.tensor([row + [row[-1]] * (longest - len(row)) for row in encoded], device=device)
    lengths = torch.tensor([len(row) for row in encoded], device=device)
    return ids, torch.arange(longest, device=device) < lengths[:, None]


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_sums(folder: Path) -> None:
    """Write ``SHA256SUMS`` for every other file of the folder."""
    lines = [
        f"{sha256_of(path)}  {path.name}\n"
        for path in sorted(folder.iterdir())
        if path.is_file() and path.name != SUMS and not path.name.startswith(".")
    ]
    with whole_file(folder / SUMS) as beside:
        beside.write_text("".join(lines), encoding="utf-8")


def check_sums(folder: Path) -> dict[str, str]:
    """Hashes by file name, after checking each; raises ``BadModel`` for a missing or altered file."""
    if not folder.is_dir():
        raise BadModel(f"{folder} is not a model folder")
    sums = folder / SUMS
    if not sums.is_file():
        raise BadModel(f"{folder} has no {SUMS}; a model folder lists the hashes of its files there")
    try:
        return _checked(folder, sums.read_text(encoding="utf-8", errors="replace").splitlines())
    except OSError as error:
        raise BadModel(f"{folder} cannot be read: {error.strerror or error}") from error


def _checked(folder: Path, lines: list[str]) -> dict[str, str]:
    known: dict[str, str] = {}
    for line in lines:
        digest, _, name = line.partition("  ")
        if not name or Path(name).name != name:
            raise BadModel(f"{folder / SUMS}: '{line[:80]}' is no line of the form 'HASH  FILE'")
        known[name] = digest
    for name in (*REQUIRED, *(n for n in known if n not in REQUIRED)):
        path = folder / name
        if not path.is_file() or name not in known:
            raise BadModel(f"{folder}: {name} is missing; get the model again")
        if sha256_of(path) != known[name]:
            raise BadModel(f"{path} is damaged: its SHA-256 is not the one in {SUMS}; get the model again")
    return known


def load_model(folder: Path, name: str | None = None, device: str = "cpu") -> Model:
    """Read a model folder, checking every hash; raises ``BadModel`` in words."""
    hashes = check_sums(folder)
    config = ModelConfig.from_dict(_json(folder / CONFIG))
    vocabulary = read_vocabulary(folder)
    net = PathSegmentorNet(config)
    load_weights(net, read_weights(folder / WEIGHTS))
    try:
        tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
    except Exception as error:  # the library raises bare Exception
        raise BadModel(f"{folder / TOKENIZER} is no tokenizer: {error}") from error
    # Channels last: the fastest layout that needs no further package (benchmarks/nano_speed.py).
    net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    net.eval().requires_grad_(False)
    return Model(name or folder.name, folder, config, net, tokenizer, vocabulary, hashes[WEIGHTS])


def read_vocabulary(folder: Path) -> Vocabulary:
    """The labels a model folder knows; raises ``BadModel`` if it has none."""
    labels = _json(folder / VOCABULARY)
    if not isinstance(labels, list) or not labels or not all(isinstance(x, str) for x in labels):
        raise BadModel(f"{folder / VOCABULARY} is not a list of label ids")
    return Vocabulary.from_ids(labels)


def read_weights(path: Path) -> dict[str, Tensor]:
    """Tensors of a safetensors file, half precision widened to float32."""
    try:
        return {k: v.float() if v.is_floating_point() else v for k, v in load_file(path).items()}
    except (SafetensorError, OSError) as error:
        raise BadModel(f"{path} cannot be read: {error}") from error


def load_weights(net: PathSegmentorNet, state: dict[str, Tensor]) -> None:
    """Load with nothing missing, unexpected or of another shape; all of them are listed otherwise."""
    own = net.state_dict()
    problems = [f"missing {name}" for name in own if name not in state]
    problems += [f"unexpected {name}" for name in state if name not in own]
    problems += [
        f"{name} is {tuple(state[name].shape)}, expected {tuple(tensor.shape)}"
        for name, tensor in own.items()
        if name in state and state[name].shape != tensor.shape
    ]
    if problems:
        raise BadModel(f"the weights do not fit the config: {'; '.join(problems[:5])} ({len(problems)} in all)")
    net.load_state_dict(state)


def save_model(
    folder: Path,
    config: ModelConfig,
    state: dict[str, Tensor],
    tokenizer: Tokenizer,
    labels: list[str],
    card: str,
    half: bool = False,
) -> None:
    """Write a whole model folder; ``half`` stores the weights in 16 bit."""
    folder.mkdir(parents=True, exist_ok=True)
    tensors = {
        k: (v.half() if half and v.is_floating_point() else v).detach().cpu().contiguous() for k, v in state.items()
    }
    with whole_file(folder / WEIGHTS) as beside:
        save_file(tensors, beside)
    texts = {
        CONFIG: json.dumps(config.to_dict(), indent=1) + "\n",
        VOCABULARY: json.dumps(labels, indent=1) + "\n",
        TOKENIZER: tokenizer.to_str(pretty=False) + "\n",
        CARD: card,
    }
    for name, text in texts.items():
        with whole_file(folder / name) as beside:
            beside.write_text(text, encoding="utf-8")
    write_sums(folder)


def _json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadModel(f"{path} cannot be read: {error}") from error
