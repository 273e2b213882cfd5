"""The audit finds each planted fault, names the guilty rows and nothing else, and is silent about a clean set."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from pathsegmentor.data.audit import Finding, audit, report
from pathsegmentor.data.build import Settings, Wish, build
from pathsegmentor.data.manifest import MANIFEST, Row, read_rows, write_rows
from pathsegmentor.data.shards import Shards, ShardWriter, decode_mask, encode_image, encode_mask
from pathsegmentor.data.sources import source_for
from tests.cli.conftest import Done, here  # noqa: F401
from tests.data.made import GLAND, glas, instances, picture, save, table

SMALL = Path(__file__).parent / "small"
Plan = dict[str, dict[str, Any]]


def own(folder: Path, plan: Plan) -> Path:
    """A user's folder: per image its pixels (else those of its number), split, patient and slide."""
    for number, (name, facts) in enumerate(plan.items()):
        pixels = facts.get("pixels", picture(number))
        save(folder / "images" / f"{name}.png", pixels)
        save(folder / "masks" / f"{name}.png", (instances(number, *pixels.shape[:2]) > 0).astype(np.uint8))
    table(folder / "labels.csv", ["class", "label"], [["1", GLAND]])
    columns = ["split", "patient", "slide"]
    lines = [[f"{name}.png", *(facts.get(c, "") for c in columns)] for name, facts in plan.items()]
    table(folder / "images.csv", ["image", *columns], lines)
    return folder


def built(folder: Path, plan: Plan) -> Path:
    download = own(folder / "in", plan)
    found = build([Wish(source_for("folder", download, 0.25), download)], folder / "out", Settings())
    assert found["sources"][0]["images"] == len(plan)
    return folder / "out"


CLEAN: Plan = {
    "a": {"split": "train", "patient": "1", "slide": "1x"},
    "b": {"split": "train", "patient": "2", "slide": "2x"},
    "c": {"split": "test", "patient": "3", "slide": "3x"},
}


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return built(tmp_path_factory.mktemp("clean"), CLEAN)


@pytest.fixture
def copy(clean: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(clean, tmp_path / "copy"))


def row_of(folder: Path, origin: str) -> Row:
    (row,) = (row for row in read_rows(folder) if Path(row.origin).stem == origin)
    return row


def change_row(folder: Path, name: str, /, **values: Any) -> Row:
    guilty = row_of(folder, name)
    write_rows(folder / MANIFEST, [replace(r, **values) if r == guilty else r for r in read_rows(folder)])
    return replace(guilty, **values)


def change_member(folder: Path, path: str, data: bytes | None, sign: bool = True) -> None:
    """Put other bytes into a shard, or take a member out; ``sign`` makes ``shards.json`` agree."""
    shard, _, member = path.rpartition("/")
    shards = Shards(folder)
    members = {name: shards.read(f"{shard}/{name}") for name in shards.members(shard)}
    shards.close()
    writer = ShardWriter(folder / shard)
    for name, old in members.items():
        new = data if name == member else old
        if new is not None:
            writer.add(name, new)
    writer.close()
    if sign:
        listing = json.loads((folder / "shards.json").read_text())
        listing["shards"][0]["sha256"] = hashlib.sha256((folder / shard).read_bytes()).hexdigest()
        (folder / "shards.json").write_text(json.dumps(listing))


def only(found: list[Finding]) -> tuple[str, tuple[str, ...]]:
    (finding,) = found
    assert finding.what
    return finding.kind, finding.rows


def stems(names: tuple[str, ...]) -> list[str]:
    """``.../folder-00000-0002-images_c-x0-y0.png`` -> ``c``."""
    return sorted(name.split("-")[-3].rpartition("_")[2] for name in names)


def test_a_clean_set_gives_no_finding(clean: Path, here: Callable[..., Done]) -> None:  # noqa: F811
    done = here("data", "check", clean, "--json")
    assert done.code == 0 and done.json["findings"] == [] and done.json["counts"] == {}
    assert here("data", "check", clean).out.strip() == f"{clean}: nothing wrong found"


def test_the_command_names_what_is_wrong_and_fails(copy: Path, here: Callable[..., Done]) -> None:  # noqa: F811
    guilty = change_row(copy, "c", patient="1")
    done = here("data", "check", copy, "--out", copy / "found.json")
    assert done.code == 1 and "patient 1 is in both splits" in " ".join(done.out.split())
    assert json.loads((copy / "found.json").read_text())["findings"][0]["rows"] == [guilty.id]


@pytest.mark.parametrize("what", ["patient", "slide", "origin"])
def test_what_is_in_both_splits_is_named_with_the_rows_of_the_smaller_part(copy: Path, what: str) -> None:
    name = getattr(row_of(copy, "a"), what)
    change_row(copy, "b", **{what: name})
    guilty = change_row(copy, "c", **{what: name})
    assert only(audit(copy)) == (f"leak: same {what}", (guilty.id,))


def test_only_tcga_patients_are_the_same_in_two_sources(copy: Path) -> None:
    change_row(copy, "a", source="other", patient="7")
    change_row(copy, "c", patient="7")
    assert audit(copy) == []
    change_row(copy, "a", patient="TCGA-A1-A0SK-01Z-00-DX1")
    change_row(copy, "c", patient="", slide="tcga-a1-a0sk-01Z-00-DX2")
    kind, _ = only(audit(copy))
    assert kind == "leak: same patient"


def give_bytes(folder: Path, giver: str, taker: str) -> None:
    """Store one image's bytes as another's too."""
    shards = Shards(folder)
    data = shards.read(row_of(folder, giver).image)
    shards.close()
    change_member(folder, row_of(folder, taker).image, data)
    change_row(folder, taker, sha256=hashlib.sha256(data).hexdigest())


@pytest.mark.parametrize(("taker", "kind"), [("b", "duplicate image"), ("c", "leak: same image")])
def test_the_same_bytes_twice(copy: Path, taker: str, kind: str) -> None:
    give_bytes(copy, "a", taker)
    found = audit(copy)
    assert only(found)[0] == kind and stems(found[0].rows) == ["a", taker]


def test_a_flipped_recompressed_copy_in_the_other_split(tmp_path: Path) -> None:
    tissue = cv2.imread(str(next((SMALL / "segpath").rglob("*.png"))))[..., ::-1]
    tissue = np.ascontiguousarray(tissue[:300, :400])
    copied = cv2.imdecode(cv2.imencode(".jpg", tissue[:, ::-1], [cv2.IMWRITE_JPEG_QUALITY, 60])[1], 1)
    plan = {
        "a": {"pixels": tissue, "split": "train"},
        "b": {"split": "train"},
        "c": {"pixels": copied, "split": "test"},
    }
    found = audit(built(tmp_path / "leak", plan))
    assert only(found)[0] == "leak: near-identical image" and stems(found[0].rows) == ["a", "c"]
    plan["c"]["split"] = "train"
    assert only(audit(built(tmp_path / "same", plan)))[0] == "near-identical image"


def test_windows_of_one_image_may_look_alike(copy: Path) -> None:
    shards = Shards(copy)
    pixels = cv2.imdecode(np.frombuffer(shards.read(row_of(copy, "a").image), np.uint8), 1)[..., ::-1]
    shards.close()
    data = encode_image(np.ascontiguousarray(pixels // 2))
    change_member(copy, row_of(copy, "b").image, data)
    change_row(copy, "b", sha256=hashlib.sha256(data).hexdigest())
    assert only(audit(copy))[0] == "near-identical image"
    change_row(copy, "b", origin=row_of(copy, "a").origin)
    assert audit(copy) == []


def test_rows_that_are_there_twice(copy: Path) -> None:
    rows = read_rows(copy)
    write_rows(copy / MANIFEST, [*rows, rows[0]])
    assert only(audit(copy)) == ("duplicate row", (rows[0].id,))
    write_rows(copy / MANIFEST, [*rows, replace(rows[0], id="again")])
    assert only(audit(copy)) == ("duplicate row", (rows[0].id, "again"))


def test_an_empty_mask(copy: Path) -> None:
    row = row_of(copy, "b")
    change_member(copy, row.mask, encode_mask(np.zeros((1024, 1024), bool)))
    assert only(audit(copy)) == ("empty mask", (row.id,))


def test_a_mask_of_another_size(copy: Path) -> None:
    row = row_of(copy, "b")
    change_member(copy, row.mask, encode_mask(np.ones((1024, 1000), bool)))
    found = audit(copy)
    assert only(found) == ("size mismatch", (row.id,)) and "1000 x 1024" in found[0].what


def test_an_image_of_another_size(copy: Path) -> None:
    data = encode_image(np.ascontiguousarray(cv2.resize(picture(1), (800, 1024))))
    change_member(copy, row_of(copy, "b").image, data)
    row = change_row(copy, "b", sha256=hashlib.sha256(data).hexdigest())
    assert only(audit(copy)) == ("size mismatch", (row.id,))


def test_a_mask_that_was_changed(copy: Path) -> None:
    row = row_of(copy, "b")
    mask = np.zeros((1024, 1024), bool)
    mask[:9, :9] = True
    change_member(copy, row.mask, encode_mask(mask))
    assert only(audit(copy)) == ("changed mask", (row.id,))


def test_instances_that_were_joined(copy: Path) -> None:
    row = row_of(copy, "b")
    shards = Shards(copy)
    mask = decode_mask(shards.read(row.mask)) > 0
    shards.close()
    change_member(copy, row.mask, encode_mask(mask.astype(np.uint16)))
    row = change_row(copy, "b", instances=2)
    assert only(audit(copy)) == ("changed mask", (row.id,))


@pytest.mark.parametrize(
    ("times", "says"),
    [
        ((0, 0), "expected 0.08 to 0.5"),
        ((float("nan"), 1), "expected 0.08 to 0.5"),
        ((4, 4), "1 um per pixel at 40x"),
        ((1, 1.2), "0.3 um per pixel down"),
        ((1.9, 1.9), "0.25 in the median"),
    ],
)
def test_a_wrong_scale(copy: Path, times: tuple[float, float], says: str) -> None:
    row = row_of(copy, "b")
    change_row(copy, "b", mpp=(times[0] * row.mpp[0], times[1] * row.mpp[1]))
    found = audit(copy)
    assert only(found) == ("wrong scale", (row.image,)) and says in found[0].what


def test_bytes_that_are_not_those_of_the_manifest(copy: Path) -> None:
    row = row_of(copy, "b")
    change_member(copy, row.image, encode_image(np.ascontiguousarray(cv2.resize(picture(77), (1024, 1024)))))
    assert only(audit(copy)) == ("changed image", (row.id,))


def test_a_shard_that_is_not_the_one_listed(copy: Path) -> None:
    row = row_of(copy, "b")
    shards = Shards(copy)
    mask = decode_mask(shards.read(row.mask))
    shards.close()
    # As many pixels in other places: only the hash of the shard can tell.
    change_member(copy, row.mask, encode_mask(np.ascontiguousarray(mask[::-1])), sign=False)
    assert only(audit(copy)) == ("changed shard", (row.image.rpartition("/")[0],))


@pytest.mark.parametrize("data", [None, b"no picture", b""])
def test_a_missing_or_damaged_image_or_mask(copy: Path, data: bytes | None) -> None:
    row = row_of(copy, "b")
    change_member(copy, row.image, data)
    found = [finding for finding in audit(copy) if finding.kind != "changed image"]
    assert only(found) == ("missing or damaged", (row.id,)) and row.image.rpartition("/")[2] in found[0].what
    row = row_of(copy, "c")
    change_member(copy, row.mask, data)
    found = [finding for finding in audit(copy) if row.id in finding.rows]
    assert only(found) == ("missing or damaged", (row.id,)) and row.mask.rpartition("/")[2] in found[0].what


def test_a_missing_and_a_cut_shard(copy: Path) -> None:
    rows = {row.id for row in read_rows(copy)}
    shard = copy / row_of(copy, "a").image.rpartition("/")[0]
    data = shard.read_bytes()
    shard.write_bytes(data[: len(data) // 2])
    found = report(audit(copy), copy)
    assert found["counts"].keys() == {"changed shard", "missing or damaged"}
    shard.unlink()
    found = report(audit(copy), copy)
    assert found["counts"].keys() == {"missing or damaged"}
    named = {name for finding in found["findings"] for name in finding["rows"]}
    assert named == rows | {f"shards/{shard.name}"}


def test_a_shard_list_that_is_gone_or_incomplete(copy: Path) -> None:
    (copy / "shards.json").write_text(json.dumps({"shards": []}))
    assert only(audit(copy)) == ("unlisted shard", (row_of(copy, "a").image.rpartition("/")[0],))
    (copy / "shards.json").unlink()
    assert only(audit(copy)) == ("missing or damaged", ("shards.json",))


def test_a_damaged_ignore_mask(copy: Path) -> None:
    row = change_row(copy, "b", ignore=row_of(copy, "b").image + ".nowhere")
    assert only(audit(copy)) == ("missing or damaged", (row.id,))


def test_several_faults_are_all_found_whatever_the_number_of_workers(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pathsegmentor.data.audit.IMAGES_AT_ONCE", 1)
    change_row(copy, "c", patient="1")
    change_row(copy, "b", mpp=(1.0, 1.0))
    change_member(copy, row_of(copy, "a").mask, b"no mask")
    found = audit(copy)
    assert [finding.kind for finding in found] == ["leak: same patient", "wrong scale", "missing or damaged"]
    again = audit(copy, jobs=2)
    assert [(finding.kind, finding.rows) for finding in again] == [(finding.kind, finding.rows) for finding in found]


def test_what_is_so_at_the_source_is_told_and_no_failure(tmp_path: Path, here: Callable[..., Done]) -> None:  # noqa: F811
    """GlaS: its official split has eleven patients in both parts, and it is stored as it is, at 20x."""
    folder = glas(tmp_path / "glas")
    grades = (folder / "Grade.csv").read_text().splitlines()
    columns = [line.split(",") for line in grades]
    columns[4][1] = columns[1][1]  # testA_1 is of train_1's patient
    (folder / "Grade.csv").write_text("\n".join(",".join(line) for line in columns) + "\n")
    assert here("data", "build", "--source", f"glas={folder}", "--out", tmp_path / "out").code == 0
    done = here("data", "check", tmp_path / "out")
    assert done.code == 0 and done.out.strip().endswith("nothing wrong found"), done.out
    told = " ".join(done.out.split())
    assert "known: glas: 5 images have 0.62 um per pixel" in told and "patient 0 is in both splits" in told
    as_json = here("data", "check", tmp_path / "out", "--json")
    assert as_json.code == 0 and as_json.json["findings"] == [] and as_json.json["counts"] == {}
    assert sorted(entry["kind"] for entry in as_json.json["known"]) == ["leak: same patient", "wrong scale"]
    # Drawn, the same would be a fault of the set.
    rows = read_rows(tmp_path / "out")
    report_ = json.loads((tmp_path / "out" / "report.json").read_text())
    report_["sources"][0]["split"] = "random"
    (tmp_path / "out" / "report.json").write_text(json.dumps(report_))
    assert here("data", "check", tmp_path / "out").code == 1
    write_rows(tmp_path / "out" / MANIFEST, [replace(row, mpp=(2.0, 2.0)) for row in rows])
    assert {finding.kind for finding in audit(tmp_path / "out") if not finding.known} == {
        "leak: same patient",
        "wrong scale",
    }


def test_empty_glass_is_no_copy_of_empty_glass(tmp_path: Path) -> None:
    """Windows that show nothing have the same bytes, in train and test too."""
    white, larger = (np.full((side, side, 3), 255, np.uint8) for side in (60, 80))
    plan = {"a": {"pixels": white, "split": "train"}, "b": {"pixels": larger, "split": "test"}, "c": CLEAN["c"]}
    out = built(tmp_path, plan)
    assert row_of(out, "a").sha256 == row_of(out, "b").sha256
    assert audit(out) == []
