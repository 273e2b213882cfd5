"""What QuPath reads: rules of its readers, and outlines that paint the mask again."""

from __future__ import annotations

import json
import uuid

import numpy as np
import pytest
import shapely
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from skimage.draw import polygon as paint

from pathsegmentor.export.geojson import dumps
from pathsegmentor.segment import Found, Result
from pathsegmentor.vocabulary import Label

GLAND, NUCLEI = Label("Colon", "Tissue", "Gland"), Label("Colon", "Nuclei", "Nuclei")
COLOURS = {GLAND.id: (1, 2, 3), NUCLEI.id: (4, 5, 6)}
MASKS = arrays(bool, array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=18))


def result(*asked: tuple[str, Label, np.ndarray], mpp: tuple[float, float] = (0.5, 0.25)) -> Result:
    founds = tuple(Found(words, label, "", "present", 0.9, mask, mpp, 0.0) for words, label, mask in asked)
    height, width = asked[0][2].shape
    return Result("a.png", "0" * 64, width, height, mpp, "nano", "1" * 64, 0.5, founds, 0.0, "0")


def painted(feature: dict, shape: tuple[int, int]) -> np.ndarray:
    """The pixels whose centres lie inside, by scikit-image: outer rings minus holes."""
    out = np.zeros(shape, int)
    geometry = feature["geometry"]
    parts = geometry["coordinates"] if geometry["type"] == "MultiPolygon" else [geometry["coordinates"]]
    for part in parts:
        for number, ring in enumerate(part):
            corners = np.array(ring) - 0.5  # from corners of pixels to their centres
            rows, columns = paint(corners[:, 1], corners[:, 0], shape)
            out[rows, columns] += 1 if number == 0 else -1
    return out


@given(MASKS)
def test_painting_the_outlines_gives_the_mask(mask: np.ndarray) -> None:
    asked = result(("glands", GLAND, mask))
    features = json.loads(dumps(asked, COLOURS))["features"]
    assert len(features) == asked.founds[0].count
    again = sum((painted(f, mask.shape) for f in features), np.zeros(mask.shape, int))
    np.testing.assert_array_equal(again, mask.astype(int))


def test_an_image_that_is_no_square_is_not_transposed() -> None:
    mask = np.zeros((6, 20), bool)
    mask[1:3, 10:19] = True
    (feature,) = json.loads(dumps(result(("glands", GLAND, mask)), COLOURS))["features"]
    assert shapely.geometry.shape(feature["geometry"]).bounds == (10, 1, 19, 3)
    assert feature["properties"]["measurements"]["Area um^2"] == 18 * 0.5 * 0.25


@given(MASKS, st.sampled_from([GLAND, NUCLEI]))
def test_features_keep_the_rules_of_qupath(mask: np.ndarray, label: Label) -> None:
    features = json.loads(dumps(result(("x", label, mask)), COLOURS))["features"]
    for feature in features:
        assert feature["type"] == "Feature" and uuid.UUID(feature["id"])
        assert set(feature) == {"type", "id", "geometry", "properties"}
        properties = feature["properties"]
        assert properties["objectType"] == ("annotation" if label == GLAND else "detection")
        assert properties["classification"] == {"name": label.id, "color": list(COLOURS[label.id])}
        assert all(np.isfinite(value) for value in properties["measurements"].values())
        shape = shapely.geometry.shape(feature["geometry"])
        assert feature["geometry"]["type"] == shape.geom_type in ("Polygon", "MultiPolygon")
        assert shape.is_valid
    assert len({f["id"] for f in features}) == len(features)


def test_two_prompts_of_one_label_give_its_objects_once() -> None:
    mask = np.eye(9, dtype=bool)
    twice = result(("glands", GLAND, mask), ("nuclei", NUCLEI, ~mask), ("Glands please", GLAND, mask))
    once = result(("glands", GLAND, mask), ("nuclei", NUCLEI, ~mask))
    assert dumps(twice, COLOURS) == dumps(once, COLOURS)


@pytest.mark.timeout(60)
def test_a_tissue_full_of_holes_is_outlined_in_a_moment() -> None:
    mask = np.ones((300, 300), bool)
    mask[1:-1:3, 1:-1:3] = False
    (feature,) = json.loads(dumps(result(("glands", GLAND, mask)), COLOURS))["features"]
    assert len(feature["geometry"]["coordinates"]) == 1 + (~mask).sum()
