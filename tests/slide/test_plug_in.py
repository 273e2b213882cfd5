"""A reader that another package brings, as the guide shows it."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

from pathsegmentor.errors import BadInput
from pathsegmentor.slide import open_slide
from tests.slide.made import region

GUIDE = (Path(__file__).parents[2] / "docs" / "slides.md").read_text(encoding="utf-8")
CODE = GUIDE.partition("## Readers of other packages")[2].partition("```python\n")[2].partition("```")[0]


def install(place: Path, code: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What installing a package leaves: a module, and the metadata that names its entry point."""
    info = place / "numpy_slides-1.0.dist-info"
    info.mkdir(parents=True)
    (place / "numpy_slides.py").write_text(code)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: numpy-slides\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[pathsegmentor.readers]\nnumpy = numpy_slides:READER\n")
    monkeypatch.syspath_prepend(str(place))
    monkeypatch.delitem(sys.modules, "numpy_slides", raising=False)


def test_the_reader_of_the_guide(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np.save(tmp_path / "a.npy", region(300))
    with pytest.raises(BadInput):
        open_slide(tmp_path / "a.npy")
    install(tmp_path / "site", CODE, monkeypatch)
    with open_slide(tmp_path / "a.npy") as slide:
        assert slide.reader == "numpy" and slide.mpp == (0.5, 0.5)
        assert np.array_equal(slide.read(0, 0, 300, 300), region(300))


@pytest.mark.parametrize("code", ["raise RuntimeError('broken')", "READER = 3"])
def test_a_reader_that_does_not_work_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    np.save(tmp_path / "a.npy", region(300))
    install(tmp_path / "site", code, monkeypatch)
    with pytest.raises(BadInput, match="reader numpy"):
        open_slide(tmp_path / "a.npy")
