"""Builds into one set at the same time: each is in the manifest, or refused in one line; none is half there."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from pathsegmentor.data.lock import locked
from pathsegmentor.data.manifest import read_rows
from pathsegmentor.errors import BadInput
from tests.cli.conftest import Done, here  # noqa: F401
from tests.data.made import GLAND, hashes, instances, picture, save, table

HOLDER = """
import sys, time
from pathlib import Path
from pathsegmentor.data.lock import locked
with locked(Path(sys.argv[1])):
    print("held", flush=True)
    time.sleep(60)
"""


def own(folder: Path, seed: int) -> Path:
    save(folder / "images" / "a.png", picture(seed))
    save(folder / "masks" / "a.png", (instances(seed) > 0).astype(np.uint8))
    table(folder / "labels.csv", ["class", "label"], [["1", GLAND]])
    return folder


def start(*arguments: object) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pathsegmentor", "data", "build", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.fixture
def holder(tmp_path: Path) -> Iterator[subprocess.Popen[str]]:
    (tmp_path / "out").mkdir()
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path / "out")], stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


@pytest.mark.slow
def test_each_of_three_builds_is_in_the_manifest_or_refused(tmp_path: Path) -> None:
    out = tmp_path / "out"
    folders = [own(tmp_path / f"of{n}", n) for n in range(3)]
    runs = [start("--source", f"folder={folder}", "--mpp", 0.25, "--out", out) for folder in folders]
    told = [run.communicate(timeout=120) for run in runs]
    there = {row.source for row in read_rows(out)}
    for folder, run, (said, complaint) in zip(folders, runs, told, strict=True):
        if run.returncode == 0:
            assert f"folder-{folder.name}" in there, said
        else:
            assert run.returncode == 2 and len(complaint.strip().splitlines()) == 1, complaint
            assert "another build is writing to" in complaint and f"folder-{folder.name}" not in there
    assert there and not list(out.glob(".build.lock*"))


def test_the_second_build_is_refused_in_one_line_and_changes_nothing(
    tmp_path: Path,
    here,  # noqa: F811
    holder: subprocess.Popen[str],
) -> None:
    folder, out = own(tmp_path / "mine", 1), tmp_path / "out"
    before = hashes(out)
    done: Done = here("data", "build", "--source", f"folder={folder}", "--mpp", 0.25, "--out", out)
    assert done.code == 2 and done.out == "" and len(done.err.strip().splitlines()) == 1
    assert f"another build is writing to {out} (process {holder.pid} on" in done.err
    assert hashes(out) == before


def test_the_lock_of_a_killed_build_is_nobodys(
    tmp_path: Path,
    here,  # noqa: F811
    holder: subprocess.Popen[str],
) -> None:
    folder, out = own(tmp_path / "mine", 1), tmp_path / "out"
    os.kill(holder.pid, signal.SIGKILL)
    holder.wait()
    assert (out / ".build.lock").exists()
    done: Done = here("data", "build", "--source", f"folder={folder}", "--mpp", 0.25, "--out", out)
    assert done.code == 0, done.err
    assert len(read_rows(out)) == 1 and not (out / ".build.lock").exists()


def test_a_lock_file_that_is_removed_while_one_waits_for_it_is_no_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first holder ends between the opening and the locking of the second, and a third takes the folder."""
    path, real, calls = tmp_path / ".build.lock", os.open, []

    def opened(name: object, *more: int) -> int:
        handle = real(name, *more)  # type: ignore[call-overload]
        if not calls:
            calls.append(handle)
            path.unlink()
        return int(handle)

    monkeypatch.setattr("pathsegmentor.data.lock.os.open", opened)
    with locked(tmp_path):
        assert path.exists() and os.path.samestat(path.stat(), path.stat())
        monkeypatch.undo()
        with pytest.raises(BadInput, match="another build"), locked(tmp_path):
            pass
    assert not path.exists()


def test_a_lock_ends_with_an_error(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="inside"), locked(tmp_path):
        raise ValueError("inside")
    with locked(tmp_path):
        time.sleep(0)
    assert not list(tmp_path.iterdir())
