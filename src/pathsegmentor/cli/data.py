"""``pathsegmentor data``: build PathSeg, look at it, check it."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import typer

from pathsegmentor.cli.places import json_file, keep_apart
from pathsegmentor.cli.plain import plain
from pathsegmentor.cli.progress import bar
from pathsegmentor.cli.streams import complain
from pathsegmentor.cli.tell import tell_json, tell_table
from pathsegmentor.errors import BadInput

SHOWN = 20
SHOWN_OF_A_KIND = 5


def sources(as_json: bool) -> None:
    """All sources: licence, where to get them, layout, scale, the paper's counts."""
    from pathsegmentor.data.record import Source
    from pathsegmentor.data.sources import names, source

    def describe(found: Source) -> dict[str, Any]:
        facts = asdict(found)
        return {key: value for key, value in facts.items() if key not in ("items", "read")}

    rows = []
    for name in names():
        try:
            rows.append(describe(source(name)))
        except BadInput as error:  # another package's
            complain(str(error))
    if as_json:
        tell_json(rows)
        return
    tell_table(
        "sources of PathSeg (more with --json: layout, labels, links, notes)",
        ("name", "licence", "confirmed", "paper says", "to 40x#", "split", "layout seen", "images#", "masks#"),
        [
            (
                row["name"],
                row["licence"]["name"],
                "yes" if row["licence"]["confirmed"] else "no",
                row["magnification"],
                f"x {row['factor']:g}",
                row["split"],
                row["seen"],
                row["paper"]["images"] if row["paper"] else "-",
                row["paper"]["masks"] if row["paper"] else "-",
            )
            for row in rows
        ],
    )
    print("'folder' reads your own: images with QuPath .geojson, COCO, or images/ + masks/ + labels.csv")


def build(
    pairs: list[str],
    out: Path,
    splits: list[str],
    all_labels: bool,
    mpp: float,
    seed: int,
    workers: int,
    ray: str,
    as_json: bool,
) -> None:
    """Build sources and tell what was made and what was left out; exit 1 if anything was."""
    from pathsegmentor.data.build import Settings, Wish
    from pathsegmentor.data.build import build as build_all
    from pathsegmentor.data.sources import source_for

    rules = {name.lower(): rule for name, rule in (_pair(text, "--split") for text in splits)}
    wishes = []
    for text in pairs:
        name, path = _pair(text, "--source")
        found = source_for(name, Path(path), mpp)
        wishes.append(Wish(found, Path(path), rules.pop(name.lower(), "")))
    if rules:
        raise BadInput(f"--split {next(iter(rules))}=...: there is no --source of that name")
    with bar() as shown:
        tasks: dict[str, Any] = {}

        def progress(name: str, finished: int, total: int) -> None:
            task = tasks.get(name) or tasks.setdefault(name, shown.add_task(f"{name}, shards", total=total))
            shown.update(task, completed=finished)

        report = build_all(wishes, out, Settings(seed, all_labels, workers, ray), progress)
    tell_built(report, {wish.source.name for wish in wishes}, out, as_json)


def tell_built(report: dict[str, Any], names: set[str], out: Path, as_json: bool) -> None:
    """The report of a build, as JSON or as a table with what was left out."""
    built = [entry for entry in report["sources"] if entry["source"] in names]
    left = [f"{entry['source']}: {what}" for entry in built for what in (*entry["problems"], *entry["left_out"])]
    if as_json:
        tell_json(report)
    else:
        columns = ("source", "images#", "masks#", "without label#", "left out#", "objects#", "used#", "passed over#")
        tell_table(str(out), columns, [_built_row(entry) for entry in report["sources"]])
        said = [f"{entry['source']}: {what}" for entry in built for what in (*entry["remarks"], *_how_used(entry))]
        moved = [f"{entry['source']}: {what}" for entry in built for what in entry["moved"]]
        for what, lines in (("moved", moved), ("left out", left), ("passed over or read otherwise", said)):
            for line in lines[:SHOWN]:
                print(f"{what}: {plain(line)}")
            if len(lines) > SHOWN:
                print(f"... and {len(lines) - SHOWN} more in {out / 'report.json'}")
    if left:
        raise typer.Exit(1)


def _built_row(entry: dict[str, Any]) -> tuple[object, ...]:
    """A source of a report; only a user's own objects are counted one by one."""
    objects = entry["objects"]
    counts = [objects[key] for key in ("read", "used", "passed_over")] if objects["read"] else ["-"] * 3
    left_out = len(entry["problems"]) + len(entry["left_out"])
    return (entry["source"], entry["images"], entry["masks"], entry["without_label"], left_out, *counts)


def _how_used(entry: dict[str, Any]) -> list[str]:
    """What is worth saying of objects that are used."""
    return [f"{count} used objects {what}" for what, count in entry["objects"]["said"].items()]


def stats(folder: Path, out: Path | None, as_json: bool) -> None:
    """Tables 1 to 5 beside the paper's; with ``out`` also figures."""
    from pathsegmentor.data.figures import draw_figures
    from pathsegmentor.data.stats import stats as count

    found = count(folder)
    if out is not None:
        draw_figures(folder, out)
    if as_json:
        tell_json(found)
        return
    tables, paper = found["tables"], found["paper"]
    tell_table(
        f"{folder}: {found['images']} images, {found['masks']} masks, {found['labels']} labels"
        f" (paper: {paper['images']}, {paper['masks']}, {paper['labels']})",
        _beside(("source", "labels", "images", "masks", "train", "test")),
        [_cells(row, "source", ("labels", "images", "masks", "train", "test")) for row in tables["sources"]],
    )
    for name in ("regions", "structures", "object_types", "labels"):
        counts = ("masks",) if name == "labels" else ("labels", "images", "masks")
        rows = [_cells(row, "name", counts) for row in tables[name] if row["masks"]]
        tell_table(name.replace("_", " "), _beside(("name", *counts)), rows)


def _beside(columns: tuple[str, ...]) -> list[str]:
    """Column names, the paper's number beside each count."""
    return [columns[0], *(name for count in columns[1:] for name in (f"{count}#", "paper#"))]


def _cells(row: dict[str, Any], first: str, counts: tuple[str, ...]) -> list[object]:
    """A row for ``_beside``; what the paper does not have is a dash."""
    pairs = ((row[count], row[f"paper_{count}"]) for count in counts)
    return [row[first], *("-" if value is None else value for pair in pairs for value in pair)]


def show(folder: Path, out: Path, count: int, seed: int, source: str, label: str) -> None:
    """Write a contact sheet and say what is on it."""
    from pathsegmentor.data.sheet import contact_sheet

    keep_apart(out, *_parts_of(folder))
    drawn = contact_sheet(folder, out, count, seed, source, label)
    print(f"{out}: {len(drawn)} images")


def check(folder: Path, workers: int, out: Path | None, as_json: bool) -> None:
    """Tell what is wrong, row by row; exit 1 if anything is."""
    from pathsegmentor.data.audit import audit, report

    if out is not None:
        keep_apart(out, *_parts_of(folder))
    with json_file(out) as write, bar() as shown:
        task = shown.add_task("images", total=None)
        findings = audit(folder, workers, progress=lambda done, total: shown.update(task, completed=done, total=total))
        found = report(findings, folder)
        write(found)
    if as_json:
        tell_json(found)
    else:
        _tell_found(found, folder)
    if found["findings"]:
        raise typer.Exit(1)


def _tell_found(found: dict[str, Any], folder: Path) -> None:
    """What is so at the source, then what is wrong, some lines of each kind."""
    _tell_some("known", [finding["what"] for finding in found["known"]])
    if not found["findings"]:
        print(f"{folder}: nothing wrong found")
        return
    tell_table(f"{folder}", ("finding", "times#"), list(found["counts"].items()))
    for kind in found["counts"]:
        _tell_some(kind, [finding["what"] for finding in found["findings"] if finding["kind"] == kind])


def _tell_some(kind: str, lines: list[str]) -> None:
    for line in lines[:SHOWN_OF_A_KIND]:
        print(f"{kind}: {plain(line)}")
    if len(lines) > SHOWN_OF_A_KIND:
        print(f"{kind}: ... and {len(lines) - SHOWN_OF_A_KIND} more; all of them with --json or --out FILE")


def licences(folder: Path, as_json: bool) -> None:
    """Terms per source, and what they mean together."""
    from pathsegmentor.data.licences import licences as read

    found = read(folder)
    if as_json:
        tell_json(found)
        return
    tell_table(
        "licences",
        ("source", "masks#", "licence", "read at the source", "may be passed on", "commercial"),
        [
            (s["source"], s["masks"], s["name"], _yes(s["confirmed"]), _yes(s["share"]), _yes(s["commercial"]))
            for s in found["sources"]
        ],
    )
    if found["unknown"]:
        print(f"Nobody says what may be done with {', '.join(found['unknown'])}: ask the sources.")
    if found["keeps_from_passing_on"]:
        print(f"Do not pass the set on: {', '.join(found['keeps_from_passing_on'])} may not be or nobody says.")
    print(f"Weights trained on all of it: {found['weights']}.")


def _parts_of(folder: Path) -> list[Path]:
    """All that a built data set consists of."""
    from pathsegmentor.data.finish import REPORT, SHARDS
    from pathsegmentor.data.manifest import MANIFEST

    return [folder / name for name in (MANIFEST, SHARDS, REPORT, "shards", "parts")]


def _pair(text: str, option: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (name and equals and value):
        raise BadInput(f"{option} {text}: expected NAME=VALUE")
    return name, value


def _yes(value: bool | None) -> str:
    return {True: "yes", False: "no", None: "unknown"}[value]
