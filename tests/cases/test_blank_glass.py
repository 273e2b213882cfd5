"""Where there is no tissue nothing is found, and the answer says why; beside tissue, nothing on the glass."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import IMAGES, Done, here  # noqa: F401
from tests.made_pictures import INKS, jpeg, label, noisy, pen, plain

PROMPTS = ["healthy glands in prostate", "nuclei", "glands in colon", "normal tissue in lung", "tumor in prostate"]
PICTURES = {
    "white": (plain((255, 255, 255)), "blank glass"),
    "off-white": (plain((236, 231, 224)), "blank glass"),
    "noise": (noisy(plain((240, 240, 240)), 12), "blank glass"),
    "black": (plain((0, 0, 0)), "dark"),
    "one colour": (jpeg(plain((200, 110, 165))), "plain colour"),
    "label": (label(), "print"),
    "pens": (pen(list(INKS.values())), "ink"),
    "greyscale": (np.asarray(Image.open(IMAGES / "rings_prostate.jpg").convert("L").convert("RGB")), "greyscale"),
}


def saved(pixels: np.ndarray, folder: Path) -> Path:
    Image.fromarray(pixels).save(folder / "image.png")
    return folder / "image.png"


@pytest.mark.parametrize("mpp", [0.25, 1.0])
@pytest.mark.parametrize("name", sorted(PICTURES))
def test_nothing_is_found_where_no_tissue_is(
    name: str,
    mpp: float,
    here: Callable[..., Done],  # noqa: F811
    tmp_path: Path,
) -> None:
    pixels, words = PICTURES[name]
    done = here("segment", saved(pixels, tmp_path), *PROMPTS, "--mpp", mpp, "--out", tmp_path / "out", "--json")
    assert done.code == 0 and len(done.json["results"]) == len(PROMPTS)
    for result in done.json["results"]:
        assert (result["status"], result["count"], result["area_um2"]) == ("absent", 0, 0)
        assert result["note"].startswith("no tissue") and words in result["note"]
        assert not np.asarray(Image.open(result["mask"])).any()


def test_people_are_told_why(here: Callable[..., Done], tmp_path: Path) -> None:  # noqa: F811
    done = here("segment", saved(plain((255, 255, 255)), tmp_path), "nuclei", "--mpp", 1, "--out", tmp_path / "out")
    assert done.code == 0 and "blank glass" in " ".join(done.out.split())


def test_nothing_is_found_on_the_glass_beside_tissue(here: Callable[..., Done], tmp_path: Path) -> None:  # noqa: F811
    tissue = np.asarray(Image.open(IMAGES / "rings_prostate.jpg").convert("RGB"))[:256, :256]
    beside = np.concatenate([tissue, plain((244, 243, 241), 256), pen([INKS["blue"]] * 2, side=256)], axis=1)
    asked = [prompt for prompt in PROMPTS if prompt != "nuclei"]
    done = here("segment", saved(beside, tmp_path), *asked, "--mpp", 1, "--out", tmp_path / "out", "--json")
    masks = [np.asarray(Image.open(result["mask"])) > 0 for result in done.json["results"]]
    assert any(mask[:, :256].any() for mask in masks)
    assert not any(mask[:, 256 + 80 :].any() for mask in masks)
