"""What every source says of a folder that is not its own, not there, or damaged: one line, and what was expected."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from pathsegmentor.data.build import find_items
from pathsegmentor.data.record import Item, Problem
from pathsegmentor.data.sources import COPIES, FURTHER, PAPER, source, source_for
from pathsegmentor.errors import BadInput
from tests.cli.conftest import Done, here  # noqa: F401
from tests.data.downloads import download, foreign
from tests.data.made import conic, glas, hashes, instances, save, table

Run = Callable[..., Done]
EVERY = [*PAPER, *FURTHER]
# One file holds all images: it is refused as a whole, so no item is left to go on with.
IN_ONE_FILE = ("cocahis", "conic2022", "pannuke")


def build(here: Run, name: str, folder: Path) -> str:  # noqa: F811
    """The one line with which a folder is refused."""
    before = hashes(folder)
    done = here("data", "build", "--source", f"{name}={folder}", "--out", folder.parent / "out")
    assert done.code == 2 and done.out == "" and len(done.err.strip().splitlines()) == 1, (done.out, done.err)
    assert hashes(folder) == before and not (folder.parent / "out" / "manifest.parquet").exists()
    return done.err


@pytest.mark.parametrize("name", EVERY)
@pytest.mark.parametrize("make", ["empty", "foreign"])
def test_a_folder_that_is_no_download_is_told_what_was_expected(
    name: str,
    make: str,
    tmp_path: Path,
    here: Run,  # noqa: F811
) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    if make == "foreign":
        foreign(folder)
    said = build(here, name, folder)
    assert str(folder) in said
    assert "expected" in said and any(part in said for part in source(name).layout)


@pytest.mark.parametrize("name", [name for name in EVERY if (COPIES / f"{name}.yaml").is_file()])
def test_a_table_of_another_copy_is_told_by_its_columns(name: str, tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "folder"
    folder.mkdir()
    table(folder / "images.csv", ["picture"], [["a"]])
    assert "images.csv has no column" in build(here, name, folder)


def read_all(name: str, folder: Path) -> tuple[list[str], list[str], list[str]]:
    """Names of items that can be read; lines of those that cannot; problems."""
    found = source_for(name, folder)
    items, problems = find_items(found, folder)
    whole, broken = [], []
    for item in items:
        try:
            found.read(item)
        except BadInput as error:
            broken.append(str(error))
        else:
            whole.append(item.name)
    return whole, broken, [problem.what for problem in problems]


def files_of(name: str, folder: Path) -> tuple[Path, ...]:
    return next(item.files for item in source_for(name, folder).items(folder) if isinstance(item, Item))


@pytest.mark.parametrize("name", EVERY)
def test_a_truncated_file_is_named_and_the_others_are_read(name: str, tmp_path: Path) -> None:
    folder = download(name, tmp_path / name)
    total = len(find_items(source_for(name, folder), folder)[0])
    paths = [path for path in files_of(name, folder) if path.suffix != ".csv"]
    for path in paths:
        data = path.read_bytes()
        path.write_bytes(data[: len(data) // 2])
        if name in IN_ONE_FILE:
            with pytest.raises(BadInput) as error:
                find_items(source_for(name, folder), folder)
            said = [str(error.value)]
        else:
            whole, said, problems = read_all(name, folder)
            assert len(whole) == total - 1 and len(said) == 1 and not problems
        assert path.name in said[0] and "\n" not in said[0]
        path.write_bytes(data)


@pytest.mark.parametrize("name", [name for name in EVERY if name not in IN_ONE_FILE])
def test_a_missing_image_or_mask_is_named_and_the_others_are_read(name: str, tmp_path: Path) -> None:
    folder = download(name, tmp_path / name)
    total = len(find_items(source_for(name, folder), folder)[0])
    for path in [path for path in files_of(name, folder) if path.suffix != ".csv"]:
        aside = path.rename(path.with_name(f".{path.name}"))
        whole, broken, problems = read_all(name, folder)
        assert len(whole) == total - 1 and not broken
        assert any(path.stem in line or path.stem.split("_")[0] in line for line in problems), problems
        assert all("\n" not in line for line in problems)
        aside.rename(path)


def told(name: str, folder: Path) -> list[str]:
    return [found.what for found in source(name).items(folder) if isinstance(found, Problem)]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("Grade.csv", "Grade.csv is missing; expected NAME.bmp and NAME_anno.bmp"),
        ("columns", "Grade.csv has no column name; it has image"),
    ],
)
def test_glas_needs_its_grades(tmp_path: Path, change: str, expected: str) -> None:
    folder = glas(tmp_path)
    if change == "columns":
        table(folder / "Grade.csv", ["image"], [["train_1"]])
    else:
        (folder / "Grade.csv").unlink()
    with pytest.raises(BadInput, match=expected):
        told("glas", folder)


def test_glas_tells_what_has_no_partner_no_grade_or_another_size(tmp_path: Path) -> None:
    folder = glas(tmp_path)
    (folder / "train_1_anno.bmp").unlink()
    (folder / "train_2.bmp").unlink()
    table(
        folder / "Grade.csv", ["name", " patient ID", " grade (GlaS)"], [["testA_1", 1, "benign"], ["testA_2", 2, ""]]
    )
    save(folder / "testA_1_anno.bmp", instances(1, 61, 80))
    assert told("glas", folder) == [
        "train_1.bmp: image without mask",
        "train_3.bmp: not in Grade.csv",
        "train_2_anno.bmp: mask without image",
    ]
    whole, broken, _ = read_all("glas", folder)
    assert whole == ["testA_2"] and "testA_1: image is 80 x 60, mask 80 x 61 pixels" in broken[0]


@pytest.mark.parametrize("part", ["images.npy", "labels.npy", "patch_info.csv"])
def test_conic_needs_all_of_its_files_whole_and_of_one_length(tmp_path: Path, part: str) -> None:
    folder = conic(tmp_path, 3)
    path = folder / part
    data = path.read_bytes()
    path.unlink()
    with pytest.raises(BadInput, match=rf"{part} is missing; expected images\.npy .*labels\.npy .*patch_info\.csv"):
        told("conic2022", folder)
    if part == "patch_info.csv":
        table(path, ["patch_info"], [["crag_0-0000"]])
    else:
        path.write_bytes(data)
        np.save(path, np.load(path)[:1])
    with pytest.raises(BadInput, match=r"images\.npy has \d patches, labels\.npy \d, patch_info\.csv \d"):
        told("conic2022", folder)


def test_conic_of_another_version_is_told_by_its_shape(tmp_path: Path) -> None:
    folder = conic(tmp_path, 2)
    np.save(folder / "labels.npy", np.zeros((2, 256, 256, 3), np.uint16))
    with pytest.raises(BadInput, match=r"labels\.npy has shape 2 x 256 x 256 x 3; expected n x 256 x 256 x 2"):
        told("conic2022", folder)
    np.save(folder / "labels.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(BadInput, match=r"labels\.npy is no whole \.npy file"):
        told("conic2022", folder)


def test_conic_with_an_unknown_class_leaves_out_that_patch_only(tmp_path: Path) -> None:
    folder = conic(tmp_path, 3)
    labels = np.load(folder / "labels.npy")
    labels[1, 0, 0] = (99, 7)
    np.save(folder / "labels.npy", labels)
    whole, broken, _ = read_all("conic2022", folder)
    assert whole == ["crag_0-0000", "crag_1-0002"]
    assert broken == ["crag_0-0001: unknown class code 7; known: 0, 1, 2, 3, 4, 5, 6"]
