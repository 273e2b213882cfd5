"""``pathsegmentor evaluate``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pathsegmentor.atomic import sha256_of
from pathsegmentor.cli.places import json_file
from pathsegmentor.cli.tell import tell_json, tell_table
from pathsegmentor.data.manifest import MANIFEST
from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.run import evaluate, summary
from pathsegmentor.segment import Segmenter
from pathsegmentor.train.config import read_train_config


def run(config: Path, data: Path, model: str, split: str, out: Path | None, device: str, as_json: bool) -> None:
    """Evaluate on the config's sources and tell or write the scores."""
    if split not in ("train", "val", "test"):
        raise BadInput(f"--split {split}: choose train, val or test")
    settings = read_train_config(config)
    pathseg = PathSeg(data)
    entries = pathseg.select(split, settings.sources, settings.held_out, settings.seed)
    segmenter = Segmenter.from_pretrained(model, device)
    scores: dict[str, Any] = {"model": model, "weights_sha256": segmenter.model.weights_sha256, "split": split}
    scores["manifest_sha256"] = sha256_of(data / MANIFEST)
    with json_file(None if out is None else out / "scores.json") as write:
        scores |= summary(evaluate(segmenter, pathseg, entries))
        write(scores)
    if as_json:
        tell_json(scores)
        return
    rows = [(r["source"], r["label"], r["images"], f"{r['dice']:.3f}", r["called_absent"]) for r in scores["rows"]]
    tell_table(f"{model}, {split} split", ("source", "label", "images#", "Dice#", "called absent#"), rows)
    print(f"presence AUROC {scores['presence_auroc']} over {scores['pairs_present']} present and", end=" ")
    print(f"{scores['pairs_absent']} absent pairs; mean Dice {scores['dice_mean']}")
