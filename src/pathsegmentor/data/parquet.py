"""Tables of rows as Parquet: written whole or not at all, joined part by part, and checked when they are read."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pathsegmentor.atomic import whole_file
from pathsegmentor.errors import BadInput, PathSegError

if TYPE_CHECKING:
    import pyarrow


def arrow() -> Any:
    """The pyarrow module, or an error that names the install command."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise PathSegError("PathSeg needs pyarrow: pip install 'pathsegmentor[data]'") from error
    return pyarrow


def write_table(path: Path, rows: Sequence[object], schema: pyarrow.Schema) -> None:
    """Write rows that have an attribute for each column; the same rows give the same bytes."""
    pa = arrow()
    columns = {name: [getattr(row, name) for row in rows] for name in schema.names}
    with whole_file(path) as beside:
        pa.parquet.write_table(pa.table(columns, schema=schema), beside, compression="zstd")


def join_tables(
    parts: Iterable[Path], path: Path, schema: pyarrow.Schema, read: Callable[[Path], pyarrow.Table]
) -> int:
    """Write all parts as one file, holding one at a time; returns the number of rows."""
    pa, count = arrow(), 0
    with whole_file(path) as beside, pa.parquet.ParquetWriter(beside, schema, compression="zstd") as writer:
        for part in parts:
            rows = read(part)
            writer.write_table(rows)
            count += rows.num_rows
    return count


def read_table(
    path: Path, columns: Sequence[str], schema: pyarrow.Schema, cure: str, may_lack: Collection[str] = ()
) -> pyarrow.Table:
    """Some columns, of the schema's types and without gaps but in those that ``may_lack`` a value.

    Raises ``BadInput`` that ends with the ``cure``.
    """
    pa = arrow()
    try:
        here = pa.parquet.read_schema(path).names
        lacking = [name for name in columns if name not in here]
        if lacking:
            raise BadInput(f"{path} has no column {', '.join(lacking)}; {cure}")
        wanted = pa.schema([schema.field(name) for name in columns])
        table = pa.parquet.read_table(path, columns=list(columns)).select(list(columns)).cast(wanted)
        gaps = [name for name in columns if name not in may_lack and table.column(name).null_count]
    except (BadInput, MemoryError):
        raise
    except Exception as error:  # pyarrow raises many classes on broken files
        raise BadInput(f"{path} is damaged: {' '.join(str(error).split())}; {cure}") from error
    if gaps:
        raise BadInput(f"{path} is damaged: no value in a row of column {gaps[0]}; {cure}")
    return table
