"""Reading what strangers wrote: bounded, strict, and every failure of a library one ``BadModel``."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from pathsegmentor.errors import BadModel, PathSegError


def shown(value: object, most: int = 80) -> str:
    """A stranger's value for a message: control characters escaped, cut where it is endless."""
    text = repr(value)
    return text if len(text) <= most else f"{text[:most]}..."


@contextmanager
def foreign(what: str) -> Iterator[None]:
    """Turn whatever a library raises into ``BadModel`` that begins with ``what``.

    Rust libraries panic with a class of their own that is no ``Exception`` and cannot be imported.
    """
    try:
        yield
    except PathSegError:
        raise
    except MemoryError as error:
        raise BadModel(f"{what}: it asks for more memory than there is") from error
    except RecursionError as error:
        raise BadModel(f"{what}: it is nested too deeply") from error
    except Exception as error:
        text = getattr(error, "strerror", None) or str(error).strip()  # the path of an OSError is in `what`
        first = (text.splitlines() or [type(error).__name__])[0]
        raise BadModel(f"{what}: {shown(first, 200)[1:-1]}") from error
    except BaseException as error:
        if type(error).__name__ != "PanicException":
            raise
        raise BadModel(f"{what}: its parts do not fit together") from error


def check_bytes(path: Path, most: int) -> None:
    """Refuse a file of more than ``most`` bytes before any of them is read."""
    size = path.stat().st_size
    if size > most:
        raise BadModel(f"{path} has {size:,} bytes, more than the {most:,} that are allowed")


def read_json(path: Path, most: int) -> Any:
    """A JSON document of at most ``most`` bytes, without the liberties Python takes: no NaN, no name twice."""
    with foreign(f"{path} cannot be read"):
        check_bytes(path, most)
        text = path.read_text(encoding="utf-8")
        return json.loads(text, object_pairs_hook=_once, parse_constant=_no_number)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    table = dict(pairs)
    if len(table) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"{shown(next(n for n in names if names.count(n) > 1))} stands there twice")
    return table


def _no_number(text: str) -> Any:
    raise ValueError(f"{text} is no number of JSON")
