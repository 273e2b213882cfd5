"""Which model a name means: a bundled one, a folder, one that was pulled, or a Hub repository."""

from __future__ import annotations

from importlib.resources import files
from pathlib import Path

import torch

from pathsegmentor.errors import BadInput, BadModel
from pathsegmentor.model.folder import CONFIG, WEIGHTS, Model, load_model
from pathsegmentor.model.foreign import shown
from pathsegmentor.model.hub import HUB_ID
from pathsegmentor.model.store import pulled


def bundled() -> dict[str, Path]:
    """Folders of the models inside the package, by name."""
    root = Path(str(files("pathsegmentor"))) / "models"
    if not root.is_dir():
        return {}
    return {path.name: path for path in sorted(root.iterdir()) if path.is_dir()}


def find_model(name: str, device: str = "cpu") -> Model:
    """Load a bundled or pulled model by name, a model folder by path, or a Hub repository by ``owner/name``."""
    check_device(device)
    shown, folder = find_folder(name)
    return load_model(folder, shown, device)


def find_folder(name: str) -> tuple[str, Path]:
    """The model's own name and its folder; raises ``BadModel`` if the name means none.

    A Hub repository that was not pulled yet is pulled now; ``HF_HUB_OFFLINE=1`` forbids it.
    """
    # Pulling asks which names are taken, and so imports this module.
    from pathsegmentor.model.catalog import CHECKPOINTS
    from pathsegmentor.model.pull import pull

    inside = bundled()
    if name in inside:
        return name, inside[name]
    folder = Path(name)
    try:
        if not name.strip():
            raise BadModel(f"no model is named; {_known()}")
        if folder.is_dir():
            return folder.resolve().name, folder
        if folder.is_file():
            raise BadModel(f"{name} is a file; a model is a folder with {CONFIG}, {WEIGHTS} and more")
        if name in (there := pulled()):
            return name, there[name]
        if name in CHECKPOINTS:
            raise BadModel(f"{name} is not on this machine yet; 'pathsegmentor models pull {name}' fetches it")
        if HUB_ID.fullmatch(name) and not folder.exists():
            return name, pull(name).folder
    except (OSError, ValueError) as error:  # a name that no file can have
        raise BadModel(f"unknown model {shown(name)}: {getattr(error, 'strerror', None) or error}") from error
    raise BadModel(f"unknown model {shown(name)}; {_known()}")


def _known() -> str:
    there = pulled()
    more = f"; pulled: {', '.join(there)}" if there else ""
    return f"bundled: {', '.join(bundled()) or 'none'}{more}; or give a model folder"


def check_device(device: str) -> None:
    """Raise ``BadInput`` if torch cannot compute on the device on this machine."""
    try:
        # Only a value that comes back proves it: the meta device takes everything and returns nothing.
        torch.zeros(1, device=device).item()
    except Exception as error:  # each kind of device fails in its own class
        raise BadInput(f"device '{device}' is not available here; use --device cpu") from error
