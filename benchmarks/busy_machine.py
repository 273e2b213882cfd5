"""nano beside other work: ways to use the cores, on a quiet machine and next to one busy process, in one run.

``python benchmarks/busy_machine.py`` segments an image of one tile and one of nine in a fresh process per way, in
turns, and writes ``benchmarks/results/busy_machine.json``: median seconds, and how many times faster than the first
way. Ways: tiles one after the other on all cores, or side by side with a core each; threads that wait actively
(OpenMP's default) or asleep.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

RESULT = Path(__file__).parent / "results" / "busy_machine.json"
IMAGE = Path(__file__).parents[1] / "examples" / "images" / "monuseg_kidney.jpg"
# Name, waiting policy, side by side.
WAYS = (
    ("one after the other, active", "ACTIVE", False),
    ("one after the other, asleep", "PASSIVE", False),
    ("side by side, active", "ACTIVE", True),
    ("side by side, asleep", "PASSIVE", True),
)
SIDES = {"one tile": 500, "nine tiles": 1000}
ROUNDS, REPEATS = 3, 3


def measure(together: bool) -> dict[str, list[float]]:
    """Seconds of encoding and asking, by kind of image; in the process that was started for one way."""
    import numpy as np
    import torch

    from pathsegmentor import Picture, Segmenter, read_picture
    from pathsegmentor.segment import segmenter as module

    if not together:
        module.side_by_side = map  # type: ignore[assignment]
    found: dict[str, list[float]] = {"threads": [float(torch.get_num_threads())]}
    segmenter = Segmenter.from_pretrained("nano")
    pixels = read_picture(IMAGE).pixels
    for kind, side in SIDES.items():
        grow = [(0, max(side - n, 0)) for n in pixels.shape[:2]]
        picture = Picture(np.pad(pixels, [*grow, (0, 0)], mode="reflect")[:side, :side].copy(), (0.25, 0.25), kind)
        found[kind] = []
        for _ in range(REPEATS + 1):
            encoded = segmenter.encode_image(picture)
            started = time.perf_counter()
            segmenter.segment(encoded, ["nuclei in kidney", "lymphocytes"])
            found[kind].append(time.perf_counter() - started)
        del found[kind][0]
    return found


@contextmanager
def busy(processes: int) -> Iterator[None]:
    """Other processes that use a core each."""
    others = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(processes)]
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--measure", choices=["apart", "together"], help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.measure:
        print(json.dumps(measure(asked.measure == "together")))
        return
    seconds: dict[tuple[str, str, str], list[float]] = {}
    threads = 0
    for state, others in (("quiet", 0), ("one busy process", 1)):
        with busy(others):
            for _ in range(ROUNDS):
                for name, policy, together in WAYS:
                    command = [sys.executable, __file__, "--measure", "together" if together else "apart"]
                    env = os.environ | {"OMP_WAIT_POLICY": policy}
                    found = json.loads(subprocess.run(command, env=env, check=True, capture_output=True).stdout)
                    threads = int(found["threads"][0])
                    for kind in SIDES:
                        seconds.setdefault((state, kind, name), []).extend(found[kind])
    rows = []
    for (state, kind, name), values in seconds.items():
        first = statistics.median(seconds[state, kind, WAYS[0][0]])
        median = statistics.median(values)
        rows.append(
            {
                "machine": state,
                "image": kind,
                "way": name,
                "seconds": round(median, 3),
                "times_faster": round(first / median, 2),
            }
        )
        print(rows[-1], flush=True)
    machine = {"processor": platform.processor() or platform.machine(), "cores": os.cpu_count(), "threads": threads}
    RESULT.write_text(json.dumps({"machine": machine, "rows": rows}, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
