"""Seconds of one core to open a manifest of the paper's size and to start sampling from it.

``python benchmarks/open_manifest.py`` writes a manifest with the paper's numbers of images and masks per source
(233,419 and 274,853; no pixels), opens it, holds a tenth of the groups out, makes a sampler over the rest, and
writes ``benchmarks/results/open_manifest.md``.
"""

from __future__ import annotations

import os
import platform
import resource
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from pathsegmentor.data.manifest import MANIFEST, Row, read_rows, write_rows
from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.data.sources import PAPER, source
from pathsegmentor.train.batches import Sampler, SamplingConfig
from pathsegmentor.vocabulary import Vocabulary

RESULT = Path(__file__).parent / "results" / "open_manifest.md"


def rows_of(name: str, rng: np.random.Generator) -> Iterator[Row]:
    """As many images and masks as the paper's table 1 has of a source; four images are of one patient."""
    found = source(name)
    assert found.paper is not None
    more = found.paper.masks - found.paper.images
    for image in range(found.paper.images):
        # The masks beyond one per image, spread evenly.
        extra = more * (image + 1) // found.paper.images - more * image // found.paper.images
        labels = rng.permutation(found.labels)[: 1 + extra]
        region = labels[0].split("-")[0]
        annotated = tuple(sorted(label for label in found.labels if label.startswith(f"{region}-")))
        key = f"shards/{name}-{image // found.batch:05d}.tar/{name}-{image // found.batch:05d}-{image:06d}-x0-y0"
        for label in sorted(labels):
            yield Row(
                id=f"{name}-{image:06d}.{label.replace(' ', '_')}",
                image=f"{key}.png",
                mask=f"{key}.{label.replace(' ', '_')}.png",
                ignore="",
                label=str(label),
                source=name,
                split="test" if image % 5 == 0 else "train",
                patient=f"{name}-{image // 4}",
                slide="",
                mpp=(0.25, 0.25),
                factor_to_40x=found.factor,
                height=1024,
                width=1024,
                mask_pixels=int(rng.integers(50, 1 << 20)),
                instances=None,
                annotated=annotated,
                origin=f"image-{image:06d}",
                x=0,
                y=0,
                window_width=1024,
                window_height=1024,
                licence=found.licence.name,
                sha256=rng.bytes(32).hex(),
            )


def timed(what: str, lines: list[str], begun: float) -> float:
    now = time.process_time()
    lines.append(f"| {what} | {now - begun:.1f} |")
    print(lines[-1])
    return time.process_time()


def main() -> None:
    rng = np.random.default_rng(0)
    lines = ["| what | seconds of one core |", "|---|---:|"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_rows(folder / MANIFEST, [row for paper in PAPER for row in rows_of(paper, rng)])
        begun = time.process_time()
        count = len(read_rows(folder))
        begun = timed(f"read {count:,} rows", lines, begun)
        data = PathSeg(folder)
        begun = timed(f"open the set, {len(data.entries):,} images", lines, begun)
        entries = data.select("train", PAPER[:-1], 0.1, 0)
        begun = timed(f"choose {len(entries):,} images for training, a tenth held out", lines, begun)
        labels = [label.id for label in Vocabulary.paper()]
        scales = {label: 1.0 if "-tissue-" in label else 0.25 for label in labels}
        sampler = Sampler(data, entries, labels, scales, {}, SamplingConfig(), 0)
        timed(f"make a sampler, {len(sampler.items):,} images at their scales, {len(labels)} labels", lines, begun)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    lines += ["", f"Peak memory {memory:,.0f} MB. {machine}; `python benchmarks/open_manifest.py`."]
    RESULT.write_text("\n".join(lines) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
