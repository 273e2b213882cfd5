"""Which slide it is: a SHA-256 that is affordable for files of many gigabytes."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

# One file up to this size is known by all of its bytes, as pictures are.
WHOLE_BYTES = 1 << 28
_PIECE, _PIECES, _MOST_FILES = 1 << 16, 64, 256


def sha256_of(files: Sequence[Path]) -> str:
    """Of one file of at most 256 MiB, the SHA-256 of its bytes.

    Of a larger one, or of several: of every file's name and size, and of samples: 64 evenly spaced pieces of 64 KiB
    (the first and the last bytes among them) of up to 256 evenly chosen files. It tells slides apart; it does not
    find a changed byte between the samples.
    """
    if len(files) == 1 and files[0].stat().st_size <= WHOLE_BYTES:
        with files[0].open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    digest = hashlib.sha256()
    home = files[0].parent if len(files) == 1 else _common(files)
    ordered = sorted((path.relative_to(home).as_posix(), path) for path in files)
    for name, path in ordered:
        digest.update(f"{name}\0{path.stat().st_size}\0".encode())
    chosen = {round(i * (len(ordered) - 1) / (_MOST_FILES - 1)) for i in range(_MOST_FILES)}
    for number in sorted(chosen):
        _sample(ordered[number][1], digest)
    return digest.hexdigest()


def _common(files: Sequence[Path]) -> Path:
    home = files[0].parent
    while not all(path.is_relative_to(home) for path in files):
        home = home.parent
    return home


def _sample(path: Path, digest: hashlib._Hash) -> None:
    size = path.stat().st_size
    last = max(size - _PIECE, 0)
    with path.open("rb") as file:
        for at in sorted({round(i * last / (_PIECES - 1)) for i in range(_PIECES)}):
            file.seek(at)
            digest.update(file.read(_PIECE))
