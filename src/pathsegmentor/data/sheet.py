"""``data show``: a contact sheet, images with their masks outlined and the prompts that ask for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from pathsegmentor.data.pathseg import Entry, PathSeg
from pathsegmentor.data.sample import Sample
from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.draw import PALETTE, overlay, write_png
from pathsegmentor.vocabulary import Label

TILE = 420


def contact_sheet(
    folder: Path, path: Path, count: int, seed: int = 0, source: str = "", label: str = ""
) -> list[Entry]:
    """Draw ``count`` images, spread over sources and labels, into a PNG; returns what was drawn."""
    data = PathSeg(folder)
    entries = [
        entry
        for entry in data.entries
        if (not source or entry.first.source == source) and (not label or label.lower() in entry.labels)
    ]
    if not entries:
        raise BadInput(f"{folder} has no image of {' and '.join(filter(None, (source, label))) or 'any source'}")
    chosen = spread(entries, count, seed)
    tiles = [tile(data.sample(entry)) for entry in chosen]
    columns = min(4, len(tiles))
    height = max(one.shape[0] for one in tiles)
    padded = [np.pad(one, ((0, height - one.shape[0]), (0, 0), (0, 0)), constant_values=255) for one in tiles]
    while len(padded) % columns:
        padded.append(np.full_like(padded[0], 255))
    rows = [np.hstack(padded[i : i + columns]) for i in range(0, len(padded), columns)]
    write_png(path, np.vstack(rows))
    return chosen


def spread(entries: Sequence[Entry], count: int, seed: int) -> list[Entry]:
    """Images drawn in turn from each source, preferring labels that were not drawn yet; seeded."""
    rng = np.random.default_rng(seed)
    by_source: dict[str, list[Entry]] = defaultdict(list)
    for i in rng.permutation(len(entries)):
        by_source[entries[i].first.source].append(entries[i])
    chosen: list[Entry] = []
    seen: set[str] = set()
    while len(chosen) < min(count, len(entries)):
        for name in sorted(by_source):
            if not by_source[name] or len(chosen) == count:
                continue
            best = max(by_source[name], key=lambda entry: len(set(entry.labels) - seen))
            by_source[name].remove(best)
            chosen.append(best)
            seen |= set(best.labels)
    return chosen


def tile(sample: Sample) -> NDArray[np.uint8]:
    """One image with contours and its prompts, ``TILE`` pixels wide."""
    side = TILE - 20
    pixels = cv2.resize(sample.pixels, (side, side), interpolation=cv2.INTER_AREA)
    layers = []
    for (label, mask), colour in zip(sorted(sample.masks.items()), PALETTE * 8, strict=False):
        small = cv2.resize(mask.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST) > 0
        layers.append((Label.from_id(label).prompt, small, colour))
    # Enlarged twice, so that thin nuclei keep their outline apart from their inside.
    drawn = overlay(
        cv2.resize(pixels, (2 * side, 2 * side)), [(t, np.kron(m, np.ones((2, 2), bool)), c) for t, m, c in layers]
    )
    drawn = cv2.resize(drawn, (side, round(drawn.shape[0] * side / drawn.shape[1])), interpolation=cv2.INTER_AREA)
    name = f"{sample.source}: {sample.name}"[:58]
    framed = np.pad(drawn, ((26, 14), (10, 10), (0, 0)), constant_values=255)
    cv2.putText(framed, name, (10, 18), cv2.FONT_HERSHEY_SIMPLEX, 0.38, (0, 0, 0), 1, cv2.LINE_AA)
    return np.asarray(framed, np.uint8)
