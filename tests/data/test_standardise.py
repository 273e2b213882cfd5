"""Windows, resizing and frames of section 4.1, against independent implementations and the paper's counts."""

from __future__ import annotations

import gzip
import math
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as examples
from hypothesis import strategies as st
from torch.nn import functional as F

from pathsegmentor.data import files
from pathsegmentor.data.record import Annotated, Item
from pathsegmentor.data.sources import midog
from pathsegmentor.data.standardise import (
    FEWEST_PIXELS,
    LONGEST_UNCUT,
    SIDE,
    Piece,
    Window,
    nearest,
    piece_mpp,
    pieces,
    size_at_40x,
    starts,
    to_piece,
    to_source,
    windows,
)

GENUINE = Path(__file__).parent / "midog" / "MIDOG++_neuroendocrine_subset.json.gz"
LENGTHS = st.integers(1, 9000)
LABEL = "colon-tissue-gland"


def made(masks: dict[str, np.ndarray], factor: float, mpp: float = 0.25, cut: bool = True) -> list[Piece]:
    shape = next(iter(masks.values())).shape
    pixels = np.broadcast_to(np.uint8(200), (*shape, 3))
    return list(pieces(Annotated(pixels, dict(masks), frozenset(masks)), mpp, factor, cut))


@given(LENGTHS, LENGTHS)
def test_windows_cover_everything_and_stay_inside(height: int, width: int) -> None:
    found = windows(height, width)
    assert len(set(found)) == len(found)
    rows, columns = np.zeros(height, bool), np.zeros(width, bool)
    for window in found:
        assert window.x >= 0 and window.y >= 0 and window.x + window.width <= width
        assert window.y + window.height <= height
        rows[window.y : window.y + window.height] = True
        columns[window.x : window.x + window.width] = True
    assert rows.all() and columns.all()
    # Every row span meets every column span.
    assert len(found) == len({w.x for w in found}) * len({w.y for w in found})
    assert {w.width for w in found} == {SIDE if width > LONGEST_UNCUT else width}
    assert {w.height for w in found} == {SIDE if height > LONGEST_UNCUT else height}


@given(st.integers(LONGEST_UNCUT + 1, 60_000))
def test_overlap_is_even_and_the_papers(length: int) -> None:
    found, count = starts(length), math.ceil(length / SIDE)
    assert len(found) == count and found[0] == 0 and found[-1] == length - SIDE
    overlap = (SIDE * count - length) / (count - 1)
    given_overlaps = SIDE - np.diff(found)
    assert np.abs(given_overlaps - overlap).max() < 1 and np.ptp(given_overlaps) <= 1


@pytest.mark.parametrize(("length", "count"), [(1024, 1), (1500, 1), (1501, 2), (2048, 2), (2049, 3), (7215, 8)])
def test_number_of_windows(length: int, count: int) -> None:
    assert len(windows(length, 100)) == len(windows(100, length)) == count
    assert windows(length, 2 * length, cut=False) == [Window(0, 0, 2 * length, length)]


@given(LENGTHS, LENGTHS, st.sampled_from([0.4, 1.0, 2.0, 4.0, 4.68]), st.data())
def test_there_and_back_again(height: int, width: int, factor: float, data: st.DataObject) -> None:
    window = data.draw(st.sampled_from(windows(*size_at_40x(height, width, factor))))
    point = data.draw(st.tuples(st.floats(0, SIDE), st.floats(0, SIDE)))
    assert to_piece(to_source(point, window, factor), window, factor) == pytest.approx(point, abs=1e-6)
    corner = (window.x / factor, window.y / factor)
    assert to_source((0, 0), window, factor) == pytest.approx(corner)


@given(st.integers(1, 3000), st.integers(1, 3000))
def test_nearest_is_that_of_torch(old: int, new: int) -> None:
    theirs = F.interpolate(torch.arange(old, dtype=torch.float64)[None, None], size=new, mode="nearest-exact")
    ours = nearest(old, new)
    assert ours.min() >= 0 and ours.max() < old and (np.diff(ours) >= 0).all()
    # A centre on the border of two pixels, or beside it by float32's rounding, may go to either.
    at = (np.arange(new) + 0.5) * old / new
    border = np.abs(at - np.round(at)) < 1e-3
    differ = ours != theirs[0, 0].numpy().astype(int)
    assert not (differ & ~border).any()


def twice(mask: np.ndarray, factor: float, window: Window) -> np.ndarray:
    """Enlarge all of a mask, crop, resize: by torch, step by step."""
    size = size_at_40x(*mask.shape, factor)
    large = F.interpolate(torch.from_numpy(mask.astype(np.float64))[None, None], size=size, mode="nearest-exact")
    part = large[..., window.y : window.y + window.height, window.x : window.x + window.width]
    return F.interpolate(part, size=(SIDE, SIDE), mode="nearest-exact")[0, 0].numpy().astype(mask.dtype)


@pytest.mark.parametrize(
    ("height", "width", "factor"), [(300, 420, 2.0), (1300, 900, 1.0), (410, 250, 4.0), (1600, 500, 1.0)]
)
def test_masks_are_enlarged_cropped_resized_and_hold_no_new_value(height: int, width: int, factor: float) -> None:
    rng = np.random.default_rng(height)
    coarse = rng.integers(0, 9, (height // 10 + 1, width // 10 + 1)).astype(np.int32) * 70
    mask = np.kron(coarse, np.ones((10, 10), np.int32))[:height, :width]
    flat = mask > 300
    for piece in made({LABEL: mask, "colon-tissue-flat": flat}, factor):
        stored = piece.masks[LABEL]
        assert stored.dtype == mask.dtype and set(np.unique(stored)) <= set(np.unique(mask))
        assert stored.shape == (SIDE, SIDE) and piece.masks["colon-tissue-flat"].dtype == bool
        for ours, theirs in (
            (stored, twice(mask, factor, piece.window)),
            (piece.masks["colon-tissue-flat"], twice(flat, factor, piece.window)),
        ):
            # Ties apart (a centre exactly between two pixels) nothing differs.
            assert (ours != theirs).mean() < 2e-3
        if factor in (1.0, 2.0, 4.0) and (piece.window.width, piece.window.height) == (SIDE, SIDE):
            np.testing.assert_array_equal(stored, twice(mask, factor, piece.window))


def torch_bilinear(pixels: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    values = torch.from_numpy(pixels.astype(np.float64)).permute(2, 0, 1)[None]
    return F.interpolate(values, size=size, mode="bilinear", align_corners=False)[0].permute(1, 2, 0).numpy()


@pytest.mark.parametrize(("height", "width", "factor"), [(700, 1024, 1.0), (512, 300, 2.0), (256, 256, 4.0)])
def test_pixels_are_bilinear(height: int, width: int, factor: float) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (height, width, 3), dtype=np.uint8)
    image = Annotated(pixels, {LABEL: np.ones((height, width), bool)}, frozenset())
    (piece,) = pieces(image, 0.25, factor)
    large = np.rint(torch_bilinear(pixels, size_at_40x(height, width, factor)))
    wanted = torch_bilinear(large, (SIDE, SIDE))
    assert piece.pixels.dtype == np.uint8 and piece.pixels.shape == (SIDE, SIDE, 3)
    # The enlarged image is rounded to grey levels once more on the way, hence up to 2 with two steps.
    steps = 1 if (height * factor, width * factor) in ((height, width), (SIDE, SIDE)) else 2
    assert np.abs(piece.pixels - wanted).max() <= steps
    assert np.abs(piece.pixels - wanted).mean() < 0.5


def test_windows_of_a_large_image_show_their_own_pixels() -> None:
    height, width = 1700, 2500
    rows, columns = np.mgrid[:height, :width]
    pixels = np.stack([rows // 10, columns // 10, (rows + columns) % 200], axis=2).astype(np.uint8)
    image = Annotated(pixels, {LABEL: np.ones((height, width), bool)}, frozenset())
    found = list(pieces(image, 0.25, 1.0))
    assert [piece.window for piece in found] == windows(height, width) and len(found) == 6
    for piece in found:
        x, y = piece.window.x, piece.window.y
        np.testing.assert_array_equal(piece.pixels, pixels[y : y + SIDE, x : x + SIDE])


@examples(max_examples=15)
@given(
    st.integers(60, 500),
    st.integers(60, 500),
    st.sampled_from([1.0, 2.0, 4.0]),
    st.integers(0, 1000),
)
def test_shapes_stay_where_they_are(height: int, width: int, factor: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    mask = np.zeros((height, width), bool)
    top, left = int(rng.integers(0, height // 2)), int(rng.integers(0, width // 2))
    mask[top : top + height // 3, left : left + width // 5] = True  # a flat bar with a foot: no symmetry
    mask[top + height // 6 : top + height // 3, left : left + width // 3] = True
    mpp = 0.5
    for piece in made({LABEL: mask}, factor, mpp):
        size = size_at_40x(height, width, factor)
        here = np.zeros(mask.shape, bool)
        window = piece.window
        y0, y1 = (v * height / size[0] for v in (window.y, window.y + window.height))
        x0, x1 = (v * width / size[1] for v in (window.x, window.x + window.width))
        if not all(float(v).is_integer() for v in (x0, x1, y0, y1)):
            continue
        here[int(y0) : int(y1), int(x0) : int(x1)] = mask[int(y0) : int(y1), int(x0) : int(x1)]
        given_at = (np.argwhere(here).mean(axis=0) + 0.5) * mpp - np.array([y0, x0]) * mpp
        stored_at = (np.argwhere(piece.masks[LABEL]).mean(axis=0) + 0.5) * piece.mpp[::-1]
        assert np.abs(given_at - stored_at).max() <= mpp / 2


def test_scale_of_a_piece() -> None:
    assert piece_mpp(Window(0, 0, 1024, 1024), (2000, 3000), (4000, 6000), 0.5) == (0.25, 0.25)
    assert piece_mpp(Window(0, 0, 1400, 700), (700, 1400), (700, 1400), 0.25) == (0.25 * 1400 / 1024, 0.25 * 700 / 1024)
    (piece,) = made({LABEL: np.ones((522, 775), bool)}, 1.0, 0.62, cut=False)
    assert piece.mpp == pytest.approx((0.62 * 775 / 1024, 0.62 * 522 / 1024))


def test_windows_without_a_label_and_crumbs_are_dropped() -> None:
    mask, other = np.zeros((1600, 1600), bool), np.zeros((1600, 1600), bool)
    mask[:7, :7] = True  # 49 pixels
    assert made({LABEL: mask}, 1.0) == []
    mask[7, 0] = True
    other[-8:, -8:] = True
    found = made({LABEL: mask, "colon-tissue-other": other}, 1.0)
    assert [(p.window.x, p.window.y, list(p.masks)) for p in found] == [
        (0, 0, [LABEL]),
        (576, 576, ["colon-tissue-other"]),
    ]
    # The rule counts pixels at 40x.
    mask[:] = False
    mask[100:103, 100:105] = True
    assert not made({LABEL: mask[:300, :300]}, 1.0) and made({LABEL: mask[:300, :300]}, 2.0)


def test_a_piece_always_holds_a_mask() -> None:
    # 1500 columns become 1024: a line one pixel wide falls between two of them.
    kept = set(nearest(1500, SIDE).tolist())
    lost = next(column for column in range(1500) if column not in kept)
    line = np.zeros((1500, 1500), bool)
    line[:, lost] = True
    assert made({LABEL: line}, 1.0) == []
    (piece,) = made({LABEL: line, "colon-tissue-other": np.ones((1500, 1500), bool)}, 1.0)
    assert list(piece.masks) == ["colon-tissue-other"]


def test_ignored_pixels_travel_with_their_window() -> None:
    mask, ignore = np.ones((300, 400), bool), np.zeros((300, 400), bool)
    ignore[:150] = True
    image = Annotated(np.zeros((300, 400, 3), np.uint8), {LABEL: mask}, frozenset(), ignore)
    (piece,) = pieces(image, 0.25, 2.0)
    assert piece.ignore is not None and piece.ignore[:512].all() and not piece.ignore[512:].any()
    (clean,) = pieces(Annotated(image.pixels, {LABEL: mask}, frozenset(), ~mask), 0.25, 2.0)
    assert clean.ignore is None


def test_midogs_counts_are_the_papers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "MIDOG++.json").write_bytes(gzip.decompress(GENUINE.read_bytes()))
    for number in range(350, 405):
        (tmp_path / "images" / f"{number}.tiff").touch()
    monkeypatch.setattr(files, "rgb", lambda path: np.broadcast_to(np.uint8(0), (5412, 7215, 3)))
    images, masks = 0, dict.fromkeys(midog.LABELS.values(), 0)
    for item in midog.items(tmp_path):
        assert isinstance(item, Item)
        outlined = {label: mask > 0 for label, mask in midog.read(item).masks.items()}
        for window in windows(5412, 7215):
            part = np.s_[window.y : window.y + window.height, window.x : window.x + window.width]
            there = [label for label, mask in outlined.items() if np.count_nonzero(mask[part]) >= FEWEST_PIXELS]
            images += bool(there)
            for label in there:
                masks[label] += 1
    assert images == pytest.approx(1482, rel=0.01)
    assert list(masks.values()) == pytest.approx([497, 1305], rel=0.01)
    paper = midog.SOURCE.paper
    assert paper is not None and (paper.images, paper.masks) == (1482, 497 + 1305)
