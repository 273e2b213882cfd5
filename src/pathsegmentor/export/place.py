"""Where a result goes: a folder whose files of ours change all together, and whose other files are left alone.

A result is written into a hidden folder and put in place in one step. Where the folder holds nothing but an earlier
result, the two folders change places. Where it holds files of others (or the system cannot exchange folders), the
files are moved in one by one: the old record, ``result.json``, leaves first and the new one comes last, so that a
record never stands beside files it does not belong to. A move that was killed half-way is finished by the next run.

A file is ours if the record beside it names it with its SHA-256; nothing else is ever replaced or removed.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from itertools import count
from pathlib import Path
from typing import Any

from pathsegmentor.atomic import PREFIX, exchange, hidden, left_behind, locked, remove, sha256_of, sync, written
from pathsegmentor.errors import BadInput

RECORD = "result.json"
# A hidden folder whose files are being moved in, and where it keeps the record that was there before.
_MOVING, _EARLIER = ".pathsegmentor.moving-", "earlier.json"
_REMEDY = "; choose another --out"
_LONGEST_STEM = 200


@contextmanager
def placed(
    folder: Path, names: Sequence[str], inputs: Sequence[Path] = (), image_sha256: str | None = None
) -> Iterator[Path]:
    """Give a hidden folder to write files of these names into; in the end they become the result in ``folder``.

    ``names`` has ``result.json``, whose ``files`` says the SHA-256 of each of the others. The place is tried before
    the block runs. Raises ``BadInput`` if it cannot be written, if a file of such a name there is not ours or is one
    of ``inputs``, or, with ``image_sha256``, if the result there is that of another image.
    """
    made: list[Path] = []
    try:
        with written(folder, _REMEDY):
            _make_parents(folder, made)
            _check_lengths(folder, names)
            _recover(folder)
            _check(folder, names, inputs, image_sha256)
            with _stage(folder) as stage:
                yield stage
                _check(folder, names, inputs, image_sha256)
                with _uninterrupted():
                    _put(stage, folder)
    finally:
        for path in reversed(made):
            with suppress(OSError):  # not empty: the result is in it
                path.rmdir()


def own_folder(image: Path, sha256: str | None) -> Path:
    """The first of NAME-segmented, NAME-segmented-2 ... that is free or holds an earlier result of this image."""
    # A file name has 255 bytes at most.
    stem = os.fsencode(image.stem)[:_LONGEST_STEM].decode(errors="ignore")
    for number in count(1):
        folder = Path(f"{stem}-segmented" + (f"-{number}" if number > 1 else ""))
        if not os.path.lexists(folder):
            break
        if folder.is_dir():
            _recover(folder)
            if not _visible(folder) or _is_of(folder, sha256):
                break
    return folder


def read_record(folder: Path) -> dict[str, Any] | None:
    """The record of the result in a folder, or None if there is none that names its files."""
    return _read(folder / RECORD)


def _read(path: Path) -> dict[str, Any] | None:
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return None
    files = record.get("files") if isinstance(record, dict) else None
    if not isinstance(files, dict) or not all(isinstance(digest, str) for digest in files.values()):
        return None
    return record


def _owned(folder: Path, record: dict[str, Any] | None) -> set[str]:
    """Names of the files in a folder that the result of this record wrote and nobody has changed since."""
    names = record["files"] if record else {}
    return {
        name
        for name, digest in names.items()
        if name == Path(name).name
        and not (folder / name).is_symlink()
        and (folder / name).is_file()
        and sha256_of(folder / name) == digest
    }


def _ours(folder: Path) -> set[str]:
    record = read_record(folder)
    return _owned(folder, record) | ({RECORD} if record else set())


def _is_of(folder: Path, sha256: str | None) -> bool:
    record = read_record(folder)
    return record is not None and sha256 is not None and record.get("image_sha256") == sha256


def _visible(folder: Path) -> set[str]:
    """Names of all in a folder but what is being written there."""
    return {path.name for path in folder.iterdir() if not path.name.startswith((PREFIX, _MOVING))}


def _check(folder: Path, names: Sequence[str], inputs: Sequence[Path], image_sha256: str | None) -> None:
    """Refuse to replace or remove what is an input or not ours."""
    ours = _ours(folder)
    for name in names:
        if name not in ours and os.path.lexists(folder / name):
            raise BadInput(
                f"{folder / name} is not a file of an earlier result, and is not overwritten; move it{_REMEDY}"
            )
    for path in inputs:
        if any((folder / name).exists() and path.exists() and (folder / name).samefile(path) for name in ours):
            raise BadInput(f"{path} would be overwritten by its own result{_REMEDY}")
    if image_sha256 is not None and ours and not _is_of(folder, image_sha256):
        raise BadInput(f"{folder} has got the result of another image in the meantime{_REMEDY}")


def _make_parents(folder: Path, made: list[Path]) -> None:
    """Make the folders above, adding those that were not there to ``made``."""
    if os.path.lexists(folder) and not folder.is_dir():
        raise BadInput(f"{folder} is no folder{_REMEDY}")
    missing = []
    here = folder.parent
    while not here.exists():
        missing.append(here)
        here = here.parent
    for path in reversed(missing):
        path.mkdir()
        made.append(path)


def _check_lengths(folder: Path, names: Sequence[str]) -> None:
    for name in names:
        with suppress(FileNotFoundError):
            (folder / name).lstat()


def _stage(folder: Path) -> AbstractContextManager[Path]:
    """A hidden folder on the disk of ``folder``: beside it where the two can change places, else inside."""
    return hidden(folder.parent if _can_change_places(folder) else folder, is_folder=True)


def _can_change_places(folder: Path) -> bool:
    """Whether the folder is missing, or may be replaced as a whole: all of it is ours, and nobody stands in it."""
    if not os.path.lexists(folder):
        return True
    return (
        folder.name not in ("", "..")
        and not folder.is_symlink()
        and not os.path.ismount(folder)
        and os.access(folder.parent, os.W_OK | os.X_OK)
        and not Path.cwd().is_relative_to(folder.resolve())
        and _visible(folder) <= _ours(folder)
    )


def _put(stage: Path, folder: Path) -> None:
    """Make the files of a hidden folder the result in ``folder``."""
    for path in stage.iterdir():
        sync(path)
    sync(stage)
    beside = stage.parent == folder.parent
    if not (beside and (_appears(stage, folder) or _change_places(stage, folder))):
        moving = folder / f"{_MOVING}{stage.name.removeprefix(PREFIX)}"
        # From this name on the result is on its way: were we killed, the next run would finish it.
        stage.rename(moving)
        _move_in(moving, folder)
    sync(folder.parent)


def _appears(stage: Path, folder: Path) -> bool:
    """Let a folder appear that was not there; False if there is one."""
    if os.path.lexists(folder):
        return False
    stage.rename(folder)
    return True


def _change_places(stage: Path, folder: Path) -> bool:
    """Let the two folders change places; False if that cannot be done in one step."""
    if not _can_change_places(folder):
        return False
    before, now = folder.stat(), stage.stat()
    if (before.st_uid, before.st_gid) != (now.st_uid, now.st_gid):
        return False
    shutil.copystat(folder, stage)
    if not exchange(stage, folder):
        return False
    # What somebody put there at the last moment goes on lying there.
    for name in _visible(stage) - _ours(stage):
        (stage / name).rename(folder / name)
    return True


def _move_in(moving: Path, folder: Path) -> None:
    """Move files into a folder, the record last; may be called again after it was killed anywhere in it."""
    with locked(folder, wait=True):
        if (moving / RECORD).exists():
            if (folder / RECORD).exists():
                (folder / RECORD).replace(moving / _EARLIER)
            names = {path.name for path in moving.iterdir()} - {RECORD, _EARLIER}
            owned = _owned(folder, _read(moving / _EARLIER))
            for name in owned - set(_files(moving)):
                (folder / name).unlink()
            for name in sorted(names):
                # What somebody put there after a kill is his.
                if name in owned or not os.path.lexists(folder / name):
                    (moving / name).replace(folder / name)
            sync(folder)
            (moving / RECORD).replace(folder / RECORD)
            sync(folder)
    remove(moving)


def _files(moving: Path) -> Iterable[str]:
    """Names of all files of the result that is being moved, also of those that are there already."""
    record = _read(moving / RECORD)
    return record["files"] if record else ()


def _recover(folder: Path) -> None:
    """Finish what a killed run had begun to move into the folder."""
    for moving in left_behind(folder, _MOVING):
        _move_in(moving, folder)


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Let Ctrl-C wait until the files are in place."""
    mine = threading.current_thread() is threading.main_thread()
    if not mine or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    pressed: list[int] = []
    signal.signal(signal.SIGINT, lambda number, _: pressed.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if pressed:
        raise KeyboardInterrupt
