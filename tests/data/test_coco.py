"""COCO files as other programs write them: ids of any kind, orphans, one file a class, run lengths."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathsegmentor.data.coco import _packed, key_of
from pathsegmentor.data.drawn import Runs
from pathsegmentor.data.own import own_items, read_own
from pathsegmentor.data.record import Annotated, Item, Problem
from tests.cases.made import boxes, build
from tests.cli.conftest import Done, here  # noqa: F401
from tests.data.made import picture, save

Run = Callable[..., Done]
BOX, OTHER = (8, 8, 56, 56), (72, 80, 112, 120)


def flat(box: tuple[int, ...]) -> list[int]:
    left, top, right, bottom = box
    return [left, top, right, top, right, bottom, left, bottom]


def listing(folder: Path, *annotations: Any, name: str = "c.json", **change: Any) -> dict[str, Any]:
    """One image and two categories in a file."""
    if not (folder / "a.png").exists():
        save(folder / "a.png", picture(1, 128, 128))
    document = {
        "images": [{"id": 1, "file_name": "a.png", "width": 128, "height": 128}],
        "annotations": list(annotations),
        "categories": [{"id": 1, "name": "Tumor"}, {"id": 2, "name": "Stroma"}],
    } | change
    (folder / name).write_text(json.dumps(document))
    return document


def drawn(box: tuple[int, ...], **change: Any) -> dict[str, Any]:
    return {"id": 1, "image_id": 1, "category_id": 1, "segmentation": [flat(box)], "iscrowd": 0} | change


def read(folder: Path) -> tuple[list[Annotated], list[Problem]]:
    found = list(own_items(folder, 0.25))
    return [read_own(one) for one in found if isinstance(one, Item)], [one for one in found if isinstance(one, Problem)]


def box_of(mask: Any) -> tuple[int, ...]:
    rows, columns = np.nonzero(np.asarray(mask))
    return int(columns.min()), int(rows.min()), int(columns.max()) + 1, int(rows.max()) + 1


@pytest.mark.parametrize("image", [1, "1", 1.0, " 1 "])
@pytest.mark.parametrize("category", [1, "1", 1.0])
def test_ids_are_the_same_as_number_and_as_text(tmp_path: Path, image: Any, category: Any) -> None:
    listing(tmp_path, drawn(BOX, image_id=image, category_id=category))
    (got,), problems = read(tmp_path)
    assert not problems and box_of(got.masks["unspecified-tissue-tumor"]) == BOX


@given(st.one_of(st.integers(), st.text(), st.floats(), st.none(), st.booleans(), st.lists(st.integers())))
def test_an_id_is_text_or_none(value: Any) -> None:
    key = key_of(value)
    assert key == key.strip()
    if isinstance(value, int) and not isinstance(value, bool):
        assert key == str(value) == key_of(str(value))


@pytest.mark.parametrize(
    ("orphan", "expected", "code"),
    [
        (drawn(OTHER, image_id=9), "class 'Tumor': belongs to no image (image_id 9)", 1),
        (drawn(OTHER, image_id=None), "class 'Tumor': belongs to no image (image_id None)", 1),
        (drawn(OTHER, image_id=9, category_id=7), "belongs to no image (image_id 9)", 1),
        (drawn(OTHER, image_id=9, category_id=None), "belongs to no image (image_id 9)", 0),
        (drawn(OTHER, category_id=7), "has the unknown category 7; known: 1, 2", 1),
        (drawn(OTHER, category_id=None), "has no class", 0),
        (5, "is no annotation", 1),
        (drawn(BOX, id=2), "is drawn twice: it is annotation 1 of c.json again", 1),
    ],
)
def test_what_belongs_to_nothing_is_counted_and_named(
    tmp_path: Path,
    here: Run,  # noqa: F811
    orphan: Any,
    expected: str,
    code: int,
) -> None:
    folder = tmp_path / "my"
    folder.mkdir()
    listing(folder, drawn(BOX), orphan)
    done = build(here, folder)
    (entry,) = done.json["sources"]
    where = entry["problems"] + entry["left_out"] if code else entry["remarks"]
    assert done.code == code and len(where) == 1 and expected in where[0]
    assert boxes(folder) == {"unspecified-tissue-tumor": BOX}
    assert [entry["objects"][key] for key in ("read", "used", "passed_over")] == [2, 1, 1]


def test_one_file_a_class_adds_up(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "my"
    folder.mkdir()
    listing(folder, drawn(BOX), name="tumor.json")
    image = [{"id": "x", "file_name": "./a.png"}]
    listing(folder, drawn(OTHER, image_id="x"), name="stroma.json", images=image, categories=[{"id": 1, "name": "S"}])
    done = build(here, folder)
    assert done.code == 0, done.out
    assert boxes(folder) == {"unspecified-tissue-tumor": BOX, "unspecified-tissue-s": OTHER}


def test_an_id_of_two_images_or_of_two_categories_means_none_of_them(tmp_path: Path) -> None:
    save(tmp_path / "b.png", picture(2, 128, 128))
    images = [{"id": 1, "file_name": "a.png"}, {"id": "1", "file_name": "b.png"}, {"id": 2, "file_name": "b.png"}]
    kinds = [{"id": 1, "name": "Tumor"}, {"id": "1", "name": "Stroma"}, {"id": 2, "name": "Gland"}]
    listing(
        tmp_path,
        drawn(BOX),
        drawn(BOX, image_id=2),
        drawn(BOX, image_id=2, category_id=2),
        images=images,
        categories=kinds,
    )
    (got,), problems = read(tmp_path)
    assert set(got.masks) == {"unspecified-tissue-gland"} and not got.complete
    assert [problem.what for problem in problems] == [
        "c.json: image id 1 stands for a.png and b.png; none of them is used",
        "annotation 1 of c.json: belongs to no image (image_id 1)",
        "a.png: image in no COCO file",
    ]


@pytest.mark.parametrize("place", ["train", "annotations"])
def test_names_may_start_at_the_file_that_says_them(tmp_path: Path, place: str) -> None:
    (tmp_path / place).mkdir()
    save(tmp_path / "train" / "a.png", picture(1, 128, 128))
    name = "a.png" if place == "train" else "../train/a.png"
    listing(tmp_path, drawn(BOX), name=f"{place}/c.coco.json", images=[{"id": 1, "file_name": name}])
    (tmp_path / "a.png").unlink()
    (got,), problems = read(tmp_path)
    assert not problems and box_of(got.masks["unspecified-tissue-tumor"]) == BOX


@pytest.mark.parametrize("text", [b"\xef\xbb\xbf", "utf-16", "utf-32"])
def test_any_unicode_encoding_of_json_is_read(tmp_path: Path, text: Any) -> None:
    document = json.dumps(listing(tmp_path, drawn(BOX)))
    data = text + document.encode() if isinstance(text, bytes) else document.encode(text)
    (tmp_path / "c.json").write_bytes(data)
    (got,), _ = read(tmp_path)
    assert box_of(got.masks["unspecified-tissue-tumor"]) == BOX


def test_other_forms_beside_coco_are_said(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "my"
    (folder / "masks").mkdir(parents=True)
    listing(folder, drawn(BOX))
    (folder / "a.geojson").write_text(json.dumps([{"type": "Feature"}, 1]))
    (folder / "settings.json").write_text("{}")
    (folder / "cut.json").write_text("{")
    done = build(here, folder)
    (entry,) = done.json["sources"]
    assert done.code == 1 and entry["problems"] == [
        "a.geojson is not read: the folder is read as COCO",
        f"{folder / 'cut.json'} is no readable JSON",
    ]
    assert entry["remarks"] == ["masks/ is not read: the folder is read as COCO"]
    assert entry["objects"]["read"] == 3 and entry["objects"]["used"] == 1


# Written by pycocotools 2.0.11 from the mask below.
PACKED = (
    "dd0X1h000000000000000000000000000000000000000RO]O?c0A]O?c0A]O?c0A]O?c0A]O?c0A]O?c0A]O?c0A]O?c0A]O?c0A]O?c0"
    "A]O?c0A]O?c0A]O?c0A]O?c0A]O?c0A]O?c0A]O?c0A]O?c0A]O?c0A]O?c0?00000000000000000000000000000000000000\\W1h2l?"
    "SLmYN00000000000000"
)


def mask() -> np.ndarray:
    made = np.zeros((64, 128), bool)
    made[20:60, 10:70] = True
    made[30:35, 30:50] = False
    made[0:3, 120:128] = True
    made[:, 90:92] = True
    return made


def runs_of(values: np.ndarray) -> list[int]:
    """Runs of 0 and 1 down the columns, one by one."""
    runs, last = [0], False
    for value in values.T.ravel():
        if bool(value) != last:
            runs.append(0)
            last = bool(value)
        runs[-1] += 1
    return runs


@pytest.mark.parametrize("counts", [PACKED, runs_of(mask())])
@pytest.mark.parametrize("crowd", [0, 1, "1"])
def test_run_lengths_packed_or_not_are_the_mask(tmp_path: Path, counts: Any, crowd: Any) -> None:
    save(tmp_path / "a.png", picture(1, 64, 128))
    size = [{"id": 1, "file_name": "a.png", "width": 128, "height": "64"}]
    listing(tmp_path, drawn(BOX, segmentation={"size": [64, 128], "counts": counts}, iscrowd=crowd), images=size)
    (got,), problems = read(tmp_path)
    found = got.ignore if int(crowd) else got.masks["unspecified-tissue-tumor"] > 0
    assert not problems and (np.asarray(found) == mask()).all() and bool(got.masks) != bool(int(crowd))


def pack(runs: list[int]) -> str:
    """COCO's text for runs, by its description."""
    text = ""
    for i, run in enumerate(runs):
        value = run - runs[i - 2] if i > 2 else run
        while True:
            bits, value = value & 31, value >> 5
            more = value != (-1 if bits & 16 else 0)
            text += chr(48 + bits + (32 if more else 0))
            if not more:
                break
    return text


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=30))
def test_any_runs_come_back_from_their_text(runs: list[int]) -> None:
    assert _packed(pack(runs)) == runs


def test_the_description_packs_as_pycocotools_does() -> None:
    assert pack(runs_of(mask())) == PACKED
    assert (Runs((64, 128), tuple(_packed(PACKED))).mask() == mask()).all()


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["id", "counts", "size"]), inner),
    max_leaves=8,
)
ids = st.sampled_from([1, "1", 2, "x", None, True, 1.5])
annotations = anything | st.fixed_dictionaries(
    {},
    optional={
        "id": ids,
        "image_id": ids,
        "category_id": ids,
        "segmentation": anything | st.sampled_from([[flat(BOX)], [flat(OTHER)], flat(OTHER)]),
        "iscrowd": anything,
    },
)


@settings(deadline=None)
@given(
    st.lists(annotations, max_size=6),
    st.lists(st.fixed_dictionaries({"id": ids, "file_name": st.sampled_from(["a.png", "b.png", "../c"])}) | anything),
    st.lists(st.fixed_dictionaries({"id": ids, "name": st.sampled_from(["Tumor", "", "a-cell-"])}) | anything),
)
def test_every_annotation_is_used_or_passed_over(
    tmp_path_factory: Any, made: list[Any], images: list[Any], kinds: list[Any]
) -> None:
    folder = tmp_path_factory.mktemp("any")
    save(folder / "b.png", picture(2, 128, 128))
    listing(folder, *made, images=images, categories=kinds)
    found, problems = read(folder)
    counts = [one.count for one in found if one.count is not None]
    assert len(counts) == len(found)
    assert sum(one.read for one in counts) + sum(problem.objects for problem in problems) == len(made)
    assert all("\n" not in problem.what for problem in problems)
