"""``pathsegmentor compare`` and ``evaluate --mapping`` as a user runs them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.cli.conftest import Done
from tests.evaluate.made import made_set

MAPPING = """
name: Far
source: first
labels:
  colon-tissue-gland: [lung-tissue-tumor epithelial tissue]
"""


@pytest.mark.slow
def test_runs_are_compared_and_a_mapped_one_says_what_it_was_not_asked(
    here: Callable[..., Done], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pathsegmentor.evaluate.groups.DRAWS", 50)
    data = made_set(tmp_path / "set", first=3, second=0)
    (tmp_path / "map.yaml").write_text(MAPPING, encoding="utf-8")
    union, mapped, out = tmp_path / "union", tmp_path / "mapped", tmp_path / "out"
    assert here("evaluate", "--model", "filled-union", "--data", data, "--out", union).code == 0
    options = ("--mapping", tmp_path / "map.yaml", "--out", mapped)
    assert here("evaluate", "--model", "filled-instances", "--data", data, *options).code == 0
    done = here("compare", f"boxes={mapped}", union, "--out", out, "--json")
    assert done.code == 0, done.err
    assert [method["name"] for method in done.json["methods"]] == ["boxes", "filled-union"]
    assert {row["name"] for row in done.json["tables"]["by_label"]} == {"colon-tissue-gland", "all"}
    (left,) = done.json["not_compared"]
    assert left["label"] == "colon-nuclei-epithelial" and "mapping of Far does not name" in left["reason"]
    assert (out / "compare.html").is_file()


def test_wrong_requests_are_one_line(here: Callable[..., Done], tmp_path: Path) -> None:
    for words, what in (
        ((tmp_path / "no", tmp_path / "run"), "run.json is missing"),
        ((f"a={tmp_path}/no",), "run.json is missing"),
    ):
        done = here("compare", *words, "--out", tmp_path / "out")
        assert done.code == 2 and what in done.err and done.err.count("\n") == 1
    assert not (tmp_path / "out").exists()
    done = here("evaluate", "--data", tmp_path, "--out", tmp_path / "out", "--mapping", tmp_path / "no.yaml")
    assert done.code == 2 and "no.yaml" in done.err
