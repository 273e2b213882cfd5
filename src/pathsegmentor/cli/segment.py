"""``pathsegmentor segment``: run the Segmenter and write what it found."""

from __future__ import annotations

import json
import sys
from pathlib import Path

from rich.console import Console

from pathsegmentor.atomic import whole_file
from pathsegmentor.cli.tell import tell_json, tell_table
from pathsegmentor.errors import BadInput
from pathsegmentor.export.geojson import dumps
from pathsegmentor.imaging import PALETTE, Picture, overlay, read_picture, write_png
from pathsegmentor.segment import Found, Result, Segmenter


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
    picture = read_picture(image, mpp)
    segmenter = Segmenter.from_pretrained(model, device)
    encoded = segmenter.encode_image(picture)
    folder = _writable(out or Path(f"{image.stem}-segmented"))
    with Console(stderr=True).status("segmenting", spinner="dots") if sys.stderr.isatty() else _Quiet():
        result = segmenter.segment(encoded, prompts, threshold)
    masks = write(result, picture, folder)
    if as_json:
        tell_json(result.to_dict(masks))
    else:
        _tell(result, folder)


class _Quiet:
    """No spinner where nobody watches."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        pass


def _writable(folder: Path) -> Path:
    """Make the folder and prove that it takes files, before minutes are spent."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with whole_file(folder / ".writable"):
            pass
        (folder / ".writable").unlink()
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise BadInput(f"--out {folder} cannot be written: {reason}") from error
    return folder


def write(result: Result, picture: Picture, folder: Path) -> list[str]:
    """Masks, overlay, GeoJSON and record; returns the masks' paths, one per prompt."""
    labels = list(dict.fromkeys(found.label.id for found in result.founds))
    colours = {label: PALETTE[i % len(PALETTE)] for i, label in enumerate(labels)}
    paths = [folder / f"{found.label.file_name}.png" for found in result.founds]
    try:
        for path, found in zip(paths, result.founds, strict=True):
            write_png(path, found.mask.astype("uint8") * 255)
        layers = [(_legend(f), f.mask, colours[f.label.id]) for f in result.founds]
        write_png(folder / "overlay.png", overlay(picture.pixels, layers, result.mpp))
        names = [str(path) for path in paths]
        record = json.dumps(result.record(names), indent=1, allow_nan=False) + "\n"
        for name, text in (("result.geojson", dumps(result, colours)), ("result.json", record)):
            with whole_file(folder / name) as beside:
                beside.write_text(text, encoding="utf-8")
    except OSError as error:
        raise BadInput(f"{folder} could not be written: {error.strerror or error}") from error
    return names


def _legend(found: Found) -> str:
    detail = f"{found.count} objects" if found.status != "absent" else "absent"
    return f"{found.prompt}: {found.label.object_type.lower()}, {detail}"


def _tell(result: Result, folder: Path) -> None:
    columns = ("prompt", "understood as", "status", "presence#", "objects#", "area um2#", "area %#", "seconds#")
    rows = [
        (
            f.prompt,
            f"{f.label.id} ({f.reason})",
            f.status,
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
    print(f"encoded in {result.encode_seconds:.1f} s; results in {folder}/ (overlay.png, result.geojson, masks)")
    print("research use only")
