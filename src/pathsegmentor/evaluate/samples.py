"""``samples.parquet``: one row per image and label, from which every table and figure is made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from pathsegmentor.data.parquet import arrow, join_tables, read_table, write_table
from pathsegmentor.errors import BadInput

if TYPE_CHECKING:
    import pyarrow

SAMPLES = "samples.parquet"
State = Literal["scored", "failed", "passed over"]
STATES: tuple[State, ...] = ("scored", "failed", "passed over")
NAN = float("nan")


@dataclass(frozen=True, slots=True)
class SampleRow:
    """One image and one label.

    ``image`` is the member of a shard that the manifest names, ``mpp`` um per pixel (the root of x times y) at
    ``height`` and ``width``. ``group`` is the patient, else the slide, else the downloaded image, unique over sources.
    ``state`` is ``scored``, ``failed`` or ``passed over``; ``reason`` says why it is not scored. ``present``: the
    annotation has the label; ``looked_for``: it has, or the annotators looked for it in this very image and found none.
    ``status`` is present, absent or unsure, "" where the predictor has none, and ``presence`` nan. Pixels are counted,
    and masks compared, where the annotation is known. Scores are nan where undefined; those of masks are only defined
    for present labels. ``truth_objects`` and ``found_objects`` are -1 where the annotation numbers no instances.
    """

    image: str
    source: str
    label: str
    region: str
    structure: str
    object_type: str
    patient: str
    slide: str
    group: str
    split: str
    mpp: float
    height: int
    width: int
    state: State
    present: bool
    looked_for: bool
    reason: str = ""
    status: str = ""
    presence: float = NAN
    prompts: int = 0
    seconds: float = 0.0
    truth_pixels: int = 0
    found_pixels: int = 0
    known_pixels: int = 0
    dice: float = NAN
    iou: float = NAN
    boundary_dice: float = NAN
    hd95_um: float = NAN
    truth_objects: int = -1
    found_objects: int = -1
    f1: float = NAN
    aji: float = NAN
    pq: float = NAN


NAMES = tuple(field.name for field in fields(SampleRow))
_FEW = ("source", "label", "region", "structure", "object_type", "split", "state", "reason", "status")


def schema() -> pyarrow.Schema:
    """Columns of the table, in the order of ``SampleRow``."""
    pa = arrow()
    few = pa.dictionary(pa.int32(), pa.string())
    types = {"str": pa.string(), "State": few, "float": pa.float64(), "int": pa.int64(), "bool": pa.bool_()}
    return pa.schema([(f.name, few if f.name in _FEW else types[str(f.type)]) for f in fields(SampleRow)])


def write_samples(path: Path, rows: Sequence[SampleRow]) -> None:
    """Write rows as Parquet, whole or not at all; the same rows give the same bytes."""
    write_table(path, rows, schema())


def join_samples(parts: Iterable[Path], path: Path) -> int:
    """Write all parts as one file, holding one at a time; returns the number of rows."""
    return join_tables(parts, path, schema(), read_samples)


def read_samples(path: Path, columns: Sequence[str] = NAMES) -> pyarrow.Table:
    """Some columns of a table, checked; ``path`` is the file or the folder of a run. Raises ``BadInput``."""
    file = path / SAMPLES if path.is_dir() else path
    if not file.is_file():
        raise BadInput(f"{file} is missing; it is written by: pathsegmentor evaluate --out {file.parent}")
    return read_table(file, columns, schema(), "run evaluate again")
