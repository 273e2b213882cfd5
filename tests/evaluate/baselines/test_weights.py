"""Weights that a user brings: found in one place, known by their hash, never unpickled."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from pathsegmentor.atomic import sha256_of
from pathsegmentor.errors import BadModel
from pathsegmentor.evaluate.baselines.weights import bring

STATE = {"a.weight": torch.arange(6.0).reshape(2, 3), "a.count": torch.tensor(3)}


class Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.mark,))


@pytest.mark.parametrize("table", ["", "model", "model_state", "state_dict"])
@pytest.mark.parametrize("modern", [True, False])
def test_every_way_a_training_code_saves(tmp_path: Path, table: str, modern: bool) -> None:
    path = tmp_path / "weights.pth"
    whole = {table: STATE, "epoch": 7, "optimizer": {"state": {}}} if table else STATE
    torch.save(whole, path, _use_new_zipfile_serialization=modern)
    brought = bring(str(path))
    assert set(brought.state) == set(STATE) and torch.equal(brought.state["a.weight"], STATE["a.weight"])
    assert brought.sha256 == sha256_of(path)


@pytest.mark.parametrize("modern", [True, False])
def test_no_pickle_is_run(tmp_path: Path, modern: bool) -> None:
    path = tmp_path / "weights.pth"
    torch.save(STATE | {"b": Trap(tmp_path / "sprung")}, path, _use_new_zipfile_serialization=modern)
    with pytest.raises(BadModel, match="holds more than tensors"):
        bring(str(path))
    assert not (tmp_path / "sprung").exists()


def test_a_folder_gives_its_one_file_safetensors_first(tmp_path: Path) -> None:
    torch.save(STATE, tmp_path / "other.pth")
    save_file(STATE, tmp_path / "model.safetensors")
    (tmp_path / "config.json").write_text("{}")
    assert bring(str(tmp_path)).path.name == "model.safetensors"
    save_file(STATE, tmp_path / "second.safetensors")
    with pytest.raises(BadModel, match="2 files of weights"):
        bring(str(tmp_path))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("sam_vit_b_01ec64.pth", "the published file of this name ec2df62732"),
        ("resnet50-19c8e357.pth", "which its name says begins with 19c8e357"),
    ],
)
def test_a_published_name_needs_the_published_file(tmp_path: Path, name: str, says: str) -> None:
    torch.save(STATE, tmp_path / name)
    with pytest.raises(BadModel, match="has the SHA-256") as told:
        bring(str(tmp_path / name))
    assert says in str(told.value)
    (tmp_path / name).rename(tmp_path / "mine.pth")
    assert bring(str(tmp_path / "mine.pth")).state


@pytest.mark.parametrize("given", ["nowhere/at/all", "", "."])
def test_what_is_not_there(tmp_path: Path, given: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadModel, match="file of weights"):
        bring(given)


def test_a_hub_id_that_the_hub_does_not_give(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    with pytest.raises(BadModel, match="'nobody/nothing-here' is no file or folder, and the Hub did not give it"):
        bring("nobody/nothing-here")


def test_a_hub_id_gives_the_downloaded_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the Hub's client is asked for: weights only, nothing that could be run."""
    save_file(STATE, tmp_path / "model.safetensors")
    asked = []

    def download(name: str, allow_patterns: list[str]) -> str:
        asked.append((name, allow_patterns))
        return str(tmp_path)

    monkeypatch.setattr("huggingface_hub.snapshot_download", download)
    assert bring("lab/sam").path == tmp_path / "model.safetensors"
    assert asked[0][0] == "lab/sam" and not any(pattern.endswith((".py", "*")) for pattern in asked[0][1])
