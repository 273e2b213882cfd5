"""Baselines by name, and one that another package brings: the one that the guide shows."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.baselines import baselines, is_baseline, load_baseline
from pathsegmentor.evaluate.baselines.record import Baseline
from pathsegmentor.evaluate.predictor import Asked
from pathsegmentor.imaging import Picture
from tests.cli.conftest import Done

GUIDE = (Path(__file__).parents[3] / "docs" / "baselines.md").read_text(encoding="utf-8")
DARK = GUIDE.partition("```python\n")[2].partition("```")[0]


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """What installing a package leaves: a module and the metadata of its entry point."""
    modules: list[str] = []

    def install(points: str, code: str = DARK, name: str = "dark_baseline") -> None:
        place = tmp_path / name
        info = place / f"{name}-1.0.dist-info"
        info.mkdir(parents=True)
        (place / f"{name}.py").write_text(code)
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[pathsegmentor.baselines]\n{points}\n")
        monkeypatch.syspath_prepend(place)
        modules.append(name)

    yield install
    for name in modules:
        sys.modules.pop(name, None)


def test_one_that_another_package_brings_is_listed_and_answers(
    installed: Callable[..., None],
    here: Callable[..., Done],
) -> None:
    assert not is_baseline("dark")
    installed("dark = dark_baseline:BASELINE")
    assert isinstance(baselines()["dark"], Baseline) and is_baseline("dark")
    pixels = np.full((8, 8, 3), 220, np.uint8)
    pixels[2:4, 2:6] = 40
    (found,) = load_baseline("dark").answer(Picture(pixels, None, "x"), [Asked("unspecified-nuclei-nuclei")])
    assert np.array_equal(found.mask, pixels[..., 0] == 40)
    listed = here("baselines", "--json")
    assert listed.code == 0 and "dark" in {row["name"] for row in listed.json}


@pytest.mark.parametrize(
    ("points", "code", "says"),
    [
        ("dark = dark_baseline:NONE", DARK, "baseline dark (dark_baseline:NONE) cannot be loaded: AttributeError"),
        ("dark = dark_baseline:BASELINE", "BASELINE = 3", "is no pathsegmentor.evaluate.baselines.record.Baseline"),
        ("dark = dark_baseline:BASELINE", DARK.replace('"dark"', '"Da rk"'), "calls itself 'Da rk'"),
        ("dark = dark_baseline:BASELINE", DARK.replace('"dark"', '"sam"'), "baseline sam is brought twice"),
        ("dark = dark_baseline:BASELINE", "raise OSError('no\\ndisk')", "OSError: no disk"),
    ],
)
def test_one_that_does_not_work_is_one_line(installed: Callable[..., None], points: str, code: str, says: str) -> None:
    installed(points, code)
    with pytest.raises(BadInput) as told:
        baselines()
    assert says in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize(
    ("model", "says"),
    [
        ("sam", "baseline sam needs weights: sam:PATH"),
        ("filled-union:some.pth", "has no weights; leave out ':some.pth'"),
        ("samm:x", "no baseline named 'samm'"),
    ],
)
def test_a_wrong_name_or_weights(model: str, says: str) -> None:
    with pytest.raises(BadInput) as told:
        load_baseline(model)
    assert says in str(told.value)


def test_a_package_that_lacks_is_named_with_its_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pathsegmentor.evaluate.baselines.find_spec", lambda name: None)
    with pytest.raises(BadInput, match=r"needs transformers: pip install 'pathsegmentor\[text\]'"):
        load_baseline("medsam:x.pth")


def test_the_table_says_what_each_needs(here: Callable[..., Done]) -> None:
    rows = {row["name"]: row for row in here("baselines", "--json").json}
    assert {"filled-union", "filled-instances", "sam", "medsam-instances", "sam-med2d", "biomedparse"} <= set(rows)
    assert {"unet", "deeplabv3plus", "sam-path", "nnunet"} <= set(rows)
    assert rows["medsam"]["trained_on"] == ["glas"] and "medsam_vit_b.pth" in rows["medsam"]["weights"]
    table = here("baselines")
    assert table.code == 0 and all(name in table.out for name in rows)
