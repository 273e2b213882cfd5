"""Which of many images are near-identical: perceptual hashes, and groups of them without comparing all pairs."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.fft import dctn
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from pathsegmentor.data.record import Pixels

# Shape (8, 4): 255 bits, and one that is never set, for each of the eight orientations; the first is upright.
Hashes = NDArray[np.uint64]

# Two images are one picture if their hashes differ in at most this many bits. On the images nano is trained
# from: recompressed, brightened, restained, resized ones differ in 0 to 28, those shifted by 8 of 1024 pixels
# in 24 (median) and at most 38, different images in 88 or more (116 in the mean, standard deviation 5).
NEAR = 36
TERMS = 16
BITS = TERMS * TERMS - 1
# A 64 x 64 grey image with a lower standard deviation shows nothing but noise: empty glass is no copy of empty glass.
LEAST_CONTRAST = 2.0
# Only hashes that agree in all sampled bits of one of the tables are compared. Bits are sampled from the
# coarsest terms, which a copy changes least.
TABLES, SAMPLED, COARSEST = 32, 16, 8
# Bounds work and memory where thousands of images share a table's bits.
MOST_PER_TABLE = 128
PAIRS_AT_ONCE = 2_000_000


def perceptual_hashes(pixels: Pixels) -> Hashes | None:
    """Hashes of the eight orientations of an image (H, W, 3); None if it is next to blank.

    Bits are whether each of the 16 x 16 lowest cosine terms (without the mean) of the grey image, reduced
    to 64 x 64, is above their median: scale, compression and brightness hardly change that.
    """
    grey = cv2.cvtColor(cv2.resize(pixels, (64, 64), interpolation=cv2.INTER_AREA), cv2.COLOR_RGB2GRAY)
    if grey.std() < LEAST_CONTRAST:
        return None
    terms = dctn(grey.astype(np.float64), norm="ortho")[:TERMS, :TERMS]
    # Mirroring an image changes the sign of its odd terms, transposing it transposes them.
    odd = np.where(np.arange(TERMS) % 2, -1.0, 1.0)
    mirrored = [terms, terms * odd, terms * odd[:, None], terms * odd * odd[:, None]]
    flat = np.stack([*mirrored, *(one.T for one in mirrored)]).reshape(8, -1)[:, 1:]
    bits = np.zeros((8, TERMS * TERMS), np.bool_)
    bits[:, :-1] = flat > np.median(flat, axis=1, keepdims=True)
    return np.packbits(bits, axis=1, bitorder="little").view("<u8").astype(np.uint64)


def groups_of_copies(hashes: Sequence[Hashes], kin: Sequence[int]) -> list[list[int]]:
    """Indices of images that are copies of each other in some orientation, directly or over others.

    ``kin`` numbers images so that two with the same number are never compared (windows of one image).
    Time and memory grow with the number of images, not of pairs.
    """
    if len(hashes) < 2:
        return []
    stack, family = np.stack(hashes), np.asarray(kin)
    count = len(stack)
    rng = np.random.default_rng(0)
    links = np.zeros((2, 0), np.int64)
    for _ in range(TABLES):
        keys = _keys(stack, rng.choice(_coarse_terms(), SAMPLED, replace=False))
        found = [_near(stack, family, pairs) for pairs in _sharing(keys, rng.permutation(count))]
        member = _components(np.concatenate([links, *found], axis=1), count)
        # A link from each image to the first of its group says as much as all links together.
        firsts = np.unique(member, return_index=True)[1][member]
        linked = np.flatnonzero(firsts != np.arange(count))
        links = np.stack([firsts[linked], linked])
    groups: dict[int, list[int]] = {}
    for first, other in links.T.tolist():
        groups.setdefault(first, [first]).append(other)
    return [groups[first] for first in sorted(groups)]


def distance(one: Hashes, other: Hashes) -> int:
    """In how many bits two images differ, in the orientation in which they differ least."""
    return int(np.bitwise_count(one ^ other[0]).sum(axis=1).min())


def _coarse_terms() -> NDArray[np.intp]:
    row, column = np.divmod(np.arange(1, TERMS * TERMS), TERMS)
    return np.flatnonzero((row < COARSEST) & (column < COARSEST))


def _keys(stack: NDArray[np.uint64], bits: NDArray[np.intp]) -> NDArray[np.int64]:
    """The sampled bits of all hashes (N, 8, 4) as numbers (N, 8)."""
    keys = np.zeros(stack.shape[:2], np.int64)
    for bit in bits:
        keys = keys << 1 | (stack[:, :, bit // 64] >> np.uint64(bit % 64) & np.uint64(1)).astype(np.int64)
    return keys


def _sharing(keys: NDArray[np.int64], order: NDArray[np.intp]) -> Iterator[NDArray[np.int64]]:
    """Image, its orientation, and an upright image with the same key (3, M), in bounded portions."""
    upright = keys[:, 0]
    ranked = order[np.argsort(upright[order], kind="stable")]
    counts = np.bincount(upright, minlength=1 << SAMPLED)
    starts = np.cumsum(counts) - counts
    step = max(PAIRS_AT_ONCE // (8 * MOST_PER_TABLE), 1)
    for low in range(0, len(keys), step):
        wanted = keys[low : low + step].ravel()
        times = np.minimum(counts[wanted], MOST_PER_TABLE)
        turned = np.repeat(np.arange(len(wanted)), times)
        within = np.arange(len(turned)) - np.repeat(np.cumsum(times) - times, times)
        yield np.stack([turned // 8 + low, turned % 8, ranked[starts[wanted][turned] + within]])


def _near(stack: NDArray[np.uint64], family: NDArray[np.integer], pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """Those of the pairs that are copies, (2, M)."""
    one, turn, other = pairs[:, family[pairs[0]] != family[pairs[2]]]
    near = np.bitwise_count(stack[one, turn] ^ stack[other, 0]).sum(axis=1) <= NEAR
    return np.stack([one[near], other[near]])


def _components(links: NDArray[np.int64], count: int) -> NDArray[np.intp]:
    graph = coo_array((np.ones(links.shape[1], np.bool_), (links[0], links[1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1])
