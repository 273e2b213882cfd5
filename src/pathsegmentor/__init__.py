"""Segment anything in H&E pathology images from words.

Importing the package loads no torch: public names arrive on first use.
"""

from __future__ import annotations

import os
from importlib import import_module
from typing import TYPE_CHECKING, Any

__version__ = "0.1.0"

# torch's threads that wait for each other shall sleep: spinning, as OpenMP does by default, costs most where another
# process needs the core. It is read when torch is loaded; whoever has chosen otherwise keeps it.
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

_PUBLIC = {
    "Label": "pathsegmentor.vocabulary",
    "Picture": "pathsegmentor.imaging",
    "Segmenter": "pathsegmentor.segment",
    "Vocabulary": "pathsegmentor.vocabulary",
    "read_picture": "pathsegmentor.imaging",
}

__all__ = ["Label", "Picture", "Segmenter", "Vocabulary", "read_picture"]

if TYPE_CHECKING:
    from pathsegmentor.imaging import Picture, read_picture
    from pathsegmentor.segment import Segmenter
    from pathsegmentor.vocabulary import Label, Vocabulary


def __getattr__(name: str) -> Any:
    if name not in _PUBLIC:
        raise AttributeError(f"module 'pathsegmentor' has no attribute '{name}'")
    return getattr(import_module(_PUBLIC[name]), name)
