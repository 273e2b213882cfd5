"""Training YAMLs: what they may say, how they build on each other, and every way of being wrong."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from pathsegmentor.errors import BadInput
from pathsegmentor.train.config import read_train_config, to_yaml
from pathsegmentor.train.together import check_labels
from pathsegmentor.vocabulary import Vocabulary
from tests.train.tiny import config

ROOT = Path(__file__).parents[2]
RIGHT = "name: x\nsources: {a: 1, b: 2}\nschedule: {steps: 9}\n"


@pytest.mark.parametrize("path", sorted((ROOT / "configs").glob("*.yaml")), ids=lambda p: p.stem)
def test_every_shipped_config_is_valid(path: Path) -> None:
    found = read_train_config(path)
    assert found.name == path.stem
    check_labels(found, [])


def test_a_config_written_out_reads_back_the_same(tmp_path: Path) -> None:
    path = tmp_path / "all.yaml"
    whole = replace(config(3, rates={"image_tower": 0.1}, drops=(0.5, 0.9)), readers=2, precision="auto")
    path.write_text(to_yaml(whole))
    assert read_train_config(path) == whole


def test_a_config_extends_another_beside_it(tmp_path: Path) -> None:
    (tmp_path / "one.yaml").write_text(RIGHT + "sampling: {images: 3, prompts: 5}\nseed: 4\n")
    (tmp_path / "two.yaml").write_text(
        "extends: one.yaml\nname: two\nsources: {a: null, c: 3}\nsampling: {images: 7}\n"
    )
    (tmp_path / "three.yaml").write_text("extends: two.yaml\nname: three\nseed: null\n")
    found = read_train_config(tmp_path / "three.yaml")
    assert found.name == "three" and found.sources == {"b": 2.0, "c": 3.0}
    assert (found.sampling.images, found.sampling.prompts, found.seed) == (7, 5, 0)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("name: x\nsource: []\n", "unknown setting 'source'"),
        ("- 1\n", "expected a table"),
        ("name: [\n", "cannot be used"),
        ("extends: none.yaml\n", "no file beside it"),
        ("extends: 3\n", "no file beside it"),
        ("extends: bad.yaml\n", "extends itself"),
        (RIGHT + "sampling: {crop: [-5]}\n", r"sampling.crop: -5[.0]* is not between"),
        (RIGHT + "sampling: {crop: []}\n", "sampling.crop is empty"),
        (RIGHT + "sampling: {crop: [64, 96], order: epoch}\n", "one size in sampling.crop"),
        (RIGHT + "sampling: {prompts: 0}\n", r"sampling.prompts: 0[.0]* is not between"),
        (RIGHT + "sampling: {images: 0}\n", r"sampling.images: 0[.0]* is not between"),
        (RIGHT + "sampling: {absent: 1.5}\n", r"sampling.absent: 1.5[.0]* is not between"),
        (RIGHT + "sampling: {scale: [1.1]}\n", r"sampling.scale is \[1.1\]"),
        (RIGHT + "sampling: {scale: [1.1, 0.9]}\n", "the smaller one first"),
        (RIGHT + "sampling: {scale: [0, 1]}\n", r"sampling.scale: 0[.0]* is not between"),
        (RIGHT + "sampling: {stain: -0.1}\n", r"sampling.stain: -0.1[.0]* is not between"),
        (RIGHT + "sampling: {order: sorted}\n", "'sorted' is none of weighted, epoch"),
        ("name: x\nsources: {a: 1}\nschedule: {steps: 9, rate: 0}\n", r"schedule.rate: 0[.0]* is not between"),
        ("name: x\nsources: {a: 1}\nschedule: {steps: 9, rate: .nan}\n", r"schedule.rate: nan[.0]* is not between"),
        ("name: x\nsources: {a: 1}\nschedule: {steps: 0}\n", r"schedule.steps: 0[.0]* is not between"),
        ("name: x\nsources: {a: 1}\nschedule: {steps: 9, epochs: 2}\n", "one of them"),
        ("name: x\nsources: {a: 1}\n", "one of them"),
        ("name: x\nsources: {a: 1}\nschedule: {steps: 9, ema: 1}\n", r"schedule.ema: 1[.0]* is not between"),
        ("name: x\nsources: {a: 1}\nschedule: {steps: 9, warmup: 1}\n", r"schedule.warmup: 1[.0]* is not between"),
        (
            "name: x\nsources: {a: 1}\nschedule: {steps: 9, rates: {image: 0.1}}\n",
            "no part 'image'; parts: image_tower",
        ),
        ("name: x\nsources: {a: 1}\nschedule: {steps: 9, drops: [0.9, 0.5]}\n", "must rise"),
        ("name: x\nsources: {a: 1}\nschedule: {steps: 9, accumulate: 20}\n", "cannot pass in 20 parts"),
        ("name: x\nsources: {a: -1}\nschedule: {steps: 9}\n", r"sources.a: -1[.0]* is not between"),
        ("name: x\nsources: {a: 0}\nschedule: {steps: 9}\n", "names none that is ever drawn"),
        ("name: x\nsources: {}\nschedule: {steps: 9}\n", "names none that is ever drawn"),
        (RIGHT + "saving: {keep: 0}\n", r"saving.keep: 0[.0]* is not between"),
        (RIGHT + "saving: {minutes: 0}\n", r"saving.minutes: 0[.0]* is not between"),
        (RIGHT + "weights: {dice: -1}\n", r"weights.dice: -1[.0]* is not between"),
        (RIGHT + "points: 0\n", r"points: 0[.0]* is not between"),
        (RIGHT + "held_out: 1\n", r"held_out: 1[.0]* is not between"),
        (RIGHT + "seed: -1\n", r"seed: -1[.0]* is not between"),
        (RIGHT + "precision: fp8\n", "'fp8' is none of auto"),
        (RIGHT + "model: {mpp: {colon-tissue-gland: 0}}\n", "mpp.colon-tissue-gland"),
        (RIGHT + "model: {mpp: {gland: 1.0}}\n", "'gland' is no label"),
    ],
)
def test_a_wrong_config_is_refused_in_one_line(tmp_path: Path, text: str, expected: str) -> None:
    (tmp_path / "bad.yaml").write_text(text)
    with pytest.raises(BadInput, match=expected) as caught:
        read_train_config(tmp_path / "bad.yaml")
    assert "\n" not in str(caught.value) and "bad.yaml" in str(caught.value)


def test_a_misspelt_label_is_told_the_nearest() -> None:
    known = Vocabulary.paper()
    right = next(iter(known)).id
    wrong = replace(config(1), model=replace(config(1).model, mpp={right[:-1] + "x": 0.5}))
    with pytest.raises(BadInput, match=f"did you mean '{right}'"):
        check_labels(wrong, [])
    own = replace(config(1), model=replace(config(1).model, mpp={"liver-cell-kupffer": 0.5}))
    check_labels(own, ["liver-cell-kupffer"])
