"""What is taught is known: no absence where nobody looked, no background where something may be unmarked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from pathsegmentor.data.build import Settings, Wish, build
from pathsegmentor.data.manifest import Row
from pathsegmentor.data.pathseg import Entry, PathSeg, held_groups
from pathsegmentor.data.sources import source
from pathsegmentor.train.batches import Batch, Sampler, SamplingConfig
from pathsegmentor.vocabulary import Vocabulary
from tests.data.downloads import download
from tests.data.made import instances, picture, save

LABELS = [label.id for label in Vocabulary.paper()]
NUCLEI = "breast-nuclei-nuclei"
STEPS = 10


def sampler(folder: Path, labels: Sequence[str] = LABELS, **config: float) -> Sampler:
    data = PathSeg(folder)
    settings = SamplingConfig(crop=(128,), images=8, prompts=4, **config)  # type: ignore[arg-type]
    return Sampler(data, data.entries, list(labels), dict.fromkeys(labels, 0.25), {}, settings, 0)


def batches(drawn: Sampler) -> list[Batch]:
    return [drawn.batch(step) for step in range(STEPS)]


@pytest.fixture(scope="module")
def marked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Janowczyk: of many nuclei a few are marked."""
    top = tmp_path_factory.mktemp("janowczyk")
    for seed, name in enumerate(("12750_500_f00003", "9023_500_f00030")):
        save(top / "nuclei" / f"{name}_original.tif", picture(seed, 600, 800))
        save(top / "nuclei" / f"{name}_mask.png", (instances(seed, 600, 800) > 0) * np.uint8(255))
    build([Wish(source("janowczyk"), top)], top / "out", Settings())
    return top / "out"


@pytest.mark.parametrize("labels", [[NUCLEI], [NUCLEI, "breast-nuclei-tumor", "breast-cell-epithelial"]])
def test_where_part_is_marked_nothing_else_is_taught(marked: Path, labels: list[str]) -> None:
    """In 10 steps of 8 images with 4 prompts, not one teaches an absence or a background beside the marks."""
    prompts = 0
    for batch in batches(sampler(marked, labels, aim=0.0)):
        tissue = batch.targets.known & (batch.targets.masks == 0)
        # Crops in which nothing is marked give way to pictures without tissue, where everything is known.
        without = batch.targets.known.flatten(1).all(dim=1)
        assert not tissue[~without].any() and batch.targets.present[~without].all()
        assert not batch.targets.present[without].any()
        prompts += int((~without).sum()) * 4
    assert prompts > 100, "hardly anything was asked of tissue"


def test_no_entry_says_what_its_annotators_did_not_look_for(marked: Path) -> None:
    for entry in PathSeg(marked).entries:
        here = [label for label in LABELS if label.startswith("breast-")]
        assert not any(entry.certainly_absent(label) for label in here)
        assert not any(entry.outlined(label) for label in LABELS) and entry.first.ignore


def row(**values: object) -> Row:
    common = dict.fromkeys((field.name for field in fields(Row)), "") | {
        "source": "bcss",
        "split": "train",
        "mpp": (0.25, 0.25),
        "width": 1024,
        "height": 1024,
        "annotated": ("breast-tissue-fat", "breast-tissue-tumor"),
        "label": "breast-tissue-tumor",
    }
    return Row(**common | values)  # type: ignore[arg-type]


def test_a_label_may_lie_where_nothing_is_known() -> None:
    whole = Entry((row(),))
    partly = Entry((row(ignore="shards/a.tar/a.ignore.png"),))
    assert whole.certainly_absent("breast-tissue-fat") and not partly.certainly_absent("breast-tissue-fat")
    assert whole.certainly_absent("colon-tissue-gland") and partly.certainly_absent("colon-tissue-gland")
    for entry in (whole, partly):
        assert not entry.certainly_absent("breast-tissue-tumor") and not entry.certainly_absent("breast-tissue-nerve")


@pytest.mark.parametrize("ignored", [False, True])
def test_a_crop_with_unknown_pixels_teaches_no_absence(tmp_path: Path, ignored: bool) -> None:
    """BCSS: a region of tumour and stroma, and in one of two sets strips that nobody judged."""
    codes = np.full((400, 400), 1, np.uint8)
    codes[:, 200:] = 2
    if ignored:
        codes[np.arange(400) % 40 < 4] = 0  # every crop has some
    folder = tmp_path / "bcss"
    save(folder / "images" / "TCGA-A2-A0CM-DX1_xmin1_ymin1_MPP-0.2500.png", picture(1, 400, 400))
    save(folder / "masks" / "TCGA-A2-A0CM-DX1_xmin1_ymin1_MPP-0.2500.png", codes)
    build([Wish(source("bcss"), folder)], tmp_path / "out", Settings())
    labels = [label for label in LABELS if label.startswith("breast-tissue-")]
    drawn = batches(sampler(tmp_path / "out", labels, absent=0.5))
    absent = sum(int((~batch.targets.present).sum()) for batch in drawn)
    assert absent == 0 if ignored else absent > 50
    assert sum(int(batch.targets.present.sum()) for batch in drawn) > 100


def test_beside_a_tumour_of_rings_a_gland_is_known_only_where_it_is_outlined(tmp_path: Path) -> None:
    download("rings", tmp_path / "rings")
    build([Wish(source("rings"), tmp_path / "rings")], tmp_path / "out", Settings())
    gland, tumor = "prostate-tissue-prostate healthy glands", "prostate-tissue-prostate tumor"
    drawn = sampler(tmp_path / "out", [gland, tumor])
    seen = 0
    for batch in batches(drawn):
        for image, prompts in enumerate(batch.labels.tolist()):
            for number, label in enumerate(prompts):
                known, mask = batch.targets.known[image, number], batch.targets.masks[image, number] > 0
                if label == 0 and mask.any():
                    seen += 1
                    assert (known == mask).all()
                elif label == 1:
                    assert known.any()
    assert seen > 10


# What the annotators of each source looked for in the tiny downloads of the tests; all other sources: all labels.
PARTLY = {
    "janowczyk": set(),
    "midog": {"unspecified-nuclei-neuroendocrine tumor mitotic figure"},
    "rings": {"prostate-tissue-prostate tumor"},
}


@pytest.mark.parametrize("name", ["bcss", "cocahis", "crag", "digestpath2019", "glas", *PARTLY, "monusac", "wsss4luad"])
def test_what_each_source_was_looked_through_for(name: str, tmp_path: Path) -> None:
    folder, found = download(name, tmp_path / name), source(name)
    for item in found.items(folder):
        image = found.read(item)  # type: ignore[arg-type]
        assert image.complete == PARTLY.get(name, set(image.masks))


def entries(groups: Sequence[int]) -> list[Entry]:
    return [Entry((row(patient=f"p{group}", image=str(n)),)) for n, group in enumerate(groups)]


@pytest.mark.parametrize("fraction", [0.0, 0.1, 0.5, 1.0])
def test_groups_are_held_out_until_the_fraction_is_reached(fraction: float) -> None:
    rng = np.random.default_rng(3)
    here = entries(rng.integers(0, 40, 300).tolist())
    held = held_groups(here, fraction, 0)
    images = [entry for entry in here if entry.group in held]
    largest = max(sum(entry.group == group for entry in here) for group in {entry.group for entry in here})
    assert fraction * len(here) <= len(images) < fraction * len(here) + largest
    assert held == held_groups(here, fraction, 0)


def test_a_sampler_knows_each_images_labels(tmp_path: Path) -> None:
    """Images that share labels are worked out once; each must still get what it alone would get."""
    download("bcss", tmp_path / "bcss")
    build([Wish(replace(source("bcss"), batch=1), tmp_path / "bcss")], tmp_path / "out", Settings())
    data = PathSeg(tmp_path / "out")
    scales = {label: 1.0 if "-tissue-" in label else 0.25 for label in LABELS}
    together = Sampler(data, data.entries, LABELS, scales, {}, SamplingConfig(), 0).items
    alone = [
        item for entry in data.entries for item in Sampler(data, [entry], LABELS, scales, {}, SamplingConfig(), 0).items
    ]
    assert together == alone
    for item in together:
        for label in LABELS:
            known = label in item.entry.labels or item.entry.outlined(label) or item.entry.of_another_organ(label)
            assert (label in item.labels) == (known and scales[label] == item.mpp)
