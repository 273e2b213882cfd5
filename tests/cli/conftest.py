"""Running the installed command, and small inputs for it."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
IMAGES = ROOT / "examples" / "images"


@dataclass(frozen=True)
class Done:
    """What a command left behind."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        """stdout as the one JSON document it should be."""
        return json.loads(self.out)


@pytest.fixture
def command() -> Callable[..., Done]:
    def run(*arguments: object) -> Done:
        done = subprocess.run(
            [sys.executable, "-m", "pathsegmentor", *map(str, arguments)],
            capture_output=True,
            text=True,
            timeout=300,
        )
        return Done(done.returncode, done.stdout, done.stderr)

    return run
