"""Shards: what goes in comes out, other programs can read them, damage is told in words."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import subprocess
import tarfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image

from pathsegmentor.data.shards import (
    OPEN_SHARDS,
    Shards,
    ShardWriter,
    decode_image,
    decode_mask,
    encode_image,
    encode_mask,
    instances_of,
)
from pathsegmentor.errors import BadInput

SIDES = st.tuples(st.integers(1, 20), st.integers(1, 20))
MEMBERS = {"a.png": b"image", "a.label.png": b"m" * 1000, "a" * 150 + ".json": b"{}", "b.é.png": b""}


def write(path: Path, members: dict[str, bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    writer = ShardWriter(path)
    for name, data in members.items():
        writer.add(name, data)
    writer.close()
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path / "shards" / "x-00000.tar", MEMBERS)
    return tmp_path


@given(st.tuples(st.integers(1, 20), st.integers(1, 20), st.just(3)).flatmap(lambda s: hnp.arrays(np.uint8, s)))
def test_images_come_back(pixels: np.ndarray) -> None:
    data = encode_image(pixels)
    np.testing.assert_array_equal(decode_image(data), pixels)
    with Image.open(io.BytesIO(data)) as image:
        assert image.mode == "RGB"
        np.testing.assert_array_equal(np.asarray(image), pixels)


@given(SIDES.flatmap(lambda s: hnp.arrays(bool, s)))
def test_boolean_masks_come_back(mask: np.ndarray) -> None:
    back = decode_mask(encode_mask(mask))
    assert back.dtype == bool and instances_of(mask) is None
    np.testing.assert_array_equal(back, mask)


@given(SIDES.flatmap(lambda s: hnp.arrays(np.int32, s, elements=st.sampled_from([0, 1, 2, 255, 256, 65_535]))))
def test_instance_numbers_come_back(mask: np.ndarray) -> None:
    back = decode_mask(encode_mask(mask))
    assert back.dtype == np.uint16
    np.testing.assert_array_equal(back, mask)
    assert instances_of(mask) == len(set(mask.ravel().tolist()) - {0})


@given(SIDES.flatmap(lambda s: hnp.arrays(np.int64, s, elements=st.sampled_from([0, 5, 65_536, 10**9]))))
def test_larger_numbers_are_renumbered(mask: np.ndarray) -> None:
    back = decode_mask(encode_mask(mask))
    pairs = set(zip(mask.ravel().tolist(), back.ravel().tolist(), strict=True))
    assert len(pairs) == len({old for old, _ in pairs}) == len({new for _, new in pairs})
    assert ((back == 0) == (mask == 0)).all()


def test_large_numbers_without_background_are_not_taken_for_it() -> None:
    mask = np.full((4, 4), 70_000)
    mask[0] = 80_000
    back = decode_mask(encode_mask(mask))
    assert (back > 0).all() and len(np.unique(back)) == 2


def test_too_many_instances_are_refused() -> None:
    with pytest.raises(BadInput, match="65,535"):
        encode_mask(np.arange(70_000).reshape(700, 100))


def test_same_members_same_bytes(tmp_path: Path) -> None:
    one, two = (write(tmp_path / name, MEMBERS) for name in ("one.tar", "two.tar"))
    os.utime(two, (0, 0))
    assert one.read_bytes() == two.read_bytes()


def test_strangers_read_it(folder: Path) -> None:
    path = folder / "shards" / "x-00000.tar"
    with tarfile.open(path) as tar:
        assert {m.name: tar.extractfile(m).read() for m in tar} == MEMBERS  # type: ignore[union-attr]
        assert all(m.isreg() and m.mtime == 0 for m in tar)
    if shutil.which("tar"):
        listed = subprocess.run(
            ["tar", "--quoting-style=literal", "-tf", path], capture_output=True, text=True, check=True
        )
        assert listed.stdout.splitlines() == list(MEMBERS) and not listed.stderr


def test_members_are_read_in_place(folder: Path) -> None:
    shards = Shards(folder)
    assert shards.members("shards/x-00000.tar") == list(MEMBERS)
    for name, data in MEMBERS.items():
        assert shards.read(f"shards/x-00000.tar/{name}") == data
    there = pickle.loads(pickle.dumps(shards))  # noqa: S301
    assert there.read("shards/x-00000.tar/a.png") == b"image"
    shards.close()
    there.close()


def test_few_shards_are_open_at_once(tmp_path: Path) -> None:
    for number in range(OPEN_SHARDS + 5):
        write(tmp_path / f"{number}.tar", {"n": str(number).encode()})
    shards, before = Shards(tmp_path), len(os.listdir("/proc/self/fd"))
    for _ in range(2):
        assert [shards.read(f"{n}.tar/n") for n in range(OPEN_SHARDS + 5)] == [
            str(n).encode() for n in range(OPEN_SHARDS + 5)
        ]
    assert len(os.listdir("/proc/self/fd")) <= before + OPEN_SHARDS
    shards.close()
    assert len(os.listdir("/proc/self/fd")) == before


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("shards/x-00000.tar/none.png", "has no member none.png"),
        ("shards/x-00001.tar/a.png", "missing or no whole shard"),
        ("../outside.tar/a.png", "leaves the folder"),
        ("shards/../../outside.tar/a.png", "leaves the folder"),
        ("{absolute}/outside.tar/a.png", "leaves the folder"),
        ("a.png", "missing or no whole shard"),
        ("shards/a.png", "missing or no whole shard"),
        ("", "missing or no whole shard"),
        ("shards/notes.tar/a.png", "missing or no whole shard"),
        ("shards/empty.tar/a.png", "missing or no whole shard"),
        ("shards/x\0.tar/a.png", "is no path"),
    ],
)
def test_what_is_not_there_is_told(tmp_path: Path, path: str, expected: str) -> None:
    folder = tmp_path / "set"
    write(folder / "shards" / "x-00000.tar", MEMBERS)
    write(tmp_path / "outside.tar", MEMBERS)
    (folder / "shards" / "notes.tar").write_text("no archive " * 200)
    (folder / "shards" / "empty.tar").touch()
    shards = Shards(folder)
    with pytest.raises(BadInput, match=expected):
        shards.read(path.replace("{absolute}", str(tmp_path)))
    shards.close()


@given(st.integers(0, 3000))
def test_a_cut_shard_gives_whole_members_or_an_error(tmp_path_factory: pytest.TempPathFactory, size: int) -> None:
    folder = tmp_path_factory.mktemp("cut")
    members = {"one.png": b"1" * 700, "two.png": b"2" * 600}
    path = write(folder / "x.tar", members)
    os.truncate(path, min(size, 2560))
    shards = Shards(folder)
    for name, data in members.items():
        try:
            assert shards.read(f"x.tar/{name}") == data
        except BadInput:
            continue
    if size < 512 + 700:
        with pytest.raises(BadInput):
            shards.read("x.tar/one.png")
    shards.close()


@pytest.mark.parametrize("cut", [0, 1, 20, 60])
def test_damaged_pictures_are_told(cut: int) -> None:
    noise = np.random.default_rng(0).integers(0, 256, (30, 30, 3), dtype=np.uint8)
    with pytest.raises(BadInput, match="damaged"):
        decode_image(encode_image(noise)[:cut])
    with pytest.raises(BadInput, match="damaged"):
        decode_mask(encode_mask(noise[..., 0].astype(np.int32))[:cut])
