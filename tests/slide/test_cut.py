"""``segment`` on slides: a region is asked as the picture it is, and its objects lie where the slide has them."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import openslide
import pytest
from PIL import Image
from shapely import contains_xy
from shapely.geometry import shape

from pathsegmentor.errors import BadInput
from pathsegmentor.export.geojson import dumps
from pathsegmentor.segment import Segmenter
from pathsegmentor.slide import Box, cut_out
from tests.cli.conftest import Done, here
from tests.slide.made import SVS, ome_zarr, region

__all__ = ["here"]
X, Y, WIDTH, HEIGHT = 1000, 1300, 300, 260


def test_objects_of_a_region_lie_where_the_slide_has_them(here: Callable[..., Done], tmp_path: Path) -> None:
    done = here("segment", SVS, "nuclei", "--region", f"{X},{Y},{WIDTH},{HEIGHT}", "--out", tmp_path / "of", "--json")
    assert done.code == 0 and done.json["region"] == [X, Y, WIDTH, HEIGHT]
    assert done.json["mpp"] == pytest.approx(0.499)
    mask = np.asarray(Image.open(done.json["results"][0]["mask"])) > 0
    assert mask.shape == (HEIGHT, WIDTH) and mask.any()
    features = json.loads((tmp_path / "of" / "result.geojson").read_text())["features"]
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    drawn = np.zeros_like(mask)
    for feature in features:
        drawn |= contains_xy(shape(feature["geometry"]), columns + X + 0.5, rows + Y + 0.5)
    np.testing.assert_array_equal(drawn, mask)
    with openslide.OpenSlide(SVS) as other:
        pixels = np.asarray(other.read_region((X, Y), 0, (WIDTH, HEIGHT)).convert("RGB"))
    plain = tmp_path / "plain.png"
    Image.fromarray(pixels).save(plain)
    alone = here("segment", plain, "nuclei", "--mpp", 0.499, "--out", tmp_path / "alone", "--json")
    np.testing.assert_array_equal(np.asarray(Image.open(alone.json["results"][0]["mask"])) > 0, mask)


def test_two_regions_of_a_slide_keep_their_own_folders(
    here: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for x in (900, 1000):
        assert here("segment", SVS, "nuclei", "--region", f"{x},1300,100,100").code == 0
    folders = list(tmp_path.iterdir())
    texts = [json.loads((folder / "result.geojson").read_text())["features"] for folder in folders]
    ids = [feature["id"] for features in texts for feature in features]
    assert len(folders) == 2 and all(texts) and len(set(ids)) == len(ids), "both can lie on the slide together"


def test_a_slide_that_is_a_folder_is_read_whole(tmp_path: Path) -> None:
    path = ome_zarr(tmp_path / "s.ome.zarr", region())
    picture = cut_out(path)
    np.testing.assert_array_equal(picture.pixels, region())
    assert not picture.is_region and picture.mpp is not None


def test_objects_count_from_where_viewers_do(tmp_path: Path) -> None:
    """Of a slide with bounds QuPath shows the scanned part alone, and counts from its corner."""
    segmenter = Segmenter.from_pretrained("nano")
    cut = cut_out(SVS, region=Box(X, Y, 128, 128))
    bounded = replace(cut, shown_from=(900, 1200))
    at = []
    for picture in (cut, bounded):
        result = segmenter.segment(segmenter.encode_image(picture), "nuclei")
        features = json.loads(dumps(result, {"unspecified-nuclei-nuclei": (0, 0, 0)}))["features"]
        at.append(shape(features[0]["geometry"]).bounds)
    assert np.subtract(*at).tolist() == [900, 1200, 900, 1200]


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("1,2,3", "is not x,y,width,height"),
        ("a,2,3,4", "is not x,y,width,height"),
        ("-1,0,64,64", "is not within the slide, which has 2220 x 2967 pixels"),
        ("2200,0,64,64", "is not within the slide"),
        ("0,0,0,64", "at least 16 pixels"),
        ("0,0,-64,64", "at least 16 pixels"),
    ],
)
def test_a_region_that_is_none(here: Callable[..., Done], tmp_path: Path, text: str, says: str) -> None:
    done = here("segment", SVS, "nuclei", f"--region={text}", "--out", tmp_path / "no")
    assert done.code == 2 and says in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "no").exists()


def test_more_pixels_than_are_read_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathsegmentor.slide.cut.MOST_PIXELS", 1000)
    with pytest.raises(BadInput, match="--region"):
        cut_out(SVS, region=Box(0, 0, 100, 100))
