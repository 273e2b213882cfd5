"""nnU-Net: what it is given, what it is asked, and how its absence or death is told.

``test_it_trains_and_answers`` runs the real one where ``pathsegmentor baselines install nnunet`` has put it.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pathsegmentor.data.pathseg import Entry, PathSeg
from pathsegmentor.data.sample import Sample
from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.evaluate.baselines import load_baseline, nnunet_env
from pathsegmentor.evaluate.baselines.class_sampler import train_part
from pathsegmentor.evaluate.baselines.nnunet_data import UNKNOWN, Codes, export
from pathsegmentor.evaluate.baselines.nnunet_env import MARK, PLACE
from pathsegmentor.evaluate.baselines.specialist import SPEC, read_spec
from pathsegmentor.evaluate.baselines.specialist_config import Shrunk, SpecialistConfig
from pathsegmentor.evaluate.baselines.training import train_specialist
from pathsegmentor.evaluate.predictor import Asked
from pathsegmentor.evaluate.scores import dice
from pathsegmentor.evaluate.truth import read_image
from pathsegmentor.imaging import Picture
from tests.cli.conftest import Done

CLASSES = ["tissue-benign gland", "tissue-gland", "tissue-malignant gland"]
LABELS = ["colon-tissue-benign gland", "colon-tissue-gland", "colon-tissue-malignant gland"]


def sample(masks: list[np.ndarray], ignore: np.ndarray | None = None) -> Sample:
    pixels = np.zeros((*masks[0].shape, 3), np.uint8)
    there = {label: mask for label, mask in zip(LABELS, masks, strict=False) if mask.any()}
    return Sample("glas", "x", (1.0, 1.0), pixels, there, ignore)


def entry(data: Path, outlined: bool = True) -> Entry:
    """Any entry, as if it had these labels."""
    row = PathSeg(data).entries[0].first
    return Entry(tuple(replace(row, label=label, annotated=tuple(LABELS) if outlined else ()) for label in LABELS))


def test_classes_that_overlap_become_regions(data: Path) -> None:
    """Every class is the union of its numbers, whatever combinations occur."""
    rng, codes = np.random.default_rng(0), Codes(CLASSES)
    samples = [sample([rng.random((9, 9)) > 0.6 for _ in CLASSES]) for _ in range(3)]
    coded = [codes.coded(s, entry(data)) for s in samples]
    labels = codes.labels(unknown=False)
    assert codes.regions and labels["background"] == 0
    for s, code in zip(samples, coded, strict=True):
        for name, label in zip(CLASSES, LABELS, strict=True):
            assert np.array_equal(np.isin(code, labels[name]), s.masks[label])  # type: ignore[arg-type]
    used = np.unique(np.stack(coded))
    assert used.tolist() == list(range(len(used)))  # nnU-Net refuses gaps


def test_classes_that_do_not_are_plain_numbers(data: Path) -> None:
    codes, halves = Codes(CLASSES[:2]), np.zeros((4, 6), bool)
    halves[:, :3] = True
    code = codes.coded(sample([halves, np.zeros_like(halves)]), entry(data))
    code |= codes.coded(sample([np.zeros_like(halves), ~halves]), entry(data))
    labels = codes.labels(unknown=True)
    assert not codes.regions and sorted(labels.values()) == [0, 1, 2, 3] and labels["ignore"] == 3  # type: ignore[type-var]
    assert np.array_equal(code == labels[CLASSES[0]], halves)


def test_what_is_not_known_is_left_out(data: Path) -> None:
    mask, ignore = np.zeros((4, 6), bool), np.zeros((4, 6), bool)
    mask[0], ignore[:, 5] = True, True
    code = Codes(CLASSES).coded(sample([mask], ignore), entry(data))
    assert np.array_equal(code == UNKNOWN, ignore) and np.array_equal(code == 1, mask & ~ignore)
    marked = Codes(CLASSES).coded(sample([mask]), entry(data, outlined=False))
    assert np.array_equal(marked == UNKNOWN, ~mask)


def test_the_data_set_is_as_nnunet_wants_it(data: Path, tmp_path: Path) -> None:
    pathseg = PathSeg(data)
    entries, classes = train_part(pathseg, "tnbc")
    assert export(pathseg, entries, classes, 0.25, tmp_path) is False
    told = json.loads((tmp_path / "dataset.json").read_text())
    assert told["channel_names"] == {"0": "R", "1": "G", "2": "B"} and told["numTraining"] == len(entries)
    assert told["labels"] == {"background": 0, "nuclei-nuclei": 1} and told["file_ending"] == ".png"
    images, labels = (sorted((tmp_path / part).iterdir()) for part in ("imagesTr", "labelsTr"))
    assert [path.name for path in images] == [f"{path.stem}_0000.png" for path in labels]
    for image, label in zip(images, labels, strict=True):
        with Image.open(image) as pixels, Image.open(label) as codes:
            assert pixels.mode == "RGB" and codes.mode == "L" and pixels.size == codes.size
            assert set(np.unique(np.asarray(codes))) == {0, 1}
    before = [path.stat().st_mtime_ns for path in images]
    export(pathseg, entries, classes, 0.25, tmp_path)  # whole: kept
    assert [path.stat().st_mtime_ns for path in images] == before


def trained_folder(path: Path) -> Path:
    (path / "fold_all").mkdir(parents=True)
    (path / "fold_all" / "checkpoint_final.pth").write_bytes(b"x")
    spec = {"network": "nnunet", "classes": ["(background)", "nuclei-nuclei"], "answer": "softmax", "mpp": 0.25}
    (path / SPEC).write_text(json.dumps(spec))
    return path


def test_without_its_environment_the_command_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, here: Callable[..., Done]
) -> None:
    monkeypatch.setenv(PLACE, str(tmp_path / "nowhere"))
    with pytest.raises(BadInput, match="pathsegmentor baselines install nnunet"):
        load_baseline(f"nnunet:{trained_folder(tmp_path / 'run')}")
    rows = {row["name"]: row for row in here("baselines", "--json").json}
    assert "baselines install nnunet" in rows["nnunet"]["missing"]
    assert here("baselines", "install", "medsam").code == 2


def environment(folder: Path) -> Path:
    """An environment that is there and has no nnU-Net: this one's interpreter."""
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").symlink_to(sys.executable)
    (folder / MARK).touch()
    return folder


def test_a_process_that_dies_is_one_line_each_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLACE, str(environment(tmp_path / "env")))
    model = load_baseline(f"nnunet:{trained_folder(tmp_path / 'run')}")
    image = Picture(np.zeros((32, 32, 3), np.uint8), (0.25, 0.25), "tnbc/1")
    for _ in range(2):
        with pytest.raises(BadModel) as told:
            model.answer(image, [Asked("breast-nuclei-nuclei")])
        assert "ended: " in str(told.value) and "\n" not in str(told.value)


@pytest.mark.parametrize("folds", [0, 2])
def test_one_trained_fold_is_needed(tmp_path: Path, folds: int) -> None:
    path = trained_folder(tmp_path / "run")
    (path / "fold_all" / "checkpoint_final.pth").unlink()
    for i in range(folds):
        (path / f"fold_{i}").mkdir()
        (path / f"fold_{i}" / "checkpoint_final.pth").touch()
    with pytest.raises(BadModel, match=f"holds {folds} trained folds"):
        load_baseline(f"nnunet:{path}")


def test_training_that_fails_is_told_and_leaves_no_specialist(
    data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PLACE, str(environment(tmp_path / "env")))
    config = SpecialistConfig("nnunet_shrunk", "nnunet", {"tnbc": 0.25}, steps=1, shrunk=Shrunk())
    with pytest.raises(BadInput, match=r"nnU-Net's training ended: .*nnunet\.log"):
        train_specialist(config, "tnbc", data, tmp_path / "run")
    assert not (tmp_path / "run" / SPEC).exists() and (tmp_path / "run" / "nnunet.log").read_text()


@pytest.mark.slow
def test_an_environment_that_cannot_be_made_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PLACE, str(tmp_path / "env"))
    monkeypatch.setattr(nnunet_env, "WANTED", f"nnunetv2 @ {(tmp_path / 'nowhere.whl').as_uri()}")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(BadInput, match="failed: ") as told:
        nnunet_env.install()
    assert "\n" not in str(told.value) and not (tmp_path / "env" / MARK).exists()


@pytest.mark.slow
@pytest.mark.skipif(
    not (Path(os.environ.get(PLACE, "")) / MARK).is_file() or PLACE not in os.environ,
    reason=f"needs nnU-Net's environment: pathsegmentor baselines install nnunet, and {PLACE}",
)
def test_it_trains_and_answers(data: Path, tmp_path: Path) -> None:
    """The real one, made small: it is planned, trained, stopped half-way and gone on with, and asked."""
    small = Shrunk(patch=64, batch=2, features=(8, 16, 32))
    config = SpecialistConfig("small", "nnunet", {"tnbc": 0.25}, steps=40, shrunk=small, save_steps=10)
    out = train_specialist(config, "tnbc", data, tmp_path / "group" / "tnbc")
    assert read_spec(out).classes == ("(background)", "nuclei-nuclei") and not (out / "nnunet").exists()
    model, pathseg = load_baseline(f"nnunet:{tmp_path / 'group'}"), PathSeg(data)
    first = pathseg.entries[0]
    image = read_image(pathseg.shards, first.first)
    (found,) = model.answer(image, [Asked("breast-nuclei-nuclei")])
    assert dice(found.mask, pathseg.sample(first).masks["breast-nuclei-nuclei"]) > 0.6
    other = Picture(np.full((50, 70, 3), 230, np.uint8), (0.25, 0.25), "tnbc/blank")
    assert model.answer(other, [Asked("breast-nuclei-nuclei")])[0].mask.shape == (50, 70)
