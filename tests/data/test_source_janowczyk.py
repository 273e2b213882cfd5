"""Janowczyk's nuclei on a small copy of their layout."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathsegmentor.data.record import Item, Problem
from pathsegmentor.data.sources.janowczyk import NUCLEI, SOURCE
from pathsegmentor.errors import BadInput

NAMES = ("12750_500_f00003", "12750_500_f00009", "9023_500_f00030")
RGB = np.arange(24 * 22 * 3, dtype=np.uint8).reshape(24, 22, 3)
MASK = (np.arange(24 * 22) % 7 == 0).reshape(24, 22)


def put(path: Path, values: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(values).save(path)


@pytest.fixture
def download(tmp_path: Path) -> Path:
    for name in NAMES:
        put(tmp_path / "nuclei" / f"{name}_original.tif", RGB)
        put(tmp_path / "nuclei" / f"{name}_mask.png", MASK.astype(np.uint8) * 255)
    put(tmp_path / "nuclei" / "._9023_500_f00030_original.tif.png", RGB)
    return tmp_path


def found(folder: Path) -> list[Item]:
    return [item for item in SOURCE.items(folder) if isinstance(item, Item)]


def problems(folder: Path) -> list[str]:
    return [item.what for item in SOURCE.items(folder) if isinstance(item, Problem)]


def test_items_are_grouped_by_patient(download: Path) -> None:
    items = found(download)
    assert [item.name for item in items] == list(NAMES)
    assert [item.group for item in items] == ["12750", "12750", "9023"]
    assert all((item.mpp, item.factor, item.split) == (0.25, 1.0, "") for item in items)
    assert found(download / "nuclei") == items and not problems(download)


@pytest.mark.parametrize("mask", [MASK, MASK.astype(np.uint8), MASK.astype(np.uint8) * 255])
def test_nuclei_are_read_and_nothing_is_known_beside_them(download: Path, mask: np.ndarray) -> None:
    put(download / "nuclei" / f"{NAMES[0]}_mask.png", mask)
    image = SOURCE.read(found(download)[0])
    assert (image.pixels == RGB).all() and (image.masks[NUCLEI] == MASK).all()
    assert image.complete == frozenset()
    assert image.ignore is not None and (image.ignore == ~MASK).all()


def test_unpaired_files_are_problems(download: Path) -> None:
    (download / "nuclei" / f"{NAMES[0]}_mask.png").unlink()
    (download / "nuclei" / f"{NAMES[1]}_original.tif").unlink()
    assert [item.name for item in found(download)] == [NAMES[2]]
    assert problems(download) == [
        f"{NAMES[0]}_original.tif: image without mask",
        f"{NAMES[1]}_mask.png: mask without image",
    ]


def test_an_empty_folder_is_refused_with_the_layout(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"no annotated image; expected NAME_original\.tif"):
        found(tmp_path)


@pytest.mark.parametrize(
    ("mask", "words"),
    [(MASK[1:], "mask 22 x 23"), (MASK.astype(np.uint8) * 3, "unknown class code 3"), (None, "damaged")],
)
def test_a_broken_mask_is_refused_in_one_line(download: Path, mask: np.ndarray | None, words: str) -> None:
    path = download / "nuclei" / f"{NAMES[0]}_mask.png"
    if mask is None:
        path.write_bytes(path.read_bytes()[:60])
    else:
        put(path, mask)
    with pytest.raises(BadInput, match=words) as error:
        SOURCE.read(found(download)[0])
    assert "\n" not in str(error.value)


def test_a_truncated_image_is_refused(download: Path) -> None:
    path = download / "nuclei" / f"{NAMES[0]}_original.tif"
    path.write_bytes(path.read_bytes()[:700])
    with pytest.raises(BadInput, match="damaged"):
        SOURCE.read(found(download)[0])
