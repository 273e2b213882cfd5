"""MIDOG++ on its genuine list of the neuroendocrine tumours, and on small pictures with lists like it."""

from __future__ import annotations

import gzip
import json
import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pathsegmentor.data.record import Item, Problem
from pathsegmentor.data.sources.midog import LABELS, SOURCE, TUMOR
from pathsegmentor.errors import BadInput

MITOTIC, OTHER = LABELS[1], LABELS[2]
RGB = np.random.default_rng(0).integers(0, 256, (120, 200, 3), dtype=np.uint8)
GENUINE = Path(__file__).parent / "midog" / "MIDOG++_neuroendocrine_subset.json.gz"


def listing() -> dict[str, Any]:
    """Two wanted images and one of another tumour, in the form of MIDOG++."""
    common = {"license": 1, "width": 200, "height": 120}
    return {
        "images": [
            {**common, "file_name": "350.tiff", "id": 350, "tumor_type": TUMOR},
            {**common, "file_name": "351.tiff", "id": 351, "tumor_type": TUMOR},
            {**common, "file_name": "001.tiff", "id": 1, "tumor_type": "human breast cancer"},
        ],
        "categories": [{"id": 1, "name": "mitotic figure"}, {"id": 2, "name": "not mitotic figure"}],
        "annotations": [
            {"bbox": [20, 30, 70, 80], "category_id": 1, "image_id": 350, "labels": [1, 1], "id": 1},
            {"bbox": [100.5, 40.0, 150.5, 90.0], "category_id": 2, "image_id": 350, "labels": [2, 1, 2], "id": 2},
            {"bbox": [60, 30, 110, 80], "category_id": 1, "image_id": 350, "id": 3},
            {"bbox": [-30, 90, 20, 140], "category_id": 2, "image_id": 350, "id": 4},
            {"bbox": [5, 5, 55, 55], "category_id": 1, "image_id": 1, "id": 5},
        ],
    }


def write(folder: Path, data: dict[str, Any], name: str = "MIDOG++.json") -> None:
    (folder / name).write_text(json.dumps(data))


@pytest.fixture
def download(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for name in ("350", "351", "001"):
        Image.fromarray(RGB).save(tmp_path / "images" / f"{name}.tiff")
    write(tmp_path, listing())
    return tmp_path


def found(folder: Path) -> list[Item]:
    return [item for item in SOURCE.items(folder) if isinstance(item, Item)]


def problems(folder: Path) -> list[str]:
    return [item.what for item in SOURCE.items(folder) if isinstance(item, Problem)]


def disc(x: float, y: float) -> np.ndarray:
    rows, columns = np.mgrid[:120, :200] + 0.5
    return np.hypot(rows - y, columns - x) <= 25


def test_the_genuine_list_has_55_images_639_figures_and_1761_others(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "MIDOG++.json").write_bytes(gzip.decompress(GENUINE.read_bytes()))
    for number in range(350, 405):
        (tmp_path / "images" / f"{number}.tiff").touch()
    items = found(tmp_path)
    assert [item.name for item in items] == [str(number) for number in range(350, 405)] and not problems(tmp_path)
    boxes = [box for item in items for box in json.loads(item.note)["boxes"]]
    assert [sum(kind == wanted for kind, _ in boxes) for wanted in (1, 2)] == [639, 1761]
    assert {(box[2] - box[0], box[3] - box[1]) for _, box in boxes} == {(50, 50)}
    assert {tuple(json.loads(item.note)["size"]) for item in items} == {(7215, 5412)}


def test_only_neuroendocrine_tumours_are_taken(download: Path) -> None:
    items = found(download)
    assert [item.name for item in items] == ["350", "351"] and not problems(download)
    assert all((item.factor, item.split, item.group) == (1.0, "", item.name) for item in items)


def test_figures_become_numbered_discs(download: Path) -> None:
    image = SOURCE.read(found(download)[0])
    first, second = disc(45, 55), disc(85, 55)
    assert (image.pixels == RGB).all() and set(image.masks) == {MITOTIC, OTHER}
    # Look-alikes are marked where somebody took them for one, not wherever a nucleus is no mitotic figure.
    assert image.complete == {MITOTIC}
    assert (image.masks[MITOTIC] == np.where(second, 2, first)).all()
    assert (image.masks[OTHER] == np.where(disc(-5, 115), 2, disc(125.5, 65))).all()
    assert first.sum() == pytest.approx(math.pi * 25**2, rel=0.01)
    assert image.ignore is None and first.any(axis=0).sum() == 50


def test_an_image_without_boxes_has_no_mitotic_figure(download: Path) -> None:
    image = SOURCE.read(found(download)[1])
    assert not any(mask.any() for mask in image.masks.values()) and image.complete == {MITOTIC}


def test_boxes_as_coco_has_them_are_recognised(download: Path) -> None:
    data = listing()
    expected = SOURCE.read(found(download)[0])
    for annotation in data["annotations"]:
        x, y, right, bottom = annotation["bbox"]
        annotation["bbox"] = [x, y, right - x, bottom - y]
    write(download, data)
    image = SOURCE.read(found(download)[0])
    assert all((image.masks[label] == expected.masks[label]).all() for label in expected.masks)


@pytest.mark.parametrize("words", ["hard negative", "non-mitotic figure", "Not mitotic figure", ""])
def test_kinds_go_by_their_words_then_by_their_numbers(download: Path, words: str) -> None:
    data = listing()
    data["categories"] = [{"id": 2, "name": words}, {"id": 1, "name": words and "mitotic figure"}]
    write(download, data)
    assert [kind for kind, _ in json.loads(found(download)[0].note)["boxes"]] == [1, 2, 1, 2]


def test_words_win_over_numbers(download: Path) -> None:
    data = listing()
    data["categories"] = [{"id": 1, "name": "hard negative"}, {"id": 2, "name": "mitotic figure"}]
    write(download, data)
    assert [kind for kind, _ in json.loads(found(download)[0].note)["boxes"]] == [2, 1, 2, 1]


def test_a_list_without_tumour_types_is_refused_unless_a_better_one_is_there(download: Path) -> None:
    data = listing()
    for image in data["images"]:
        del image["tumor_type"]
    write(download, data, "MIDOG.json")
    assert len(found(download)) == 2
    (download / "MIDOG++.json").unlink()
    with pytest.raises(BadInput, match=r"MIDOG\+\+\.json is needed"):
        found(download)


def test_missing_and_unlisted_images_are_problems(download: Path) -> None:
    (download / "images" / "351.tiff").rename(download / "images" / "352.tiff")
    assert [item.name for item in found(download)] == ["350"]
    missing, unlisted = problems(download)
    assert missing.startswith("351.tiff: listed, but not in") and unlisted == "352.tiff: image without annotation"


def test_a_missing_half_is_named(download: Path) -> None:
    (download / "images").rename(download / "elsewhere")
    with pytest.raises(BadInput, match="no annotated image; expected images/NNN"):
        found(download)
    (download / "MIDOG++.json").unlink()
    with pytest.raises(BadInput, match=r"no \.json file"):
        found(download)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (json.dumps(listing())[:-40], "damaged"),
        (json.dumps({**listing(), "annotations": [{"bbox": [0, 0, 50], "image_id": 1}]}), "damaged"),
        (json.dumps({**listing(), "annotations": [{"bbox": [0, 0, 50, 50]}]}), "lacks annotations: category_id"),
        (json.dumps({**listing(), "categories": [{"id": 1, "name": "apoptosis"}]}), "unknown category 'apoptosis'"),
        (json.dumps({**listing(), "categories": [{"id": 1, "name": "mitotic figure"}]}), "unknown class code 2"),
        (json.dumps(listing()).replace(TUMOR, "canine lymphoma"), "no image with tumor_type"),
        (json.dumps(listing()).replace("[20, 30, 70, 80]", "[20, 30, 700, 800]").replace("50.5, 90.0]", "99, 9]"), ""),
        (json.dumps(listing()).replace("350.tiff", "../350.tiff"), "leaves the folder"),
        ("[]", "damaged"),
    ],
)
def test_a_broken_list_is_refused_in_one_line(download: Path, text: str, words: str) -> None:
    (download / "MIDOG++.json").write_text(text)
    if not words:
        assert len(found(download)) == 2  # few odd boxes among many right ones change nothing
        return
    with pytest.raises(BadInput, match=words) as error:
        found(download)
    assert "\n" not in str(error.value)


def test_boxes_of_another_size_are_refused(download: Path) -> None:
    data = listing()
    for annotation in data["annotations"]:
        annotation["bbox"] = [0, 0, 64, 64]
    write(download, data)
    with pytest.raises(BadInput, match=r"neither \[x1, y1, x2, y2\] nor"):
        found(download)


def test_a_picture_of_another_size_or_cut_short_is_refused(download: Path) -> None:
    path = download / "images" / "350.tiff"
    Image.fromarray(RGB[:, 1:]).save(path)
    with pytest.raises(BadInput, match=r"image is 199 x 120 pixels, the list says \[200, 120\]"):
        SOURCE.read(found(download)[0])
    path.write_bytes(path.read_bytes()[:5000])
    with pytest.raises(BadInput, match="damaged"):
        SOURCE.read(found(download)[0])
