"""Figures of ``data stats`` replace earlier ones of theirs, and no other file."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from pathsegmentor.data.figures import draw_figures
from pathsegmentor.errors import BadInput
from tests.train.tiny import make_data


def test_only_its_own_figures_are_replaced(tmp_path: Path, example_images: Path) -> None:
    data, out = make_data(tmp_path), tmp_path / "figures"
    made = draw_figures(data, out)
    assert sorted(path.name for path in out.iterdir()) == ["labels.png", "shares.png", "sources.png"]
    made[0].write_bytes(made[1].read_bytes())
    draw_figures(data, out)
    assert made[0].read_bytes() != made[1].read_bytes()
    others = {"png": (example_images / "ebhi_adenocarcinoma_mask.png").read_bytes(), "text": b"mine", "empty": b""}
    for kind, content in others.items():
        folder = tmp_path / kind
        folder.mkdir()
        (folder / "labels.png").write_bytes(content)
        with pytest.raises(BadInput, match=r"labels\.png is there already, and is not from 'data stats'"):
            draw_figures(data, folder)
        assert [path.name for path in folder.iterdir()] == ["labels.png"], "nothing is half written"
        assert (folder / "labels.png").read_bytes() == content
    with Image.open(made[0]) as figure:
        assert figure.width > 500
