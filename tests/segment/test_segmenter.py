"""The Segmenter on real images: order and company of prompts, tiles, scale."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pathsegmentor.errors import BadInput, BadPrompt
from pathsegmentor.imaging import Picture, plan_tiles, read_picture, resize_pixels
from pathsegmentor.segment import Segmenter
from pathsegmentor.segment import segmenter as module


@pytest.fixture(scope="module")
def segmenter() -> Segmenter:
    return Segmenter.from_pretrained("nano")


@pytest.fixture(scope="module")
def colon() -> Picture:
    return read_picture(Path(__file__).parents[2] / "examples" / "images" / "ebhi_normal.jpg", 1.0)


def test_one_prompt_never_changes_another(segmenter: Segmenter, colon: Picture) -> None:
    prompts = ["glands in colon", "malignant glands", "prostate tumor"]
    together = segmenter.segment(segmenter.encode_image(colon), prompts)
    for found in together.founds:
        (alone,) = segmenter.segment(segmenter.encode_image(colon), found.prompt).founds
        np.testing.assert_array_equal(alone.mask, found.mask)
        assert alone.presence == pytest.approx(found.presence, abs=1e-5)


def test_asking_again_encodes_nothing(segmenter: Segmenter, colon: Picture) -> None:
    encoded = segmenter.encode_image(colon)
    segmenter.segment(encoded, "glands in colon")
    spent = encoded.seconds
    segmenter.segment(encoded, "malignant glands")
    assert encoded.seconds == spent > 0


def test_many_labels_in_small_portions_give_the_same(
    segmenter: Segmenter, colon: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompts = ["glands in colon", "malignant glands", "benign glands"]
    whole = segmenter.segment(segmenter.encode_image(colon), prompts)
    monkeypatch.setattr(module, "HELD_PIXELS", 1)
    monkeypatch.setattr(module, "KEPT_TILES", 0)
    portions = segmenter.segment(segmenter.encode_image(colon), prompts)
    for a, b in zip(whole.founds, portions.founds, strict=True):
        np.testing.assert_array_equal(a.mask, b.mask)


def test_the_same_tissue_at_another_resolution(segmenter: Segmenter, colon: Picture) -> None:
    """Enlarged twice with the scale halved, the tissue is the same and so is the answer, twice as large."""
    large = Picture(resize_pixels(colon.pixels, (448, 448)), (0.5, 0.5), "large")
    (a,) = segmenter.segment(segmenter.encode_image(colon), "glands in colon").founds
    (b,) = segmenter.segment(segmenter.encode_image(large), "glands in colon").founds
    assert b.mask.shape == (448, 448)
    shrunk = b.mask.reshape(224, 2, 224, 2).mean(axis=(1, 3)) >= 0.5
    assert 2 * (a.mask & shrunk).sum() / (a.mask.sum() + shrunk.sum()) > 0.93
    assert b.area_um2 == pytest.approx(a.area_um2, rel=0.08)


def test_a_turned_image_gives_a_turned_mask(segmenter: Segmenter, colon: Picture) -> None:
    turned = Picture(np.ascontiguousarray(np.rot90(colon.pixels)), (1.0, 1.0), "turned")
    (a,) = segmenter.segment(segmenter.encode_image(colon), "glands in colon").founds
    (b,) = segmenter.segment(segmenter.encode_image(turned), "glands in colon").founds
    back = np.rot90(b.mask, -1)
    assert 2 * (a.mask & back).sum() / (a.mask.sum() + back.sum()) > 0.9


def test_sides_that_are_no_whole_strides(segmenter: Segmenter, colon: Picture) -> None:
    for height, width in ((17, 33), (95, 224), (224, 61)):
        part = Picture(np.ascontiguousarray(colon.pixels[:height, :width]), (1.0, 1.0), "part")
        (found,) = segmenter.segment(segmenter.encode_image(part), "glands in colon").founds
        assert found.mask.shape == (height, width)


def test_what_cannot_be_done_is_said(segmenter: Segmenter, colon: Picture) -> None:
    with pytest.raises(BadInput, match="scale"):
        segmenter.encode_image(colon.pixels)
    with pytest.raises(BadInput, match="no prompt"):
        segmenter.segment(segmenter.encode_image(colon), [])
    with pytest.raises(BadPrompt, match="nearest"):
        segmenter.segment(segmenter.encode_image(colon), ["glands in colon", "zebra"])
    with pytest.raises(BadInput, match="uint8"):
        segmenter.encode_image(np.zeros((9, 9), np.float32), mpp=1.0)  # type: ignore[arg-type]


def test_present_means_that_there_is_an_object(segmenter: Segmenter, colon: Picture) -> None:
    (found,) = segmenter.segment(segmenter.encode_image(colon), "glands in colon", 1.0).founds
    assert found.presence > 0.9 and found.count == 0
    assert found.status == "unsure" and "threshold" in found.note


def test_tissue_beside_glass_is_answered_as_without(segmenter: Segmenter, colon: Picture) -> None:
    """Only the tile's own context may change a pixel; what the glass brings is cut."""
    glass = np.full((224, 1000, 3), 244, np.uint8)
    wide = Picture(np.concatenate([colon.pixels, glass], axis=1), (1.0, 1.0), "wide")
    encoded = segmenter.encode_image(wide)
    (found,) = segmenter.segment(encoded, "glands in colon").founds
    (alone,) = segmenter.segment(segmenter.encode_image(colon), "glands in colon").founds
    inside = found.mask[:, :224]
    assert 2 * (inside & alone.mask).sum() / (inside.sum() + alone.mask.sum()) > 0.9
    (all_of_it,) = segmenter.segment(encoded, "glands in colon", 0.0).founds
    assert all_of_it.mask[:, :224].all() and not all_of_it.mask[:, 224 + 70 :].any()
    config = segmenter.model.config
    planned = plan_tiles(224, 1224, config.tile, config.overlap)
    looked_at = set(encoded.kept[1.0])
    assert looked_at == {tile for tile in planned if tile.x < 224 + 64} != set(planned)


def test_the_number_of_threads_changes_no_pixel_of_a_large_image(segmenter: Segmenter, colon: Picture) -> None:
    """Each tile has a core of its own, however many there are; the record says the number all the same."""
    wide = Picture(np.concatenate([colon.pixels] * 3, axis=1), (1.0, 1.0), "wide")
    before, results = torch.get_num_threads(), []
    for threads in (1, 2):
        torch.set_num_threads(threads)
        try:
            results.append(segmenter.segment(segmenter.encode_image(wide), ["glands in colon", "nuclei"]))
        finally:
            torch.set_num_threads(before)
    one, two = results
    assert (one.threads, two.threads) == (1, 2) and two.record(["", ""])["threads"] == 2
    for a, b in zip(one.founds, two.founds, strict=True):
        assert a.mask.any() and np.array_equal(a.mask, b.mask) and a.presence == b.presence
