"""Where results go: old or new and never a mixture, whoever is killed; files of others are left alone."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from pathsegmentor.atomic import hidden as hidden_name
from pathsegmentor.errors import BadInput
from pathsegmentor.export import place
from pathsegmentor.export.folder import file_names
from tests.cli.conftest import ROOT
from tests.export.kills import NEW, OLD, PICTURE, hidden, put, state

NAMES = file_names([found.label for found in OLD.founds], PICTURE)


def contents(folder: Path) -> dict[str, bytes]:
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.mark.skipif(sys.platform == "win32", reason="needs fork")
@pytest.mark.parametrize(
    ("first", "modes"),
    [(46, ("alone", "others")), pytest.param(0, ("alone", "others", "inside"), marks=pytest.mark.slow)],
)
def test_a_writer_killed_at_any_step_leaves_the_old_result_or_the_new_one(
    first: int, modes: tuple[str, ...], tmp_path: Path
) -> None:
    words = [sys.executable, "-m", "tests.export.kills", tmp_path, str(first), *modes]
    done = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, check=True, timeout=300)
    for mode, seen in json.loads(done.stdout).items():
        assert len(seen) > 9 and not seen[-1]["killed"] and seen[-1]["state"] == "new"
        states = [one["state"] for one in seen]
        # Where folders change places there is no moment without a result.
        known = {"old", "new"} if mode == "alone" else {"old", "none", "new"}
        assert set(states) <= known and (first or set(states) == known), (mode, states)
        assert states == sorted(states, key=["old", "none", "new"].index)
        # A move that was begun is finished by the next run, and nothing hidden stays.
        assert {one["then"] for one in seen if one["state"] != "old"} == {"new"}
        assert all(one["swept"] for one in seen) and hidden(tmp_path / mode) == []
    assert (tmp_path / "others" / "out" / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize("others", [False, True])
def test_masks_of_an_earlier_result_go_and_files_of_others_stay(tmp_path: Path, others: bool) -> None:
    out = tmp_path / "out"
    put(OLD, out)
    if others:
        (out / "notes.txt").write_text("mine")
        # A mask of the earlier result that somebody has worked on is his.
        (out / "colon-tissue-stroma.png").write_bytes(b"retouched")
    put(NEW, out)
    mine = {"notes.txt", "colon-tissue-stroma.png"} if others else set()
    assert set(contents(out)) == {*file_names([found.label for found in NEW.founds], PICTURE), *mine}
    assert not others or contents(out)["colon-tissue-stroma.png"] == b"retouched"
    assert others or state(out) == "new"


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", ["file", "folder", "link to nothing"])
def test_what_is_not_ours_is_never_overwritten(tmp_path: Path, name: str, kind: str) -> None:
    out = tmp_path / "out"
    out.mkdir()
    if kind == "file":
        (out / name).write_text("{}")
    elif kind == "folder":
        (out / name).mkdir()
    else:
        (out / name).symlink_to("nowhere")
    with pytest.raises(BadInput, match="not a file of an earlier result"):
        put(OLD, out)
    assert [path.name for path in out.iterdir()] == [name] and hidden(tmp_path) == []


def test_a_mask_that_was_changed_is_not_ours_any_more(tmp_path: Path) -> None:
    out = tmp_path / "out"
    put(OLD, out)
    (out / "colon-tissue-gland.png").write_bytes(b"retouched")
    before = contents(out)
    with pytest.raises(BadInput, match=r"gland\.png is not a file"):
        put(NEW, out)
    assert contents(out) == before


def test_a_file_that_appears_meanwhile_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    put(OLD, out)
    before = contents(out)
    names = [*NAMES, "overview.png"]

    def late() -> None:
        with place.placed(out, names) as stage:
            (stage / "overview.png").write_bytes(b"ours")
            (out / "overview.png").write_bytes(b"theirs")

    with pytest.raises(BadInput, match=r"overview\.png is not a file"):
        late()
    assert contents(out) == before | {"overview.png": b"theirs"}


@pytest.mark.parametrize("how", ["itself", "hard link", "link"])
def test_an_input_is_never_replaced(tmp_path: Path, how: str) -> None:
    out = tmp_path / "out"
    put(OLD, out)
    image = out / "overlay.png"
    if how != "itself":
        image = tmp_path / "image.png"
        (image.hardlink_to if how == "hard link" else image.symlink_to)(out / "overlay.png")
    before = contents(out)
    with pytest.raises(BadInput, match="overwritten by its own result"), place.placed(out, NAMES, [image]):
        pytest.fail("refused before anything is done")
    assert contents(out) == before


def written_in(folder: Path, names: Sequence[str] = (place.RECORD,)) -> None:
    with place.placed(folder, names) as stage:
        (stage / place.RECORD).write_text('{"files": {}}')


def test_a_run_that_fails_leaves_not_even_folders(tmp_path: Path) -> None:
    with pytest.raises(KeyError), place.placed(tmp_path / "a" / "b" / "out", NAMES):
        raise KeyError
    assert list(tmp_path.iterdir()) == []
    written_in(tmp_path / "a" / "b" / "out")
    assert (tmp_path / "a" / "b" / "out" / place.RECORD).exists() and hidden(tmp_path) == []


def test_a_folder_keeps_its_mode_and_a_link_to_it_stays_one(tmp_path: Path) -> None:
    out, link = tmp_path / "out", tmp_path / "link"
    put(OLD, out)
    out.chmod(0o2750)
    link.symlink_to("out")
    put(NEW, out)
    assert out.stat().st_mode & 0o7777 == 0o2750
    put(OLD, link)
    assert link.is_symlink() and state(out) == "old"


def test_who_stands_in_the_folder_stays_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out = tmp_path / "out"
    put(OLD, out)
    monkeypatch.chdir(out)
    put(NEW, out)
    assert state(Path(".")) == "new"
    put(OLD, Path("."))
    assert state(out) == "old" and hidden(tmp_path) == []


def test_what_a_living_writer_holds_is_not_swept(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with hidden_name(tmp_path, is_folder=True) as living:
        (living / "half").write_text("x")
        put(OLD, out)
        assert (living / "half").exists()
    (tmp_path / ".pathsegmentor-dead").mkdir()
    (tmp_path / ".pathsegmentor.notes").write_text("not ours")
    put(NEW, out)
    assert hidden(tmp_path) == [".pathsegmentor.notes"]


def test_ctrl_c_waits_until_the_files_are_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    out, real = tmp_path / "out", Path.replace
    out.mkdir()
    (out / "notes.txt").write_text("mine")

    def interrupted(self: Path, target: Path) -> Path:
        os.kill(os.getpid(), signal.SIGINT)
        return real(self, target)

    monkeypatch.setattr(Path, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        put(OLD, out)
    assert state(out) == "old" and hidden(tmp_path) == []


def test_images_of_one_name_get_a_folder_each(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    first = place.own_folder(Path("a/slide.png"), "0" * 64)
    put(OLD, first)
    second = place.own_folder(Path("b/slide.png"), "1" * 64)
    assert (str(first), str(second)) == ("slide-segmented", "slide-segmented-2")
    assert place.own_folder(Path("c/slide.png"), "0" * 64) == first
    with pytest.raises(BadInput, match="another image"), place.placed(first, NAMES, (), "1" * 64):
        pytest.fail("it holds the result of the first")
    second.mkdir()
    (second / "notes.txt").write_text("mine")
    assert str(place.own_folder(Path("b/slide.png"), "1" * 64)) == "slide-segmented-3"
    long = place.own_folder(Path("ß" * 120 + ".png"), None)
    written_in(long)
    assert long.is_dir()


@pytest.mark.parametrize(
    ("folder", "why"),
    [
        ("file", "is no folder"),
        ("file/out", "Not a directory"),
        ("a/" * 2500 + "out", "too long"),
        ("b" * 300, "too long"),
        ("nowhere-link", "is no folder"),
    ],
)
def test_places_that_cannot_be_are_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, folder: str, why: str) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("x")
    Path("nowhere-link").symlink_to("nowhere")
    with pytest.raises(BadInput, match=why) as told:
        written_in(Path(folder))
    assert "--out" in str(told.value)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "nowhere-link"]


def test_a_very_deep_place_is_made(tmp_path: Path) -> None:
    """Deeper than Python's functions that call themselves can go."""
    deep = tmp_path / "/".join(["d"] * 1100)
    try:
        written_in(deep)
        assert (deep / place.RECORD).exists()
    finally:
        # pytest could not remove it.
        subprocess.run(["rm", "-r", tmp_path / "d"], check=True)
