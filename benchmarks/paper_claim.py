"""The paper's claim in small: one `nano` against specialists trained on the same train parts, and boxes as oracles.

    python benchmarks/paper_claim.py --data pathseg --out runs/paper_claim

trains a U-Net, a DeepLabV3+ (Lite0) and an nnU-Net (shrunk) for every source that has a train and a test part, each for
the same minutes of processor time; evaluates them, the model and the filled boxes on the test parts; compares; and
writes `benchmarks/results/paper_claim.md` and `.json` with commands and machine. Every piece is a command that goes on
where it was cut off, so the same line does the rest. `--only train` (or `evaluate`, `compare`, `write`) does one kind
of piece, `--source` some sources; `--steps 3` is for trying it out, and writes nothing into `benchmarks/results`.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from pathsegmentor.atomic import whole_file
from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.evaluate.baselines.nnunet_env import MARK, place
from pathsegmentor.evaluate.baselines.specialist import SPEC, read_spec
from pathsegmentor.evaluate.intervals import bootstrap
from pathsegmentor.evaluate.samples import read_samples

HERE = Path(__file__).parent
CONFIGS, RESULTS = HERE.parent / "configs" / "baselines", HERE / "results"
PIECES = ("train", "evaluate", "compare", "write")
# Baseline, config, and how its rows are called.
SPECIALISTS = {
    "unet": ("unet", "U-Net (Lite0)"),
    "deeplabv3plus_lite0": ("deeplabv3plus", "DeepLabV3+ (Lite0)"),
    "nnunet_shrunk": ("nnunet", "nnU-Net (shrunk)"),
}
ORACLES = {"filled-union": "filled union box", "filled-instances": "filled instance boxes"}


@dataclass(frozen=True)
class Claim:
    """What is compared, on what, for how long."""

    data: Path
    out: Path
    model: str
    sources: tuple[str, ...]
    minutes: float
    steps: int

    @property
    def budget(self) -> str:
        return f"{self.steps} steps" if self.steps else f"{self.minutes:g} minutes of processor time"

    @property
    def here(self) -> list[str]:
        """Configs whose baseline can run on this machine."""
        return [name for name in SPECIALISTS if name != "nnunet_shrunk" or (place() / MARK).is_file()]


def sources_with_both_parts(data: Path) -> tuple[str, ...]:
    parts: dict[str, set[str]] = {}
    for entry in PathSeg(data).entries:
        parts.setdefault(entry.first.source, set()).add(entry.first.split)
    return tuple(sorted(source for source, splits in parts.items() if {"train", "test"} <= splits))


def command(claim: Claim, *arguments: str) -> None:
    """Run one command of the project, and note it with its seconds; exit 1 of an evaluation is failed pairs."""
    line = ["pathsegmentor", *arguments]
    print("$", shlex.join(line), flush=True)
    started, before = time.perf_counter(), os.times()
    done = subprocess.run([sys.executable, "-m", *line])
    after = os.times()
    if done.returncode not in (0, 1):
        sys.exit(done.returncode)
    spent = after.children_user + after.children_system - before.children_user - before.children_system
    note = {
        "command": shlex.join(line),
        "exit": done.returncode,
        "seconds": round(time.perf_counter() - started, 1),
        "processor_seconds": round(spent, 1),
    }
    with (claim.out / "commands.jsonl").open("a", encoding="utf-8") as file:
        file.write(json.dumps(note) + "\n")


def train(claim: Claim) -> None:
    for name in claim.here:
        path = claim.out / f"{name}.yaml"
        settings = {"steps": claim.steps, "minutes": 0.0} if claim.steps else {"steps": 0, "minutes": claim.minutes}
        for file in CONFIGS.glob("*.yaml"):  # a config extends one that lies beside it
            with whole_file(claim.out / f"of-{file.name}") as beside:
                beside.write_text(file.read_text(encoding="utf-8").replace("extends: ", "extends: of-"))
        with whole_file(path) as beside:
            beside.write_text(yaml.safe_dump({"extends": f"of-{name}.yaml", **settings}))
        for source in claim.sources:
            folder = str(claim.out / "trained" / name)
            command(
                claim, "baselines", "train", str(path), "--data", str(claim.data), "--out", folder, "--source", source
            )


def runs(claim: Claim) -> dict[str, str]:
    """What ``--model`` is given, by the folder of the evaluation."""
    trained = {name: f"{SPECIALISTS[name][0]}:{claim.out / 'trained' / name}" for name in claim.here}
    return {"model": claim.model, **trained, **{name: name for name in ORACLES}}


def titles(claim: Claim) -> dict[str, str]:
    """How the runs are called, by the folder of the evaluation."""
    specialists = {name: title for name, (_, title) in SPECIALISTS.items()}
    return {"model": f"{Path(claim.model).name} (one model)", **specialists, **ORACLES}


def evaluate(claim: Claim) -> None:
    sources = [word for source in claim.sources for word in ("--source", source)]
    for name, model in runs(claim).items():
        out = str(claim.out / "evaluated" / name)
        fixed = ["--data", str(claim.data), "--split", "test", "--absent", "none"]
        command(claim, "evaluate", "--model", model, *fixed, *sources, "--out", out)


def compare(claim: Claim) -> None:
    named = titles(claim)
    folders = [f"{named[name]}={claim.out / 'evaluated' / name}" for name in runs(claim)]
    command(claim, "compare", *folders, "--data", str(claim.data), "--out", str(claim.out / "compared"))


def write(claim: Claim) -> None:
    """The report, from the folders of the pieces alone."""
    summaries = {}
    for name in runs(claim):
        path = claim.out / "evaluated" / name / "summary.json"
        summaries[name] = json.loads(path.read_text(encoding="utf-8"))
    rows = dice_by_source({name: pairs_of(claim.out / "evaluated" / name) for name in runs(claim)}, claim.sources)
    found = {
        "budget": claim.budget,
        "machine": machine(),
        "manifest_sha256": summaries["model"]["run"]["manifest_sha256"],
        "models": {name: told["run"] | {"labels": len(told["run"]["labels"])} for name, told in summaries.items()},
        "trained": trained(claim),
        "dice": rows,
        "commands": [json.loads(line) for line in (claim.out / "commands.jsonl").read_text().splitlines()],
    }
    folder = claim.out if claim.steps else RESULTS
    with whole_file(folder / "paper_claim.json") as beside:
        beside.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    with whole_file(folder / "paper_claim.md") as beside:
        beside.write_text(report(claim, rows, found, titles(claim)), encoding="utf-8")
    print(f"wrote {folder / 'paper_claim.md'}")


def pairs_of(folder: Path) -> dict[tuple[str, str, str], float]:
    """Dice of every scored pair that the annotation has, by source, image and label."""
    table = read_samples(folder, ["source", "image", "label", "state", "present", "dice"]).to_pylist()
    there = [row for row in table if row["state"] == "scored" and row["present"]]
    return {(row["source"], row["image"], row["label"]): row["dice"] for row in there}


def dice_by_source(
    runs: dict[str, dict[tuple[str, str, str], float]], sources: tuple[str, ...]
) -> dict[str, dict[str, Any]]:
    """Mean and 95 % interval per run and source over the pairs that every run has scored; ``overall`` over all."""
    common = sorted(set.intersection(*(set(pairs) for pairs in runs.values())))
    rows: dict[str, dict[str, Any]] = {}
    for name, pairs in runs.items():
        rows[name] = {}
        for source in (*sources, "overall"):
            keys = [key for key in common if source in (key[0], "overall")]
            if not keys:
                continue
            found = bootstrap(np.array([pairs[key] for key in keys]), draws=2000, seed=0)
            rows[name][source] = {
                "dice": round(found.mean, 4),
                "low": round(found.low, 4),
                "high": round(found.high, 4),
                "pairs": len(keys),
                "scored_by_this_one": sum(source in (key[0], "overall") for key in pairs),
            }
    return rows


def trained(claim: Claim) -> dict[str, dict[str, str]]:
    """What each specialist says of its training."""
    paths = sorted((claim.out / "trained").glob(f"*/*/{SPEC}"))
    return {f"{path.parent.parent.name}/{path.parent.name}": read_spec(path.parent).trained for path in paths}


def report(claim: Claim, rows: dict[str, Any], found: dict[str, Any], named: dict[str, str]) -> str:
    """The table, and what must be known to read it."""
    names, here = list(rows), found["machine"]
    lines = [
        "Dice on the test parts with 95 % intervals over pairs: means over the (image, label) pairs that the annotation"
        " has and that every method was scored on. One model for all sources; each specialist was trained on its"
        f" source's train part for {claim.budget}. Boxes are made from the annotation: oracles, not competitors.",
        "",
        f"| data | pairs | {' | '.join(named[name] for name in names)} |",
        f"|---|{'---:|' * (1 + len(names))}",
    ]
    for source in (*claim.sources, "overall"):
        cells = [_cell(rows[name].get(source)) for name in names]
        pairs = rows["model"].get(source, {"pairs": 0})["pairs"]
        lines.append(f"| {source} | {pairs} | {' | '.join(cells)} |")
    steps: dict[str, list[int]] = {}
    for key, told in found["trained"].items():
        steps.setdefault(key.partition("/")[0], []).append(int(told["steps"]))
    counts = [f"{named.get(name, name)} {min(of)} to {max(of)}" for name, of in steps.items()]
    lines += ["", f"Steps that the budget gave: {'; '.join(counts)}."]
    if "nnunet_shrunk" not in claim.here:
        lines += ["", "nnU-Net is missing: its environment was not made (`pathsegmentor baselines install nnunet`)."]
    lines += [
        "",
        f"Made by `python benchmarks/paper_claim.py` on {here['system']}, {here['cores']} cores, Python"
        f" {here['python']}, torch {here['torch']}; all commands are in `paper_claim.json`.",
    ]
    return "\n".join(lines) + "\n"


def _cell(row: dict[str, Any] | None) -> str:
    return "-" if row is None else f"{row['dice']:.3f} ({row['low']:.3f}-{row['high']:.3f})"


def machine() -> dict[str, Any]:
    import torch

    return {
        "system": f"{platform.system()} {platform.machine()}",
        "cores": os.cpu_count(),
        "python": platform.python_version(),
        "torch": torch.__version__,
        "threads": os.environ.get("OMP_NUM_THREADS", "not limited"),
    }


def main() -> None:
    if len(sys.argv) == 1:
        print(__doc__)
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--model", default="nano")
    parser.add_argument("--minutes", type=float, default=14.0)
    parser.add_argument("--steps", type=int, default=0)
    parser.add_argument("--source", action="append", default=[])
    parser.add_argument("--only", choices=PIECES)
    asked = parser.parse_args()
    sources = tuple(asked.source) or sources_with_both_parts(asked.data)
    claim = Claim(asked.data, asked.out, asked.model, sources, asked.minutes, asked.steps)
    asked.out.mkdir(parents=True, exist_ok=True)
    for piece, do in zip(PIECES, (train, evaluate, compare, write), strict=True):
        if asked.only in (None, piece):
            do(claim)


if __name__ == "__main__":
    main()
