"""``pathsegmentor segment``: run the Segmenter and write what it found."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from pathsegmentor.cli.plain import plain
from pathsegmentor.cli.progress import bar
from pathsegmentor.cli.streams import speaking
from pathsegmentor.cli.tell import tell_json, tell_table
from pathsegmentor.errors import BadInput
from pathsegmentor.export.folder import file_names, write
from pathsegmentor.export.place import own_folder, placed
from pathsegmentor.segment import EncodedImage, Result, Segmenter
from pathsegmentor.slide import Box, cut_out


def run(
    image: Path,
    prompts: list[str],
    model: str,
    mpp: float | None,
    region: str | None,
    out: Path | None,
    threshold: float | None,
    device: str,
    as_json: bool,
) -> None:
    """Read, segment, write, tell."""
    box = _box(region) if region else None
    with _quiet_libraries():
        picture = cut_out(image, mpp, box)
    segmenter = Segmenter.from_pretrained(model, device)
    encoded = segmenter.encode_image(picture)
    # What is wrong with the request, or with the place, is said before minutes are spent.
    labels = [candidate.label for candidate in segmenter.understand(prompts)]
    segmenter.threshold(threshold)
    # Regions of one slide do not replace each other.
    named = image.with_name(f"{image.stem}-{region.replace(',', '-')}{image.suffix}") if region else image
    folder = own_folder(named, picture.sha256) if out is None else out
    only = picture.sha256 if out is None else None
    with placed(folder, file_names(labels, picture), [image], only) as stage:
        result = _segment(segmenter, encoded, prompts, threshold)
        masks = write(result, picture, stage, folder)
    if as_json:
        tell_json(result.to_dict(masks))
    else:
        _tell(result, folder)


def _box(text: str) -> Box:
    """A region from ``x,y,width,height``."""
    try:
        x, y, width, height = (int(part) for part in text.split(","))
    except ValueError as error:
        raise BadInput(
            f"--region {text} is not x,y,width,height in whole pixels, such as 2000,3000,1024,1024"
        ) from error
    return Box(x, y, width, height)


def _segment(segmenter: Segmenter, encoded: EncodedImage, prompts: list[str], threshold: float | None) -> Result:
    with bar() as shown:
        task = shown.add_task("tiles", total=None)
        return segmenter.segment(
            encoded, prompts, threshold, lambda done, total: shown.update(task, completed=done, total=total)
        )


@contextmanager
def _quiet_libraries() -> Iterator[None]:
    """Keep what libtiff and its like print about broken files off stderr; our one line says it."""
    sys.stderr.flush()
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    try:
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def _tell(result: Result, folder: Path) -> None:
    columns = ("prompt", "understood as", "status", "presence#", "objects#", "area um2#", "area %#", "seconds#")
    rows = [
        (
            f.prompt,
            f"{f.label.id} ({f.reason})",
            f"{f.status}: {f.note}" if f.note else f.status,
            f"{f.presence:.2f}",
            f.count,
            f"{f.area_um2:.0f}",
            f"{100 * f.area_fraction:.1f}",
            f"{f.seconds:.2f}",
        )
        for f in result.founds
    ]
    title = f"{result.image}: {result.width} x {result.height} at {result.mpp[0]:g} um/px, {result.model}"
    tell_table(title, columns, rows)
    with speaking():
        for note in result.notes:
            print(f"note: {plain(note)}")
        where = f"{plain(folder)}/ (overlay.png, result.geojson, masks)"
        print(f"encoded in {result.encode_seconds:.1f} s; results in {where}")
        print("research use only")
