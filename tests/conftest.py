"""For all tests: no network, one thread per process, and the real images that are committed."""

import os
from pathlib import Path

# Before any library reads them.
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TRANSFORMERS_OFFLINE", "1")
os.environ.setdefault("OMP_NUM_THREADS", "2")

import pytest
from hypothesis import settings

# A slow machine is no failure: examples are bounded in number, not in time.
settings.register_profile("house", deadline=None, max_examples=40, derandomize=True)
settings.load_profile("house")

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="session")
def example_images() -> Path:
    """Folder of the committed example images and their masks (``NAME.jpg``, ``NAME_mask.png``)."""
    return ROOT / "examples" / "images"
