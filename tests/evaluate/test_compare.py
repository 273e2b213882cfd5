"""Comparisons of finished evaluations, against counts by hand."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from scipy import stats

from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.compare import comparison, mark
from pathsegmentor.evaluate.compared import write_comparison
from pathsegmentor.evaluate.find import Maker
from pathsegmentor.evaluate.intricate import intricacy, measure
from pathsegmentor.evaluate.paired import pair, read_method
from pathsegmentor.evaluate.pictures import chosen, picture
from pathsegmentor.evaluate.run import all_labels, choose, evaluate
from pathsegmentor.evaluate.samples import read_samples
from pathsegmentor.evaluate.settings import Settings
from pathsegmentor.evaluate.significance import wilcoxon
from tests.data.made import hashes
from tests.evaluate.made import GLAND, NUCLEI, STROMA, OracleMaker, made_set


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A set and evaluations of it: ours, boxes, one that fails on a gland, one that knows no stroma."""
    base = tmp_path_factory.mktemp("compare")
    data = made_set(base / "set", first=12, second=6)
    settings = Settings("test", absent="none", masks=True)
    for name, maker in {
        "ours": OracleMaker("oracle", data=data),
        "union": Maker("filled-union"),
        "instances": Maker("filled-instances"),
        "fails": OracleMaker("oracle", data=data, flaw="raises@3"),
        "little": OracleMaker("oracle", data=data, flaw="no stroma"),
    }.items():
        run(maker, data, base / name, settings)
    return base


@pytest.fixture(autouse=True)
def few_draws(monkeypatch: pytest.MonkeyPatch) -> None:
    """Intervals have tests of their own."""
    monkeypatch.setattr("pathsegmentor.evaluate.groups.DRAWS", 50)
    monkeypatch.setattr("pathsegmentor.evaluate.intricate_figures.BAND_DRAWS", 4)


def run(maker: Maker, data: Path, out: Path, settings: Settings) -> None:
    pathseg = PathSeg(data)
    evaluate(maker, data, out, settings, choose(pathseg, settings), all_labels(pathseg.entries), 1, "", False)


def dice_of(folder: Path) -> dict[tuple[str, str], float]:
    rows = read_samples(folder).to_pylist()
    return {(r["image"], r["label"]): r["dice"] for r in rows if r["present"] and r["state"] == "scored"}


def paired(runs: Path, *words: str):  # type: ignore[no-untyped-def]
    return pair([read_method(word.replace("@", f"{runs}/")) for word in words])


def test_means_marks_and_tests_are_those_of_the_samples(runs: Path) -> None:
    found = comparison(paired(runs, "@ours", "@union", "@instances"))
    ours, union, instances = (dice_of(runs / name) for name in ("ours", "union", "instances"))
    keys = sorted(ours)
    assert found["pairs"] == len(keys) == len(union)
    row = next(r for r in found["tables"]["by_label"] if r["name"] == NUCLEI)
    here = [key for key in keys if key[1] == NUCLEI]
    assert row["pairs"] == len(here)
    means = {"oracle": ours, "filled-union": union, "filled-instances": instances}
    for name, values in means.items():
        assert row[name] == pytest.approx(np.mean([values[key] for key in here]), abs=1e-6)
    order = sorted(means, key=lambda name: -row[name])
    assert [row[f"{name}_mark"] for name in order] == [1, 2, 0]
    everything = next(r for r in found["differences"] if r["name"] == "all" and r["other"] == "filled-union")
    a, b = (np.array([values[key] for key in keys]) for values in (ours, union))
    assert everything["difference"] == pytest.approx((a - b).mean(), abs=1e-6)
    assert everything["t_test"] == pytest.approx(stats.ttest_rel(a, b, alternative="greater").pvalue)
    assert everything["wilcoxon"] == wilcoxon(a, b)
    assert everything["t_test_holm"] >= everything["t_test"]
    assert everything["difference_low"] <= everything["difference"] <= everything["difference_high"]


def test_p_is_only_told_where_the_first_is_the_best(runs: Path) -> None:
    best = comparison(paired(runs, "@instances", "@ours"))["tables"]["by_label"]
    worse = comparison(paired(runs, "@ours", "@instances"))["tables"]["by_label"]
    for one, other in zip(best, worse, strict=True):
        if one["filled-instances"] != one["oracle"]:
            assert (one["p"] is None) != (other["p"] is None) or one["pairs"] < 2


def test_equal_runs_are_equal(runs: Path) -> None:
    found = comparison(paired(runs, "one=@ours", "two=@ours"))
    assert all(row["p"] is None and row["one_mark"] == row["two_mark"] == 1 for row in found["tables"]["by_source"])
    assert all(row["t_test"] is None and row["difference"] == 0 for row in found["differences"])


def test_pairs_that_one_did_not_score_are_listed_and_in_no_mean(runs: Path) -> None:
    two = paired(runs, "whole=@ours", "fails=@fails", "little=@little")
    reasons = {(one["method"], one["label"]): one["reason"] for one in two.lost}
    assert "no memory" in reasons["fails", GLAND] and "does not know stroma" in reasons["little", STROMA]
    lost = {(one["image"], one["label"]) for one in two.lost}
    assert lost.isdisjoint(two.keys) and lost | set(two.keys) == set(dice_of(runs / "ours"))
    found = comparison(two)
    methods = {row["name"]: row for row in found["methods"]}
    assert methods["whole"]["passed_over"] == methods["whole"]["failed"] == 0
    assert methods["fails"]["failed"] > 0 and methods["little"]["passed_over"] > 0
    assert methods["little"]["dice_unanswered_0"] < methods["little"]["dice_own"]
    assert methods["whole"]["dice"] == pytest.approx(
        np.mean([dice_of(runs / "ours")[key] for key in two.keys]), abs=1e-6
    )


def test_the_best_of_several_runs_counts_for_each_label(runs: Path) -> None:
    group = paired(runs, "@ours", f"boxes=@union,{runs}/instances")
    union, instances = dice_of(runs / "union"), dice_of(runs / "instances")
    for place, key in enumerate(group.keys):
        label = key[1]
        means = [np.mean([v for k, v in one.items() if k[1] == label]) for one in (union, instances)]
        assert group.dice[1, place] == (union, instances)[int(np.argmax(means))][key]
    rows = comparison(group)["chosen"]
    assert sum(row["counts"] for row in rows) == len({row["label"] for row in rows}) == 3


def test_marks() -> None:
    values = np.array([0.5, 0.7, 0.7, 0.2])
    assert [mark(values, i) for i in range(4)] == [2, 1, 1, 0]
    assert mark(np.array([0.3, 0.3]), 0) == 1


def test_what_cannot_be_compared_is_refused(runs: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="two evaluations or more"):
        paired(runs, "@ours")
    with pytest.raises(BadInput, match="called 'oracle'; name them"):
        paired(runs, "@ours", "@little")
    with pytest.raises(BadInput, match=r"run\.json is missing"):
        paired(runs, "@ours", f"b={tmp_path}")
    other = made_set(tmp_path / "other", first=3, second=2)
    run(Maker("filled-union"), other, tmp_path / "run", Settings("test", absent="none"))
    with pytest.raises(BadInput, match="different data sets"):
        paired(runs, "@ours", str(tmp_path / "run"))
    run(Maker("filled-union"), runs / "set", tmp_path / "train", Settings("train", absent="none"))
    with pytest.raises(BadInput, match="another split"):
        paired(runs, "@ours", str(tmp_path / "train"))
    both = paired(runs, "@ours", "@union")
    for out, what in ((runs / "ours", "is one of the evaluations"), (runs, "holds other files")):
        with pytest.raises(BadInput, match=what):
            write_comparison(both, out, None, lambda done, total: None)
    with pytest.raises(BadInput, match="is the set that was evaluated"):
        write_comparison(both, tmp_path / "out", other, lambda done, total: None)


def test_filled_boxes_are_always_rows_and_are_those_of_the_baselines(runs: Path) -> None:
    both = paired(runs, "@ours", "@union", "@instances")
    found = intricacy(both, measure(runs / "set", both, lambda done, total: None))
    for row in found["prompts"]:
        if row["method"] in ("filled-union", "filled-instances"):
            kind = row["method"].removeprefix("filled-").rstrip("s") if row["method"] == "filled-union" else "instance"
            name = "filled union box (no model)" if kind == "union" else "filled instance boxes (no model)"
            twin = next(r for r in found["prompts"] if r["method"] == name and r["structure"] == row["structure"])
            assert (twin["dice"], twin["prompts"]) == pytest.approx((row["dice"], row["prompts"]), abs=1e-6)
    glands = next(row for row in found["instances"] if row["label"] == GLAND)
    assert (glands["instances"], glands["instances_std"], glands["distance"]) == (1, 0, 0)


def test_the_pair_shown_is_the_median_of_its_group_and_no_pair_is_shown_twice(runs: Path) -> None:
    both = paired(runs, "@ours", "@union")
    rows = chosen(both)
    assert {title for title, _ in rows} == {"region: breast", "region: colon", "structure: nuclei", "structure: tissue"}
    mean, shown = both.dice.mean(axis=0), []
    for title, place in rows:
        level, name = title.split(": ")
        here = [i for i in np.flatnonzero(both.texts[level] == name) if i not in shown]
        values = np.sort(mean[here])
        assert mean[place] == values[(len(values) - 1) // 2] and place in here
        shown.append(place)


def test_a_picture_shows_truth_found_and_boxes() -> None:
    pixels = np.full((60, 80, 3), 200, np.uint8)
    truth, found = np.zeros((60, 80), bool), np.zeros((60, 80), bool)
    truth[10:30, 10:30], found[10:30, 40:60] = True, True
    seen = picture(pixels, truth, found, np.array([[5.0, 5, 35, 35]]))
    assert tuple(seen[10, 20]) == (30, 80, 255) and tuple(seen[5, 20]) == tuple(seen[34, 20]) == (230, 30, 30)
    assert tuple(seen[20, 20]) == (200, 200, 200) and seen[20, 50, 2] < 100 and seen[20, 50, 0] > 200


@pytest.mark.slow
def test_the_folder_of_a_comparison(runs: Path, tmp_path: Path) -> None:
    both, out = paired(runs, "@ours", "@union", "@instances"), tmp_path / "out"
    before = hashes(runs / "ours")
    found = write_comparison(both, out, runs / "set", lambda done, total: None)
    assert hashes(runs / "ours") == before
    assert json.loads((out / "compare.json").read_text(encoding="utf-8")) == json.loads(json.dumps(found))
    page = (out / "compare.html").read_text(encoding="utf-8")
    assert page.count("<img") == len(list((out / "figures").glob("*.svg"))) == 9 and "http" not in page.split("<img")[0]
    assert "<b>" in page and "<u>" in page
    text = (out / "compare.md").read_text(encoding="utf-8")
    assert "**" in text and "filled instance boxes (no model)" in text
    with (out / "tables" / "shapes.csv").open(encoding="utf-8") as file:
        assert [(row["image"], row["label"]) for row in csv.DictReader(file)] == both.keys
    again = hashes(out)
    write_comparison(both, out, runs / "set", lambda done, total: None)
    assert hashes(out) == again


@pytest.mark.slow
def test_masks_that_were_not_kept_leave_out_the_pictures_alone(runs: Path, tmp_path: Path) -> None:
    run(Maker("filled-union"), runs / "set", tmp_path / "bare", Settings("test", absent="none"))
    both = paired(runs, "@ours", str(tmp_path / "bare"))
    write_comparison(both, tmp_path / "out", runs / "set", lambda done, total: None)
    names = {path.stem for path in (tmp_path / "out" / "figures").glob("*.png")}
    assert "compare_pictures" not in names and "intricate_trends" in names
