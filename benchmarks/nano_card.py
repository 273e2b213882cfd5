"""Write nano's model card from measured scores.

``pathsegmentor evaluate --config configs/nano.yaml --data PATHSEG --out EVALUATED`` measures;
``python benchmarks/nano_card.py EVALUATED`` copies the scores to ``benchmarks/results/nano_test.json``, fills
``benchmarks/nano_card.md`` and writes the card into the model folder.
"""

from __future__ import annotations

import json
import math
import sys
from pathlib import Path
from typing import Any

import yaml
from safetensors import safe_open

from pathsegmentor.atomic import sha256_of, whole_file
from pathsegmentor.evaluate.summary import summarise
from pathsegmentor.model.find import bundled
from pathsegmentor.model.folder import CARD, WEIGHTS, write_sums

HERE = Path(__file__).parent

# Dice of one U-Net per data set, trained for a quarter of an hour on its training part and measured once on
# its test part (EfficientNet-Lite0 encoder, all classes of the set at once; expect +-0.01).
SPECIALISED = {
    ("glas", "colon-tissue-gland"): 0.911,
    ("glas", "colon-tissue-benign gland"): 0.929,
    ("glas", "colon-tissue-malignant gland"): 0.894,
    ("monuseg", "unspecified-nuclei-nuclei"): 0.808,
    ("tnbc", "breast-nuclei-nuclei"): 0.786,
    ("consep", "colon-nuclei-nuclei"): 0.789,
    ("consep", "colon-nuclei-epithelial"): 0.800,
    ("consep", "colon-nuclei-inflammatory"): 0.515,
    ("consep", "colon-nuclei-spindle-shaped"): 0.550,
    ("monusac", "unspecified-cell-epithelial"): 0.606,
    ("monusac", "unspecified-cell-lymphocyte"): 0.591,
    ("monusac", "unspecified-cell-macrophage"): 0.257,
    ("monusac", "unspecified-cell-neutrophil"): 0.122,
}


def scores_of(summary: dict[str, Any]) -> dict[str, Any]:
    """What the card says, from an evaluation's summary."""
    run, presence = summary["run"], summary["presence"]
    kept = ("source", "label", "dice", "dice_low", "dice_high", "called_absent")
    rows = [
        {key: row[key] for key in kept} | {"images": row["pairs"]}
        for row in summary["tables"]["by_source_and_label"]
        if row["pairs"]
    ]
    found = {key: run[key] for key in ("model", "weights_sha256", "manifest_sha256")} | {
        "split": run["settings"]["split"],
        "rows": rows,
        "pairs_present": summary["overall"]["pairs"],
        "pairs_passed_over": summary["overall"]["passed_over"],
        "dice_mean": summary["overall"]["dice"],
        "dice_low": summary["overall"]["dice_low"],
        "dice_high": summary["overall"]["dice_high"],
    }
    for kind, ending in (("looked_for", "_looked_for"), ("all", "")):
        found[f"presence_auroc{ending}"] = presence[kind]["auroc"]
        found[f"pairs_absent{ending}"] = presence[kind]["absent"]
        for word in ("absent", "present"):
            found[f"absent_called_{word}{ending}"] = presence[kind][f"absent_called_{word}"]
    return {key: round(value, 4) if isinstance(value, float) else value for key, value in found.items()}


def table(scores: dict[str, Any]) -> str:
    """Rows of the card's table."""
    lines = ["| data | label | images | Dice | called absent | specialised U-Net |", "|---|---|---:|---:|---:|---:|"]
    for row in scores["rows"]:
        anchor = SPECIALISED.get((row["source"], row["label"]))
        lines.append(
            f"| {row['source']} | {row['label']} | {row['images']} | {row['dice']:.3f} | {row['called_absent']} |"
            f" {'' if anchor is None else format(anchor, '.3f')} |"
        )
    return "\n".join(lines)


def sizes(weights: Path) -> dict[str, str]:
    """Millions of parameters and of bytes."""
    with safe_open(weights, "np") as file:
        count = sum(math.prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118
    return {"parameters": f"{count / 1e6:.1f}", "megabytes": f"{weights.stat().st_size / 1e6:.1f}"}


def card(scores: dict[str, Any], weights: Path) -> str:
    """The whole card: front matter and text."""
    front = {
        "license": "cc-by-nc-sa-4.0",
        "library_name": "pathsegmentor",
        "pipeline_tag": "image-segmentation",
        "tags": ["pathology", "histology", "H&E", "text-prompted segmentation"],
        "metrics_measured": {key: scores[key] for key in ("dice_mean", "presence_auroc_looked_for", "presence_auroc")},
    }
    text = (HERE / "nano_card.md").read_text(encoding="utf-8")
    for name, value in {"TABLE": table(scores), **sizes(weights), **scores}.items():
        text = text.replace("{" + name + "}", str(value))
    return f"---\n{yaml.safe_dump(front, sort_keys=False)}---\n{text}"


def main() -> None:
    scores = scores_of(summarise(Path(sys.argv[1])))
    folder = bundled()["nano"]
    if scores["weights_sha256"] != sha256_of(folder / WEIGHTS):
        sys.exit("these scores were measured with other weights; evaluate again")
    (HERE / "results").mkdir(exist_ok=True)
    (HERE / "results" / "nano_test.json").write_text(json.dumps(scores, indent=1) + "\n", encoding="utf-8")
    with whole_file(folder / CARD) as beside:
        beside.write_text(card(scores, folder / WEIGHTS), encoding="utf-8")
    write_sums(folder)
    print(f"wrote {folder / CARD}")


if __name__ == "__main__":
    main()
