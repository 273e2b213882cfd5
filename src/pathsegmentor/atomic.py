"""Files and folders that are either whole or not there: write beside, fsync, rename.

What is being written lies under a hidden name, ``.pathsegmentor-XXXXXXXX``, on which its writer holds a lock. The
lock of a writer that was killed is gone, so that the next one in the same place knows what it may sweep away.
"""

from __future__ import annotations

import ctypes
import errno
import hashlib
import os
import secrets
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pathsegmentor.errors import BadInput, PathSegError

# Without such locks nobody can tell whether a writer still lives, and nothing is swept.
if sys.platform != "win32":
    import fcntl

PREFIX = ".pathsegmentor-"
_AT_FDCWD, _EXCHANGE = -100, 2
# How libraries that raise no OSError say that a file could not be written.
_NOT_WRITTEN = ("no space left", "file too large", "quota exceeded")
# torch and Pillow do not even say why.
_NO_REASON = ("failed writing file", "unexpected pos", "encoder error")


@contextmanager
def whole_file(path: Path) -> Iterator[Path]:
    """Give a temporary path in the folder of ``path``; move it there only if the block succeeds.

    Raises ``BadInput`` if the place is missing, full or must not be written.
    """
    with written(path):
        if os.path.lexists(path) and not path.is_file():
            raise BadInput(f"{path} cannot be written: it is a folder, a device or a link to nothing")
        suffix = path.suffix if len(path.suffix) <= 16 else ""
        with hidden(path.parent, suffix) as beside:
            yield beside
            sync(beside)
            beside.replace(path)
            sync(path.parent)


@contextmanager
def written(path: Path, remedy: str = "") -> Iterator[None]:
    """Say in one line, as ``BadInput``, that ``path`` could not be written, and why."""
    try:
        yield
    except Exception as error:  # torch and safetensors raise classes of their own
        why = _why(error, path)
        if why is None:
            raise
        raise BadInput(f"{path} cannot be written: {why}{remedy}") from error


def _why(error: Exception, path: Path) -> str | None:
    """The reason why a path was not written, or None if the error is about something else."""
    if isinstance(error, PathSegError | BrokenPipeError):
        return None
    if isinstance(error, OSError) and error.errno not in (None, errno.ENOMEM):
        named = str(error.filename or PREFIX)
        here = PREFIX in named or named.startswith(str(path)) or Path(named) in path.parents
        return (error.strerror or str(error)) if here else None
    text = " ".join(str(error).split())
    if any(sign in text.lower() for sign in _NO_REASON):
        return "the disk is full, or fails"
    return text if any(sign in text.lower() for sign in _NOT_WRITTEN) else None


@contextmanager
def hidden(folder: Path, suffix: str = "", is_folder: bool = False) -> Iterator[Path]:
    """A new empty file, or folder, of a hidden name in ``folder``, ours until the block ends; then it is removed."""
    sweep(folder)
    path, lock = _new(folder, suffix, is_folder)
    try:
        yield path
    finally:
        remove(path)
        if lock is not None:
            os.close(lock)


def _new(folder: Path, suffix: str, is_folder: bool) -> tuple[Path, int | None]:
    while True:
        path = folder / f"{PREFIX}{secrets.token_hex(4)}{suffix}"
        if is_folder:
            path.mkdir()
        else:
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o666))
        if sys.platform == "win32":
            return path, None
        with suppress(FileNotFoundError):
            lock = os.open(path, os.O_RDONLY)
            _lock(lock, wait=True)
            # Another one may have swept it away before the lock was on it.
            if path.exists():
                return path, lock
            os.close(lock)


def sweep(folder: Path) -> None:
    """Remove what killed writers left behind in a folder; what a living one holds stays."""
    for path in left_behind(folder):
        remove(path)


def left_behind(folder: Path, prefix: str = PREFIX) -> Iterator[Path]:
    """Files and folders of a hidden name whose writer is dead, one at a time, each locked while it is looked at."""
    found = []
    with suppress(OSError):
        found = sorted(path for path in folder.iterdir() if path.name.startswith(prefix))
    for path in found:
        with suppress(OSError), locked(path, wait=False) as mine:
            if mine:
                yield path


@contextmanager
def locked(path: Path, wait: bool) -> Iterator[bool]:
    """Hold the lock of a file or folder; False if another one holds it, or there are no locks here."""
    if sys.platform == "win32":
        yield False
        return
    number = os.open(path, os.O_RDONLY)
    try:
        yield _lock(number, wait)
    finally:
        os.close(number)


def _lock(number: int, wait: bool) -> bool:
    if sys.platform == "win32":
        return False
    try:
        fcntl.flock(number, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
    except OSError:
        return False
    return True


def remove(path: Path) -> None:
    """Remove a file or a folder with all in it, as far as that goes."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with suppress(OSError):
            path.unlink()


def exchange(one: Path, other: Path) -> bool:
    """Let two paths change places in one step; False, and nothing done, where the system has no such step."""
    if sys.platform == "win32":
        return False
    library = ctypes.CDLL(None, use_errno=True)
    a, b = os.fsencode(one), os.fsencode(other)
    if hasattr(library, "renameat2"):
        return bool(library.renameat2(_AT_FDCWD, a, _AT_FDCWD, b, _EXCHANGE) == 0)
    return hasattr(library, "renamex_np") and bool(library.renamex_np(a, b, _EXCHANGE) == 0)  # macOS


def sync(path: Path) -> None:
    """Have the system bring a file, or a folder's list of names, to the disk."""
    if sys.platform == "win32" and path.is_dir():  # cannot be opened there
        return
    number = os.open(path, os.O_RDWR if sys.platform == "win32" else os.O_RDONLY)
    try:
        os.fsync(number)
    except OSError as error:
        # Some file systems have no fsync for folders; a full disk is another matter.
        if error.errno not in (errno.EINVAL, errno.ENOTSUP):
            raise
    finally:
        os.close(number)


def sha256_of(path: Path) -> str:
    """Hexadecimal SHA-256 of a file, read in pieces; tells whether it is the one that was written."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
