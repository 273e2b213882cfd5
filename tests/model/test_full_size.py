"""The released checkpoint at its full size, with random values: pulled, converted, and read again.

Takes six gigabytes of disk and about as much memory.
"""

from __future__ import annotations

import csv
import gc
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors

from pathsegmentor.model.folder import UNUSED, WEIGHTS
from pathsegmentor.model.released import export_checkpoint
from tests.cli.conftest import Done, here  # noqa: F401
from tests.model.hub_server import Repo, Server
from tests.model.test_hub import place, server  # noqa: F401

LAYOUT = Path(__file__).with_name("biomedparse_v1_layout.tsv")
BEGIN, END = 49406, 49407


def full_checkpoint(path: Path) -> dict[str, tuple[int, ...]]:
    """Write random values under every key of the released layout; names and shapes."""
    lines = [line for line in LAYOUT.read_text().splitlines() if not line.startswith("#")]
    rows = csv.DictReader(lines, ("name", "shape", "numel", "dtype", "part"), delimiter="\t")
    torch.manual_seed(0)
    state = {}
    for row in rows:
        shape = () if row["shape"] == "scalar" else tuple(map(int, row["shape"].split("x")))
        state[row["name"]] = torch.randn(shape) * 0.02
    torch.save(state, path)
    return {name: tuple(tensor.shape) for name, tensor in state.items()}


def clip_like() -> Tokenizer:
    """A byte-pair tokenizer that reads the words that tell CLIP's apart as CLIP's does, and others letter by letter."""
    pieces = {
        "neoplastic": (("ne", 557), ("opla", 36270), ("stic</w>", 1561)),
        "cells": (("cells</w>", 8890),),
        "inflammatory": (("inflammatory</w>", 26831),),
    }
    letters = "abcdefghijklmnopqrstuvwxyz-"
    vocab = {letter: 100 + i for i, letter in enumerate(letters)}
    vocab |= {f"{letter}</w>": 200 + i for i, letter in enumerate(letters)}
    merges: list[tuple[str, str]] = []
    for parts in pieces.values():
        for piece, number in parts:
            units = list(piece.removesuffix("</w>"))
            if piece.endswith("</w>"):
                units[-1] += "</w>"
            left = units[0]
            for unit in units[1:]:
                if (left, unit) not in merges:
                    merges.append((left, unit))
                left += unit
                vocab.setdefault(left, 300 + len(merges))
            vocab[piece] = number
    vocab |= {"<|startoftext|>": BEGIN, "<|endoftext|>": END}
    words = Tokenizer(models.BPE(vocab, merges, end_of_word_suffix="</w>", unk_token="<|endoftext|>"))  # noqa: S106
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    words.post_processor = processors.RobertaProcessing(("<|endoftext|>", END), ("<|startoftext|>", BEGIN))
    return words


@pytest.mark.slow
def test_the_released_checkpoint_at_full_size(
    server: Server,  # noqa: F811
    tmp_path: Path,
    here: Callable[..., Done],  # noqa: F811
) -> None:
    shapes = full_checkpoint(tmp_path / "biomedparse_v1.pt")
    gc.collect()
    assert len(shapes) == 1131 and (tmp_path / "biomedparse_v1.pt").stat().st_size > 1_800_000_000
    server.repos["microsoft/BiomedParse"] = Repo({"biomedparse_v1.pt": tmp_path / "biomedparse_v1.pt"})
    server.repos["openai/clip-vit-base-patch32"] = Repo({"tokenizer.json": clip_like().to_str().encode()})
    done = here("models", "pull", "biomedparse-v1")
    assert done.code == 0 and done.err == "", done.err
    folder = place(tmp_path, "biomedparse-v1")
    row = next(row for row in here("models", "--json").json if row["name"] == "biomedparse-v1")
    assert row["licence"] == "cc-by-nc-sa-4.0" and row["labels"] > 60 and row["bytes"] > 1_800_000_000
    with safe_open(folder / WEIGHTS, "pt") as used, safe_open(folder / UNUSED, "pt") as unused:
        assert len(used.keys()) + len(unused.keys()) == 1131
    # The run that starts from it reads the same words, and its network takes these weights.
    from pathsegmentor.train.config import read_train_config
    from pathsegmentor.train.start import start

    config = read_train_config(Path(__file__).parents[2] / "configs" / "base.yaml")
    begun = start(config.model, config.init, ["colon-tissue-gland", "breast-nuclei-neoplastic"])
    assert begun.tokenizer.encode("neoplastic cells").ids == [BEGIN, 557, 36270, 1561, 8890, END]
    mine = begun.net.state_dict()
    with safe_open(folder / WEIGHTS, "pt") as used:
        assert all(torch.equal(mine[name], used.get_tensor(name)) for name in list(used.keys())[::50])
    del begun, mine
    gc.collect()
    # There and back: every tensor of the checkpoint is in the model, bit by bit.
    export_checkpoint(folder, tmp_path / "back.safetensors")
    state = torch.load(tmp_path / "biomedparse_v1.pt", mmap=True, weights_only=True)
    with safe_open(tmp_path / "back.safetensors", "pt") as back:
        assert set(back.keys()) == set(state)
        assert all(torch.equal(back.get_tensor(name), tensor) for name, tensor in state.items())
