"""Requests that go wrong, and output that others read: one line, exit code, whole files."""

from __future__ import annotations

import errno
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from skimage.measure import label as pieces

from pathsegmentor.export.folder import write
from pathsegmentor.imaging import Picture
from pathsegmentor.model.find import bundled
from pathsegmentor.segment import Found, Result, Segmenter
from pathsegmentor.vocabulary import Label
from tests.cli.conftest import IMAGES, Done

Command = Callable[..., Done]


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A small piece of colon with part of a gland."""
    path = tmp_path / "colon.png"
    Image.open(IMAGES / "ebhi_normal.jpg").crop((60, 60, 124, 108)).save(path)
    return path


def one_line(done: Done, expected: str, code: int = 2) -> None:
    assert done.code == code and done.out == "", (done.code, done.out)
    assert expected in done.err and len(done.err.splitlines()) == 1, done.err


WRONG = {
    "no image": ([], "Missing argument"),
    "no prompt": (["IMAGE"], "PROMPT"),
    "mpp abc": (["IMAGE", "nuclei", "--mpp", "abc"], "--mpp"),
    "mpp inf": (["IMAGE", "nuclei", "--mpp", "inf"], "mpp"),
    "mpp too coarse": (["IMAGE", "nuclei", "--mpp", "20"], "cannot be seen"),
    "threshold abc": (["IMAGE", "nuclei", "--mpp", "1", "--threshold", "abc"], "--threshold"),
    "threshold below 0": (["IMAGE", "nuclei", "--mpp", "1", "--threshold=-0.1"], "threshold"),
    "unknown option": (["IMAGE", "nuclei", "--colour", "red"], "--colour"),
    "blank prompt": (["IMAGE", " \n ", "--mpp", "1"], "empty"),
    "endless prompt": (["IMAGE", "x" * 600, "--mpp", "1"], "600 characters"),
    "one of two prompts": (["IMAGE", "nuclei", "mitoses", "--mpp", "1"], "--model nano"),
    "prompt with markup": (["IMAGE", "[/red] zebra", "--mpp", "1"], "nearest"),
    "path of two lines": (["no\nwhere.png", "nuclei", "--mpp", "1"], "no where.png does not exist"),
    "endless path": (["a" * 5000, "nuclei", "--mpp", "1"], "File name too long"),
    "endless model": (["IMAGE", "nuclei", "--mpp", "1", "--model", "a" * 5000], "unknown model"),
    "folder that is no model": (["IMAGE", "nuclei", "--mpp", "1", "--model", "FOLDER"], "SHA256SUMS"),
    "device without values": (["IMAGE", "nuclei", "--mpp", "1", "--device", "meta"], "device"),
    "device without a module": (["IMAGE", "nuclei", "--mpp", "1", "--device", "hpu"], "device"),
    "out below a file": (["IMAGE", "nuclei", "--mpp", "1", "--out", "IMAGE/out"], "--out"),
    "endless out": (["IMAGE", "nuclei", "--mpp", "1", "--out", "b" * 300], "--out"),
}


@pytest.mark.parametrize("case", sorted(WRONG))
def test_wrong_requests_get_one_line(case: str, here: Command, image: Path, tmp_path: Path) -> None:
    arguments, expected = WRONG[case]
    ready = [a.replace("IMAGE", str(image)).replace("FOLDER", str(tmp_path)) for a in arguments]
    extra = [] if "--out" in ready else ["--out", str(tmp_path / "out")]
    one_line(here("segment", *ready, *extra), expected)
    if case != "mpp too coarse":
        assert not (tmp_path / "out").exists(), "a refused request leaves nothing behind"


def test_other_commands_get_one_line_too(here: Command) -> None:
    one_line(here("frobnicate"), "frobnicate")
    one_line(here("prompts", "--model", "nobody"), "unknown model 'nobody'; bundled: nano")
    one_line(here("models", "import"), "see pathsegmentor models import --help")


def test_damaged_weights_are_refused(here: Command, image: Path, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    shutil.copytree(bundled()["nano"], folder)
    with (folder / "model.safetensors").open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\x55\xaa"[:1] if file.read(1) != b"\x55" else b"\xaa")
    done = here("segment", image, "nuclei", "--mpp", 1, "--out", tmp_path / "out", "--model", folder)
    one_line(done, "damaged")


NO_MEMORY = [
    RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried to allocate 9 bytes"),
    RuntimeError("CUDA out of memory. Tried to allocate 20.00 MiB"),
    MemoryError("Unable to allocate 1.2 TiB for an array"),
    MemoryError(),
]


@pytest.mark.parametrize("error", NO_MEMORY, ids=repr)
def test_too_little_memory_is_one_line(
    error: Exception, here: Command, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(Segmenter, "segment", fail)
    one_line(here("segment", image, "nuclei", "--mpp", 1, "--out", tmp_path / "out"), "not enough memory")


def test_an_interrupt_is_one_line_and_130(
    here: Command, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Segmenter, "segment", interrupt)
    one_line(here("segment", image, "nuclei", "--mpp", 1, "--out", tmp_path / "out"), "interrupted", 130)


def test_a_fault_of_ours_is_not_hidden(here: Command, image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Segmenter, "segment", fail)
    with pytest.raises(ZeroDivisionError):
        here("segment", image, "nuclei", "--mpp", 1, "--out", image.parent / "out")


def written(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


def test_a_full_disk_leaves_an_earlier_result_as_it_was(
    here: Command, image: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    assert here("segment", image, "glands in colon", "--mpp", 1, "--out", out).code == 0
    before = written(out)

    def full(*_: object, **__: object) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    done = here("segment", image, "glands in colon", "--mpp", 0.5, "--out", out)
    one_line(done, "No space left on device")
    assert written(out) == before


def test_a_folder_keeps_what_others_put_there(here: Command, image: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    out.mkdir()
    (out / ".writable").write_text("mine")
    (out / "notes.txt").write_text("mine")
    assert here("segment", image, "glands in colon", "--mpp", 1, "--out", out).code == 0
    assert (out / ".writable").read_text() == (out / "notes.txt").read_text() == "mine"


def test_json_is_all_that_is_said_and_agrees_with_the_masks(command: Command, image: Path, tmp_path: Path) -> None:
    asked = ["glands in colon", "Glands\nin colon", "glands in colon", "malignant glands"]
    done = command("segment", image, *asked, "--mpp", 0.5, "--out", tmp_path / "out", "--json")
    answer = done.json
    assert done.code == 0 and done.err == ""
    assert list(answer) == ["image", "width", "height", "mpp", "model", "notes", "results"]
    assert (answer["image"], answer["width"], answer["height"], answer["mpp"]) == ("colon.png", 64, 48, 0.5)
    keys = ["prompt", "label", "status", "presence", "count", "area_um2", "area_fraction", "mask"]
    assert [list(found) for found in answer["results"]] == [keys] * 4
    assert [found["prompt"] for found in answer["results"]] == asked
    for found in answer["results"]:
        mask = np.asarray(Image.open(found["mask"]))
        assert mask.shape == (48, 64) and mask.dtype == np.uint8 and set(np.unique(mask)) <= {0, 255}
        assert found["count"] == pieces(mask > 0, connectivity=2).max()
        assert found["area_um2"] == pytest.approx((mask > 0).sum() * 0.25, abs=0.01)
        assert found["area_fraction"] == pytest.approx((mask > 0).mean(), abs=1e-6)
    same = [{k: v for k, v in found.items() if k != "prompt"} for found in answer["results"][:3]]
    assert same[0] == same[1] == same[2]


def test_labels_of_one_file_name_get_a_mask_each(tmp_path: Path) -> None:
    masks = [np.zeros((20, 20), bool) for _ in range(3)]
    masks[1][:5], masks[2][:9] = True, True
    labels = [Label("colon", "tissue", kind) for kind in ("a b", "a_b", "a/b")]
    founds = tuple(
        Found(label.object_type, label, "", "present", 1.0, mask, (1.0, 1.0), 0.0)
        for label, mask in zip(labels, masks, strict=True)
    )
    result = Result("a.png", None, 20, 20, (1.0, 1.0), "m", "0", 0.5, founds, 0.0, "0")
    paths = write(result, Picture(np.zeros((20, 20, 3), np.uint8), None, "a.png"), tmp_path, tmp_path)
    assert len(set(paths)) == 3 and all(Path(path).parent == tmp_path for path in paths)
    for path, mask in zip(paths, masks, strict=True):
        np.testing.assert_array_equal(np.asarray(Image.open(path)) > 0, mask)


def test_square_brackets_are_words_and_no_markup(here: Command) -> None:
    done = here("prompts", "[/red] zebra")
    assert done.code == 0 and "[/red] zebra" in done.out


def shell(line: str, **environment: str) -> subprocess.CompletedProcess[str]:
    python = f"'{sys.executable}' -m pathsegmentor"
    return subprocess.run(
        ["bash", "-c", line.replace("PSEG", python)],
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=120,
    )


def test_a_reader_that_leaves_early_hears_nothing() -> None:
    for line in ("PSEG prompts --json | true", "PSEG prompts | head -1", "PSEG --version | true"):
        assert shell(line).stderr == ""


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs Linux's full device")
@pytest.mark.parametrize("words", ["prompts", "prompts --json", "--version"])
def test_a_full_standard_output_is_one_line(words: str) -> None:
    done = shell(f"PSEG {words} > /dev/full")
    assert done.returncode == 2 and len(done.stderr.splitlines()) == 1 and "No space left" in done.stderr


def test_words_that_the_terminal_cannot_show_are_shown_with_escapes() -> None:
    done = shell("PSEG prompts 'près de zebra'", PYTHONIOENCODING="ascii:strict", PYTHONUTF8="0")
    assert done.returncode == 0 and "zebra" in done.stdout and done.stderr == ""


def test_libraries_that_write_to_stderr_are_kept_quiet(command: Command, tmp_path: Path) -> None:
    path = tmp_path / "cut.tif"
    Image.open(IMAGES / "ebhi_normal.jpg").save(path, compression="tiff_lzw")
    path.write_bytes(path.read_bytes()[:-40_000])
    done = command("segment", path, "nuclei", "--mpp", 1, "--out", tmp_path / "out")
    one_line(done, "cut.tif")
