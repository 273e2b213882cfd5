"""Broken picture files through ``read_picture``."""

from __future__ import annotations

import io
import random
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tifffile
from PIL import Image

from pathsegmentor.imaging import read_picture
from tests.fuzz.harness import fuzz
from tests.fuzz.mutate import broken_bytes, with_right_checksums

EXAMPLE = Path(__file__).parents[2] / "examples" / "images" / "ebhi_normal.jpg"


def saved(image: Image.Image, kind: str, **options: Any) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def tiff(pixels: np.ndarray, **options: Any) -> bytes:
    file = io.BytesIO()
    tifffile.imwrite(file, pixels, **options)
    return file.getvalue()


@cache
def whole() -> tuple[tuple[str, bytes], ...]:
    """Small files of every kind and mode, as (suffix, bytes)."""
    image = Image.open(EXAMPLE).convert("RGB").crop((40, 40, 104, 88))
    grey, pixels = image.convert("L"), np.asarray(image)
    wide = np.asarray(grey).astype(np.uint16) * 257
    turned = Image.Exif()
    turned[0x0112] = 6
    ome = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeXUnit": "µm", "PhysicalSizeY": 0.5}
    return (
        ("png", saved(image, "PNG", dpi=(25400, 25400))),
        ("png", saved(image.convert("RGBA"), "PNG")),
        ("png", saved(image.convert("P"), "PNG")),
        ("png", saved(Image.fromarray(wide), "PNG")),
        ("png", saved(grey.convert("1"), "PNG")),
        ("jpg", saved(image, "JPEG", exif=turned, quality=90)),
        ("jpg", saved(image, "JPEG", progressive=True)),
        ("jpg", saved(image.convert("CMYK"), "JPEG")),
        ("webp", saved(image, "WEBP")),
        ("webp", saved(image, "WEBP", lossless=True)),
        ("bmp", saved(image, "BMP")),
        ("bmp", saved(image.convert("P"), "BMP")),
        ("tif", tiff(pixels, photometric="rgb", resolution=(20000, 20000), resolutionunit="CENTIMETER")),
        ("tif", tiff(pixels, photometric="rgb", tile=(32, 32), compression="deflate", metadata=ome, ome=True)),
        ("tif", tiff(pixels, photometric="rgb", compression="jpeg")),
        ("tif", tiff(pixels, photometric="rgb", compression="lzw", predictor=True, byteorder=">")),
        ("tif", tiff(np.moveaxis(pixels, 2, 0), imagej=True, metadata={"unit": "um", "mode": "composite"})),
        ("tif", tiff(pixels.astype(np.uint16) * 16, photometric="rgb", bigtiff=True)),
    )


def try_reader(rng: random.Random, folder: Path) -> None:
    suffix, data = rng.choice(whole())
    broken = broken_bytes(rng, data)
    if suffix == "png" and rng.random() < 0.7:
        broken = with_right_checksums(broken)
    path = folder / f"picture.{suffix}"
    path.write_bytes(broken)
    picture = read_picture(path, rng.choice((None, 0.5)))
    assert picture.pixels.dtype == np.uint8 and picture.pixels.shape[2:] == (3,)
    assert path.read_bytes() == broken, "an input was modified"


@pytest.mark.slow
def test_readers(tmp_path: Path) -> None:
    fuzz("readers", tmp_path, try_reader)
