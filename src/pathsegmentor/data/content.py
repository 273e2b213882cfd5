"""A picture is known by its pixels: under two names, or in two folders, it is one and never in two splits."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from pathsegmentor.data import files
from pathsegmentor.data.record import Item, Problem
from pathsegmentor.errors import BadInput

# Each holds one image in memory, which may be a large one.
THREADS = 2


def digest(path: Path) -> str:
    """A hash of an image's size and pixels, "" for one that cannot be read."""
    try:
        pixels = files.rgb(path)
    except BadInput:
        return ""
    found = hashlib.sha256(repr(pixels.shape).encode())
    found.update(np.ascontiguousarray(pixels).data)
    return found.hexdigest()


def digests(paths: Sequence[Path]) -> list[str]:
    """Of many images, decoded side by side."""
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(digest, paths))


def once(items: Iterable[Item | Problem]) -> Iterator[Item | Problem]:
    """Items with their content; one whose picture came before under another name is a problem."""
    found = list(items)
    pictures = [item for item in found if isinstance(item, Item)]
    contents = dict(zip((item.files[0] for item in pictures), digests([i.files[0] for i in pictures]), strict=True))
    first: dict[str, str] = {}
    for item in found:
        content = contents.get(item.files[0], "") if isinstance(item, Item) else ""
        if isinstance(item, Item) and content:
            name = first.setdefault(content, item.name)
            yield (
                replace(item, content=content)
                if name == item.name
                else Problem(f"{item.name} is the same picture as {name}; only that one is used")
            )
        else:
            yield item


def settled(out: Path, but: set[str]) -> dict[str, tuple[str, str]]:
    """Split, and name of the source, by content of the pictures that sources in ``out`` hold; not of ``but``."""
    found: dict[str, tuple[str, str]] = {}
    for path in sorted((out / "parts").glob("*.source.json")):
        try:
            report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            name, contents = str(report["source"]), report.get("contents", {})
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if name not in but:
            found |= {content: (split, name) for content, split in contents.items()}
    return found


def torn(item: Item, rule: str, held: Mapping[str, tuple[str, str]]) -> str:
    """Why an item cannot stay: its picture is in the other split of another source; "" if it can."""
    wanted = "test" if rule == "external" else item.split if rule == "official" else ""
    split, source = held.get(item.content, ("", ""))
    if wanted and split and wanted != split:
        return f"{item.name} is to be in {wanted}, but its picture is in {split} of {source} already"
    return ""
