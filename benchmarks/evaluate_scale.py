"""Seconds and memory of ``pathsegmentor evaluate`` as the number of pairs grows to that of the paper's test part.

``python benchmarks/evaluate_scale.py`` writes sets of 5,015, 15,046 and 45,139 image-label pairs (the last is the
paper's number; the images are small, since what is measured is the harness), evaluates filled boxes on each with one
process and on the middle one with two, whose tables it compares, and writes
``benchmarks/results/evaluate_scale.json``.
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
SIDE, OF_SHARD = 64, 500


def make(folder: Path, pairs: int) -> None:
    """A set with this number of test pairs: about two labels of one of the paper's 17 sources per image."""
    rng = np.random.default_rng(0)
    (folder / "shards").mkdir(parents=True)
    rows: list[Row] = []
    number, writer, shard = 0, None, ""
    while len(rows) < pairs:
        if number % OF_SHARD == 0:
            if writer is not None:
                writer.close()
            name = list(PAPER)[number // OF_SHARD % len(PAPER)]
            shard = f"shards/{name}-{number // OF_SHARD:05d}.tar"
            writer = ShardWriter(folder / shard)
        assert writer is not None
        stem, labels = f"{name}-{number:06d}", source(name).labels
        image = encode_image(rng.integers(0, 255, (SIDE, SIDE, 3), dtype=np.uint8))
        writer.add(f"{stem}.png", image)
        for label in sorted(rng.permutation(labels)[: int(rng.integers(1, 4))])[: pairs - len(rows)]:
            mask = np.zeros((SIDE, SIDE), bool)
            for y, x in rng.integers(0, SIDE - 16, (4, 2)):
                mask[y : y + 12, x : x + 14] |= np.hypot(*np.mgrid[-6:6, -7:7]) < 6
            member = f"{stem}.{str(label).replace(' ', '_')}.png"
            writer.add(member, encode_mask(mask))
            rows.append(_row(shard, stem, member, name, str(label), number, int(mask.sum()), image, labels))
        number += 1
    assert writer is not None
    writer.close()
    write_rows(folder / MANIFEST, rows)


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
        for pairs in (PAIRS // 9, PAIRS // 3, PAIRS):
            data = Path(place) / f"pathseg-{pairs}"
            make(data, pairs)
            for workers in (1, 2) if pairs == PAIRS // 3 else (1,):
                out = Path(place) / f"out-{pairs}-{workers}"
                rows.append({"pairs": pairs} | measured(data, out, workers))
                rows[-1]["pairs_per_cpu_second"] = round(pairs / rows[-1]["cpu_seconds"], 1)
                print(rows[-1], flush=True)
        one, two = (Path(place) / f"out-{PAIRS // 3}-{workers}" / "tables" for workers in (1, 2))
        same = all(path.read_bytes() == (two / path.name).read_bytes() for path in one.iterdir())
    result = {
        "command": "python benchmarks/evaluate_scale.py",
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
        "image_side": SIDE,
        "runs": rows,
        "tables_of_two_processes_are_bytes_of_one": same,
    }
    RESULT.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
