"""A whole PNG with large profiles or texts, as scanners give."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cases.pictures import Run, asked, kidney
from tests.cli.conftest import here  # noqa: F401


@pytest.mark.parametrize("kind", ["profile", "texts"])
def test_the_mask_is_that_of_the_plain_picture(kind: str, tmp_path: Path, here: Run) -> None:  # noqa: F811
    Image.fromarray(kidney()).save(tmp_path / "plain.png")
    data = (tmp_path / "plain.png").read_bytes()
    noise = np.random.default_rng(0).integers(0, 256, 1_500_000, dtype=np.uint8).tobytes()
    bodies = {
        "profile": [(b"iCCP", b"scanner\0\0" + zlib.compress(noise))],
        "texts": [
            (b"iTXt", b"XML:com.adobe.xmp\0\0\0\0\0" + b"<x/>" * 400_000),
            (b"zTXt", b"log\0\0" + zlib.compress(b"a" * 5_000_000)),
        ],
    }[kind]
    made = b"".join(struct.pack(">I", len(b)) + k + b + struct.pack(">I", zlib.crc32(k + b)) for k, b in bodies)
    (tmp_path / "image.png").write_bytes(data[:33] + made + data[33:])
    done, mask = asked(here, tmp_path / "image.png")
    _, plain = asked(here, tmp_path / "plain.png")
    assert done.code == 0, done.err
    assert plain.any()
    np.testing.assert_array_equal(mask, plain)
