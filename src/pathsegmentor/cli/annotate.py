"""``pathsegmentor annotate``."""

from __future__ import annotations

from pathlib import Path

import typer

from pathsegmentor.cli.plain import plain
from pathsegmentor.cli.progress import bar
from pathsegmentor.cli.streams import complain, speaking
from pathsegmentor.cli.tell import tell_json, tell_table
from pathsegmentor.data.files import IMAGES
from pathsegmentor.errors import BadInput
from pathsegmentor.export.annotate import ORDER, annotate
from pathsegmentor.segment import Segmenter

SHOWN = 20


def run(
    images: list[Path], prompts: list[str], model: str, mpp: float | None, out: Path, device: str, as_json: bool
) -> None:
    """Write what the model sees; exit 1 if some images could not be used."""
    chosen = list(files_of(images))
    segmenter = Segmenter.from_pretrained(model, device)
    with bar() as shown:
        task = shown.add_task("images", total=len(chosen))
        seen, failed = annotate(
            chosen, segmenter, prompts, out, mpp, lambda done, total: shown.update(task, completed=done)
        )
    for line in failed:
        complain(line)
    if as_json:
        tell_json({"out": str(out), "images": [vars(one) for one in seen], "failed": failed})
    else:
        rows = [(one.name, f"{one.sureness:.3f}", one.label, one.objects) for one in seen[:SHOWN]]
        tell_table("least sure first", ("image", "sureness#", "least sure of", "objects#"), rows)
        with speaking():
            print(f"{len(seen)} images in {plain(out)}/, in the order of {ORDER}; correct NAME.geojson, then")
            print(f"pathsegmentor finetune --data {plain(out)} --model {plain(model)} --out MODEL")
    if failed:
        raise typer.Exit(1)


def files_of(given: list[Path]) -> list[Path]:
    """The images named, and those in folders that are named."""
    found: list[Path] = []
    for path in given:
        if path.is_dir():
            inside = sorted(p for p in path.iterdir() if p.suffix.lower() in IMAGES and not p.name.startswith("."))
            if not inside:
                raise BadInput(f"{path} holds no image; name files, or a folder with images in it")
            found += inside
        else:
            found.append(path)
    return found
