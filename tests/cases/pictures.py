"""A real picture for the cases, and what the command says of it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.cli.conftest import IMAGES, Done

Run = Callable[..., Done]
SIDE = 128


def kidney() -> np.ndarray:
    """Nuclei at 0.25 um per pixel (128, 128, 3)."""
    with Image.open(IMAGES / "monuseg_kidney.jpg") as image:
        return np.asarray(image.convert("RGB"))[:SIDE, :SIDE].copy()


def asked(run: Run, path: Path, *more: object) -> tuple[Done, np.ndarray]:
    """The answer to nuclei at 0.25 um per pixel, or at the file's own scale, and the mask."""
    out = path.parent / f"{path.name}-out"
    scale = () if "own scale" in more else ("--mpp", 0.25)
    done = run("segment", path, "nuclei in kidney", *scale, "--out", out, "--json")
    if done.code:
        return done, np.zeros((0, 0), bool)
    return done, np.asarray(Image.open(done.json["results"][0]["mask"])) > 0


def dice(a: np.ndarray, b: np.ndarray) -> float:
    """Overlap of two masks; 0 where they differ in size or one is empty."""
    return float(2 * (a & b).sum() / max(a.sum() + b.sum(), 1)) if a.shape == b.shape else 0.0
