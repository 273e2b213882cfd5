"""A model folder that anyone may have made: each broken one is one line that names the file and the field."""

from __future__ import annotations

import json
import shutil
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from pathsegmentor.model.folder import CONFIG, SUMS, TOKENIZER, VOCABULARY, WEIGHTS, write_sums
from tests.cli.conftest import Done, here  # noqa: F401
from tests.made_pictures import pale_stroma
from tests.model.small import small_model

Run = Callable[..., Done]
TOWER = "image_tower.patch_embed.proj.weight"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return small_model(tmp_path / "model")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    Image.fromarray(pale_stroma(96)).save(tmp_path / "image.png")
    return tmp_path / "image.png"


def segment(here: Run, image: Path, folder: object) -> Done:  # noqa: F811
    return here("segment", image, "glands in colon", "--mpp", 1, "--model", folder, "--out", image.parent / "out")


def refused(here: Run, image: Path, folder: object, *says: str) -> str:  # noqa: F811
    """One line, exit code 2, nothing written."""
    done = segment(here, image, folder)
    assert (done.code, done.out, len(done.err.strip().splitlines())) == (2, "", 1), done
    assert all(text in done.err for text in says), done.err
    assert done.err.strip().isprintable() and len(done.err) < 800
    assert not list((image.parent / "out").rglob("*"))
    return done.err


def change_json(path: Path, change: Callable[[Any], object]) -> None:
    """Change a document in place, or put in its place what the change gives; the hashes are made right again."""
    document = json.loads(path.read_text(encoding="utf-8"))
    changed = change(document)
    path.write_text(json.dumps(document if changed is None else changed), encoding="utf-8")
    write_sums(path.parent)


def change_weights(folder: Path, change: Callable[[dict[str, torch.Tensor]], object]) -> None:
    state = load_file(folder / WEIGHTS)
    change(state)
    save_file(state, folder / WEIGHTS)
    write_sums(folder)


def put(*place: Any) -> Callable[[Any], None]:
    """A change that puts the last value under the keys before it."""
    *keys, last, value = place

    def change(document: Any) -> None:
        for key in keys:
            document = document[key]
        document[last] = value

    return change


CONFIGS: dict[str, tuple[Callable[[Any], object], str, str]] = {
    "unknown": (put("image", "embed_dims", 8), "config.image: unknown setting 'embed_dims'", "embed_dim"),
    "zero width": (put("image", "embed_dim", 0), "config.image.embed_dim: 0", "between 8 and 4,096"),
    "negative layers": (put("decoder", "layers", -1), "config.decoder.layers: -1", "between 1 and 64"),
    "endless layers": (put("text", "layers", 10**9), "config.text.layers: 1000000000", "between 1 and 64"),
    "heads": (put("decoder", "heads", 3), "config.decoder: heads 3", "divide hidden 8"),
    "heads of the pyramid": (put("pixel", "heads", 3), "config.pixel: heads 3", "divide conv_dim 8"),
    "heads of words": (put("text", "heads", 3), "config.text: heads 3", "divide width 8"),
    "groups": (put("pixel", "groups", 3), "config.pixel: groups 3", "divide conv_dim 8"),
    "fine groups": (put("pixel", "fine_dim", 12), "config.pixel: fine_dim 12", "multiple of 8"),
    "odd width": (put("pixel", {"conv_dim": 9, "heads": 1, "groups": 1}), "conv_dim 9 is odd", "half of it"),
    "widths apart": (put("decoder", "hidden", 16), "pixel.conv_dim 8", "decoder.hidden 16"),
    "five stages": (put("image", "depths", [1] * 5), "config.image: depths has 5 stages", "expected 4"),
    "even window": (put("image", "focal_window", 4), "config.image: focal_window 4", "odd"),
    "drop path": (put("image", "drop_path", 1.0), "config.image.drop_path: 1.0", "between 0 and 0.9"),
    "tower": (put("image", "kind", "resnet"), "config.image.kind: 'resnet'", "focalnet, lite"),
    "two means": (put("mean", [1, 2]), "config.mean: 2 values", "expected 3"),
    "mean": (put("mean", [1, 2, 300]), "config.mean: 300.0", "between 0 and 255"),
    "std of zero": (put("std", [1, 0, 1]), "config.std: 0.0", "between 1 and 1,000"),
    "std on another scale": (put("std", [0.229, 0.224, 0.225]), "config.std: 0.229", "between 1 and 1,000"),
    "mpp": (put("default_mpp", 0), "config.default_mpp: 0.0", "between 0.003 and 20"),
    "mpp of a label": (put("mpp", {"colon-tissue-gland": -1}), "config.mpp.colon-tissue-gland: -1.0", "0.003"),
    "mpp of no label": (put("mpp", {"gland": 1}), "mpp: 'gland' is no label id", "region-structure-object"),
    "prompt of no label": (put("prompts", {"gland": "x"}), "prompts: 'gland' is no label id", "region-structure"),
    "no prompt": (put("prompts", {"colon-tissue-gland": " "}), "prompts: ' ' is no text of 1 to 200", "config.json"),
    "endless prompt": (put("prompts", {"colon-tissue-gland": "x" * 201}), "is no text of 1 to 200", "config.json"),
    "prompt that commands": (put("prompts", {"colon-tissue-gland": "\x1b[2J"}), "'\\x1b[2J' is no text", "config.json"),
    "prompt of another kind": (
        put("prompts", {"colon-tissue-gland": 7}),
        "config.prompts.colon-tissue-gland: 7",
        "str",
    ),
    "overlap": (put("overlap", 60), "config: overlap 60", "half of tile 64"),
    "negative overlap": (put("overlap", -1), "config.overlap: -1", "between 0 and 2,048"),
    "tile": (put("tile", 10**6), "config.tile: 1000000", "between 32 and 4,096"),
    "threshold": (put("threshold", 1.5), "config.threshold: 1.5", "between 0 and 1"),
    "order": (put("absent_below", 0.9), "config: absent_below 0.9", "present_above 0.65"),
    "truth as number": (put("tile", True), "config.tile: True", "int"),
    "number as text": (put("tile", "64"), "config.tile: '64'", "int"),
    "null": (put("text", None), "config.text", "NoneType"),
    "list": (lambda _: [1], "config: expected a table", "list"),
    "together too large": (
        lambda c: c["pixel"].update(mask_dim=4096) or put("tile", 4096)(c),
        "tile 4096",
        "268,435,456",
    ),
    "together endless": (
        lambda c: c["text"].update(width=4096, layers=64, feedforward=16384, vocab=10**6, heads=2),
        "config.json describes a network of",
        "more than 3,000,000,000",
    ),
    "another network": (put("text", "width", 16), "model.safetensors does not fit config.json", "expected (4, 16)"),
    "control characters": (put("a\x1b[2J\n" * 99, 1), "unknown setting 'a\\x1b[2J\\n", "..."),
}


@pytest.mark.parametrize("kind", CONFIGS)
def test_a_config_out_of_range(folder: Path, image: Path, here: Run, kind: str) -> None:  # noqa: F811
    change, *says = CONFIGS[kind]
    change_json(folder / CONFIG, change)
    refused(here, image, folder, *says)


BROKEN_TEXTS = {
    "no json": (b"{", "config.json cannot be read", "line 1"),
    "empty": (b"", "config.json cannot be read", "Expecting value"),
    "not a number": (b'{"threshold": NaN}', "config.json cannot be read", "NaN is no number"),
    "said twice": (b'{"tile": 64, "tile": 96}', "config.json cannot be read", "'tile' stands there twice"),
    "deep": (b"[" * 100_000, "config.json cannot be read", "nested too deeply"),
    "latin": (b'{"\xe9": 1}', "config.json cannot be read", "utf-8"),
    "huge": (b" " * 1_000_001 + b"{}", "config.json has 1,000,003 bytes", "1,000,000"),
}


@pytest.mark.parametrize("kind", BROKEN_TEXTS)
def test_a_config_that_is_no_document(folder: Path, image: Path, here: Run, kind: str) -> None:  # noqa: F811
    content, *says = BROKEN_TEXTS[kind]
    (folder / CONFIG).write_bytes(content)
    write_sums(folder)
    refused(here, image, folder, *says)


BOMB = {"type": "Split", "pattern": {"Regex": "(a|a)*$"}, "behavior": "Isolated", "invert": False}
DOUBLING = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
MISSING_MARK = {
    "type": "TemplateProcessing",
    "single": [{"SpecialToken": {"id": "<end>", "type_id": 0}}],
    "pair": [],
    "special_tokens": {},
}
FAR_MARK = {
    "type": "TemplateProcessing",
    "single": [{"Sequence": {"id": "A", "type_id": 0}}, {"SpecialToken": {"id": "<end>", "type_id": 0}}],
    "pair": [],
    "special_tokens": {"<end>": {"id": "<end>", "ids": [4], "tokens": ["<end>"]}},
}
BPE = {"type": "BPE", "dropout": None, "unk_token": "u", "vocab": {"u": 0, "a": 1}, "merges": []}
TOKENIZERS: dict[str, tuple[Callable[[Any], object], str]] = {
    "endless pattern": (put("pre_tokenizer", BOMB), "pre_tokenizer Split holds the pattern"),
    "hidden pattern": (
        put("pre_tokenizer", {"type": "Sequence", "pretokenizers": [{"type": "Sequence", "pretokenizers": [BOMB]}]}),
        "pre_tokenizer Split holds the pattern",
    ),
    "exploding text": (
        put("normalizer", {"type": "Sequence", "normalizers": [DOUBLING] * 40}),
        "normalizer Replace holds the pattern",
    ),
    "pattern where nothing is read": (put("decoder", DOUBLING), "decoder 'Replace' is not allowed"),
    "many parts": (put("normalizer", {"type": "Sequence", "normalizers": [{"type": "NFKD"}] * 99}), "more than 16"),
    "precompiled": (put("normalizer", {"type": "Precompiled", "precompiled_charsmap": "AAAA"}), "'Precompiled' is not"),
    "part without kind": (put("normalizer", {"kind": "NFC"}), "normalizer None is not allowed"),
    "part as text": (put("normalizer", "NFC"), "normalizer 'NFC' is not allowed"),
    "missing mark": (put("post_processor", MISSING_MARK), "names the mark '<end>' but does not explain it"),
    "token beyond the embedding": (put("post_processor", FAR_MARK), "as token 4; text.vocab is 4"),
    "nothing read": (put("model", BPE | {"unk_token": None, "vocab": {"Z": 0}}), "the tokenizer finds nothing in"),
    "no unknown": (put("model", "unk_token", "nobody"), "Missing [UNK]"),
    "panic": (put("model", BPE | {"continuing_subword_prefix": "abcdef"}), "continuing_subword_prefix"),
    "dropout": (put("model", BPE | {"dropout": 0.5}), "dropout"),
    "unigram": (put("model", {"type": "Unigram", "vocab": [["a", -1.0]], "unk_id": 5}), "'Unigram' is not allowed"),
    "negative token": (put("model", "vocab", {"[UNK]": -1}), "is no tokenizer"),
    "broken merge": (put("model", BPE | {"merges": [["q", "z"]]}), "is no tokenizer"),
    "no model": (put("model", None), "model is None"),
    "list": (lambda _: [1], "expected a table, found list"),
}


@pytest.mark.parametrize("kind", TOKENIZERS)
def test_a_tokenizer_that_cannot_be_used(folder: Path, image: Path, here: Run, kind: str) -> None:  # noqa: F811
    change, says = TOKENIZERS[kind]
    change_json(folder / TOKENIZER, change)
    refused(here, image, folder, "tokenizer.json", says)


def test_a_tokenizer_may_not_cut_or_pad_by_itself(folder: Path, image: Path, here: Run) -> None:  # noqa: F811
    """A stride beyond the length makes the library panic, a huge multiple fills the memory."""
    cut = {"direction": "Right", "max_length": 3, "strategy": "LongestFirst", "stride": 5}
    pad = {"strategy": "BatchLongest", "direction": "Right", "pad_to_multiple_of": 2**40}
    pad |= {"pad_id": 0, "pad_type_id": 0, "pad_token": "x"}
    change_json(folder / TOKENIZER, lambda t: t.update(truncation=cut, padding=pad))
    assert segment(here, image, folder).code == 0


VOCABULARIES: dict[str, tuple[Any, str]] = {
    "empty": ([], "is not a list of label ids"),
    "table": ({"a": 1}, "is not a list of label ids"),
    "number": ([1], "1 is no label id"),
    "no label": (["gland"], "'gland' is no label"),
    "blank part": (["colon- -gland"], "is no label"),
    "twice": (["a-b-c", "A-b-C"], "are one label"),
    "one file name": (["a-b-c d", "a-b-c_d"], "one file name"),
    "one form": (["a-b-caf\u00e9", "a-b-cafe\u0301"], "one file name"),
    "control": (["a-b-c\x1b[2J"], "'a-b-c\\x1b[2J' is no label id"),
    "right to left": (["a-b-c\u202e"], "is no label id"),
    "surrogate": (["a-b-\ud800"], "is no label id"),
    "long": (["a-b-" + "c" * 500], "at most 120"),
    "many": ([f"a-b-{n}" for n in range(10_001)], "10,001 labels"),
}


@pytest.mark.parametrize("kind", VOCABULARIES)
def test_a_vocabulary_that_cannot_be_used(folder: Path, image: Path, here: Run, kind: str) -> None:  # noqa: F811
    labels, says = VOCABULARIES[kind]
    change_json(folder / VOCABULARY, lambda _: labels)
    refused(here, image, folder, "vocabulary.json", says)


STATES: dict[str, tuple[Callable[[dict[str, torch.Tensor]], object], str]] = {
    "not a number": (lambda s: s[TOWER].view(-1)[5:6].fill_(float("nan")), f"{TOWER} holds values that are infinite"),
    "infinite": (lambda s: s[TOWER].fill_(float("inf")), f"{TOWER} holds values that are infinite"),
    "infinite in 32 bits": (
        lambda s: s.update({TOWER: s[TOWER].double().fill_(1e300)}),
        f"{TOWER} holds values that are infinite",
    ),
    "integers": (lambda s: s.update({TOWER: s[TOWER].int()}), f"{TOWER} holds I32, expected floats"),
    "truths": (lambda s: s.update({TOWER: s[TOWER].bool()}), f"{TOWER} holds BOOL, expected floats"),
    "small floats": (lambda s: s.update({TOWER: s[TOWER].to(torch.float8_e4m3fn)}), "expected floats"),
    "shape": (lambda s: s.update({TOWER: torch.zeros(2, 3)}), f"{TOWER} is (2, 3), expected (8, 3, 7, 7)"),
    "missing": (lambda s: s.pop(TOWER), f"missing {TOWER}"),
    "unexpected": (lambda s: s.update({"a\n\x1b": torch.zeros(1)}), "unexpected a\\n\\x1b"),
    "nothing": (lambda s: s.clear(), "missing"),
}


@pytest.mark.parametrize("kind", STATES)
def test_weights_that_cannot_be_used(folder: Path, image: Path, here: Run, kind: str) -> None:  # noqa: F811
    change, says = STATES[kind]
    change_weights(folder, change)
    refused(here, image, folder, "model.safetensors", says)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
def test_floats_of_any_width_are_read(folder: Path, image: Path, here: Run, dtype: torch.dtype) -> None:  # noqa: F811
    change_weights(folder, lambda s: s.update({name: tensor.to(dtype) for name, tensor in s.items()}))
    assert segment(here, image, folder).code == 0


def test_finite_weights_that_give_no_numbers(folder: Path, image: Path, here: Run) -> None:  # noqa: F811
    change_weights(folder, lambda s: [s[name].fill_(3e38) for name in s if name.startswith("pixel_decoder.mask")])
    refused(here, image, folder, "gives probabilities that are no numbers")


HEADERS = {
    "endless": struct.pack("<Q", 2**62) + b"{}",
    "empty": b"",
    "cut": struct.pack("<Q", 100) + b"{",
    "no json": struct.pack("<Q", 2) + b"{]",
    "negative": struct.pack("<Q", 58) + b'{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}    ',
    "terabytes": struct.pack("<Q", 74) + b'{"a":{"dtype":"F32","shape":[1000000,1000000],"data_offsets":[0,4]}}      ',
}


@pytest.mark.parametrize("kind", HEADERS)
def test_a_header_that_lies(folder: Path, image: Path, here: Run, kind: str) -> None:  # noqa: F811
    (folder / WEIGHTS).write_bytes(HEADERS[kind])
    write_sums(folder)
    refused(here, image, folder, "model.safetensors cannot be read")


def test_weights_far_larger_than_the_config_are_not_even_hashed(folder: Path, image: Path, here: Run) -> None:  # noqa: F811
    with (folder / WEIGHTS).open("ab") as file:
        file.truncate(10**12)  # a hole: it takes no room on the disk
    refused(here, image, folder, "model.safetensors has 1,000,000,000,000 bytes")


def cut(folder: Path, name: str) -> Path:
    (folder / name).unlink()
    return folder / name


FOLDERS: dict[str, tuple[Callable[[Path], object], str]] = {
    "no sums": (lambda f: cut(f, SUMS), "has no SHA256SUMS"),
    "empty sums": (lambda f: (f / SUMS).write_text(""), "config.json is missing"),
    "sums of another kind": (lambda f: (f / SUMS).write_text("d41d8cd9  config.json\n"), "is no line of the form"),
    "sums outside": (lambda f: (f / SUMS).write_text(f"{'0' * 64}  ../config.json\n"), "is no line of the form"),
    "sums of the folder above": (lambda f: (f / SUMS).write_text(f"{'0' * 64}  ..\n"), "is no line of the form"),
    "sums outright": (lambda f: (f / SUMS).write_text(f"{'0' * 64}  /etc/passwd\n"), "is no line of the form"),
    "sums with a null": (lambda f: (f / SUMS).write_text(f"{'0' * 64}  a\0b\n"), "is no line of the form"),
    "two sums": (
        lambda f: (f / SUMS).write_text((f / SUMS).read_text() + f"{'0' * 64}  config.json\n"),
        "two hashes of config.json",
    ),
    "altered": (lambda f: (f / CONFIG).write_text("{}"), "config.json is damaged"),
    "no config": (lambda f: cut(f, CONFIG), "config.json is missing"),
    "config is a folder": (lambda f: cut(f, CONFIG).mkdir(), "config.json is missing"),
    "link to nowhere": (lambda f: cut(f, CONFIG).symlink_to("nowhere"), "config.json is missing"),
    "link to itself": (lambda f: cut(f, CONFIG).symlink_to(CONFIG), "config.json is missing"),
    "link to a device": (lambda f: cut(f, WEIGHTS).symlink_to("/dev/zero"), "model.safetensors is missing"),
    "link elsewhere": (lambda f: cut(f, CONFIG).symlink_to("/etc/hostname"), "config.json is damaged"),
    "not there": (shutil.rmtree, "unknown model"),
}


@pytest.mark.parametrize("kind", FOLDERS)
def test_a_folder_that_is_not_whole(folder: Path, image: Path, here: Run, kind: str) -> None:  # noqa: F811
    change, says = FOLDERS[kind]
    change(folder)
    refused(here, image, folder, says)


def test_a_folder_of_links_is_a_model(folder: Path, image: Path, here: Run) -> None:  # noqa: F811
    """The Hub's cache holds links to files that lie elsewhere."""
    linked = folder.parent / "linked"
    linked.mkdir()
    for path in folder.iterdir():
        (linked / path.name).symlink_to(path)
    assert segment(here, image, linked).code == 0


@pytest.mark.parametrize("name", ["", " ", "model/config.json", "nobody\x1b[2J", "a\x00b"])
def test_a_name_that_is_no_folder(folder: Path, image: Path, here: Run, name: str) -> None:  # noqa: F811
    given = str(folder.parent / name) if "/" in name else name
    refused(here, image, given, "model")
