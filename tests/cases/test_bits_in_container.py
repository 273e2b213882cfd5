"""8, 10 and 12 bits in containers of 16: the picture of these values, never a black one."""

from __future__ import annotations

from pathlib import Path

import imagecodecs
import numpy as np
import pytest
import tifffile

from tests.cases.pictures import Run, asked, dice, kidney
from tests.cli.conftest import here  # noqa: F401


def put(path: Path, kind: str, bits: int) -> None:
    wide = np.round(kidney().astype(float) * (2**bits - 1) / 255).astype(np.uint16)
    if path.suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(np.ascontiguousarray(wide[..., 0]) if kind == "grey" else wide))
    elif kind == "planes":
        tifffile.imwrite(path, np.moveaxis(wide, 2, 0), photometric="rgb", planarconfig="separate")
    elif kind == "grey":
        tifffile.imwrite(path, wide[..., 0], photometric="minisblack")
    else:
        tifffile.imwrite(path, wide, photometric="rgb", compression="zlib")


@pytest.mark.parametrize(
    ("suffix", "kind", "bits"),
    [("tif", "RGB", 12), ("tif", "RGB", 8), ("png", "RGB", 10), ("tif", "planes", 12), ("png", "grey", 12)],
)
def test_the_mask_is_that_of_the_8_bit_picture(
    suffix: str,
    kind: str,
    bits: int,
    tmp_path: Path,
    here: Run,  # noqa: F811
) -> None:
    put(tmp_path / f"image.{suffix}", kind, bits)
    eight = kidney()[..., 0] if kind == "grey" else kidney()
    (tmp_path / "eight.png").write_bytes(imagecodecs.png_encode(np.ascontiguousarray(eight)))
    done, mask = asked(here, tmp_path / f"image.{suffix}")
    other, right = asked(here, tmp_path / "eight.png")
    assert done.code == 0, done.err
    assert any(f"{bits} of 16 bits" in note for note in done.json["notes"])
    assert abs(done.json["results"][0]["presence"] - other.json["results"][0]["presence"]) < 0.05
    assert dice(mask, right) > 0.9 or not right.any()
    assert right.any() or kind == "grey"


def test_the_mask_of_a_palette_whose_16_bits_hold_8(tmp_path: Path, here: Run) -> None:  # noqa: F811
    grey = kidney()[..., 1]
    table = np.stack([np.arange(256), np.arange(256) * 0.6, np.minimum(np.arange(256) + 20, 255)]).astype(np.uint16)
    tifffile.imwrite(tmp_path / "image.tif", grey, photometric="palette", colormap=table)
    (tmp_path / "eight.png").write_bytes(imagecodecs.png_encode(table.T[grey].astype(np.uint8)))
    done, mask = asked(here, tmp_path / "image.tif")
    _, right = asked(here, tmp_path / "eight.png")
    assert done.code == 0 and right.any(), done.err
    np.testing.assert_array_equal(mask, right)
