"""Names: a user's own source is never taken for one of the paper's; a package adds a source by an entry point."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from pathsegmentor.data import sources
from pathsegmentor.data.build import Settings, Wish, build
from pathsegmentor.data.finish import listing
from pathsegmentor.data.licences import licences
from pathsegmentor.data.manifest import read_rows
from pathsegmentor.data.record import Source
from pathsegmentor.data.sources import PAPER, names, source, source_for
from pathsegmentor.data.stats import paper_totals, stats
from pathsegmentor.errors import BadInput
from tests.cli.conftest import ROOT, Done, here  # noqa: F401
from tests.data.made import glas, hashes, instances, picture, save, table

Run = Callable[..., Done]
DESCRIPTION = """
name: {name}
image: "{{image}}.png"
item: "{{image}}"
mpp: 0.25
licence: mine alone
masks:
  - {{file: "{{image}}_mask.png", labels: {{any: colon-tissue-gland}}}}
"""


def described(folder: Path, name: str, seed: int = 31) -> Path:
    save(folder / "a.png", picture(seed))
    save(folder / "a_mask.png", instances(seed))
    (folder / "pathseg.yaml").write_text(DESCRIPTION.format(name=f'"{name}"'))
    table(folder / "images.csv", ["image"], [["a"]])
    return folder


@pytest.mark.parametrize("name", ["glas", "GlaS", "conic2022"])
def test_an_own_source_named_like_one_of_the_papers_replaces_nothing(
    tmp_path: Path,
    here: Run,  # noqa: F811
    name: str,
) -> None:
    out = tmp_path / "out"
    assert here("data", "build", "--source", f"glas={glas(tmp_path / 'glas')}", "--out", out).code == 0
    before = hashes(out / "shards")
    own = described(tmp_path / "mine", name)
    assert here("data", "build", "--source", f"folder={own}", "--out", out).code == 0
    rows = read_rows(out)
    mine = f"folder-{name.lower()}"
    assert {row.source: row.licence for row in rows} == {"glas": "non-commercial research", mine: "mine alone"}
    assert sum(row.source == "glas" for row in rows) == 5 and sum(row.source == mine for row in rows) == 1
    assert before.items() < hashes(out / "shards").items()
    assert [entry["source"] for entry in licences(out)["sources"]] == sorted(["glas", mine])
    assert here("data", "check", out).code == 0
    # Both in one command, as well.
    pairs = [word for pair in (f"glas={tmp_path / 'glas'}", f"folder={own}") for word in ("--source", pair)]
    assert here("data", "build", *pairs, "--out", tmp_path / "both").code == 0
    assert {row.id for row in read_rows(tmp_path / "both")} == {row.id for row in rows}


def test_two_own_sources_of_one_name_are_refused(tmp_path: Path, here: Run) -> None:  # noqa: F811
    one, two = described(tmp_path / "one", "mine"), described(tmp_path / "two", "Mine", 32)
    pairs = [word for folder in (one, two) for word in ("--source", f"folder={folder}")]
    done = here("data", "build", *pairs, "--out", tmp_path / "out")
    assert done.code == 2 and "folder-mine is named twice" in done.err
    assert here("data", "build", "--source", f"folder={one}", "--out", tmp_path / "out").code == 0
    done = here("data", "build", "--source", f"folder={two}", "--out", tmp_path / "out")
    assert done.code == 2 and "holds folder-mine from" in done.err
    assert len(read_rows(tmp_path / "out")) == 1


def test_what_an_earlier_version_built_under_the_bare_name_is_taken_over(tmp_path: Path) -> None:
    """As 0.1.0 named it; the same folder is not in the set twice."""
    from dataclasses import replace

    own, out = described(tmp_path / "mine", "mine"), tmp_path / "out"
    found = source_for("folder", own)
    build([Wish(replace(found, name="mine"), own)], out, Settings())
    # Another's of nearly that name, whose listing looks like a shard's.
    other = described(tmp_path / "other", "other", 32)
    build([Wish(replace(source_for("folder", other), name="mine-00001"), other)], out, Settings())
    build([Wish(found, own)], out, Settings())
    assert sorted(row.source for row in read_rows(out)) == ["folder-mine", "mine-00001"]
    assert not listing(out, "mine").exists() and not (out / "shards" / "mine-00000.tar").exists()


def test_one_of_the_papers_is_not_taken_for_an_own_source_of_an_earlier_version(tmp_path: Path) -> None:
    folder, out = glas(tmp_path / "glas"), tmp_path / "out"
    build([Wish(source("glas"), folder)], out, Settings())
    described(folder, "glas")
    build([Wish(source_for("folder", folder), folder)], out, Settings())
    assert {row.source for row in read_rows(out)} == {"glas", "folder-glas"}


GUIDE = (ROOT / "docs" / "data.md").read_text(encoding="utf-8")
# The source that the guide shows, in shards of two images, so that several workers have something to do.
EIGHTEENTH = GUIDE.partition("```python\n")[2].partition("```")[0].replace("read=read", "read=read, batch=2")


def package(place: Path, points: str, code: str = EIGHTEENTH, name: str = "vessel_source") -> Path:
    """What installing a package leaves: a module, and the metadata that names its entry points."""
    info = place / f"{name}-1.0.dist-info"
    info.mkdir(parents=True)
    (place / f"{name}.py").write_text(code)
    (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text(f"[pathsegmentor.sources]\n{points}\n")
    return place


@pytest.fixture
def installed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Path]]:
    """Install a package for this process; it is gone after the test."""
    modules: list[str] = []

    def install(points: str, code: str = EIGHTEENTH, name: str = "vessel_source") -> Path:
        place = package(tmp_path / "packages" / name, points, code, name)
        monkeypatch.syspath_prepend(place)
        modules.append(name)
        return place

    yield install
    for name in modules:
        sys.modules.pop(name, None)


def vessels(folder: Path) -> Path:
    for seed in range(5):
        save(folder / "images" / f"p{seed}_1.png", picture(seed))
        save(folder / "masks" / f"p{seed}_1.png", instances(seed))
    return folder


def test_an_eighteenth_source_is_one_file_and_an_entry_point(tmp_path: Path) -> None:
    """As a user has it: another process, another package, several workers."""
    place, out = package(tmp_path / "site", "vessels = vessel_source:SOURCE"), tmp_path / "out"
    path = os.pathsep.join([str(place), *filter(None, [os.environ.get("PYTHONPATH")])])

    def run(*words: object) -> str:
        command = [sys.executable, "-m", "pathsegmentor", "data", *map(str, words)]
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=300, env=os.environ | {"PYTHONPATH": path}
        )
        assert done.returncode == 0 and done.stderr == "", (done.stdout, done.stderr)
        return done.stdout

    listed = json.loads(run("sources", "--json"))
    assert [entry["title"] for entry in listed if entry["name"] == "vessels"] == ["Vessels"]
    folder = vessels(tmp_path / "in")
    run("build", "--source", f"vessels={folder}", "--out", out, "--workers", 2)
    rows = read_rows(out)
    assert {(row.source, row.label) for row in rows} == {("vessels", "kidney-tissue-vessel")} and len(rows) == 5
    run("check", out)
    table_ = json.loads(run("stats", out, "--json"))["tables"]["sources"]
    (entry,) = (entry for entry in table_ if entry["source"] == "vessels")
    assert entry["masks"] == 5 and entry["paper_masks"] is None


def test_an_added_source_changes_nothing_that_is_said_of_the_papers(
    tmp_path: Path, installed: Callable[..., Path]
) -> None:
    before = paper_totals()
    installed("vessels = vessel_source:SOURCE")
    assert names()[-1] == "vessels" and names()[: len(PAPER)] == PAPER
    folder = vessels(tmp_path / "in")
    build([Wish(source_for("Vessels", folder), folder)], tmp_path / "out", Settings())
    assert paper_totals() == before == stats(tmp_path / "out")["paper"]
    # Once the package is gone, the set can still be looked at.
    assert len(read_rows(tmp_path / "out")) == 5


@pytest.mark.parametrize(
    ("points", "code", "says"),
    [
        ("vessels = nowhere:SOURCE", EIGHTEENTH, "cannot be loaded: ModuleNotFoundError"),
        ("vessels = vessel_source:NOTHING", EIGHTEENTH, "cannot be loaded: AttributeError"),
        ("vessels = vessel_source:SOURCE", "raise RuntimeError('no\\nluck')", "RuntimeError: no luck"),
        ("vessels = vessel_source:VESSEL", EIGHTEENTH, "is no pathsegmentor.data.record.Source"),
        ("vessel = vessel_source:SOURCE", EIGHTEENTH, "calls itself 'vessels'"),
        ("vessels = vessel_source:SOURCE", EIGHTEENTH.replace('"vessels"', '"../x"'), "calls itself '../x'"),
        (
            "folder-x = vessel_source:SOURCE",
            EIGHTEENTH.replace('"vessels"', '"folder-x"'),
            "does not begin with folder-",
        ),
    ],
)
def test_a_source_of_a_package_that_does_not_work_is_one_line_and_the_others_are_there(
    tmp_path: Path,
    here: Run,  # noqa: F811
    installed: Callable[..., Path],
    points: str,
    code: str,
    says: str,
) -> None:
    installed(points, code)
    name = points.split(" ")[0]
    done = here("data", "build", "--source", f"{name}={tmp_path}", "--out", tmp_path / "out")
    assert done.code == 2 and says in done.err and len(done.err.strip().splitlines()) == 1, done.err
    listed = here("data", "sources", "--json")
    assert listed.code == 0 and says in listed.err and len(listed.json) == len(names()) - 1


def test_a_package_cannot_replace_a_source(tmp_path: Path, installed: Callable[..., Path]) -> None:
    installed("glas = vessel_source:SOURCE", EIGHTEENTH.replace('"vessels"', '"glas"'))
    assert source("glas").title == "GlaS" and names().count("glas") == 1


def test_two_packages_that_bring_one_name_are_refused_and_one_that_is_found_twice_is_not(
    installed: Callable[..., Path],
) -> None:
    place = installed("vessels = vessel_source:SOURCE")
    sys.path.insert(0, str(package(place.parent / "again", "vessels = vessel_source:SOURCE")))
    assert isinstance(source("vessels"), Source)
    installed("vessels = other_source:SOURCE", name="other_source")
    with pytest.raises(BadInput, match="brought by several packages"):
        source("vessels")


def test_names_are_of_the_sources() -> None:
    assert set(sources.PAPER).isdisjoint(sources.FURTHER)
    assert all(source(name).name == name for name in names())
    assert np.all([not name.startswith("folder") for name in names()])
