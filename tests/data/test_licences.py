"""What may be passed on, what weights may claim, and whose terms nobody knows."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from pathsegmentor.data.licences import licences
from pathsegmentor.errors import BadInput

OPEN = {"name": "CC0 1.0", "confirmed": True, "share": True, "commercial": True}
ALIKE = {"name": "CC BY-SA 4.0", "confirmed": True, "share": True, "commercial": True}
RESEARCH = {"name": "non-commercial research", "confirmed": True, "share": None, "commercial": False}
CLOSED = {"name": "by registration", "confirmed": True, "share": False, "commercial": True}
UNKNOWN = {"name": "unknown", "confirmed": False, "share": None, "commercial": None}


def told(folder: Path, **terms: dict[str, object]) -> dict[str, object]:
    sources = [{"source": name, "masks": 3, "licence": licence} for name, licence in terms.items()]
    (folder / "report.json").write_text(json.dumps({"sources": sources}))
    return licences(folder)


def test_open_terms_keep_from_nothing(tmp_path: Path) -> None:
    found = told(tmp_path, a=OPEN)
    assert found["may_be_passed_on"] and found["weights_commercial"] and found["weights"] == "CC BY 4.0"
    assert found["sources"] == [{"source": "a", "masks": 3, **OPEN}]
    assert found["unknown"] == found["not_read_at_the_source"] == found["share_alike"] == []


def test_the_strictest_terms_decide_about_weights(tmp_path: Path) -> None:
    assert told(tmp_path, a=OPEN, b=ALIKE)["weights"] == "CC BY-SA 4.0"
    found = told(tmp_path, a=OPEN, b=ALIKE, c=RESEARCH)
    assert found["weights"] == "CC BY-NC-SA 4.0" and not found["weights_commercial"]
    assert found["keeps_from_commercial_use"] == ["c"] and found["share_alike"] == ["b"]


def test_sources_that_may_not_be_passed_on_are_named(tmp_path: Path) -> None:
    found = told(tmp_path, a=OPEN, b=CLOSED, c=RESEARCH)
    assert not found["may_be_passed_on"] and found["keeps_from_passing_on"] == ["b", "c"]


def test_unknown_terms_are_told_and_count_as_the_strictest(tmp_path: Path) -> None:
    found = told(tmp_path, a=OPEN, b=UNKNOWN)
    assert found["unknown"] == found["not_read_at_the_source"] == ["b"]
    assert found["keeps_from_passing_on"] == found["keeps_from_commercial_use"] == ["b"]
    assert found["weights"].startswith("CC BY-NC 4.0 at most; some terms are unknown")


@pytest.mark.parametrize("name", ["CC-BY-NC-SA", "cc by-sa 3.0", "share-alike", "ShareAlike"])
def test_share_alike_in_other_words(tmp_path: Path, name: str) -> None:
    assert told(tmp_path, a={**OPEN, "name": name})["weights"] == "CC BY-SA 4.0"


def test_a_name_that_only_holds_the_letters_is_not_share_alike(tmp_path: Path) -> None:
    assert told(tmp_path, a={**OPEN, "name": "as in USA"})["weights"] == "CC BY 4.0"


@pytest.mark.parametrize("text", ["", "[]", '{"sources": [{"source": "a", "masks": 1, "licence": {"name": "x"}}]}'])
def test_a_damaged_report_is_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "report.json").write_text(text)
    with pytest.raises(BadInput, match=r"report\.json is missing or damaged"):
        licences(tmp_path)
