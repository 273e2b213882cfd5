"""Where there is H&E stained tissue: glass, dust, ink, labels, black and plain colour are none.

Haematoxylin and eosin both absorb green more than red and blue, which glass, grey, black and green ink do not. What
else is coloured so (other ink, paper, a plain colour) has one hue, while in tissue two stains mix differently from
place to place: what counts is a spread of hues that is more than noise. Some frozen sections have one hue all the same;
their texture, which fills them, tells them from ink and paper. Cuts were chosen by looking at 673 pictures of 13 public
sets, as they are, bleached and darkened, at a frozen section of TCGA, and at 161 synthetic pictures without tissue.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import cv2
import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import binary_fill_holes

from pathsegmentor.imaging.resample import resize_labels, resize_pixels, scaled_size

Mask = NDArray[np.bool_]
Plane = NDArray[np.float32]

# Um per pixel to look at; a side is not made smaller than this many pixels, and all together are not more.
LOOK_MPP, SMALLEST_LOOK, MOST_LOOK = 2.0, 32, 4_000_000
# The brightest pixels are glass, unless they are darker than any glass.
DARKEST_GLASS = 235
# The darkest pixels of tissue absorb this much green, in optical density; paler pictures are amplified so many times at
# most, if the darkest are so much darker than the palest.
FULL_STAIN, MOST_AMPLIFIED, LEAST_CONTRAST = 0.3, 3.0, 0.05
# In optical density: how much more green a stained pixel absorbs than red and blue; in the palest tissue half of it.
GREEN_EXCESS = 0.02
# Hue in degrees: pink as eosin is 0, haematoxylin about 50; red ink lies below, as blood does, blue ink above.
REDDEST, BLUEST = -48, 60
# Spread of hues in degrees, and what it makes in density: one ink has less, inks of several colours have more.
LEAST_SPREAD, MOST_SPREAD = 2.0, 45.0
LEAST_SPREAD_DENSITY = 0.004
# A signal is left by smoothing, of noise a known part is; how much more of it there must be.
ABOVE_NOISE = 1.5
# Black print and pen: dark, with little colour for it; and how much of it near stained pixels is too much.
DARK, LEAST_COLOUR, MOST_BLACK = 0.3, 0.25, 0.05
# Fine differences of density, of its mean, that make a texture; pixels this near to an edge of the stain show none.
LEAST_TEXTURE, EDGE = 0.07, 3
# Of a coloured piece, the share that must show two stains, or else a texture; of the look, the pixels it must have.
LEAST_SHARE, LEAST_TEXTURED = 0.09, 0.6
SMALLEST_PIECE, SMALLEST_PIECE_SHARE = 60, 0.02
# Pale stroma, fat, mucus and lumina lie this near to what is stained, or are enclosed by it.
REACH_UM = 64.0

_SMOOTH, _COARSE, _AROUND, _FAR = 1.5, 4.0, 8.0, 24.0
_LEFT_OF_NOISE = 1 / (2 * np.sqrt(np.pi) * _SMOOTH)
# Grey levels: what is darker than this is no slide in transmitted light; and the least colour of a picture.
_NIGHT, _LEAST_TINT = 40, 6


@dataclass(frozen=True)
class Tissue:
    """Where a picture shows tissue.

    ``found`` (h, w), at the scale it was looked for, is what surely is stained tissue, ``pale`` what has its hue, and
    ``coloured`` what may have any stain. ``size`` is that of the picture (H, W); ``why_none`` says what is there
    instead of tissue.
    """

    found: Mask
    pale: Mask
    coloured: Mask
    mpp: tuple[float, float]
    size: tuple[int, int]
    why_none: str

    @cached_property
    def mask(self) -> Mask:
        """Surely tissue (H, W); pale parts, fat and lumina may be missing."""
        return self._full(self.found)

    @cached_property
    def stained(self) -> Mask:
        """Pixels (H, W) with a stain, be it ever so pale."""
        return self._full(self.coloured)

    @cached_property
    def reach(self) -> Mask:
        """Where objects of tissue can lie (H, W): near to it and what pale parts hang on it, or enclosed by it."""
        _, numbers = cv2.connectedComponents((self._near(self.found) | self.pale).astype(np.uint8), connectivity=8)
        hanging = np.isin(numbers, np.unique(numbers[self.found])) & self.pale
        return self._full(binary_fill_holes(self._near(self.found | hanging)))

    def _near(self, mask: Mask) -> Mask:
        if not mask.any():
            return mask
        away = cv2.distanceTransform((~mask).astype(np.uint8), cv2.DIST_L2, cv2.DIST_MASK_5)
        return np.asarray(away * np.sqrt(self.mpp[0] * self.mpp[1]) <= REACH_UM)

    def _full(self, mask: Mask) -> Mask:
        return resize_labels(mask.astype(np.uint8), self.size).astype(bool)


def find_tissue(pixels: NDArray[np.uint8], mpp: tuple[float, float]) -> Tissue:
    """Look for tissue in pixels (H, W, 3); ``mpp`` is um per pixel as (x, y), up to 8 as in thumbnails of slides."""
    height, width = pixels.shape[:2]
    small = _look(pixels, mpp)
    density = _density(small)
    chroma = _smoothed(_chroma(density))
    found = _pieces(chroma[..., 0] > GREEN_EXCESS, _two_stains(chroma, density), _textured(chroma, density))
    coloured = chroma[..., 0] > GREEN_EXCESS / 2
    pale = cv2.morphologyEx((coloured & _hue_of_stains(chroma)).astype(np.uint8), cv2.MORPH_OPEN, np.ones((3, 3)))
    scale = mpp[0] * width / small.shape[1], mpp[1] * height / small.shape[0]
    why = "" if found.any() else _why_none(small)
    return Tissue(found, pale.astype(bool), coloured, scale, (height, width), why)


def _look(pixels: NDArray[np.uint8], mpp: tuple[float, float]) -> NDArray[np.uint8]:
    height, width = pixels.shape[:2]
    size = scaled_size(height, width, mpp, LOOK_MPP)
    grow = max(SMALLEST_LOOK / min(size), min(np.sqrt(MOST_LOOK / (size[0] * size[1])), 1))
    rows, columns = (min(round(side * grow), whole) for side, whole in zip(size, (height, width), strict=True))
    return resize_pixels(pixels, (rows, columns))


def _density(pixels: NDArray[np.uint8]) -> Plane:
    """Optical density (h, w, 3) against the brightest of the picture, as if it were stained as usual."""
    white = np.maximum(np.percentile(pixels, 95, axis=(0, 1)), DARKEST_GLASS).astype(np.float32)
    density = np.maximum(np.log10(white / np.maximum(pixels, np.float32(1))), 0)
    palest, darkest = np.percentile(density[..., 1], [5, 99.5])
    if darkest - palest < LEAST_CONTRAST:
        return np.asarray(density)
    return np.asarray(density * np.float32(np.clip(FULL_STAIN / darkest, 1, MOST_AMPLIFIED)))


def _chroma(density: Plane) -> Plane:
    """Green excess and red minus blue (h, w, 2)."""
    red, green, blue = np.moveaxis(density, 2, 0)
    return np.stack([green - (red + blue) / 2, red - blue], axis=2)


def _two_stains(chroma: Plane, density: Plane) -> Mask:
    """Pixels with a hue of H&E among whose neighbours hues differ as those of two stains."""
    green, tilt = chroma[..., 0], chroma[..., 1]
    stained = (green > GREEN_EXCESS) & _hue_of_stains(chroma)
    share = _around(stained)
    strength = np.maximum(_around(np.hypot(green, tilt) * stained), 1e-6)
    together = np.hypot(_around(green * stained), _around(tilt * stained)) / strength
    spread = np.sqrt(-2 * np.log(np.clip(together, 1e-6, 1)))
    in_density = spread * strength / np.maximum(share, 1e-6)
    return np.asarray(
        stained
        & (_around(green < -GREEN_EXCESS) < share)
        & (_around(_black(chroma, density), _FAR) < MOST_BLACK * share)
        & (spread > np.radians(LEAST_SPREAD))
        & (spread < np.radians(MOST_SPREAD))
        & (in_density > LEAST_SPREAD_DENSITY)
        & ((in_density > ABOVE_NOISE * _noise(_chroma(density))) | _structured(density.mean(axis=2)))
    )


def _textured(chroma: Plane, density: Plane) -> Mask:
    """Pixels with a hue of H&E, away from edges, among whose neighbours the density differs finely."""
    coloured = chroma[..., 0] > GREEN_EXCESS
    inner = cv2.erode(coloured.astype(np.uint8), np.ones((2 * EDGE + 1,) * 2), borderValue=1).astype(np.float32)
    mean = density.mean(axis=2)
    smooth = _smoothed(mean)
    share = np.maximum(_around(inner), 1e-3)
    coarse = _around(smooth * inner, _COARSE) / np.maximum(_around(inner, _COARSE), 1e-3)
    fine = np.sqrt(_around(((smooth - coarse) * inner) ** 2) / share)
    stained = coloured & _hue_of_stains(chroma)
    return np.asarray(
        stained
        & (inner > 0)
        & (fine > LEAST_TEXTURE * _around(smooth * inner) / share)
        & (_around(_black(chroma, density), _FAR) < MOST_BLACK * _around(stained))
        & _structured(mean)
    )


def _hue_of_stains(chroma: Plane) -> Mask:
    hue = np.degrees(np.arctan2(chroma[..., 1], chroma[..., 0]))
    return np.asarray((hue > REDDEST) & (hue < BLUEST))


def _black(chroma: Plane, density: Plane) -> Mask:
    dark = _smoothed(density.mean(axis=2))
    return np.asarray((dark > DARK) & (np.hypot(chroma[..., 0], chroma[..., 1]) < LEAST_COLOUR * dark))


def _noise(planes: Plane) -> Plane:
    """What smoothing leaves of the differences between neighbouring pixels, if they are noise."""
    # A slope, or an edge along rows or columns, leaves none.
    twist = planes[:-1, :-1] + planes[1:, 1:] - planes[:-1, 1:] - planes[1:, :-1]
    square = np.zeros(planes.shape[:2], np.float32)
    square[:-1, :-1] = (twist**2).mean(axis=2) / 4
    return np.asarray(_LEFT_OF_NOISE * np.sqrt(_around(square)))


def _structured(plane: Plane) -> Mask:
    """Whether smoothing leaves more of a plane (h, w) than it leaves of noise."""
    return np.asarray(_deviation(_smoothed(plane)) > ABOVE_NOISE * _LEFT_OF_NOISE * _deviation(plane))


def _deviation(plane: Plane) -> Plane:
    return np.asarray(np.sqrt(np.maximum(_around(plane**2) - _around(plane) ** 2, 0)))


def _pieces(coloured: Mask, varied: Mask, textured: Mask) -> Mask:
    """Coloured pieces, large enough, of which enough shows two stains, or nearly all a texture."""
    count, numbers = cv2.connectedComponents(coloured.astype(np.uint8), connectivity=8)
    sizes = np.bincount(numbers.ravel(), minlength=count)
    two, fine = (np.bincount(numbers.ravel(), mask.ravel(), count) for mask in (varied, textured))
    enough = (two >= LEAST_SHARE * sizes) | (fine >= LEAST_TEXTURED * sizes)
    kept = enough & (sizes >= min(SMALLEST_PIECE, SMALLEST_PIECE_SHARE * coloured.size))
    kept[0] = False
    return np.asarray(kept[numbers])


def _around(plane: NDArray[np.generic], reach: float = _AROUND) -> Plane:
    """Mean over the neighbourhood, weights falling over ``reach`` pixels."""
    return np.asarray(cv2.GaussianBlur(plane.astype(np.float32), (0, 0), reach))


def _smoothed(planes: Plane) -> Plane:
    return np.asarray(cv2.GaussianBlur(planes, (0, 0), _SMOOTH))


def _why_none(pixels: NDArray[np.uint8]) -> str:
    """What pixels (h, w, 3) without tissue show, in words."""
    smooth = cv2.GaussianBlur(pixels, (0, 0), _SMOOTH)
    tint = np.percentile(smooth.max(axis=2) - smooth.min(axis=2), 99)
    low, high = np.percentile(smooth.mean(axis=2), [1, 99])
    if np.median(smooth.max(axis=2)) < _NIGHT:
        return "no tissue: the picture is dark, black or fluorescence; only H&E in transmitted light can be read"
    if high - low < _NIGHT and low > DARKEST_GLASS - _NIGHT:
        return "no tissue: blank glass"
    if tint < _LEAST_TINT:
        return "no tissue: the picture has no colour (glass, print, ink or greyscale); only H&E in colour can be read"
    return "no tissue: neither haematoxylin nor eosin seen (a plain colour, ink, a label or another stain)"
