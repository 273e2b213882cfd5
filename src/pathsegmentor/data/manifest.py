"""``manifest.parquet``: one row per image-mask-label triple."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from itertools import pairwise, starmap
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathsegmentor.data.parquet import arrow, join_tables, read_table, write_table
from pathsegmentor.errors import BadInput

if TYPE_CHECKING:
    import pyarrow

MANIFEST = "manifest.parquet"
ROWS_IN_MEMORY = 50_000


@dataclass(frozen=True, slots=True)
class Row:
    """One image-mask-label triple.

    ``image``, ``mask`` and ``ignore`` (or "") are members of shards below the manifest's folder.
    ``mpp`` is um per pixel (x, y) of the image as stored, ``height`` and ``width`` its size.
    ``instances`` is None where the source does not number them. ``annotated`` names the labels that are
    outlined wherever they occur in the image. ``origin`` is the image in the download, and ``x``, ``y``,
    ``window_width``, ``window_height`` the part of it, in its pixels at 40x. ``sha256`` is the stored image's.
    """

    id: str
    image: str
    mask: str
    ignore: str
    label: str
    source: str
    split: str
    patient: str
    slide: str
    mpp: tuple[float, float]
    factor_to_40x: float
    height: int
    width: int
    mask_pixels: int
    instances: int | None
    annotated: tuple[str, ...]
    origin: str
    x: int
    y: int
    window_width: int
    window_height: int
    licence: str
    sha256: str


def schema() -> pyarrow.Schema:
    """Columns of the manifest, in the order of ``Row``."""
    pa = arrow()
    text, number = pa.dictionary(pa.int32(), pa.string()), pa.int32()
    types = {
        "id": pa.string(),
        "image": pa.string(),
        "mask": pa.string(),
        "ignore": pa.string(),
        "origin": pa.string(),
        "patient": pa.string(),
        "slide": pa.string(),
        "sha256": pa.string(),
        "mpp": pa.list_(pa.float64(), 2),
        "factor_to_40x": pa.float64(),
        "mask_pixels": number,
        "instances": number,
        "annotated": pa.list_(pa.string()),
    }
    texts = {"label", "source", "split", "licence"}
    return pa.schema([(f.name, types.get(f.name, text if f.name in texts else number)) for f in fields(Row)])


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """Write a Parquet file of rows, whole or not at all."""
    write_table(path, rows, schema())


def join(parts: Iterable[Path], path: Path) -> int:
    """Write all parts as one file, holding one part at a time; returns the number of rows."""
    return join_tables(parts, path, schema(), lambda part: read_part(part, schema().names))


def read_part(path: Path, columns: Sequence[str]) -> pyarrow.Table:
    """Some columns of a shard's part of the manifest; raises ``BadInput`` if it is damaged."""
    return _read(path, columns, f"build {path.stem.rpartition('-')[0]} again")


def _read(path: Path, columns: Sequence[str], cure: str) -> pyarrow.Table:
    """A table without gaps but where a source numbers no instances."""
    return read_table(path, columns, schema(), cure, may_lack=("instances",))


def read_rows(folder: Path) -> list[Row]:
    """All rows of a PathSeg folder; raises ``BadInput`` if there is no readable manifest."""
    path = folder / MANIFEST
    if not path.is_file():
        raise BadInput(f"{path} is missing; build one with: pathsegmentor data build --source NAME=PATH --out {folder}")
    names = [f.name for f in fields(Row)]
    table = _read(path, names, "run the command that built the set again")
    rows: list[Row] = []
    with _no_collection():
        for batch in table.to_batches(ROWS_IN_MEMORY):
            rows += starmap(Row, zip(*(_values(batch.column(name)) for name in names), strict=True))
    return rows


@contextmanager
def _no_collection() -> Iterator[None]:
    """Rows hold no cycles, and looking for some among hundreds of thousands of them takes as long as making them."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


def _values(column: Any) -> Iterable[Any]:
    """A column's values; what few rows have for themselves (texts of few kinds, lists of labels) is held once."""
    if hasattr(column, "dictionary"):
        words = column.dictionary.to_pylist()
        return [words[i] for i in column.indices.to_pylist()]
    if hasattr(column.type, "list_size"):
        return map(tuple, column.flatten().to_numpy().reshape(-1, column.type.list_size).tolist())
    if hasattr(column, "offsets"):
        return _lists(column)
    values: list[Any] = column.to_pylist()
    return values


def _lists(column: Any) -> list[tuple[str, ...]]:
    """Lists of texts as tuples, each distinct one made once."""
    encoded = column.values.dictionary_encode()
    words, codes = encoded.dictionary.to_pylist(), encoded.indices.to_numpy()
    ends = column.offsets.to_pylist()
    known: dict[bytes, tuple[str, ...]] = {}
    found = []
    for start, end in pairwise(ends):
        key = codes[start:end].tobytes()
        if key not in known:
            known[key] = tuple(words[i] for i in codes[start:end])
        found.append(known[key])
    return found
