"""``annotate`` as a user runs it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

LABEL = "unspecified-nuclei-nuclei"


@pytest.fixture
def images(tmp_path: Path) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    Image.fromarray(np.full((64, 64, 3), 240, np.uint8)).save(folder / "glass.png")
    return folder


def test_a_folder_of_images_is_annotated_and_one_that_is_broken_named(
    here: Callable[..., Any], images: Path, tmp_path: Path
) -> None:
    (images / "broken.png").write_bytes(b"no picture")
    out = tmp_path / "out"
    done = here("annotate", images, "--prompt", LABEL, "--mpp", 0.25, "--out", out, "--json")
    assert done.code == 1
    assert [one["name"] for one in done.json["images"]] == ["glass.png"]
    assert "broken.png" in done.err
    assert sorted(path.name for path in out.iterdir()) == [
        "glass.geojson",
        "glass.png",
        "images.csv",
        "labels.csv",
        "order.csv",
    ]


@pytest.mark.parametrize(
    ("more", "said"),
    [(["--prompt", "moon"], "moon"), (["--model", "nobody"], "unknown model"), (["nowhere.png"], "nowhere.png")],
)
def test_a_wrong_request_is_one_line_and_leaves_nothing(
    here: Callable[..., Any], images: Path, tmp_path: Path, more: list[str], said: str
) -> None:
    out = tmp_path / "out"
    given = [] if more[0].endswith(".png") else [images]
    done = here("annotate", *given, "--mpp", 0.25, "--out", out, *more)
    assert done.code == 2
    assert said in done.err
    assert done.err.count("\n") == 1
    assert not out.exists()
