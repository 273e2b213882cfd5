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
from pathsegmentor.imaging.draw import PALETTE, Colour, write_png
from pathsegmentor.vocabulary import Label

# In pixels of the sheet.
TILE, MARGIN, HEAD, LINE, FONT = 420, 10, 26, 18, 12
COLUMNS = 4
DASH = 12
HALO = (20, 20, 20)


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
    drawn = cv2.resize(outlined(np.asarray(twice, np.uint8), masks), (side, side), interpolation=cv2.INTER_AREA)

    out = Image.new("RGB", (TILE, HEAD + side + LINE * len(labels) + 2 * MARGIN), "white")
    out.paste(Image.fromarray(np.asarray(drawn, np.uint8)), (MARGIN, HEAD))
    draw, font = ImageDraw.Draw(out), ImageFont.load_default(FONT)
    draw.text((MARGIN, HEAD - LINE), _fitting(f"{sample.source}: {sample.name}", font, side), "black", font)
    for i, label in enumerate(labels):
        y = HEAD + side + MARGIN // 2 + i * LINE
        draw.rectangle((MARGIN, y + 3, MARGIN + FONT, y + FONT), fill=_colour(i), outline="black")
        left = MARGIN + 2 * FONT
        draw.text((left, y), _fitting(Label.from_id(label).prompt, font, TILE - left), "black", font)
    return np.asarray(out)


def outlined(pixels: NDArray[np.uint8], masks: Sequence[NDArray[np.bool_]]) -> NDArray[np.uint8]:
    """Contours of masks (H, W) on pixels (H, W, 3); where several run along each other, they take turns."""
    cross = np.ones((3, 3), np.uint8)
    edges = [_edge(mask) for mask in masks]
    canvas = pixels.copy()
    if not edges:
        return canvas
    lines = np.stack([cv2.dilate(edge, cross) for edge in edges]) > 0  # (labels, H, W), 3 pixels wide
    anywhere = lines.any(axis=0)
    canvas[(cv2.dilate(anywhere.astype(np.uint8), cross) > 0) & ~anywhere] = HALO
    y, x = np.nonzero(anywhere)
    owners = lines[:, y, x]
    turn = (x + y) // DASH % owners.sum(axis=0)
    owner = np.argmax(np.cumsum(owners, axis=0) > turn, axis=0)
    canvas[y, x] = np.array([_colour(i) for i in range(len(masks))], np.uint8)[owner]
    return canvas


def _edge(mask: NDArray[np.bool_]) -> NDArray[np.uint8]:
    """The outermost pixels inside a mask; the border of the image is none."""
    inside = mask.astype(np.uint8)
    return inside - cv2.erode(inside, np.ones((3, 3), np.uint8), borderType=cv2.BORDER_REPLICATE)


def _resized(mask: NDArray[np.bool_], side: int) -> NDArray[np.bool_]:
    return cv2.resize(mask.astype(np.uint8), (side, side), interpolation=cv2.INTER_NEAREST) > 0


def _colour(i: int) -> Colour:
    return PALETTE[i % len(PALETTE)]


def _fitting(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> str:
    """The text, shortened in its middle until it fits."""
    short, keep = text, len(text)
    while keep > 4 and font.getlength(short) > width:
        keep -= 2
        short = f"{text[: keep // 2]}...{text[len(text) - keep // 2 :]}"
    return short
