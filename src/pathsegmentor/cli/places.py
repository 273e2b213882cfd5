"""Files that commands write: tried before minutes are spent, and never what was given to read."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pathsegmentor.atomic import whole_file, written
from pathsegmentor.errors import BadInput


@contextmanager
def json_file(path: Path | None) -> Iterator[Callable[[Any], None]]:
    """Give what writes one JSON document to ``path``, or nowhere if that is None; the place is tried at once."""
    if path is None:
        yield lambda value: None
        return
    with written(path):
        path.parent.mkdir(parents=True, exist_ok=True)
    with whole_file(path) as beside:

        def write(value: Any) -> None:
            beside.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")

        yield write


def keep_apart(out: Path, *given: Path) -> None:
    """Refuse to write over a file that was given, or that lies in a folder that was given."""
    if not out.exists():
        return
    for path in given:
        if path.exists() and (out.samefile(path) or out.resolve().is_relative_to(path.resolve())):
            raise BadInput(f"--out {out} is part of what is read; choose another")
