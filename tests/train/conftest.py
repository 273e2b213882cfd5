from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.train.tiny import make_data


@pytest.fixture(scope="session")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A PathSeg of four tiny images, read-only; ``mutants.py`` builds it once for all faults."""
    if "TINY_PATHSEG" in os.environ:
        return Path(os.environ["TINY_PATHSEG"])
    return make_data(tmp_path_factory.mktemp("data"))
