"""The tables count what is there, beside the paper's numbers, which follow from sources and vocabulary."""

from __future__ import annotations

from typing import Any

import pytest

from pathsegmentor.data.manifest import MANIFEST, Row, write_rows
from pathsegmentor.data.stats import paper_totals, stats

# Image, source, split, label.
TRIPLES = [
    ("1", "glas", "train", "colon-tissue-gland"),
    ("1", "glas", "train", "colon-tissue-benign gland"),
    ("2", "glas", "test", "colon-tissue-gland"),
    ("3", "conic2022", "train", "colon-nuclei-epithelial"),
    ("3", "conic2022", "train", "colon-nuclei-neutrophil"),
    ("4", "mine", "train", "brain-nuclei-neutrophil"),
]


@pytest.fixture(scope="module")
def counted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("stats")
    common = {
        "mask": "m",
        "ignore": "",
        "patient": "",
        "slide": "",
        "mpp": (0.25, 0.25),
        "factor_to_40x": 1.0,
        "height": 1024,
        "width": 1024,
        "mask_pixels": 60,
        "instances": None,
        "annotated": (),
        "origin": "o",
        "x": 0,
        "y": 0,
        "window_width": 1024,
        "window_height": 1024,
        "licence": "CC0",
        "sha256": "s",
    }
    rows = [
        Row(id=str(i), image=image, source=source, split=split, label=label, **common)
        for i, (image, source, split, label) in enumerate(TRIPLES)
    ]
    write_rows(folder / MANIFEST, rows)
    return stats(folder)


def entry(counted: dict[str, Any], table: str, name: str) -> dict[str, Any]:
    (found,) = (row for row in counted["tables"][table] if row.get("name", row.get("source")) == name)
    return found


def test_totals_are_those_of_the_rows(counted: dict[str, Any]) -> None:
    assert (counted["images"], counted["masks"], counted["labels"]) == (4, 6, 5)
    for name, table in counted["tables"].items():
        assert sum(row["masks"] for row in table) == 6, name
        assert len({row.get("name", row.get("source")) for row in table}) == len(table)


def test_sources_beside_the_paper(counted: dict[str, Any]) -> None:
    assert entry(counted, "sources", "glas") == {
        "source": "glas",
        "labels": 2,
        "images": 2,
        "masks": 3,
        "train": 2,
        "test": 1,
        "paper_labels": 1,
        "paper_images": 165,
        "paper_masks": 165,
        "paper_train": 85,
        "paper_test": 80,
    }
    mine, bcss = entry(counted, "sources", "mine"), entry(counted, "sources", "bcss")
    assert (mine["masks"], mine["paper_masks"], mine["paper_labels"]) == (1, None, None)
    assert (bcss["masks"], bcss["images"], bcss["paper_masks"], bcss["paper_labels"]) == (0, 0, 9192, 18)


def test_regions_structures_and_types_beside_the_paper(counted: dict[str, Any]) -> None:
    assert entry(counted, "regions", "colon") == {
        "name": "colon",
        "labels": 4,
        "masks": 5,
        "images": 3,
        "structures": 2,
        "object_types": 4,
        "paper_labels": 17,
        "paper_masks": 37507,
        "paper_images": 21487,
        "paper_structures": 3,
        "paper_object_types": 16,
    }
    brain = entry(counted, "regions", "brain")
    assert brain["masks"] == 1 and not any(value for key, value in brain.items() if key.startswith("paper"))
    nuclei = entry(counted, "structures", "nuclei")
    assert (nuclei["masks"], nuclei["images"], nuclei["regions"], nuclei["object_types"]) == (3, 2, 2, 2)
    assert (nuclei["paper_masks"], nuclei["paper_images"], nuclei["paper_labels"]) == (42300, 15993, 105)
    neutrophil = entry(counted, "object_types", "neutrophil")
    assert (neutrophil["masks"], neutrophil["labels"], neutrophil["regions"], neutrophil["structures"]) == (2, 2, 2, 1)
    assert (neutrophil["paper_masks"], neutrophil["paper_labels"], neutrophil["paper_regions"]) == (1358, 3, 3)


def test_labels_beside_the_paper(counted: dict[str, Any]) -> None:
    gland, mine = entry(counted, "labels", "colon-tissue-gland"), entry(counted, "labels", "brain-nuclei-neutrophil")
    assert (gland["masks"], gland["paper_masks"]) == (2, 1915)
    assert (mine["masks"], mine["paper_masks"], mine["paper_labels"]) == (1, None, None)
    assert sum(row["paper_masks"] is not None for row in counted["tables"]["labels"]) == 160


def test_the_papers_totals_follow_from_sources_and_vocabulary(counted: dict[str, Any]) -> None:
    assert counted["paper"] == paper_totals()
    assert paper_totals() == {
        "images": 233_419,
        "masks": 274_853,
        "train": 229_714,
        "test": 45_139,
        "labels": 160,
        "regions": 20,
        "structures": 3,
        "object_types": 61,
    }


def test_each_table_adds_up_to_the_papers_totals(counted: dict[str, Any]) -> None:
    for name, table in counted["tables"].items():
        assert sum(row["paper_masks"] or 0 for row in table) == 274_853, name
    for name in ("sources", "regions", "structures"):
        assert sum(row["paper_images"] or 0 for row in counted["tables"][name]) == 233_419, name
