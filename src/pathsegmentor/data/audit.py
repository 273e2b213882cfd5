"""``data check``: what is wrong with a built PathSeg, row by row.

Looked for: missing or damaged shards and members, changed bytes, size mismatch, empty masks, wrong scale,
rows or images that are there twice, patients, slides or near-identical images in both splits.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from pathsegmentor.atomic import sha256_of
from pathsegmentor.data import workers
from pathsegmentor.data.alike import BITS, Hashes, distance, groups_of_copies, perceptual_hashes
from pathsegmentor.data.finish import REPORT, SHARDS
from pathsegmentor.data.leaks import Finding, across, borrowed, few, leaks, same_bytes, twice
from pathsegmentor.data.manifest import Row, read_rows
from pathsegmentor.data.shards import Shards, decode_image, decode_mask, instances_of
from pathsegmentor.data.sources import find_source
from pathsegmentor.errors import BadInput

# Um per pixel at 40x that a scanner may have; table 1's 100x images come out at 0.085.
FINEST_40X, COARSEST_40X = 0.08, 0.5
# Sides of an image, or images of a source, whose scales differ more than that are not what they claim.
MOST_UNEQUAL, MOST_UNUSUAL = 1.05, 1.5
IMAGES_AT_ONCE = 64

Images = dict[str, list[Row]]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class _Batch:
    folder: Path
    images: tuple[tuple[Row, ...], ...]


@dataclass(frozen=True)
class _Seen:
    """What looking at one image gave; no hashes if it is damaged or blank."""

    image: str
    hashes: Hashes | None
    blank: bool
    findings: tuple[Finding, ...]


def audit(folder: Path, jobs: int = 1, progress: Progress | None = None) -> list[Finding]:
    """All findings: of the manifest alone, of the shards, of the stored images and masks, of look-alikes.

    ``progress`` is called with the number of images looked at, and of all.
    """
    images: Images = defaultdict(list)
    for row in read_rows(folder):
        images[row.image].append(row)
    rows = [row for group in images.values() for row in group]
    findings = [*twice(rows), *leaks(rows, _official(folder)), *borrowed(rows)]
    findings += [*_scales(images), *_changed_shards(folder, rows, jobs)]
    grouped = [tuple(group) for group in images.values()]
    batches = [_Batch(folder, tuple(grouped[i : i + IMAGES_AT_ONCE])) for i in range(0, len(grouped), IMAGES_AT_ONCE)]
    seen: dict[str, _Seen] = {}
    for batch in workers.run(_look, batches, jobs):
        seen.update((one.image, one) for one in batch)
        if progress:
            progress(len(seen), len(images))
    findings += [finding for name in images for finding in seen[name].findings]
    findings += same_bytes(rows, {one.image for one in seen.values() if one.blank})
    return [*findings, *_alike([seen[name] for name in images], images)]


def report(findings: Sequence[Finding], folder: Path) -> dict[str, Any]:
    """Findings as one JSON document, with how many of each kind; what is so at the source stands apart."""
    wrong = [finding for finding in findings if not finding.known]
    known = [finding for finding in findings if finding.known]
    return {
        "folder": str(folder),
        "counts": dict(sorted(Counter(finding.kind for finding in wrong).items())),
        "findings": [_told(finding) for finding in wrong],
        "known": [_told(finding) for finding in known],
    }


def _told(finding: Finding) -> dict[str, Any]:
    return {"kind": finding.kind, "rows": finding.rows, "what": finding.what}


def _official(folder: Path) -> set[str]:
    """Sources, of those that are known here, that were built with the split they come with."""
    try:
        built = json.loads((folder / REPORT).read_text(encoding="utf-8"))["sources"]
        return {entry["source"] for entry in built if entry["split"] == "official" and find_source(entry["source"])}
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return set()


def _scales(images: Images) -> Iterator[Finding]:
    """Images whose um per pixel at 40x no objective gives, differ by axis, or differ from their source's others."""
    of_source: dict[str, list[float]] = defaultdict(list)
    for group in images.values():
        of_source[group[0].source].append(_at_40x(group[0])[0])
    usual = {source: median([m for m in scales if m > 0] or [math.nan]) for source, scales in of_source.items()}
    meant = {name: found.mpp / found.factor for name in of_source if (found := find_source(name)) is not None}
    as_meant: dict[str, list[str]] = defaultdict(list)
    for name, group in images.items():
        x, y = _at_40x(group[0])
        source = group[0].source
        common = usual[source]
        if not all(math.isfinite(m) and FINEST_40X <= m <= COARSEST_40X for m in (x, y)):
            if all(abs(m / meant.get(source, math.nan) - 1) < MOST_UNEQUAL - 1 for m in (x, y)):
                as_meant[source].append(name)
            else:
                expected = f"expected {FINEST_40X} to {COARSEST_40X}"
                yield Finding("wrong scale", (name,), f"{name}: {_um(x)} at 40x, {expected}")
        elif max(x, y) > MOST_UNEQUAL * min(x, y):
            yield Finding("wrong scale", (name,), f"{name}: {_um(x)} across, {_um(y)} down at 40x")
        elif max(x, common) > MOST_UNUSUAL * min(x, common):
            what = f"{name}: {_um(x)} at 40x, {common:.3g} in the median of {source}"
            yield Finding("wrong scale", (name,), what)
    for source, names in as_meant.items():
        what = f"{source}: {len(names)} images have {_um(meant[source])} where others have 40x; so the source is set"
        yield Finding("wrong scale", tuple(names), what, known=True)


def _at_40x(row: Row) -> tuple[float, float]:
    """Um per pixel (x, y) before the window was resized."""
    x, y = row.mpp
    return x * row.width / (row.window_width or math.nan), y * row.height / (row.window_height or math.nan)


def _um(mpp: float) -> str:
    return f"{mpp:.3g} um per pixel"


def _changed_shards(folder: Path, rows: Sequence[Row], jobs: int) -> list[Finding]:
    """Shards that are not the files whose hashes ``shards.json`` keeps."""
    try:
        listing = json.loads((folder / SHARDS).read_text(encoding="utf-8"))["shards"]
        listed = {f"shards/{entry['name']}.tar": str(entry["sha256"]) for entry in listing}
    except (OSError, ValueError, KeyError, TypeError):
        return [Finding("missing or damaged", (SHARDS,), f"{folder / SHARDS} is missing or damaged: build it anew")]
    used = dict.fromkeys(row.image.rpartition("/")[0] for row in rows)
    findings = [
        Finding("unlisted shard", (shard,), f"{shard} is in the manifest and not in {SHARDS}")
        for shard in used
        if shard not in listed
    ]
    work = [(folder, shard, expected) for shard, expected in listed.items()]
    found = {finding.rows[0]: finding for finding in workers.run(_hash_shard, work, jobs) if finding}
    return findings + [found[shard] for shard in listed if shard in found]


def _hash_shard(work: tuple[Path, str, str]) -> Finding | None:
    folder, shard, expected = work
    try:
        actual = sha256_of(folder / shard)
    except (OSError, ValueError) as error:
        return Finding("missing or damaged", (shard,), f"{folder / shard} cannot be read: {error}")
    if actual == expected:
        return None
    return Finding("changed shard", (shard,), f"{shard}: bytes are not those of {SHARDS}")


def _look(batch: _Batch) -> list[_Seen]:
    shards = Shards(batch.folder)
    try:
        return [_look_at(shards, rows) for rows in batch.images]
    finally:
        shards.close()


def _look_at(shards: Shards, rows: Sequence[Row]) -> _Seen:
    """Decode one image and its masks and compare them with what the manifest says."""
    name, ids = rows[0].image, tuple(row.id for row in rows)
    findings: list[Finding] = []
    hashes, blank = None, False
    try:
        data = shards.read(name)
        actual = hashlib.sha256(data).hexdigest()
        if changed := tuple(row.id for row in rows if row.sha256 != actual):
            findings.append(Finding("changed image", changed, f"{name}: bytes are not those of the manifest"))
        pixels = decode_image(data)
        if other := [row for row in rows if (row.height, row.width) != pixels.shape[:2]]:
            findings.append(_size(name, pixels.shape, other))
        hashes = perceptual_hashes(pixels)
        blank = hashes is None
    except BadInput as error:
        findings.append(Finding("missing or damaged", ids, f"{name}: {error}"))
    for row in rows:
        findings += _look_at_mask(shards, row)
    if rows[0].ignore:
        findings += _look_at_ignore(shards, rows)
    return _Seen(name, hashes, blank, tuple(findings))


def _look_at_mask(shards: Shards, row: Row) -> list[Finding]:
    try:
        mask = decode_mask(shards.read(row.mask))
    except BadInput as error:
        return [Finding("missing or damaged", (row.id,), f"{row.mask}: {error}")]
    if mask.shape != (row.height, row.width):
        return [_size(row.mask, mask.shape, [row])]
    inside, instances = int(np.count_nonzero(mask)), instances_of(mask)
    if not inside:
        return [Finding("empty mask", (row.id,), f"{row.id}: the mask of {row.label} is empty")]
    if inside != row.mask_pixels:
        return [Finding("changed mask", (row.id,), f"{row.id}: {inside} pixels, {row.mask_pixels} in the manifest")]
    if instances != row.instances:
        what = f"{row.id}: {instances} instances, {row.instances} in the manifest"
        return [Finding("changed mask", (row.id,), what)]
    return []


def _look_at_ignore(shards: Shards, rows: Sequence[Row]) -> list[Finding]:
    """The mask of pixels about which nothing is known, one for all rows of an image."""
    try:
        mask = decode_mask(shards.read(rows[0].ignore))
    except BadInput as error:
        return [Finding("missing or damaged", tuple(row.id for row in rows), f"{rows[0].ignore}: {error}")]
    if mask.shape != (rows[0].height, rows[0].width):
        return [_size(rows[0].ignore, mask.shape, rows)]
    return []


def _size(name: str, shape: tuple[int, ...], rows: Sequence[Row]) -> Finding:
    what = f"{name}: {shape[1]} x {shape[0]} pixels, {rows[0].width} x {rows[0].height} in the manifest"
    return Finding("size mismatch", tuple(row.id for row in rows), what)


def _alike(seen: Sequence[_Seen], images: Images) -> Iterator[Finding]:
    """Groups of images that look alike in some orientation and are not all bytewise the same."""
    hashed = {one.image: one.hashes for one in seen if one.hashes is not None}
    names = list(hashed)
    first = [images[name][0] for name in names]
    # Overlapping windows of one image may look alike, unless they are in both splits.
    families: dict[tuple[str, str, str], int] = {}
    kin = [families.setdefault((row.source, row.origin, row.split), len(families)) for row in first]
    for group in groups_of_copies(list(hashed.values()), kin):
        if len({first[i].sha256 for i in group}) == 1:
            continue
        leak = len({first[i].split for i in group}) > 1
        alike = tuple(names[i] for i in group)
        bits = max(distance(hashed[alike[0]], hashed[name]) for name in alike[1:])
        kind = "leak: near-identical image" if leak else "near-identical image"
        yield Finding(kind, alike, f"{few(alike)} look alike (up to {bits} of {BITS} bits differ){across(leak)}")
