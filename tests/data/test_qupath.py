"""QuPath's GeoJSON in all its forms: nothing in it is dropped without a word, whatever it holds."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pathsegmentor.data import documents
from pathsegmentor.data.counted import Passed, told
from pathsegmentor.data.drawn import annotate
from pathsegmentor.data.qupath import qupath_objects
from pathsegmentor.data.record import Annotated
from pathsegmentor.errors import BadInput
from tests.cases.made import BOX, OTHER, SIDE, Run, boxes, build, feature, image, outlines, ring
from tests.cli.conftest import here  # noqa: F401

TUMOR, STROMA = {"name": "Tumor"}, {"name": "Stroma"}
FIRST, SECOND = feature(BOX, TUMOR), feature(OTHER, STROMA)
BOTH = {"unspecified-tissue-tumor": BOX, "unspecified-tissue-stroma": OTHER}


def read(path: Path, document: Any) -> Annotated:
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return annotate(np.zeros((SIDE, SIDE, 3), np.uint8), qupath_objects(path), {})


def within(parent: dict[str, Any], child: Any, where: str) -> dict[str, Any]:
    """A feature with another inside, as one of the versions of QuPath writes it."""
    if where == "properties":
        return parent | {"properties": parent["properties"] | {"childObjects": [child]}}
    if where == "collection":
        return parent | {"childObjects": {"type": "FeatureCollection", "features": [child]}}
    return parent | {"childObjects": json.dumps([child]) if where == "text" else [child]}


@pytest.mark.parametrize(
    "document",
    [
        {"type": "FeatureCollection", "features": [FIRST, SECOND]},
        {"features": [FIRST, SECOND]},
        [FIRST, SECOND],
        [{"type": "FeatureCollection", "features": [FIRST]}, SECOND],
        [[FIRST], [SECOND]],
        f"{json.dumps(FIRST)}\n{json.dumps(SECOND)}\n",
        f"\x1e{json.dumps(FIRST)}\n\n\x1e{json.dumps(SECOND)}",
        json.dumps([FIRST, SECOND], indent=2),
        *(within(FIRST, SECOND, where) for where in ("feature", "properties", "collection", "text")),
        [within(feature((1, 1, 2, 2), None), within(FIRST, SECOND, "feature"), "properties")],
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_all_forms_that_qupath_writes_are_read(tmp_path: Path, here: Run, document: Any, packed: bool) -> None:  # noqa: F811
    folder = tmp_path / "my"
    image(folder / "a.png")
    text = (document if isinstance(document, str) else json.dumps(document)).encode()
    (folder / f"a.geojson{'.gz' if packed else ''}").write_bytes(gzip.compress(text, mtime=0) if packed else text)
    done = build(here, folder)
    assert done.code == 0, done.out
    assert boxes(folder) == BOTH and done.json["sources"][0]["objects"]["used"] == 2


def test_one_feature_alone_is_a_document(tmp_path: Path) -> None:
    got = read(tmp_path / "a.geojson", FIRST)
    assert set(got.masks) == {"unspecified-tissue-tumor"} and got.count is not None and got.count.read == 1


def test_a_bare_geometry_is_an_object_without_a_class(tmp_path: Path) -> None:
    got = read(tmp_path / "a.geojson", FIRST["geometry"])
    assert got.count is not None and [one.reason for one in got.count.passed] == ["has no class"]


def test_what_lies_within_an_object_that_cannot_be_used_is_read(tmp_path: Path) -> None:
    got = read(tmp_path / "a.geojson", [within(FIRST | {"geometry": None}, SECOND, "feature")])
    assert set(got.masks) == {"unspecified-tissue-stroma"} and got.count is not None
    assert told(got.count.passed) == [("feature 1 of a.geojson, class 'Tumor': has no geometry", 1)]
    # A tumour lies somewhere in the image: its absence is not known.
    assert got.complete == {"unspecified-tissue-stroma"}


def test_a_line_that_is_no_json_is_an_object_that_is_named(tmp_path: Path) -> None:
    got = read(tmp_path / "a.geojson", f"{json.dumps(FIRST)}\n{json.dumps(SECOND)[:-9]}\n{json.dumps(SECOND)}")
    assert got.count is not None and set(got.masks) == set(BOTH)
    assert told(got.count.passed) == [("feature 2 of a.geojson: is no JSON", 1)] and not got.complete


def test_a_file_that_is_too_long_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(documents, "MOST_BYTES", 1000)
    path = tmp_path / "a.geojson"
    path.write_bytes(gzip.compress(b" " * 2000, mtime=0))
    with pytest.raises(BadInput, match="holds more than 1,000 bytes"):
        qupath_objects(path)


@pytest.mark.parametrize("data", [b"\x1f\x8b", b"\x1f\x8bxxxxxxxxxxxx", gzip.compress(b"[]" * 99, mtime=0)[:-9]])
def test_damaged_gzip_is_told_in_a_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / "a.geojson").write_bytes(data)
    with pytest.raises(BadInput, match=r"a\.geojson cannot be read: .+") as error:
        qupath_objects(tmp_path / "a.geojson")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ([feature((-9, 5, 40, 40), TUMOR)], "reach beyond the image and are cut"),
        (
            [{**FIRST, "geometry": {"type": "Polygon", "coordinates": [[[9, 9], [60, 60], [60, 9], [9, 60]]]}}],
            "cross themselves and are filled by the even-odd rule",
        ),
        (
            [{**FIRST, "geometry": {"type": "Polygon", "coordinates": [ring(BOX), [[9, 9], [20, 20], [9, 9]]]}}],
            "cross themselves and are filled by the even-odd rule",
        ),
        ([FIRST | {"id": "x"}, SECOND | {"id": "x"}], "have the id of another object"),
        ([FIRST, feature((0, 0, 90, 90), TUMOR)], "lie wholly under later objects of their class"),
        ([SECOND, feature(BOX, {"name": "Ignore*"})], "mark pixels about which nothing is known"),
    ],
)
def test_what_is_used_but_not_as_it_was_drawn_is_said(tmp_path: Path, document: Any, said: str) -> None:
    got = read(tmp_path / "a.geojson", document)
    assert got.count is not None and not got.count.passed
    assert got.count.said == {said: 1} and len(got.count.used) == len(document)


def test_stars_are_left_out_by_qupath_and_counted(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "my"
    image(folder / "a.png")
    outlines(folder / "a.geojson", FIRST, feature(OTHER, {"name": "Region*"}))
    done = build(here, folder)
    (entry,) = done.json["sources"]
    assert done.code == 0 and "class 'Region*': is of a class that ends with '*'" in entry["remarks"][0]
    (folder / "labels.csv").write_text("class,label\nRegion*,breast-tissue-tumor\n")
    assert build(here, folder).code == 0 and boxes(folder)["breast-tissue-tumor"] == OTHER


def test_an_object_too_small_to_be_stored_is_named(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "my"
    image(folder / "a.png")
    outlines(folder / "a.geojson", FIRST, feature((80, 80, 86, 86), STROMA), feature((90, 90, 92, 92), TUMOR))
    done = build(here, folder)
    (entry,) = done.json["sources"]
    (line,) = entry["left_out"]
    assert (
        done.code == 1 and "a: feature 2 of a.geojson, class 'Stroma': is too small: of its class fewer than 50" in line
    )
    # The little tumour is kept, as part of the tumour's mask.
    assert entry["objects"]["used"] == 2


def test_the_table_for_people_counts_too(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "my"
    image(folder / "a.png")
    hostile = feature(OTHER, {"name": "breast-nuclei-\x1b[31m"})
    outlines(folder / "a.geojson", FIRST, SECOND, feature(BOX, None), hostile)
    done = here("data", "build", "--source", f"folder={folder}", "--mpp", 0.25, "--out", tmp_path / "out")
    words = " ".join(done.out.split())
    assert done.code == 1 and "objects ┃ used ┃ passed over" in words and "│ 4 │ 2 │ 2 │" in words
    assert "left out: folder-my: a: feature 4 of a.geojson, class 'breast-nuclei-?[31m': has a class with" in words
    assert "passed over or read otherwise: folder-my: a: feature 3 of a.geojson: has no class" in words
    assert "\x1b" not in done.out
    (entry,) = json.loads((tmp_path / "out" / "report.json").read_text())["sources"]
    assert entry["objects"]["reasons"] == {
        "has no class": 1,
        "has a class with characters in its name that cannot be shown": 1,
    }


anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from(["type", "geometry", "properties", "features", "coordinates", "childObjects", "name", "x"]),
            inner,
            max_size=4,
        )
    ),
    max_leaves=20,
)
features = st.recursive(
    st.builds(
        lambda box, kind, geometry, plane: feature(box, kind, plane=plane) | geometry,
        st.tuples(*[st.integers(-40, 170)] * 4),
        st.sampled_from(
            [TUMOR, STROMA, None, "Tumor", "Region*", "Ignore*", "{'name': 'Tumor'}", 5, {"name": "a-cell-"}]
        ),
        st.just({}) | st.fixed_dictionaries({"geometry": anything}),
        st.sampled_from([None, {"z": 0}, {"z": 1}]),
    ),
    lambda inner: st.builds(
        within,
        inner.filter(lambda f: isinstance(f, dict)),
        inner | anything.filter(lambda v: not grouped(v)),
        st.sampled_from(["feature", "properties", "collection"]),
    ),
    max_leaves=4,
)


def grouped(value: Any) -> bool:
    """Whether a value stands for several objects, or holds others in places that only the reader knows."""
    return isinstance(value, list | dict)


def count(value: dict[str, Any]) -> int:
    """How many objects a feature made by ``features`` is, with those inside."""
    inside = [value.get("childObjects"), value["properties"].get("childObjects")]
    lists = [i["features"] if isinstance(i, dict) else i for i in inside if i is not None]
    return 1 + sum(count(one) if isinstance(one, dict) else 1 for members in lists for one in members)


@settings(deadline=None)
@given(st.lists(features, max_size=6))
def test_every_object_is_used_or_passed_over(tmp_path_factory: Any, made: list[Any]) -> None:
    got = read(tmp_path_factory.mktemp("any") / "a.geojson", {"type": "FeatureCollection", "features": made})
    assert got.count is not None
    report = got.count.report()
    assert report["read"] == report["used"] + report["passed_over"] == sum(map(count, made))
    assert sum(report["reasons"].values()) == report["passed_over"]
    assert sum(times for _, times in told(got.count.passed)) == report["passed_over"]


@settings(deadline=None)
@given(anything)
def test_any_json_is_read_or_refused_in_a_line(tmp_path_factory: Any, document: Any) -> None:
    # A text document would be written as it is, not as JSON.
    document = [document] if isinstance(document, str) else document
    refused = not isinstance(document, dict | list) or (
        isinstance(document, dict) and not isinstance(document.get("features", []), list)
    )
    path = tmp_path_factory.mktemp("any") / "a.geojson"
    if refused:
        with pytest.raises(BadInput, match=r"^a\.geojson is no GeoJSON as QuPath writes it$"):
            read(path, document)
        return
    got = read(path, document)
    assert got.count is not None and all(isinstance(one, Passed) and one.reason for one in got.count.passed)
