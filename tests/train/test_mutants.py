"""The list of deliberate faults stays true: each can still be put into the code, and there are enough."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from tests.train.mutants import FAULTS, ROOT, Fault


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_fault_can_be_put_in(fault: Fault) -> None:
    text = (ROOT / "src" / "pathsegmentor" / "train" / fault.file).read_text(encoding="utf-8")
    assert text.count(fault.right) == 1, fault.name
    changed = text.replace(fault.right, fault.wrong)
    assert changed != text
    ast.parse(changed)
    assert (Path(__file__).parent / fault.tests).is_file()


def test_there_are_enough_faults() -> None:
    assert len(FAULTS) >= 40 and len({fault.name for fault in FAULTS}) == len(FAULTS)
