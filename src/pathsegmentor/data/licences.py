"""``data licences``: what of a built set may be passed on, and what weights trained on it may claim."""

from __future__ import annotations

import json
import re
from dataclasses import asdict
from pathlib import Path
from typing import Any

from pathsegmentor.data.finish import REPORT
from pathsegmentor.data.record import Licence
from pathsegmentor.errors import BadInput

SHARE_ALIKE = re.compile(r"\bSA\b|share[- ]?alike", re.IGNORECASE)


def licences(folder: Path) -> dict[str, Any]:
    """Terms per source, and what follows for the whole set and for weights."""
    sources = _sources(folder)
    closed = [s["source"] for s in sources if not s["share"]]
    unknown = [s["source"] for s in sources if s["commercial"] is None]
    non_commercial = [s["source"] for s in sources if s["commercial"] is False]
    alike = [s["source"] for s in sources if SHARE_ALIKE.search(s["name"])]
    return {
        "sources": sources,
        "may_be_passed_on": not closed,
        "keeps_from_passing_on": closed,
        "weights_commercial": not non_commercial and not unknown,
        "keeps_from_commercial_use": [*non_commercial, *unknown],
        "unknown": [s["source"] for s in sources if None in (s["share"], s["commercial"])],
        "not_read_at_the_source": [s["source"] for s in sources if not s["confirmed"]],
        "share_alike": alike,
        "weights": _weights(bool(alike), bool(non_commercial or unknown), bool(unknown)),
    }


def _sources(folder: Path) -> list[dict[str, Any]]:
    """What the build noted of each source's licence."""
    try:
        report = json.loads((folder / REPORT).read_text(encoding="utf-8"))
        return [
            {"source": entry["source"], "masks": entry["masks"], **asdict(Licence(**entry["licence"]))}
            for entry in report["sources"]
        ]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadInput(
            f"{folder / REPORT} is missing or damaged; build the set with: pathsegmentor data build"
        ) from error


def _weights(alike: bool, non_commercial: bool, unknown: bool) -> str:
    name = f"CC BY{'-NC' if non_commercial else ''}{'-SA' if alike else ''} 4.0"
    if unknown:
        return f"{name} at most; some terms are unknown: ask the sources before you publish weights"
    return name
