"""``data show``: a contact sheet, images with their masks outlined and the prompts that ask for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from pathsegmentor.data.pathseg import Entry, PathSeg
from pathsegmentor.data.sample import Sample
from pathsegmentor.errors import BadInput
from pathsegmentor.imaging.draw import PALETTE, Colour, fitting, outlined, write_png
from pathsegmentor.vocabulary import Label

# In pixels of the sheet.
TILE, MARGIN, HEAD, LINE, FONT = 420, 10, 26, 18, 12
COLUMNS = 4


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
    columns = min(COLUMNS, len(tiles))
    rows = [_side_by_side(tiles[i : i + columns], columns * TILE) for i in range(0, len(tiles), columns)]
    write_png(path, np.vstack(rows))
    return chosen


def _side_by_side(tiles: Sequence[NDArray[np.uint8]], width: int) -> NDArray[np.uint8]:
    """One row of the sheet, as high as its highest tile."""
    row = np.full((max(one.shape[0] for one in tiles), width, 3), 255, np.uint8)
    for i, one in enumerate(tiles):
        row[: one.shape[0], i * TILE : (i + 1) * TILE] = one
    return row


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
    """One image with contours, its name above and its prompts below, ``TILE`` pixels wide."""
    side = TILE - 2 * MARGIN
    labels = sorted(sample.masks)
    # Outlined at twice the size, so that thin nuclei keep their outline apart from their inside.
    twice = cv2.resize(sample.pixels, (2 * side, 2 * side), interpolation=cv2.INTER_AREA)
    masks = [_resized(sample.masks[label], 2 * side) for label in labels]
    layers = [(mask, _colour(i)) for i, mask in enumerate(masks)]
    drawn = cv2.resize(outlined(np.asarray(twice, np.uint8), layers, 2), (side, side), interpolation=cv2.INTER_AREA)

    out = Image.new("RGB", (TILE, HEAD + side + LINE * len(labels) + 2 * MARGIN), "white")
    out.paste(Image.fromarray(np.asarray(drawn, np.uint8)), (MARGIN, HEAD))
    draw, font = ImageDraw.Draw(out), ImageFont.load_default(FONT)
    draw.text((MARGIN, HEAD - LINE), fitting(f"{sample.source}: {sample.name}", font, side), "black", font)
    for i, label in enumerate(labels):
        y = HEAD + side + MARGIN // 2 + i * LINE
        draw.rectangle((MARGIN, y + 3, MARGIN + FONT, y + FONT), fill=_colour(i), outline="black")
        left = MARGIN + 2 * FONT
        draw.text((left, y), fitting(Label.from_id(label).prompt, font, TILE - left), "black", font)
    return np.asarray(out)


def _resized(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    return cv2.resize(mask.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST) > 0


def _colour(i: int) -> Colour:
    return PALETTE[i % len(PALETTE)]
