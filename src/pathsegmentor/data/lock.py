"""One build, or one evaluation, at a time in a folder; the lock of one that was killed is nobody's."""

from __future__ import annotations

import errno
import os
import socket
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pathsegmentor.errors import BadInput

if sys.platform != "win32":
    import fcntl

_NOT_SUPPORTED = {errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOLCK}


@contextmanager
def locked(folder: Path, what: str = "build") -> Iterator[None]:
    """Hold the folder for the time of the block; raises ``BadInput`` if another process of the kind holds it.

    The system ends a lock with its process, so none is ever stale. Where a system or a file system has no such
    locks there is none, and two of them at once are the user's to avoid.
    """
    if sys.platform == "win32":
        yield
        return
    path = folder / f".{what}.lock"
    handle = _held(path, what)
    try:
        yield
    finally:
        path.unlink(missing_ok=True)  # before the lock ends: whoever waits for it must not find this file
        os.close(handle)


def _held(path: Path, what: str) -> int:
    """The open, locked file."""
    while True:
        handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno in _NOT_SUPPORTED:
                return handle
            holder = os.read(handle, 200).decode(errors="replace").strip()
            os.close(handle)
            if not isinstance(error, BlockingIOError):
                raise
            by = f" ({holder})" if holder else ""
            raise BadInput(
                f"another {what} is writing to {path.parent}{by}; wait for its end, or choose another --out"
            ) from error
        if _is_at(handle, path):
            os.ftruncate(handle, 0)
            os.write(handle, f"process {os.getpid()} on {socket.gethostname()}".encode())
            return handle
        os.close(handle)  # its last holder has just removed it


def _is_at(handle: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(handle), path.stat())
    except FileNotFoundError:
        return False
