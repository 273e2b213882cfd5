"""An island in a ring, joined to it by a corner, was lost in result.geojson while mask, count and area had it."""

from __future__ import annotations

import json

import numpy as np
import pytest
import shapely

from pathsegmentor.export.geojson import dumps
from pathsegmentor.segment import Found, Result
from pathsegmentor.vocabulary import Label

GLAND = Label("Colon", "Tissue", "Gland")


def ring(side: int, thick: int) -> np.ndarray:
    mask = np.ones((side, side), bool)
    mask[thick:-thick, thick:-thick] = False
    return mask


def islands() -> dict[str, np.ndarray]:
    cornered = ring(12, 2)
    cornered[2:5, 2:5] = True
    cornered[2, 2:5] = cornered[2:5, 2] = False
    cornered[2, 2] = True
    both = ring(20, 3)
    both[3, 3] = both[16, 16] = True
    both[4:8, 4:8] = both[12:16, 12:16] = True
    both[3, 4:8] = both[4:8, 3] = False
    bridged = ring(15, 1)
    bridged[5:10, 5:10] = True
    bridged[7, :5] = True
    nested = bridged.copy()
    nested[6:9, 6:9] = False
    nested[6, 6] = nested[8, 8] = True
    return {
        "by a corner": cornered,
        "by two corners": both,
        "by a bridge": bridged,
        "in an island": nested,
        "mirrored": nested[:, ::-1].copy(),
    }


@pytest.mark.parametrize("name", sorted(islands()))
def test_the_outline_in_the_file_covers_the_pixels_of_the_mask(name: str) -> None:
    mask = islands()[name]
    found = Found("glands", GLAND, "", "present", 0.9, mask, (0.25, 0.25), 0.0)
    result = Result("a.png", None, *mask.shape[::-1], (0.25, 0.25), "nano", "1", 0.5, (found,), 0.0, "0")
    features = json.loads(dumps(result, {GLAND.id: (1, 2, 3)}))["features"]
    assert len(features) == found.count
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
    painted = np.zeros(mask.shape, bool)
    for feature in features:
        shape = shapely.geometry.shape(feature["geometry"])
        assert shape.is_valid
        painted |= shapely.contains_xy(shape, columns, rows)
    np.testing.assert_array_equal(painted, mask)
