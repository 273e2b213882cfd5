"""A model is a folder: config, weights, tokenizer, vocabulary, card and the hashes of all of them.

The same folder is a Hub repository. Everything is checked against ``SHA256SUMS`` before it is used and
nothing is unpickled.
"""

from __future__ import annotations

import json
import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path

import torch
from tokenizers import Tokenizer
from torch import Tensor

from pathsegmentor.atomic import sha256_of, whole_file
from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.model.config import ModelConfig
from pathsegmentor.model.foreign import check_bytes, foreign, read_json, shown
from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.model.tokenizer import MOST_TOKENIZER_BYTES, read_tokenizer, tokenize
from pathsegmentor.model.weights import (
    check_fit,
    expected,
    header,
    load_weights,
    most_bytes,
    read_weights,
    write_tensors,
)
from pathsegmentor.vocabulary import Label, Vocabulary

CONFIG, WEIGHTS, TOKENIZER, VOCABULARY = (
    "config.json",
    "model.safetensors",
    "tokenizer.json",
    "vocabulary.json",
)
CARD, UNUSED, SUMS = "README.md", "unused.safetensors", "SHA256SUMS"
# Not every model has these: further ways to say its labels, and what a fine-tuned one came from.
WORDS, PROVENANCE = "words.json", "provenance.json"
REQUIRED = (CONFIG, WEIGHTS, TOKENIZER, VOCABULARY)
# More is no model: a file is measured before it is read.
MOST_BYTES = {
    SUMS: 100_000,
    CONFIG: 1_000_000,
    VOCABULARY: 4_000_000,
    WORDS: 4_000_000,
    TOKENIZER: MOST_TOKENIZER_BYTES,
}
MOST_WEIGHTS_BYTES = 32_000_000_000
MOST_LABELS, MOST_LABEL_BYTES = 10_000, 120

# As sha256sum writes it; a name is one of this folder, never a path.
_SUM = re.compile(r"([0-9a-f]{64}) [ *]([^/\\\x00-\x1f]+)")


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
        return tokenize(self.tokenizer, prompts, self.config.text, self.net.logit_scale.device)


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
    sums = read_sums(folder)
    for name in sums:
        check_file(folder, name, sums)
    return sums


def read_sums(folder: Path) -> dict[str, str]:
    """What ``SHA256SUMS`` says, by file name; every part of a model is in it and there."""
    if not folder.is_dir():
        raise BadModel(f"{folder} is not a model folder")
    known = sums_of(folder)
    for name in (*REQUIRED, *known):
        with foreign(f"{folder / name} cannot be read"):
            if name not in known or not (folder / name).is_file():
                raise BadModel(f"{folder}: {name} is missing; get the model again")
    return known


def sums_of(folder: Path) -> dict[str, str]:
    """What ``SHA256SUMS`` says, by file name, whether the files are there or not; names are never paths."""
    path = folder / SUMS
    if not path.is_file():
        raise BadModel(f"{folder} has no {SUMS}; a model folder lists the hashes of its files there")
    with foreign(f"{path} cannot be read"):
        check_bytes(path, MOST_BYTES[SUMS])
        lines = path.read_text(encoding="utf-8", errors="replace").splitlines()
    known: dict[str, str] = {}
    for line in lines:
        found = _SUM.fullmatch(line)
        if not found or found[2] in (".", ".."):
            raise BadModel(f"{path}: {shown(line)} is no line of the form 'HASH  FILE'")
        if known.setdefault(found[2], found[1]) != found[1]:
            raise BadModel(f"{path} has two hashes of {found[2]}")
    return known


def check_file(folder: Path, name: str, sums: dict[str, str]) -> None:
    """Raise ``BadModel`` unless a file has the hash that was promised."""
    path = folder / name
    with foreign(f"{path} cannot be read"):
        check_bytes(path, MOST_BYTES.get(name, MOST_WEIGHTS_BYTES))
        if sha256_of(path) != sums[name]:
            raise BadModel(f"{path} is damaged: its SHA-256 is not the one in {SUMS}; get the model again")


@dataclass(frozen=True)
class Checked:
    """All of a model folder but the values of its weights, every hash and size found right."""

    config: ModelConfig
    vocabulary: Vocabulary
    tokenizer: Tokenizer
    sums: dict[str, str]


def check_model(folder: Path) -> Checked:
    """Check every hash and every size of a model folder; raises ``BadModel`` in words.

    What is small is checked first: weights are hashed if they are no larger than the config's network.
    """
    sums = read_sums(folder)
    for part in (CONFIG, VOCABULARY, TOKENIZER):
        check_file(folder, part, sums)
    config = read_config(folder)
    vocabulary = read_vocabulary(folder)
    tokenizer = read_tokenizer(folder / TOKENIZER)
    check_words(tokenizer, vocabulary, config, folder / TOKENIZER)
    weights, own = folder / WEIGHTS, expected(config, folder / CONFIG)
    check_bytes(weights, most_bytes(own))
    for part in sums:
        if part not in (CONFIG, VOCABULARY, TOKENIZER):
            check_file(folder, part, sums)
    check_fit(own, header(weights), f"{weights} does not fit {CONFIG}")
    return Checked(config, vocabulary, tokenizer, sums)


def load_model(folder: Path, name: str | None = None, device: str = "cpu") -> Model:
    """Read a model folder, all of it checked; raises ``BadModel`` in words.

    The network is built only once the header of the weights fits it.
    """
    checked = check_model(folder)
    net = PathSegmentorNet(checked.config)
    load_weights(net, read_weights(folder / WEIGHTS))
    # Channels last: the fastest layout that needs no further package (benchmarks/nano_speed.py).
    net.to(device).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    net.eval().requires_grad_(False)
    return Model(
        name or folder.name,
        folder,
        checked.config,
        net,
        checked.tokenizer,
        checked.vocabulary,
        checked.sums[WEIGHTS],
    )


def read_config(folder: Path) -> ModelConfig:
    """Sizes and settings of a model folder; raises ``BadModel`` with the file and the field."""
    path = folder / CONFIG
    values = read_json(path, MOST_BYTES[CONFIG])
    try:
        return ModelConfig.from_dict(values)
    except BadModel as error:
        raise BadModel(f"{path}: {error}") from error


def read_vocabulary(folder: Path) -> Vocabulary:
    """The labels a model folder knows; raises ``BadModel`` for none, for two that are one, and for what is no label."""
    path = folder / VOCABULARY
    labels = read_json(path, MOST_BYTES[VOCABULARY])
    if not isinstance(labels, list) or not labels:
        raise BadModel(f"{path} is not a list of label ids")
    if len(labels) > MOST_LABELS:
        raise BadModel(f"{path} lists {len(labels):,} labels, more than {MOST_LABELS:,}")
    files: dict[str, object] = {}
    for text in labels:
        if not (isinstance(text, str) and text.isprintable() and len(text.encode()) <= MOST_LABEL_BYTES):
            raise BadModel(f"{path}: {shown(text)} is no label id of at most {MOST_LABEL_BYTES} printed characters")
        try:
            # Masks are written under the label's name; a name that differs in form alone is the same file to some.
            file = Label.from_id(unicodedata.normalize("NFC", text)).file_name
        except BadInput as error:
            raise BadModel(f"{path}: {error}") from error
        if file in files:
            raise BadModel(f"{path}: {shown(text)} and {shown(files[file])} are one label, or one file name")
        files[file] = text
    return Vocabulary.from_ids(labels, _read_words(folder / WORDS, {Label.from_id(text).id for text in labels}))


def _read_words(path: Path, labels: set[str]) -> dict[str, list[str]]:
    """Further ways to say labels, if the folder has any: ``{"label id": ["phrase", ...]}``."""
    if not path.is_file():
        return {}
    words = read_json(path, MOST_BYTES[WORDS])
    if not isinstance(words, dict):
        raise BadModel(f"{path} is not a table of phrases by label id")
    for label, phrases in words.items():
        if label not in labels:
            raise BadModel(f"{path}: {shown(label)} is no label of {VOCABULARY}")
        if not (isinstance(phrases, list) and all(_is_phrase(text) for text in phrases)):
            raise BadModel(f"{path}: {shown(label)} has no list of phrases of at most {MOST_LABEL_BYTES} bytes")
    return words


def _is_phrase(text: object) -> bool:
    return (
        isinstance(text, str) and bool(text.strip()) and text.isprintable() and len(text.encode()) <= MOST_LABEL_BYTES
    )


def check_words(tokenizer: Tokenizer, vocabulary: Vocabulary, config: ModelConfig, path: Path) -> None:
    """Raise ``BadModel`` unless the tokenizer reads the prompts of all labels as tokens that the text tower has."""
    try:
        tokenize(tokenizer, [config.prompt_of(label) for label in vocabulary], config.text, torch.device("cpu"))
    except BadModel as error:
        raise BadModel(f"{path}: {error}") from error


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
    tensors = {k: v.half() if half and v.is_floating_point() else v for k, v in state.items()}
    with whole_file(folder / WEIGHTS) as beside:
        write_tensors(tensors, beside)
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
