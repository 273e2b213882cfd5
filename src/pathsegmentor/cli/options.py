"""Options that several commands have."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def path(text: str | Path) -> Path:
    """A path as it was given; an empty one would mean the current folder."""
    if not str(text):
        raise typer.BadParameter("it is empty; name a file or folder")
    return Path(text)


ModelName = Annotated[str, typer.Option("--model", help="Model's name, model folder, or Hub id.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps, ...")]
Workers = Annotated[int, typer.Option(help="Processes.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]
