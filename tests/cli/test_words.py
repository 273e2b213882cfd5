"""Words on the command line: lists, several phrases, and text that must not reach a terminal."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from pathsegmentor.cli.plain import plain
from pathsegmentor.model.find import bundled
from tests.cli.conftest import IMAGES, Done

Command = Callable[..., Done]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "colon.png"
    Image.open(IMAGES / "ebhi_normal.jpg").crop((60, 60, 124, 108)).save(path)
    return path


def test_a_prompt_of_two_things_has_two_answers(here: Command, image: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = here("segment", image, "benign and malignant glands in colon", "nuclei", "--mpp", 1, "--out", out, "--json")
    assert done.code == 0, done.err
    assert [(found["prompt"], found["label"]) for found in done.json["results"]] == [
        ("benign glands in colon", "colon-tissue-benign gland"),
        ("malignant glands in colon", "colon-tissue-malignant gland"),
        ("nuclei", "unspecified-nuclei-nuclei"),
    ]
    assert all(Path(found["mask"]).exists() for found in done.json["results"])
    record = json.loads((out / "result.json").read_text())
    assert all(found["understood"] for found in record["results"])


@pytest.mark.parametrize("words", ["glands around nuclei", "glands without nuclei", "glands and zebra", "no glands"])
def test_what_is_only_half_understood_is_refused(words: str, here: Command, image: Path, tmp_path: Path) -> None:
    done = here("segment", image, words, "--mpp", 1, "--out", tmp_path / "out")
    assert done.code == 2 and done.out == "" and len(done.err.splitlines()) == 1
    assert "not understood: " in done.err and not (tmp_path / "out").exists()


def test_each_phrase_is_looked_up_on_its_own(here: Command) -> None:
    first, second = here("prompts", "glands in colon", "tumour in breast", "--json").json
    assert first["words"] == "glands in colon" and first["candidates"][0]["label"] == "colon-tissue-gland"
    assert second["words"] == "tumour in breast" and second["status"] == "ambiguous"
    shown = " ".join(here("prompts", "glands in colon", "zebra").out.split())
    assert "'glands in colon': found" in shown and "'zebra': unknown; not understood: zebra; nearest labels" in shown


def test_a_phrase_of_two_things_shows_both(here: Command) -> None:
    answer = here("prompts", "glands and nuclei in colon", "--model", "nano", "--json").json
    assert [part["words"] for part in answer["parts"]] == ["glands in colon", "nuclei in colon"]
    assert [c["label"] for c in answer["candidates"]] == ["colon-tissue-gland", "colon-nuclei-nuclei"]
    assert here("prompts", "glands near nuclei", "--json").json["not_understood"] == ["near nuclei"]
    assert "relations between objects" in " ".join(here("prompts", "glands near nuclei").out.split())


ACTING = "\x1b[31m\x9b\x07\x08\u202e\u2066\u200b\x7f"


def acts(text: str) -> bool:
    return any(not character.isprintable() and character != "\n" for character in text)


@pytest.mark.parametrize(
    "character", ["\x1b", "\x9b", "\x07", "\r", "\u202e", "\u2066", "\u200b", "\x7f", "\u2028", "\udc80"]
)
def test_plain_text_does_nothing(character: str) -> None:
    assert plain(f"a{character}b").isprintable() and plain(f"a{character}b") != "ab"
    assert plain("Ünï  [red]\n日本") == "Ünï [red] 日本"


def test_control_characters_of_words_and_names_never_reach_the_terminal(
    here: Command, image: Path, tmp_path: Path
) -> None:
    runs = [
        here("prompts", f"{ACTING} glands"),
        here("prompts", f"zebra{ACTING}"),
        here("segment", image, f"zebra{ACTING}", "--mpp", 1),
        here("segment", image, "nuclei", "--mpp", 1, "--model", f"no{ACTING}body"),
        here("segment", tmp_path / f"{ACTING}.png", "nuclei", "--mpp", 1),
        here("prompts", "nuclei", f"--{ACTING}"),
        here(f"{ACTING}"),
    ]
    evil = tmp_path / f"colon{ACTING}.png"
    shutil.copy(image, evil)
    runs.append(here("segment", evil, "glands \x9b\u202e\x07", "--mpp", 1, "--out", tmp_path / f"out{ACTING}"))
    assert runs[-1].code == 0, runs[-1].err
    assert [done for done in runs if acts(done.out + done.err)] == []
    assert all(done.out or done.err for done in runs)


def test_control_characters_of_a_strangers_labels_never_reach_the_terminal(here: Command, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(bundled()["nano"], folder)
    (folder / "vocabulary.json").write_text(json.dumps([f"colon-tissue-{ACTING}gland"]))
    done = here("prompts", "--model", folder)
    assert done.code == 2 and "no label" in done.err and not acts(done.out + done.err)
