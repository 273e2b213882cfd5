"""Released checkpoints that anyone may have made: a whole model folder, or one line and nothing on the disk."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.model.find import bundled
from pathsegmentor.model.folder import UNUSED, WEIGHTS, load_model, write_sums
from pathsegmentor.model.released import export_checkpoint, import_checkpoint
from tests.cli.conftest import Done, here  # noqa: F401
from tests.model.small import LABELS, SMALL, released, small_model, small_words

NANO = bundled()["nano"]
STEM = "backbone.patch_embed.proj.weight"
EXTRA = "criterion.empty_weight"


@pytest.fixture
def words(tmp_path: Path) -> Path:
    small_words().save(str(tmp_path / "words.json"))
    return tmp_path / "words.json"


def refused(checkpoint: Path, words: Path, *says: str) -> None:
    """One line, and nothing beside what was there."""
    before = sorted(checkpoint.parent.iterdir())
    with pytest.raises(BadModel) as told:
        import_checkpoint(checkpoint, checkpoint.parent / "model", words, SMALL)
    text = str(told.value)
    assert text.isprintable() and len(text) < 800 and all(part in text for part in says), text
    assert sorted(checkpoint.parent.iterdir()) == before


class Bomb:
    """Asks for a terabyte while it is unpickled."""

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (bytearray, (10**12,))


class Trap:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        return (Path.touch, (self.mark,))


def swapped(name: str, change: Callable[[torch.Tensor], Any]) -> Callable[[], Any]:
    return lambda: released() | {name: change(released()[name])}


def renamed(old: str, new: Any) -> Callable[[], Any]:
    return lambda: {new if name == old else name: tensor for name, tensor in released().items()}


STATES: dict[str, tuple[Callable[[], Any], str]] = {
    "not a number": (swapped(STEM, lambda t: t * float("nan")), "holds values that are infinite or no numbers"),
    "infinite in 32 bits": (swapped(STEM, lambda t: torch.full_like(t, 1e300, dtype=torch.float64)), "in 32 bits"),
    "integers": (swapped(STEM, lambda t: t.int()), "image_tower.patch_embed.proj.weight holds torch.int32"),
    "truths": (swapped(STEM, lambda t: t.bool()), "holds torch.bool, expected floats"),
    "complex": (
        swapped(STEM, lambda t: t.to(torch.complex64)),
        "tensor of numbers but strided cpu complex64",
    ),
    "small floats": (swapped(STEM, lambda t: t.to(torch.float8_e4m3fn)), "float8_e4m3fn"),
    "sparse": (swapped(STEM, lambda t: t.to_sparse()), "no ordinary tensor of numbers but sparse_coo"),
    "quantised": (swapped(STEM, lambda t: torch.quantize_per_tensor(t, 0.1, 0, torch.qint8)), "qint8"),
    "without memory": (swapped(STEM, lambda t: t.to("meta")), "meta"),
    "shape": (
        swapped(STEM, lambda t: t[..., None]),
        "weight is (8, 3, 7, 7, 1), expected (8, 3, 7, 7)",
    ),
    "zero size": (swapped(STEM, lambda t: t[:0]), "is (0, 3, 7, 7)"),
    "terabytes of one number": (swapped(EXTRA, lambda _: torch.zeros(1).expand(10**12)), "claim 4,000,000"),
    "missing": (lambda: {k: v for k, v in released().items() if k != STEM}, "missing image_tower.patch_embed"),
    "unexpected": (renamed(STEM, "backbone.a\n\x1b"), "unexpected image_tower.a\\n\\x1b"),
    "no part": (renamed(STEM, "a\n\x1b" * 999), "belongs to no part"),
    "name of no text": (renamed(STEM, 7), "the name 7 is no text"),
    "twice": (lambda: released() | {f"model.{STEM}": released()[STEM]}, "is there twice"),
    "unused twice": (lambda: released() | {f"model.{EXTRA}": torch.ones(1)}, "is there twice"),
    "table in a table": (lambda: {"model": {"model": released()}}, "does not hold a table of tensors"),
    "table of tables": (lambda: {"a": released()}, "does not hold a table of tensors"),
    "list": (lambda: list(released().values()), "does not hold a table of tensors"),
    "tensor": (lambda: torch.zeros(3), "does not hold a table of tensors"),
    "tensor as model": (lambda: {"model": torch.zeros(3)}, "does not hold a table of tensors"),
    "number": (lambda: 7, "does not hold a table of tensors"),
    "nothing": (dict, "missing logit_scale"),
    "one is text": (swapped(STEM, lambda _: "weights"), "does not hold a table of tensors"),
    "module": (lambda: torch.nn.Linear(2, 2), "its pickle is damaged, or holds more than tensors"),
    "memory": (lambda: released() | {STEM: Bomb()}, "not a safe checkpoint of tensors"),
}


@pytest.mark.parametrize("kind", STATES)
@pytest.mark.filterwarnings("ignore::UserWarning")  # of torch, at the strange tensors made here
def test_a_state_that_is_no_model(tmp_path: Path, words: Path, kind: str) -> None:
    state, says = STATES[kind]
    torch.save(state(), tmp_path / "released.pt")
    refused(tmp_path / "released.pt", words, "released.pt", says)


def test_no_pickle_is_run(tmp_path: Path, words: Path) -> None:
    for number, state in enumerate([Trap(tmp_path / "sprung"), released() | {STEM: Trap(tmp_path / "sprung")}]):
        path = tmp_path / f"{number}.pt"
        torch.save(state, path)
        refused(path, words, "holds more than tensors")
        path.write_bytes(pickle.dumps(state))
        refused(path, words, "no zip archive")
    assert not (tmp_path / "sprung").exists()


def saved() -> bytes:
    file = io.BytesIO()
    torch.save(released(), file)
    return file.getvalue()


def packed(data: bytes, how: int, change: Callable[[str, bytes], bytes] = lambda _, body: body) -> bytes:
    """A checkpoint's zip written anew, so that its checksums are right."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as before, zipfile.ZipFile(out, "w") as after:
        for name in before.namelist():
            after.writestr(name, change(name, before.read(name)), how)
    return out.getvalue()


def overlapping(data: bytes) -> bytes:
    """A zip whose directory lists one member a thousand times."""
    out = io.BytesIO(data)
    with zipfile.ZipFile(out, "a") as archive:
        largest = max(archive.filelist, key=lambda part: part.file_size)
        archive.filelist += [largest] * 1000
        archive.writestr("last", b"")
    return out.getvalue()


def flipped(data: bytes) -> bytes:
    """One bit of a weight is another."""
    at = data.index(released()[STEM].numpy().tobytes())
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]


FILES: dict[str, tuple[Callable[[bytes], bytes], str]] = {
    "empty": (lambda _: b"", "cut off, or no zip archive"),
    "text": (lambda _: b"weights", "cut off, or no zip archive"),
    "cut": (lambda data: data[: len(data) // 2], "cut off, or no zip archive"),
    "zeroed tail": (lambda data: data[:-3000] + bytes(3000), "cut off, or no zip archive"),
    "zeroed middle": (lambda data: data[:5000] + bytes(3000) + data[8000:], "not a safe checkpoint"),
    "flipped": (flipped, "its checksum is another"),
    "compressed": (lambda data: packed(data, zipfile.ZIP_DEFLATED), "its parts are compressed"),
    "bomb": (
        lambda data: packed(data, zipfile.ZIP_DEFLATED, lambda name, _: bytes(10**8) if "data/0" in name else b""),
        "its parts are compressed",
    ),
    "overlapping": (overlapping, "its parts overlap"),
    "no pickle": (
        lambda data: packed(data, zipfile.ZIP_STORED, lambda n, b: b"" if n.endswith(".pkl") else b),
        "not a safe checkpoint",
    ),
    "short storage": (
        lambda data: packed(data, zipfile.ZIP_STORED, lambda n, b: b[:4] if "/data/" in n else b),
        "not a safe checkpoint",
    ),
}


@pytest.mark.parametrize("kind", FILES)
@pytest.mark.filterwarnings("ignore:Duplicate name")  # of zipfile, while a broken archive is made
def test_a_file_that_is_no_checkpoint(tmp_path: Path, words: Path, kind: str) -> None:
    change, says = FILES[kind]
    path = tmp_path / "released.pt"
    path.write_bytes(change(saved()))
    refused(path, words, "released.pt", says)


def test_a_file_that_is_none(tmp_path: Path, words: Path) -> None:
    (tmp_path / "folder.pt").mkdir()
    refused(tmp_path / "nothing.pt", words, "does not exist")
    refused(tmp_path / "folder.pt", words, "is no file")
    (tmp_path / "a.safetensors").write_bytes(saved())
    refused(tmp_path / "a.safetensors", words, "its header is said to have")


def test_tensors_that_share_memory_go_there_and_back(tmp_path: Path, words: Path) -> None:
    """Tied weights, views of larger ones and transposed ones are ordinary in checkpoints."""
    state = dict(released())
    shared = torch.arange(64.0).view(8, 8)
    same = [name for name, tensor in state.items() if tensor.shape == (8, 8)][:3]
    state |= dict(zip(same, (shared, shared, shared.T), strict=True))
    torch.save(OrderedDict(model=state, epoch=3), tmp_path / "released.pt")
    import_checkpoint(tmp_path / "released.pt", tmp_path / "model", words, SMALL)
    load_model(tmp_path / "model")
    export_checkpoint(tmp_path / "model", tmp_path / "back.safetensors")
    back = load_file(tmp_path / "back.safetensors")
    assert set(back) == set(state) and all(torch.equal(back[k], v) for k, v in state.items())


def test_a_tokenizer_that_cannot_be_used_leaves_nothing(tmp_path: Path, words: Path) -> None:
    torch.save(released(), tmp_path / "released.pt")
    refused(tmp_path / "released.pt", NANO / "tokenizer.json", "tokenizer.json", "text.vocab is 4")
    words.write_text("{}")
    refused(tmp_path / "released.pt", words, "words.json", "model is None")


def test_what_is_there_is_never_overwritten(tmp_path: Path, words: Path) -> None:
    torch.save(released(), tmp_path / "released.pt")
    model = tmp_path / "model"
    model.mkdir()
    (model / "mine.txt").write_text("mine")
    for out in (model, tmp_path / "released.pt"):
        with pytest.raises(BadInput, match="is there already"):
            import_checkpoint(tmp_path / "released.pt", out, words, SMALL)
    assert [path.name for path in model.iterdir()] == ["mine.txt"]
    (model / "mine.txt").unlink()
    import_checkpoint(tmp_path / "released.pt", model, words, SMALL)
    assert load_model(model).config == SMALL


def test_a_write_that_fails_leaves_nothing(tmp_path: Path, words: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    torch.save(released(), tmp_path / "released.pt")

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathsegmentor.model.released.write_sums", full)
    with pytest.raises(OSError, match="No space"):
        import_checkpoint(tmp_path / "released.pt", tmp_path / "model", words, SMALL)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["released.pt", "words.json"]


@pytest.fixture
def imported(tmp_path: Path, words: Path) -> Path:
    torch.save(released(), tmp_path / "released.pt")
    import_checkpoint(tmp_path / "released.pt", tmp_path / "model", words, SMALL)
    return tmp_path / "model"


def broken_unused(folder: Path) -> None:
    save_file({"logit_scale.more": torch.ones(1)}, folder / UNUSED)
    write_sums(folder)


def no_tensors(folder: Path) -> None:
    (folder / UNUSED).write_bytes(b"x" * 100)
    write_sums(folder)


def other_shape(folder: Path) -> None:
    save_file(load_file(folder / WEIGHTS) | {"logit_scale": torch.ones(3)}, folder / WEIGHTS)
    write_sums(folder)


EXPORTS: dict[str, tuple[Callable[[Path], object], str]] = {
    "altered": (lambda f: (f / UNUSED).write_bytes(b"x"), "unused.safetensors is damaged"),
    "no tensors": (no_tensors, "unused.safetensors cannot be read"),
    "unused that is used": (broken_unused, "'logit_scale.more' is no tensor that words do not need"),
    "shape": (other_shape, "logit_scale is (3,), expected ()"),
    "missing": (lambda f: (f / WEIGHTS).unlink(), "model.safetensors is missing"),
}


@pytest.mark.parametrize("kind", EXPORTS)
def test_a_folder_that_cannot_be_exported(tmp_path: Path, imported: Path, kind: str) -> None:
    change, says = EXPORTS[kind]
    change(imported)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(BadModel, match="(?s)" + says.replace("(", r"\(").replace(")", r"\)")):
        export_checkpoint(imported, tmp_path / "back.safetensors")
    assert sorted(tmp_path.iterdir()) == before


def test_an_export_never_overwrites_its_model(imported: Path, tmp_path: Path) -> None:
    before = (imported / WEIGHTS).read_bytes()
    with pytest.raises(BadInput, match="in the model folder itself"):
        export_checkpoint(imported, imported / WEIGHTS)
    with pytest.raises(BadInput, match="released weights are written as safetensors"):
        export_checkpoint(imported, tmp_path / "back.pt")
    (tmp_path / "back.safetensors").write_text("mine")
    with pytest.raises(BadInput, match="is there already"):
        export_checkpoint(imported, tmp_path / "back.safetensors")
    assert (tmp_path / "back.safetensors").read_text() == "mine"
    assert (imported / WEIGHTS).read_bytes() == before


def one_line(done: Done, *says: str) -> None:
    assert (done.code, done.out, len(done.err.strip().splitlines())) == (2, "", 1), done
    assert all(text in done.err for text in says), done.err


def test_the_commands_answer_in_one_line(tmp_path: Path, here: Callable[..., Done]) -> None:  # noqa: F811
    path, out = tmp_path / "released.pt", tmp_path / "model"
    words = NANO / "tokenizer.json"
    path.write_bytes(saved()[:-100])
    one_line(here("models", "import", path, "--out", out, "--tokenizer", words), "released.pt", "cut off")
    path.write_bytes(saved())
    one_line(here("models", "import", path, "--out", out, "--tokenizer", words), "not a BiomedParse-v1 checkpoint")
    one_line(here("models", "export", NANO, "--out", tmp_path / "x.safetensors"), "belongs to no part")
    one_line(here("models", "export", path, "--out", tmp_path / "x.safetensors"), "not a model folder")
    assert [p.name for p in tmp_path.iterdir()] == ["released.pt"]


def test_the_small_model_is_one(tmp_path: Path) -> None:
    model = load_model(small_model(tmp_path / "model"))
    assert [label.id for label in model.vocabulary] == LABELS
