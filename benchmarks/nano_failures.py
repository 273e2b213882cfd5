"""Picture of nano's worst test masks: left the annotation, right what it found.

``python benchmarks/nano_failures.py PATHSEG OUT.jpg``; PATHSEG is what ``make pathseg`` built. Only data whose licence
allows redistribution is shown.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
from PIL import Image

from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.evaluate.scores import dice
from pathsegmentor.imaging import Picture, overlay
from pathsegmentor.segment import Segmenter

SHOWN = {
    "monuseg": "unspecified-nuclei-nuclei",
    "ebhi": "colon-tissue-malignant gland",
    "monusac": "unspecified-cell-macrophage",
    "rings": "prostate-tissue-prostate healthy glands",
}
SIDE = 560


def main() -> None:
    data, out = map(Path, sys.argv[1:3])
    pathseg = PathSeg(data)
    segmenter = Segmenter.from_pretrained("nano")
    rows = []
    for source, label in SHOWN.items():
        worst = None
        for entry in pathseg.select("test", [source], 0, 0):
            if label not in entry.labels:
                continue
            sample = pathseg.sample(entry)
            picture = Picture(sample.pixels, sample.mpp, sample.name)
            (found,) = segmenter.segment(segmenter.encode_image(picture), label).founds
            value = dice(found.mask, sample.masks[label])
            if worst is None or value < worst[0]:
                worst = (value, sample, found)
        assert worst is not None
        value, sample, found = worst
        told = (("annotated: " + label, sample.masks[label]), (f"nano: {found.status}, Dice {value:.2f}", found.mask))
        pair = [overlay(sample.pixels, [(text, mask, (0, 220, 90))]) for text, mask in told]
        rows.append(np.hstack([np.asarray(Image.fromarray(p).resize((SIDE, SIDE))) for p in pair]))
    grid = np.vstack([np.hstack(rows[i : i + 2]) for i in range(0, len(rows), 2)])
    out.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(grid).save(out, quality=85)


if __name__ == "__main__":
    main()
