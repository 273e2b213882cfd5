"""A set that was damaged: one line, never a traceback, and what can be made again is."""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pyarrow
import pyarrow.parquet
import pytest

from pathsegmentor.data.build import Settings, Wish, build
from pathsegmentor.data.manifest import MANIFEST, read_rows
from pathsegmentor.data.shards import Shards
from pathsegmentor.data.sources import PAPER, source, source_for
from pathsegmentor.errors import BadInput, PathSegError
from tests.cli.conftest import Done, here  # noqa: F401
from tests.data.downloads import download
from tests.data.made import conic, glas, hashes

Run = Callable[..., Done]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    top = tmp_path_factory.mktemp("made")
    wishes = [Wish(source("glas"), glas(top / "glas", 2, 1)), Wish(source("conic2022"), conic(top / "conic", 3))]
    build(wishes, top / "out", Settings())
    return top


@pytest.fixture
def copy(made: Path, tmp_path: Path) -> Path:
    import shutil

    return Path(shutil.copytree(made, tmp_path / "copy", copy_function=shutil.copy2))


def cut(path: Path) -> None:
    os.truncate(path, path.stat().st_size // 2)


def spoil(path: Path) -> None:
    """The same size, other bytes in its middle."""
    data = bytearray(path.read_bytes())
    middle = len(data) // 3
    data[middle : middle + 60] = random.Random(0).randbytes(60)
    path.write_bytes(data)


def other(path: Path) -> None:
    path.write_text("[1]")


PARTS = ("parts/glas-00000.parquet", "parts/glas-00000.json", "parts/glas.source.json")


@pytest.mark.parametrize("damage", [cut, spoil, other])
@pytest.mark.parametrize("part", PARTS)
def test_a_damaged_part_is_made_again_with_its_source_and_told_with_another(
    copy: Path,
    here: Run,  # noqa: F811
    part: str,
    damage: Callable[[Path], None],
) -> None:
    out = copy / "out"
    whole = hashes(out)
    damage(out / part)
    done = here("data", "build", "--source", f"conic2022={copy / 'conic'}", "--out", out)
    if done.code:  # some bytes of a note may change without harm
        assert done.code == 2 and len(done.err.strip().splitlines()) == 1, done.err
        assert part in done.err and "build glas again" in done.err
    else:
        assert damage is spoil and part.endswith(".json")
    here("data", "build", "--source", f"glas={copy / 'glas'}", "--out", out)
    assert set(hashes(out)) == set(whole)
    changed = {name for name, data in hashes(out).items() if data != whole[name]}
    # These name the folder of the download, which is another one here.
    assert changed <= {"report.json", *(f"parts/{name}.source.json" for name in ("glas", "conic2022"))}


def rewritten(path: Path, change: Callable[[pyarrow.Table], pyarrow.Table]) -> None:
    pyarrow.parquet.write_table(change(pyarrow.parquet.read_table(path)), path)


def without(name: str, value: object) -> Callable[[pyarrow.Table], pyarrow.Table]:
    def change(table: pyarrow.Table) -> pyarrow.Table:
        column = pyarrow.array([value] * table.num_rows)
        return table.set_column(table.column_names.index(name), name, column)

    return change


def as_folder(path: Path) -> None:
    path.unlink()
    path.mkdir()


MANIFESTS: dict[str, Callable[[Path], None]] = {
    "cut": cut,
    "spoilt": spoil,
    "text": other,
    "empty": lambda path: path.write_bytes(b""),
    "folder": as_folder,
    "no annotated": lambda path: rewritten(path, without("annotated", None)),
    "no scale": lambda path: rewritten(path, without("mpp", None)),
    "no label": lambda path: rewritten(path, without("label", None)),
    "words for numbers": lambda path: rewritten(path, without("width", "wide")),
    "numbers for lists": lambda path: rewritten(path, without("annotated", 3)),
    "no column": lambda path: rewritten(path, lambda table: table.drop(["sha256"])),
}


@pytest.mark.parametrize("command", ["stats", "check", "show"])
@pytest.mark.parametrize("damage", MANIFESTS)
def test_a_damaged_manifest_is_one_line(copy: Path, here: Run, damage: str, command: str) -> None:  # noqa: F811
    out = copy / "out"
    MANIFESTS[damage](out / MANIFEST)
    words = ("--out", copy / "sheet.png") if command == "show" else ()
    done = here("data", command, out, *words)
    assert done.code == 2 and done.out == "" and len(done.err.strip().splitlines()) == 1, (done.out, done.err)
    assert MANIFEST in done.err


@pytest.mark.parametrize("text", ["", "{", "[]", '{"shards": 3}', '{"shards": [{}]}', '{"shards": [{"name": 1}]}'])
def test_a_damaged_list_of_shards_is_a_finding(copy: Path, here: Run, text: str) -> None:  # noqa: F811
    (copy / "out" / "shards.json").write_text(text)
    done = here("data", "check", copy / "out", "--json")
    assert done.code == 1 and done.json["counts"] == {"missing or damaged": 1} and done.err == ""


@pytest.mark.parametrize("seed", range(12))
def test_shards_with_other_bytes_are_findings_and_told_by_show(copy: Path, here: Run, seed: int) -> None:  # noqa: F811
    rng, path = random.Random(seed), copy / "out" / "shards" / "glas-00000.tar"
    data = bytearray(path.read_bytes())
    for _ in range(30):
        # Headers of members are 512 bytes; most of them lie where something begins.
        start = rng.randrange(len(data) // 512) * 512 + rng.choice([0, 124, 136, 148, 156, 300])
        data[start : start + 8] = rng.choice([rng.randbytes(8), b"\xff" * 8, b"77777777", b"-1234567"])
    path.write_bytes(data)
    done = here("data", "check", copy / "out", "--json")
    assert done.code == 1 and "changed shard" in done.json["counts"] and done.err == ""
    shards = Shards(copy / "out")
    for row in read_rows(copy / "out"):
        with suppress(BadInput):
            shards.read(row.image)
    shards.close()


MARKS = (b"\0", b'"', b",", b"\n", b"\xff\xfe", b"\x1f\x8b", b"")
WITH_TABLES = [name for name in PAPER if name in ("conic2022", "glas", "segpath", "tnbc")]


@pytest.mark.parametrize("name", WITH_TABLES)
@pytest.mark.parametrize("seed", range(6))
def test_a_damaged_table_of_a_download_is_told(tmp_path: Path, name: str, seed: int) -> None:
    folder = download(name, tmp_path / name)
    rng = random.Random(seed)
    for path in folder.rglob("*.csv"):
        data = bytearray(path.read_bytes())
        for _ in range(rng.randrange(1, 6)):
            start = rng.randrange(len(data))
            data[start : start + rng.randrange(4)] = rng.choice(
                [b"\0", b'"', b",", b"\n", b"\xff\xfe", b"\x1f\x8b", b""]
            )
        path.write_bytes(data)
    try:
        report = build([Wish(source_for(name, folder), folder)], tmp_path / "out", Settings())
        told = [*report["sources"][0]["problems"], *report["sources"][0]["left_out"]]
    except PathSegError as error:
        told = [str(error)]
    assert not [line for line in told if "\n" in line]


def test_a_table_with_an_endless_cell_is_one_line(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = glas(tmp_path / "glas", 1, 0)
    (folder / "Grade.csv").write_text('name,grade\n"' + "x" * 200_000)
    done = here("data", "build", "--source", f"glas={folder}", "--out", tmp_path / "out")
    assert done.code == 2 and "Grade.csv is no readable table" in done.err
    assert len(done.err.strip().splitlines()) == 1


def test_a_source_that_trips_over_its_download_is_one_line(tmp_path: Path) -> None:
    from dataclasses import replace

    def broken(folder: Path) -> object:
        raise KeyError("patient\nID")

    folder = glas(tmp_path / "glas", 1, 0)
    with pytest.raises(BadInput, match=r"cannot be read as glas: KeyError") as error:
        build([Wish(replace(source("glas"), items=broken), folder)], tmp_path / "out", Settings())  # type: ignore[arg-type]
    assert "\n" not in str(error.value)
