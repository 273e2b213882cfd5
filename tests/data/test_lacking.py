"""What the machine lacks now is no fault of a file: the build ends in one line, and tries again the next time."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from pathsegmentor.data.build import Settings, Wish, build
from pathsegmentor.data.faults import cannot_now
from pathsegmentor.data.manifest import read_rows
from pathsegmentor.data.record import Annotated, Item, Source
from pathsegmentor.data.sources import source
from pathsegmentor.errors import BadInput, PathSegError
from tests.cli.conftest import Done, here  # noqa: F401
from tests.data.downloads import download
from tests.data.made import glas, picture
from tests.data.test_source_monusac import LABELS, SQUARE, write, xml

Run = Callable[..., Done]


def wrapped(error: Exception) -> BadInput:
    try:
        raise BadInput("x.png is damaged or no image") from error
    except BadInput as found:
        return found


class Failing:
    """Reads as the source does, but for the second item."""

    def __init__(self, real: Source, error: Exception) -> None:
        self.real, self.error = real, error

    def __call__(self, item: Item) -> Annotated:
        if item.name == "train_2":
            raise self.error
        return self.real.read(item)


MACHINE = {
    "package": ImportError("No module named 'tifffile'"),
    "memory": MemoryError(),
    "array": np._core._exceptions._ArrayMemoryError((9, 9), np.dtype(float)),  # type: ignore[attr-defined]
    "disk": OSError(errno.EIO, "Input/output error", "x.bmp"),
    "network": OSError(errno.ESTALE, "Stale file handle"),
    "handles": OSError(errno.EMFILE, "Too many open files"),
    "rights": PermissionError(errno.EACCES, "Permission denied", "x.bmp"),
    "time": TimeoutError("no answer"),
    "bare": OSError("unspecified failure"),
    "codec": wrapped(ValueError("<COMPRESSION.JPEG: 7> requires the 'imagecodecs' package")),
    "wrapped package": wrapped(ImportError("h5py")),
    "wrapped memory": wrapped(MemoryError()),
    "wrapped disk": wrapped(OSError(errno.EIO, "Input/output error", "x.bmp")),
}
FILE = {
    "refused": BadInput("unknown class code 7"),
    "wrapped decoder": wrapped(OSError("image file is truncated")),
    "wrapped seek": wrapped(OSError(errno.EINVAL, "Invalid argument")),
    "seek": OSError(errno.EINVAL, "Invalid argument"),
    "bug": ZeroDivisionError("division by zero"),
    "value": ValueError("bad header"),
}


@pytest.mark.parametrize("what", MACHINE)
def test_what_the_machine_lacks_fails_the_build_and_is_tried_again(tmp_path: Path, what: str) -> None:
    wish = Wish(replace(source("glas"), batch=2), glas(tmp_path / "glas", 3, 0))
    failing = replace(wish, source=replace(wish.source, read=Failing(wish.source, MACHINE[what])))
    with pytest.raises(PathSegError, match=r"glas: train_2 cannot be read now") as error:
        build([failing], tmp_path / "out", Settings())
    assert "\n" not in str(error.value) and "run the same command again" in str(error.value)
    assert not (tmp_path / "out" / "manifest.parquet").exists()
    (entry,) = build([wish], tmp_path / "out", Settings())["sources"]
    assert entry["masks"] == len(read_rows(tmp_path / "out")) == 3 and not entry["left_out"]


@pytest.mark.parametrize("what", FILE)
def test_what_is_wrong_in_a_file_is_remembered(tmp_path: Path, what: str) -> None:
    wish = Wish(source("glas"), glas(tmp_path / "glas", 3, 0))
    failing = replace(wish, source=replace(wish.source, read=Failing(wish.source, FILE[what])))
    for tried in (failing, wish):  # the second build has no reason to read again what has not changed
        (entry,) = build([tried], tmp_path / "out", Settings())["sources"]
        assert len(entry["left_out"]) == 1 and entry["left_out"][0].startswith("train_2: ") and entry["masks"] == 2


def test_a_set_made_without_a_package_is_whole_once_it_is_there(
    tmp_path: Path,
    here: Run,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The true case: pictures of MoNuSAC are .svs, which tifffile reads."""
    folder = tmp_path / "monusac"
    write(folder, "train", "TCGA-5P-A9K0-01Z-00-DX1_1", xml(("Epithelial", [SQUARE])), ".svs")
    arguments = ("data", "build", "--source", f"monusac={folder}", "--out", tmp_path / "out")
    import sys

    with monkeypatch.context() as patched:
        patched.setitem(sys.modules, "tifffile", None)
        done = here(*arguments)
    assert done.code == 2 and done.out == "" and len(done.err.strip().splitlines()) == 1, (done.out, done.err)
    assert "tifffile" in done.err
    here(*arguments)
    assert [row.label for row in read_rows(tmp_path / "out")] == [LABELS["epithelial"]]


def test_a_real_lack_of_memory_is_recognised() -> None:
    with pytest.raises(cv2.error) as error:
        cv2.resize(np.zeros((9, 9, 3), np.uint8), (1 << 20, 1 << 20))
    assert cannot_now(error.value)
    with pytest.raises(MemoryError) as lacking:
        np.zeros((1 << 40, 1 << 10))
    assert cannot_now(wrapped(lacking.value))


def test_a_real_damaged_file_is_not_the_machines_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    Image.fromarray(picture(1)).save(path)
    path.write_bytes(path.read_bytes()[:900])
    with pytest.raises(OSError) as error, Image.open(path) as image:  # noqa: PT011
        image.load()
    assert error.value.errno is None and not cannot_now(wrapped(error.value))


def test_a_file_that_vanishes_after_it_was_listed_is_looked_for_again(tmp_path: Path) -> None:
    """As when the disk with the download is unplugged and plugged in again."""
    folder = glas(tmp_path / "glas")
    real = source("glas")

    def unplug(item: Item) -> Annotated:
        if item.name == "train_2" and item.files[0].exists():
            os.rename(item.files[0], tmp_path / "aside.bmp")
        return real.read(item)

    with pytest.raises(PathSegError, match=r"train_2 cannot be read now.*train_2\.bmp is gone"):
        build([Wish(replace(real, read=unplug), folder)], tmp_path / "out", Settings())
    os.rename(tmp_path / "aside.bmp", folder / "train_2.bmp")
    (entry,) = build([Wish(real, folder)], tmp_path / "out", Settings())["sources"]
    assert entry["masks"] == 5 and not entry["left_out"]


def test_a_full_disk_is_one_line(tmp_path: Path, here: Run, monkeypatch: pytest.MonkeyPatch) -> None:  # noqa: F811
    folder = glas(tmp_path / "glas")

    def full(path: Path, rows: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patched:
        patched.setattr("pathsegmentor.data.shard_build.write_rows", full)
        done = here("data", "build", "--source", f"glas={folder}", "--out", tmp_path / "out", "--json")
    assert done.code == 2 and done.out == "" and len(done.err.strip().splitlines()) == 1, done.err
    assert "No space left on device" in done.err and "glas-00000.parquet" in done.err
    assert here("data", "build", "--source", f"glas={folder}", "--out", tmp_path / "out").code == 0


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = download("crag", tmp_path / "crag")
    (tmp_path / "file").write_text("")
    done = here("data", "build", "--source", f"crag={folder}", "--out", tmp_path / "file" / "out")
    assert done.code == 2 and len(done.err.strip().splitlines()) == 1 and "file" in done.err
