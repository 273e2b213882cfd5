"""``pathsegmentor segment``: run the Segmenter and write what it found."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryFile

from rich.console import Console

from pathsegmentor.atomic import whole_file
from pathsegmentor.cli.stdout import speaking
from pathsegmentor.cli.tell import tell_json, tell_table
from pathsegmentor.errors import BadInput
from pathsegmentor.export.geojson import dumps
from pathsegmentor.imaging import PALETTE, Picture, overlay, read_picture, write_png
from pathsegmentor.segment import Found, Result, Segmenter
from pathsegmentor.vocabulary import Label


def run(
    image: Path,
    prompts: list[str],
    model: str,
    mpp: float | None,
    out: Path | None,
    threshold: float | None,
    device: str,
    as_json: bool,
) -> None:
    """Read, segment, write, tell."""
    with _quiet_libraries():
        picture = read_picture(image, mpp)
    segmenter = Segmenter.from_pretrained(model, device)
    encoded = segmenter.encode_image(picture)
    # What is wrong with the request is said before a folder is made.
    segmenter.understand(prompts)
    segmenter.threshold(threshold)
    folder = _writable(out or Path(f"{image.stem}-segmented"))
    with Console(stderr=True).status("segmenting", spinner="dots") if sys.stderr.isatty() else nullcontext():
        result = segmenter.segment(encoded, prompts, threshold)
    masks = write(result, picture, folder)
    if as_json:
        tell_json(result.to_dict(masks))
    else:
        _tell(result, folder)


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


def _writable(folder: Path) -> Path:
    """Make the folder and prove that it takes files, before minutes are spent."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInput(f"--out {folder} cannot be written: {reason}") from error
    return folder


def write(result: Result, picture: Picture, folder: Path) -> list[str]:
    """Masks, overlay, GeoJSON and record, all of them or none; returns the masks' paths, one per prompt."""
    labels = [found.label for found in result.distinct]
    colours = {label.id: PALETTE[i % len(PALETTE)] for i, label in enumerate(labels)}
    paths = {label.id: folder / f"{name}.png" for label, name in zip(labels, _names(labels), strict=True)}
    masks = [str(paths[found.label.id]) for found in result.founds]
    layers = [(_legend(result, found), found.mask, colours[found.label.id]) for found in result.distinct]
    texts = {
        folder / "result.geojson": dumps(result, colours),
        folder / "result.json": json.dumps(result.record(masks), indent=1, allow_nan=False) + "\n",
    }
    try:
        # The files take their names together, at the end: a full disk leaves an earlier result as it was.
        with ExitStack() as stack:
            for found in result.distinct:
                path = paths[found.label.id]
                write_png(stack.enter_context(whole_file(path)), found.mask.astype("uint8") * 255)
            drawn = overlay(picture.pixels, layers, result.mpp)
            write_png(stack.enter_context(whole_file(folder / "overlay.png")), drawn)
            for path, text in texts.items():
                stack.enter_context(whole_file(path)).write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{folder} could not be written: {error.strerror or error}") from error
    return masks


def _names(labels: Sequence[Label]) -> list[str]:
    """File names of the labels; of labels that differ only in what a file name cannot hold, later ones get a number."""
    names: list[str] = []
    for label in labels:
        name, number = label.file_name, 2
        while name in names:
            name, number = f"{label.file_name}-{number}", number + 1
        names.append(name)
    return names


def _legend(result: Result, found: Found) -> str:
    prompts = dict.fromkeys(other.prompt for other in result.founds if other.label == found.label)
    detail = f"{found.count} objects" if found.status != "absent" else _status(found)
    return f"{', '.join(prompts)}: {found.label.object_type.lower()}, {detail}"


def _status(found: Found) -> str:
    return f"{found.status}, {found.status_reason}" if found.status_reason else found.status


def _tell(result: Result, folder: Path) -> None:
    columns = ("prompt", "understood as", "status", "presence#", "objects#", "area um2#", "area %#", "seconds#")
    rows = [
        (
            f.prompt,
            f"{f.label.id} ({f.reason})",
            _status(f),
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
            print(f"note: {note}")
        print(f"encoded in {result.encode_seconds:.1f} s; results in {folder}/ (overlay.png, result.geojson, masks)")
        print("research use only")
