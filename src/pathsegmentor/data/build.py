"""``data build``: plan the shards of a source, make those that are not there yet, join the manifest."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pathsegmentor.atomic import whole_file
from pathsegmentor.data import content, workers
from pathsegmentor.data.counted import added
from pathsegmentor.data.manifest import MANIFEST, arrow, join
from pathsegmentor.data.own import OWN
from pathsegmentor.data.record import Item, Problem, Source
from pathsegmentor.data.shard_build import ShardPlan, batches, build_shard, done
from pathsegmentor.data.split import RULES, assign_splits
from pathsegmentor.errors import BadInput

SHARDS = "shards.json"
REPORT = "report.json"
UNPLACED = "belongs to no image that can be used"
Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Wish:
    """A source to build: where its download lies, and how it is split ("" for the source's own rule)."""

    source: Source
    folder: Path
    split: str = ""


@dataclass(frozen=True)
class Settings:
    """``all_labels`` also takes labels that the paper does not use; ``workers`` processes, ``ray`` an address."""

    seed: int = 0
    all_labels: bool = False
    workers: int = 1
    ray: str = ""


def build(wishes: Sequence[Wish], out: Path, settings: Settings, progress: Progress | None = None) -> dict[str, Any]:
    """Build the sources into ``out`` beside what is there, and write the manifest of everything in it.

    Finished shards are kept; unfinished ones are made anew. Returns the report, also ``out/report.json``.
    Raises ``BadInput`` for a wish that cannot be met at all; single bad images are named in the report.
    """
    arrow()
    for part in ("shards", "parts"):
        try:
            (out / part).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise BadInput(f"{out} cannot be written: {error.strerror}") from error
    _check_apart([wish.source.name for wish in wishes])
    for wish in wishes:
        _check(wish, out)
    for wish in wishes:
        build_source(wish, out, settings, progress)
    return finish(out)


def _check_apart(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInput(f"source {', '.join(twice)} is named twice")


def _check(wish: Wish, out: Path) -> None:
    """Refuse before the first of several sources is built, not after hours."""
    source, rule = wish.source, wish.split or wish.source.split
    if not wish.folder.is_dir():
        raise BadInput(f"{wish.folder} is no folder; {source.name} expects {'; '.join(source.layout)}")
    if rule not in RULES:
        raise BadInput(f"split '{rule}' of {source.name}: choose {', '.join(RULES)}")
    other = _built_from(out, source.name)
    if source.name.startswith(f"{OWN}-") and other and other.is_dir() and not other.samefile(wish.folder):
        raise BadInput(f"{out} holds {source.name} from {other} already; rename one of the two folders")


def _built_from(out: Path, source: str) -> Path | None:
    """The folder from which a source in ``out`` was built."""
    try:
        return Path(json.loads(_listing(out, source).read_text(encoding="utf-8"))["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _listing(out: Path, source: str) -> Path:
    return out / "parts" / f"{source}.source.json"


def build_source(wish: Wish, out: Path, settings: Settings, progress: Progress | None = None) -> None:
    """Plan and make the shards of one source; shards of an earlier, other plan are removed."""
    source = wish.source
    items, problems = find_items(source, wish.folder)
    rule = wish.split or source.split
    held = content.settled(out, source.name)
    items, more = _apart(items, rule, held)
    problems += more
    splits = assign_splits(items, rule, settings.seed, held)
    plans = plan_shards(source, items, splits, out, settings)
    _remove_others(out, source.name, {plan.name for plan in plans})
    waiting = [plan for plan in plans if done(plan) is None]
    finished = len(plans) - len(waiting)
    listing = _listing(out, source.name)
    if waiting:
        listing.unlink(missing_ok=True)  # until all fit one plan again, the source is in no manifest
    if progress:
        progress(source.name, finished, len(plans))
    for _ in workers.run(build_shard, waiting, settings.workers, settings.ray):
        finished += 1
        if progress:
            progress(source.name, finished, len(plans))
    report = {
        "source": source.name,
        "title": source.title,
        "folder": str(wish.folder),
        "split": rule,
        "seed": settings.seed,
        "all_labels": settings.all_labels,
        "licence": asdict(source.licence),
        "labels": [*source.labels, *(source.more if settings.all_labels else ())],
        "shards": len(plans),
        "problems": [problem.what for problem in problems if problem.lost],
        "remarks": [problem.what for problem in problems if not problem.lost],
        "unplaced": sum(problem.objects for problem in problems),
        "contents": {item.content: split for item, split in zip(items, splits, strict=True) if item.content},
    }
    with whole_file(listing) as beside:
        beside.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")


def _apart(items: Sequence[Item], rule: str, held: Mapping[str, tuple[str, str]]) -> tuple[list[Item], list[Problem]]:
    """Items without those whose picture another source holds in the other split."""
    why = {item.name: content.torn(item, rule, held) for item in items}
    return [item for item in items if not why[item.name]], [Problem(what) for what in why.values() if what]


def find_items(source: Source, folder: Path) -> tuple[list[Item], list[Problem]]:
    """All items of a download and what is wrong with it; none at all is refused with the layout."""
    items: list[Item] = []
    problems: list[Problem] = []
    for found in source.items(folder):
        if isinstance(found, Problem):
            problems.append(found)
        else:
            items.append(found)
    if not items:
        first = f" ({problems[0].what})" if problems else ""
        raise BadInput(f"{folder} holds no image of {source.name}{first}; expected {'; '.join(source.layout)}")
    name, times = Counter(item.name for item in items).most_common(1)[0]
    if times > 1:
        raise BadInput(f"{folder}: {name} is there {times} times")
    return items, problems


def plan_shards(
    source: Source, items: Sequence[Item], splits: Sequence[str], out: Path, settings: Settings
) -> list[ShardPlan]:
    """Shards of ``source.batch`` items each, in the items' order."""
    split_of = dict(zip((item.name for item in items), splits, strict=True))
    # Only the paper's sources have labels beyond the paper's; of any other all are taken.
    labels = None if settings.all_labels or source.paper is None else frozenset(source.labels)
    return [
        ShardPlan(
            source,
            f"{source.name}-{number:05d}",
            batch,
            tuple(split_of[item.name] for item in batch),
            labels,
            out.resolve(),
        )
        for number, batch in enumerate(batches(items, source.batch))
    ]


def _remove_others(out: Path, source: str, names: set[str]) -> None:
    """Remove what a killed build left half-written, and shards that no plan names any more."""
    for part in ("shards", "parts"):
        for path in out.joinpath(part).iterdir():
            stem, _, number = path.name.split(".")[0].rpartition("-")
            half = path.name.startswith((f".{source}-", f".{source}.source-"))
            if half or (stem == source and number.isdigit() and f"{stem}-{number}" not in names):
                path.unlink()
    for name in (MANIFEST, SHARDS, REPORT):
        for path in out.glob(f".{Path(name).stem}-*{Path(name).suffix}"):
            path.unlink()


def notes(out: Path) -> Iterator[dict[str, Any]]:
    """The notes of all finished shards, by name."""
    for path in sorted((out / "parts").glob("*-[0-9]*.json")):
        if path.name.endswith(".source.json"):
            continue  # of a source whose own name has a number
        yield json.loads(path.read_text(encoding="utf-8"))


def _unplaced(listing: Mapping[str, Any]) -> dict[str, Any]:
    """The count of objects that no image of a source has taken."""
    lost = listing.get("unplaced", 0)
    return {"read": lost, "used": 0, "passed_over": lost, "reasons": {UNPLACED: lost} if lost else {}, "said": {}}


def finish(out: Path) -> dict[str, Any]:
    """Join the parts of all sources in ``out`` to one manifest, list the shards, and report."""
    sources = {}
    for path in sorted((out / "parts").glob("*.source.json")):
        found = json.loads(path.read_text(encoding="utf-8"))
        sources[found["source"]] = found | {"images": 0, "masks": 0, "without_label": 0, "left_out": []}
        sources[found["source"]]["objects"] = _unplaced(found)
    listed = []
    for note in notes(out):
        if note["source"] not in sources:
            continue  # a build of that source was stopped before its end
        entry = sources[note["source"]]
        for count in ("images", "masks", "without_label"):
            entry[count] += note[count]
        entry["left_out"] += note["left_out"]
        entry["remarks"] = [*entry.get("remarks", ()), *note.get("remarks", ())]
        if note.get("objects"):
            entry["objects"] = added([entry["objects"], note["objects"]])
        listed.append({key: note[key] for key in ("name", "source", "bytes", "sha256", "images", "masks")})
    join((out / "parts" / f"{shard['name']}.parquet" for shard in listed), out / MANIFEST)
    report = {"sources": list(sources.values())}
    for name, value in ((SHARDS, {"shards": listed}), (REPORT, report)):
        with whole_file(out / name) as beside:
            beside.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
    return report
