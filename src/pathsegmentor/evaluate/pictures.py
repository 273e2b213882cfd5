"""Picture rows as in the paper's figure 8: one true mask per row, what each method found of it, and its Dice.

Which masks are shown is a rule and no choice: of each of the four commonest regions, and of each structure, the pair
whose mean Dice over all methods is the median of its group (the lower of two), the first in the table's order. What a
row above shows already is left out where the group is large enough.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from pathsegmentor.data.figures import pyplot
from pathsegmentor.data.shards import Shards
from pathsegmentor.evaluate.boxes import instance_boxes, union_box
from pathsegmentor.evaluate.figures import STYLE, WIDTH, save_figure
from pathsegmentor.evaluate.intricate import triples
from pathsegmentor.evaluate.masks import read_mask
from pathsegmentor.evaluate.paired import Key, Method, Paired
from pathsegmentor.evaluate.truth import read_image, read_truth
from pathsegmentor.vocabulary import Label

REGIONS = 4
SIDE = 512
BLUE, RED, FILL = (30, 80, 255), (230, 30, 30), np.array([255, 210, 0])
CAPTION = (
    "The pair of median Dice over all methods, of each of the commonest regions and of each structure (as figure 8):"
    " truth as blue line, what was found in yellow, boxes that were shown in red, Dice in the corner."
)


def chosen(paired: Paired) -> list[tuple[str, int]]:
    """Titles of the rows and which pair each shows."""
    mean = paired.dice.mean(axis=0)
    regions = Counter(paired.texts["region"].tolist())
    common = sorted(regions, key=lambda name: (-regions[name], name))[:REGIONS]
    groups = [("region", name) for name in common]
    groups += [("structure", name) for name in np.unique(paired.texts["structure"]).tolist()]
    found: list[tuple[str, int]] = []
    for level, name in groups:
        here = np.flatnonzero(paired.texts[level] == name)
        here = np.setdiff1d(here, [place for _, place in found]) if len(here) > len(found) else here
        order = here[np.argsort(mean[here], kind="stable")]
        found.append((f"{level}: {name}", int(order[(len(order) - 1) // 2])))
    return found


def draw(paired: Paired, data: Path, folder: Path) -> tuple[str, str]:
    """Write the rows as a figure; raises ``BadInput`` if a run kept no masks. Returns name and caption."""
    rows = chosen(paired)
    read = triples(data, [paired.keys[place] for _, place in rows])
    plt, shards = pyplot(), Shards(data)
    columns = len(paired.methods) + 1
    side = WIDTH / columns
    try:
        with plt.rc_context(STYLE):
            figure, axes = plt.subplots(
                len(rows), columns, figsize=(WIDTH, (side + 0.22) * len(rows)), layout="constrained", squeeze=False
            )
            for line, (title, place), triple in zip(axes, rows, read, strict=True):
                pixels, truth = read_image(shards, triple).pixels, read_truth(shards, triple).mask
                _panel(line[0], picture(pixels, truth, None, None), "")
                line[0].set_title(f"{title}\n{_short(triple.label)}", fontsize=6, loc="left")
                for i, method in enumerate(paired.methods):
                    found = _found(method, paired.keys[place], triple.source)
                    seen = picture(pixels, truth, found, _boxes(method, triple.label, truth))
                    _panel(line[i + 1], seen, f"{paired.dice[i, place]:.3f}")
                    line[i + 1].set_title(method.name, fontsize=6, loc="left")
            save_figure(figure, folder, "compare_pictures")
            plt.close(figure)
    finally:
        shards.close()
    return "compare_pictures", CAPTION


def picture(
    pixels: NDArray[np.uint8],
    truth: NDArray[np.bool_],
    found: NDArray[np.bool_] | None,
    boxes: NDArray[np.float64] | None,
) -> NDArray[np.uint8]:
    """(H', W', 3): an image at most 512 pixels large with what was found, the true outline and boxes on it."""
    zoom = min(SIDE / max(truth.shape), 1)
    size = (max(round(truth.shape[1] * zoom), 1), max(round(truth.shape[0] * zoom), 1))
    canvas = np.ascontiguousarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA))
    if found is not None:
        inside = cv2.resize(found.astype(np.uint8) * 255, size, interpolation=cv2.INTER_AREA) > 127
        canvas[inside] = (0.45 * canvas[inside] + 0.55 * FILL).astype(np.uint8)
    lines, _ = cv2.findContours(truth.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    scaled = [((line + 0.5) * zoom).astype(np.int32) for line in lines]
    cv2.polylines(canvas, scaled, True, BLUE, 1)
    for x0, y0, x1, y1 in [] if boxes is None else (boxes * zoom).astype(int):
        cv2.rectangle(canvas, (x0, y0), (max(x1 - 1, x0), max(y1 - 1, y0)), RED, 1)
    return canvas


def _found(method: Method, key: Key, source: str) -> NDArray[np.bool_]:
    return read_mask(method.run_of(key[1]).folder, source, *key)


def _boxes(method: Method, label: str, truth: NDArray[np.bool_]) -> NDArray[np.float64] | None:
    wants = method.run_of(label).record.wants_boxes
    return {"union": union_box, "instances": instance_boxes}[wants](truth) if wants != "none" else None


def _panel(axes: Any, pixels: NDArray[np.uint8], corner: str) -> None:
    axes.imshow(pixels, interpolation="none")
    axes.axis("off")
    if corner:
        box = {"facecolor": "white", "alpha": 0.85, "pad": 1.2, "linewidth": 0}
        axes.text(0.97, 0.03, corner, transform=axes.transAxes, ha="right", va="bottom", fontsize=7, bbox=box)


def _short(label: str) -> str:
    parts = Label.from_id(label)
    return parts.object_type if len(parts.object_type) < 26 else f"{parts.object_type[:24]}..."
