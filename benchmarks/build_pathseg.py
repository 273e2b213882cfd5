"""Images per second and peak memory of ``data build``: one and two workers, and a set ten times as large.

``python benchmarks/build_pathseg.py`` copies the committed EBHI images many times into a temporary source, builds
it and writes ``benchmarks/results/pathseg_build.md``. Every build runs in a process of its own.
"""

from __future__ import annotations

import csv
import json
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SMALL = Path(__file__).parents[1] / "tests" / "data" / "small" / "ebhi"
RESULT = Path(__file__).parent / "results" / "pathseg_build.md"
FEW, MANY = 64, 640


def copies(folder: Path, count: int) -> Path:
    """``count`` images in the layout of EBHI-Seg, copies of the committed ones."""
    with (SMALL / "images.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    made = []
    for number in range(count):
        row = rows[number % len(rows)]
        name = f"{row['image']}-{number}"
        for part, suffix in (("images", ".jpg"), ("masks", ".png")):
            target = folder / row["split"] / part / f"{name}{suffix}"
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(SMALL / row["split"] / part / f"{row['image']}{suffix}", target)
        made.append(row | {"image": name, "case": f"{row['case']}-{number}"})
    with (folder / "images.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, made[0])
        writer.writeheader()
        writer.writerows(made)
    return folder


def measure(source: Path, out: Path, workers: int) -> dict[str, float]:
    """Seconds, and the largest resident set of any process, of one build as a person would start it."""
    command = [sys.executable, "-m", "pathsegmentor", "data", "build", "--source", f"ebhi={source}"]
    code = (
        "import json,resource,subprocess,sys,time; t = time.time();"
        f"subprocess.run({[*command, '--out', str(out), '--workers', str(workers)]!r}, check=True, stdout=2);"
        "print(json.dumps([time.time() - t, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    seconds, megabytes = json.loads(done.stdout)
    return {"seconds": seconds, "megabytes": megabytes}


def main() -> None:
    lines = ["| images | workers | images/s | peak memory of the largest process, MB |", "|---:|---:|---:|---:|"]
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for count, workers in ((FEW, 1), (FEW, 2), (MANY, 1), (MANY, 2)):
            source = folder / f"source-{count}"
            if not source.exists():
                copies(source, count)
            found = measure(source, folder / f"out-{count}-{workers}", workers)
            rate = count / found["seconds"]
            lines.append(f"| {count} | {workers} | {rate:.1f} | {found['megabytes']:.0f} |")
            print(lines[-1], flush=True)
    machine = f"{platform.system()}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    text = "\n".join(lines) + f"\n\nMeasured with `python benchmarks/build_pathseg.py` on {machine}.\n"
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
