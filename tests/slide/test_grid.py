"""The grid covers a slide once, is anchored at its origin, and names the tiles of a region."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from pathsegmentor.errors import BadInput
from pathsegmentor.slide import Box, Grid, find_slide_tissue, open_slide, with_tissue
from tests.slide.made import SVS, TINY

SCALES = st.sampled_from([0.11, 0.2265, 0.25, 0.333, 0.499, 0.7])
GRIDS = st.builds(
    Grid,
    st.tuples(st.integers(1, 4000), st.integers(1, 4000)),
    st.tuples(SCALES, SCALES),
    st.sampled_from([0.333, 0.5, 1.0]),
    st.just(384),
    st.just(96),
)


@given(GRIDS)
def test_cores_cover_the_slide_once(grid: Grid) -> None:
    rows, columns = grid.shape
    assert rows * columns
    covered = sum(grid.core(r, c).width * grid.core(r, c).height for r in range(rows) for c in range(columns))
    assert covered == grid.size[0] * grid.size[1]
    across = [grid.core(0, c) for c in range(columns)]
    assert across[0].x == 0 and all(a.x + a.width == b.x for a, b in pairwise(across))


@given(GRIDS, st.data())
def test_the_tiles_of_a_region_are_those_that_touch_it(grid: Grid, data: st.DataObject) -> None:
    width, height = grid.size
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    region = Box(x, y, data.draw(st.integers(1, width - x)), data.draw(st.integers(1, height - y)))
    touching = [
        t
        for t in grid.tiles()
        if t.box.x < region.x + region.width
        and region.x < t.box.x + t.box.width
        and t.box.y < region.y + region.height
        and region.y < t.box.y + t.box.height
    ]
    assert list(grid.needed(region)) == touching


@given(GRIDS, st.integers(1, 3000))
def test_a_larger_slide_keeps_its_tiles(grid: Grid, more: int) -> None:
    larger = Grid((grid.size[0] + more, grid.size[1] + more), grid.mpp, grid.model_mpp, grid.tile, grid.overlap)
    assert all(larger.tile_at(t.row, t.column) == t for t in grid.tiles())


def test_a_tile_begins_where_it_is_said_to() -> None:
    grid = Grid((9000, 9000), (0.25, 0.5), 0.333, 384, 96)
    assert grid.tile_at(3, 2).box.x == round((2 * 288 - 48) * 0.333 / 0.25)
    assert grid.tile_at(3, 2).box.y == round((3 * 288 - 48) * 0.333 / 0.5)


@pytest.mark.parametrize(("tile", "overlap"), [(384, 100), (384, 384), (400, 97), (384, -32)])
def test_a_grid_that_moves_by_no_stride_is_refused(tile: int, overlap: int) -> None:
    with pytest.raises(BadInput):
        Grid((1000, 1000), (0.25, 0.25), 0.333, tile, overlap)


def test_tissue_of_a_slide_and_its_tiles() -> None:
    with open_slide(SVS) as slide:
        tissue = find_slide_tissue(slide)
        assert tissue.state == "found" and tissue.mpp == pytest.approx((2, 2), rel=0.01)
        # By eye: the section fills the middle, and what lies left of its lower half is glass.
        assert tissue.share(Box(1000, 1200, 300, 300)) == 1 and tissue.share(Box(0, 2400, 300, 300)) == 0
        assert 0.55e6 < tissue.area_um2 < 0.8e6
        grid = Grid(slide.size, slide.scale, 0.333, 384, 96)
        chosen = list(with_tissue(grid, grid.tiles(), tissue))
        assert 0 < len(chosen) < len(list(grid.tiles()))
        pixels = slide.read(
            chosen[0].box.x, chosen[0].box.y, chosen[0].box.width, chosen[0].box.height, size=(384, 384)
        )
        assert pixels.shape == (384, 384, 3)


def test_a_slide_of_glass_is_empty(tmp_path: Path) -> None:
    Image.fromarray(np.full((600, 600, 3), 240, np.uint8)).save(tmp_path / "a.png")
    for path in (tmp_path / "a.png", TINY):
        with open_slide(path, mpp=0.5) as slide:
            tissue = find_slide_tissue(slide)
        assert tissue.state == "empty" and tissue.why_empty and not tissue.mask.any()
