"""Broken slide files through ``open_slide``: a picture with its losses marked, or one line."""

from __future__ import annotations

import random
import shutil
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

import numpy as np
import pytest

from pathsegmentor.slide import open_slide
from tests.fuzz.harness import fuzz
from tests.fuzz.mutate import broken_bytes
from tests.slide.made import TINY, big_tiff, jpeg, ome_tiff, ome_zarr, region
from tests.slide.made_dicom import dicom


@cache
def whole() -> tuple[Path, ...]:
    """Small slides of every kind."""
    home = Path(mkdtemp())
    tile = jpeg(region(256)[:64, :64])
    return (
        TINY,
        ome_tiff(home / "a.tif", region(128), tile=(64, 64)),
        big_tiff(home / "b.tif", [(256, 256, 64, lambda r, c: tile), (128, 128, 64, lambda r, c: None)]),
        ome_zarr(home / "c", region(128)),
        ome_zarr(home / "d", region(128), "0.5"),
        dicom(home / "e", region(128)),
    )


def try_slide(rng: random.Random, folder: Path) -> None:
    kind = rng.choice(whole())
    path = folder / kind.name
    if kind.is_dir():
        shutil.copytree(kind, path)
    else:
        shutil.copy(kind, path)
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
    target = rng.choice(files)
    target.write_bytes(broken_bytes(rng, target.read_bytes()))
    with open_slide(path, rng.choice((None, 0.5))) as slide:
        width, height = slide.size
        seen = slide.region(-5, -5, min(width + 10, 300), min(height + 10, 300))
        assert seen.pixels.dtype == np.uint8 and seen.pixels.shape[2:] == (3,)
        assert seen.lost is None or (seen.pixels[seen.lost > 0] == 255).all()
        slide.read(0, 0, width, height, size=(50, 50)) if width * height < 10**7 else None


@pytest.mark.slow
def test_slides(tmp_path: Path) -> None:
    fuzz("slides", tmp_path, try_slide)
