"""Model folders: whole, checked by hash, converted without loss."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from pathsegmentor.errors import BadModel
from pathsegmentor.model.config import ModelConfig
from pathsegmentor.model.find import bundled, find_model
from pathsegmentor.model.folder import load_model, write_sums
from pathsegmentor.model.network import PathSegmentorNet
from pathsegmentor.model.released import export_checkpoint, import_checkpoint
from tests.model.reduced import CONFIG, GOLDEN
from tests.model.small import small_words

NANO = bundled()["nano"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(NANO, tmp_path / "model"))


def test_a_folder_loads_by_name_and_by_path(folder: Path) -> None:
    assert find_model("nano").weights_sha256 == find_model(str(folder)).weights_sha256


@pytest.mark.parametrize("name", ["model.safetensors", "config.json", "vocabulary.json", "tokenizer.json"])
def test_one_changed_byte_is_noticed(folder: Path, name: str) -> None:
    content = bytearray((folder / name).read_bytes())
    content[len(content) // 2] ^= 1
    (folder / name).write_bytes(content)
    with pytest.raises(BadModel, match="damaged"):
        load_model(folder)


@pytest.mark.parametrize("name", ["model.safetensors", "SHA256SUMS", "config.json"])
def test_a_missing_file_is_named(folder: Path, name: str) -> None:
    (folder / name).unlink()
    with pytest.raises(BadModel, match=name):
        load_model(folder)


def test_weights_of_another_shape_are_refused_by_name(folder: Path) -> None:
    state = load_file(folder / "model.safetensors")
    state["joint_decoder.class_embed"] = torch.zeros(3, 3)
    del state["logit_scale"]
    save_file(state, folder / "model.safetensors")
    write_sums(folder)
    with pytest.raises(BadModel, match=r"missing logit_scale.*class_embed is \(3, 3\)"):
        load_model(folder)


def test_sums_cannot_point_outside(folder: Path) -> None:
    (folder / "SHA256SUMS").write_text("00  ../../etc/passwd\n")
    with pytest.raises(BadModel, match="no line of the form"):
        load_model(folder)


@pytest.mark.parametrize("suffix", ["safetensors", "pt"])
def test_released_weights_go_there_and_back(tmp_path: Path, suffix: str) -> None:
    source = GOLDEN / "reduced_state_dict.safetensors"
    state = load_file(source)
    checkpoint = tmp_path / f"released.{suffix}"
    if suffix == "pt":
        torch.save(state, checkpoint)
    else:
        shutil.copy(source, checkpoint)
    small_words().save(str(tmp_path / "words.json"))
    import_checkpoint(checkpoint, tmp_path / "model", tmp_path / "words.json", CONFIG)
    export_checkpoint(tmp_path / "model", tmp_path / "back.safetensors")
    back = load_file(tmp_path / "back.safetensors")
    assert set(back) == set(state)
    assert all(torch.equal(back[name], tensor) for name, tensor in state.items())


def test_a_pickle_is_never_run(tmp_path: Path) -> None:
    class Trap:
        def __reduce__(self) -> tuple[object, tuple[str]]:
            return (Path.touch, (tmp_path / "sprung",))  # type: ignore[return-value]

    torch.save({"x": Trap()}, tmp_path / "trap.pt")
    with pytest.raises(BadModel, match="not a safe checkpoint"):
        import_checkpoint(tmp_path / "trap.pt", tmp_path / "model", NANO / "tokenizer.json")
    assert not (tmp_path / "sprung").exists()


def test_unknown_settings_are_refused_by_name() -> None:
    with pytest.raises(BadModel, match=r"config\.decoder: unknown setting 'querys'"):
        ModelConfig.from_dict({"decoder": {"querys": 5}})
    assert ModelConfig.from_dict(CONFIG.to_dict()) == CONFIG


def test_full_size_names_and_shapes_are_the_released_ones() -> None:
    """Every tensor of the released layout that words need, by name and shape; only the active tower exists."""
    from pathsegmentor.model.biomedparse import split_released

    lines = (Path(__file__).parent / "biomedparse_v1_layout.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    shapes = {r[0]: () if r[1] == "scalar" else tuple(map(int, r[1].split("x"))) for r in rows}
    with torch.device("meta"):
        own = {name: tuple(t.shape) for name, t in PathSegmentorNet(ModelConfig()).state_dict().items()}
        ours, unused = split_released({name: torch.empty(shape) for name, shape in shapes.items()})
    assert own == {name: tuple(tensor.shape) for name, tensor in ours.items()}
    assert sum(torch.Size(shape).numel() for shape in own.values()) == 340_360_953
    total = sum(t.numel() for t in [*ours.values(), *unused.values()])
    assert total == 450_663_417 + 9, "all parameters and the one buffer of nine numbers"


@pytest.mark.slow
def test_full_size_round_trip(tmp_path: Path) -> None:
    """A random state dict of the full released layout, there and back (about 4 GB of disk)."""
    lines = (Path(__file__).parent / "biomedparse_v1_layout.tsv").read_text().splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    generator = torch.Generator().manual_seed(0)
    state = {
        r[0]: torch.randn([] if r[1] == "scalar" else [int(x) for x in r[1].split("x")], generator=generator)
        for r in rows
    }
    save_file(state, tmp_path / "released.safetensors")
    import_checkpoint(tmp_path / "released.safetensors", tmp_path / "model", NANO / "tokenizer.json")
    export_checkpoint(tmp_path / "model", tmp_path / "back.safetensors")
    back = load_file(tmp_path / "back.safetensors")
    assert set(back) == set(state) and all(torch.equal(back[k], v) for k, v in state.items())
