"""Standard output and error: closed, full, or read by nobody."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from pathsegmentor.cli.plain import plain
from pathsegmentor.errors import BadInput


def open_closed() -> None:
    """Send streams that the caller has closed (``2>&-``) nowhere.

    The next file that is opened would get the number of a closed one, and what a library says about another file
    would be written into it.
    """
    for number, name, mode in ((0, "stdin", "r"), (1, "stdout", "w"), (2, "stderr", "w")):
        try:
            os.fstat(number)
        except OSError:
            # The lowest free number is given out: this one.
            os.set_inheritable(os.open(os.devnull, os.O_RDWR), True)
        if getattr(sys, name) is None:
            setattr(sys, name, open(number, mode, encoding="utf-8", closefd=False))  # noqa: SIM115


@contextmanager
def speaking() -> Iterator[None]:
    """Print and flush; ``BadInput`` if stdout takes no more, ``BrokenPipeError`` if nobody reads it."""
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        _forget(sys.stdout)
        if isinstance(error, BrokenPipeError):
            raise
        raise BadInput(f"standard output cannot be written: {error.strerror or error}") from error


def complain(text: str) -> None:
    """Say one line on stderr, if it can be said."""
    try:
        print(f"pathsegmentor: {plain(text)}", file=sys.stderr, flush=True)
    except OSError:
        _forget(sys.stderr)


def _forget(stream: TextIO) -> None:
    """Send what is still buffered nowhere, or Python complains about it when it ends."""
    try:
        number = stream.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
