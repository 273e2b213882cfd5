"""What fine-tuning gained: Dice on images held out of it, before and after."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pathsegmentor.data.pathseg import PathSeg
from pathsegmentor.evaluate.columns import Columns, read_columns
from pathsegmentor.evaluate.find import Maker
from pathsegmentor.evaluate.run import choose, evaluate
from pathsegmentor.evaluate.settings import Settings

Row = dict[str, Any]


def gained(before: str, after: Path, work: Path, sources: Sequence[str], labels: Sequence[str]) -> list[Row]:
    """A row per label that test images of ``work/pathseg`` show; nothing if no image is held out.

    ``before`` is None where the old model does not know the label. Evaluations are written to ``work``.
    """
    data = PathSeg(work / "pathseg")
    settings = Settings("test", tuple(sources), absent="looked-for")
    if not any(entry.first.split == "test" for entry in data.entries if entry.first.source in sources):
        return []
    scores = []
    for name, model in (("before", before), ("after", str(after))):
        entries = choose(data, settings)
        evaluate(Maker(model), data.folder, work / name, settings, entries, tuple(labels), force=True)
        scores.append(read_columns(work / name))
    return [row for label in labels if (row := _row(label, *scores))]


def _row(label: str, before: Columns, after: Columns) -> Row | None:
    here = after.texts["label"].where(label) & after.present & after.scored
    if not here.any():
        return None
    old = before.texts["label"].where(label) & before.present & before.scored
    return {
        "label": label,
        "images": int(here.sum()),
        "before": round(float(before.values["dice"][old].mean()), 4) if old.any() else None,
        "after": round(float(after.values["dice"][here].mean()), 4),
        "called_absent": int((after.texts["status"].where("absent") & here).sum()),
    }
