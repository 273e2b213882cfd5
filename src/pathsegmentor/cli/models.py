"""``pathsegmentor models``: what is installed; models and released weights in and out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from pathsegmentor.cli.places import keep_apart
from pathsegmentor.cli.tell import tell_json, tell_table
from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.model.find import bundled, find_folder
from pathsegmentor.model.folder import CARD, WEIGHTS, check_sums, read_vocabulary
from pathsegmentor.model.store import check_free, pulled


def show(as_json: bool) -> None:
    """Name, licence, size, labels and metrics of every bundled or pulled model, its hashes checked."""
    rows = [describe(name, folder) for name, folder in (bundled() | pulled()).items()]
    if as_json:
        tell_json(rows)
        return
    tell_table(
        "installed models",
        ("name", "licence", "MB#", "labels#", "mean Dice, test#", "presence AUROC, test#"),
        [
            (
                r["name"],
                r["licence"],
                f"{r['bytes'] / 1e6:.1f}",
                r["labels"],
                r["metrics"].get("dice_mean", "-"),
                r["metrics"].get("presence_auroc", "-"),
            )
            for r in rows
        ],
    )


def describe(name: str, folder: Path) -> dict[str, Any]:
    """What a model's folder says of itself; raises ``BadModel`` if a file is damaged."""
    hashes = check_sums(folder)
    front = front_matter((folder / CARD).read_text(encoding="utf-8")) if CARD in hashes else {}
    return {
        "name": name,
        "folder": str(folder),
        "licence": str(front.get("license", "not stated")),
        "bytes": sum(path.stat().st_size for path in folder.iterdir()),
        "labels": len(read_vocabulary(folder)),
        "metrics": front.get("metrics_measured") or {},
        "weights_sha256": hashes[WEIGHTS],
    }


def front_matter(card: str) -> dict[str, Any]:
    """The YAML between the first two ``---`` lines of a model card, or nothing."""
    parts = card.split("---\n", 2)
    try:
        values = yaml.safe_load(parts[1]) if card.startswith("---\n") and len(parts) == 3 else None
    except yaml.YAMLError as error:
        raise BadModel(f"the model card's front matter is no YAML: {' '.join(str(error).split())}") from error
    return values if isinstance(values, dict) else {}


def import_released(checkpoint: Path, out: Path, tokenizer: Path) -> None:
    """Convert a released checkpoint to a model folder."""
    from pathsegmentor.model.released import import_checkpoint

    import_checkpoint(checkpoint, out, tokenizer)
    print(f"wrote {out}/; use it with --model {out}")


def export_released(folder: Path, out: Path) -> None:
    """Convert a model folder back to the released layout."""
    from pathsegmentor.model.released import export_checkpoint

    keep_apart(out, folder)
    export_checkpoint(folder, out)
    print(f"wrote {out}")


def pull_model(source: str, out: Path | None) -> None:
    """Get a model and say how to use it."""
    from pathsegmentor.model.pull import pull

    done = pull(source, out)
    print(f"wrote {done.folder}/; use it with --model {done.name}")


def push_model(model: str, hub: str | None, out: Path | None, public: bool) -> None:
    """Give a model away, to the Hub or to a folder."""
    from pathsegmentor.model.pull import copy_model, push

    if (hub is None) == (out is None):
        raise BadInput("say where to: --hub OWNER/NAME, or --out FOLDER, one of them")
    _, folder = find_folder(model)
    if out is not None:
        check_free(out)
        copy_model(folder, out)
        print(f"wrote {out}/; use it with --model {out}")
    elif hub is not None:
        print(f"wrote {push(folder, hub, public)}; use it with --model {hub}")
