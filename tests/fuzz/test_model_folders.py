"""Broken model folders, their hashes made right again: load, then segment a small image."""

from __future__ import annotations

import json
import random
import struct
from pathlib import Path

import numpy as np
import pytest

from pathsegmentor.model.find import find_model
from pathsegmentor.model.folder import CONFIG, SUMS, TOKENIZER, VOCABULARY, WEIGHTS, write_sums
from pathsegmentor.segment import Segmenter
from tests.fuzz.harness import fuzz
from tests.fuzz.mutate import broken_bytes, broken_json
from tests.made_pictures import pale_stroma
from tests.model.small import small_model

PARTS = {"config": CONFIG, "words": TOKENIZER, "labels": VOCABULARY}


def break_weights(rng: random.Random, path: Path) -> None:
    """The header as JSON, the header as bytes, or numbers that no weight should have."""
    data = path.read_bytes()
    size = struct.unpack("<Q", data[:8])[0]
    header, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    how = rng.randrange(3)
    if how == 0:
        text = broken_json(rng, header).encode("utf-8", "surrogateescape")
        path.write_bytes(struct.pack("<Q", len(text)) + text + body)
    elif how == 1:
        path.write_bytes(broken_bytes(rng, data))
    else:
        values = np.frombuffer(body, np.float32).copy()
        first, count = rng.randrange(len(values)), rng.choice((1, 5, 100_000))
        values[first : first + count] = rng.choice((np.nan, np.inf, 3e38, -3e38, 1e20, 0.0))
        path.write_bytes(data[: 8 + size] + values.tobytes())


def break_folder(rng: random.Random, folder: Path) -> None:
    """A part that is missing, a folder, a link to nowhere or elsewhere, empty, or the copy of another."""
    path = folder / rng.choice([CONFIG, WEIGHTS, TOKENIZER, VOCABULARY, SUMS])
    other = rng.choice([p for p in folder.iterdir() if p != path])
    path.unlink()
    how = rng.randrange(6)
    if how == 1:
        path.mkdir()
    elif how == 2:
        path.symlink_to(rng.choice(["nowhere", "/dev/zero", "/", path.name]))
    elif how == 3:
        path.touch()
    elif how == 4:
        path.write_bytes(other.read_bytes())
    elif how == 5:
        path.symlink_to(other.name)


def try_model(rng: random.Random, folder: Path) -> None:
    model = folder / "model"
    small_model(model)
    part = rng.choice(["config", "config", "words", "words", "labels", "weights", "folder", "sums"])
    if part in PARTS:
        path = model / PARTS[part]
        text = broken_json(rng, json.loads(path.read_text(encoding="utf-8")))
        path.write_text(text, encoding="utf-8", errors="surrogateescape")
    elif part == "weights":
        break_weights(rng, model / WEIGHTS)
    elif part == "folder":
        break_folder(rng, model)
    if part == "sums":
        (model / SUMS).write_bytes(broken_bytes(rng, (model / SUMS).read_bytes()))
    elif (model / SUMS).is_file() and not (model / SUMS).is_symlink():
        write_sums(model)
    segmenter = Segmenter(find_model(str(model)))
    label = next(iter(segmenter.model.vocabulary)).id
    encoded = segmenter.encode_image(pale_stroma(96), segmenter.model.config.mpp_of(label))
    for _, probability, presence, _ in segmenter.probabilities(encoded, [label]):
        assert np.isfinite(probability).all() and 0 <= presence <= 1


@pytest.mark.slow
def test_model_folders(tmp_path: Path) -> None:
    fuzz("model folders", tmp_path, try_model)
