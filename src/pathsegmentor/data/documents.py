"""JSON of other programs, as they write it: plain or gzipped, one document or one a line."""

from __future__ import annotations

import ast
import gzip
import json
import warnings
import zlib
from pathlib import Path
from typing import Any

from pathsegmentor.errors import BadInput

# Parsed, text takes about ten times its size in memory.
MOST_BYTES = 1 << 30
# Text that holds text that holds JSON; deeper than this nobody means it.
DEEPEST_TEXT = 4
LONGEST_LITERAL = 100_000


class NoJson:
    """What stands in for a line that is no JSON."""


def read_bytes(path: Path) -> bytes:
    """The bytes of a file, unpacked if it is gzipped; raises ``BadInput`` in one line."""
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            data = file.read(MOST_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise BadInput(f"{path} cannot be read: {_line(error)}") from error
    if len(data) > MOST_BYTES:
        raise BadInput(f"{path} holds more than {MOST_BYTES:,} bytes; split it into several files")
    return data


def read_json(path: Path) -> Any:
    """The document in a file; raises ``BadInput`` in one line."""
    return _parsed(read_bytes(path), path)


def read_documents(path: Path) -> list[Any]:
    """The one document in a file, or those of its lines; a line that is no JSON gives ``NoJson``."""
    data = read_bytes(path)
    lines = [line for line in data.replace(b"\x1e", b"").splitlines() if line.strip()]
    if len(lines) > 1 and isinstance(_loaded(lines[0]), dict):
        return [_loaded(line) for line in lines]
    return [_parsed(data, path)]


def opened(value: Any) -> Any:
    """A value that GDAL or geopandas wrote as text is what the text holds, JSON or Python; others are themselves."""
    for _ in range(DEEPEST_TEXT):
        if not isinstance(value, str) or not value.strip().startswith(("{", "[", '"', "'")):
            break
        inside = _loaded(value.strip().encode("utf-8", "surrogatepass"))
        if inside is NoJson:
            inside = _literal(value.strip())
        if inside is NoJson:
            break
        value = inside
    return value


def _parsed(data: bytes, path: Path) -> Any:
    try:
        return json.loads(data)
    except RecursionError as error:
        raise BadInput(f"{path} is no readable JSON: it is nested too deep") from error
    except ValueError as error:
        raise BadInput(f"{path} is no readable JSON: {_line(error)}") from error


def _loaded(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return NoJson


def _literal(text: str) -> Any:
    """What ``repr`` of a plain Python value stands for."""
    if len(text) > LONGEST_LITERAL:
        return NoJson
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.literal_eval(text)
    except (ValueError, SyntaxError, RecursionError, MemoryError):
        return NoJson


def _line(error: BaseException) -> str:
    return " ".join(str(getattr(error, "strerror", None) or error).split()) or type(error).__name__
