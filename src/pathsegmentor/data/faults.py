"""Whose fault a failure is: the file's, which stays as it is, or the machine's, which may be another next time."""

from __future__ import annotations

import errno
import re
from collections.abc import Iterator

import cv2

# What the system says of a name or of a position that a damaged file asked for, not of a disk or a network.
_OF_THE_FILE = {
    errno.EINVAL,
    errno.EISDIR,
    errno.ENOTDIR,
    errno.ENAMETOOLONG,
    errno.ELOOP,
    errno.EOVERFLOW,
    errno.ESPIPE,
    errno.EILSEQ,
}
# How tifffile and Pillow say that a decoder is not installed, which they do not do by ImportError.
_NO_DECODER = re.compile(r"requires the 'imagecodecs' package|decoder \S+ not available")


def cannot_now(error: BaseException) -> bool:
    """Whether the machine is to blame: a package, memory, or a disk, a network or a right is missing.

    Readers wrap what libraries raise, so all errors that this one came from are looked at. An ``OSError`` without
    a number is what decoders raise on broken files; one that nobody wrapped comes from the system.
    """
    if isinstance(error, OSError) and error.errno is None:
        return True
    return any(_lacks(cause) for cause in _causes(error))


def _causes(error: BaseException) -> Iterator[BaseException]:
    seen: set[int] = set()
    found: BaseException | None = error
    while found is not None and id(found) not in seen:
        seen.add(id(found))
        yield found
        found = found.__cause__ or (None if found.__suppress_context__ else found.__context__)


def _lacks(error: BaseException) -> bool:
    if isinstance(error, (ImportError, MemoryError, TimeoutError, ConnectionError)):
        return True
    if isinstance(error, OSError) and error.errno is not None:
        return error.errno not in _OF_THE_FILE
    if isinstance(error, cv2.error):
        return getattr(error, "code", 0) == cv2.Error.STS_NO_MEM
    return bool(_NO_DECODER.search(str(error)))


def line(error: BaseException) -> str:
    """What an error says, in one line; of the system's, the file first."""
    if isinstance(error, OSError) and error.strerror and error.filename is not None:
        return f"{error.filename}: {error.strerror}"
    return " ".join(str(error).split()) or type(error).__name__
