"""Readers give 8-bit RGB with a scale or one clear line; scales and tiles do not shift anything."""

from __future__ import annotations

import io
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging import (
    Blender,
    check_mpp,
    overlay,
    plan_tiles,
    read_picture,
    read_scale,
    resize_labels,
    resize_pixels,
    resize_probability,
    scaled_size,
)

RNG = np.random.default_rng(0)
RGB = RNG.integers(0, 256, (40, 30, 3), dtype=np.uint8)


def saved(path: Path, image: Image.Image, **options: object) -> Path:
    image.save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp", "webp"])
def test_lossless_formats_keep_every_pixel(tmp_path: Path, suffix: str) -> None:
    options = {"lossless": True} if suffix == "webp" else {}
    picture = read_picture(saved(tmp_path / f"a.{suffix}", Image.fromarray(RGB), **options))
    np.testing.assert_array_equal(picture.pixels, RGB)
    assert picture.mpp is None and picture.sha256 is not None and len(picture.sha256) == 64


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "I;16", "I"])
def test_every_mode_becomes_rgb(tmp_path: Path, mode: str) -> None:
    if mode in ("I;16", "I"):
        image = Image.fromarray(RGB[..., 0].astype(np.uint16) * 257)
        image = image.convert("I") if mode == "I" else image
    else:
        image = Image.fromarray(RGB).convert(mode)
    suffix = "tif" if mode in ("CMYK", "YCbCr", "I") else "png"
    picture = read_picture(saved(tmp_path / f"a.{suffix}", image))
    assert picture.pixels.shape == (40, 30, 3) and picture.pixels.dtype == np.uint8
    if mode in ("I;16", "I"):
        np.testing.assert_array_equal(picture.pixels[..., 0], RGB[..., 0])


def test_transparent_pixels_become_white(tmp_path: Path) -> None:
    alpha = np.repeat(np.uint8([[0], [255]]), 20, axis=0) * np.ones((1, 30), np.uint8)
    picture = read_picture(saved(tmp_path / "a.png", Image.fromarray(np.dstack([RGB, alpha]))))
    assert picture.pixels[:20].min() == 255 and "50 % of its pixels are transparent" in picture.notes[0]
    np.testing.assert_array_equal(picture.pixels[20:], RGB[20:])


def test_exif_rotation_is_applied(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[274] = 6
    path = saved(tmp_path / "a.png", Image.fromarray(RGB), exif=exif.tobytes())
    np.testing.assert_array_equal(read_picture(path).pixels, np.rot90(RGB, -1))


def test_scale_from_tags(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RGB, resolution=(40_000, 20_000), resolutionunit="CENTIMETER")
    assert read_picture(tmp_path / "a.tif").mpp == pytest.approx((0.25, 0.5))
    meta = {"axes": "YXS", "PhysicalSizeX": 0.5, "PhysicalSizeY": 0.25}
    tifffile.imwrite(tmp_path / "b.ome.tif", RGB, photometric="rgb", metadata=meta)
    assert read_picture(tmp_path / "b.ome.tif").mpp == pytest.approx((0.5, 0.25))
    assert read_picture(tmp_path / "b.ome.tif", mpp=1.0).mpp == (1.0, 1.0)
    path = saved(tmp_path / "c.png", Image.fromarray(RGB), dpi=(72, 72))
    assert read_picture(path).mpp is None, "a screen's 72 dpi is no microscope's scale"


def test_scale_is_read_without_the_pixels(tmp_path: Path) -> None:
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, RGB, resolution=(40_000, 20_000), resolutionunit="CENTIMETER", compression="zlib")
    assert read_scale(path).mpp == read_picture(path).mpp == pytest.approx((0.25, 0.5))
    whole = saved(tmp_path / "b.png", Image.fromarray(RGB), dpi=(50_800, 50_800)).read_bytes()
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    assert read_scale(tmp_path / "cut.png").mpp == pytest.approx((0.5, 0.5))
    assert read_scale(saved(tmp_path / "c.png", Image.fromarray(RGB))).mpp is None
    (tmp_path / "words.png").write_text("no image")
    with pytest.raises(BadInput, match="not an image of a known kind"):
        read_scale(tmp_path / "words.png")


def test_a_small_crop_enlarged_by_pathseg_has_a_scale() -> None:
    assert check_mpp(0.02) == (0.02, 0.02)


@pytest.mark.parametrize("value", [0.0, -1.0, float("nan"), float("inf"), 5000.0, 0.001])
def test_absurd_scales_are_refused(value: float) -> None:
    with pytest.raises(BadInput, match=r"0\.25"):
        check_mpp(value)


def test_bad_files_get_one_line(tmp_path: Path) -> None:
    (tmp_path / "empty.png").write_bytes(b"")
    (tmp_path / "words.png").write_text("no image")
    whole = io.BytesIO()
    Image.fromarray(RGB).save(whole, "PNG")
    (tmp_path / "cut.png").write_bytes(whole.getvalue()[:600])
    saved(tmp_path / "dot.png", Image.fromarray(RGB[:1, :1]))
    saved(tmp_path / "a.gif", Image.fromarray(RGB))
    tifffile.imwrite(tmp_path / "float.tif", RGB[..., 0].astype(np.float32))
    bomb = Image.new("1", (20_000, 20_000))
    saved(tmp_path / "bomb.png", bomb)
    names = ["missing.png", "", "empty.png", "words.png", "cut.png", "dot.png", "a.gif", "float.tif", "bomb.png"]
    for name in names:
        with pytest.raises(BadInput) as caught:
            read_picture(tmp_path / name)
        assert "\n" not in str(caught.value) and str(tmp_path) in str(caught.value)


FILES = {}
for _format in ("PNG", "JPEG", "TIFF", "BMP", "WEBP"):
    _buffer = io.BytesIO()
    Image.fromarray(RGB).save(_buffer, _format)
    FILES[_format] = _buffer.getvalue()


@given(st.sampled_from(sorted(FILES)), st.data())
def test_broken_files_never_crash(tmp_path_factory: pytest.TempPathFactory, name: str, data: st.DataObject) -> None:
    content = bytearray(FILES[name])
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("fuzz") / "a.bin"
    path.write_bytes(bytes(content[: data.draw(st.integers(1, len(content)))]))
    message = ""
    try:
        read_picture(path)
    except BadInput as error:
        message = str(error)
    assert "\n" not in message


@given(st.integers(1, 3000), st.integers(1, 3000), st.sampled_from([(384, 96), (256, 0), (64, 63)]))
def test_tiles_cover_and_overlap(height: int, width: int, size: tuple[int, int]) -> None:
    tile, overlap = size
    tiles = (
        plan_tiles(height, width, tile, overlap) if tile != 64 else plan_tiles(height % 90 + 1, width % 90 + 1, 64, 63)
    )
    if tile == 64:
        height, width = height % 90 + 1, width % 90 + 1
    for axis, side in (("y", height), ("x", width)):
        starts = sorted({getattr(t, axis) for t in tiles})
        assert starts[0] == 0 and starts[-1] + min(side, tile) == side
        assert all(b - a <= tile - overlap for a, b in pairwise(starts))


@given(st.integers(20, 700), st.integers(20, 700))
def test_blending_gives_back_one_field(height: int, width: int) -> None:
    rows, columns = np.mgrid[:height, :width]
    field = (np.sin(rows / 37) + np.cos(columns / 23)).astype(np.float32)
    blender = Blender(height, width)
    for tile in plan_tiles(height, width, 256, 64):
        blender.add(tile, field[tile.y : tile.y + tile.height, tile.x : tile.x + tile.width])
    np.testing.assert_allclose(blender.result(), field, atol=1e-5)


@given(st.integers(30, 200), st.integers(30, 200), st.floats(0.3, 3))
def test_resampling_shifts_nothing(height: int, width: int, factor: float) -> None:
    size = scaled_size(height, width, (1.0, 1.0), 1 / factor)
    blob = np.zeros((height, width), np.float32)
    y, x = height // 3, width // 2
    blob[y : y + 9, x : x + 9] = 1
    small = resize_probability(blob, size)
    rows, columns = np.mgrid[: size[0], : size[1]] + 0.5
    centre = np.array([(rows * small).sum(), (columns * small).sum()]) / small.sum()
    expected = np.array([(y + 4.5) * size[0] / height, (x + 4.5) * size[1] / width])
    np.testing.assert_allclose(centre, expected, atol=0.8)
    grey = np.repeat((blob * 255).astype(np.uint8)[..., None], 3, axis=2)
    assert resize_pixels(grey, size).shape == (*size, 3)
    labels = resize_labels((blob * 7).astype(np.uint8), size)
    assert set(np.unique(labels)) <= {0, 7}


def test_overlay_draws_on_the_edges_only() -> None:
    pixels = np.full((700, 700, 3), 200, np.uint8)
    mask = np.zeros((700, 700), bool)
    mask[100:300, 200:500] = True
    picture = overlay(pixels, [("a square", mask, (0, 220, 90))], (0.5, 0.5))
    assert picture.shape[0] > 700 and picture.shape[1] == 700
    changed = (picture[:700] != 200).any(axis=2)
    rows, columns = np.nonzero(changed)
    assert abs(rows.min() - 100) <= 3 and abs(rows.max() - 299) <= 3
    assert abs(columns.min() - 200) <= 3 and abs(columns.max() - 499) <= 3
    assert not changed[110:290, 210:490].any()
