"""Picture of nano's worst test masks: left the annotation, right what it found.

``python benchmarks/nano_failures.py EVALUATED PATHSEG OUT.jpg``; PATHSEG is what ``make pathseg`` built, EVALUATED what
``pathsegmentor evaluate --data PATHSEG --out EVALUATED --masks`` wrote. Only data whose licence allows redistribution
is shown.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.evaluate.masks import read_mask
from pathsegmentor.evaluate.samples import read_samples
from pathsegmentor.imaging import overlay

SHOWN = {
    "monuseg": "unspecified-nuclei-nuclei",
    "ebhi": "colon-tissue-malignant gland",
    "monusac": "unspecified-cell-macrophage",
    "rings": "prostate-tissue-prostate healthy glands",
}
SIDE = 560


def worst(folder: Path, source: str, label: str) -> dict[str, Any]:
    """The row of lowest Dice of a data set and label."""
    rows = read_samples(folder, ["image", "source", "label", "state", "present", "status", "dice"]).to_pylist()
    those = [r for r in rows if (r["source"], r["label"], r["state"]) == (source, label, "scored") and r["present"]]
    return min(those, key=lambda row: (row["dice"], row["image"]))


def main() -> None:
    folder, data, out = map(Path, sys.argv[1:4])
    pathseg = PathSeg(data)
    entries = {entry.first.image: entry for entry in pathseg.entries}
    rows = []
    for source, label in SHOWN.items():
        row = worst(folder, source, label)
        sample = pathseg.sample(entries[row["image"]])
        found = read_mask(folder, source, row["image"], label)
        told = (
            ("annotated: " + label, sample.masks[label]),
            (f"nano: {row['status']}, Dice {row['dice']:.2f}", found),
        )
        pair = [overlay(sample.pixels, [(text, mask, (0, 220, 90))]) for text, mask in told]
        rows.append(np.hstack([np.asarray(Image.fromarray(p).resize((SIDE, SIDE))) for p in pair]))
    grid = np.vstack([np.hstack(rows[i : i + 2]) for i in range(0, len(rows), 2)])
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grid).save(out, quality=85)


if __name__ == "__main__":
    main()
