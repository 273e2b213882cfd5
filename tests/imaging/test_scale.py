"""A file's scale is what its own words say, in whatever unit; where they disagree, nothing is guessed."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
import pytest
import tifffile
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pathsegmentor.errors import BadInput
from pathsegmentor.imaging import read_picture, read_scale
from pathsegmentor.imaging.scale import Scale, Statement, agreed, unit_um
from pathsegmentor.segment import Segmenter

RGB = np.random.default_rng(3).integers(0, 256, (40, 30, 3), dtype=np.uint8)
OME = (
    '<?xml version="1.0" encoding="{encoding}"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06">'
    '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="30" SizeY="40" SizeZ="1"'
    ' SizeC="3" SizeT="1" {sizes}><Channel ID="Channel:0:0" SamplesPerPixel="3"/><TiffData IFD="0"/></Pixels>'
    "</Image></OME>"
)
# Every length of the schema that a picture could be measured in, and its value in um.
LENGTHS = {
    "µm": 1, "μm": 1, "&#181;m": 1, "&#xB5;m": 1, "nm": 1e-3, "pm": 1e-6, "mm": 1e3, "cm": 1e4, "dm": 1e5, "m": 1e6,
    "km": 1e9, "in": 25_400, "thou": 25.4, "ft": 304_800, "pt": 25_400 / 72, "Å": 1e-4,
}  # fmt: skip


def ome(path: Path, sizes: str, encoding: str = "UTF-8", **tags: object) -> Path:
    text = OME.format(sizes=sizes, encoding=encoding).encode(encoding)
    tifffile.imwrite(path, RGB, photometric="rgb", description=text, metadata=None, **tags)
    return path


def sizes(value: object, unit: str | None) -> str:
    return " ".join(
        f'PhysicalSize{axis}="{value}"' + ("" if unit is None else f' PhysicalSize{axis}Unit="{unit}"') for axis in "XY"
    )


@pytest.mark.parametrize("unit", [*LENGTHS, None])
def test_every_length_of_ome_is_understood(unit: str | None, tmp_path: Path) -> None:
    path = ome(tmp_path / "a.ome.tif", sizes(0.25 / LENGTHS.get(unit or "", 1), unit))
    assert read_picture(path).mpp == pytest.approx((0.25, 0.25))


@pytest.mark.parametrize(
    ("value", "unit", "encoding"),
    [("2.5E-1", "µm", "UTF-8"), ("0.25", "µm", "ISO-8859-1"), ("0.25", "Âµm", "UTF-8")],
)
def test_ome_is_parsed_as_the_xml_it_is(value: str, unit: str, encoding: str, tmp_path: Path) -> None:
    path = ome(tmp_path / "a.tif", sizes(value, unit), encoding)
    assert read_picture(path).mpp == pytest.approx((0.25, 0.25))


@given(st.floats(0.01, 15), st.floats(0.01, 15), st.sampled_from(sorted(LENGTHS)), st.sampled_from(sorted(LENGTHS)))
def test_any_size_in_any_unit(
    tmp_path_factory: pytest.TempPathFactory, x: float, y: float, x_unit: str, y_unit: str
) -> None:
    text = (
        f'PhysicalSizeX="{x / LENGTHS[x_unit]!r}" PhysicalSizeXUnit="{x_unit}"'
        f' PhysicalSizeY="{y / LENGTHS[y_unit]!r}" PhysicalSizeYUnit="{y_unit}"'
    )
    path = ome(tmp_path_factory.mktemp("ome") / "a.tif", text)
    assert read_scale(path).mpp == pytest.approx((x, y))


@pytest.mark.parametrize("unit", ["micron", "um", "µm", "\\u00B5m", "microns", "nm", "mm", "cm", "inch", "Micron"])
def test_the_unit_of_imagej_goes_with_its_tags(unit: str, tmp_path: Path) -> None:
    um = {"nm": 1e-3, "mm": 1e3, "cm": 1e4, "inch": 25_400}.get(unit, 1)
    text = f"ImageJ=1.54f\nunit={unit}\nmin=0\nmax=255\n".encode()
    dots = (round(4 * um * 1000), 1000)
    tifffile.imwrite(
        tmp_path / "a.tif", RGB, photometric="rgb", description=text, metadata=None,
        resolution=(dots, dots), resolutionunit="NONE",
    )  # fmt: skip
    assert read_picture(tmp_path / "a.tif").mpp == pytest.approx((0.25, 0.25))


def test_pixels_are_no_length(tmp_path: Path) -> None:
    assert unit_um("pixel") is None and unit_um("reference frame") is None
    tifffile.imwrite(tmp_path / "a.tif", RGB, imagej=True, resolution=(4, 4), metadata={"unit": "pixel"})
    assert read_picture(tmp_path / "a.tif").mpp is None


@pytest.mark.parametrize(
    ("unit", "dots", "mpp"),
    [
        ("CENTIMETER", 40_000, 0.25),
        ("INCH", 50_800, 0.5),
        ("NONE", 40_000, None),
        ("INCH", 72, None),
        ("INCH", 300, None),
    ],
)
def test_resolution_tags_need_a_unit_and_a_microscope(unit: str, dots: int, mpp: float | None, tmp_path: Path) -> None:
    tifffile.imwrite(tmp_path / "a.tif", RGB, resolution=(dots, dots), resolutionunit=unit)
    found = read_picture(tmp_path / "a.tif").mpp
    assert found is None if mpp is None else found == pytest.approx((mpp, mpp))


@pytest.mark.parametrize("dpi", [72, 96, 300, 0, 50_800])
def test_the_density_of_a_jpeg(dpi: int, tmp_path: Path) -> None:
    Image.fromarray(RGB).save(tmp_path / "a.jpg", dpi=(dpi, dpi))
    assert read_picture(tmp_path / "a.jpg").mpp == ((0.5, 0.5) if dpi > 1000 else None)


def test_statements_that_disagree_are_asked_about(tmp_path: Path) -> None:
    path = ome(tmp_path / "a.tif", sizes(0.25, "µm"), resolution=(20_000, 20_000), resolutionunit="CENTIMETER")
    picture = read_picture(path)
    assert picture.mpp is None and picture.no_mpp == "its OME-XML says 0.25 um per pixel, its resolution tags 0.5"
    with pytest.raises(BadInput, match=r"OME-XML says 0\.25 .* resolution tags 0\.5; add --mpp"):
        Segmenter.from_pretrained("nano").encode_image(picture)
    assert read_picture(path, mpp=0.5).mpp == (0.5, 0.5)


def test_one_pixel_per_um_gives_way_and_is_said_where_it_stands_alone(tmp_path: Path) -> None:
    tags = {"resolution": (10_000, 10_000), "resolutionunit": "CENTIMETER"}
    assert read_picture(ome(tmp_path / "a.tif", sizes(0.25, "µm"), **tags)).mpp == (0.25, 0.25)
    tifffile.imwrite(tmp_path / "b.tif", RGB, **tags)
    alone = read_picture(tmp_path / "b.tif")
    assert alone.mpp == (1.0, 1.0) and "unasked" in " ".join(alone.notes)


@pytest.mark.parametrize("text", ['PhysicalSizeX="a quarter"', sizes("0.25", "furlong"), 'PhysicalSizeX="0.25'])
def test_an_unreadable_scale_is_no_damage_and_hides_behind_no_other(text: str, tmp_path: Path) -> None:
    path = ome(tmp_path / "a.tif", text, resolution=(20_000, 20_000), resolutionunit="CENTIMETER")
    picture = read_picture(path)
    assert picture.mpp is None and "its OME-XML cannot be read" in picture.no_mpp
    assert read_picture(path, mpp=0.5).mpp == (0.5, 0.5)
    np.testing.assert_array_equal(picture.pixels, RGB)


def test_an_unreadable_scale_of_aperio(tmp_path: Path) -> None:
    description = "Aperio Image Library v12\r\n30x40|AppMag = 20|MPP = 0.49.90"
    tifffile.imwrite(tmp_path / "a.svs", RGB, photometric="rgb", description=description, metadata=None)
    assert "MPP = 0.49.90" in read_picture(tmp_path / "a.svs").no_mpp


def test_entities_are_not_unfolded(tmp_path: Path) -> None:
    text = '<!DOCTYPE OME [<!ENTITY a "0.25">]><OME><Image><Pixels PhysicalSizeX="&a;"/></Image></OME>'
    tifffile.imwrite(tmp_path / "a.tif", RGB, photometric="rgb", description=text, metadata=None)
    assert "document type" in read_picture(tmp_path / "a.tif").no_mpp


@given(st.lists(st.floats(0.01, 10), min_size=1, max_size=4))
def test_agreement_is_five_percent_of_any_two(values: list[float]) -> None:
    scale = agreed([Statement(f"place {i}", (v, v)) for i, v in enumerate(values)])
    if max(values) <= 1.0499 * min(values):
        assert scale.mpp == (values[0], values[0])
    elif max(values) > 1.0501 * min(values):
        assert scale == Scale(None, scale.no_mpp) and "says" in scale.no_mpp


@given(st.binary(max_size=60))
def test_no_words_about_scale_break_the_reading(tmp_path_factory: pytest.TempPathFactory, noise: bytes) -> None:
    plain = noise.replace(b"\0", b"")
    path = tmp_path_factory.mktemp("noise") / "a.tif"
    for start in (b"<OME ", b"ImageJ=1\nunit=", b"Aperio |MPP = "):
        buffer = io.BytesIO()
        tifffile.imwrite(buffer, RGB, photometric="rgb", description=start + plain, metadata=None)
        path.write_bytes(buffer.getvalue())
        np.testing.assert_array_equal(read_picture(path, mpp=0.5).pixels, RGB)
