"""What a manifest alone tells of a set: rows that are there twice, and what lies in train and test at once."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from pathsegmentor.data.manifest import Row
from pathsegmentor.data.record import person_of
from pathsegmentor.data.sources import find_source


@dataclass(frozen=True)
class Finding:
    """Something wrong: its ``kind``, the rows (or images, shards) concerned, and a line for people.

    ``known`` marks what is so at the source, and no fault of the set.
    """

    kind: str
    rows: tuple[str, ...]
    what: str
    known: bool = False


def twice(rows: Sequence[Row]) -> Iterator[Finding]:
    """Rows whose id, or whose image and label, occur twice."""
    ids: dict[str, int] = defaultdict(int)
    triples: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    for row in rows:
        ids[row.id] += 1
        triples[row.image, row.label][row.id] = None
    for name, count in ids.items():
        if count > 1:
            yield Finding("duplicate row", (name,), f"{name} is in the manifest {count} times")
    for (image, label), same in triples.items():
        if len(same) > 1:
            yield Finding("duplicate row", tuple(same), f"{image} has {len(same)} rows for {label}: {few(list(same))}")


def same_bytes(rows: Sequence[Row], blank: set[str]) -> Iterator[Finding]:
    """Images with the same bytes under two names; ``blank`` ones show nothing that could leak."""
    names: dict[str, dict[str, str]] = defaultdict(dict)
    for row in rows:
        if row.image not in blank:
            names[row.sha256][row.image] = row.split
    for splits in names.values():
        if len(splits) > 1:
            leak = len(set(splits.values())) > 1
            kind = "leak: same image" if leak else "duplicate image"
            yield Finding(kind, tuple(splits), f"{few(list(splits))} are the same bytes{across(leak)}")


def few(names: Sequence[str]) -> str:
    """Names for people: all of up to three, else how many more there are."""
    return " and ".join(names) if len(names) < 4 else f"{names[0]}, {names[1]} and {len(names) - 2} more"


def across(leak: bool) -> str:
    """What to add of a leak."""
    return ", in train and test" if leak else ""


def leaks(rows: Sequence[Row], official: set[str]) -> Iterator[Finding]:
    """Patients, slides and images of the download that lie in both splits.

    Those that the split of an ``official`` source has in both are known.
    """
    for what in ("patient", "slide", "origin"):
        groups: dict[tuple[str, str], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            key = _identity(row, what)
            if key[1]:
                groups[key][row.split].append(row)
        for (source, name), by_split in sorted(groups.items()):
            if len(by_split) > 1:
                there = {row.source for group in by_split.values() for row in group}
                smaller = min(sorted(by_split), key=lambda split: len(by_split[split]))
                counts = ", ".join(f"{len(group)} rows in {split}" for split, group in sorted(by_split.items()))
                known = len(there) == 1 and there <= official and what != "origin"
                yield Finding(
                    f"leak: same {what}",
                    tuple(row.id for row in by_split[smaller]),
                    f"{source or ', '.join(sorted(there))}: {what} {name} is in both splits ({counts}); listed are "
                    f"those in {smaller}{'; so it is in the official split' if known else ''}",
                    known,
                )


def _identity(row: Row, what: str) -> tuple[str, str]:
    """Whose patient, slide or origin it is: names mean something within their source, a person's in all."""
    if what == "patient" and (person := person_of(row.patient, row.slide, row.origin)):
        return "", person
    return row.source, getattr(row, what)


def borrowed(rows: Sequence[Row]) -> Iterator[Finding]:
    """Images of one source that are another's external test."""
    found = {name: find_source(name) for name in {row.source for row in rows}}
    taken: dict[tuple[str, str], list[Row]] = defaultdict(list)
    for row in rows:
        source = found[row.source]
        for other, start in source.borrowed if source else ():
            if row.origin.startswith(start):
                taken[row.source, other].append(row)
    for (source_name, other), group in sorted(taken.items()):
        splits = " and ".join(sorted({row.split for row in group}))
        yield Finding(
            "leak: external test image",
            tuple(row.id for row in group),
            f"{source_name}: {len({row.image for row in group})} images in {splits} are those of {other}, the external "
            f"test; build {source_name} again, which leaves them out",
        )
