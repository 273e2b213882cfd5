"""``train --check``: what would be refused is refused, a step is made, and nothing is written."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from pathsegmentor.errors import BadInput
from pathsegmentor.train.config import to_yaml
from pathsegmentor.train.forecast import Forecast, check_gradients, forecast
from pathsegmentor.train.run import assemble, fabric_for, prepare
from pathsegmentor.train.step import backward, whole_of
from tests.cli.conftest import Done, here  # noqa: F401 - the fixture that runs a command
from tests.train.tiny import config


def test_a_forecast_counts_labels_weights_and_steps(data: Path) -> None:
    found = forecast(config(36, rates={"text_encoder": 0.0}), data, 1)
    assert found.images == {"breast-nuclei-nuclei": 3, "unspecified-nuclei-nuclei": 3} and len(found.rare) == 2
    assert found.steps == 36 and 0 < found.frozen < found.parameters
    assert found.step_seconds > 0 and found.read_seconds > 0 and found.tried_images == 2
    assert 50 * 2**20 < found.memory < found.room
    assert found.hours == pytest.approx(36 * max(found.step_seconds, found.read_seconds) / 3600)


def test_hours_are_those_of_the_slower_of_reading_and_learning() -> None:
    base = Forecast("cpu", {}, 1, 0, 3600, 2.0, 1.0, 1, 2, 1)
    assert base.hours == 2.0 and replace(base, read_seconds=3.0).hours == 3.0


def test_check_says_what_a_run_takes_and_writes_nothing(
    data: Path,
    tmp_path: Path,
    here: Callable[..., Done],  # noqa: F811
) -> None:
    (tmp_path / "tiny.yaml").write_text(to_yaml(config(36)))
    done = here("train", tmp_path / "tiny.yaml", "--data", data, "--out", tmp_path / "run", "--check")
    assert done.code == 0 and "36 steps" in done.out and "GiB" in done.out
    assert "breast-nuclei-nuclei (3)" in done.out
    assert sorted(p.name for p in tmp_path.iterdir()) == ["tiny.yaml"]


def test_check_refuses_what_a_run_would(data: Path, tmp_path: Path, here: Callable[..., Done]) -> None:  # noqa: F811
    wrong = replace(config(3), model=replace(config(3).model, mpp={"breast-nuclei-nucleii": 0.5}))
    (tmp_path / "tiny.yaml").write_text(to_yaml(wrong))
    done = here("train", tmp_path / "tiny.yaml", "--data", data, "--check")
    assert done.code == 2 and "did you mean 'breast-nuclei-nuclei'" in done.err and done.err.count("\n") == 1


def test_a_weight_without_gradient_is_told(data: Path) -> None:
    run = assemble(prepare(config(3), data), fabric_for("32-true", 1))
    part = run.feed.step(0)
    backward(run, part, whole_of(run, part))
    check_gradients(run)
    run.net.get_parameter("logit_scale").grad = None
    with pytest.raises(BadInput, match="1 weights get no gradient, the first is logit_scale"):
        check_gradients(run)
    run.feed.close()
