"""Building: rows agree with members, the same from any run, resumed after a kill, bad items named, nothing leaves."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from pathsegmentor.data import build as build_module
from pathsegmentor.data.build import Settings, Wish, build
from pathsegmentor.data.manifest import Row, read_rows
from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.data.record import Source
from pathsegmentor.data.shards import Shards, decode_image, decode_mask, instances_of
from pathsegmentor.data.sources import source, source_for
from pathsegmentor.data.standardise import SIDE
from pathsegmentor.errors import BadInput
from tests.cli.conftest import Done, here  # noqa: F401
from tests.data.made import GLAND, conic, glas, hashes, instances, picture, save, stamps, table

Run = Callable[..., Done]
# The manifest's columns as the design names them.
COLUMNS = [
    "id",
    "image",
    "mask",
    "label",
    "source",
    "split",
    "patient",
    "slide",
    "mpp",
    "factor_to_40x",
    "height",
    "width",
    "mask_pixels",
    "instances",
    "licence",
    "sha256",
]


def small(name: str, batch: int = 2) -> Source:
    return replace(source(name), batch=batch)


@pytest.fixture
def wishes(tmp_path: Path) -> list[Wish]:
    return [
        Wish(small("glas"), glas(tmp_path / "in" / "glas")),
        Wish(small("conic2022"), conic(tmp_path / "in" / "conic")),
    ]


def entry(report: dict, name: str) -> dict:
    return next(found for found in report["sources"] if found["source"] == name)


def test_what_is_built(wishes: list[Wish], tmp_path: Path) -> None:
    before, out = hashes(tmp_path / "in"), tmp_path / "out"
    report = build(wishes, out, Settings())
    assert hashes(tmp_path / "in") == before
    rows = read_rows(out)
    assert set(COLUMNS) <= set(pyarrow.parquet.read_schema(out / "manifest.parquet").names)
    assert len({row.id for row in rows}) == len(rows) == 5 + 6 + 2 + 2 + 2
    glands, nuclei = entry(report, "glas"), entry(report, "conic2022")
    assert (glands["images"], glands["masks"], glands["without_label"], glands["shards"]) == (5, 5, 0, 3)
    assert (nuclei["images"], nuclei["masks"], nuclei["without_label"], nuclei["shards"]) == (4, 12, 1, 3)
    assert not any(found[key] for found in (glands, nuclei) for key in ("problems", "left_out"))
    assert json.loads((out / "report.json").read_text()) == report

    listed = json.loads((out / "shards.json").read_text())["shards"]
    found = hashes(out / "shards")
    assert {f"{shard['name']}.tar": shard["sha256"] for shard in listed} == found
    assert sum(shard["masks"] for shard in listed) == len(rows)

    shards = Shards(out)
    for row in rows:
        image, mask = decode_image(shards.read(row.image)), decode_mask(shards.read(row.mask))
        assert image.shape == (row.height, row.width, 3) == (SIDE, SIDE, 3) and mask.shape == (SIDE, SIDE)
        assert np.count_nonzero(mask) == row.mask_pixels and instances_of(mask) == row.instances
        assert row.ignore == "" and row.label in row.annotated
    members = {
        f"shards/{path.name}/{m}" for path in (out / "shards").iterdir() for m in shards.members(f"shards/{path.name}")
    }
    named = {name for row in rows for name in (row.image, row.mask)}
    # One image for all its masks, one JSON beside it, nothing else.
    assert members - named == {name.removesuffix(".png") + ".json" for name in {row.image for row in rows}}
    shards.close()

    of = {row.origin: row for row in rows if row.source == "glas"}
    assert [of[name].split for name in ("train_1", "train_3", "testA_1")] == ["train", "train", "test"]
    assert {row.factor_to_40x for row in rows if row.source == "conic2022"} == {2.0}
    assert of["train_1"].mpp == (0.62 * 80 / SIDE, 0.62 * 60 / SIDE) and of["train_1"].patient == "0"
    assert {row.mpp for row in rows if row.source == "conic2022"} == {(0.125, 0.125)}
    torn = {row.slide: {r.split for r in rows if r.slide == row.slide} for row in rows if row.slide}
    assert set(torn) == {"crag_0", "crag_1"} and all(len(splits) == 1 for splits in torn.values())
    assert {row.instances for row in rows if row.source == "conic2022"} == {1}


def test_masks_are_those_of_the_download(wishes: list[Wish], tmp_path: Path) -> None:
    build(wishes[:1], tmp_path / "out", Settings())
    data = PathSeg(tmp_path / "out")
    assert len(data.entries) == 5
    for seed, name in enumerate(["train_1", "train_2", "train_3", "testA_1", "testA_2"]):
        (found,) = (e for e in data.entries if e.first.origin == name)
        mask = data.sample(found).masks[GLAND]
        at = ((np.arange(SIDE) + 0.5) * 60 / SIDE).astype(int), ((np.arange(SIDE) + 0.5) * 80 / SIDE).astype(int)
        np.testing.assert_array_equal(mask, instances(seed)[np.ix_(*at)] > 0)


def test_all_labels_takes_the_grades_too(wishes: list[Wish], tmp_path: Path) -> None:
    build(wishes[:1], tmp_path / "out", Settings())
    assert {row.label for row in read_rows(tmp_path / "out")} == {GLAND}
    build(wishes[:1], tmp_path / "out", Settings(all_labels=True))
    rows = read_rows(tmp_path / "out")
    assert {row.label for row in rows} == {GLAND, "colon-tissue-benign gland", "colon-tissue-malignant gland"}
    assert all(len(row.annotated) == 3 for row in rows) and len(rows) == 10


def test_workers_and_time_do_not_matter(wishes: list[Wish], tmp_path: Path) -> None:
    build(wishes, tmp_path / "one", Settings())
    build(wishes[::-1], tmp_path / "two", Settings(workers=2))
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")


def test_a_second_run_does_nothing(wishes: list[Wish], tmp_path: Path) -> None:
    out = tmp_path / "out"
    report, first = build(wishes, out, Settings()), stamps(out)
    assert build(wishes, out, Settings()) == report
    again = stamps(out)
    kept = {name for name in first if name.startswith("shards/") or name.endswith((".parquet", "0.json", "1.json"))}
    kept -= {"manifest.parquet"}
    assert len(kept) >= 12 and {name: again[name] for name in kept} == {name: first[name] for name in kept}


def test_sources_are_added_to_what_is_there(wishes: list[Wish], tmp_path: Path) -> None:
    for wish in wishes:
        build([wish], tmp_path / "apart", Settings())
    build(wishes, tmp_path / "at once", Settings())
    assert hashes(tmp_path / "apart") == hashes(tmp_path / "at once")


def test_other_settings_make_another_set(wishes: list[Wish], tmp_path: Path) -> None:
    out = tmp_path / "out"
    build(wishes[:1], out, Settings())
    more = [replace(wishes[0], split="external", source=small("glas", 4))]
    build(more, out, Settings())
    assert {row.split for row in read_rows(out)} == {"test"}
    assert sorted(path.name for path in (out / "shards").iterdir()) == ["glas-00000.tar", "glas-00001.tar"]
    build(more, tmp_path / "fresh", Settings())
    assert hashes(out) == hashes(tmp_path / "fresh")


def test_a_changed_file_is_built_anew_and_only_its_shard(wishes: list[Wish], tmp_path: Path) -> None:
    out, wish = tmp_path / "out", wishes[0]
    build([wish], out, Settings())
    first = stamps(out / "shards")
    changed = np.zeros((60, 80), np.uint8)
    changed[5:30, 5:30] = 9
    save(wish.folder / "train_3_anno.bmp", changed)
    build([wish], out, Settings())
    (row,) = (row for row in read_rows(out) if row.origin == "train_3")
    assert row.instances == 1 and row.mask_pixels == pytest.approx(25 * 25 * SIDE * SIDE / 4800, rel=0.03)
    again = stamps(out / "shards")
    assert {name for name in first if first[name] != again[name]} == {f"{row.image.split('/')[1]}"}


@pytest.mark.parametrize("damage", ["cut tar", "no tar", "no part", "no note", "damaged note", "other note"])
def test_half_a_shard_is_not_taken_for_a_whole_one(wishes: list[Wish], tmp_path: Path, damage: str) -> None:
    out, wish = tmp_path / "out", wishes[0]
    build([wish], out, Settings())
    whole, first = hashes(out), stamps(out / "shards")
    tar, note = out / "shards" / "glas-00001.tar", out / "parts" / "glas-00001.json"
    if damage == "cut tar":
        os.truncate(tar, tar.stat().st_size // 2)
    elif damage == "no tar":
        tar.unlink()
    elif damage == "no part":
        (out / "parts" / "glas-00001.parquet").unlink()
    elif damage == "no note":
        note.unlink()
    elif damage == "damaged note":
        note.write_text(note.read_text()[:40])
    else:
        note.write_text("[1]")
    build([wish], out, Settings())
    assert hashes(out) == whole
    assert stamps(out / "shards")["glas-00000.tar"] == first["glas-00000.tar"]


def test_leftovers_of_a_killed_build_go(wishes: list[Wish], tmp_path: Path) -> None:
    out, wish = tmp_path / "out", wishes[0]
    build([wish], out, Settings())
    whole = hashes(out)
    for name in (
        "shards/.pathsegmentor-0123abcd.tar",
        "parts/.pathsegmentor-0123abcd.parquet",
        "parts/.pathsegmentor-4567cdef.json",
        ".pathsegmentor-0123abcd.parquet",
        ".pathsegmentor-4567cdef.json",
        "shards/glas-00077.tar",
        "parts/glas-00077.json",
    ):
        (out / name).write_text("{}")
    others = {"shards/.hidden.tar", "shards/glasses-00000.tar", "parts/glas-notes.txt", "mine.txt"}
    for name in others:
        (out / name).write_text("not ours")
    build([wish], out, Settings())
    found = hashes(out)
    assert set(found) == set(whole) | others and {name: found[name] for name in whole} == whole


KILLED = """
import sys
from dataclasses import replace
from pathlib import Path
from pathsegmentor.data.build import Settings, Wish, build
from pathsegmentor.data.sources import source
if __name__ == "__main__":
    wish = Wish(replace(source("glas"), batch=2), Path(sys.argv[1]))
    build([wish], Path(sys.argv[2]), Settings(workers=int(sys.argv[3])))
"""


def notes_of(out: Path) -> set[str]:
    return {path.stem for path in (out / "parts").glob("glas-0*.json")}


@pytest.mark.parametrize(
    ("workers", "moment"),
    [(1, "half a shard"), (1, "some done"), (2, "some done"), (1, "almost done")],
)
def test_a_killed_build_goes_on(tmp_path: Path, workers: int, moment: str) -> None:
    folder, out = glas(tmp_path / "glas", 24, 6), tmp_path / "out"
    script = tmp_path / "killed.py"
    script.write_text(KILLED)
    ready: Callable[[], bool] = {
        "half a shard": lambda: any((out / "shards").glob(".pathsegmentor-*")) if (out / "shards").is_dir() else False,
        "some done": lambda: len(notes_of(out)) >= 3,
        "almost done": lambda: len(notes_of(out)) >= 14,
    }[moment]
    process = subprocess.Popen([sys.executable, script, folder, out, str(workers)], start_new_session=True)
    limit = time.monotonic() + 60
    while not ready() and process.poll() is None and time.monotonic() < limit:
        time.sleep(0.002)
    if process.poll() is None:
        os.killpg(process.pid, 9)
    process.wait()
    kept = {f"{name}.tar": stamps(out / "shards")[f"{name}.tar"] for name in notes_of(out)}
    assert len(kept) < 15 and not (out / "manifest.parquet").exists(), "killed too late to tell anything"

    wish = Wish(small("glas"), folder)
    build([wish], out, Settings())
    build([wish], tmp_path / "fresh", Settings())
    assert hashes(out) == hashes(tmp_path / "fresh")
    assert not [name for name in hashes(out) if Path(name).name.startswith(".")]
    again = stamps(out / "shards")
    assert {name: again[name] for name in kept} == kept


def test_a_source_between_two_plans_is_in_no_manifest(
    wishes: list[Wish], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    build(wishes[:1], out, Settings())

    def stop(function: object, work: list, workers: int, ray: str) -> object:
        yield function(work[0])  # type: ignore[operator]
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(build_module.workers, "run", stop)
        with pytest.raises(KeyboardInterrupt):
            build([replace(wishes[0], split="external")], out, Settings())
    # Some of its shards have the old splits now, some the new ones.
    build(wishes[1:], out, Settings())
    assert {row.source for row in read_rows(out)} == {"conic2022"}
    build([replace(wishes[0], split="external")], out, Settings())
    assert {row.split for row in read_rows(out) if row.source == "glas"} == {"test"}


def test_bad_items_are_named_and_the_others_built(wishes: list[Wish], tmp_path: Path, here: Run) -> None:  # noqa: F811
    first, second = wishes[0].folder, wishes[1].folder
    path = first / "train_1.bmp"
    path.write_bytes(path.read_bytes()[:3000])
    (first / "train_2.bmp").unlink()
    save(first / "testA_1_anno.bmp", instances(3, 61, 80))
    save(first / "extra.bmp", picture(50))
    labels = np.load(second / "labels.npy")
    labels[1, :5, :5] = (1, 7)
    np.save(second / "labels.npy", labels)
    done = here(
        "data",
        "build",
        "--source",
        f"glas={first}",
        "--source",
        f"conic2022={second}",
        "--out",
        tmp_path / "out",
        "--json",
    )
    assert done.code == 1, done.err
    glands, nuclei = entry(done.json, "glas"), entry(done.json, "conic2022")
    assert sorted(glands["problems"]) == ["extra.bmp: image without mask", "train_2_anno.bmp: mask without image"]
    told = sorted(glands["left_out"])
    assert len(told) == 2 and "image is 80 x 60, mask 80 x 61 pixels" in told[0]
    assert told[1].startswith("train_1: ") and "damaged" in told[1]
    assert len(nuclei["left_out"]) == 1 and "crag_0-0001: unknown class code 7" in nuclei["left_out"][0]
    assert {row.origin for row in read_rows(tmp_path / "out")} == {
        "train_3",
        "testA_2",
        "crag_0-0000",
        "crag_1-0002",
        "crag_1-0003",
    }
    # No image of what was left out lies in a shard.
    shards = Shards(tmp_path / "out")
    assert not any("train_1" in name or "testA_1" in name for name in shards.members("shards/glas-00000.tar"))
    shards.close()
    spoken = here("data", "build", "--source", f"glas={first}", "--out", tmp_path / "out")
    assert spoken.code == 1 and "left out: glas: extra.bmp" in spoken.out


def test_a_whole_build_exits_with_0_and_api_and_command_agree(wishes: list[Wish], tmp_path: Path, here: Run) -> None:  # noqa: F811
    pairs = [word for wish in wishes for word in ("--source", f"{wish.source.name}={wish.folder}")]
    done = here("data", "build", *pairs, "--out", tmp_path / "a", "--seed", 3, "--json")
    assert done.code == 0 and done.err == "", done.err
    build([replace(wish, source=source(wish.source.name)) for wish in wishes], tmp_path / "b", Settings(seed=3))
    assert hashes(tmp_path / "a") == hashes(tmp_path / "b")
    assert done.json == json.loads((tmp_path / "b" / "report.json").read_text())


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--source", "glas={folder}", "--source", "crag={folder}/nowhere"], "is no folder"),
        (["--source", "glas={folder}", "--source", "GLAS={folder}"], "named twice"),
        (["--source", "glos={folder}"], "no source named 'glos'"),
        (["--source", "={folder}"], "expected NAME=VALUE"),
        (["--source", "glas="], "expected NAME=VALUE"),
        (["--source", "glas={folder}", "--split", "crag=random"], "no --source of that name"),
        (["--source", "glas={folder}", "--split", "glas=fifty"], "choose official, random, external"),
        (["--source", "glas={folder}", "--split", "glas"], "expected NAME=VALUE"),
        (["--source", "conic2022={folder}"], "images.npy"),
        (["--source", "glas={folder}/Grade.csv"], "is no folder"),
        (["--source", "folder={folder}/nowhere"], "is no folder"),
        (["--source", "folder={folder}", "--mpp", "-1"], "holds no"),
    ],
)
def test_bad_requests_get_one_line_and_build_nothing(
    tmp_path: Path,
    here: Run,  # noqa: F811
    arguments: list[str],
    expected: str,
) -> None:
    folder = glas(tmp_path / "glas", 1, 0)
    done = here("data", "build", *(a.replace("{folder}", str(folder)) for a in arguments), "--out", tmp_path / "out")
    assert done.code == 2 and expected in done.err, (done.err, done.out)
    assert len(done.err.strip().splitlines()) == 1 and done.out == ""
    assert not [name for name in hashes(tmp_path) if not name.startswith("glas/")]


def test_a_split_is_told_in_the_case_it_is_written(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = glas(tmp_path / "glas", 2, 0)
    done = here("data", "build", "--source", f"GlaS={folder}", "--split", "glas=external", "--out", tmp_path / "out")
    assert done.code == 0, done.err
    assert {row.split for row in read_rows(tmp_path / "out")} == {"test"}


def outside(tmp_path: Path) -> Path:
    """What must not be read, beside the folder that is."""
    save(tmp_path / "secret.png", picture(9))
    save(tmp_path / "secret_mask.png", instances(9))
    table(tmp_path / "secret.csv", ["image", "mask"], [["secret", "secret"]])
    (tmp_path / "in").mkdir()
    return tmp_path / "in"


YAML = """
name: {name}
image: "{image}"
item: "{item}"
table: "{table}"
mpp: 0.25
masks:
  - {{file: "{mask}", labels: {{any: colon-tissue-gland}}}}
"""
FAIR = {"name": "mine", "image": "{image}.png", "item": "{image}", "table": "images.csv", "mask": "{mask}.png"}


@pytest.mark.parametrize(
    ("change", "row"),
    [
        ({"name": "../../mine"}, ("a", "b")),
        ({"name": "{absolute}/mine"}, ("a", "b")),
        ({"name": "m/ine"}, ("a", "b")),
        ({"name": "'..'"}, ("a", "b")),
        ({"name": "''"}, ("a", "b")),
        ({"image": "../secret.png"}, ("a", "b")),
        ({"mask": "{absolute}/secret_mask.png"}, ("a", "b")),
        ({"table": "../secret.csv"}, ("a", "b")),
        ({"table": "{absolute}/secret.csv"}, ("a", "b")),
        ({}, ("../secret", "b")),
        ({}, ("a", "../secret_mask")),
        ({}, ("{absolute}/secret", "b")),
        ({}, ("a\0", "b")),
        ({"image": "{image"}, ("a", "b")),
        ({"image": "{image.x}.png"}, ("a", "b")),
        ({"image": "{0}.png"}, ("a", "b")),
    ],
)
def test_no_description_or_table_leads_outside(
    tmp_path: Path,
    here: Run,  # noqa: F811
    change: dict[str, str],
    row: tuple[str, str],
) -> None:
    folder = outside(tmp_path)

    def real(text: str) -> str:
        return text.replace("{absolute}", str(tmp_path))

    (folder / "pathseg.yaml").write_text(YAML.format(**{k: real(v) for k, v in (FAIR | change).items()}))
    save(folder / "a.png", picture(1))
    save(folder / "b.png", instances(1))
    table(folder / "images.csv", ["image", "mask"], [[real(text) for text in row]])
    before = hashes(tmp_path)
    done = here("data", "build", "--source", f"folder={folder}", "--out", tmp_path / "out" / "deep")
    assert done.code == 2 and len(done.err.strip().splitlines()) == 1, (done.out, done.err)
    made = {name for name in hashes(tmp_path) if name not in before}
    assert not made and all(hashes(tmp_path)[name] == data for name, data in before.items())


def test_a_hostile_item_name_stays_in_its_shard(tmp_path: Path) -> None:
    folder = outside(tmp_path)
    (folder / "pathseg.yaml").write_text(YAML.format(**(FAIR | {"item": "../../{image}/../x.y"})))
    save(folder / "a.png", picture(1))
    save(folder / "b.png", instances(1))
    table(folder / "images.csv", ["image", "mask"], [["a", "b"]])
    before = set(hashes(tmp_path))
    build([Wish(source_for("folder", folder), folder)], tmp_path / "out", Settings())
    assert all(name.startswith("out/") for name in set(hashes(tmp_path)) - before)
    (row,) = read_rows(tmp_path / "out")
    assert ".." not in row.image and ".." not in row.mask
    assert len(PathSeg(tmp_path / "out").sample(PathSeg(tmp_path / "out").entries[0]).masks) == 1


def test_a_changed_description_is_built_anew(tmp_path: Path) -> None:
    folder = outside(tmp_path)
    description = folder / "pathseg.yaml"
    description.write_text(YAML.format(**FAIR))
    save(folder / "a.png", picture(1))
    save(folder / "b.png", instances(1))
    table(folder / "images.csv", ["image", "mask"], [["a", "b"]])

    def labels() -> list[str]:
        build([Wish(source_for("folder", folder), folder)], tmp_path / "out", Settings())
        return [row.label for row in read_rows(tmp_path / "out")]

    assert labels() == [GLAND]
    description.write_text(description.read_text().replace("colon-tissue-gland", "lung-tissue-gland"))
    assert labels() == ["lung-tissue-gland"]


@pytest.mark.parametrize("name", ["mine", "mine-2", "2024", "my-2024-set"])
def test_names_with_numbers(tmp_path: Path, name: str) -> None:
    folder = outside(tmp_path)
    (folder / "pathseg.yaml").write_text(YAML.format(**(FAIR | {"name": f'"{name}"'})))
    save(folder / "a.png", picture(1))
    save(folder / "b.png", instances(1))
    table(folder / "images.csv", ["image", "mask"], [["a", "b"]])
    wish = Wish(source_for("folder", folder), folder)
    for _ in range(2):
        report = build([wish], tmp_path / "out", Settings())
        assert entry(report, f"folder-{name}")["masks"] == 1 and len(read_rows(tmp_path / "out")) == 1


def test_a_manifest_without_columns_or_damaged_is_told(wishes: list[Wish], tmp_path: Path) -> None:
    build(wishes[:1], tmp_path / "out", Settings())
    path = tmp_path / "out" / "manifest.parquet"
    table_ = pyarrow.parquet.read_table(path)
    assert table_.column_names == list(Row.__dataclass_fields__)
    pyarrow.parquet.write_table(table_.drop(["sha256"]), path)
    with pytest.raises(BadInput, match="no column sha256"):
        read_rows(tmp_path / "out")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(BadInput, match="damaged"):
        read_rows(tmp_path / "out")
