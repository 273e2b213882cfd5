"""A patient of several sources is in one split; official is official; an external test is in no other source."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pathsegmentor.data.audit import audit
from pathsegmentor.data.build import Settings, Wish, build
from pathsegmentor.data.manifest import MANIFEST, read_rows, write_rows
from pathsegmentor.data.patients import Draft, agree
from pathsegmentor.data.record import Item, person_of
from pathsegmentor.data.sources import PAPER, source, source_for
from pathsegmentor.errors import BadInput
from tests.cli.conftest import Done, here  # noqa: F401
from tests.data import test_source_bcss as bcss
from tests.data import test_source_monusac as monusac
from tests.data.downloads import download
from tests.data.made import conic, instances, picture, save, table

Run = Callable[..., Done]
PATIENTS = [f"TCGA-A{n}-A0C{n}" for n in range(8)]


def regions(folder: Path, patients: list[str]) -> Path:
    """BCSS with one region of each patient."""
    for seed, patient in enumerate(patients):
        name = f"{patient}-DX1_xmin1_ymin1_MPP-0.2500"
        save(folder / "images" / f"{name}.png", picture(seed))
        save(folder / "masks" / f"{name}.png", (instances(seed) > 0).astype(np.uint8))
    return folder


def fields(folder: Path, patients: list[str]) -> Path:
    """NuCLS with one field of each patient."""
    for seed, patient in enumerate(patients):
        name = f"{patient}-DX1_id-5ea_left-1_top-2_bottom-3_right-4"
        save(folder / "rgb" / f"{name}.png", picture(40 + seed))
        tumor = instances(seed) > 0
        save(folder / "mask" / f"{name}.png", np.dstack([np.where(tumor, 1, 253), tumor, tumor]).astype(np.uint8))
    return folder


def cells(folder: Path, **parts: list[str]) -> Path:
    """MoNuSAC with one crop of each patient in each part."""
    for part, patients in parts.items():
        for patient in patients:
            monusac.write(folder, part, f"{patient}-01Z-00-DX1_1", monusac.xml(("Epithelial", [monusac.SQUARE])))
    return folder


def splits(out: Path, name: str) -> dict[str, str]:
    return {row.patient: row.split for row in read_rows(out) if row.source == name}


def wish(name: str, folder: Path, split: str = "") -> Wish:
    return Wish(source(name), folder, split)


def test_drawn_splits_of_two_sources_agree_in_any_order_and_again(tmp_path: Path) -> None:
    """Each alone would put other patients into its test part."""
    one, two = regions(tmp_path / "b", PATIENTS), fields(tmp_path / "n", [*PATIENTS[1:5], "TCGA-ZZ-A0C9"])
    alone = []
    for name, folder in (("bcss", one), ("nucls", two)):
        build([wish(name, folder)], tmp_path / name, Settings())
        alone.append(splits(tmp_path / name, name))
    assert any(alone[0][patient] != alone[1][patient] for patient in PATIENTS[1:5]), "nothing to agree on"
    wishes = [wish("bcss", one), wish("nucls", two)]
    found = [build(order, tmp_path / "out", Settings()) for order in (wishes, wishes[::-1], wishes)]
    assert found[0] == found[1] == found[2]
    got = splits(tmp_path / "out", "bcss"), splits(tmp_path / "out", "nucls")
    assert got[0] == alone[0] and all(got[0][patient] == got[1][patient] for patient in PATIENTS[1:5])
    (moved,) = (entry["moved"] for entry in found[0]["sources"] if entry["source"] == "nucls")
    assert moved and all("where bcss has them: patients TCGA-A" in line for line in moved)
    # A source that is added later follows what is there.
    build([wish("nucls", two)], tmp_path / "bcss", Settings())
    assert splits(tmp_path / "bcss", "nucls") == got[1]
    assert not [finding for finding in audit(tmp_path / "out") if finding.kind == "leak: same patient"]


def test_a_drawn_split_follows_an_official_one(tmp_path: Path, here: Run) -> None:  # noqa: F811
    one = regions(tmp_path / "b", PATIENTS)
    build([wish("bcss", one)], tmp_path / "alone", Settings())
    trained = [patient for patient, split in splits(tmp_path / "alone", "bcss").items() if split == "train"]
    two = cells(tmp_path / "m", train=["TCGA-ZZ-A0C8"], test=trained[:2])
    pairs = [word for pair in (f"bcss={one}", f"monusac={two}") for word in ("--source", pair)]
    done = here("data", "build", *pairs, "--out", tmp_path / "out")
    assert done.code == 0, (done.out, done.err)
    assert f"moved: bcss: to test, where monusac has them: patients {', '.join(trained[:2])}" in " ".join(
        done.out.split()
    )
    got = splits(tmp_path / "out", "bcss")
    assert got == splits(tmp_path / "alone", "bcss") | dict.fromkeys(trained[:2], "test")
    # Built before, and not named now, it cannot follow: nothing is done.
    refused = here("data", "build", "--source", f"monusac={two}", "--out", tmp_path / "alone")
    assert refused.code == 2 and len(refused.err.strip().splitlines()) == 1
    assert "built before; build monusac and bcss with one command" in refused.err
    assert {row.source for row in read_rows(tmp_path / "alone")} == {"bcss"}


def test_of_two_official_splits_that_disagree_training_images_are_left_out_and_named(tmp_path: Path) -> None:
    tested = "TCGA-OL-A5RW"
    one = regions(tmp_path / "b", [tested, "TCGA-A2-A0CM"])
    two = cells(tmp_path / "m", train=[tested, "TCGA-5P-A9K0"], test=["TCGA-2Z-A9JG"])
    report = build([wish("bcss", one, "official"), wish("monusac", two)], tmp_path / "out", Settings())
    assert splits(tmp_path / "out", "bcss") == {tested: "test", "TCGA-A2-A0CM": "train"}
    assert splits(tmp_path / "out", "monusac") == {"TCGA-5P-A9K0": "train", "TCGA-2Z-A9JG": "test"}
    (problem,) = report["sources"][1]["problems"]
    assert problem == (f"{tested}-01Z-00-DX1_1: left out of training, patient {tested} is in the test part of bcss")


@given(st.data())
def test_no_patient_is_in_both_splits_whatever_the_sources_say(data: st.DataObject) -> None:
    people = st.lists(st.sampled_from(PATIENTS), min_size=1, max_size=12)
    drafts = []
    for number in range(data.draw(st.integers(1, 4))):
        names = data.draw(people)
        free = data.draw(st.booleans())
        items = [Item(f"{n}", (), 0.25, 1.0, "", name) for n, name in enumerate(names)]
        # A source tears no patient apart; which split each is in is anyone's guess.
        of = {name: data.draw(st.sampled_from(["train", "test"])) for name in sorted(set(names))}
        drafts.append(Draft(f"s{number}", items, [of[name] for name in names], free, []))
    before = [(list(draft.items), list(draft.splits)) for draft in drafts]
    agree(drafts, [])
    seen: dict[str, set[str]] = {}
    for draft in drafts:
        for item, split in zip(draft.items, draft.splits, strict=True):
            seen.setdefault(item.person, set()).add(split)
    assert all(len(found) == 1 for found in seen.values())
    for draft, (items, told) in zip(drafts, before, strict=True):
        if draft.free:
            assert draft.items == items
        else:  # what is given stays or is left out of training
            left = [(item, split) for item, split in zip(items, told, strict=True) if item not in draft.items]
            assert all(split == "train" for _, split in left) and len(draft.problems) == len(left)
            assert [split for item, split in zip(items, told, strict=True) if item in draft.items] == draft.splits
    again = [(list(draft.items), list(draft.splits)) for draft in drafts]
    agree(drafts, [])
    assert [(draft.items, draft.splits) for draft in drafts] == again


@pytest.mark.parametrize(
    ("names", "person"),
    [
        (("TCGA-A2-A0CM",), "TCGA-A2-A0CM"),
        (("", "tcga-a2-a0cm-DX1"), "TCGA-A2-A0CM"),
        (("", "", "images/TCGA-A2-A0CM-01Z-00-DX1_3"), "TCGA-A2-A0CM"),
        (("TCGA-A2-A0CM_xmin1",), "TCGA-A2-A0CM"),
        (("p1", "TCGA-A2-A0CM"), "TCGA-A2-A0CM"),
        (("XTCGA-A2-A0CM",), ""),
        (("TCGA-A2", "12750", "P3_A8"), ""),
    ],
)
def test_who_is_the_same_in_all_sources(names: tuple[str, ...], person: str) -> None:
    assert person_of(*names) == person


# Of the sources that the paper splits at random, those whose download has official parts.
WITH_PARTS = {"bcss", "sicapv2"}


@pytest.mark.parametrize("name", PAPER)
def test_official_is_official_or_refused(name: str, tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = download(name, tmp_path / name)
    found = source_for(name, folder)
    told = {item.name: item.split for item in found.items(folder) if isinstance(item, Item)}
    done = here(
        "data", "build", "--source", f"{name}={folder}", "--split", f"{name}=official", "--out", tmp_path / "out"
    )
    if found.split == "random" and name not in WITH_PARTS:
        assert set(told.values()) == {""}
        assert done.code == 2 and len(done.err.strip().splitlines()) == 1
        assert f"{name} comes without official parts" in done.err
        assert not (tmp_path / "out" / MANIFEST).exists()
    else:
        assert done.code == 0, (done.out, done.err)
        rows = read_rows(tmp_path / "out")
        assert rows and all(row.split == told[row.origin] for row in rows)


def test_bcss_is_tested_on_the_hospitals_its_authors_propose(tmp_path: Path) -> None:
    names = ["TCGA-OL-A5RW", "TCGA-LL-A6FR", "TCGA-E2-A14N", "TCGA-EW-A1OV", "TCGA-GM-A2DB", "TCGA-S3-AA10"]
    others = ["TCGA-A2-A0CM", "TCGA-AR-A0TS", "TCGA-C8-A12V", "TCGA-D8-A13Z", "TCGA-OE-A2OL"]
    folder = regions(tmp_path / "b", [*names, *others])
    report = build([wish("bcss", folder, "official")], tmp_path / "out", Settings())
    assert splits(tmp_path / "out", "bcss") == dict.fromkeys(names, "test") | dict.fromkeys(others, "train")
    assert report["sources"][0]["split"] == "official"
    assert tuple(name.split("-")[1] for name in names) == bcss.bcss.TEST


def test_an_image_in_no_official_part_is_no_official_split(tmp_path: Path) -> None:
    folder = regions(tmp_path / "b", ["TCGA-OL-A5RW", "CASE-12-3456"])
    with pytest.raises(BadInput, match=r"1 of 2 images of bcss are in no official part, CASE-12-3456-DX1_xmin1"):
        build([wish("bcss", folder, "official")], tmp_path / "out", Settings())


def test_a_table_that_tells_some_parts_is_not_called_official(tmp_path: Path) -> None:
    for n in range(3):
        save(tmp_path / "in" / "images" / f"{n}.png", picture(n))
        save(tmp_path / "in" / "masks" / f"{n}.png", (instances(n) > 0).astype(np.uint8))
    table(tmp_path / "in" / "labels.csv", ["class", "label"], [["1", "colon-tissue-gland"]])
    table(tmp_path / "in" / "images.csv", ["image", "split"], [["0.png", "test"]])
    own = source_for("folder", tmp_path / "in", 0.25)
    report = build([Wish(own, tmp_path / "in")], tmp_path / "out", Settings())
    assert report["sources"][0]["split"] == "official; 2 of 3 images, which have no part, at random"
    with pytest.raises(BadInput, match="2 of 3 images of folder-in are in no official part"):
        build([Wish(own, tmp_path / "in", "official")], tmp_path / "out", Settings())


def with_consep(folder: Path) -> Path:
    conic(folder, 6)
    table(
        folder / "patch_info.csv", ["patch_info"], [[f"{'consep' if n < 2 else 'crag'}_{n}-000{n}"] for n in range(6)]
    )
    return folder


def test_conseps_tiles_are_left_out_of_conic_and_said(tmp_path: Path, here: Run) -> None:  # noqa: F811
    folder = with_consep(tmp_path / "conic")
    done = here("data", "build", "--source", f"conic2022={folder}", "--out", tmp_path / "out")
    assert done.code == 1
    assert "left out: conic2022: 2 images named consep_* left out: they are those of consep" in done.out
    assert {row.origin[:5] for row in read_rows(tmp_path / "out")} == {"crag_"}


def test_conseps_tiles_are_found_in_a_set_that_has_them(tmp_path: Path, here: Run) -> None:  # noqa: F811
    out = tmp_path / "out"
    build([wish("conic2022", conic(tmp_path / "conic", 4))], out, Settings())
    assert here("data", "check", out).code == 0
    rows = read_rows(out)
    guilty = [row for row in rows if row.origin.startswith("crag_1")]
    named = [replace(row, origin=row.origin.replace("crag_1", "consep_1")) if row in guilty else row for row in rows]
    write_rows(out / MANIFEST, named)
    done = here("data", "check", out, "--json")
    assert done.code == 1 and done.json["counts"] == {"leak: external test image": 1}
    assert done.json["findings"][0]["rows"] == [row.id for row in guilty]
