"""What is left of a slide whose copy stopped is refused, or marked: never taken for tissue or for the whole."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pathsegmentor.errors import BadInput
from pathsegmentor.slide import find_slide_tissue, open_slide
from pathsegmentor.slide.source import DAMAGED
from tests.slide.made import SVS, ome_zarr, region
from tests.slide.made_dicom import dicom

EXAMPLES = Path(__file__).parents[2] / "examples" / "images"


@pytest.mark.parametrize("keep", [0.02, 0.5, 0.95, 0.999])
def test_a_slide_whose_end_is_missing_is_refused(tmp_path: Path, keep: float) -> None:
    """At 95 % the full picture is there, and what follows it is not."""
    data = Path(SVS).read_bytes()
    path = tmp_path / "cut.svs"
    path.write_bytes(data[: int(len(data) * keep)])
    with pytest.raises(BadInput, match="cut short") as caught:
        open_slide(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("keep", [10, 40, 2000])
def test_a_chunk_whose_end_is_missing_is_marked(tmp_path: Path, version: str, keep: int) -> None:
    """Blosc, the usual packing of zarr 2, fills the rest with whatever lies in memory."""
    path = tmp_path / "a.zarr"
    pixels = region(600)
    ome_zarr(path, pixels, version)
    chunk = max((p for p in (path / "0").rglob("*") if p.is_file()), key=lambda p: p.stat().st_size)
    chunk.write_bytes(chunk.read_bytes()[:keep])
    with open_slide(path) as slide:
        seen = slide.region(0, 0, *slide.size)
        assert seen.lost is not None and (seen.lost == DAMAGED).any()
        assert slide.damaged == 1
        whole = seen.lost == 0
        assert np.array_equal(seen.pixels[whole], pixels[whole])
        assert (seen.pixels[~whole] == 255).all()


def test_what_a_library_quotes_of_a_file_moves_no_cursor(tmp_path: Path) -> None:
    """A data element has a kind of which the second letter is a control character."""
    path = tmp_path / "a"
    dicom(path, region(256))
    for file in sorted(path.iterdir()):
        data = file.read_bytes()
        assert b"\x08\0\x16\0UI" in data
        file.write_bytes(data.replace(b"\x08\0\x16\0UI", b"\x08\0\x16\0U\x1c"))
    with pytest.raises(BadInput, match="DICOM") as caught:
        open_slide(path)
    assert str(caught.value).isprintable()


@pytest.mark.parametrize("name", ["monuseg_kidney.jpg", "monusac_breast.jpg"])
def test_a_small_image_of_tissue_is_not_empty(name: str) -> None:
    with open_slide(EXAMPLES / name, 0.25) as slide:
        found = find_slide_tissue(slide)
    assert found.state == "found" and found.mask.mean() > 0.5
