"""What a stopped copy leaves is refused; what is only large, or really black, is not."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, PngImagePlugin

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging import read_picture

RGB = np.random.default_rng(7).integers(1, 256, (64, 48, 3), dtype=np.uint8)


def pil(kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(RGB).save(buffer, kind, **options)
    return buffer.getvalue()


def tiff(**options: object) -> bytes:
    buffer = io.BytesIO()
    tifffile.imwrite(buffer, RGB, photometric="rgb", **options)
    return buffer.getvalue()


MADE: dict[str, Callable[[], bytes]] = {
    "PNG": lambda: pil("PNG"),
    "interlaced text": lambda: pil("PNG", pnginfo=_text("a note")),
    "JPEG": lambda: pil("JPEG", quality=95),
    "progressive JPEG": lambda: pil("JPEG", progressive=True, quality=95),
    "BMP": lambda: pil("BMP"),
    "WebP": lambda: pil("WEBP", lossless=True),
    "TIFF": lambda: tiff(),
    "TIFF in strips": lambda: tiff(rowsperstrip=5),
    "TIFF, zlib": lambda: tiff(rowsperstrip=16, compression="zlib"),
    "TIFF, LZW": lambda: tiff(rowsperstrip=16, compression="lzw"),
    "TIFF, JPEG": lambda: tiff(tile=(16, 16), compression="jpeg"),
    "TIFF, JPEG 2000": lambda: tiff(tile=(64, 64), compression="jpeg2000"),
}


def _text(words: str) -> PngImagePlugin.PngInfo:
    info = PngImagePlugin.PngInfo()
    info.add_itxt("XML:com.adobe.xmp", words)
    return info


def refused(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(BadInput) as caught:
        read_picture(path)
    assert len(str(caught.value).splitlines()) == 1 and str(path) in str(caught.value)
    return str(caught.value)


@pytest.mark.parametrize("kind", sorted(MADE))
@pytest.mark.parametrize("left", [0.5, 0.7, 0.9])
def test_a_zeroed_tail_and_a_lost_tail_are_damage(kind: str, left: float, tmp_path: Path) -> None:
    data = MADE[kind]()
    (tmp_path / "whole").write_bytes(data)
    assert not read_picture(tmp_path / "whole").notes
    # Not at the border of a row, as the blocks of a disk or a network are not.
    end = int(len(data) * left) | 1
    refused(tmp_path / "a", data[:end] + bytes(len(data) - end))
    refused(tmp_path / "b", data[:end])


def test_strips_of_zeros_are_damage_in_plain_tiff(tmp_path: Path) -> None:
    data = tiff(rowsperstrip=16)
    size = 16 * RGB.shape[1] * 3
    assert "never written" in refused(tmp_path / "a", data[:-size] + bytes(size))


@pytest.mark.parametrize("suffix", ["png", "tif", "bmp"])
def test_black_corners_and_round_pictures_are_no_damage(suffix: str, tmp_path: Path) -> None:
    rows, columns = np.mgrid[:64, :48]
    round_one = np.where(((rows - 32) ** 2 + (columns - 24) ** 2 < 400)[..., None], RGB, 0).astype(np.uint8)
    corner = np.where((rows + columns > 90)[..., None], 0, RGB).astype(np.uint8)
    for array in (round_one, corner, np.zeros_like(RGB)):
        Image.fromarray(array).save(tmp_path / f"a.{suffix}")
        np.testing.assert_array_equal(read_picture(tmp_path / f"a.{suffix}").pixels, array)


@given(st.data())
def test_every_byte_of_a_png_is_under_a_checksum(tmp_path_factory: pytest.TempPathFactory, data: st.DataObject) -> None:
    content = bytearray(pil("PNG", pnginfo=_text("words")))
    at = data.draw(st.integers(8, len(content) - 1))
    content[at] ^= 1 << data.draw(st.integers(0, 7))
    refused(tmp_path_factory.mktemp("png") / "a.png", bytes(content))


@pytest.mark.parametrize("chunk", [b"iCCP", b"zTXt", b"iTXt", b"tEXt", b"prVt"])
def test_large_descriptions_are_no_damage(chunk: bytes, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 256, 3_000_000, dtype=np.uint8).tobytes()
    body = {
        b"iCCP": b"scanner\0\0" + zlib.compress(noise),
        b"zTXt": b"words\0\0" + zlib.compress(b"a" * 30_000_000),
        b"iTXt": b"XML:com.adobe.xmp\0\0\0\0\0" + b"x" * 20_000_000,
        b"tEXt": b"words\0" + b"y" * 3_000_000,
        b"prVt": noise,
    }[chunk]
    data = pil("PNG")
    made = struct.pack(">I", len(body)) + chunk + body + struct.pack(">I", zlib.crc32(chunk + body))
    (tmp_path / "a.png").write_bytes(data[:33] + made + data[33:])
    np.testing.assert_array_equal(read_picture(tmp_path / "a.png").pixels, RGB)


def test_bytes_behind_the_end_are_none_of_the_picture(tmp_path: Path) -> None:
    for kind in ("PNG", "JPEG"):
        (tmp_path / "a").write_bytes(pil(kind) + b"trailer" + bytes(5000))
        assert read_picture(tmp_path / "a").width == 48


def test_tiles_that_were_never_stored_are_glass(tmp_path: Path) -> None:
    def tiles() -> object:
        for i in range(12):
            yield None if i == 5 else np.ascontiguousarray(RGB[i // 3 * 16 :, i % 3 * 16 :][:16, :16])

    tifffile.imwrite(
        tmp_path / "a.tif", tiles(), shape=RGB.shape, dtype=np.uint8, tile=(16, 16), photometric="rgb",
        compression="zlib",
    )  # fmt: skip
    picture = read_picture(tmp_path / "a.tif")
    right = RGB.copy()
    right[16:32, 32:] = 255
    np.testing.assert_array_equal(picture.pixels, right)
    assert "1 of its tiles" in picture.notes[0]


def test_the_size_is_known_before_the_bytes_are_read(tmp_path: Path) -> None:
    huge = struct.pack(">IIBBBBB", 40_000, 40_000, 8, 2, 0, 0, 0)
    head = b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + b"IHDR" + huge + struct.pack(">I", zlib.crc32(b"IHDR" + huge))
    with (tmp_path / "a.png").open("wb") as file:
        file.write(head + struct.pack(">I", 2_000_000_000) + b"IDAT")
        file.truncate(2_000_000_100)
    with pytest.raises(BadInput, match="40000 x 40000 pixels, more than"):
        read_picture(tmp_path / "a.png")
    with (tmp_path / "b.png").open("wb") as file:
        file.write(head)
        file.truncate(6_000_000_000)
    with pytest.raises(BadInput, match=r"6\.0 GB, more than"):
        read_picture(tmp_path / "b.png")
