"""Sizes, scales and words that a Segmenter is asked with."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathsegmentor.errors import BadInput, BadPrompt
from pathsegmentor.imaging import Picture, read_picture
from pathsegmentor.segment import Segmenter
from pathsegmentor.segment import segmenter as module

SEGMENTER = Segmenter.from_pretrained("nano")
COLON = read_picture(Path(__file__).parents[2] / "examples" / "images" / "ebhi_normal.jpg", 1.0)


def part(height: int, width: int) -> np.ndarray:
    return np.ascontiguousarray(COLON.pixels[:height, :width])


@settings(max_examples=8)
@given(
    st.integers(16, 40),
    st.integers(16, 40),
    st.floats(0.1, 1.3) | st.tuples(st.floats(0.1, 1.3), st.floats(0.1, 1.3)),
    st.sampled_from(["glands in colon", "nuclei"]),
)
def test_masks_have_the_size_of_the_image_at_every_scale(
    height: int, width: int, mpp: float | tuple[float, float], prompt: str
) -> None:
    result = SEGMENTER.segment(SEGMENTER.encode_image(part(height, width), mpp=mpp), prompt)
    (found,) = result.founds
    x, y = mpp if isinstance(mpp, tuple) else (mpp, mpp)
    assert found.mask.shape == (result.height, result.width) == (height, width) and found.mask.dtype == bool
    assert found.area_um2 == pytest.approx(found.mask.sum() * x * y) and 0 <= found.presence <= 1
    assert found.count == len(found.objects) and (found.count == 0) == (not found.mask.any())


@settings(max_examples=30)
@given(st.text(max_size=60))
def test_any_words_are_understood_or_refused(words: str) -> None:
    refusal = ""
    try:
        (candidate,) = SEGMENTER.understand(words)
    except BadPrompt as error:
        refusal = str(error)
    assert len(refusal.splitlines()) == 1 if refusal else candidate.label in SEGMENTER.model.vocabulary


def test_a_scale_at_which_nothing_can_be_seen_is_refused() -> None:
    encoded = SEGMENTER.encode_image(part(100, 100), mpp=5)
    with pytest.raises(BadInput, match="cannot be seen"):
        SEGMENTER.segment(encoded, "nuclei")


def test_an_image_that_would_grow_beyond_any_memory_is_refused() -> None:
    large = Picture(np.broadcast_to(np.uint8(0), (12_000, 12_000, 3)), (1.0, 1.0), "large")
    with pytest.raises(BadInput, match="cut out a region"):
        SEGMENTER.segment(SEGMENTER.encode_image(large), "nuclei")


def test_an_image_encoded_by_another_model_is_refused() -> None:
    other = Segmenter(replace(SEGMENTER.model, weights_sha256="0" * 64))
    with pytest.raises(BadInput, match="another model"):
        SEGMENTER.segment(other.encode_image(COLON), "nuclei")


@pytest.mark.parametrize("threshold", [-0.1, 1.1, float("nan"), float("inf")])
def test_thresholds_outside_0_to_1_are_refused(threshold: float) -> None:
    with pytest.raises(BadInput, match="threshold"):
        SEGMENTER.segment(SEGMENTER.encode_image(COLON), "glands in colon", threshold)


def test_a_higher_threshold_never_gives_more() -> None:
    encoded = SEGMENTER.encode_image(part(64, 64), mpp=1.0)
    areas = [SEGMENTER.segment(encoded, "glands in colon", t).founds[0].mask.sum() for t in (0, 0.3, 0.6, 1)]
    assert areas == sorted(areas, reverse=True)


def test_arrays_and_pictures_are_checked_too() -> None:
    with pytest.raises(BadInput, match="at least 16"):
        SEGMENTER.encode_image(part(16, 15), mpp=1.0)
    with pytest.raises(BadInput, match="mpp"):
        SEGMENTER.encode_image(Picture(part(20, 20), (float("nan"), 1.0), "a"))


@pytest.mark.parametrize(("presence", "status"), [(1.0, "unsure"), (0.0, "absent")])
def test_what_is_called_present_has_objects(monkeypatch: pytest.MonkeyPatch, presence: float, status: str) -> None:
    """With a threshold of 1 no pixel is inside, however sure the model is that the object is there."""
    real = Segmenter.probabilities
    monkeypatch.setattr(
        Segmenter, "probabilities", lambda *a: ((name, map_, presence, s) for name, map_, _, s in real(*a))
    )
    (found,) = SEGMENTER.segment(SEGMENTER.encode_image(part(64, 64), mpp=1.0), "glands in colon", 1.0).founds
    assert found.status == status and found.count == 0 and not found.mask.any()
    assert ("threshold 1" in found.to_dict().get("note", "")) == (status == "unsure")


@pytest.mark.parametrize(
    ("sure", "share", "status"),
    [(0.9, 0.5, "unsure"), (0.9, 0.01, "absent"), (0.6, 0.5, "absent"), (0.0, 0.0, "absent")],
)
def test_a_large_and_sure_mask_is_never_dropped(
    monkeypatch: pytest.MonkeyPatch, sure: float, share: float, status: str
) -> None:
    """The presence says that there is nothing; the mask is wide or small, sure or not."""
    mask = np.zeros((100, 100), np.float32)
    mask[:, : round(100 * share)] = sure
    monkeypatch.setattr(Segmenter, "probabilities", lambda self, *_: iter([("colon-tissue-gland", mask, 0.001, 0.0)]))
    encoded = SEGMENTER.encode_image(part(100, 100), mpp=1.0)
    assert encoded.tissue.reach.all()
    (found,) = SEGMENTER.segment(encoded, "glands in colon").founds
    assert (found.status, found.presence) == (status, 0.001)
    assert found.mask.any() == (status == "unsure") == ("look at it" in found.note)


def test_progress_tells_every_tile_of_all_and_may_end_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HELD_PIXELS", 1)  # a round over the image for each label
    large = np.tile(part(224, 100), (3, 1, 1))
    encoded, told = SEGMENTER.encode_image(large, mpp=1.0), []
    SEGMENTER.segment(encoded, ["glands in colon", "malignant glands"], progress=lambda *done: told.append(done))
    total = told[-1][1]
    assert total >= 4 and told == [(i + 1, total) for i in range(total)]

    def stop(done: int, _: int) -> None:
        if done == 2:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        SEGMENTER.segment(SEGMENTER.encode_image(large, mpp=1.0), "glands in colon", progress=stop)
