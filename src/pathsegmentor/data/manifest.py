"""``manifest.parquet``: one row per image-mask-label triple."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathsegmentor.atomic import whole_file
from pathsegmentor.errors import BadInput, PathSegError

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


def arrow() -> Any:
    """The pyarrow module, or an error that names the install command."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise PathSegError("PathSeg needs pyarrow: pip install 'pathsegmentor[data]'") from error
    return pyarrow


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
    pa = arrow()
    columns = {f.name: [getattr(row, f.name) for row in rows] for f in fields(Row)}
    with whole_file(path) as beside:
        pa.parquet.write_table(pa.table(columns, schema=schema()), beside, compression="zstd")


def join(parts: Iterable[Path], path: Path) -> int:
    """Write all parts as one file, holding one part at a time; returns the number of rows."""
    pa, count = arrow(), 0
    with whole_file(path) as beside, pa.parquet.ParquetWriter(beside, schema(), compression="zstd") as writer:
        for part in parts:
            rows = pa.parquet.read_table(part, schema=schema())
            writer.write_table(rows)
            count += rows.num_rows
    return count


def read_rows(folder: Path) -> list[Row]:
    """All rows of a PathSeg folder; raises ``BadInput`` if there is no readable manifest."""
    pa = arrow()
    path = folder / MANIFEST
    if not path.is_file():
        raise BadInput(f"{path} is missing; build one with: pathsegmentor data build --source NAME=PATH --out {folder}")
    try:
        table = pa.parquet.read_table(path)
    except Exception as error:  # pyarrow raises many classes on broken files
        raise BadInput(f"{path} is damaged: {' '.join(str(error).split())}") from error
    lacking = [f.name for f in fields(Row) if f.name not in table.column_names]
    if lacking:
        raise BadInput(f"{path} has no column {', '.join(lacking)}; build it anew")
    names = [f.name for f in fields(Row)]
    labels: dict[tuple[str, ...], tuple[str, ...]] = {}  # few distinct lists: each is held once
    rows = []
    for batch in table.select(names).to_batches(ROWS_IN_MEMORY):
        for values in zip(*(_values(batch.column(i)) for i in range(len(names))), strict=True):
            row = dict(zip(names, values, strict=True))
            annotated = tuple(row["annotated"])
            rows.append(Row(**row | {"mpp": tuple(row["mpp"]), "annotated": labels.setdefault(annotated, annotated)}))
    return rows


def _values(column: Any) -> list[Any]:
    """A column's values; those of a dictionary column are shared, not copied."""
    if not hasattr(column, "dictionary"):
        values: list[Any] = column.to_pylist()
        return values
    words = column.dictionary.to_pylist()
    return [words[i] for i in column.indices.to_pylist()]
