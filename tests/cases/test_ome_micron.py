"""OME-TIFF tells its scale in whatever unit, and needs no ``--mpp``."""

from __future__ import annotations

from pathlib import Path

import pytest
import tifffile

from tests.cases.pictures import SIDE, Run, asked, kidney
from tests.cli.conftest import here  # noqa: F401

XML = (
    '<?xml version="1.0" encoding="UTF-8"?><OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06"><Image'
    f' ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYCZT" Type="uint8" SizeX="{SIDE}" SizeY="{SIDE}" SizeZ="1"'
    ' SizeC="3" SizeT="1" PhysicalSizeX="{x}" PhysicalSizeXUnit="{unit}" PhysicalSizeY="{x}"'
    ' PhysicalSizeYUnit="{unit}"><Channel ID="Channel:0:0" SamplesPerPixel="3"/><TiffData IFD="0"/></Pixels>'
    "</Image></OME>"
)


@pytest.mark.parametrize(
    ("x", "unit", "dots"),
    [("0.25", "µm", 0), ("0.25", "μm", 0), ("0.25", "&#181;m", 10_000), ("2.5e-07", "m", 0), ("250", "nm", 40_000)],
)
def test_the_scale_of_ome_is_used(x: str, unit: str, dots: int, tmp_path: Path, here: Run) -> None:  # noqa: F811
    path = tmp_path / "image.ome.tif"
    tags = {"resolution": (dots, dots), "resolutionunit": "CENTIMETER"} if dots else {}
    text = XML.format(x=x, unit=unit).encode()
    tifffile.imwrite(path, kidney(), photometric="rgb", description=text, metadata=None, **tags)
    done, mask = asked(here, path, "own scale")
    assert done.code == 0, done.err
    assert done.json["mpp"] == pytest.approx(0.25) and mask.any()


def test_two_scales_are_asked_about(tmp_path: Path, here: Run) -> None:  # noqa: F811
    path = tmp_path / "image.ome.tif"
    text = XML.format(x="0.25", unit="µm").encode()
    tifffile.imwrite(
        path, kidney(), photometric="rgb", description=text, metadata=None, resolution=(20_000, 20_000),
        resolutionunit="CENTIMETER",
    )  # fmt: skip
    done, _ = asked(here, path, "own scale")
    assert done.code == 2 and len(done.err.splitlines()) == 1
    assert "OME-XML says 0.25" in done.err and "resolution tags 0.5" in done.err and "--mpp" in done.err
    assert asked(here, path)[0].json["mpp"] == 0.25
