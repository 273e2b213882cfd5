"""The main job through the installed command, on real images."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import shapely
from PIL import Image

from tests.cli.conftest import IMAGES, Done

Command = Callable[..., Done]


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return float(2 * (a & b).sum() / (a.sum() + b.sum()))


def test_words_become_masks(command: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = command(
        "segment", IMAGES / "ebhi_normal.jpg", "glands in colon", "Malignant glands", "--mpp", 1, "--out", out, "--json"
    )
    assert done.code == 0, done.err
    answer = done.json
    assert set(answer) == {"image", "width", "height", "mpp", "model", "notes", "results"}
    assert (answer["width"], answer["height"], answer["mpp"], answer["model"]) == (224, 224, 1.0, "nano")
    glands = answer["results"][0]
    keys = {"prompt", "label", "status", "presence", "count", "area_um2", "area_fraction", "mask"}
    assert set(glands) == keys and glands["label"] == "colon-tissue-gland"
    mask = np.asarray(Image.open(glands["mask"]))
    assert mask.shape == (224, 224) and set(np.unique(mask)) <= {0, 255}
    truth = np.asarray(Image.open(IMAGES / "ebhi_normal_mask.png")) > 0
    assert dice(mask > 0, truth) > 0.75, "far below what the model reaches: a shifted or turned mask fails"
    assert glands["area_um2"] == (mask > 0).sum() and 0 < glands["area_fraction"] < 1
    assert {p.name for p in out.iterdir()} == {
        "overlay.png",
        "colon-tissue-gland.png",
        "colon-tissue-malignant_gland.png",
        "result.geojson",
        "result.json",
    }
    record = json.loads((out / "result.json").read_text())
    assert record["weights_sha256"] and record["image_sha256"] and record["note"] == "research use only"


def test_geojson_opens_in_qupath_and_fits_the_mask(command: Command, tmp_path: Path) -> None:
    done = command(
        "segment", IMAGES / "monuseg_kidney.jpg", "nuclei in kidney", "--mpp", 0.25, "--out", tmp_path, "--json"
    )
    found = done.json["results"][0]
    collection = json.loads((tmp_path / "result.geojson").read_text())
    assert collection["type"] == "FeatureCollection"
    features = collection["features"]
    assert len(features) == found["count"] > 100
    assert len({f["id"] for f in features}) == len(features)
    mask = np.asarray(Image.open(found["mask"])) > 0
    covered = np.zeros(mask.shape, bool)
    rows, columns = np.mgrid[: mask.shape[0], : mask.shape[1]] + 0.5
    for feature in features:
        assert feature["properties"]["objectType"] == "detection"
        polygon = shapely.from_geojson(json.dumps(feature["geometry"]))
        x0, y0, x1, y1 = (int(v) for v in polygon.bounds)
        box = np.s_[y0 : y1 + 1, x0 : x1 + 1]
        covered[box] |= shapely.contains_xy(polygon, columns[box], rows[box])
    np.testing.assert_array_equal(covered, mask)
    truth = np.asarray(Image.open(IMAGES / "monuseg_kidney_mask.png")) > 0
    assert dice(mask, truth) > 0.65


def test_same_input_same_bytes(here: Command, tmp_path: Path) -> None:
    for name in "ab":
        here("segment", IMAGES / "ebhi_normal.jpg", "glands in colon", "--mpp", 1, "--out", tmp_path / name)
    for file in ("colon-tissue-gland.png", "overlay.png", "result.geojson"):
        assert (tmp_path / "a" / file).read_bytes() == (tmp_path / "b" / file).read_bytes()


def test_table_for_people(here: Command, tmp_path: Path) -> None:
    done = here("segment", IMAGES / "ebhi_normal.jpg", "glands", "--mpp", 1, "--out", tmp_path)
    assert done.code == 0 and "colon-tissue-gland" in done.out and "research use only" in done.out


BAD = {
    "missing": (["nowhere.png", "glands in colon", "--mpp", "1"], "does not exist"),
    "folder": ([".", "glands in colon", "--mpp", "1"], "is a folder"),
    "no scale": (["IMAGE", "glands in colon"], "--mpp"),
    "mpp 0": (["IMAGE", "glands in colon", "--mpp", "0"], "mpp"),
    "mpp negative": (["IMAGE", "glands in colon", "--mpp=-1"], "mpp"),
    "mpp nan": (["IMAGE", "glands in colon", "--mpp", "nan"], "mpp"),
    "mpp 5000": (["IMAGE", "glands in colon", "--mpp", "5000"], "mpp"),
    "threshold": (["IMAGE", "glands in colon", "--mpp", "1", "--threshold", "1.5"], "threshold"),
    "threshold nan": (["IMAGE", "glands in colon", "--mpp", "1", "--threshold", "nan"], "threshold"),
    "unknown prompt": (["IMAGE", "zebra", "--mpp", "1"], "nearest"),
    "empty prompt": (["IMAGE", "", "--mpp", "1"], "empty"),
    "unknown model": (["IMAGE", "glands in colon", "--mpp", "1", "--model", "nobody"], "unknown model"),
    "device": (["IMAGE", "glands in colon", "--mpp", "1", "--device", "cuda:77"], "device"),
    "strange device": (["IMAGE", "glands in colon", "--mpp", "1", "--device", "toaster"], "device"),
    "out is a file": (["IMAGE", "glands in colon", "--mpp", "1", "--out", "IMAGE"], "--out"),
}


@pytest.mark.parametrize("case", sorted(BAD))
def test_bad_requests_get_one_line_and_exit_code_2(case: str, here: Command, tmp_path: Path) -> None:
    arguments, expected = BAD[case]
    image = str(IMAGES / "ebhi_normal.jpg")
    ready = [image if a == "IMAGE" else a for a in arguments]
    extra = [] if "--out" in ready else ["--out", str(tmp_path / "out")]
    done = here("segment", *ready, *extra)
    assert done.code == 2 and done.out == ""
    assert expected in done.err and len(done.err.strip().splitlines()) == 1, done.err
    assert "Traceback" not in done.err


def test_prompts_lists_and_searches(here: Command) -> None:
    assert len(here("prompts", "--json").json) == 160
    limited = here("prompts", "--model", "nano", "--json").json
    assert {"label": "colon-tissue-gland", "prompt": "tissue-level gland in colon pathology"} in limited
    answer = here("prompts", "tumour in breast", "--json").json
    assert answer["status"] == "ambiguous" and answer["candidates"][0]["reason"]


def test_models_and_doctor(here: Command) -> None:
    (nano,) = here("models", "--json").json
    assert nano["name"] == "nano" and nano["licence"].lower() == "cc-by-nc-sa-4.0" and nano["bytes"] < 40e6
    done = here("doctor", "--json")
    assert done.code == 0 and done.json["ok"], done.out
