"""A colour profile is not applied: that is recorded, and said to people."""

from __future__ import annotations

import json
from pathlib import Path

from PIL import Image, ImageCms

from pathsegmentor.imaging import read_picture
from tests.cases.pictures import Run, asked, kidney
from tests.cli.conftest import here  # noqa: F401


def test_the_table_and_the_record_say_that_the_profile_was_not_applied(tmp_path: Path, here: Run) -> None:  # noqa: F811
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("XYZ")).tobytes()
    path = tmp_path / "image.png"
    Image.fromarray(kidney()).save(path, icc_profile=profile)
    assert (read_picture(path).pixels == kidney()).all()
    table = here("segment", path, "nuclei in kidney", "--mpp", 0.25, "--out", tmp_path / "out")
    assert table.code == 0 and "was not applied" in table.out and "profile" in table.out
    record = json.loads((tmp_path / "out" / "result.json").read_text())
    assert record["icc_profile"] and any("profile" in note for note in record["notes"])
    Image.fromarray(kidney()).save(tmp_path / "plain.png")
    done, _ = asked(here, tmp_path / "plain.png")
    assert done.json["notes"] == []
