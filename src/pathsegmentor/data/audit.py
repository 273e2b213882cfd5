"""``data check``: what is wrong with a built PathSeg, row by row.

Looked for: missing or damaged members, changed bytes, size mismatch, empty masks, wrong scale, rows or
images that are there twice, patients, slides or near-identical images in both splits.
"""

from __future__ import annotations

import hashlib
import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn

from pathsegmentor.data import workers
from pathsegmentor.data.manifest import Row, read_rows
from pathsegmentor.data.record import Pixels
from pathsegmentor.data.shards import Shards, decode_image, decode_mask
from pathsegmentor.errors import BadInput

# Two images whose hashes differ in at most this many of 255 bits are taken as one picture. Recompressed,
# brightened, restained or halved pictures differ in 0 to 18 (median 2), different ones in 94 or more
# (tests/data/test_audit.py measures both).
NEAR = 12
BITS = 255
# Um per pixel at 40x that a scanner may have; table 1's 100x images come out at 0.085.
FINEST_40X, COARSEST_40X = 0.08, 0.5
IMAGES_AT_ONCE = 64


@dataclass(frozen=True)
class Finding:
    """Something wrong: its ``kind``, the rows or images concerned, and a line for people."""

    kind: str
    rows: tuple[str, ...]
    what: str


@dataclass(frozen=True)
class _Batch:
    folder: Path
    images: tuple[tuple[Row, ...], ...]


@dataclass(frozen=True)
class _Seen:
    """What looking at one image gave: its hashes (of all eight orientations) and findings."""

    image: str
    hashes: tuple[int, ...]
    findings: tuple[Finding, ...]


def audit(folder: Path, jobs: int = 1, ray: str = "") -> list[Finding]:
    """All findings, of the manifest alone first, then of the stored images and masks."""
    rows = read_rows(folder)
    images: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        images[row.image].append(row)
    findings = [*_twice(rows), *_leaks(rows), *_scales(rows)]
    grouped = [tuple(group) for group in images.values()]
    batches = [_Batch(folder, tuple(grouped[i : i + IMAGES_AT_ONCE])) for i in range(0, len(grouped), IMAGES_AT_ONCE)]
    seen = [one for batch in workers.run(_look, batches, jobs, ray) for one in batch]
    seen.sort(key=lambda one: one.image)
    findings += [finding for one in seen for finding in one.findings]
    return [*findings, *_alike(seen, images)]


def report(findings: Sequence[Finding], folder: Path) -> dict[str, Any]:
    """Findings as one JSON document, with how many of each kind."""
    kinds = sorted({finding.kind for finding in findings})
    counts = {kind: sum(finding.kind == kind for finding in findings) for kind in kinds}
    return {"folder": str(folder), "counts": counts, "findings": [asdict(finding) for finding in findings]}


def _twice(rows: Sequence[Row]) -> Iterator[Finding]:
    """Rows whose id, or whose image bytes under another name, occur twice."""
    ids: dict[str, int] = defaultdict(int)
    names: dict[str, set[str]] = defaultdict(set)
    split: dict[str, str] = {}
    for row in rows:
        ids[row.id] += 1
        names[row.sha256].add(row.image)
        split[row.image] = row.split
    for name, count in ids.items():
        if count > 1:
            yield Finding("duplicate row", (name,), f"{name} is in the manifest {count} times")
    for group in names.values():
        same = tuple(sorted(group))
        if len(same) > 1:
            leak = len({split[name] for name in same}) > 1
            kind = "leak: same image" if leak else "duplicate image"
            yield Finding(kind, same, f"{' and '.join(same)} are the same bytes{_across(leak)}")


def _across(leak: bool) -> str:
    return ", in train and test" if leak else ""


def _leaks(rows: Sequence[Row]) -> Iterator[Finding]:
    """Patients, slides and images of the download that lie in both splits."""
    for what in ("patient", "slide", "origin"):
        groups: dict[tuple[str, str], dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for row in rows:
            if getattr(row, what):
                groups[row.source, getattr(row, what)][row.split].append(row.id)
        for (source, name), by_split in sorted(groups.items()):
            if len(by_split) > 1:
                smaller = min(by_split, key=lambda split: len(by_split[split]))
                counts = ", ".join(f"{len(ids)} rows in {split}" for split, ids in sorted(by_split.items()))
                yield Finding(
                    f"leak: same {what}",
                    tuple(by_split[smaller]),
                    f"{source}: {what} {name} is in both splits ({counts}); listed are those in {smaller}",
                )


def _scales(rows: Sequence[Row]) -> Iterator[Finding]:
    """Images whose um per pixel at 40x no objective gives, or that were stretched unequally at the source."""
    for row in _first_of_image(rows):
        at_40x = tuple(m * row.width / w for m, w in zip(row.mpp, (row.window_width, row.window_height), strict=True))
        if not all(math.isfinite(m) and FINEST_40X <= m <= COARSEST_40X for m in at_40x):
            yield Finding(
                "wrong scale",
                (row.image,),
                f"{row.image}: {at_40x[0]:.3g} um per pixel at 40x, expected {FINEST_40X} to {COARSEST_40X}",
            )


def _first_of_image(rows: Sequence[Row]) -> Iterable[Row]:
    return {row.image: row for row in reversed(rows)}.values()


def _look(batch: _Batch) -> list[_Seen]:
    shards = Shards(batch.folder)
    try:
        return [_look_at(shards, rows) for rows in batch.images]
    finally:
        shards.close()


def _look_at(shards: Shards, rows: Sequence[Row]) -> _Seen:
    """Decode one image and its masks and compare them with what the manifest says."""
    first = rows[0]
    findings: list[Finding] = []
    pixels = None
    try:
        data = shards.read(first.image)
        if hashlib.sha256(data).hexdigest() != first.sha256:
            findings.append(
                Finding("changed image", (first.image,), f"{first.image}: bytes are not those of the manifest")
            )
        pixels = decode_image(data)
        if pixels.shape[:2] != (first.height, first.width):
            findings.append(_size(first.image, pixels.shape, first))
    except BadInput as error:
        findings.append(Finding("missing or damaged", (first.image,), str(error)))
    for row in rows:
        findings += _look_at_mask(shards, row)
    hashes = tuple(perceptual_hashes(pixels)) if pixels is not None else ()
    return _Seen(first.image, hashes, tuple(findings))


def _look_at_mask(shards: Shards, row: Row) -> list[Finding]:
    try:
        mask = decode_mask(shards.read(row.mask))
    except BadInput as error:
        return [Finding("missing or damaged", (row.id,), str(error))]
    if mask.shape != (row.height, row.width):
        return [_size(row.id, mask.shape, row)]
    inside = int(np.count_nonzero(mask))
    if not inside:
        return [Finding("empty mask", (row.id,), f"{row.id}: the mask of {row.label} is empty")]
    if inside != row.mask_pixels:
        return [Finding("changed mask", (row.id,), f"{row.id}: {inside} pixels, {row.mask_pixels} in the manifest")]
    return []


def _size(name: str, shape: tuple[int, ...], row: Row) -> Finding:
    what = f"{name}: {shape[1]} x {shape[0]} pixels, {row.width} x {row.height} in the manifest"
    return Finding("size mismatch", (name,), what)


def perceptual_hashes(pixels: Pixels) -> Iterator[int]:
    """255-bit hashes of the eight orientations of an image; the first is that of the image as it is.

    Whether each of the 16 x 16 lowest cosine terms (without the mean) of the grey image, reduced to
    64 x 64, is above their median: scale, compression and brightness hardly change that.
    """
    grey = cv2.cvtColor(cv2.resize(pixels, (64, 64), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    for mirrored in (grey, grey[:, ::-1]):
        for turns in range(4):
            yield _hash(np.rot90(mirrored, turns))


def _hash(grey: NDArray[np.uint8]) -> int:
    terms = dctn(grey.astype(np.float64), norm="ortho")[:16, :16].ravel()[1:]
    return int("".join("1" if bit else "0" for bit in terms > np.median(terms)), 2)


def _alike(seen: Sequence[_Seen], images: dict[str, list[Row]]) -> Iterator[Finding]:
    """Pairs of images that look alike, whatever their orientation, and are not bytewise the same."""
    reported: set[tuple[str, str]] = set()
    for a, b, distance in near_pairs([(one.image, one.hashes) for one in seen if one.hashes]):
        first, second = images[a][0], images[b][0]
        pair = (min(a, b), max(a, b))
        if pair in reported or first.sha256 == second.sha256:
            continue
        leak = first.split != second.split
        same_origin = first.source == second.source and first.origin == second.origin
        if same_origin and not leak:
            continue  # overlapping windows of one image may look alike
        reported.add(pair)
        kind = "leak: near-identical image" if leak else "near-identical image"
        yield Finding(
            kind, pair, f"{pair[0]} and {pair[1]} look alike ({distance} of {BITS} bits differ){_across(leak)}"
        )


def near_pairs(hashes: Sequence[tuple[str, tuple[int, ...]]]) -> Iterator[tuple[str, str, int]]:
    """Pairs of names whose hashes differ in at most ``NEAR`` bits in some orientation.

    Two numbers that differ in at most k bits agree in one of k + 1 bands, so only numbers that share a
    band are compared: no all-against-all.
    """
    width = BITS // (NEAR + 1)
    shifts = range(0, width * (NEAR + 1), width)
    last = (1 << width) - 1
    buckets: dict[tuple[int, int], list[tuple[str, int]]] = defaultdict(list)
    for name, numbers in hashes:
        for number in dict.fromkeys(numbers):
            for shift in shifts:
                for other, upright in buckets.get((shift, number >> shift & last), ()):
                    distance = (number ^ upright).bit_count()
                    if distance <= NEAR:
                        yield other, name, distance
        for shift in shifts:
            buckets[shift, numbers[0] >> shift & last].append((name, numbers[0]))
