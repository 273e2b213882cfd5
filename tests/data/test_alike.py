"""Copies hash alike and other images do not; groups of copies are found without comparing all pairs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from pathsegmentor.data import alike
from pathsegmentor.data.alike import NEAR, distance, groups_of_copies, perceptual_hashes

SMALL = Path(__file__).parent / "small"
Image = np.ndarray


@pytest.fixture(scope="module")
def tissue() -> list[Image]:
    """Real images, each of another place, at the side that images are stored with."""
    folders = ("ebhi/*/images", "rings/**", "segpath/**")
    paths = sorted(
        {path for folder in folders for path in SMALL.glob(f"{folder}/*") if path.suffix in (".png", ".jpg")}
    )
    images = [cv2.imread(str(path))[..., ::-1] for path in paths if "mask" not in str(path).lower()]
    assert len(images) > 10
    return [np.ascontiguousarray(cv2.resize(image, (1024, 1024))) for image in images]


def recompressed(image: Image) -> Image:
    return cv2.imdecode(cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, 30])[1], cv2.IMREAD_COLOR)


def brighter(image: Image) -> Image:
    return np.clip(image * 1.1 + 5, 0, 255).astype(np.uint8)


def restained(image: Image) -> Image:
    return np.clip(image * np.array([1.1, 0.9, 1.05]) + np.array([-10, 8, 0]), 0, 255).astype(np.uint8)


def shifted(image: Image) -> Image:
    return np.ascontiguousarray(np.pad(image, ((4, 0), (4, 0), (0, 0)), mode="edge")[:1024, :1024])


def resized(image: Image) -> Image:
    return cv2.resize(cv2.resize(image, (300, 300), interpolation=cv2.INTER_AREA), (1024, 1024))


def trimmed(image: Image) -> Image:
    return cv2.resize(image[6:, 6:], (1024, 1024))


def noisy(image: Image) -> Image:
    return np.clip(image + np.random.default_rng(0).normal(0, 10, image.shape), 0, 255).astype(np.uint8)


def flipped(image: Image) -> Image:
    return np.ascontiguousarray(image[:, ::-1])


def turned(image: Image) -> Image:
    return np.ascontiguousarray(np.rot90(recompressed(image), 3)[::-1])


ALTERED = [recompressed, brighter, restained, shifted, resized, trimmed, noisy, flipped, turned]


@pytest.mark.parametrize("altered", ALTERED, ids=lambda function: function.__name__)
def test_an_altered_copy_is_found_and_nothing_else(tissue: list[Image], altered: Callable[[Image], Image]) -> None:
    hashes = [perceptual_hashes(image) for image in tissue[::3]]
    copies = [perceptual_hashes(altered(image)) for image in tissue[::3]]
    assert max(distance(a, b) for a, b in zip(hashes, copies, strict=True)) <= NEAR
    count = len(hashes)
    assert groups_of_copies([*hashes, *copies], range(2 * count)) == [[i, i + count] for i in range(count)]


def test_different_tissue_is_far_apart(tissue: list[Image]) -> None:
    hashes = [perceptual_hashes(image) for image in tissue]
    assert min(distance(a, b) for i, a in enumerate(hashes) for b in hashes[:i]) > 2 * NEAR
    assert groups_of_copies(hashes, range(len(hashes))) == []


def test_the_hashes_are_those_of_the_turned_images(tissue: list[Image]) -> None:
    image = cv2.resize(tissue[0], (64, 64), interpolation=cv2.INTER_AREA)
    hashes = perceptual_hashes(image)
    turns = [np.rot90(one, k) for one in (image, image[:, ::-1]) for k in range(4)]
    upright = [perceptual_hashes(np.ascontiguousarray(one))[0] for one in turns]
    assert {tuple(row) for row in hashes.tolist()} == {tuple(row) for row in np.stack(upright).tolist()}
    assert distance(hashes, perceptual_hashes(np.ascontiguousarray(turns[5]))) == 0


def test_empty_glass_is_no_copy_of_empty_glass() -> None:
    glass = np.full((1024, 1024, 3), 240, np.uint8)
    assert perceptual_hashes(glass) is None and perceptual_hashes(noisy(glass)) is None


def changed(hashes: np.ndarray, bits: int, rng: np.random.Generator) -> np.ndarray:
    other = hashes.copy()
    for bit in rng.choice(255, bits, replace=False):
        other[:, bit // 64] ^= np.uint64(1) << np.uint64(bit % 64)
    return other


def made(count: int, rng: np.random.Generator) -> np.ndarray:
    return rng.integers(0, 2**64, (count, 8, 4), dtype=np.uint64)


def test_kin_are_not_compared_and_copies_of_copies_are_one_group() -> None:
    rng = np.random.default_rng(3)
    first, other = made(2, rng)
    second = changed(first, 10, rng)
    assert groups_of_copies([first, other, second], [0, 1, 0]) == []
    assert groups_of_copies([first, other, second], [0, 1, 2]) == [[0, 2]]
    assert groups_of_copies([first, other, second, changed(second, 10, rng)], [0, 1, 2, 3]) == [[0, 2, 3]]
    assert groups_of_copies([first], [0]) == groups_of_copies([], []) == []


def test_a_bit_too_many_is_another_image() -> None:
    rng = np.random.default_rng(3)
    (first,) = made(1, rng)
    assert groups_of_copies([first, changed(first, NEAR + 1, rng)], [0, 1]) == []


def test_work_grows_with_images_and_not_with_pairs(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(1)
    stack = made(8_000, rng)
    planted = {(i, 7_900 + i) for i in range(0, 100, 10)}
    for a, b in planted:
        stack[b] = changed(stack[a], 8, rng)
    # Thousands of equal images must not become millions of pairs.
    stack[3000:5000] = stack[3000]
    compared, near = [], alike._near
    monkeypatch.setattr(alike, "_near", lambda *given: compared.append(given[2].shape[1]) or near(*given))
    groups = groups_of_copies(list(stack), range(len(stack)))
    assert {tuple(group) for group in groups if len(group) == 2} == planted
    assert max(groups, key=len) == list(range(3000, 5000)) and len(groups) == len(planted) + 1
    assert max(compared) <= alike.PAIRS_AT_ONCE
    assert sum(compared) < len(stack) * (len(stack) - 1) / 2
