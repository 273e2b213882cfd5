"""The range of values that is used counts, and transparency is glass, in every container."""

from __future__ import annotations

from pathlib import Path

import cv2
import imagecodecs
import numpy as np
import pytest
import skimage
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging import read_picture

RNG = np.random.default_rng(5)
RGB = RNG.integers(0, 256, (32, 24, 3), dtype=np.uint8)
RGB[0, 0], RGB[0, 1] = 255, 0


def stored(path: Path, values: np.ndarray, **options: object) -> Path:
    """Values in a TIFF or a PNG."""
    if path.suffix == ".png":
        path.write_bytes(imagecodecs.png_encode(values))
    else:
        kind = "rgb" if values.ndim == 3 and values.shape[2] >= 3 else "minisblack"
        tifffile.imwrite(path, values, photometric=kind, **options)
    return path


@given(st.sampled_from([8, 10, 12, 14, 16]), st.sampled_from([".png", ".tif"]), st.booleans(), st.booleans())
def test_values_of_any_bits_give_the_same_picture(
    tmp_path_factory: pytest.TempPathFactory, bits: int, suffix: str, grey: bool, alpha: bool
) -> None:
    top = 2**bits - 1
    eight = RGB[..., :1] if grey else RGB
    wide = np.round(eight.astype(float) * top / 255).astype(np.uint16)
    if alpha:
        wide = np.dstack([wide, np.full(wide.shape[:2], top, np.uint16)])
    extra = {"extrasamples": ["unassalpha"]} if alpha and suffix == ".tif" else {}
    values = wide[..., 0] if wide.shape[2] == 1 else wide
    if values.ndim == 3 and values.shape[2] == 2 and suffix == ".tif":
        extra["planarconfig"] = "contig"
    picture = read_picture(stored(tmp_path_factory.mktemp("bits") / f"a{suffix}", values, **extra))
    np.testing.assert_array_equal(picture.pixels, np.repeat(eight, 3, axis=2) if grey else eight)
    assert any(f"{bits} of 16 bits" in note for note in picture.notes) == (bits < 16)


@given(st.integers(0, 3))
def test_sixteen_bits_are_those_of_other_readers(tmp_path_factory: pytest.TempPathFactory, seed: int) -> None:
    values = np.random.default_rng(seed).integers(0, 65_536, (20, 30, 3), dtype=np.uint16)
    folder = tmp_path_factory.mktemp("wide")
    for path in (stored(folder / "a.tif", values), stored(folder / "a.png", values)):
        pixels = read_picture(path).pixels.astype(int)
        other = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)[..., ::-1]
        np.testing.assert_array_equal(other, values)
        assert np.abs(pixels - np.asarray(skimage.util.img_as_ubyte(other), int)).max() <= 1


def test_bits_that_the_file_states_win_over_those_of_a_dark_picture(tmp_path: Path) -> None:
    dark = (RGB.astype(np.uint16) * 3 // 2) // 2
    text = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image ID="Image:0"><Pixels ID="Pixels:0"'
        ' DimensionOrder="XYCZT" Type="uint16" SignificantBits="12" SizeX="24" SizeY="32" SizeZ="1" SizeC="3"'
        ' SizeT="1"><Channel ID="Channel:0:0" SamplesPerPixel="3"/><TiffData/></Pixels></Image></OME>'
    )
    tifffile.imwrite(tmp_path / "a.tif", dark, photometric="rgb", description=text, metadata=None)
    assert read_picture(tmp_path / "a.tif").pixels.max() == round(dark.max() * 255 / 4095)
    tifffile.imwrite(tmp_path / "b.tif", dark, photometric="rgb", extratags=[(281, "H", 1, 4095, True)])
    assert read_picture(tmp_path / "b.tif").pixels.max() == round(dark.max() * 255 / 4095)


@given(st.sampled_from(["RGBA", "LA", "P", "tRNS", "RGBA16", "premultiplied", "WEBP"]), st.integers(0, 9))
def test_transparency_of_any_mode_is_laid_over_white(
    tmp_path_factory: pytest.TempPathFactory, kind: str, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    colours = rng.integers(0, 256, (32, 24, 3), dtype=np.uint8)
    alpha = rng.integers(0, 256, (32, 24), dtype=np.uint8)
    path = tmp_path_factory.mktemp("alpha") / "a.bin"
    if kind in ("RGBA", "WEBP"):
        Image.fromarray(np.dstack([colours, alpha])).save(path, kind if kind == "WEBP" else "PNG", **LOSSLESS[kind])
    elif kind == "LA":
        colours[...] = colours[..., :1]
        Image.merge("LA", [Image.fromarray(colours[..., 0]), Image.fromarray(alpha)]).save(path, "PNG")
    elif kind == "P":
        image = Image.fromarray(colours).convert("P")
        table = bytes(rng.integers(0, 256, 256, dtype=np.uint8))
        colours, alpha = np.asarray(image.convert("RGB")), np.frombuffer(table, np.uint8)[np.asarray(image)]
        image.save(path, "PNG", transparency=table)
    elif kind == "tRNS":
        colours[:8] = (9, 9, 9)
        alpha = np.where((colours == 9).all(axis=2), 0, 255).astype(np.uint8)
        Image.fromarray(colours).save(path, "PNG", transparency=(9, 9, 9))
    elif kind == "RGBA16":
        path.write_bytes(imagecodecs.png_encode(np.dstack([colours, alpha]).astype(np.uint16) * 257))
    else:
        colours = (colours * (alpha[..., None] / 255)).astype(np.uint8)
        values = np.dstack([colours, alpha])
        tifffile.imwrite(path, values, photometric="rgb", extrasamples=["assocalpha"])
    share = alpha[..., None] / 255
    right = (colours if kind == "premultiplied" else colours * share) + 255 * (1 - share)
    assert np.abs(read_picture(path).pixels - right).max() <= 1


LOSSLESS = {"RGBA": {}, "WEBP": {"lossless": True, "exact": True}}


@pytest.mark.parametrize("kind", ["PNG", "WEBP", "TIFF"])
def test_a_fully_transparent_picture_is_refused(kind: str, tmp_path: Path) -> None:
    clear = np.dstack([RGB, np.zeros(RGB.shape[:2], np.uint8)])
    Image.fromarray(clear).save(tmp_path / "a.bin", kind, **({"lossless": True} if kind == "WEBP" else {}))
    with pytest.raises(BadInput, match="is fully transparent: it shows nothing"):
        read_picture(tmp_path / "a.bin")


def test_a_channel_that_nobody_explains_is_passed_over_and_said(tmp_path: Path) -> None:
    values = np.dstack([RGB, RGB[..., 0]])
    tifffile.imwrite(tmp_path / "a.tif", values, photometric="rgb", extrasamples=["unspecified"])
    picture = read_picture(tmp_path / "a.tif")
    np.testing.assert_array_equal(picture.pixels, RGB)
    assert picture.notes == ("1 further channel of unknown meaning passed over",)


@pytest.mark.parametrize(
    ("colour", "said"),
    [((0, 0, 0), "black"), ((255, 255, 255), "white"), ((9, 200, 3), r"of one colour \(9, 200, 3\)")],
)
def test_a_picture_of_one_colour_is_said(colour: tuple[int, int, int], said: str, tmp_path: Path) -> None:
    Image.new("RGB", (40, 40), colour).save(tmp_path / "a.png")
    (note,) = read_picture(tmp_path / "a.png").notes
    assert note.startswith("every pixel is") and note.removeprefix("every pixel is ").startswith(said.replace("\\", ""))


def test_a_picture_without_light_is_said(tmp_path: Path) -> None:
    Image.fromarray(RGB // 32).save(tmp_path / "a.png")
    assert "nearly black" in " ".join(read_picture(tmp_path / "a.png").notes)


def test_a_colour_profile_is_said_and_not_applied(tmp_path: Path) -> None:
    from PIL import ImageCms

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    for suffix in ("png", "tif", "webp", "jpg"):
        options = {"lossless": True} if suffix == "webp" else {}
        for profile, noted in ((srgb, False), (lab, True), (b"no profile", True)):
            path = tmp_path / f"a.{suffix}"
            Image.fromarray(RGB).save(path, icc_profile=profile, **options)
            picture = read_picture(path)
            assert picture.profile and any("profile" in note for note in picture.notes) == noted
            if suffix != "jpg":
                np.testing.assert_array_equal(picture.pixels, RGB)
