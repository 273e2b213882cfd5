"""``data build``: plan the shards of a source, make those that are not there yet, join the manifest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from pathsegmentor.atomic import written
from pathsegmentor.data import content, workers
from pathsegmentor.data.faults import line
from pathsegmentor.data.finish import (
    PART_FOLDER,
    SHARD_FOLDER,
    built_from,
    built_persons,
    finish,
    listing,
    remove_others,
    write_json,
)
from pathsegmentor.data.lock import locked
from pathsegmentor.data.own import OWN
from pathsegmentor.data.parquet import arrow
from pathsegmentor.data.patients import Draft, agree
from pathsegmentor.data.record import Item, Problem, Source
from pathsegmentor.data.shard_build import ShardPlan, batches, build_shard, done
from pathsegmentor.data.sources import FURTHER, PAPER
from pathsegmentor.data.split import RULES, assign_splits, check_official, described
from pathsegmentor.errors import BadInput, PathSegError

Progress = Callable[[str, int, int], None]


@dataclass(frozen=True)
class Wish:
    """A source to build: where its download lies, and how it is split ("" for the source's own rule)."""

    source: Source
    folder: Path
    split: str = ""

    @property
    def rule(self) -> str:
        """How it is split."""
        return self.split or self.source.split


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
    Raises ``BadInput`` for a wish that cannot be met at all, or while another build writes to ``out``; single
    bad images are named in the report. Raises ``PathSegError`` where the machine, not a file, fails.
    """
    arrow()
    _check_apart([wish.source.name for wish in wishes])
    for wish in wishes:
        _check(wish, out)
    try:
        with written(out):
            for part in (SHARD_FOLDER, PART_FOLDER):
                (out / part).mkdir(parents=True, exist_ok=True)
        with locked(out):
            return _build(wishes, out, settings, progress)
    except OSError as error:
        raise PathSegError(f"{line(error)}; once that is mended, run the same command again to go on") from error


def _build(wishes: Sequence[Wish], out: Path, settings: Settings, progress: Progress | None) -> dict[str, Any]:
    """Find and split the images of all sources before the first is read, for patients may be in several."""
    for wish in wishes:
        _take_over(wish, out)
    names = {wish.source.name for wish in wishes}
    held = content.settled(out, names)
    built = built_persons(out, names) | {(picture, *place) for picture, place in held.items()}
    drafts = []
    for wish in wishes:
        drafts.append(draft(wish, settings.seed, held))
        held |= drafts[-1].contents
    agree(drafts, built)
    for wish, found in zip(wishes, drafts, strict=True):
        build_source(wish, found, out, settings, progress)
    return finish(out)


def _check_apart(names: Sequence[str]) -> None:
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise BadInput(f"source {', '.join(twice)} is named twice")


def _check(wish: Wish, out: Path) -> None:
    """Refuse before the first of several sources is built, not after hours."""
    source, rule = wish.source, wish.rule
    if not wish.folder.is_dir():
        raise BadInput(f"{wish.folder} is no folder; {source.name} expects {'; '.join(source.layout)}")
    if rule not in RULES:
        raise BadInput(f"split '{rule}' of {source.name}: choose {', '.join(RULES)}")
    other = built_from(out, source.name)
    if source.name.startswith(f"{OWN}-") and other and other.is_dir() and not other.samefile(wish.folder):
        raise BadInput(f"{out} holds {source.name} from {other} already; rename one of the two folders")


def _take_over(wish: Wish, out: Path) -> None:
    """Remove a user's own source that an earlier version built from this folder under its bare name."""
    bare = wish.source.name.removeprefix(f"{OWN}-")
    if bare == wish.source.name or bare in (*PAPER, *FURTHER):
        return
    other = built_from(out, bare)
    if other and other.is_dir() and other.samefile(wish.folder):
        remove_others(out, bare, set())
        listing(out, bare).unlink(missing_ok=True)


def draft(wish: Wish, seed: int, held: Mapping[str, tuple[str, str]]) -> Draft:
    """The images of one source with their splits; ``held`` has split and source of other sources' pictures."""
    source, rule = wish.source, wish.rule
    items, problems = find_items(source, wish.folder)
    if wish.split == "official":
        check_official(items, source.name)
    items, torn = _apart(items, rule, held)
    return Draft(source.name, items, assign_splits(items, rule, seed, held), rule == "random", problems + torn)


def build_source(wish: Wish, found: Draft, out: Path, settings: Settings, progress: Progress | None = None) -> None:
    """Make the shards of one source that are not there yet; those of an earlier, other plan are removed."""
    source = wish.source
    plans = plan_shards(source, found.items, found.splits, out, settings)
    remove_others(out, source.name, {plan.name for plan in plans})
    waiting = [plan for plan in plans if done(plan) is None]
    finished = len(plans) - len(waiting)
    if waiting:
        listing(out, source.name).unlink(missing_ok=True)  # until all fit one plan again, it is in no manifest
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
        "split": described(found.items, wish.rule),
        "seed": settings.seed,
        "all_labels": settings.all_labels,
        "licence": asdict(source.licence),
        "labels": [*source.labels, *(source.more if settings.all_labels else ())],
        "shards": len(plans),
        "problems": [problem.what for problem in found.problems if problem.lost],
        "remarks": [problem.what for problem in found.problems if not problem.lost],
        "unplaced": sum(problem.objects for problem in found.problems),
        "moved": found.moved,
        "contents": {content: split for content, (split, _) in found.contents.items()},
    }
    write_json(listing(out, source.name), report)


def _apart(items: Sequence[Item], rule: str, held: Mapping[str, tuple[str, str]]) -> tuple[list[Item], list[Problem]]:
    """Items without those whose picture another source holds in the other split."""
    why = {item.name: content.torn(item, rule, held) for item in items}
    return [item for item in items if not why[item.name]], [Problem(what) for what in why.values() if what]


def find_items(source: Source, folder: Path) -> tuple[list[Item], list[Problem]]:
    """All items of a download and what is wrong with it; none at all is refused with the layout."""
    items: list[Item] = []
    problems: list[Problem] = []
    for found in _items(source, folder):
        if isinstance(found, Problem):
            problems.append(found)
        else:
            items.append(found)
    for other, start in source.borrowed:
        own = [item for item in items if not item.name.startswith(start)]
        if len(own) < len(items):
            count = len(items) - len(own)
            problems.append(
                Problem(f"{count} images named {start}* left out: they are those of {other}, the external test")
            )
        items = own
    if not items:
        first = f" ({problems[0].what})" if problems else ""
        raise BadInput(f"{folder} holds no image of {source.name}{first}; expected {'; '.join(source.layout)}")
    name, times = Counter(item.name for item in items).most_common(1)[0]
    if times > 1:
        raise BadInput(f"{folder}: {name} is there {times} times")
    return items, problems


def _items(source: Source, folder: Path) -> Iterator[Item | Problem]:
    """What a source finds; whatever a broken table or listing makes it raise is one line."""
    try:
        yield from source.items(folder)
    except (PathSegError, OSError, MemoryError):
        raise
    except Exception as error:
        raise BadInput(
            f"{folder} cannot be read as {source.name}: {type(error).__name__}: {line(error)}; "
            f"expected {'; '.join(source.layout)}"
        ) from error


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
