"""Tiny downloads for the tests of the whole of ``data``."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import Image

GLAND = "colon-tissue-gland"


def picture(seed: int, height: int = 60, width: int = 80) -> np.ndarray:
    """Smooth stains, so that PNG is quick, other ones for every seed."""
    rng = np.random.default_rng(seed)
    coarse = rng.integers(60, 250, (7, 9, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(coarse).resize((width, height), Image.Resampling.BICUBIC))


def instances(seed: int, height: int = 60, width: int = 80) -> np.ndarray:
    """Two or three boxes, numbered, none of which is symmetric in the image."""
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), np.uint8)
    for number in range(1, 3 + seed % 2):
        top, left = int(rng.integers(0, height - 25)), int(rng.integers(0, width - 35))
        mask[top : top + 20, left : left + 30] = number
    return mask


def save(path: Path, values: np.ndarray) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)
    return path


def table(path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(rows)
    return path


def glas(folder: Path, train: int = 3, test: int = 2) -> Path:
    """GlaS as downloaded, each image of its own patient."""
    names = [f"train_{n}" for n in range(1, train + 1)] + [f"testA_{n}" for n in range(1, test + 1)]
    for seed, name in enumerate(names):
        save(folder / f"{name}.bmp", picture(seed))
        save(folder / f"{name}_anno.bmp", instances(seed))
    grades = [(name, n, "benign" if n % 2 else "malignant") for n, name in enumerate(names)]
    table(folder / "Grade.csv", ["name", " patient ID", " grade (GlaS)"], grades)
    return folder


def conic(folder: Path, count: int = 5) -> Path:
    """CoNIC 2022 as downloaded; the last patch is empty, the first holds all six kinds."""
    folder.mkdir(parents=True, exist_ok=True)
    images = np.stack([picture(100 + n, 256, 256) for n in range(count)])
    labels = np.zeros((count, 256, 256, 2), np.uint16)
    for n in range(count - 1):
        for kind in range(1, 7 if n == 0 else 3):
            labels[n, 40 * kind - 30 : 40 * kind - 5, 20 + 9 * n : 50 + 9 * n] = (10 * kind, kind)
    np.save(folder / "images.npy", images)
    np.save(folder / "labels.npy", labels)
    table(folder / "patch_info.csv", ["patch_info"], [[f"crag_{n // 2}-{n:04d}"] for n in range(count)])
    return folder


def hashes(folder: Path) -> dict[str, str]:
    """Of all files below a folder, hidden ones too."""
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def stamps(folder: Path) -> dict[str, tuple[int, int]]:
    """When each file was written, and which file it is."""
    return {
        str(path.relative_to(folder)): (path.stat().st_mtime_ns, path.stat().st_ino)
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }
