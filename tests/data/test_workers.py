"""The same results from one process, from several, and from a Ray cluster."""

from __future__ import annotations

import os
import posixpath
import subprocess
import sys
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
