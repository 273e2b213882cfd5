"""Which model a name means: a bundled one, a folder, or a Hub repository."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import torch

from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.model.folder import CONFIG, WEIGHTS, Model, load_model
from pathsegmentor.model.foreign import shown

_HUB_ID = re.compile(r"[\w.-]+/[\w.-]+")


def bundled() -> dict[str, Path]:
    """Folders of the models inside the package, by name."""
    root = Path(str(files("pathsegmentor"))) / "models"
    if not root.is_dir():
        return {}
    return {path.name: path for path in sorted(root.iterdir()) if path.is_dir()}


def find_model(name: str, device: str = "cpu") -> Model:
    """Load a bundled model by name, a model folder by path, or a Hub repository by ``owner/name``."""
    check_device(device)
    shown, folder = find_folder(name)
    return load_model(folder, shown, device)


def find_folder(name: str) -> tuple[str, Path]:
    """The model's own name and its folder; raises ``BadModel`` if the name means none."""
    inside = bundled()
    if name in inside:
        return name, inside[name]
    folder = Path(name)
    try:
        if not name.strip():
            raise BadModel(f"no model is named; bundled: {', '.join(inside) or 'none'}; or give a model folder")
        if folder.is_dir():
            return folder.resolve().name, folder
        if folder.is_file():
            raise BadModel(f"{name} is a file; a model is a folder with {CONFIG}, {WEIGHTS} and more")
        if _HUB_ID.fullmatch(name) and not folder.exists():
            return name, _from_hub(name)
    except (OSError, ValueError) as error:  # a name that no file can have
        raise BadModel(f"unknown model {shown(name)}: {getattr(error, 'strerror', None) or error}") from error
    raise BadModel(f"unknown model {shown(name)}; bundled: {', '.join(inside) or 'none'}; or give a model folder")


def check_device(device: str) -> None:
    """Raise ``BadInput`` if torch cannot compute on the device on this machine."""
    try:
        # Only a value that comes back proves it: the meta device takes everything and returns nothing.
        torch.zeros(1, device=device).item()
    except Exception as error:  # each kind of device fails in its own class
        raise BadInput(f"device '{device}' is not available here; use --device cpu") from error


def _from_hub(name: str) -> Path:
    """Folder of a Hub repository, downloaded once; ``HF_HUB_OFFLINE=1`` forbids the download."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, allow_patterns=["*.json", "*.safetensors", "*.md", "SHA256SUMS"]))
    except Exception as error:  # network, permission, unknown repository: many classes, one meaning
        raise BadModel(
            f"'{name}' is no bundled model or folder, and the Hub did not give it: {_line(error)}"
        ) from error


def _line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
