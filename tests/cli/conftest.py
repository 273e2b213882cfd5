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

from pathsegmentor.cli import main

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


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Callable[..., Done]:
    """The same inside this process: quicker, since torch is imported once."""

    def run(*arguments: object) -> Done:
        monkeypatch.setattr(sys, "argv", ["pathsegmentor", *map(str, arguments)])
        with pytest.raises(SystemExit) as ended:
            main()
        said = capsys.readouterr()
        return Done(int(ended.value.code or 0), said.out, said.err)

    return run
