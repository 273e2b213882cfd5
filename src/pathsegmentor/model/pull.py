"""Models in and out: from the Hub, from a plain folder, from a released checkpoint; to the Hub and to a folder.

A model is checked before it gets its name, and a half one never has it.
"""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path

from pathsegmentor.atomic import hidden, sha256_of, written
from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.model import hub
from pathsegmentor.model.catalog import CHECKPOINTS, Checkpoint
from pathsegmentor.model.find import bundled
from pathsegmentor.model.folder import (
    MOST_BYTES,
    MOST_WEIGHTS_BYTES,
    REQUIRED,
    SUMS,
    check_model,
    sums_of,
)
from pathsegmentor.model.foreign import shown
from pathsegmentor.model.released import import_checkpoint
from pathsegmentor.model.store import check_free, home, part_of, put
from pathsegmentor.model.tokenizer import MOST_TOKENIZER_BYTES, read_tokenizer

MOST_FILES = 64


@dataclass(frozen=True)
class Pulled:
    """A model that is ready: what to call it, and its folder."""

    name: str
    folder: Path


def pull(source: str, out: Path | None = None) -> Pulled:
    """Get a model by the name of a released checkpoint, a model folder, or a Hub repository.

    It lies in ``out``, or under its own name among the pulled models, where a later version takes the place of an
    earlier one. Raises ``BadModel`` if it cannot be had or is no whole model, ``BadInput`` if ``out`` is taken.
    """
    folder = Path(source)
    if source in CHECKPOINTS:
        place = _place(source, out)
        _convert(CHECKPOINTS[source](), place)
    elif source.strip() and folder.is_dir():
        place = _place(folder.resolve().name, out)
        copy_model(folder, place)
    elif hub.HUB_ID.fullmatch(source):
        place = _place(source, out)
        _download(source, place)
    else:
        raise BadModel(
            f"{shown(source)} is nothing to pull; give {', '.join(CHECKPOINTS)}, a model folder, or a Hub id OWNER/NAME"
        )
    return Pulled(str(out) if out else place.relative_to(home()).as_posix(), place)


def copy_model(folder: Path, place: Path) -> None:
    """Copy a model folder's own files, and nothing else that lies there; raises ``BadModel`` unless it is whole."""
    sums = check_model(folder).sums
    if place.exists() and place.samefile(folder):
        raise BadInput(f"{folder} is there already; there is nothing to copy")
    with written(place):
        place.parent.mkdir(parents=True, exist_ok=True)
        with hidden(place.parent, is_folder=True) as beside:
            new = beside / "model"
            new.mkdir()
            for name in (*sums, SUMS):
                shutil.copyfile(folder / name, new / name)
            check_model(new)
            put(new, place)


def push(folder: Path, repo: str, public: bool) -> str:
    """Upload a whole model to a Hub repository, private unless ``public``; returns the commit's address."""
    if not hub.HUB_ID.fullmatch(repo):
        raise BadInput(f"{shown(repo)} is no Hub id; expected OWNER/NAME")
    sums = check_model(folder).sums
    return hub.give([folder / name for name in (*sums, SUMS)], repo, public)


def _place(name: str, out: Path | None) -> Path:
    if out is not None:
        check_free(out)
        return out
    if name in bundled():
        raise BadInput(f"{name} is the name of a bundled model; add --out")
    if name in CHECKPOINTS and Path(name).is_dir():
        raise BadInput(f"{name} is also a folder here, which the name means; move it away, or add --out")
    return home() / name


def _download(repo: str, place: Path) -> None:
    """A model folder that is a Hub repository; only the files that its list of hashes names are fetched."""
    with part_of(place) as part:
        new = part / "model"
        commit = hub.commit_of(repo)
        hub.fetch(repo, commit, SUMS, new, MOST_BYTES[SUMS])
        sums = sums_of(new)
        lacking = [name for name in REQUIRED if name not in sums]
        if lacking:
            raise BadModel(f"{repo} is no model folder of pathsegmentor: its {SUMS} does not name {lacking[0]}")
        if len(sums) > MOST_FILES:
            raise BadModel(f"{repo}: its {SUMS} names {len(sums)} files, more than {MOST_FILES}")
        for name, sha256 in sums.items():
            path = hub.fetch(repo, commit, name, new, MOST_BYTES.get(name, MOST_WEIGHTS_BYTES))
            if sha256_of(path) != sha256:
                path.unlink()
                raise BadModel(f"{repo}: {name} is damaged (its SHA-256 is not the one in {SUMS}); try again")
        hub.forget(new)
        check_model(new)
        put(new, place)


def _convert(checkpoint: Checkpoint, place: Path) -> None:
    """A released checkpoint and its tokenizer, made a model folder once."""
    with part_of(place) as part:
        words = _fetched(checkpoint.tokenizer_repo, checkpoint.tokenizer_file, part / "words", MOST_TOKENIZER_BYTES)
        _check_reads(checkpoint, words)
        commit = hub.commit_of(checkpoint.repo)
        weights = hub.fetch(checkpoint.repo, commit, checkpoint.file, part / "weights", MOST_WEIGHTS_BYTES)
        new = part / "model"
        shutil.rmtree(new, ignore_errors=True)
        card = checkpoint.card(commit, sha256_of(weights))
        import_checkpoint(weights, new, words, checkpoint.config, checkpoint.labels, card)
        put(new, place)


def _fetched(repo: str, name: str, folder: Path, most: int) -> Path:
    return hub.fetch(repo, hub.commit_of(repo), name, folder, most)


def _check_reads(checkpoint: Checkpoint, path: Path) -> None:
    """Raise ``BadModel`` unless the tokenizer is the one that the weights were trained with."""
    tokenizer = read_tokenizer(path)
    for text, ids in checkpoint.reads.items():
        found = tuple(tokenizer.encode(text).ids)
        if found != ids:
            path.unlink()
            raise BadModel(
                f"{checkpoint.tokenizer_repo}: {checkpoint.tokenizer_file} reads '{text}' as {list(found)}, expected"
                f" {list(ids)}; it is not the tokenizer of {checkpoint.file}"
            )
