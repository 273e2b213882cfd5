"""A user's own folder in one command: every form, masks by another painter, and what goes wrong told in a line."""

from __future__ import annotations

import json
import unicodedata
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import shapely
from hypothesis import assume, given
from hypothesis import strategies as st
from PIL import Image
from skimage.draw import polygon2mask

from pathsegmentor.data.drawn import label_of
from pathsegmentor.data.manifest import Row, read_rows
from pathsegmentor.data.outlines import fill
from pathsegmentor.data.own import own_items, read_own
from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.data.qupath import qupath_objects
from pathsegmentor.data.record import Annotated, Item, Problem
from pathsegmentor.errors import BadInput
from tests.cli.conftest import Done, here  # noqa: F401
from tests.data.made import hashes, picture, save, table

Run = Callable[..., Done]
Points = Sequence[tuple[float, float]]
# Both sides divide 1024, so a stored mask repeats each pixel a whole number of times.
HEIGHT, WIDTH = 64, 128
LEAF = [(10.3, 5.2), (60.7, 9.1), (70.2, 40.6), (30.4, 55.8), (10.3, 5.2)]
HOLE = [(30.2, 15.3), (50.6, 18.4), (40.1, 35.7), (30.2, 15.3)]
SPOT = [(80.1, 3.2), (120.6, 4.3), (118.2, 20.7), (80.1, 3.2)]
FLAG = [(90.3, 40.2), (127.8, 42.1), (95.4, 62.9), (90.3, 40.2)]


def painted(*polygons: Sequence[Points]) -> np.ndarray:
    """(64, 128) pixels whose centre lies in one of the polygons with holes, by shapely."""
    shape = shapely.union_all([shapely.Polygon(outer, holes) for outer, *holes in polygons])
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    return np.asarray(shapely.contains_xy(shape, columns, rows))


def feature(name: str | None, *polygons: Sequence[Points], kind: str = "annotation", **more: Any) -> dict[str, Any]:
    """An object as QuPath 0.5 exports it."""
    one = len(polygons) == 1
    properties: dict[str, Any] = {"objectType": kind, "isLocked": False, "measurements": {"Area µm^2": 1.5}}
    if name is not None:
        properties["classification"] = {"name": name, "color": [200, 0, 0]}
    return {
        "type": "Feature",
        "id": "6f1c5c9e-1b1a-4f4e-9a52-7f1c2a3b4c5d",
        "geometry": {
            "type": "Polygon" if one else "MultiPolygon",
            "coordinates": polygons[0] if one else list(polygons),
        },
        "properties": properties,
        **more,
    }


def write(path: Path, document: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, ensure_ascii=False), encoding="utf-8", errors="surrogatepass")
    return path


def qupath(folder: Path, *features: dict[str, Any], name: str = "a", seed: int = 0, end: str = ".geojson") -> Path:
    """An image of its own for every name, and its outlines."""
    save(folder / f"{name}.png", picture(seed or zlib.crc32(f"{folder.name}/{name}".encode()), HEIGHT, WIDTH))
    return write(folder / f"{name}{end}", {"type": "FeatureCollection", "features": list(features)})


def add(here: Run, folder: Path, *more: object) -> Done:  # noqa: F811
    """The user's one command."""
    out = folder.parent / "pathseg"
    return here("data", "build", "--source", f"folder={folder}", "--mpp", 0.25, "--out", out, *more)


def stored(folder: Path, name: str = "a") -> dict[str, np.ndarray]:
    """Masks of one image (64, 128), after checking that each of their pixels was only repeated."""
    data = PathSeg(folder.parent / "pathseg")
    (entry,) = (entry for entry in data.entries if entry.first.origin == name)
    found = {}
    for label, mask in data.sample(entry).masks.items():
        small = np.asarray(mask)[:: 1024 // HEIGHT, :: 1024 // WIDTH]
        assert (small.repeat(1024 // HEIGHT, 0).repeat(1024 // WIDTH, 1) == mask).all()
        found[label] = small
    return found


def rows_of(folder: Path) -> list[Row]:
    return read_rows(folder.parent / "pathseg")


def read_one(folder: Path) -> Annotated:
    (item,) = (found for found in own_items(folder, 0.25) if isinstance(found, Item))
    return read_own(item)


def reasons(got: Annotated) -> dict[str, int]:
    assert got.count is not None
    return got.count.report()["reasons"]


def told(folder: Path) -> list[str]:
    return [found.what for found in own_items(folder, 0.25) if isinstance(found, Problem)]


def one_line(done: Done) -> str:
    assert len(done.err.strip().splitlines()) == 1 and done.out == "", (done.out, done.err)
    return done.err


@pytest.mark.parametrize("end", [".geojson", ".png.geojson"])
@pytest.mark.parametrize("bare", [False, True])
def test_qupath_areas_are_where_they_were_drawn(tmp_path: Path, here: Run, end: str, bare: bool) -> None:  # noqa: F811
    folder = tmp_path / "my images"
    features = [
        feature("Tumor", [LEAF, HOLE]),
        feature("Stroma", [SPOT], [FLAG], kind="detection"),
        feature(None, [LEAF]),
    ]
    path = qupath(folder, *features, end=end)
    if bare:
        write(path, features)
    before = hashes(folder)
    done = add(here, folder)
    assert done.code == 0, (done.out, done.err)
    masks = stored(folder)
    assert set(masks) == {"unspecified-tissue-tumor", "unspecified-tissue-stroma"}
    assert ((masks["unspecified-tissue-tumor"] > 0) == painted([LEAF, HOLE])).all()
    assert ((masks["unspecified-tissue-stroma"] > 0) == painted([SPOT], [FLAG])).all()
    assert {row.source for row in rows_of(folder)} == {"folder-my_images"} and hashes(folder) == before
    assert {row.factor_to_40x for row in rows_of(folder)} == {1.0}


def test_a_hole_is_no_object_and_objects_are_numbered(tmp_path: Path) -> None:
    qupath(tmp_path, feature("Tumor", [LEAF, HOLE]), feature("Tumor", [SPOT]), feature("Tumor", [FLAG]))
    mask = read_one(tmp_path).masks["unspecified-tissue-tumor"]
    for number, rings in enumerate(([LEAF, HOLE], [SPOT], [FLAG]), start=1):
        assert ((mask == number) == painted(rings)).all()


@pytest.mark.parametrize(
    ("classification", "label"),
    [
        ({"name": "Tumor", "color": [200, 0, 0]}, "unspecified-tissue-tumor"),
        ({"name": "Tumor"}, "unspecified-tissue-tumor"),
        ({"name": "Tumor", "colorRGB": -3670016}, "unspecified-tissue-tumor"),
        ("Tumor", "unspecified-tissue-tumor"),
        ({"names": ["Tumor", "Positive"], "color": [1, 2, 3]}, "unspecified-tissue-tumor: positive"),
        ({"name": "Breast-Nuclei-Neoplastic"}, "breast-nuclei-neoplastic"),
        ({"name": "  Immune   cells "}, "unspecified-tissue-immune cells"),
        ({"name": "Drüse ß"}, "unspecified-tissue-drüse ß"),
        ({"name": unicodedata.normalize("NFD", "Drüse")}, "unspecified-tissue-drüse"),
        ({"name": "腺管"}, "unspecified-tissue-腺管"),
        ({"name": "low-grade"}, "unspecified-tissue-low-grade"),
        ({"name": ""}, None),
        ({"name": " "}, None),
        (None, None),
    ],
)
def test_class_names_become_labels(tmp_path: Path, classification: object, label: str | None) -> None:
    made = feature(None, [LEAF])
    made["properties"]["classification"] = classification
    qupath(tmp_path, made, feature("Other", [FLAG]))
    assert set(read_one(tmp_path).masks) == {"unspecified-tissue-other", label} - {None}


def test_names_of_any_script_reach_the_manifest(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "Präparate 腺"
    qupath(folder, feature("Drüse/Gang", [LEAF]), name="Bild ä 1")
    assert add(here, folder).code == 0
    assert [row.label for row in rows_of(folder)] == ["unspecified-tissue-drüse/gang"]
    assert ((stored(folder, "Bild ä 1")["unspecified-tissue-drüse/gang"] > 0) == painted([LEAF])).all()


def test_labels_csv_names_classes_whatever_their_case(tmp_path: Path) -> None:
    qupath(tmp_path, feature("TUMOR", [LEAF]), feature("Drüse", [FLAG]))
    rows = [["tumor ", "Breast-Tissue-Tumor"], ["drüse", "breast-tissue-normal acinus or duct"]]
    table(tmp_path / "labels.csv", ["class", "label"], [*rows, ["necrosis", "breast-tissue-necrosis"]])
    got = read_one(tmp_path)
    assert (got.masks["breast-tissue-tumor"] > 0).sum() == painted([LEAF]).sum()
    assert set(got.masks) == {"breast-tissue-tumor", "breast-tissue-normal acinus or duct"}
    # What the table names was looked for, so its absence is known.
    assert got.complete == {*got.masks, "breast-tissue-necrosis"}


@pytest.mark.parametrize(
    ("rows", "expected"),
    [
        ([["Tumor", "tumor"]], "labels.csv line 2: 'tumor' is no label; expected region-structure-object type"),
        ([["Tumor", ""]], "labels.csv line 2: '' is no label"),
        ([["a", "x-tissue-y"], ["A", "x-tissue-z"]], "labels.csv line 3: class 'A' has another label above"),
    ],
)
def test_a_wrong_labels_csv_is_told_by_its_line(
    tmp_path: Path,
    here: Run,  # noqa: F811
    rows: list[list[str]],
    expected: str,
) -> None:
    folder = tmp_path / "own"
    qupath(folder, feature("Tumor", [LEAF]))
    table(folder / "labels.csv", ["class", "label"], rows)
    done = add(here, folder)
    assert done.code == 2 and expected in one_line(done)


def test_only_areas_with_a_class_count(tmp_path: Path) -> None:
    point = {"type": "Point", "coordinates": [5, 5]}
    line = {"type": "LineString", "coordinates": [[5, 5], [9, 9]]}
    mixed = {"type": "GeometryCollection", "geometries": [point, {"type": "Polygon", "coordinates": [FLAG]}]}
    both = {"geometry": {"type": "Polygon", "coordinates": [LEAF]}}
    cell = feature("Cell", [SPOT], kind="cell") | both | {"nucleusGeometry": {"type": "Polygon", "coordinates": [HOLE]}}
    qupath(
        tmp_path,
        cell,
        feature("Cell", [FLAG]) | {"geometry": point},
        feature("Axis", [FLAG]) | {"geometry": line},
        feature("Mixed", [FLAG]) | {"geometry": mixed},
        feature("Empty", []),
        feature(None, [FLAG]) | {"properties": None},
    )
    got = read_one(tmp_path)
    assert set(got.masks) == {"unspecified-tissue-cell", "unspecified-tissue-mixed"}
    # A cell that is only a point lies somewhere, so that where cells are absent is not known.
    assert got.complete == {"unspecified-tissue-mixed"}
    assert reasons(got) == {"has no area, being Point": 1, "has no area, being LineString": 1, "has no class": 1} | {
        "has an empty outline": 1
    }
    # The nucleus in a cell belongs to the cell.
    assert ((got.masks["unspecified-tissue-cell"] > 0) == painted([LEAF])).all()
    assert ((got.masks["unspecified-tissue-mixed"] > 0) == painted([FLAG])).all()


def test_what_qupath_ignores_is_unknown_and_its_regions_are_no_label(tmp_path: Path) -> None:
    qupath(tmp_path, feature("Tumor", [LEAF]), feature("Ignore*", [FLAG]), feature("Region*", [SPOT]))
    got = read_one(tmp_path)
    assert set(got.masks) == {"unspecified-tissue-tumor"}
    assert got.ignore is not None and (got.ignore == painted([FLAG])).all()


def test_objects_are_cut_at_the_border_and_those_outside_change_nothing(tmp_path: Path) -> None:
    over = [(-30.2, -9.7), (40.3, -20.4), (200.6, 300.1), (-30.2, -9.7)]
    far = [(1e9, 1e9), (2e9, 1e9), (2e9, 3e9)]
    qupath(tmp_path, feature("Tumor", [over]), feature("Tumor", [far]))
    assert ((read_one(tmp_path).masks["unspecified-tissue-tumor"] == 1) == painted([over])).all()


UNREADABLE: list[tuple[Any, str]] = [
    ('{"type": "FeatureCollection", "features": [{"ty', "no readable JSON"),
    ("", "no readable JSON"),
    ("[" * 100_000, "no readable JSON"),
    ('"text"', "no GeoJSON as QuPath writes it"),
    ({"features": {"a": 1}}, "no GeoJSON as QuPath writes it"),
    ([feature("a/b", [LEAF]), feature("a:b", [FLAG])], "classes differ only in signs that file names lack"),
]


def test_broken_annotations_are_named_and_the_rest_is_built(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "own"
    qupath(folder, feature("Tumor", [LEAF]), name="good")
    for number, (document, _) in enumerate(UNREADABLE):
        path = qupath(folder, name=f"bad{number:02d}")
        if isinstance(document, str):
            path.write_text(document)
        else:
            write(path, document)
    done = add(here, folder, "--json")
    assert done.code == 1 and done.err == ""
    (entry,) = done.json["sources"]
    assert not entry["problems"] and len(entry["left_out"]) == len(UNREADABLE)
    for number, (line, (_, expected)) in enumerate(zip(sorted(entry["left_out"]), UNREADABLE, strict=True)):
        assert line.startswith(f"bad{number:02d}: ") and expected in line and "\n" not in line
    assert [row.origin for row in rows_of(folder)] == ["good"]
    # The two of the last one are read, though their classes cannot both be stored.
    assert (entry["objects"]["read"], entry["objects"]["used"]) == (3, 1)


corners = st.lists(
    st.tuples(st.integers(-200, 1500), st.integers(-200, 850)).map(lambda p: (p[0] / 10 + 0.031, p[1] / 10 + 0.017)),
    min_size=3,
    max_size=9,
)


@given(st.lists(corners, min_size=1, max_size=3))
def test_any_outlines_are_filled_by_the_even_odd_rule(rings: list[Points]) -> None:
    expected = np.zeros((HEIGHT, WIDTH), bool)
    edge = np.zeros((HEIGHT, WIDTH), bool)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    for ring in rings:
        # scikit-image asks whether whole positions (row, column) lie inside.
        expected ^= polygon2mask((HEIGHT, WIDTH), np.array(ring)[:, ::-1] - 0.5)
        edge |= shapely.dwithin(shapely.LinearRing(ring), shapely.points(columns, rows), 1e-6)
    found = fill([np.array(ring) for ring in rings], HEIGHT, WIDTH)
    assert (found == expected)[~edge].all()


@given(corners, corners)
def test_any_valid_area_of_a_geojson_is_that_of_shapely(tmp_path_factory: Any, outer: Points, hole: Points) -> None:
    shape = shapely.make_valid(shapely.Polygon(outer)).difference(shapely.make_valid(shapely.Polygon(hole)))
    parts = [part for part in shapely.get_parts(shape) if part.geom_type == "Polygon" and part.area > 1]
    whole = shapely.MultiPolygon(parts)
    assume(parts and whole.is_valid)
    path = tmp_path_factory.mktemp("area") / "a.geojson"
    made = feature("Tumor", [LEAF]) | {"geometry": json.loads(shapely.to_geojson(whole))}
    (drawn,) = qupath_objects(write(path, [made]))
    mask = np.zeros((HEIGHT, WIDTH), np.int32)
    drawn.paint(mask, 7)
    rows, columns = np.mgrid[:HEIGHT, :WIDTH] + 0.5
    edge = shapely.dwithin(whole.boundary, shapely.points(columns, rows), 1e-6)
    assert ((mask == 7) == shapely.contains_xy(whole, columns, rows))[~edge].all()


def test_images_in_subfolders_keep_their_own_annotation(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "own"
    qupath(folder / "case 1", feature("Tumor", [LEAF]), seed=1)
    qupath(folder / "case 2", feature("Tumor", [FLAG]), seed=2)
    save(folder / "case 3" / "b.png", picture(3, HEIGHT, WIDTH))
    write(folder / "annotations" / "b.geojson", [feature("Tumor", [SPOT])])
    # Hidden folders, as programs make them, are nobody's images.
    save(folder / ".thumbnails" / "a.png", picture(4, HEIGHT, WIDTH))
    table(folder / "images.csv", ["image", "patient"], [["case 1/a.png", "p1"], ["case 2/a", "p2"], ["b", "p3"]])
    done = add(here, folder)
    assert done.code == 0, (done.out, done.err)
    label = "unspecified-tissue-tumor"
    for name, shape in (("case 1/a", LEAF), ("case 2/a", FLAG), ("case 3/b", SPOT)):
        assert ((stored(folder, name)[label] > 0) == painted([shape])).all()
    assert [(row.origin, row.patient) for row in sorted(rows_of(folder), key=lambda row: row.origin)] == [
        ("case 1/a", "p1"),
        ("case 2/a", "p2"),
        ("case 3/b", "p3"),
    ]


def test_an_annotation_is_never_given_to_another_image(tmp_path: Path) -> None:
    qupath(tmp_path / "1", feature("Tumor", [LEAF]))
    save(tmp_path / "2" / "a.png", picture(2, HEIGHT, WIDTH))
    for place in ("3", "4"):
        save(tmp_path / place / "b.png", picture(3, HEIGHT, WIDTH))
    qupath(tmp_path / "5", feature("Tumor", [LEAF]), name="c")
    for name in ("b.geojson", "d.geojson", "5/c.png.geojson"):
        write(tmp_path / name, [feature("Tumor", [LEAF])])
    items = [found for found in own_items(tmp_path, 0.25) if isinstance(found, Item)]
    assert [item.name for item in items] == ["1/a"]
    assert told(tmp_path) == [
        "2/a.png: image without .geojson",
        "3/b.png: b.geojson may be that of another image too",
        "4/b.png: b.geojson may be that of another image too",
        "5/c.png: either of 5/c.geojson and 5/c.png.geojson may be its annotation",
        "d.geojson: annotation without image",
    ]


def test_two_formats_of_one_name_are_two_images(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "own"
    qupath(folder, feature("Tumor", [LEAF]), end=".png.geojson")
    save(folder / "a.tif", picture(2, HEIGHT, WIDTH))
    write(folder / "a.tif.geojson", [feature("Tumor", [FLAG])])
    assert add(here, folder).code == 0
    for name, shape in (("a", LEAF), ("a.tif", FLAG)):
        assert ((stored(folder, name)["unspecified-tissue-tumor"] > 0) == painted([shape])).all()


def test_another_folder_of_the_same_name_does_not_replace_the_first(tmp_path: Path, here: Run) -> None:  # noqa: F811
    for place in ("one", "two"):
        qupath(tmp_path / place / "slides", feature("Tumor", [LEAF]))
    out = ("--mpp", 0.25, "--out", tmp_path / "pathseg")
    assert here("data", "build", "--source", f"folder={tmp_path / 'one' / 'slides'}", *out).code == 0
    refused = here("data", "build", "--source", f"folder={tmp_path / 'two' / 'slides'}", *out)
    assert refused.code == 2 and "folder-slides" in refused.err and "rename" in refused.err
    (tmp_path / "one").rename(tmp_path / "moved")
    assert here("data", "build", "--source", f"folder={tmp_path / 'moved' / 'slides'}", *out).code == 0


def test_scales_come_from_the_table_the_file_or_the_option(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "own"
    for name in ("file", "given", "table"):
        qupath(folder, feature("Tumor", [LEAF]), name=name)
    # 50,800 dots per inch are 0.5 um per pixel.
    Image.fromarray(picture(2, HEIGHT, WIDTH)).save(folder / "file.png", dpi=(50_800, 50_800))
    table(folder / "images.csv", ["image", "mpp"], [["table.png", "1.0"], ["file.png", ""]])
    assert add(here, folder).code == 0
    found = {row.origin: (row.factor_to_40x, row.mpp[0] * 1024 / WIDTH) for row in rows_of(folder)}
    assert found["table"] == (4.0, 1.0) and found["given"] == (1.0, 0.25)
    assert found["file"] == pytest.approx((2.0, 0.5), rel=1e-4)


def test_without_any_scale_it_is_asked_for(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder, out = tmp_path / "own", tmp_path / "pathseg"
    qupath(folder, feature("Tumor", [LEAF]))
    done = here("data", "build", "--source", f"folder={folder}", "--out", out)
    assert done.code == 2 and "a.png: the file does not say its scale; add --mpp" in one_line(done)
    table(folder / "images.csv", ["image", "mpp"], [["a.png", "fine"]])
    assert told(folder)[0] == "images.csv: mpp 'fine' of a.png is no scale in um per pixel"


def test_images_csv_tells_splits_and_what_it_names_must_be_there(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "own"
    for name in ("a", "b"):
        qupath(folder, feature("Tumor", [LEAF]), name=name)
    rows = [["a", "test", "p1"], ["b.png", "val", "p2"], ["c.png", "test", ""]]
    table(folder / "images.csv", ["image", "split", "patient"], rows)
    done = add(here, folder)
    assert done.code == 1 and "images.csv: no annotated image 'c.png'" in done.out
    assert {row.origin: (row.split, row.patient) for row in rows_of(folder)} == {
        "a": ("test", "p1"),
        "b": ("train", "p2"),
    }
    table(folder / "images.csv", ["image", "split"], [["a", "maybe"]])
    done = add(here, folder)
    assert done.code == 2 and "images.csv: split 'maybe' is none of train, val and test" in one_line(done)


@pytest.mark.parametrize("there", [(), ("a.png",), ("a.geojson",), ("notes.txt",), ("masks/a.png", "labels.csv")])
def test_a_folder_without_pairs_is_refused_with_all_forms(
    tmp_path: Path,
    here: Run,  # noqa: F811
    there: tuple[str, ...],
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    for name in there:
        if name.endswith(".png"):
            save(folder / name, picture(1, HEIGHT, WIDTH))
        else:
            (folder / name).write_text("class,label\n1,x-tissue-y\n" if name.endswith("csv") else "[]")
    done = add(here, folder)
    said = one_line(done)
    assert done.code == 2 and str(folder) in said and "labels.csv (class,label)" in said
    assert not (tmp_path / "pathseg" / "manifest.parquet").exists()


def test_truncated_images_are_named_in_every_form(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    qupath(tmp_path, feature("Tumor", [LEAF]))
    table(tmp_path / "images.csv", ["image", "mpp"], [["a.png", "0.25"]])
    path.write_bytes(path.read_bytes()[:-300])
    with pytest.raises(BadInput, match=r"a\.png is damaged"):
        read_one(tmp_path)
    (tmp_path / "images.csv").unlink()
    with pytest.raises(BadInput, match=r"a\.png is damaged"):
        read_one(tmp_path)
    path.write_bytes(path.read_bytes()[:20])
    assert len(told(tmp_path)) == 1 and "a.png is damaged" in told(tmp_path)[0]


def coco(folder: Path, *annotations: dict[str, Any], name: str = "instances.json", **change: Any) -> Path:
    """One image and a file in the form of COCO; polygons are flat lists."""
    save(folder / "images" / "a.png", picture(1, HEIGHT, WIDTH))
    document = {
        "info": {},
        "images": [{"id": 7, "file_name": "a.png", "width": WIDTH, "height": HEIGHT}],
        "categories": [{"id": 1, "name": "Tumor"}, {"id": 5, "name": "breast-nuclei-neoplastic"}],
        "annotations": [{"id": n, "image_id": 7, "iscrowd": 0} | a for n, a in enumerate(annotations, start=1)],
    }
    return write(folder / name, document | change)


def flat(points: Points) -> list[float]:
    return [value for point in points for value in point]


def test_coco_polygons_of_several_categories(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "own"
    shifted = [(x + 8, y + 3) for x, y in LEAF]
    coco(
        folder,
        {"category_id": 1, "segmentation": [flat(LEAF), flat(shifted)]},
        {"category_id": 5, "segmentation": [flat(SPOT)]},
        {"category_id": 5, "segmentation": [flat(HOLE)], "image_id": 8},
        name="annotations/instances_train.json",
        images=[
            {"id": 8, "file_name": "deep/b.png"},
            {"id": 7, "file_name": "a.png", "width": WIDTH, "height": HEIGHT},
        ],
    )
    save(folder / "images" / "deep" / "b.png", picture(2, HEIGHT, WIDTH))
    done = add(here, folder)
    assert done.code == 0, (done.out, done.err)
    masks = stored(folder, "images/a")
    assert set(masks) == {"unspecified-tissue-tumor", "breast-nuclei-neoplastic"}
    # Parts of one object add up where they overlap: COCO knows no holes.
    assert ((masks["unspecified-tissue-tumor"] > 0) == painted([LEAF], [shifted])).all()
    assert ((masks["breast-nuclei-neoplastic"] > 0) == painted([SPOT])).all()
    assert ((stored(folder, "images/deep/b")["breast-nuclei-neoplastic"] > 0) == painted([HOLE])).all()


def test_about_a_coco_crowd_nothing_is_known(tmp_path: Path) -> None:
    crowd = {"category_id": 1, "segmentation": [flat(FLAG)], "iscrowd": 1}
    coco(tmp_path, crowd, {"category_id": 1, "segmentation": [flat(LEAF)]})
    got = read_one(tmp_path)
    assert ((got.masks["unspecified-tissue-tumor"] > 0) == painted([LEAF])).all()
    assert got.ignore is not None and (got.ignore == painted([FLAG])).all()


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ({"segmentation": {"counts": [5, 9], "size": [64, 128]}}, "whose runs do not fill its size"),
        ({"segmentation": {"counts": "12", "size": [64, 128]}}, "whose runs do not fill its size"),
        ({"segmentation": {"counts": "abc", "size": [64, 128]}}, "(RLE) that is damaged"),
        ({"segmentation": {"counts": "\n", "size": [64, 128]}}, "(RLE) that is damaged"),
        ({"segmentation": {"counts": "o", "size": [64, 128]}}, "(RLE) that is damaged"),
        ({"segmentation": {"counts": [-1, 8193], "size": [64, 128]}}, "(RLE) that is damaged"),
        ({"segmentation": {"counts": [True], "size": [1, 1]}}, "(RLE) that is damaged"),
        ({"segmentation": {"counts": [1], "size": 1}}, "(RLE) that is damaged"),
        ({"segmentation": {"counts": [0, 10**18], "size": [10**9, 10**9]}}, "not of its image's size"),
        ({"segmentation": {}}, "(RLE) that is damaged"),
        ({"bbox": [1, 2, 3, 4]}, "has no polygon, only a box"),
        ({"segmentation": [], "bbox": [1, 2, 3, 4]}, "has no polygon, only a box"),
        ({"segmentation": [flat(LEAF)], "category_id": 9}, "unknown category 9; known: 1, 5"),
        ({"segmentation": [flat(LEAF)], "category_id": [1]}, "unknown category [1]; known: 1, 5"),
        ({"segmentation": [[1, 2, 3, 4, 5]]}, "at least three finite"),
        ({"segmentation": [[1, 2, 3, 4]]}, "at least three finite"),
        ({"segmentation": [[[1, 2], None]]}, "at least three finite"),
        ({"segmentation": ["text"]}, "at least three finite"),
    ],
)
def test_a_coco_object_that_cannot_be_used_is_named_and_the_rest_is_read(
    tmp_path: Path, annotation: dict[str, Any], expected: str
) -> None:
    coco(tmp_path, {"category_id": 1} | annotation, {"category_id": 5, "segmentation": [flat(FLAG)]})
    got = read_one(tmp_path)
    assert set(got.masks) == {"breast-nuclei-neoplastic"} and got.count is not None
    (passed,) = got.count.passed
    assert (passed.place.file, passed.place.which) == ("instances.json", "annotation 1")
    assert expected in passed.reason and passed.lost


def test_objects_of_a_coco_file_that_knows_another_size_of_the_image_are_passed_over(tmp_path: Path) -> None:
    image = {"id": 7, "file_name": "a.png", "width": 2 * WIDTH, "height": 2 * HEIGHT}
    coco(tmp_path, {"category_id": 1, "segmentation": [flat(LEAF)]}, images=[image])
    got = read_one(tmp_path)
    assert not got.masks and not got.complete
    assert list(reasons(got)) == ["is drawn on 256 x 128 pixels, but the image is 128 x 64 pixels"]


def test_all_coco_files_are_read_and_what_lacks_is_told(tmp_path: Path) -> None:
    coco(tmp_path, {"category_id": 1, "segmentation": [flat(LEAF)]}, name="annotations/train.json")
    lists = [{"id": 7, "file_name": "b.png"}, {"id": 8, "file_name": "gone.png"}]
    coco(tmp_path, {"category_id": 1, "segmentation": [flat(FLAG)]}, name="annotations/val.json", images=lists)
    for name in ("b", "more"):
        save(tmp_path / "images" / f"{name}.png", picture(2, HEIGHT, WIDTH))
    items = [found for found in own_items(tmp_path, 0.25) if isinstance(found, Item)]
    for item, shape in zip(items, (LEAF, FLAG), strict=True):
        assert ((read_own(item).masks["unspecified-tissue-tumor"] > 0) == painted([shape])).all()
    assert told(tmp_path) == ["val.json: gone.png is missing", "images/more.png: image in no COCO file"]


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ({"images": [{"id": 7}]}, "image number 1 has no id or no file_name"),
        ({"images": [3]}, "image number 1 has no id or no file_name"),
        ({"images": None}, "is damaged or no COCO file: it has no list of images"),
        ({"annotations": None}, "is damaged or no COCO file: it has no list of annotations"),
        ({"categories": 1}, "is damaged or no COCO file: it has no list of categories"),
    ],
)
def test_a_coco_file_that_names_no_image_is_refused_in_one_line(
    tmp_path: Path,
    here: Run,  # noqa: F811
    change: dict[str, Any],
    expected: str,
) -> None:
    folder = tmp_path / "own"
    coco(folder, **change)
    done = add(here, folder)
    assert done.code == 2 and f"instances.json{'' if 'is damaged' in expected else ':'} {expected}" in one_line(done)
    path = folder / "instances.json"
    path.write_text(path.read_text()[:60])
    done = add(here, folder)
    assert done.code == 2 and "instances.json is no readable JSON" in one_line(done)


@pytest.mark.parametrize(
    "name",
    [
        "../secret.png",
        "{absolute}/secret.png",
        "images/../../secret.png",
        "..\\secret.png",
        "../own2/a.png",
        "images/../../own/../secret.png",
        "a\0",
        "\ud800",
        "x" * 5000,
    ],
)
def test_no_name_in_a_coco_file_leads_outside(tmp_path: Path, here: Run, name: str) -> None:  # noqa: F811
    save(tmp_path / "secret.png", picture(9, HEIGHT, WIDTH))
    save(tmp_path / "own2" / "a.png", picture(9, HEIGHT, WIDTH))
    folder = tmp_path / "own"
    image = {"id": 7, "file_name": name.replace("{absolute}", str(tmp_path))}
    coco(folder, {"category_id": 1, "segmentation": [flat(LEAF)]}, images=[image])
    before = hashes(tmp_path)
    done = add(here, folder)
    assert done.code == 2
    assert ("leaves the folder" if "secret" in name or "own2" in name else "is missing") in one_line(done)
    after = {name: value for name, value in hashes(tmp_path).items() if not name.startswith("pathseg/")}
    assert after == before


def test_an_absolute_path_into_the_folder_is_fine(
    tmp_path: Path,
    here: Run,  # noqa: F811
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    image = {"id": 7, "file_name": str(tmp_path / "own" / "images" / "a.png")}
    coco(tmp_path / "own", {"category_id": 1, "segmentation": [flat(LEAF)]}, images=[image])
    monkeypatch.chdir(tmp_path)
    assert add(here, Path("own")).code == 0
    assert [row.origin for row in rows_of(tmp_path / "own")] == ["images/a"]


def masks_folder(folder: Path, mask: np.ndarray, rows: Sequence[Sequence[object]], place: str = "a") -> None:
    save(folder / "images" / f"{place}.png", picture(zlib.crc32(place.encode()), HEIGHT, WIDTH))
    save(folder / "masks" / f"{place}.png", mask)
    table(folder / "labels.csv", ["class", "label"], rows)


CODES = painted([LEAF, HOLE]) * np.uint8(1) + painted([SPOT]) * np.uint8(2) + painted([FLAG]) * np.uint8(30)
MEANING = [[1, "breast-tissue-tumor"], [2, "breast-tissue-stroma"], [30, "breast-tissue-tumor"]]


@pytest.mark.parametrize("place", ["a", "case 1/a"])
@pytest.mark.parametrize("as_palette", [False, True])
def test_masks_with_a_table_of_codes(tmp_path: Path, here: Run, place: str, as_palette: bool) -> None:  # noqa: F811
    folder = tmp_path / "own"
    masks_folder(folder, CODES, MEANING, place)
    if as_palette:
        image = Image.fromarray(CODES)
        image.putpalette(list(range(256)) * 3)
        image.save(folder / "masks" / f"{place}.png")
    assert add(here, folder).code == 0
    masks = stored(folder, f"images/{place}")
    assert set(masks) == {"breast-tissue-tumor", "breast-tissue-stroma"}
    # Two codes may mean one label.
    assert ((masks["breast-tissue-tumor"] > 0) == painted([LEAF, HOLE], [FLAG])).all()
    assert ((masks["breast-tissue-stroma"] > 0) == painted([SPOT])).all()


def test_bad_masks_are_named_and_the_rest_is_built(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = tmp_path / "own"
    for place, mask in {"good": CODES, "code": CODES + 1, "size": CODES[1:], "cut": CODES, "alone": CODES}.items():
        masks_folder(folder, mask, MEANING, place)
    (folder / "masks" / "alone.png").rename(folder / "masks" / "other.png")
    path = folder / "masks" / "cut.png"
    path.write_bytes(path.read_bytes()[:60])
    done = add(here, folder, "--json")
    assert done.code == 1
    (entry,) = done.json["sources"]
    assert entry["problems"] == ["alone.png: image without mask", "other.png: mask without image"]
    code, cut, size = sorted(entry["left_out"])
    assert "images/code: unknown class code 3, 31; known: 0, 1, 2, 30" in code and "damaged" in cut
    assert "image is 128 x 64, mask 128 x 63 pixels" in size
    assert {row.origin for row in rows_of(folder)} == {"images/good"}


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("no table", "has masks/ but no labels.csv"),
        ("no images", "images is missing; expected or images/ and masks/"),
        ("words", "labels.csv: classes of masks are numbers"),
        ("columns", "labels.csv has no column class, label; it has code;label"),
    ],
)
def test_half_a_folder_with_masks_is_told(tmp_path: Path, here: Run, change: str, expected: str) -> None:  # noqa: F811
    folder = tmp_path / "own"
    masks_folder(folder, CODES, MEANING)
    if change == "no table":
        (folder / "labels.csv").unlink()
    elif change == "no images":
        (folder / "images").rename(folder / "pictures")
    elif change == "words":
        table(folder / "labels.csv", ["class", "label"], [["one", "breast-tissue-tumor"]])
    else:
        (folder / "labels.csv").write_text("code;label\n1;breast-tissue-tumor\n")
    done = add(here, folder)
    assert done.code in (1, 2) and expected in done.err + done.out


@given(st.text(st.characters(), max_size=30))
def test_every_class_name_becomes_a_label_or_is_refused(name: str) -> None:
    try:
        label = label_of(name, {})
    except BadInput:
        assert not name.strip() or "-" in name or not " ".join(name.lower().split()).isprintable()
        return
    assert label == label.lower() and label_of(label, {}) == label_of(f" {name}\n", {}) == label
