"""Every kind of image file becomes the same RGB pixels, or one line says why not."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile
from PIL import Image

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging import read_picture

RNG = np.random.default_rng(1)
RGB = RNG.integers(0, 256, (64, 48, 3), dtype=np.uint8)
GREY = RGB[..., 0]
AS_GREY = np.repeat(GREY[..., None], 3, axis=2)
WIDE = RGB.astype(np.uint16) * 257
HALF_CLEAR = np.where(np.arange(48) < 24, 0, 255).astype(np.uint8) * np.ones((64, 1), np.uint8)
ON_WHITE = np.where(HALF_CLEAR[..., None] == 0, 255, RGB).astype(np.uint8)


def tiff(array: np.ndarray, **options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, array, **options)
    return buffer.getvalue()


def pil(array: np.ndarray, kind: str, mode: str = "", **options: object) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(array)
    (image.convert(mode) if mode else image).save(buffer, kind, **options)
    return buffer.getvalue()


KINDS: dict[str, tuple[Callable[[], bytes], np.ndarray]] = {
    "big TIFF": (lambda: tiff(RGB, photometric="rgb", bigtiff=True), RGB),
    "tiled TIFF": (lambda: tiff(RGB, photometric="rgb", tile=(16, 16), compression="lzw", predictor=True), RGB),
    "planes of 8 bits": (lambda: tiff(np.moveaxis(RGB, 2, 0), photometric="rgb", planarconfig="separate"), RGB),
    "16-bit RGB": (lambda: tiff(WIDE, photometric="rgb"), RGB),
    "16-bit RGB, big-endian": (lambda: tiff(WIDE, photometric="rgb", byteorder=">"), RGB),
    "16-bit RGB, compressed": (lambda: tiff(WIDE, photometric="rgb", compression="zlib", predictor=True), RGB),
    "planes of 16 bits": (
        lambda: tiff(np.moveaxis(WIDE, 2, 0), photometric="rgb", planarconfig="separate"),
        RGB,
    ),
    "16-bit grey": (lambda: tiff(WIDE[..., 0]), AS_GREY),
    "16-bit grey, white is zero": (lambda: tiff(65_535 - WIDE[..., 0], photometric="miniswhite"), AS_GREY),
    "8-bit grey, white is zero": (lambda: tiff(255 - GREY, photometric="miniswhite"), AS_GREY),
    "half transparent PNG": (lambda: pil(np.dstack([RGB, HALF_CLEAR]), "PNG"), ON_WHITE),
    "half transparent WebP": (lambda: pil(np.dstack([RGB, HALF_CLEAR]), "WEBP", lossless=True), ON_WHITE),
    "half transparent TIFF": (
        lambda: tiff(np.dstack([RGB, HALF_CLEAR]), photometric="rgb", extrasamples=["unassalpha"]),
        ON_WHITE,
    ),
    "one bit": (lambda: pil(np.where(AS_GREY > 127, 255, 0).astype(np.uint8), "PNG", "1"), None),
    "palette": (lambda: pil(AS_GREY, "PNG", "P"), None),
    "grey with alpha": (lambda: pil(GREY, "PNG", "LA"), AS_GREY),
    "palette of 8-bit values": (
        lambda: tiff(GREY, photometric="palette", colormap=np.tile(np.arange(256, dtype=np.uint16), (3, 1))),
        AS_GREY,
    ),
    "palette of 16-bit values": (
        lambda: tiff(GREY, photometric="palette", colormap=np.tile(np.arange(256, dtype=np.uint16) * 257, (3, 1))),
        AS_GREY,
    ),
    "palette with transparency": (
        lambda: pil(AS_GREY, "PNG", "P", transparency=bytes([255] * 256)),
        None,
    ),
    "CMYK TIFF": (lambda: pil(np.full_like(RGB, (200, 60, 140)), "TIFF", "CMYK"), np.full_like(RGB, (200, 60, 140))),
    "YCbCr TIFF": (
        lambda: tiff(np.asarray(Image.fromarray(AS_GREY).convert("YCbCr")), photometric="ycbcr"),
        AS_GREY,
    ),
    "CMYK JPEG": (lambda: pil(np.full_like(RGB, (200, 60, 140)), "JPEG", "CMYK"), np.full_like(RGB, (200, 60, 140))),
}


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_gives_the_same_pixels(kind: str, tmp_path: Path) -> None:
    make, expected = KINDS[kind]
    (tmp_path / "a.bin").write_bytes(make())
    pixels = read_picture(tmp_path / "a.bin").pixels
    assert pixels.shape == RGB.shape and pixels.dtype == np.uint8
    if expected is not None:
        worst = 3 if "JPEG" in kind or "YCbCr" in kind else 0
        assert np.abs(pixels.astype(int) - expected).max() <= worst


def test_the_first_page_is_read(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(RGB, photometric="rgb")
        writer.write(255 - RGB, photometric="rgb")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").pixels, RGB)


UPRIGHT = {
    1: RGB,
    2: RGB[:, ::-1],
    3: RGB[::-1, ::-1],
    4: RGB[::-1],
    5: RGB.swapaxes(0, 1),
    6: np.rot90(RGB, -1),
    7: RGB[::-1, ::-1].swapaxes(0, 1),
    8: np.rot90(RGB),
}


@pytest.mark.parametrize("orientation", sorted(UPRIGHT))
@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_every_orientation_is_undone_with_its_scale(orientation: int, suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"a.{suffix}"
    if suffix == "png":
        exif = Image.Exif()
        exif[274] = orientation
        Image.fromarray(RGB).save(path, exif=exif)
    else:
        extra = [(274, "H", 1, orientation, True)]
        resolution = {"resolution": (40_000, 20_000), "resolutionunit": "CENTIMETER"}
        tifffile.imwrite(path, RGB, photometric="rgb", extratags=extra, **resolution)
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.pixels, UPRIGHT[orientation])
    if suffix == "tif":
        assert picture.mpp == pytest.approx((0.25, 0.5) if orientation < 5 else (0.5, 0.25))


def test_the_content_counts_and_not_the_extension(tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.jpg", "PNG")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.jpg").pixels, RGB)


def test_a_small_slide_is_read_with_its_scale(tmp_path: Path) -> None:
    path = tmp_path / "a.svs"
    description = "Aperio Image Library v12\r\n64x48 (16x16) JPEG/RGB Q=30|AppMag = 20|MPP = 0.4990"
    tifffile.imwrite(path, RGB, photometric="rgb", tile=(16, 16), description=description, metadata=None)
    picture = read_picture(path)
    assert picture.mpp == pytest.approx((0.499, 0.499))
    np.testing.assert_array_equal(picture.pixels, RGB)


REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "float RGB": (lambda: tiff(RGB.astype(np.float32), photometric="rgb"), "8-bit RGB"),
    "float grey": (lambda: tiff(GREY.astype(np.float32)), "floating-point"),
    "bomb": (lambda: pil(np.zeros((20_000, 20_000), bool), "PNG"), "more than 178,956,970"),
    "fully transparent": (lambda: pil(np.dstack([RGB, np.zeros_like(GREY)]), "PNG"), "fully transparent"),
    "12-bit JPEG": (lambda: imagecodecs.jpeg_encode(WIDE >> 4, bitspersample=12), "12-bit"),
    "colours without a name": (lambda: tiff(RGB, photometric="cielab"), "holds CIELab"),
    "values of 32 bits": (lambda: tiff(GREY.astype(np.uint32) << 20), "not those of 16 bits"),
    "one pixel": (lambda: pil(RGB[:1, :1], "PNG"), "at least 16"),
    "truncated TIFF": (lambda: (data := tiff(RGB, photometric="rgb"))[: len(data) // 2], "a.bin"),
    "truncated JPEG": (lambda: (data := pil(RGB, "JPEG"))[: len(data) // 2], "cut short"),
    "GIF": (lambda: pil(RGB, "GIF"), "expected PNG, JPEG"),
    "text": (lambda: b"no image at all", "expected PNG, JPEG"),
}


@pytest.mark.parametrize("kind", sorted(REFUSED))
def test_what_cannot_be_read_rightly_is_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    make, expected = REFUSED[kind]
    (tmp_path / "a.bin").write_bytes(make())
    with pytest.raises(BadInput) as caught:
        read_picture(tmp_path / "a.bin")
    assert expected in str(caught.value) and "\n" not in str(caught.value)


@pytest.mark.parametrize("path", ["a" * 5000, "no\0file", "/dev/null"])
def test_paths_that_name_no_image_are_refused(path: str) -> None:
    with pytest.raises(BadInput):
        read_picture(path)


@pytest.mark.skipif(sys.platform != "linux", reason="limits a process's memory as Linux does")
def test_an_image_larger_than_the_memory_is_refused_in_one_line(tmp_path: Path) -> None:
    Image.new("1", (13_000, 13_000)).save(tmp_path / "a.png")
    script = (
        "import resource, sys; from pathsegmentor.imaging import read_picture\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "resource.setrlimit(resource.RLIMIT_AS, (used + 100_000_000,) * 2)\n"
        "try: read_picture(sys.argv[1])\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "a.png")], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("BadInput") and "memory" in done.stdout and len(done.stdout.splitlines()) == 1
