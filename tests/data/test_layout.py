"""Folders described by a ``pathseg.yaml``: codes become labels, and a wrong description or table is told."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import yaml

from pathsegmentor.data.layout import layout_items, read_item, read_layout, source_of
from pathsegmentor.data.manifest import read_rows
from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.data.record import Annotated, Item
from pathsegmentor.data.sources import COPIES, FURTHER, PAPER, source
from pathsegmentor.errors import BadInput
from tests.cli.conftest import Done, here  # noqa: F401
from tests.data.made import picture, save, table

Run = Callable[..., Done]
# Both sides divide 1024; the codes lie in unequal boxes, so that no flip or turn looks the same.
CODES = np.zeros((64, 128), np.uint8)
for code, (top, bottom, left, right) in {1: (3, 20, 5, 60), 2: (30, 60, 70, 120), 4: (40, 50, 10, 30)}.items():
    CODES[top:bottom, left:right] = code
RULE: dict[str, Any] = {
    "file": "{part}/{name}_mask.png",
    "labels": {1: "Breast-Tissue-Tumor", 2: "breast-tissue-{second}"},
    "ignore": [4],
}
FAIR: dict[str, Any] = {
    "name": "mine",
    "image": "{part}/{name}.png",
    "item": "{name}",
    "table": "all.csv",
    "mpp": 0.5,
    "split": "{part}",
    "patient": "{case}",
    "masks": [RULE],
}
COLUMNS = ["name", "part", "case", "second", "grade"]
ROWS = [["a", "train", "p1", "stroma", "low"], ["b", "test", "p2", "necrosis", "high"]]


def folder_of(
    home: Path, change: dict[str, Any] | None = None, rule: dict[str, Any] | None = None, codes: np.ndarray = CODES
) -> Path:
    home.mkdir(parents=True, exist_ok=True)
    text = yaml.safe_dump(FAIR | {"masks": [RULE | (rule or {})]} | (change or {}))
    (home / "pathseg.yaml").write_text(text)
    table(home / "all.csv", COLUMNS, ROWS)
    for name, part, *_ in ROWS:
        save(home / part / f"{name}.png", picture(ord(name), 64, 128))
        save(home / part / f"{name}_mask.png", codes)
    return home


def read(home: Path, number: int = 0) -> Annotated:
    layout = read_layout(home / "pathseg.yaml")
    return read_item(layout, [item for item in layout_items(layout, home) if isinstance(item, Item)][number])


def build(here: Run, home: Path) -> Done:  # noqa: F811
    return here("data", "build", "--source", f"folder={home}", "--out", home.parent / "out")


def test_a_described_folder_in_one_command(tmp_path: Path, here: Run) -> None:  # noqa: F811
    home = folder_of(tmp_path / "own", {"factor": 1.0})
    done = build(here, home)
    assert done.code == 0, (done.out, done.err)
    data = PathSeg(tmp_path / "out")
    for entry, second in zip(data.entries, ("stroma", "necrosis"), strict=True):
        sample = data.sample(entry)
        assert set(sample.masks) == {"breast-tissue-tumor", f"breast-tissue-{second}"}
        big = CODES.repeat(16, 0).repeat(8, 1)
        assert (sample.masks["breast-tissue-tumor"] == (big == 1)).all()
        assert (sample.masks[f"breast-tissue-{second}"] == (big == 2)).all()
        assert sample.ignore is not None and (sample.ignore == (big == 4)).all()
    facts = {(row.source, row.origin, row.split, row.patient, row.factor_to_40x) for row in read_rows(tmp_path / "out")}
    assert facts == {("folder-mine", "a", "train", "p1", 1.0), ("folder-mine", "b", "test", "p2", 1.0)}


def test_the_factor_is_that_of_the_scale_unless_it_is_told(tmp_path: Path) -> None:
    assert source_of(read_layout(folder_of(tmp_path / "a") / "pathseg.yaml")).factor == 2.0
    assert source_of(read_layout(folder_of(tmp_path / "b", {"factor": 3}) / "pathseg.yaml")).factor == 3.0


def test_a_code_that_nobody_described_is_refused(tmp_path: Path) -> None:
    home = folder_of(tmp_path, rule={"ignore": []})
    with pytest.raises(BadInput, match="a: unknown class code 4; known: 0, 1, 2"):
        read(home)
    got = read(folder_of(tmp_path, rule={"ignore": [], "other": [4]}))
    assert got.ignore is None and not any(mask[CODES == 4].any() for mask in got.masks.values())


def test_several_codes_and_rules_may_mean_one_label(tmp_path: Path) -> None:
    label = "breast-tissue-tumor"
    home = folder_of(tmp_path, {"masks": [RULE | {"labels": {1: label, 2: label}}, RULE | {"labels": {4: label}}]})
    assert (read(home).masks[label] == (CODES > 0)).all()


def test_rules_for_one_file_know_their_codes_together(tmp_path: Path) -> None:
    one = {"file": RULE["file"], "labels": {1: "breast-tissue-tumor"}, "only": {"grade": ["high"]}}
    two = {"file": RULE["file"], "labels": {2: "breast-tissue-stroma"}, "other": [4]}
    home = folder_of(tmp_path, {"masks": [one, two]})
    # Of the first row the first rule says nothing at all.
    assert set(read(home, 0).masks) == {"breast-tissue-stroma"} == read(home, 0).complete
    assert set(read(home, 1).masks) == {"breast-tissue-stroma", "breast-tissue-tumor"}


def test_with_when_a_label_is_known_to_be_absent_elsewhere(tmp_path: Path) -> None:
    home = folder_of(
        tmp_path, rule={"labels": {"any": "breast-tissue-tumor"}, "ignore": [], "when": {"grade": ["low"]}}
    )
    low, high = read(home, 0), read(home, 1)
    assert (low.masks["breast-tissue-tumor"] == (CODES > 0)).all()
    assert not high.masks["breast-tissue-tumor"].any() and high.complete == {"breast-tissue-tumor"}


def test_numbers_are_kept_as_instances(tmp_path: Path) -> None:
    home = folder_of(tmp_path, rule={"labels": {"any": "breast-nuclei-nuclei"}, "ignore": [], "instances": True})
    assert (read(home).masks["breast-nuclei-nuclei"] == CODES).all()


@pytest.mark.parametrize(
    ("change", "rule", "expected"),
    [
        ({"colour": 1}, {}, "unknown setting 'colour'"),
        ({"mpp": 40}, {}, "is not a scale in um per pixel"),
        ({"mpp": "fine"}, {}, "is not of the expected kind"),
        ({"factor": -1}, {}, "is no enlargement to 40x"),
        ({"name": "my set"}, {}, "becomes part of file names"),
        ({}, {"labels": {"one": "breast-tissue-tumor"}}, "'one' of {part}/{name}_mask.png is no code"),
        ({}, {"labels": {-1: "breast-tissue-tumor"}}, "'-1' of {part}/{name}_mask.png is no code"),
        ({}, {"labels": {1: "tumor"}}, "'tumor' is no label"),
        ({}, {"labels": {1: "breast-tissue-{zone}"}}, "all.csv has no column 'zone'; it has name, part"),
        ({}, {"when": {"zone": ["a"]}}, "all.csv has no column 'zone'"),
        ({}, {"only": {"zone": ["a"]}}, "all.csv has no column 'zone'"),
        ({"split": "{zone}"}, {}, "all.csv has no column 'zone'"),
        ({"patient": "{zone}"}, {}, "all.csv has no column 'zone'"),
        ({"image": "{zone}.png"}, {}, "all.csv has no column 'zone'"),
        ({"split": "{grade}"}, {}, "all.csv: split 'low' is none of train, val and test"),
        ({"table": "other.csv"}, {}, "other.csv is missing"),
    ],
)
def test_a_wrong_description_is_refused_in_one_line(
    tmp_path: Path,
    here: Run,  # noqa: F811
    change: dict[str, Any],
    rule: dict[str, Any],
    expected: str,
) -> None:
    done = build(here, folder_of(tmp_path / "own", change, rule))
    assert done.code == 2 and expected in done.err and len(done.err.strip().splitlines()) == 1
    assert done.out == ""


@pytest.mark.parametrize("text", ["", "- a", "name: [", "name: !!python/object/apply:os.getcwd []", "\0"])
def test_what_is_no_description_is_refused(tmp_path: Path, here: Run, text: str) -> None:  # noqa: F811
    home = folder_of(tmp_path / "own")
    (home / "pathseg.yaml").write_text(text)
    done = build(here, home)
    assert done.code == 2 and "pathseg.yaml cannot be used" in done.err and len(done.err.strip().splitlines()) == 1


def test_rows_without_files_and_files_that_are_damaged_are_named(tmp_path: Path, here: Run) -> None:  # noqa: F811
    home = folder_of(tmp_path / "own")
    table(home / "all.csv", COLUMNS, [*ROWS, ["c", "train", "p3", "stroma", "low"]])
    path = home / "train" / "a.png"
    path.write_bytes(path.read_bytes()[:-200])
    done = build(here, home)
    assert done.code == 1
    assert "left out: folder-mine: all.csv line 4: c.png, c_mask.png missing" in done.out
    assert "a: " in done.out and "damaged" in done.out
    assert {row.origin for row in read_rows(tmp_path / "out")} == {"b"}


@pytest.mark.parametrize("rows", [[], [["a", "train"]]])
def test_an_empty_table_or_one_that_is_cut_is_told(tmp_path: Path, rows: list[list[str]]) -> None:
    home = folder_of(tmp_path)
    table(home / "all.csv", COLUMNS, rows)
    layout = read_layout(home / "pathseg.yaml")
    if rows:
        (found,) = layout_items(layout, home)
        assert isinstance(found, Item) and found.patient == ""
        with pytest.raises(BadInput, match="'breast-tissue-' is no label"):
            read_item(layout, found)
    else:
        with pytest.raises(BadInput, match=r"all\.csv has no rows"):
            list(layout_items(layout, home))


@pytest.mark.parametrize("path", sorted(COPIES.glob("*.yaml")), ids=lambda path: path.stem)
def test_every_description_that_is_shipped_can_be_used(path: Path) -> None:
    layout = read_layout(path)
    assert layout.name == path.stem and layout.name in (*PAPER, *FURTHER)
    known = {*source(path.stem).labels, *source(path.stem).more}
    assert set(source_of(layout).labels) <= known or path.stem in FURTHER
