"""The tokenizer of a model folder: only parts whose time and memory grow with the text alone.

A ``tokenizer.json`` may hold regular expressions and replacements, and those of a stranger can run for years
or double a text with every step. So a file is refused unless each of its parts is of a kind that cannot, and each
pattern is one of the few that CLIP's and BERT's tokenizers are made of.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from torch import Tensor

from pathsegmentor.errors import BadModel
from pathsegmentor.model.config import TextTowerConfig
from pathsegmentor.model.foreign import foreign, read_json, shown

MOST_TOKENIZER_BYTES = 32_000_000
MOST_PARTS = 16

_SEQUENCE = "Sequence"
_KINDS = {
    "normalizer": {"NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Strip", "StripAccents", "BertNormalizer", "Replace"},
    "pre_tokenizer": {"ByteLevel", "BertPreTokenizer", "Whitespace", "WhitespaceSplit", "Punctuation", "Split"},
    "post_processor": {"ByteLevel", "BertProcessing", "RobertaProcessing", "TemplateProcessing"},
    "decoder": {"ByteLevel", "BPEDecoder", "WordPiece"},
}
# Where a sequence keeps its members.
_MEMBERS = {
    "normalizer": "normalizers",
    "pre_tokenizer": "pretokenizers",
    "post_processor": "processors",
    "decoder": "decoders",
}
_MODELS = {"BPE", "WordPiece", "WordLevel"}
_CLIP = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
# By what holds them; a replacement that never makes a text longer.
_PATTERNS: dict[str, tuple[dict[str, Any], ...]] = {
    "Replace": ({"pattern": {"Regex": r"\s+"}, "content": " "},),
    "Split": tuple({"pattern": {"Regex": marks + _CLIP}} for marks in ("", r"<\|startoftext\|>|<\|endoftext\|>|")),
}


def read_tokenizer(path: Path) -> Tokenizer:
    """Read a ``tokenizer.json``; raises ``BadModel`` for one that is broken, or that could hang or explode."""
    values = read_json(path, MOST_TOKENIZER_BYTES)
    if not isinstance(values, dict):
        raise BadModel(f"{path} is no tokenizer: expected a table, found {type(values).__name__}")
    for part in _KINDS:
        _check_part(part, values.get(part), path)
    _check_model(values.get("model"), path)
    # How long a prompt may be is the model's to say, and prompts are padded by `tokenize`.
    values |= {"truncation": None, "padding": None}
    with foreign(f"{path} is no tokenizer"):
        return Tokenizer.from_str(json.dumps(values))


def tokenize(
    tokenizer: Tokenizer, prompts: list[str], config: TextTowerConfig, device: torch.device
) -> tuple[Tensor, Tensor]:
    """Ids and mask (N, T); longer prompts are cut at the tower's context and keep their end token.

    Raises ``BadModel`` if the tokenizer fails, finds nothing in a prompt, or counts beyond the tower's embedding.
    """
    with foreign("the tokenizer fails"):
        encoded = [e.ids for e in tokenizer.encode_batch([p.lower() for p in prompts])]
    for prompt, row in zip(prompts, encoded, strict=True):
        if not row:
            raise BadModel(f"the tokenizer finds nothing in {shown(prompt)}")
        if max(row) >= config.vocab:
            raise BadModel(f"the tokenizer reads {shown(prompt)} as token {max(row)}; text.vocab is {config.vocab}")
    most = config.context
    rows = [ids if len(ids) <= most else [*ids[: most - 1], ids[-1]] for ids in encoded]
    longest = max(map(len, rows))
    ids = torch.tensor([row + [row[-1]] * (longest - len(row)) for row in rows], device=device)
    lengths = torch.tensor([len(row) for row in rows], device=device)
    return ids, torch.arange(longest, device=device) < lengths[:, None]


def _check_part(part: str, value: Any, path: Path) -> None:
    """Every component below a part is of a kind and a pattern that cannot run away."""
    for count, component in enumerate(_components(part, value)):
        kind = component.get("type") if isinstance(component, dict) else None
        if not isinstance(kind, str) or kind not in _KINDS[part]:
            found = shown(kind if isinstance(component, dict) else component)
            raise BadModel(f"{path}: {part} {found} is not allowed; allowed: {', '.join(sorted(_KINDS[part]))}")
        if count >= MOST_PARTS:
            raise BadModel(f"{path}: {part} has more than {MOST_PARTS} components")
        allowed = _PATTERNS.get(kind)
        if allowed and not any(known.items() <= component.items() for known in allowed):
            raise BadModel(
                f"{path}: {part} {kind} holds the pattern {shown(component.get('pattern'))};"
                " only those of CLIP's tokenizer are allowed, since another may never end"
            )
        if kind == "TemplateProcessing":
            _check_template(component, path)


def _components(part: str, value: Any, depth: int = 0) -> Iterator[Any]:
    """Components of a part, sequences opened; whatever is no component comes out as it is."""
    members = value.get(_MEMBERS[part]) if isinstance(value, dict) and value.get("type") == _SEQUENCE else None
    if isinstance(members, list) and depth < MOST_PARTS:
        for member in members:
            yield from _components(part, member, depth + 1)
    elif value is not None or depth:
        yield value


def _check_template(component: dict[str, Any], path: Path) -> None:
    """Marks that a template names are explained in it; the library breaks off at one that is not."""
    marks = component.get("special_tokens")
    pieces = [*_listed(component.get("single")), *_listed(component.get("pair"))]
    named = [piece["SpecialToken"] for piece in pieces if isinstance(piece, dict) and "SpecialToken" in piece]
    for mark in named:
        name = mark.get("id") if isinstance(mark, dict) else mark
        if not (isinstance(name, str) and isinstance(marks, dict) and name in marks):
            raise BadModel(f"{path}: post_processor names the mark {shown(name)} but does not explain it")


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _check_model(model: Any, path: Path) -> None:
    if not isinstance(model, dict):
        raise BadModel(f"{path}: model is {shown(model)}, expected a table")
    # Files of the library's first years do not name the kind.
    kind = model.get("type", "BPE" if "merges" in model else None)
    if not isinstance(kind, str) or kind not in _MODELS:
        raise BadModel(f"{path}: model of type {shown(kind)} is not allowed; allowed: {', '.join(sorted(_MODELS))}")
    if kind == "BPE" and model.get("continuing_subword_prefix"):
        raise BadModel(f"{path}: model has a continuing_subword_prefix; pieces of BPE have none here")
    if model.get("dropout") is not None:
        raise BadModel(f"{path}: model has dropout, so a prompt would be read otherwise each time; set it to null")
