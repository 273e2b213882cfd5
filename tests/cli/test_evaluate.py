"""``evaluate`` through the command."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from tests.cli.conftest import Done


def test_a_tiny_crop_that_was_enlarged_is_evaluated(here: Callable[..., Done], tmp_path: Path) -> None:
    for folder, value in (("images", 200), ("masks", 0)):
        (tmp_path / "own" / folder).mkdir(parents=True)
        picture = np.full((16, 40, 3), value, np.uint8)
        picture[4:12, 4:20] = 255 - value
        Image.fromarray(picture[..., 0] if folder == "masks" else picture).save(tmp_path / "own" / folder / "cell.png")
    (tmp_path / "own" / "labels.csv").write_text("class,label\n255,unspecified-nuclei-nuclei\n")
    (tmp_path / "own" / "images.csv").write_text("image,split\ncell.png,test\n")
    built = here("data", "build", "--source", f"folder={tmp_path / 'own'}", "--mpp", 0.25, "--out", tmp_path / "set")
    assert built.code == 0, built.err
    (tmp_path / "run.yaml").write_text("name: tiny\nsources: {folder-own: 1.0}\nschedule: {steps: 1}\n")
    done = here("evaluate", tmp_path / "run.yaml", "--data", tmp_path / "set", "--split", "test", "--json")
    assert done.code == 0, done.err
    assert [(row["label"], row["images"]) for row in done.json["rows"]] == [("unspecified-nuclei-nuclei", 1)]
