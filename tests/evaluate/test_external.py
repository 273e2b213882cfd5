"""Mapping files, and predictors that are asked through one."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest

from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.data.shards import Shards
from pathsegmentor.data.sources import source
from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.external import Mapped, MappedMaker, read_mapping
from pathsegmentor.evaluate.image import Context, rows_of_image
from pathsegmentor.evaluate.predictor import Asked, Predicted, WantsBoxes
from pathsegmentor.evaluate.settings import Settings
from pathsegmentor.imaging import Picture
from tests.evaluate.made import made_set

ROOT = Path(__file__).parents[2]
CONSEP = ROOT / "configs" / "external" / "consep.yaml"
ONE, TWO = "colon-nuclei-epithelial", "unspecified-cell-epithelial"
IMAGE = Picture(np.zeros((6, 8, 3), np.uint8), (0.5, 0.5), "an image")


class Stripes:
    """Knows two labels; the first is found on the left, the second at the top."""

    name, weights = "stripes", "none"

    def __init__(self, wants_boxes: WantsBoxes = "none", knows: tuple[str, ...] = (ONE, TWO)) -> None:
        self.wants_boxes = wants_boxes
        self.knows = knows
        self.asked: list[list[Asked]] = []

    def why_not(self, label: str, mpp: tuple[float, float]) -> str:
        return "" if label in self.knows else "unknown here"

    def answer(self, image: Picture, asked: list[Asked]) -> list[Predicted]:
        self.asked.append(list(asked))
        left, top = np.zeros((6, 8), bool), np.zeros((6, 8), bool)
        left[:, :2], top[:3] = True, True
        both = {ONE: Predicted(ONE, left, 0.2, "absent"), TWO: Predicted(TWO, top, 0.6, "unsure", 3)}
        return [both[one.label] for one in asked]


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "map.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def mapping(tmp_path: Path, **labels: list[str]) -> Path:
    lines = [f"  {name.replace('_', '-')}: [{', '.join(values)}]" for name, values in labels.items()]
    return written(tmp_path, "\n".join(["name: Far", "source: far", "labels:", *lines]))


def test_the_mapping_of_consep_is_the_papers() -> None:
    found = read_mapping(CONSEP)
    assert found.source == "consep" and set(found.labels) == set(source("consep").labels)
    types = {
        label.split("-", 2)[2]: {one.split("-", 2)[2] for one in internal} for label, internal in found.labels.items()
    }
    assert types == {
        "malignant epithelial": {"tumor epithelial tissue"},
        "healthy epithelial": {"epithelial"},
        "inflammatory": {"inflammatory"},
        "muscle": {"smooth muscle cells"},
        "fibroblast": {"fibroblast"},
        "endothelial": {"endothelial"},
    }


def test_the_union_of_internal_labels_answers(tmp_path: Path) -> None:
    found = read_mapping(
        mapping(tmp_path, far_cell_any=[ONE, TWO], far_cell_one=[ONE], far_cell_none=["breast-nuclei-fibroblast"])
    )
    stripes = Stripes()
    mapped = Mapped(stripes, found)
    assert mapped.name.startswith("stripes, Far mapped by ")
    union, one = mapped.answer(IMAGE, [Asked("far-cell-any"), Asked("far-cell-one")])
    assert union.label == "far-cell-any" and one.label == "far-cell-one"
    assert union.mask.sum() == 6 * 2 + 3 * 8 - 3 * 2 and one.mask.sum() == 12
    assert (union.presence, union.status, union.prompts) == (0.6, "unsure", 4)
    # One label that two external ones share is asked once, and the image looked at once.
    assert [[a.label for a in call] for call in stripes.asked] == [[ONE, TWO]]
    assert mapped.why_not("far-cell-none", (0.5, 0.5)) == "breast-nuclei-fibroblast: unknown here"
    assert "does not name" in mapped.why_not("far-cell-other", (0.5, 0.5))
    few = Mapped(Stripes(knows=(ONE,)), found)
    assert (
        few.why_not("far-cell-any", (0.5, 0.5)) == "" and few.answer(IMAGE, [Asked("far-cell-any")])[0].mask.sum() == 12
    )


def test_what_is_shown_by_boxes_is_shown_them_once(tmp_path: Path) -> None:
    stripes = Stripes("union")
    boxes = np.array([[0.0, 0, 2, 2]])
    got = Mapped(stripes, read_mapping(mapping(tmp_path, far_cell_any=[ONE, TWO]))).answer(
        IMAGE, [Asked("far-cell-any", boxes)]
    )
    assert got[0].label == "far-cell-any" and len(stripes.asked) == 1 and len(stripes.asked[0]) == 1
    np.testing.assert_array_equal(stripes.asked[0][0].boxes, boxes)


def test_a_maker_travels_and_is_told_apart_by_its_file(tmp_path: Path) -> None:
    maker = MappedMaker("filled-union", "cpu", read_mapping(mapping(tmp_path, far_cell_one=[ONE])))
    again = pickle.loads(pickle.dumps(maker))  # noqa: S301
    assert again == maker and hash(again) == hash(maker)
    assert again().name.startswith("filled-union, Far mapped by ")
    other = MappedMaker("filled-union", "cpu", read_mapping(mapping(tmp_path, far_cell_one=[TWO])))
    assert other != maker


def test_the_harness_scores_a_mapped_predictor(tmp_path: Path) -> None:
    data = made_set(tmp_path / "set", first=3, second=0)
    labels = mapping(
        tmp_path, colon_tissue_gland=["colon-nuclei-epithelial"], colon_nuclei_epithelial=["breast-nuclei-fibroblast"]
    )
    maker = MappedMaker("filled-union", "cpu", read_mapping(labels))
    shards = Shards(data)
    rows = rows_of_image(PathSeg(data).entries[0], maker(), Context(shards, (), tmp_path, Settings("test")))
    shards.close()
    assert {row.state for row in rows} == {"scored"} and all(row.dice > 0.5 for row in rows)


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("name: [", "cannot be read as YAML"),
        ("- a", "just the keys"),
        ("name: a\nsource: b", "just the keys"),
        ("name: 3\nsource: b\nlabels: {a-b-c: [x]}", "name is not a word"),
        ("name: a\nsource: b\nlabels: {}", "names no external label"),
        ("name: a\nsource: b\nlabels: {gland: [colon-tissue-gland]}", "'gland' is no label"),
        ("name: a\nsource: b\nlabels: {a-b-c: colon-tissue-gland}", "needs a list"),
        ("name: a\nsource: b\nlabels: {a-b-c: []}", "needs a list"),
        ("name: a\nsource: b\nlabels: {a-b-c: [colon-tissue-glandd]}", "colon-tissue-glandd, which is a label of no"),
        ("name: a\nsource: b\nlabels: {a-b-c: [colon-tissue-gland, Colon-Tissue-Gland]}", "gland twice"),
        (
            "name: a\nsource: b\nlabels: {a-b-c: [colon-tissue-gland], A-b-c: [colon-tissue-gland]}",
            "stands there twice",
        ),
    ],
)
def test_bad_mappings_are_refused(tmp_path: Path, text: str, what: str) -> None:
    with pytest.raises(BadInput, match=what):
        read_mapping(written(tmp_path, text))
    with pytest.raises(BadInput, match="cannot be read"):
        read_mapping(tmp_path / "missing.yaml")
