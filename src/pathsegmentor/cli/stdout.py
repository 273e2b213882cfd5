"""Standard output that may be full or read by nobody."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from pathsegmentor.errors import BadInput


@contextmanager
def speaking() -> Iterator[None]:
    """Print and flush; ``BadInput`` if stdout takes no more, ``BrokenPipeError`` if nobody reads it."""
    try:
        yield
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError as error:
        _forget()
        if isinstance(error, BrokenPipeError):
            raise
        raise BadInput(f"standard output cannot be written: {error.strerror or error}") from error


def _forget() -> None:
    """Send what is still buffered nowhere, or Python complains about it when it ends."""
    try:
        number = sys.stdout.fileno()
    except (OSError, ValueError):
        return
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, number)
    os.close(nowhere)
