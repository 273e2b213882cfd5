"""``finetune`` as a user runs it: on a tiny model, from a folder of masks or of QuPath's GeoJSON."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from pathsegmentor.model.folder import check_sums, load_model, read_vocabulary, save_model
from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.train.words import prompt_tokenizer
from tests.train.tiny import TINY

KNOWN = ["breast-nuclei-nuclei", "colon-tissue-gland"]
LABEL = "breast-tissue-krebsnester"
SIDE = 96


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("models") / "old"
    prompts = ["nuclei-level nuclei in breast pathology", "tissue-level gland in colon pathology"]
    save_model(folder, TINY, PathSegmentorNet(TINY).state_dict(), prompt_tokenizer(prompts, 600), KNOWN, "# old\n")
    return folder


def square(name: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    pixels = rng.integers(190, 230, (SIDE, SIDE, 3)).astype(np.uint8)
    pixels[20:60, 20:60] = (110, 60, 140)
    Image.fromarray(pixels).save(name)


@pytest.fixture
def masks(tmp_path: Path) -> Path:
    """Five images, one of them without any object; one is for the test."""
    folder = tmp_path / "mine"
    for part in ("images", "masks"):
        (folder / part).mkdir(parents=True)
    rows = ["image,split,mpp"]
    for i in range(5):
        square(folder / "images" / f"{i}.png", i)
        mask = np.zeros((SIDE, SIDE), np.uint8)
        if i != 2:
            mask[20:60, 20:60] = 1
        Image.fromarray(mask).save(folder / "masks" / f"{i}.png")
        rows.append(f"{i},{'test' if i == 4 else 'train'},0.25")
    (folder / "images.csv").write_text("\n".join(rows) + "\n")
    (folder / "labels.csv").write_text(f"class,label\n1,{LABEL}\n")
    return folder


@pytest.mark.parametrize("what", ["heads", "adapters", "all"])
def test_a_label_of_ones_own_becomes_part_of_the_model(
    here: Callable[..., Any], model: Path, masks: Path, tmp_path: Path, what: str
) -> None:
    out = tmp_path / "new"
    words = f"{LABEL}=Nest von Krebszellen"
    done = here(
        "finetune", "--data", masks, "--model", model, "--out", out, "--steps", 2, "--train", what, "--words", words
    )
    assert done.code == 0, done.err
    assert LABEL in done.out
    old, new = load_model(model), load_model(out)
    assert [label.id for label in new.vocabulary] == [*KNOWN, LABEL]
    assert new.tokenizer.to_str() == old.tokenizer.to_str()
    assert new.vocabulary.resolve("nest von krebszellen").label.id == LABEL
    assert new.vocabulary.resolve("Krebsnester").label.id == LABEL
    before, after = old.net.state_dict(), new.net.state_dict()
    assert list(before) == list(after)
    changed = {name for name in before if (before[name] - after[name]).abs().max() > 1e-3}
    assert changed
    assert not any("running" in name for name in changed)
    if what != "all":
        assert not any(name.startswith(("image_tower", "pixel_decoder")) for name in changed)
    provenance = json.loads((out / "provenance.json").read_text())
    assert provenance["base_weights_sha256"] == old.weights_sha256
    assert provenance["held_out"][0]["images"] == 1
    assert {"provenance.json", "words.json", "README.md"} <= set(check_sums(out))


def test_a_second_round_keeps_the_words_of_the_first(
    here: Callable[..., Any], model: Path, masks: Path, tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    assert (
        here("finetune", "--data", masks, "--model", model, "--out", one, "--steps", 1, "--words", f"{LABEL}=Nest").code
        == 0
    )
    assert (
        here("finetune", "--data", masks, "--model", one, "--out", two, "--steps", 1, "--words", f"{LABEL}=Herd").code
        == 0
    )
    assert read_vocabulary(two).words == {LABEL: ("Nest", "Herd")}


def test_qupath_and_a_free_word(here: Callable[..., Any], model: Path, tmp_path: Path) -> None:
    folder = tmp_path / "qupath"
    folder.mkdir()
    ring = [[20, 20], [60, 20], [60, 60], [20, 60], [20, 20]]
    for i in range(3):
        square(folder / f"{i}.png", i)
        feature = {
            "type": "Feature",
            "geometry": {"type": "Polygon", "coordinates": [ring]},
            "properties": {"classification": {"name": "Drüsenschlauch"}},
        }
        (folder / f"{i}.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": [feature]}))
    out = tmp_path / "new"
    done = here("finetune", "--data", folder, "--model", model, "--out", out, "--steps", 1, "--mpp", 0.25)
    assert done.code == 0, done.err
    said = here("prompts", "--model", out, "Drüsenschlauch", "--json")
    assert said.json["status"] == "found"
    assert said.json["candidates"][0]["label"] == "unspecified-tissue-drüsenschlauch"


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (["--train", "tail"], "choose heads, adapters, all"),
        (["--labels", "moon"], "no image for training shows unspecified-tissue-moon"),
        (["--words", "moon"], "expected LABEL=WORDS"),
        (["--words", "moon=Mond"], "is not learnt"),
        (["--scale", "0.01"], "too coarse"),
        (["--rehearse", "nowhere"], "has no manifest.parquet"),
        (["--model", "nobody"], "unknown model"),
        (["--data", "nowhere"], "is no folder"),
    ],
)
def test_a_wrong_request_is_one_line(
    here: Callable[..., Any], model: Path, masks: Path, tmp_path: Path, more: list[str], said: str
) -> None:
    out = tmp_path / "new"
    done = here("finetune", "--data", masks, "--model", model, "--out", out, "--steps", 1, *more)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1
    assert not out.exists()


def test_a_model_that_is_there_is_not_written_over(here: Callable[..., Any], model: Path, masks: Path) -> None:
    before = check_sums(model)
    done = here("finetune", "--data", masks, "--model", model, "--out", model)
    assert done.code == 2
    assert "is there already" in done.err
    assert check_sums(model) == before
