"""Seconds and memory of ``pathsegmentor evaluate`` as the number of pairs grows to that of the paper's test part.

``python benchmarks/evaluate_scale.py`` writes sets of 5,015 and 45,139 image-label pairs (the latter is the paper's
number; the images are small, since what is measured is the harness), evaluates filled boxes on the smaller with one
process and on both with three, compares the tables of the smaller, and writes
``benchmarks/results/evaluate_scale.json``. Seconds depend on what else the machine does; those of the processor less.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np

from pathsegmentor.data.manifest import MANIFEST, Row, write_rows
from pathsegmentor.data.shards import ShardWriter, encode_image, encode_mask
from pathsegmentor.data.sources import PAPER, source

RESULT = Path(__file__).parent / "results" / "evaluate_scale.json"
PAIRS = 45_139
SIDE, OF_SHARD, KINDS = 64, 500, 64


def make(folder: Path, pairs: int) -> None:
    """A set with this number of test pairs: two to four labels of one of the paper's 17 sources per image."""
    rng = np.random.default_rng(0)
    (folder / "shards").mkdir(parents=True)
    images = [encode_image(rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8)) for _ in range(KINDS)]
    masks = [_mask(rng) for _ in range(KINDS)]
    stored = [encode_mask(mask) for mask in masks]
    rows: list[Row] = []
    number = 0
    while len(rows) < pairs:
        name = list(PAPER)[number // OF_SHARD % len(PAPER)]
        shard = f"shards/{name}-{number // OF_SHARD:05d}.tar"
        writer = ShardWriter(folder / shard)
        for _ in range(OF_SHARD):
            stem, labels, image = f"{name}-{number:06d}", source(name).labels, images[number % KINDS]
            writer.add(f"{stem}.png", image)
            for label in sorted(rng.permutation(labels)[: int(rng.integers(2, 5))])[: pairs - len(rows)]:
                which = int(rng.integers(KINDS))
                member = f"{stem}.{str(label).replace(' ', '_')}.png"
                writer.add(member, stored[which])
                pixels = int(masks[which].sum())
                rows.append(_row(shard, stem, member, name, str(label), number, pixels, image, labels))
            number += 1
        writer.close()
    write_rows(folder / MANIFEST, rows)


def _mask(rng: np.random.Generator) -> np.ndarray:
    """Four disks, some of which may touch."""
    mask = np.zeros((SIDE, SIDE), bool)
    for y, x in rng.integers(0, SIDE - 16, (4, 2)):
        mask[y : y + 12, x : x + 14] |= np.hypot(*np.mgrid[-6:6, -7:7]) < 6
    return mask


def _row(
    shard: str,
    stem: str,
    member: str,
    name: str,
    label: str,
    number: int,
    pixels: int,
    image: bytes,
    labels: tuple[str, ...],
) -> Row:
    return Row(
        id=member.removesuffix(".png"),
        image=f"{shard}/{stem}.png",
        mask=f"{shard}/{member}",
        ignore="",
        label=label,
        source=name,
        split="test",
        patient=f"{name}-{number // 4}",
        slide="",
        mpp=(0.25, 0.25),
        factor_to_40x=1.0,
        height=SIDE,
        width=SIDE,
        mask_pixels=pixels,
        instances=None,
        annotated=labels,
        origin=stem,
        x=0,
        y=0,
        window_width=SIDE,
        window_height=SIDE,
        licence="made up",
        sha256=hashlib.sha256(image).hexdigest(),
    )


def measured(data: Path, out: Path, workers: int) -> dict[str, Any]:
    """Seconds, those of all processes, and the memory of the largest one, of an evaluation with its report."""
    words = ["evaluate", "--model", "filled-union", "--data", data, "--out", out, "--workers", workers, "--json"]
    started = time.perf_counter()
    process = subprocess.Popen([sys.executable, "-m", "pathsegmentor", *map(str, words)], stdout=subprocess.DEVNULL)
    _, status, used = os.wait4(process.pid, 0)
    if status:
        sys.exit(f"{' '.join(map(str, words))} failed")
    return {
        "workers": workers,
        "seconds": round(time.perf_counter() - started, 1),
        "cpu_seconds": round(used.ru_utime + used.ru_stime, 1),
        "peak_mb": round(used.ru_maxrss / 1024),
    }


def main() -> None:
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for pairs, workers in ((PAIRS // 9, 1), (PAIRS // 9, 3), (PAIRS, 3)):
            data = Path(place) / f"pathseg-{pairs}"
            if not data.exists():
                make(data, pairs)
            rows.append({"pairs": pairs} | measured(data, Path(place) / f"out-{pairs}-{workers}", workers))
            print(rows[-1], flush=True)
        one, three = (Path(place) / f"out-{PAIRS // 9}-{workers}" / "tables" for workers in (1, 3))
        same = all(path.read_bytes() == (three / path.name).read_bytes() for path in one.iterdir())
    result = {
        "command": "python benchmarks/evaluate_scale.py",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "image_side": SIDE,
        "runs": rows,
        "tables_of_three_processes_are_bytes_of_one": same,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
