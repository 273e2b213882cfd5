"""Signs of a copy that stopped: places that were reserved for the file and never written hold zeros."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.errors import BadInput

# No packed data ends with so many zeros; writers fill up to a whole word.
_FILLING = 32


def check_packed_end(data: bytes) -> None:
    """Refuse packed data that ends with zeros; raises ``BadInput`` (without a path)."""
    if len(data) >= _FILLING and not any(data[-_FILLING:]):
        raise BadInput("is damaged: part of its packed pixels is missing (zeros stand there)")


def check_zero_tail(rows: NDArray[np.generic], zero_is_black: bool, last: int = 0) -> None:
    """Refuse pixels (rows, ...) in the order of the file whose end was never written.

    Zeros from the middle of a row on, below a row that was coloured there, are none of a picture's borders.
    A black border looks like a lost end only if it starts with one of the file's strips: ``last`` is the
    number of rows in whole strips of zeros at the end. Raises ``BadInput`` (without a path).
    """
    flat = rows.reshape(len(rows), -1)
    filled = np.flatnonzero(flat.any(axis=1))
    if not len(filled):
        return
    row = int(filled[-1])
    column = int(np.flatnonzero(flat[row])[-1]) + 1
    missing = flat.shape[0] - row - 1
    # A colour of which one channel is zero belongs to a pixel that was written.
    channels = rows.shape[2] if rows.ndim == 3 else 1
    rest = flat[row - 1, column:] if row else flat[row, :0]
    torn = flat.shape[1] - column >= channels and rest.size and rest[-channels:].any() and np.mean(rest != 0) > 0.5
    if (missing and torn) or (zero_is_black and last):
        raise BadInput(
            f"is damaged: its last {max(missing, last)} of {flat.shape[0]} rows were never written (zeros stand there);"
            " if they are truly black, save it as PNG"
        )
