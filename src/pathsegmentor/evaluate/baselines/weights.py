"""Weights that a user brings: a file, a folder with one, or a Hub id; found, hashed, read without unpickling."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor, nn

from pathsegmentor.atomic import sha256_of
from pathsegmentor.errors import BadModel
from pathsegmentor.model.released import read_checkpoint
from pathsegmentor.model.weights import check_finite, check_fit, kept

HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")
SUFFIXES = (".safetensors", ".pth", ".pt", ".ckpt")
# Where training programs keep the weights beside their optimiser.
TABLES = ("model", "model_state", "state_dict")
# Published files whose hash is known: a file of that name that is another one is damaged, or is not what it says.
PUBLISHED = {"sam_vit_b_01ec64.pth": "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912"}


@dataclass(frozen=True)
class Brought:
    """Tensors by the names they have in the file, and the file with its SHA-256."""

    state: dict[str, Tensor]
    path: Path
    sha256: str


def bring(given: str, tables: Sequence[str] = TABLES) -> Brought:
    """Read the weights that ``given`` means; raises ``BadModel`` for none, several, damaged or unsafe ones."""
    path = weights_file(given)
    sha256 = sha256_of(path)
    _check_published(path, sha256)
    state = read_checkpoint(path, tables, legacy=True)
    check_finite(state, path)
    return Brought({name: t.float() if t.is_floating_point() else t for name, t in state.items()}, path, sha256)


def weights_file(given: str) -> Path:
    """The one file of weights at a path or Hub id; of a folder safetensors are preferred."""
    path = Path(given)
    if path.is_file():
        return path
    if not path.exists() and HUB_ID.fullmatch(given):
        path = _from_hub(given)
    if not path.is_dir():
        raise BadModel(f"{given} does not exist; give a file of weights, a folder with one, or a Hub id (owner/name)")
    for suffix in SUFFIXES:
        there = sorted(path.glob(f"*{suffix}"))
        if len(there) > 1:
            raise BadModel(f"{path} has {len(there)} files of weights ({there[0].name}, {there[1].name}); name one")
        if there:
            return there[0]
    raise BadModel(f"{path} has no file of weights ({', '.join(SUFFIXES)})")


def fill_in(net: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Put weights into a network that was built without memory; names and shapes must all fit."""
    check_fit(net.state_dict(), kept(state), what)
    net.load_state_dict(state, assign=True)
    net.eval().requires_grad_(False)


def _check_published(path: Path, sha256: str) -> None:
    expected = PUBLISHED.get(path.name, sha256)
    if expected != sha256:
        raise BadModel(
            f"{path} has the SHA-256 {sha256}, the published file of this name {expected}: it is damaged, or needs"
            " another name"
        )
    # The habit of torchvision: a name ends in the first digits of the file's hash.
    told = re.search(r"-([0-9a-f]{8})\.pth$", path.name)
    if told and not sha256.startswith(told[1]):
        raise BadModel(f"{path} has the SHA-256 {sha256}, which its name says begins with {told[1]}: it is damaged")


def _from_hub(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=[f"*{suffix}" for suffix in SUFFIXES]))
    except Exception as error:  # network, permission, unknown repository: many classes, one meaning
        line = (str(error).strip().splitlines() or [type(error).__name__])[0]
        raise BadModel(f"'{name}' is no file or folder, and the Hub did not give it: {line}") from error
