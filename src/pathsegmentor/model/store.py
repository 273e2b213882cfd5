"""Where pulled models lie: one folder each, named as the model is, whole or not there."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from pathsegmentor.atomic import exchange, locked, remove, sync, written
from pathsegmentor.errors import BadInput

HOME = "PATHSEGMENTOR_MODELS"
_CONFIG = "config.json"


def home() -> Path:
    """The folder of pulled models: ``$PATHSEGMENTOR_MODELS``, or ``pathsegmentor/models`` in the user's cache."""
    chosen = os.environ.get(HOME)
    if chosen:
        return Path(chosen).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "pathsegmentor" / "models"


def pulled() -> dict[str, Path]:
    """Folders of pulled models, by name; those of Hub repositories have two parts, ``owner/name``."""
    root = home()
    found = [path.parent for depth in ("*", "*/*") for path in root.glob(f"{depth}/{_CONFIG}")]
    names = {folder.relative_to(root).as_posix(): folder for folder in found}
    return {name: names[name] for name in sorted(names) if "/." not in f"/{name}"}


@contextmanager
def part_of(place: Path) -> Iterator[Path]:
    """A hidden folder beside ``place`` for what is still coming in; it stays if the block fails, for the next try.

    Raises ``BadInput`` if it cannot be written, or another process fills it.
    """
    part = place.parent / f".{place.name}.part"
    with written(place):
        part.mkdir(parents=True, exist_ok=True)
        with locked(part, wait=False) as mine:
            if not mine and sys.platform != "win32":
                raise BadInput(f"another process is writing {place}; wait for it")
            try:
                yield part
            except BaseException:
                with suppress(OSError):  # something has come in
                    part.rmdir()
                raise
            remove(part)


def check_free(out: Path) -> None:
    """Raise ``BadInput`` unless a folder is new or empty."""
    if (out.exists() or out.is_symlink()) and not (out.is_dir() and not any(out.iterdir())):
        raise BadInput(f"{out} is there already; give a folder that is new or empty")


def put(folder: Path, place: Path) -> None:
    """Move a folder to ``place``, in one step; an older one there is removed after it."""
    for path in folder.iterdir():
        sync(path)
    if place.is_dir() and any(place.iterdir()):
        if exchange(folder, place):
            remove(folder)
            return
        remove(place)
    folder.replace(place)
    sync(place.parent)
