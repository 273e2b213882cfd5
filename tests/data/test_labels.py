"""The paper's 160 labels, each from the right sources, and table 1: what is listed adds up and is really read."""

from __future__ import annotations

import csv
from collections import Counter
from importlib.resources import files as resources
from pathlib import Path

import pytest

from pathsegmentor.data.record import Item
from pathsegmentor.data.sources import FURTHER, PAPER, source
from pathsegmentor.vocabulary import Label, Vocabulary
from tests.data.downloads import MAKERS, download

# Table 1: labels without background, images, masks, masks for training and for test.
TABLE_1 = {
    "bcss": (18, 2914, 9192, 7322, 1870),
    "cocahis": (1, 82, 82, 58, 24),
    "conic2022": (6, 4841, 19332, 15387, 3945),
    "crag": (1, 1750, 1750, 1429, 321),
    "digestpath2019": (1, 13391, 13391, 10725, 2666),
    "glas": (1, 165, 165, 85, 80),
    "janowczyk": (1, 500, 500, 400, 100),
    "midog": (2, 1482, 1802, 1448, 354),
    "monusac": (4, 359, 642, 454, 188),
    "nucls": (12, 1612, 4443, 3538, 905),
    "pannuke": (86, 7558, 16223, 13017, 3206),
    "rings": (2, 38227, 43739, 29451, 14288),
    "segpath": (8, 133645, 133645, 122536, 11109),
    "sicapv2": (1, 23924, 23924, 19140, 4784),
    "tnbc": (11, 66, 167, 134, 33),
    "wsss4luad": (3, 2863, 5735, 4590, 1145),
    "consep": (6, 40, 121, 0, 121),
}
# Labels that two sources give.
SHARED = {
    "colon-tissue-gland": {"crag", "glas"},
    "colon-nuclei-epithelial": {"conic2022", "pannuke"},
    "colon-nuclei-connective": {"conic2022", "pannuke"},
    "unspecified-cell-lymphocyte": {"monusac", "segpath"},
}
# Sources that only together give whole labels.
GROUPS = [{"crag", "glas"}, {"conic2022", "pannuke"}, {"monusac", "segpath"}]
ALONE = [{name} for name in PAPER if not any(name in group for group in GROUPS)]
# What cannot be listed here is a region, a structure or an object type of the source alone.
REGIONS = {
    "bcss": {"breast"},
    "cocahis": {"liver"},
    "conic2022": {"colon"},
    "crag": {"colon"},
    "digestpath2019": {"colon"},
    "glas": {"colon"},
    "janowczyk": {"breast"},
    "midog": {"unspecified"},
    "monusac": {"unspecified"},
    "nucls": {"breast"},
    "rings": {"prostate"},
    "segpath": {"unspecified"},
    "sicapv2": {"prostate"},
    "tnbc": {"breast"},
    "wsss4luad": {"lung"},
    "consep": {"colon"},
}


def masks_of_table_5() -> dict[str, int]:
    """Masks by label id, from the vocabulary's own file."""
    text = (resources("pathsegmentor.vocabulary") / "labels.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return {Label(r["region"], r["structure"], r["object_type"]).id: int(r["masks"]) for r in rows}


def test_the_paper_has_17_sources() -> None:
    assert set(TABLE_1) == set(PAPER) and len(PAPER) == len(set(PAPER)) == 17


@pytest.mark.parametrize("name", PAPER)
def test_a_source_has_the_numbers_of_table_1(name: str) -> None:
    found = source(name)
    assert found.paper is not None
    paper = found.paper
    assert (len(set(found.labels)), paper.images, paper.masks, paper.train, paper.test) == TABLE_1[name]
    assert paper.train + paper.test == paper.masks and len(set(found.labels)) == len(found.labels)
    assert {Label.from_id(label).region for label in found.labels} == REGIONS.get(name, {*_pannuke_regions()})
    assert not set(found.labels) & set(found.more)


def _pannuke_regions() -> set[str]:
    """Those of the vocabulary that have nuclei, but for the tumours of MIDOG."""
    nuclei = [label for label in Vocabulary.paper() if label.structure.lower() == "nuclei"]
    return {label.region.lower() for label in nuclei} - {"unspecified"}


def test_the_sums_are_those_of_the_paper() -> None:
    papers = [found for name in PAPER if (found := source(name).paper)]
    assert sum(paper.images for paper in papers) == 233_419
    assert sum(paper.masks for paper in papers) == 274_853 == sum(masks_of_table_5().values())
    assert sum(paper.test for paper in papers) == 45_139


def test_the_160_labels_come_each_from_one_source_and_four_from_two() -> None:
    givers: dict[str, set[str]] = {}
    for name in PAPER:
        for label in source(name).labels:
            givers.setdefault(label, set()).add(name)
    assert set(givers) == {label.id for label in Vocabulary.paper()} and len(givers) == 160
    assert {label: names for label, names in givers.items() if len(names) > 1} == SHARED
    assert sum(map(len, givers.values())) == 164


@pytest.mark.parametrize("group", [*GROUPS, *ALONE], ids=lambda group: "+".join(sorted(group)))
def test_the_masks_of_a_sources_labels_add_up_to_its_masks(group: set[str]) -> None:
    table_5 = masks_of_table_5()
    labels = {label for name in group for label in source(name).labels}
    assert sum(table_5[label] for label in labels) == sum(TABLE_1[name][2] for name in group)


def test_further_sources_are_none_of_the_papers() -> None:
    assert all(source(name).paper is None for name in FURTHER) and not set(FURTHER) & set(PAPER)
    assert set(MAKERS) == {*PAPER, *FURTHER}


@pytest.mark.parametrize("name", [*PAPER, *FURTHER])
def test_every_label_that_is_listed_is_read_from_a_download(name: str, tmp_path: Path) -> None:
    found, marked = source(name), Counter[str]()
    for item in found.items(download(name, tmp_path / name)):
        assert isinstance(item, Item), item
        image = found.read(item)
        assert image.complete <= set(image.masks)
        for label, mask in image.masks.items():
            assert mask.shape == image.pixels.shape[:2]
            marked[label] += int((mask > 0).sum())
    assert set(found.labels) <= {label for label, pixels in marked.items() if pixels}
    # Nothing is read of which the source does not speak, but for labels filled in from a table.
    assert name in FURTHER or set(marked) <= {*found.labels, *found.more}
