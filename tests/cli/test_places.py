"""Places that cannot be written, or must not be: one line, exit code 2, nothing left behind; and closed streams."""

from __future__ import annotations

import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

from pathsegmentor.atomic import sha256_of
from pathsegmentor.export.place import RECORD, read_record
from pathsegmentor.model.find import bundled
from tests.cli.conftest import IMAGES, ROOT, Done

Command = Callable[..., Done]
SMALL = ROOT / "tests" / "data" / "small"


def one_line(done: Done, expected: str) -> None:
    assert done.code == 2 and done.out == "", (done.code, done.out)
    assert expected in done.err and len(done.err.splitlines()) == 1, done.err


def tissue(path: Path, left: int = 60) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.open(IMAGES / "ebhi_normal.jpg").crop((left, 60, left + 64, 108)).save(path)
    return path


def below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def files_no_larger_than(size: int) -> Iterator[None]:
    """What a full disk does, for this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("name", ["overlay.png", "colon-tissue-gland.png", "result.json.png"])
def test_an_image_inside_out_is_never_touched(here: Command, tmp_path: Path, name: str) -> None:
    image = tissue(tmp_path / "out" / name)
    before = below(tmp_path)
    done = here("segment", image, "glands in colon", "--mpp", 1, "--out", tmp_path / "out")
    if name == "result.json.png":
        assert done.code == 0 and (tmp_path / "out" / RECORD).exists()
    else:
        one_line(done, f"{name} is not a file of an earlier result")
        assert below(tmp_path) == before
    assert image.read_bytes() == before[f"out/{name}"]


def test_the_overlay_of_a_result_is_not_segmented_onto_itself(here: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert here("segment", tissue(tmp_path / "a.png"), "glands in colon", "--mpp", 1, "--out", out).code == 0
    before = below(tmp_path)
    done = here("segment", out / "overlay.png", "glands in colon", "--mpp", 1, "--out", out)
    one_line(done, "would be overwritten by its own result")
    assert below(tmp_path) == before


def test_images_of_one_name_keep_their_results(here: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for folder, left in (("a", 40), ("b", 80), ("a", 40)):
        tissue(Path(folder) / "slide.png", left)
        done = here("segment", f"{folder}/slide.png", "glands in colon", "--mpp", 1, "--json")
        assert done.code == 0, done.err
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b", "slide-segmented", "slide-segmented-2"]
    for folder, out in (("a", "slide-segmented"), ("b", "slide-segmented-2")):
        record = read_record(Path(out))
        assert record and record["image_sha256"] == sha256_of(Path(folder) / "slide.png")


def test_other_words_leave_no_mask_of_the_first(here: Command, tmp_path: Path) -> None:
    image, out = tissue(tmp_path / "a.png"), tmp_path / "out"
    for words in (["glands in colon", "nuclei"], ["malignant glands"]):
        assert here("segment", image, *words, "--mpp", "0.5", "--out", out).code == 0
    record = read_record(out)
    assert record and {*record["files"], RECORD} == {path.name for path in out.iterdir()}
    assert "colon-tissue-gland.png" not in record["files"] and record["mpp"] == [0.5, 0.5]


EMPTY = {
    "segment": ["segment", "IMAGE", "nuclei", "--mpp", "1", "--out", ""],
    "segment nothing": ["segment", "", "nuclei", "--mpp", "1"],
    "models import": ["models", "import", "IMAGE", "--tokenizer", "IMAGE", "--out", ""],
    "models export": ["models", "export", "IMAGE", "--out", ""],
    "train": ["train", "IMAGE", "--data", "IMAGE", "--out", ""],
    "evaluate": ["evaluate", "--data", "IMAGE", "--out", ""],
    "data build": ["data", "build", "--source", "glas=x", "--out", ""],
    "data stats": ["data", "stats", "IMAGE", "--out", ""],
    "data show": ["data", "show", "IMAGE", "--out", ""],
    "data check": ["data", "check", "IMAGE", "--out", ""],
}


@pytest.mark.parametrize("case", sorted(EMPTY))
def test_an_empty_path_is_not_the_current_folder(
    here: Command, tmp_path: Path, case: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    tissue(tmp_path / "a.png")
    one_line(here(*(word.replace("IMAGE", "a.png") for word in EMPTY[case])), "is empty")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


@pytest.fixture(scope="module")
def pathseg(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A built set of a few real images, and a config to train and evaluate on it."""
    folder = tmp_path_factory.mktemp("set")
    words = ["data", "build", "--source", f"ebhi={SMALL / 'ebhi'}", "--out", folder / "pathseg"]
    done = subprocess.run([sys.executable, "-m", "pathsegmentor", *map(str, words)], capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    config = yaml.safe_load((ROOT / "configs" / "nano.yaml").read_text(encoding="utf-8"))
    config |= {"init": "", "sources": {"ebhi": 1}, "points": 64, "held_out": 0.0}
    config["sampling"] |= {"crop": [64], "images": 1, "prompts": 1}
    config["schedule"] |= {"steps": 1}
    (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
    return folder


WRITERS = {
    "segment": ["segment", "IMAGE", "glands in colon", "--mpp", "1", "--json", "--out", "OUT"],
    "data build": ["data", "build", "--source", f"ebhi={SMALL / 'ebhi'}", "--json", "--out", "OUT"],
    "data stats": ["data", "stats", "SET/pathseg", "--json", "--out", "OUT"],
    "data show": ["data", "show", "SET/pathseg", "--out", "OUT.png"],
    "data check": ["data", "check", "SET/pathseg", "--json", "--out", "OUT.json"],
    "evaluate": ["evaluate", "--config", "SET/config.yaml", "--data", "SET/pathseg", "--json", "--out", "OUT"],
}


def asked(case: str, folder: Path, out: Path) -> list[str]:
    places = {"IMAGE": str(tissue(out.parent.parent / "a.png")), "SET": str(folder), "OUT": str(out)}
    words = WRITERS[case]
    for name, place in places.items():
        words = [word.replace(name, place) for word in words]
    return words


# tarfile cannot close a file of which the end does not fit on the disk.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("case", sorted(WRITERS))
def test_a_full_disk_is_one_line(here: Command, pathseg: Path, tmp_path: Path, case: str) -> None:
    (tmp_path / "there").mkdir()
    words = asked(case, pathseg, tmp_path / "there" / "out")
    with files_no_larger_than(10):
        done = here(*words)
    assert done.code == 2 and done.out == "" and len(done.err.splitlines()) == 1, done
    assert "File too large" in done.err or "disk is full" in done.err, done.err
    # A build or an evaluation is gone on with, and what it leaves is whole. Of the others nothing is left.
    if case not in ("data build", "evaluate"):
        assert below(tmp_path / "there") == {}


@pytest.mark.parametrize("case", sorted(WRITERS))
def test_a_place_below_a_file_is_one_line(here: Command, pathseg: Path, tmp_path: Path, case: str) -> None:
    (tmp_path / "file").write_text("mine")
    one_line(here(*asked(case, pathseg, tmp_path / "file" / "out")), "file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize("case", ["data show", "data check"])
def test_what_is_read_is_not_written_over(here: Command, pathseg: Path, case: str) -> None:
    manifest = pathseg / "pathseg" / "manifest.parquet"
    before = sha256_of(manifest)
    one_line(here(*asked(case, pathseg, pathseg / "x" / "out")[:-1], manifest), "is part of what is read")
    assert sha256_of(manifest) == before


def test_a_model_is_not_exported_over_itself(here: Command, tmp_path: Path) -> None:
    model = shutil.copytree(bundled()["nano"], tmp_path / "model")
    before = below(model)
    one_line(here("models", "export", model, "--out", model / "model.safetensors"), "is part of what is read")
    assert below(model) == before


def test_a_device_or_a_folder_is_not_replaced(here: Command, pathseg: Path, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for place in (tmp_path / "pipe", tmp_path):
        words = asked("data show", pathseg, tmp_path / "x" / "out")
        one_line(here(*words[:-1], place), "cannot be written: it is a folder, a device")
    assert (tmp_path / "pipe").is_fifo()


def shell(line: str, cwd: Path) -> subprocess.CompletedProcess[str]:
    python = f"'{sys.executable}' -m pathsegmentor"
    return subprocess.run(
        ["bash", "-c", line.replace("PSEG", python)], capture_output=True, text=True, cwd=cwd, timeout=300
    )


CLOSED = ["2>&-", ">&-", "<&- >&- 2>&-", "2>/dev/full"]


@pytest.mark.parametrize("closed", CLOSED)
def test_a_wrong_request_over_closed_streams_is_refused_as_ever(tmp_path: Path, closed: str) -> None:
    done = shell(f"PSEG prompts --model nobody --json {closed}", tmp_path)
    assert done.returncode == 2 and done.stdout == "" and "Traceback" not in done.stderr
    assert shell(f"PSEG prompts --json {closed}", tmp_path).returncode == 0


@pytest.mark.slow
@pytest.mark.parametrize("closed", CLOSED)
def test_closed_streams_change_no_result(tmp_path: Path, closed: str) -> None:
    tissue(tmp_path / "a.png")
    done = shell(f"PSEG segment a.png 'glands in colon' --mpp 1 --out out --json {closed}", tmp_path)
    assert done.returncode == 0 and "Traceback" not in done.stdout + done.stderr
    record = read_record(tmp_path / "out")
    assert record is not None
    assert all(sha256_of(tmp_path / "out" / name) == digest for name, digest in record["files"].items())


def test_a_stderr_that_nobody_reads_is_no_traceback(tmp_path: Path) -> None:
    done = shell("(sleep 0; PSEG prompts --model nobody; echo $? > code) 2>&1 >/dev/null | true; sleep 1", tmp_path)
    for _ in range(100):
        if (tmp_path / "code").exists() and (tmp_path / "code").read_text().strip():
            break
        time.sleep(0.2)
    assert (tmp_path / "code").read_text().strip() == "2" and done.stderr == ""


@pytest.mark.slow
def test_ctrl_c_stops_within_seconds_and_leaves_nothing(tmp_path: Path) -> None:
    with Image.open(IMAGES / "monuseg_kidney.jpg") as one:
        Image.fromarray(np.tile(np.asarray(one), (4, 4, 1))).save(tmp_path / "large.png", compress_level=1)
    words = ["segment", "large.png", "nuclei", "--mpp", "0.25", "--out", "made/out"]
    process = subprocess.Popen(
        [sys.executable, "-m", "pathsegmentor", *words], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    while process.poll() is None and not list(tmp_path.glob("made/.pathsegmentor-*")):
        time.sleep(0.05)
    time.sleep(2)
    pressed = time.monotonic()
    process.send_signal(signal.SIGINT)
    _, said = process.communicate(timeout=60)
    # A tile takes well under a second; the rest is for a busy machine.
    assert process.returncode == 130 and time.monotonic() - pressed < 5
    assert said.strip() == "pathsegmentor: interrupted"
    assert [path.name for path in tmp_path.iterdir()] == ["large.png"]
