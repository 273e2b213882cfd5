"""``pathsegmentor evaluate`` and ``pathsegmentor report``."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import typer

from pathsegmentor.cli.plain import plain
from pathsegmentor.cli.progress import bar
from pathsegmentor.cli.streams import speaking
from pathsegmentor.cli.tell import tell_json, tell_table
from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.external import MappedMaker, read_mapping
from pathsegmentor.evaluate.find import Maker
from pathsegmentor.evaluate.report import write_report
from pathsegmentor.evaluate.run import all_labels, choose, evaluate
from pathsegmentor.evaluate.settings import Absent, Settings, Unknown
from pathsegmentor.evaluate.tables import tables_of

REASONS = 20
TOLD = ("overall", "by_source")


def settings_of(split: str, sources: list[str], absent: str, unknown_as_background: bool, masks: bool) -> Settings:
    """Settings from options; raises ``BadInput``."""
    kinds: tuple[Absent, ...] = ("all", "looked-for", "none")
    if absent not in kinds:
        raise BadInput(f"--absent {absent}: choose {', '.join(kinds)}")
    if not split:
        raise BadInput("--split is empty; choose test, train or val")
    unknown: Unknown = "background" if unknown_as_background else "ignored"
    return Settings(split, tuple(dict.fromkeys(sources)), kinds[kinds.index(absent)], unknown, masks=masks)


def mapped(maker: Maker, mapping: Path | None) -> Maker:
    """The maker, asked through a mapping of categories if there is one; raises ``BadInput``."""
    return maker if mapping is None else MappedMaker(maker.model, maker.device, read_mapping(mapping))


def run(
    maker: Maker,
    data: Path,
    out: Path,
    settings: Settings,
    config: Path | None,
    workers: int,
    ray: str,
    force: bool,
    as_json: bool,
) -> None:
    """Evaluate, write the report, tell; exit 1 if there are pairs that failed."""
    settings = _with_config(settings, config)
    pathseg = PathSeg(data)
    entries, labels = choose(pathseg, settings), all_labels(pathseg.entries)
    with bar() as shown:
        task = shown.add_task("images", total=len(entries))
        speed = _Speed(lambda done: shown.update(task, completed=done))
        evaluate(maker, data, out, settings, entries, labels, workers, ray, force, speed)
    if not as_json:
        speed.tell()
    report(out, as_json)


class _Speed:
    """Follows the progress of a run, and says how quick it was."""

    def __init__(self, show: Callable[[int], None]) -> None:
        self._show = show
        self._seen: list[tuple[float, int]] = []

    def __call__(self, done: int, total: int) -> None:
        self._seen.append((time.perf_counter(), done))
        self._show(done)

    def tell(self) -> None:
        """Images per second, apart from those that were done before."""
        (began, before), (ended, done) = self._seen[0], self._seen[-1]
        if done > before:
            seconds = ended - began
            with speaking():
                print(f"{done - before} images in {seconds:.0f} s, {(done - before) / max(seconds, 1e-9):.2f} a second")


def report(folder: Path, as_json: bool) -> None:
    """Rebuild tables, figures and the page of a run's folder from its files alone, and tell."""
    summary = write_report(folder)
    if as_json:
        tell_json(summary)
    else:
        _tell(summary, folder)
    if summary["counts"]["failed"]:
        raise typer.Exit(1)


def _with_config(settings: Settings, config: Path | None) -> Settings:
    """Settings with the sources, and the held-out part, of a training config."""
    if config is None:
        if settings.split == "val":
            raise BadInput("--split val: the part held out of train is drawn by a training config; add --config YAML")
        return settings
    from pathsegmentor.train.config import read_train_config

    read = read_train_config(config)
    sources = settings.sources or tuple(read.sources)
    if settings.split != "val":
        return replace(settings, sources=sources)
    return replace(settings, sources=sources, held_out=read.held_out, seed=read.seed)


def _tell(summary: dict[str, Any], folder: Path) -> None:
    for table in tables_of(summary):
        if table.name in TOLD:
            titles = [column.title + ("#" if column.number else "") for column in table.columns]
            tell_table(table.title, titles, [[column.text(row) for column in table.columns] for row in table.rows])
    reasons = summary["not_scored"]
    with speaking():
        for kind, found in summary["presence"].items():
            if found["auroc"] is not None:
                over = f"{found['present']} present and {found['absent']} absent pairs"
                print(f"presence AUROC {found['auroc']:.3f} over {over} ({kind.replace('_', ' ')})")
        for row in reasons[:REASONS]:
            of = f"{row['pairs']} x {plain(row['source'])}, {plain(row['label'])}"
            print(f"{row['state']}: {of}: {plain(row['reason'])}")
        if len(reasons) > REASONS:
            print(f"... and {len(reasons) - REASONS} more in {plain(folder / 'tables' / 'not_scored.csv')}")
        print(f"results in {plain(folder)}/ (report.html, tables, figures, samples.parquet)")
        print("research use only")
