"""The card of the bundled model is made from one evaluation's folder."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path
from types import ModuleType

from pathsegmentor.evaluate.summary import summarise
from pathsegmentor.model.find import bundled
from pathsegmentor.model.folder import WEIGHTS
from tests.evaluate.test_summary import GLAND, ROWS, written

ROOT = Path(__file__).parents[2]


def nano_card() -> ModuleType:
    spec = importlib.util.spec_from_file_location("nano_card", ROOT / "benchmarks" / "nano_card.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_card_states_both_aurocs_and_leaves_no_gap(tmp_path: Path) -> None:
    module = nano_card()
    summary = summarise(written(tmp_path, ROWS))
    scores = module.scores_of(summary)
    assert (scores["presence_auroc_looked_for"], scores["presence_auroc"]) == (0.5, 0.75)
    assert (scores["pairs_absent_looked_for"], scores["pairs_absent"]) == (2, 4)
    card = module.card(scores, bundled()["nano"] / WEIGHTS)
    assert not re.search(r"\{[A-Za-z_]+\}", card) and "None" not in card
    assert f"| a | {GLAND} | 4 | 0.750 | 0 |" in card
    text = " ".join(card.split())
    assert "AUROC 0.5 over 6 present image-label pairs and 2 that the annotators looked for" in text
    assert "0.75 over all 4 that are known to be absent" in text and "Mean Dice over all present pairs: 0.5167" in text
