"""A model over one split of a PathSeg: in portions that are kept, by any number of processes, to one table.

Every portion is a few images in the manifest's order, whoever works on it, and its rows are a file that is whole or not
there. A run that was killed does what is not there; the table is the portions one after the other. So neither the
number of processes nor a kill changes a byte of it, seconds aside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from pathsegmentor.atomic import sha256_of, written
from pathsegmentor.data import workers
from pathsegmentor.data.lock import locked
from pathsegmentor.data.manifest import MANIFEST
from pathsegmentor.data.pathseg import Entry, PathSeg
from pathsegmentor.data.shards import Shards
from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.find import Maker
from pathsegmentor.evaluate.image import Context, rows_of_image
from pathsegmentor.evaluate.predictor import Predictor
from pathsegmentor.evaluate.record import Record, kept_record, read_record, state_counts
from pathsegmentor.evaluate.samples import SAMPLES, join_samples, read_samples, write_samples
from pathsegmentor.evaluate.settings import Settings

PARTS = "parts"
# Images of a portion: so few that little is lost with a killed process, so many that files stay few.
IMAGES = 16

# Called with the number of images done and of all.
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Job:
    """What every process must know; it travels to them."""

    data: Path
    out: Path
    maker: Maker
    settings: Settings
    labels: tuple[str, ...]


@dataclass(frozen=True)
class Portion:
    """Some images of a job, in order, and the file that keeps their rows."""

    job: Job
    path: Path
    entries: tuple[Entry, ...]


def evaluate(
    maker: Maker,
    data: Path,
    out: Path,
    settings: Settings,
    entries: Sequence[Entry],
    labels: tuple[str, ...],
    processes: int = 1,
    ray: str = "",
    force: bool = False,
    progress: Progress = lambda done, total: None,
) -> Record:
    """Write ``samples.parquet`` and ``run.json`` to ``out``; portions found there are kept, unless one has failures.

    ``labels`` are those that are asked where they are known to be absent. Raises ``BadInput`` if ``out`` holds another
    run, or another process writes there.
    """
    _check_place(out, data)
    if processes < 1:
        raise BadInput(f"{processes} workers cannot do anything; give 1 or more")
    # Before the folder is made: a model that cannot be loaded leaves nothing.
    predictor = _predictor(maker)
    with written(out):
        out.mkdir(parents=True, exist_ok=True)
    with locked(out, "evaluation"):
        manifest = sha256_of(data / MANIFEST)
        record = Record.of(predictor, maker, manifest, settings, labels, len(entries))
        if force:
            _forget(out, record)
        record = kept_record(out, record)
        (out / PARTS).mkdir(exist_ok=True)
        portions = list(_portions(Job(data, out, maker, settings, labels), entries))
        done = [portion for portion in portions if _finished(portion)]
        there = {portion.path for portion in done}
        open_ones = [portion for portion in portions if portion.path not in there]
        if processes > 1 or ray:
            _predictor.cache_clear()  # each process loads its own
        try:
            _work(open_ones, _images(done), len(entries), processes, ray, progress)
        finally:
            # Another run may find other files.
            _shards(data).close()
            _predictor.cache_clear()
        for stray in set((out / PARTS).glob("*.parquet")) - {portion.path for portion in portions}:
            stray.unlink()
        join_samples([portion.path for portion in portions], out / SAMPLES)
        record = record.finished(state_counts(out))
        record.write(out)
    return record


def all_labels(entries: Sequence[Entry]) -> tuple[str, ...]:
    """Every label that some image of a set has or was searched for, in order."""
    return tuple(sorted({label for entry in entries for label in (*entry.labels, *entry.first.annotated)}))


def choose(data: PathSeg, settings: Settings) -> list[Entry]:
    """The images of the split and the sources; raises ``BadInput`` if the set has none."""
    there = [entry.first for entry in data.entries]
    unknown = [name for name in settings.sources if name not in {row.source for row in there}]
    if unknown:
        raise BadInput(
            f"{data.folder} has no images of {unknown[0]}; it has {', '.join(sorted({row.source for row in there}))}"
        )
    if settings.split == "val":
        chosen = data.select("val", settings.sources, settings.held_out, settings.seed)
    else:
        of_split = [entry for entry in data.entries if entry.first.split == settings.split]
        chosen = [entry for entry in of_split if not settings.sources or entry.first.source in settings.sources]
    if not chosen:
        splits = ", ".join(sorted({row.split for row in there})) or "none"
        of = f" of {', '.join(settings.sources)}" if settings.sources else ""
        raise BadInput(f"{data.folder / MANIFEST} has no split '{settings.split}'{of}; it has {splits}")
    return chosen


def _work(portions: Sequence[Portion], before: int, total: int, processes: int, ray: str, progress: Progress) -> None:
    progress(before, total)
    for images in workers.run(_do, portions, processes, ray):
        before += images
        progress(before, total)


def _do(portion: Portion) -> int:
    """Work on a portion and keep its rows; returns the number of images."""
    job = portion.job
    predictor, context = _predictor(job.maker), Context(_shards(job.data), job.labels, job.out, job.settings)
    rows = [row for entry in portion.entries for row in rows_of_image(entry, predictor, context)]
    write_samples(portion.path, rows)
    return len(portion.entries)


@lru_cache(maxsize=1)
def _predictor(maker: Maker) -> Predictor:
    """The model, loaded once per process."""
    return maker()


@lru_cache(maxsize=1)
def _shards(data: Path) -> Shards:
    """The set's shards, whose lists of members are read once per process."""
    return Shards(data)


def _portions(job: Job, entries: Sequence[Entry]) -> Iterator[Portion]:
    for number, first in enumerate(range(0, len(entries), IMAGES)):
        yield Portion(job, job.out / PARTS / f"{number:06d}.parquet", tuple(entries[first : first + IMAGES]))


def _images(portions: Sequence[Portion]) -> int:
    return sum(len(portion.entries) for portion in portions)


def _finished(portion: Portion) -> bool:
    """Whether a portion is there, whole and without failures; what failed is tried again."""
    if not portion.path.is_file():
        return False
    try:
        return "failed" not in read_samples(portion.path, ["state"]).column("state").to_pylist()
    except BadInput:  # damaged
        return False


def _forget(out: Path, record: Record) -> None:
    """Put a new run in the place of an old one; what is left of one that was not wholly removed is still that run."""
    for path in (*(out / PARTS).glob("*.parquet"), out / SAMPLES):
        path.unlink(missing_ok=True)
    record.write(out)


def _check_place(out: Path, data: Path) -> None:
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; --out is a folder")
    if out.resolve().is_relative_to(data.resolve()):
        raise BadInput(f"--out {out} lies in the data set that is read; choose another")
    # Hidden files are locks, and what a killed run has left.
    others = out.is_dir() and any(not path.name.startswith(".") for path in out.iterdir())
    if others and read_record(out, missing=True) is None:
        raise BadInput(f"--out {out} holds other files and no run; choose a new or empty folder")
