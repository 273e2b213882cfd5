"""A model over one split of a PathSeg: in portions that are kept, by any number of processes, to one table.

Every portion is a few images in the manifest's order, whoever works on it, and its rows are a file that is whole or not
there. A run that was killed does what is not there; the table is the portions one after the other. So neither the
number of processes nor a kill changes a byte of it, seconds aside.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
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
from pathsegmentor.evaluate.record import RUN, Record, kept_record, read_record, state_counts
from pathsegmentor.evaluate.samples import SAMPLES, join_samples, read_samples, write_samples
from pathsegmentor.evaluate.settings import Settings

PARTS = "parts"
# Images of a portion: so few that little is lost with a killed process, so many that files stay few.
IMAGES = 8

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
    """Some images, in order, and the file that keeps their rows."""

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
        (out / PARTS).mkdir(parents=True, exist_ok=True)
    with locked(out, "evaluation"):
        manifest = sha256_of(data / MANIFEST)
        record = Record.of(predictor, maker, manifest, settings, labels, len(entries))
        if force:
            _forget(out)
        record = kept_record(out, record)
        portions = list(_portions(out / PARTS, entries))
        done = [portion for portion in portions if _finished(portion)]
        there = {portion.path for portion in done}
        job = Job(data, out, maker, settings, labels)
        _work(job, [p for p in portions if p.path not in there], _images(done), len(entries), processes, ray, progress)
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
        return data.select("val", settings.sources, settings.held_out, settings.seed)
    chosen = [
        entry
        for entry in data.entries
        if entry.first.split == settings.split and (not settings.sources or entry.first.source in settings.sources)
    ]
    if not chosen:
        splits = ", ".join(sorted({row.split for row in there})) or "none"
        of = f" of {', '.join(settings.sources)}" if settings.sources else ""
        raise BadInput(f"{data.folder / MANIFEST} has no split '{settings.split}'{of}; it has {splits}")
    return chosen


def _work(
    job: Job, open_ones: Sequence[Portion], before: int, total: int, processes: int, ray: str, progress: Progress
) -> None:
    progress(before, total)
    for images in workers.run(partial(_do, job), open_ones, processes, ray):
        before += images
        progress(before, total)


def _do(job: Job, portion: Portion) -> int:
    """Work on a portion and keep its rows; returns the number of images."""
    shards = Shards(job.data)
    context = Context(shards, job.labels, job.out, job.settings)
    try:
        predictor = _predictor(job.maker)
        rows = [row for entry in portion.entries for row in rows_of_image(entry, predictor, context)]
    finally:
        shards.close()
    write_samples(portion.path, rows)
    return len(portion.entries)


@lru_cache(maxsize=1)
def _predictor(maker: Maker) -> Predictor:
    """The model, loaded once per process."""
    return maker()


def _portions(folder: Path, entries: Sequence[Entry]) -> Iterator[Portion]:
    for number, first in enumerate(range(0, len(entries), IMAGES)):
        yield Portion(folder / f"{number:06d}.parquet", tuple(entries[first : first + IMAGES]))


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


def _forget(out: Path) -> None:
    """Remove a run, its record last: what is left of a run that was not wholly removed is still that run."""
    for path in (*(out / PARTS).glob("*.parquet"), out / SAMPLES, out / RUN):
        path.unlink(missing_ok=True)


def _check_place(out: Path, data: Path) -> None:
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; --out is a folder")
    if out.resolve().is_relative_to(data.resolve()):
        raise BadInput(f"--out {out} lies in the data set that is read; choose another")
    if out.is_dir() and any(out.iterdir()) and read_record(out, missing=True) is None and not (out / PARTS).is_dir():
        raise BadInput(f"--out {out} holds other files and no run; choose a new or empty folder")
