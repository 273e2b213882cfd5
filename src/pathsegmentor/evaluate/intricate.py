"""Intricate objects (section 4.5): Dice against shape, size and density of the true objects; prompts per mask."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.data.manifest import Row as Triple
from pathsegmentor.data.manifest import read_rows
from pathsegmentor.data.shards import Shards
from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate.boxes import fill, instance_boxes, union_box
from pathsegmentor.evaluate.fits import FORMS, fit
from pathsegmentor.evaluate.groups import number
from pathsegmentor.evaluate.paired import Key, Paired
from pathsegmentor.evaluate.scores import dice
from pathsegmentor.evaluate.shapes import shape
from pathsegmentor.evaluate.tables import Row, Table, count, decimal, word
from pathsegmentor.evaluate.trends import IRREGULARITY, RATIO, Numbers, count_edges, density_weights, points
from pathsegmentor.evaluate.truth import read_known, read_truth

KINDS = {
    "irregularity": "Dice by irregularity (as table 8)",
    "ratio": "Dice by instance ratio (as table 9)",
    "count": "Dice by instance count, masks of two instances or more up to the 90 % quantile (as table 10)",
}
FILLED = {"filled union box": union_box, "filled instance boxes": instance_boxes}
OVERALL = "all"


def triples(data: Path, keys: list[Key]) -> list[Triple]:
    """The manifest's rows of some pairs; raises ``BadInput`` if one is not there."""
    rows = {(row.image, row.label): row for row in read_rows(data)}
    missing = [key for key in keys if key not in rows]
    if missing:
        raise BadInput(f"{data} has no {missing[0][1]} in {missing[0][0]}; --data is the set that was evaluated")
    return [rows[key] for key in keys]


def measure(data: Path, paired: Paired, progress: Callable[[int, int], None]) -> list[Row]:
    """One row per pair: its shape, and Dice and number of its filled boxes; masks are read one at a time."""
    shards, found = Shards(data), []
    try:
        chosen = triples(data, paired.keys)
        for done, triple in enumerate(chosen):
            truth, known = read_truth(shards, triple).mask, read_known(shards, triple)
            row: Row = {"image": triple.image, "label": triple.label} | asdict(shape(truth))
            for name, boxes_of in FILLED.items():
                boxes = boxes_of(truth)
                filled = fill(boxes, triple.height, triple.width)
                row |= {f"{name} prompts": len(boxes), f"{name} dice": dice(filled & known, truth & known)}
            found.append(row)
            progress(done + 1, len(chosen))
    finally:
        shards.close()
    return found


def intricacy(paired: Paired, shapes: list[Row]) -> dict[str, Any]:
    """Tables 7 to 11 and 18."""
    trends = [row for kind in KINDS for row in _trend(paired, shapes, kind)]
    return {
        "trends": trends,
        "fits": _fits(paired, trends),
        "prompts": _prompts(paired, shapes),
        "instances": _instances(paired, shapes),
        "left_out": _left_out(shapes),
        "quantile_90": number(float(np.quantile(column(shapes, "count"), 0.9))),
    }


def column(shapes: list[Row], kind: str) -> Numbers:
    """One measure of all pairs (n,)."""
    return np.array([row[kind] for row in shapes], np.float64)


def edges_of(kind: str, values: Numbers) -> Numbers:
    """The intervals of a measure."""
    return {"irregularity": IRREGULARITY, "ratio": RATIO}[kind] if kind != "count" else count_edges(values)


def usable(kind: str, values: Numbers) -> NDArray[np.bool_]:
    """Pairs that lie in some interval; counts end at their 90 % quantile."""
    edges = edges_of(kind, values)
    inside = (values >= edges[0]) & (values < edges[-1]) if len(edges) > 1 else np.zeros(len(values), bool)
    return inside & (values <= np.quantile(values, 0.9)) if kind == "count" else inside


def _trend(paired: Paired, shapes: list[Row], kind: str) -> list[Row]:
    values = column(shapes, kind)
    here = usable(kind, values)
    rows = []
    for i, name in enumerate(paired.names):
        x, scores = values[here], paired.dice[i, here]
        for point in points(x, scores, edges_of(kind, values), density_weights(x, scores)):
            rows.append({"kind": kind, "method": name} | asdict(point))
    return rows


def _fits(paired: Paired, trends: list[Row]) -> list[Row]:
    """All three forms through the points of each trend, plain and weighted; x of the shape is 1 - irregularity."""
    rows = []
    for kind in KINDS:
        for name in paired.names:
            of_trend = [row for row in trends if row["kind"] == kind and row["method"] == name]
            for means, end in (("plain", ""), ("weighted", "_weighted")):
                x = np.array([row[f"x{end}"] for row in of_trend])
                y = np.array([row[f"dice{end}"] for row in of_trend])
                found = [one for form in FORMS if (one := fit(form, fit_x(kind, x), y))] if len(x) else []
                best = min((one.rmse for one in found), default=0.0)
                for one in found:
                    head = {"kind": kind, "method": name, "means": means, "form": one.form, "formula": one.formula}
                    errors = {"mae": number(one.mae), "rmse": number(one.rmse), "points": len(x)}
                    rows.append(head | errors | {"best": one.rmse == best})
    return rows


def fit_x(kind: str, x: Numbers) -> Numbers:
    """What a curve is fitted against: the paper's shape curves fit only against circularity."""
    return 1 - x if kind == "irregularity" else x


def _prompts(paired: Paired, shapes: list[Row]) -> list[Row]:
    """Dice and prompts per mask by structure (table 11); the filled boxes, which need no model, are always rows."""
    entries = [(name, paired.dice[i], paired.prompts[i]) for i, name in enumerate(paired.names)]
    for name in FILLED:
        entries.append((f"{name} (no model)", column(shapes, f"{name} dice"), column(shapes, f"{name} prompts")))
    structures = paired.texts["structure"]
    rows = []
    for structure in (*np.unique(structures).tolist(), OVERALL):
        here = structures == structure if structure != OVERALL else np.ones(len(structures), bool)
        for name, scores, prompts in entries:
            row = {"structure": structure, "method": name, "pairs": int(here.sum())}
            means = {"prompts": number(float(prompts[here].mean())), "dice": number(float(scores[here].mean()))}
            rows.append(row | means)
    return rows


def _instances(paired: Paired, shapes: list[Row]) -> list[Row]:
    """Instances and their dispersion per label (table 18), means and standard deviations over masks."""
    counts, far = column(shapes, "count"), column(shapes, "dispersion_px")
    rows = []
    for label in np.unique(paired.texts["label"]).tolist():
        here = (paired.texts["label"] == label) & (counts > 0)
        if here.any():
            row = {"label": label, "pairs": int(here.sum())}
            row |= {"instances": number(counts[here].mean()), "instances_std": number(counts[here].std())}
            rows.append(row | {"distance": number(far[here].mean()), "distance_std": number(far[here].std())})
    return rows


def _left_out(shapes: list[Row]) -> dict[str, int]:
    """Pairs that are in no interval of a measure."""
    return {kind: int((~usable(kind, column(shapes, kind))).sum()) for kind in KINDS}


def tables_of(found: dict[str, Any]) -> list[Table]:
    """Tables 7 to 11 and 18."""
    tables = [
        Table(f"trend_{kind}", title, _TREND, [row for row in found["trends"] if row["kind"] == kind])
        for kind, title in KINDS.items()
    ]
    best = [row for row in found["fits"] if row["best"]]
    tables.append(Table("fits", "Curves of smallest error through these points (as table 7)", _FITS, best))
    tables.append(Table("prompts", "Prompt efficiency (as table 11)", _PROMPTS, found["prompts"]))
    tables.append(
        Table("instances", "Instances per mask, and how far apart (as table 18)", _SPREAD, found["instances"])
    )
    return tables


_TREND = (
    word("method", "method"),
    decimal("from", "low", 2),
    decimal("below", "high", 2),
    count("pairs", "pairs"),
    decimal("mean x", "x"),
    decimal("mean Dice", "dice"),
    decimal("x, by density", "x_weighted"),
    decimal("Dice, by density", "dice_weighted"),
)
_FITS = (
    word("measure", "kind"),
    word("method", "method"),
    word("means", "means"),
    word("form", "form"),
    word("curve", "formula"),
    count("points", "points"),
    decimal("MAE", "mae", 4),
    decimal("RMSE", "rmse", 4),
)
_PROMPTS = (
    word("structure", "structure"),
    word("method", "method"),
    count("pairs", "pairs"),
    decimal("prompts per mask", "prompts", 1),
    decimal("Dice", "dice"),
)
_SPREAD = (
    word("label", "label"),
    count("masks", "pairs"),
    decimal("instances, mean", "instances", 2),
    decimal("std", "instances_std", 2),
    decimal("largest distance, pixels", "distance", 1),
    decimal("std", "distance_std", 1),
)
