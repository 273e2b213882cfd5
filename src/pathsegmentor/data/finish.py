"""What a set holds: the notes of its sources and shards, joined to one manifest when all are made."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pathsegmentor.atomic import sweep, whole_file
from pathsegmentor.data.counted import added
from pathsegmentor.data.faults import line
from pathsegmentor.data.manifest import MANIFEST, join, read_part
from pathsegmentor.data.record import person_of
from pathsegmentor.errors import BadInput

SHARDS = "shards.json"
REPORT = "report.json"
SHARD_FOLDER, PART_FOLDER = "shards", "parts"
UNPLACED = "belongs to no image that can be used"
_LISTING = ".source.json"
_COUNTED = ("name", "bytes", "sha256", "images", "masks", "without_label", "left_out")


def listing(out: Path, source: str) -> Path:
    """Where a finished source's settings and problems are noted."""
    return out / PART_FOLDER / f"{source}{_LISTING}"


def built_from(out: Path, source: str) -> Path | None:
    """The folder from which a source in ``out`` was built."""
    try:
        return Path(json.loads(listing(out, source).read_text(encoding="utf-8"))["folder"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def built_persons(out: Path, but: set[str]) -> set[tuple[str, str, str]]:
    """Patients known in all sources, with split and source, of what is finished in ``out``; not of ``but``."""
    found = set()
    for note in notes(out, set(_sources(out)) - but):
        rows = read_part(_part(out, note["name"]), ("patient", "slide", "origin", "split"))
        columns = (rows.column(name).to_pylist() for name in rows.column_names)
        for patient, slide, origin, split in set(zip(*columns, strict=True)):
            found.add((person_of(patient, slide, origin), split, note["source"]))
    return {one for one in found if one[0]}


def remove_others(out: Path, source: str, names: set[str]) -> None:
    """Remove what killed builds left half-written, and shards of a source that no plan names any more."""
    sweep(out)
    for part in (SHARD_FOLDER, PART_FOLDER):
        sweep(out / part)
        for path in out.joinpath(part).iterdir():
            stem, _, number = path.name.split(".")[0].rpartition("-")
            # The listing of a source whose own name ends with a number looks like a shard's.
            shard = stem == source and number.isdigit() and not path.name.endswith(_LISTING)
            if shard and f"{stem}-{number}" not in names:
                path.unlink()


def finish(out: Path) -> dict[str, Any]:
    """Join the parts of all sources in ``out`` to one manifest, list the shards, and report."""
    sources = {
        name: _noted(listing(out, name), name) | {"images": 0, "masks": 0, "without_label": 0, "left_out": []}
        for name in _sources(out)
    }
    for entry in sources.values():
        entry["objects"] = _unplaced(entry)
    listed = []
    # A source without a listing was stopped before its end.
    for note in notes(out, set(sources)):
        entry = sources[note["source"]]
        for count in ("images", "masks", "without_label"):
            entry[count] += note[count]
        entry["left_out"] += note["left_out"]
        entry["remarks"] = [*entry.get("remarks", ()), *note.get("remarks", ())]
        if note.get("objects"):
            entry["objects"] = added([entry["objects"], note["objects"]])
        listed.append({key: note[key] for key in ("name", "source", "bytes", "sha256", "images", "masks")})
    join((_part(out, shard["name"]) for shard in listed), out / MANIFEST)
    report = {"sources": list(sources.values())}
    write_json(out / SHARDS, {"shards": listed})
    write_json(out / REPORT, report)
    return report


def _unplaced(listing: Mapping[str, Any]) -> dict[str, Any]:
    """The count of objects that no image of a source has taken."""
    lost = listing.get("unplaced", 0)
    return {"read": lost, "used": 0, "passed_over": lost, "reasons": {UNPLACED: lost} if lost else {}, "said": {}}


def notes(out: Path, sources: set[str]) -> Iterator[dict[str, Any]]:
    """The notes of all finished shards of some sources, by name."""
    for path in sorted((out / PART_FOLDER).glob("*-[0-9]*.json")):
        source = path.stem.rpartition("-")[0]
        if source in sources and not path.name.endswith(_LISTING):
            yield _noted(path, source, *_COUNTED)


def _sources(out: Path) -> list[str]:
    return sorted(path.name.removesuffix(_LISTING) for path in (out / PART_FOLDER).glob(f"[!.]*{_LISTING}"))


def _part(out: Path, shard: str) -> Path:
    return out / PART_FOLDER / f"{shard}.parquet"


def _noted(path: Path, source: str, *keys: str) -> dict[str, Any]:
    """A note, which must be of the source and have the keys."""
    try:
        note: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        if note["source"] == source and all(key in note for key in keys):
            return note
        told = "it lacks what a build notes there"
    except (ValueError, KeyError, TypeError) as error:
        told = f"{type(error).__name__}: {line(error)}"
    raise BadInput(f"{path} is damaged ({told}); build {source} again")


def write_json(path: Path, value: Any) -> None:
    """Write a document, whole or not at all."""
    with whole_file(path) as beside:
        beside.write_text(json.dumps(value, indent=1) + "\n", encoding="utf-8")
