"""Packages of the extra ``slide``: imported when a slide needs them, named when they are missing."""

from __future__ import annotations

from importlib import import_module
from types import ModuleType

from pathsegmentor.errors import BadInput

INSTALL = "pip install 'pathsegmentor[slide]'"


def needed(module: str) -> ModuleType:
    """A module of the extra; raises ``BadInput`` (without the path) with the command that installs it."""
    try:
        return import_module(module)
    except ImportError as error:
        raise BadInput(f"needs {module}, which is not installed: {INSTALL}") from error


def has(module: str) -> bool:
    """Whether a module of the extra can be imported."""
    try:
        import_module(module)
    except ImportError:
        return False
    return True
