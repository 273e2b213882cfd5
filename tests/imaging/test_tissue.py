"""Real tissue, also bleached and dark, is found; glass, ink, labels and plain colour are not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathsegmentor.imaging import find_tissue, resize_pixels
from tests.made_pictures import INKS, label, noisy, pale_stroma, pen, plain, without_tissue

ROOT = Path(__file__).parents[2]
REAL = {
    "examples/images/ebhi_adenocarcinoma": 1.0,
    "examples/images/ebhi_normal": 1.0,
    "examples/images/monusac_breast": 0.25,
    "examples/images/monuseg_kidney": 0.25,
    "examples/images/rings_prostate": 1.0,
    "src/pathsegmentor/selftest/colon": 1.0,
}
NONE = without_tissue()


def real(name: str) -> np.ndarray:
    return np.asarray(Image.open(ROOT / f"{name}.jpg").convert("RGB"))


def stained(pixels: np.ndarray, strength: float) -> np.ndarray:
    """The same tissue with all optical densities times ``strength``."""
    return np.clip(255 * (np.maximum(pixels, 1) / 255) ** strength, 0, 255).astype(np.uint8)


@pytest.mark.parametrize("strength", [0.35, 0.6, 1, 2])
@pytest.mark.parametrize("name", sorted(REAL))
def test_real_tissue_is_found_whole(name: str, strength: float) -> None:
    pixels, mpp = stained(real(name), strength), REAL[name]
    tissue = find_tissue(pixels, (mpp, mpp))
    assert tissue.mask.shape == pixels.shape[:2] and tissue.mask.mean() > 0.3
    assert tissue.reach.all() and not tissue.why_none


@pytest.mark.parametrize("name", ["ebhi_normal", "monuseg_kidney", "monusac_breast"])
def test_tissue_of_one_hue_is_found_by_its_texture(name: str) -> None:
    """As frozen sections can be: both stains magenta, only their density differs."""
    mpp = REAL[f"examples/images/{name}"]
    density = -np.log10(np.maximum(real(f"examples/images/{name}"), 1) / 255).mean(axis=2, keepdims=True)
    pixels = np.clip(255 * 10 ** (-density * [0.55, 1.7, 0.75]), 0, 255).astype(np.uint8)
    assert find_tissue(pixels, (mpp, mpp)).mask.mean() > 0.8
    smooth = np.broadcast_to(pixels.mean(axis=(0, 1)).astype(np.uint8), pixels.shape)
    assert find_tissue(noisy(smooth, 10), (mpp, mpp)).why_none, "the same colour without a texture is none"


@pytest.mark.parametrize("name", ["monuseg_kidney", "monusac_breast", "rings_prostate"])
def test_bleached_tissue_is_found(name: str) -> None:
    mpp = REAL[f"examples/images/{name}"]
    assert find_tissue(stained(real(f"examples/images/{name}"), 0.2), (mpp, mpp)).mask.mean() > 0.7


@pytest.mark.parametrize("name", sorted(REAL))
def test_what_was_annotated_lies_in_reach_and_has_a_stain(name: str) -> None:
    path = ROOT / f"{name}_mask.png"
    mask = np.asarray(Image.open(path)).astype(bool)
    tissue = find_tissue(real(name), (REAL[name], REAL[name]))
    assert tissue.reach[mask].all() and tissue.stained[mask].mean() > 0.6


def test_a_small_crop_of_pale_stroma_with_a_few_dark_nuclei_is_tissue() -> None:
    """Within 40 um eosin gone yellowish and blue nuclei spread over more hues than a whole image does."""
    tissue = find_tissue(pale_stroma(), (0.25, 0.25))
    assert not tissue.why_none and tissue.reach.all()


@pytest.mark.parametrize("name", sorted(NONE))
def test_what_is_no_tissue_is_none(name: str) -> None:
    for mpp in (0.25, 0.5, 1.0):
        tissue = find_tissue(NONE[name], (mpp, mpp))
        assert not tissue.mask.any() and not tissue.reach.any()
        assert tissue.why_none.startswith("no tissue: ")


@pytest.mark.parametrize(
    ("pixels", "words"),
    [
        (plain((255, 255, 255)), "blank glass"),
        (noisy(plain((240, 238, 236)), 8), "blank glass"),
        (plain((0, 0, 0)), "dark"),
        (255 - np.repeat(real("examples/images/monuseg_kidney")[..., :1], 3, axis=2), "H&E in colour"),
        (np.repeat(real("examples/images/ebhi_normal").mean(2, keepdims=True), 3, axis=2).astype(np.uint8), "grey"),
        (plain((200, 100, 160)), "plain colour"),
        (pen([INKS["green"]]), "ink"),
        (label(), "print"),
    ],
)
def test_the_reason_says_what_is_seen(pixels: np.ndarray, words: str) -> None:
    assert words in find_tissue(pixels, (0.5, 0.5)).why_none


def test_tissue_beside_glass_does_not_reach_far() -> None:
    pixels = np.concatenate([real("examples/images/rings_prostate"), plain((244, 243, 241), 512)], axis=1)
    tissue = find_tissue(pixels, (1.0, 1.0))
    assert tissue.mask[:, :512].mean() > 0.6 and tissue.reach[:, :512].all()
    assert not tissue.stained[:, 520:].any() and not tissue.reach[:, 600:].any()


def test_a_thumbnail_of_a_slide_shows_tissue_without_ink_and_label() -> None:
    piece = resize_pixels(real("examples/images/rings_prostate"), (64, 64))
    slide = noisy(plain((243, 242, 240), 500), 2)
    slide[60:124, 60:124] = piece
    slide[200:300, 60:160] = np.tile(piece, (2, 2, 1))[:100, :100]
    slide[:360, 320:] = pen([INKS["blue"], INKS["green"], INKS["red"]], (243, 242, 240))[:, :180]
    slide[380:, 20:480] = label()[: 500 - 380].repeat(2, axis=1)[:, :460]
    tissue = find_tissue(slide, (8.0, 8.0)).mask
    assert tissue[60:124, 60:124].mean() > 0.8 and tissue[200:300, 60:160].mean() > 0.8
    assert not tissue[:, 310:].any() and not tissue[380:].any()


@pytest.mark.parametrize("shape", [(16, 16), (16, 3000), (700, 17)])
@pytest.mark.parametrize("mpp", [(0.01, 0.01), (0.25, 1.0), (20.0, 20.0)])
def test_every_shape_and_scale_is_answered(shape: tuple[int, int], mpp: tuple[float, float]) -> None:
    pixels = np.resize(real("examples/images/ebhi_normal"), (*shape, 3))
    tissue = find_tissue(pixels, mpp)
    assert tissue.mask.shape == tissue.reach.shape == tissue.stained.shape == shape
