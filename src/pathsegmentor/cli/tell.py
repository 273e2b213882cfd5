"""How commands speak: one JSON document, or tables; both on stdout."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from pathsegmentor.cli.stdout import speaking


def tell_json(value: Any) -> None:
    """Print one JSON document."""
    with speaking():
        print(json.dumps(value, indent=1, allow_nan=False))


def tell_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """Print a table; columns whose name ends with ``#`` are numbers, set to the right."""
    table = Table(title=_plain(title), title_justify="left")
    for column in columns:
        table.add_column(column.rstrip("#"), justify="right" if column.endswith("#") else "left")
    for row in rows:
        table.add_row(*map(_plain, row))
    console = Console()
    # Piped output has no width of its own: never fold a table that goes to a file.
    console.width = console.width if console.is_terminal else 200
    with speaking():
        console.print(table)


def printable(value: object) -> str:
    """Words from a file as they may reach a terminal: in one line, nothing in them that it would obey."""
    return "".join(c if c.isprintable() else "?" for c in " ".join(str(value).split()))


def _plain(value: object) -> Text:
    """People's words as they are: square brackets are no markup, line ends no rows."""
    return Text(printable(value))
