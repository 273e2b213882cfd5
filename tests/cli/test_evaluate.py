"""``evaluate`` and ``report`` through the command."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.cli.conftest import Done
from tests.data.made import hashes
from tests.evaluate.made import GLAND, made_set
from tests.model.small import small_model


@pytest.mark.slow
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
    done = here("evaluate", "--data", tmp_path / "set", "--out", tmp_path / "out", "--json")
    assert done.code == 0, done.err
    rows = done.json["tables"]["by_source_and_label"]
    assert [(row["label"], row["pairs"]) for row in rows] == [("unspecified-nuclei-nuclei", 1)]


@pytest.mark.slow
def test_what_a_run_leaves_and_the_same_from_its_files_alone(here: Callable[..., Done], tmp_path: Path) -> None:
    data, out = made_set(tmp_path / "pathseg", first=4, second=2), tmp_path / "out"
    model = small_model(tmp_path / "<b>model")  # a name that a page must not take for a tag
    done = here("evaluate", "--model", model, "--data", data, "--out", out, "--masks")
    assert done.code == 0, done.err
    assert "mean Dice" not in done.err and "By data set" in done.out and "research use only" in done.out
    names = {path.relative_to(out).parts[0] for path in out.rglob("*")}
    assert names == {
        *("samples.parquet", "run.json", "parts", "masks", "summary.json", "tables", "tables.md", "figures"),
        "report.html",
    }
    record = json.loads((out / "run.json").read_text())
    assert record["command"].startswith("pathsegmentor evaluate --model") and record["counts"]["failed"] == 0
    page = (out / "report.html").read_text()
    assert "&lt;b&gt;model" in page and "<b>model" not in page
    assert not re.search(r"(src|href)=.(?!data:)|url\(|https?://", page)
    assert page.count("data:image/svg+xml;base64,") == len(list((out / "figures").glob("*.svg")))

    before = hashes(out)
    shutil.rmtree(data)
    shutil.rmtree(model)
    for path in ("summary.json", "tables.md", "report.html"):
        (out / path).unlink()
    for path in ("tables", "figures"):
        shutil.rmtree(out / path)
    again = here("report", out, "--json")
    assert again.code == 0, again.err
    assert hashes(out) == before
    assert again.json["overall"]["pairs"] == sum(row["pairs"] for row in again.json["tables"]["by_label"])
    assert {row["name"] for row in again.json["tables"]["by_label"] if row["pairs"]} == {GLAND}
