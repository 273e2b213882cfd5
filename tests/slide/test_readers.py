"""Slides of every kind through ``open_slide``: the same pixels, the right scale, honest about what is missing."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import openslide
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging import resize_pixels
from pathsegmentor.slide import open_slide
from pathsegmentor.slide.vendor import OpenSlideSource
from tests.slide.made import SVS, TINY, big_tiff, huge, jpeg, ome_tiff, ome_zarr, region


def whole(path: Path) -> np.ndarray:
    with open_slide(path) as slide:
        return slide.read(0, 0, *slide.size)


def test_a_genuine_svs_is_what_openslide_reads() -> None:
    with open_slide(SVS) as slide, openslide.OpenSlide(SVS) as other:
        assert slide.size == (2220, 2967) and slide.mpp == pytest.approx((0.499, 0.499))
        assert slide.associated and slide.damaged == slide.unstored == 0
        pixels = slide.read(100, 200, 700, 500)
        assert np.array_equal(pixels, np.asarray(other.read_region((100, 200), 0, (700, 500)).convert("RGB")))
        source = OpenSlideSource(SVS)
        assert np.array_equal(pixels, source.patch(0, 100, 200, 700, 500).pixels)
        source.close()


def test_the_smallest_slide() -> None:
    with open_slide(TINY) as slide:
        assert slide.size == (16, 16) and slide.read(0, 0, 16, 16).shape == (16, 16, 3)


@pytest.mark.parametrize("version", ["0.4", "0.5"])
def test_the_same_pixels_of_ome_tiff_zarr_and_png(tmp_path: Path, version: str) -> None:
    pixels = region(600)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    ome_tiff(tmp_path / "b.bin", pixels)
    ome_zarr(tmp_path / "c", pixels, version)
    for name, reader in (("a.png", "image"), ("b.bin", "tiff"), ("c", "ome-zarr")):
        with open_slide(tmp_path / name) as slide:
            assert slide.reader == reader
            assert np.array_equal(slide.read(0, 0, 600, 600), pixels)
            assert len(slide.levels) == (1 if reader == "image" else 2)
            assert slide.mpp == (None if reader == "image" else (0.5, 0.5))


def test_dicom_has_the_same_pixels_by_openslide_and_wsidicom(tmp_path: Path) -> None:
    from tests.slide.made_dicom import dicom

    pixels = region(512)
    dicom(tmp_path / "d", pixels)
    with open_slide(tmp_path / "d") as slide:
        assert slide.reader == "dicom" and slide.mpp == pytest.approx((0.5, 0.25))
        assert np.array_equal(slide.read(0, 0, 512, 512), pixels)


REGION = region(300)


@given(
    st.integers(0, 9), st.integers(0, 9), st.integers(1, 12), st.integers(1, 12), st.sampled_from([1.0, 1.5, 2.0, 3.7])
)
def test_a_region_is_the_crop_of_the_whole(tmp_path_factory: pytest.TempPathFactory, x, y, w, h, factor) -> None:  # type: ignore[no-untyped-def]
    path = tmp_path_factory.getbasetemp() / "crop.tif"
    if not path.exists():
        ome_tiff(path, region(900), tile=(112, 144))
    # Places of level 0 that are whole new pixels, so that both are the same area.
    unit = {1.0: 7, 1.5: 3, 2.0: 2, 3.7: 37}[factor]
    with open_slide(path) as slide:
        x, y, w, h = x * unit, y * unit, w * unit, h * unit
        full = slide.read(0, 0, 888, 888, size=(round(888 / factor), round(888 / factor)))
        part = slide.read(x, y, w, h, size=(round(h / factor), round(w / factor)))
        left, top = round(x / factor), round(y / factor)
        crop = full[top : top + part.shape[0], left : left + part.shape[1]]
        assert np.abs(part.astype(int) - crop).max() <= 1


@pytest.mark.parametrize("size", [(100, 100), (77, 130), (450, 500)])
def test_an_image_is_resampled_as_ever(tmp_path: Path, size: tuple[int, int]) -> None:
    Image.fromarray(REGION).save(tmp_path / "a.png")
    with open_slide(tmp_path / "a.png") as slide:
        new = slide.read(0, 0, 300, 300, size=size)
    if (size[0] < 300) == (size[1] < 300):
        assert np.abs(new.astype(int) - resize_pixels(REGION, size)).max() <= 1


def test_each_axis_has_its_own_scale(tmp_path: Path) -> None:
    Image.fromarray(REGION).save(tmp_path / "a.png")
    with open_slide(tmp_path / "a.png", mpp=(0.5, 0.25)) as slide:
        assert slide.read(0, 0, 300, 300, mpp=1.0).shape == (75, 150, 3)


def test_outside_is_mirrored_or_white(tmp_path: Path) -> None:
    Image.fromarray(REGION).save(tmp_path / "a.png")
    with open_slide(tmp_path / "a.png") as slide:
        mirrored = slide.read(-20, -10, 340, 330)
        assert np.array_equal(mirrored, np.pad(REGION, ((10, 20), (20, 20), (0, 0)), "symmetric"))
        white = slide.read(-20, -10, 340, 330, outside="white")
        assert (white[:10] == 255).all() and np.array_equal(white[10:310, 20:320], REGION)


@pytest.mark.parametrize("given_mpp", [0.25, 0.4])
def test_a_scale_that_disagrees_is_noted(given_mpp: float) -> None:
    with open_slide(SVS, mpp=given_mpp) as slide:
        assert slide.mpp == (given_mpp, given_mpp)
        assert any("is not that of the file, 0.499" in note for note in slide.notes)
    with open_slide(SVS, mpp=0.51) as slide:
        assert not any("not that of" in note for note in slide.notes)


def test_without_a_scale_the_remedy_is_named(tmp_path: Path) -> None:
    Image.fromarray(REGION).save(tmp_path / "a.png")
    with open_slide(tmp_path / "a.png") as slide, pytest.raises(BadInput, match="--mpp"):
        slide.read(0, 0, 10, 10, mpp=1.0)


def test_missing_and_damaged_tiles_are_white_marked_and_counted(tmp_path: Path) -> None:
    def lost(row: int, column: int) -> bytes | None:
        if (row, column) == (7, 7):
            return None
        return jpeg(np.zeros((256, 256, 3), np.uint8))[:300] if (row, column) == (8, 8) else b"keep"

    path = huge(tmp_path / "lost.tif", 4096, lost)
    with open_slide(path) as slide:
        seen = slide.region(7 * 256, 7 * 256, 512, 512)
        again = slide.region(7 * 256, 7 * 256, 512, 512, size=(128, 128))
        assert seen.lost is not None
        assert (seen.lost[:256, :256] == 1).all() and (seen.lost[256:, 256:] == 2).all()
        assert (seen.pixels[:256, :256] == 255).all() and not seen.lost[:256, 256:].any()
        assert (slide.unstored, slide.damaged) == (1, 1)
        assert again.lost is None, "the coarse level is whole"


def test_openslide_goes_on_after_a_damaged_tile(tmp_path: Path) -> None:
    path = huge(tmp_path / "lost.tif", 4096, lambda r, c: b"\xff\xd8broken" if (r, c) == (8, 8) else b"keep")
    source = OpenSlideSource(path)
    patch = source.patch(0, 7 * 256, 7 * 256, 512, 512)
    assert patch.lost is not None and (patch.lost[256:, 256:] == 2).all() and not patch.lost[:256].any()
    assert source.patch(0, 7 * 256, 7 * 256, 256, 256).lost is None
    source.close()


def test_a_level_that_shows_something_else_is_not_used(tmp_path: Path) -> None:
    tile = jpeg(region(256))
    other = jpeg(np.full((256, 256, 3), (250, 120, 120), np.uint8))
    path = big_tiff(tmp_path / "a.tif", [(512, 512, 256, lambda r, c: tile), (256, 256, 256, lambda r, c: other)])
    with open_slide(path) as slide:
        assert len(slide.levels) == 1 and any("do not show" in note for note in slide.notes)


def tiles(row: int, column: int) -> bytes:
    return jpeg(np.full((256, 256, 3), 200, np.uint8))


def cyclic(path: Path) -> Path:
    return big_tiff(path, [(512, 512, 256, tiles), (256, 256, 256, tiles)], next_of_last=0)


def absurd(path: Path) -> Path:
    return big_tiff(path, [(512, 512, 256, tiles)], more={256: (4, 0xFFFFFFF0), 257: (4, 0xFFFFFFF0)})


def large_tiles(path: Path) -> Path:
    return big_tiff(path, [(512, 512, 256, tiles)], more={322: (4, 1 << 20), 323: (4, 1 << 20)})


def bomb(path: Path) -> Path:
    stream = bytearray(tiles(0, 0))
    at = stream.index(b"\xff\xc0")
    stream[at + 5 : at + 9] = b"\xff\xff\xff\xff"
    return big_tiff(path, [(2048, 2048, 256, lambda r, c: bytes(stream))])


def sixteen_bits(path: Path) -> Path:
    tifffile.imwrite(path, region(512).astype(np.uint16) * 200, tile=(256, 256), photometric="rgb")
    return path


def many_channels(path: Path) -> Path:
    tifffile.imwrite(
        path, np.zeros((512, 512, 7), np.uint8), tile=(256, 256), photometric="minisblack", planarconfig="contig"
    )
    return path


@pytest.mark.parametrize("make", [cyclic, absurd, large_tiles, bomb, sixteen_bits, many_channels])
def test_a_lying_file_is_refused_in_one_line(tmp_path: Path, make: Callable[[Path], Path]) -> None:
    path = make(tmp_path / "a.tif")
    with pytest.raises(BadInput) as refused, open_slide(path) as slide:
        slide.read(0, 0, *slide.size)
    assert str(refused.value).startswith(str(path)) and "\n" not in str(refused.value)


def test_transparent_tiles_are_white(tmp_path: Path) -> None:
    values = np.dstack([region(512), np.full((512, 512), 255, np.uint8)])
    values[:, 256:] = 0
    tifffile.imwrite(tmp_path / "a.tif", values, tile=(256, 256), photometric="rgb", extrasamples=["unassalpha"])
    assert (whole(tmp_path / "a.tif")[:, 256:] == 255).all()
    assert np.array_equal(whole(tmp_path / "a.tif")[:, :256], region(512)[:, :256])


def test_jpeg_2000(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", region(512), tile=(256, 256), photometric="rgb", compression="jpeg2000")
    assert np.array_equal(whole(tmp_path / "a.tif"), region(512))


def test_a_zarr_chunk_that_is_gone_is_marked(tmp_path: Path) -> None:
    path = ome_zarr(tmp_path / "z", region(512))
    for channel in range(3):
        (path / "0" / str(channel) / "0" / "1").unlink()
    (path / "0" / "1" / "1" / "0").write_bytes(b"broken")
    with open_slide(path) as slide:
        lost = slide.region(0, 0, 512, 512).lost
        assert lost is not None and (lost[:256, 256:] == 1).all() and (lost[256:, :256] == 2).all()
        assert not lost[:256, :256].any() and (slide.unstored, slide.damaged) == (1, 1)


def test_a_level_outside_of_its_folder_is_refused(tmp_path: Path) -> None:
    path = ome_zarr(tmp_path / "z", region(256))
    about = path / ".zattrs"
    about.write_text(about.read_text().replace('"path": "0"', '"path": "../../z"'))
    with pytest.raises(BadInput, match="outside"):
        open_slide(path)


@pytest.mark.parametrize("name", ["missing", "folder", "text"])
def test_what_is_no_slide_is_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("no slide")
    with pytest.raises(BadInput, match=name):
        open_slide(tmp_path / name)


def test_threads_read_the_same(tmp_path: Path) -> None:
    with open_slide(huge(tmp_path / "a.tif", 8192)) as slide, ThreadPoolExecutor(4) as pool:
        places = [(x, y) for x in range(0, 8192, 2048) for y in range(0, 8192, 2048)]
        alone = [slide.read(x, y, 300, 300) for x, y in places]
        for one, other in zip(alone, pool.map(lambda p: slide.read(*p, 300, 300), places), strict=True):
            assert np.array_equal(one, other)


def test_the_identity_follows_the_bytes_of_all_files(tmp_path: Path) -> None:
    path = ome_zarr(tmp_path / "z", region(256))
    shutil.copytree(path, tmp_path / "copy" / "z")
    assert open_slide(path).sha256 == open_slide(tmp_path / "copy" / "z").sha256
    chunk = path / "1" / "0" / "0" / "0"
    chunk.write_bytes(chunk.read_bytes() + b"x")
    assert open_slide(path).sha256 != open_slide(tmp_path / "copy" / "z").sha256


def test_a_missing_extra_is_named(tmp_path: Path) -> None:
    path = ome_zarr(tmp_path / "z", region(256))
    code = (
        "import sys; sys.modules['zarr'] = None\n"
        "from pathsegmentor.slide import open_slide\n"
        "try:\n    open_slide(sys.argv[1])\nexcept ValueError as error:\n    print(error)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert "pip install 'pathsegmentor[slide]'" in done.stdout


PEAK = """
import sys
from pathsegmentor.slide import open_slide
slide = open_slide(sys.argv[1])
w, h = slide.size
for k in range(20):
    slide.read(k * w // 24, h // 2, 800, 800, size=(400, 400))
print([int(l.split()[1]) for l in open("/proc/self/status") if l.startswith("VmHWM")][0])
"""


@pytest.mark.slow
def test_memory_does_not_grow_with_the_slide(tmp_path: Path) -> None:
    peaks = {}
    for side in (10_000, 60_000):
        path = huge(tmp_path / f"{side}.tif", side)
        done = subprocess.run([sys.executable, "-c", PEAK, path], capture_output=True, text=True, check=True)
        peaks[side] = int(done.stdout) / 1024
    assert peaks[60_000] < peaks[10_000] * 1.1 + 50, peaks
