"""Long strips: the overlay is about as large as image and legend, the tissue is seen, memory stays small."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import IMAGES

PROMPTS = ["nuclei", "nuclei in breast", "lymphocytes", "epithelial cells", "glands in colon", "macrophages"]
# The command in a process of its own that tells its highest memory in the end.
MEASURED = """
import resource, sys
from pathsegmentor.cli import main
try:
    main()
finally:
    print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024, file=sys.stderr)
"""


def strip(path: Path, length: int, upright: bool) -> np.ndarray:
    """A strip of real tissue, 16 pixels wide."""
    with Image.open(IMAGES / "monuseg_kidney.jpg") as image:
        tissue = np.asarray(image.convert("RGB"))
    rows = np.concatenate(list(tissue[:992].reshape(62, 16, 1000, 3)), axis=1)[:, :length]
    pixels = np.ascontiguousarray(rows.transpose(1, 0, 2)) if upright else rows
    Image.fromarray(pixels).save(path)
    return pixels


@pytest.mark.slow
@pytest.mark.parametrize("upright", [False, True])
@pytest.mark.parametrize("length", [6_000, 60_000])
def test_a_strip_is_drawn_as_it_is(tmp_path: Path, length: int, upright: bool) -> None:
    pixels = strip(tmp_path / "strip.png", length, upright)
    words = ["segment", tmp_path / "strip.png", *PROMPTS, "--mpp", "0.25", "--out", tmp_path / "out", "--json"]
    done = subprocess.run(
        [sys.executable, "-c", MEASURED, *map(str, words)], capture_output=True, text=True, check=True, timeout=550
    )
    assert len(json.loads(done.stdout)["results"]) == len(PROMPTS)
    assert int(done.stderr.split()[-1]) < 1000, "MB"
    with Image.open(tmp_path / "out" / "overlay.png") as file:
        drawn = np.asarray(file)
    height, width = pixels.shape[:2]
    assert drawn.shape[0] <= height + 500 and drawn.shape[1] <= width + 500
    kept = (drawn[:height, :width] == pixels).all(axis=2).mean()
    assert 0.4 < kept < 0.995
    assert not (tmp_path / "out" / "overview.png").exists()
