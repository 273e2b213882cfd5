"""How far answers depend on where the tiles lie: the grid moved, and other tile sizes.

``python benchmarks/nano_grid.py PATHSEG [MODEL]`` brings test images to the scale of each label, moves the grid by
cutting rows and columns off, or changes the tile, and compares with the plain answer, 32 pixels from borders left out.
Writes ``benchmarks/results/nano_grid.json``: the mean and the worst Dice between the two masks, where either has at
least 500 pixels, and how many statuses differ.
"""

from __future__ import annotations

import json
import statistics
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.data.pathseg import Entry, PathSeg
from pathsegmentor.evaluate.scores import dice
from pathsegmentor.imaging import Picture, resize_pixels, scaled_size
from pathsegmentor.model.folder import Model
from pathsegmentor.segment import Result, Segmenter

RESULT = Path(__file__).parent / "results" / "nano_grid.json"
SOURCES = {"glas": 8, "monuseg": 6, "consep": 4, "tnbc": 4}
BORDER, FEWEST_PIXELS = 32, 500


@dataclass(frozen=True)
class Other:
    """Another way to lay tiles: rows and columns cut off at the top left, tile and overlap."""

    name: str
    down: int = 0
    right: int = 0
    tile: int = 0
    overlap: int = 0

    def model(self, model: Model) -> Model:
        """The model with this tile."""
        return (
            replace(model, config=replace(model.config, tile=self.tile, overlap=self.overlap)) if self.tile else model
        )


WAYS = (
    Other("grid moved by 32", 32, 32),
    Other("grid moved by 128", 128, 128),
    Other("grid moved by 64, 160", 64, 160),
    Other("grid moved by 17", 17, 17),
    Other("tile 256", tile=256, overlap=64),
    Other("tile 512", tile=512, overlap=128),
)


def asked(entry: Entry, model: Model) -> dict[float, list[str]]:
    """Labels by scale: those that the image has, and those that were looked for in vain."""
    known = {label.id for label in model.vocabulary}
    by_scale: dict[float, list[str]] = {}
    for label in sorted(known & {*entry.labels, *entry.first.annotated}):
        by_scale.setdefault(model.config.mpp_of(label), []).append(label)
    return by_scale


def differences(base: Result, other: Result, way: Other) -> Iterator[tuple[float | None, bool]]:
    """Per label: Dice of the masks where both see them, if there is enough of them, and whether the status differs."""
    for one, two in zip(base.founds, other.founds, strict=True):
        shared = one.mask[way.down :, way.right :][BORDER:-BORDER, BORDER:-BORDER]
        moved = two.mask[BORDER:-BORDER, BORDER:-BORDER]
        enough = max(int(shared.sum()), int(moved.sum())) >= FEWEST_PIXELS
        yield dice(moved, shared) if enough else None, one.status != two.status


def answers(model: Model, pixels: NDArray[np.uint8], mpp: float, labels: list[str]) -> Result:
    segmenter = Segmenter(model)
    prompts = {label.id: label.prompt for label in model.vocabulary}
    return segmenter.segment(
        segmenter.encode_image(Picture(pixels, (mpp, mpp), "moved", None)), [prompts[x] for x in labels]
    )


def main() -> None:
    data = PathSeg(Path(sys.argv[1]))
    model = Segmenter.from_pretrained(sys.argv[2] if len(sys.argv) > 2 else "nano").model
    found: dict[str, list[tuple[float | None, bool]]] = {way.name: [] for way in WAYS}
    for source, number in SOURCES.items():
        for entry in data.select("test", [source], 0, 0)[:number]:
            sample = data.sample(entry)
            for mpp, labels in asked(entry, model).items():
                pixels = resize_pixels(sample.pixels, scaled_size(*sample.pixels.shape[:2], sample.mpp, mpp))
                base = answers(model, pixels, mpp, labels)
                for way in WAYS:
                    seen = np.ascontiguousarray(pixels[way.down :, way.right :])
                    found[way.name] += differences(base, answers(way.model(model), seen, mpp, labels), way)
        print(source, flush=True)
    table = {}
    for name, pairs in found.items():
        scores = [score for score, _ in pairs if score is not None]
        table[name] = {
            "masks": len(scores),
            "dice_mean": round(statistics.mean(scores), 4),
            "dice_worst": round(min(scores), 4),
            "prompts": len(pairs),
            "status_differs": sum(flipped for _, flipped in pairs),
        }
        print(name, table[name])
    RESULT.write_text(
        json.dumps({"weights_sha256": model.weights_sha256, "ways": table}, indent=1) + "\n", encoding="utf-8"
    )


if __name__ == "__main__":
    main()
