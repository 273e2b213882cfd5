"""``summary.json``: all that the tables and figures of a run show, made from ``samples.parquet`` and ``run.json``."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.columns import Columns, read_columns
from pathsegmentor.evaluate.groups import DRAWS, SEED, grouped, number, overall
from pathsegmentor.evaluate.presence import auroc, calibration
from pathsegmentor.evaluate.record import read_record, state_counts
from pathsegmentor.evaluate.samples import SAMPLES

GROUPED = {
    "by_source": ("source",),
    "by_region": ("region",),
    "by_structure": ("structure",),
    "by_object_type": ("object_type",),
    "by_label": ("label",),
    "by_source_and_label": ("source", "label"),
}
BINS = 10
LOWEST = 20


def summarise(folder: Path) -> dict[str, Any]:
    """The summary of a finished run; raises ``BadInput``."""
    record = read_record(folder)
    assert record is not None
    if not record.counts:
        raise BadInput(f"{folder} holds a run that is not finished; go on with it: {record.command}")
    if state_counts(folder) != record.counts:
        raise BadInput(f"{folder / SAMPLES} is not the table of this run: it has other rows than run.json counts")
    columns = read_columns(folder)
    return {
        "run": asdict(record),
        "rules": rules(record.settings),
        "counts": record.counts,
        "overall": overall(columns),
        "tables": {name: grouped(columns, *by) for name, by in GROUPED.items()},
        "presence": {kind: _presence(columns, rows) for kind, rows in _kinds(columns).items()},
        "absent": _absent(columns),
        "lowest": _lowest(columns),
        "not_scored": _not_scored(columns),
    }


def rules(settings: dict[str, Any]) -> dict[str, str]:
    """How the numbers are made, in sentences that stand above the tables."""
    unknown = {
        "ignored": "Pixels about which the annotators said nothing count for nothing, and labels of which only a part"
        " is outlined are passed over.",
        "background": "Pixels about which the annotators said nothing count as background, as in the paper.",
    }[settings["unknown"]]
    return {
        "averaging": "Every mean is over (image, label) pairs, each counting once, of labels that the annotation has;"
        " pairs that failed or were passed over are in no mean and are counted beside it.",
        "empty": "A present label for which nothing was found, or which was called absent, has Dice 0; its HD95 is"
        " undefined and left out of that mean. Absent labels are in no mean of masks: what was wrongly found of"
        " them is counted as area.",
        "size": "Masks are compared pixel by pixel at the size at which the set stores the annotation; no annotation is"
        " resized.",
        "unknown": unknown,
        "intervals": f"95 % percentile intervals of {DRAWS} bootstrap draws (seed {SEED}): over pairs, as in the paper,"
        " and over patients (else slides, else downloaded images) with all their pairs.",
        "boundary": f"Boundary Dice compares bands of {settings['boundary_um']:g} um along the edges; HD95 is in um."
        " F1, AJI and PQ are of objects, where the annotation numbers them; found objects are 8-connected pieces.",
        "presence": "Looked for: labels that are there, or that the annotators looked for in that very image. All: also"
        " labels of other organs.",
    }


def _kinds(columns: Columns) -> dict[str, NDArray[np.bool_]]:
    """Rows that say something of presence, by what the annotators did."""
    there = columns.with_presence
    return {"looked_for": there & columns.values["looked_for"], "all": there}


def _presence(columns: Columns, rows: NDArray[np.bool_]) -> dict[str, Any]:
    scores, present = columns.values["presence"][rows], columns.present[rows]
    status = columns.texts["status"]
    found: dict[str, Any] = {"present": int(present.sum()), "absent": int((~present).sum()), "auroc": None}
    for kind, mask in (("present", present), ("absent", ~present)):
        for word in ("present", "unsure", "absent"):
            found[f"{kind}_called_{word}"] = int((status.where(word, rows) & mask).sum())
    if not len(scores):
        return found | {"calibration_error": None, "bins": []}
    curve = calibration(scores, present, BINS)
    bins = zip(curve.predicted, curve.observed, curve.counts, strict=True)
    return found | {
        "auroc": number(auroc(scores, present)),
        "calibration_error": number(curve.error),
        "bins": [{"predicted": number(p), "observed": number(o), "pairs": int(n)} for p, o, n in bins],
    }


def _absent(columns: Columns) -> list[dict[str, Any]]:
    """What was wrongly found of absent labels: all of them, those looked for, and label by label."""
    there = columns.scored & ~columns.present
    label, looked_for = columns.texts["label"], columns.values["looked_for"]
    rows = [("all", there), ("looked for", there & looked_for)]
    rows += [(label.words[code], there & (label.codes == code)) for code in np.unique(label.codes[there])]
    image = columns.values["height"] * columns.values["width"]
    share = columns.values["found_pixels"] / image
    return [
        {
            "name": name,
            "pairs": int(mask.sum()),
            "looked_for": int((mask & looked_for).sum()),
            "called_absent": int((columns.texts["status"].where("absent") & mask).sum()),
            "called_present": int((columns.texts["status"].where("present") & mask).sum()),
            "with_pixels": int((columns.values["found_pixels"][mask] > 0).sum()),
            "area_um2": number(columns.area_um2[mask].mean()),
            "area_percent": number(100 * share[mask].mean()),
        }
        for name, mask in rows
        if mask.any()
    ]


def _lowest(columns: Columns) -> list[dict[str, Any]]:
    """The pairs of lowest Dice, those of one Dice in the table's order: where to look first."""
    rows = np.flatnonzero(columns.scored & columns.present)
    chosen = rows[np.argsort(columns.values["dice"][rows], kind="stable")[:LOWEST]]
    texts = columns.texts
    return [
        {name: texts[name].words[texts[name].codes[row]] for name in ("source", "image", "label", "status")}
        | {"dice": number(columns.values["dice"][row])}
        for row in chosen.tolist()
    ]


def _not_scored(columns: Columns) -> list[dict[str, Any]]:
    """How many pairs of which data set and label failed or were passed over, and why."""
    names = ("state", "source", "label", "reason")
    rows = np.flatnonzero(~columns.scored)
    texts = columns.texts
    counts = Counter(tuple(texts[name].words[texts[name].codes[row]] for name in names) for row in rows.tolist())
    return [dict(zip(names, key, strict=True)) | {"pairs": count} for key, count in sorted(counts.items())]
