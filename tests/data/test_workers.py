"""The same results from one process, from several, and from a Ray cluster."""

from __future__ import annotations

import os
import posixpath
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pathsegmentor.data import workers
from pathsegmentor.errors import BadInput

SMALL = Path(__file__).parent / "small"
WORK = [f"folder/{number}" for number in range(9)]


def test_several_processes_give_what_one_gives() -> None:
    one = list(workers.run(posixpath.basename, WORK, 1))
    assert one == [str(number) for number in range(9)]
    assert sorted(workers.run(posixpath.basename, WORK, 2)) == one


def test_a_failure_in_a_worker_is_the_callers() -> None:
    with pytest.raises(TypeError):
        list(workers.run(posixpath.basename, ["a", 3], 2))
    with pytest.raises(BadInput, match="workers"):
        list(workers.run(posixpath.basename, WORK, 0))


def build(out: Path, *more: str) -> None:
    pairs = [word for name in ("ebhi", "segpath") for word in ("--source", f"{name}={SMALL / name}")]
    command = [sys.executable, "-m", "pathsegmentor", "data", "build", *pairs, "--out", str(out), *more]
    subprocess.run(
        command, check=True, capture_output=True, timeout=300, env=os.environ | {"RAY_memory_monitor_refresh_ms": "0"}
    )


@pytest.mark.slow
def test_ray_builds_the_same_set(tmp_path: Path) -> None:
    build(tmp_path / "here")
    build(tmp_path / "ray", "--ray", "local")
    for name in ("manifest.parquet", "shards.json"):
        assert (tmp_path / "ray" / name).read_bytes() == (tmp_path / "here" / name).read_bytes()


KILLED = """
import sys, time
from pathlib import Path
from pathsegmentor.data import workers

if __name__ == "__main__":
    for _ in workers.run(time.sleep, [600.0] * 8, 3):
        pass
"""


def children(pid: int) -> list[int]:
    """Worker processes of a parent, without the tracker that Python starts for itself."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((place / "stat").read_text().rpartition(")")[2].split()[1])
            words = (place / "cmdline").read_bytes()
        except OSError:
            continue  # it has ended meanwhile
        if parent == pid and b"spawn_main" in words:
            found.append(int(place.name))
    return found


def running(pid: int) -> bool:
    try:
        return (Path("/proc") / str(pid) / "stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="reads the process table of Linux")
def test_workers_end_with_a_killed_parent(tmp_path: Path) -> None:
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    parent = subprocess.Popen([sys.executable, script], stderr=subprocess.DEVNULL)
    workers_of: list[int] = []
    limit = time.monotonic() + 120
    while len(workers_of) < 3 and time.monotonic() < limit:
        time.sleep(0.1)
        workers_of = children(parent.pid)
    time.sleep(1)
    os.kill(parent.pid, signal.SIGKILL)
    parent.wait()
    assert len(workers_of) == 3
    limit = time.monotonic() + 60
    while any(map(running, workers_of)) and time.monotonic() < limit:
        time.sleep(0.1)
    assert not [pid for pid in workers_of if running(pid)]
