"""Of a file with several pages the picture is read, its colours if they lie on pages, or it is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import tifffile

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging import read_picture

RGB = np.random.default_rng(9).integers(0, 256, (64, 48, 3), dtype=np.uint8)
PLANES = np.moveaxis(RGB, 2, 0)
LUTS = {
    name: np.outer(np.array(mix, np.uint8), np.arange(256)).astype(np.uint8)
    for name, mix in {"red": (1, 0, 0), "green": (0, 1, 0), "blue": (0, 0, 1), "cyan": (0, 1, 1)}.items()
}


def ome(path: Path, planes: np.ndarray, axes: str, **channels: object) -> Path:
    meta = {"axes": axes, "PhysicalSizeX": 0.25, "PhysicalSizeY": 0.25, **({"Channel": channels} if channels else {})}
    tifffile.imwrite(path, planes, ome=True, photometric="minisblack", metadata=meta)
    return path


def imagej(path: Path, planes: np.ndarray, **metadata: object) -> Path:
    tifffile.imwrite(path, planes, imagej=True, metadata={"axes": "CYX", "mode": "composite", **metadata})
    return path


def test_three_channels_of_ome_are_rgb_and_said(tmp_path: Path) -> None:
    picture = read_picture(ome(tmp_path / "a.ome.tif", PLANES, "CYX"))
    np.testing.assert_array_equal(picture.pixels, RGB)
    assert picture.mpp == (0.25, 0.25) and "taken as red, green and blue" in picture.notes[0]


def test_channels_that_say_their_colour_are_put_in_order(tmp_path: Path) -> None:
    path = ome(tmp_path / "a.ome.tif", PLANES[::-1], "CYX", Name=["Blue", "Green", "Red"])
    picture = read_picture(path)
    np.testing.assert_array_equal(picture.pixels, RGB)
    assert not picture.notes
    path = imagej(tmp_path / "b.tif", PLANES[[1, 0, 2]], LUTs=[LUTS["green"], LUTS["red"], LUTS["blue"]])
    np.testing.assert_array_equal(read_picture(path).pixels, RGB)


def test_a_composite_of_imagej_is_rgb(tmp_path: Path) -> None:
    path = imagej(tmp_path / "a.tif", PLANES, unit="um")
    np.testing.assert_array_equal(read_picture(path).pixels, RGB)


def test_channels_of_16_bits_share_their_range(tmp_path: Path) -> None:
    wide = np.round(PLANES.astype(float) * 4095 / 255).astype(np.uint16)
    np.testing.assert_array_equal(read_picture(ome(tmp_path / "a.ome.tif", wide, "CYX")).pixels, RGB)


@pytest.mark.parametrize(
    ("count", "names", "said"),
    [(3, ["DAPI", "FITC", "Cy3"], r"\(DAPI, FITC, Cy3\)"), (2, None, "2 channels"), (4, None, "4 channels")],
)
def test_stains_are_no_colours(count: int, names: list[str] | None, said: str, tmp_path: Path) -> None:
    planes = np.resize(PLANES, (count, 64, 48))
    path = ome(tmp_path / "a.ome.tif", planes, "CYX", **({"Name": names} if names else {}))
    with pytest.raises(BadInput, match=said):
        read_picture(path)
    tables = [LUTS["red"], LUTS["green"], LUTS["cyan"], LUTS["blue"]][:count]
    with pytest.raises(BadInput, match=f"{count} channels on separate pages"):
        read_picture(imagej(tmp_path / "b.tif", planes, LUTs=tables))


def test_grey_pages_that_nobody_explains_are_refused(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", PLANES, photometric="minisblack")
    with pytest.raises(BadInput, match="3 grey pages"):
        read_picture(tmp_path / "a.tif")


@pytest.mark.parametrize("axes", ["ZYX", "TYX"])
def test_of_planes_the_first_is_read_and_said(axes: str, tmp_path: Path) -> None:
    picture = read_picture(ome(tmp_path / "a.ome.tif", PLANES, axes))
    np.testing.assert_array_equal(picture.pixels, np.repeat(RGB[..., :1], 3, axis=2))
    assert "3 planes" in picture.notes[0]


def test_colours_of_the_first_plane_are_found_in_a_stack(tmp_path: Path) -> None:
    stack = np.stack([PLANES, 255 - PLANES])
    picture = read_picture(ome(tmp_path / "a.ome.tif", stack, "ZCYX"))
    np.testing.assert_array_equal(picture.pixels, RGB)
    picture = read_picture(ome(tmp_path / "b.ome.tif", np.moveaxis(stack, 0, 1), "CZYX"))
    np.testing.assert_array_equal(picture.pixels, RGB)


def test_other_pictures_in_the_file_are_said(tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        for array in (RGB, 255 - RGB, RGB[::-1]):
            writer.write(array, photometric="rgb")
    picture = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels, RGB)
    assert "it holds 3 pictures" in picture.notes[0]


@pytest.mark.parametrize("flag", [1, 9])
def test_a_reduced_first_page_is_not_the_picture(flag: int, tmp_path: Path) -> None:
    with tifffile.TiffWriter(tmp_path / "a.tif") as writer:
        writer.write(RGB[::4, ::4].copy(), photometric="rgb", subfiletype=flag)
        writer.write(RGB, photometric="rgb", resolution=(40_000, 40_000), resolutionunit="CENTIMETER")
        writer.write(RGB[::2, ::2].copy(), photometric="rgb", subfiletype=flag)
    picture = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels, RGB)
    assert picture.mpp == (0.25, 0.25) and "reduced copy" in picture.notes[0]


def test_a_reduced_page_alone_is_no_picture(tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", subfiletype=1)
    with pytest.raises(BadInput, match="only a reduced copy"):
        read_picture(tmp_path / "a.tif")


def test_a_pyramid_that_does_not_say_so_is_read_only_from_its_full_end(tmp_path: Path) -> None:
    pages = [RGB, RGB[::2, ::2].copy()]
    for name, order in (("a.tif", pages), ("b.tif", pages[::-1])):
        with tifffile.TiffWriter(tmp_path / name) as writer:
            for page in order:
                writer.write(page, photometric="rgb")
    np.testing.assert_array_equal(read_picture(tmp_path / "a.tif").pixels, RGB)
    with pytest.raises(BadInput, match="24 x 32 and 48 x 64 pixels"):
        read_picture(tmp_path / "b.tif")
