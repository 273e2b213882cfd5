"""Recompute the paper's summary rows from its own sub-tables, and list what differs.

``python benchmarks/paper_adds_up.py TABLES > benchmarks/results/paper_adds_up.md``; TABLES is ``tests/data/paper``.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pathsegmentor.evaluate.fits import Form, fit

METHODS = ("deeplabv3plus", "sam_path", "nnunet", "medsam_union_box", "sam_med2d_union_box", "biomedparse")
ALL = (*METHODS, "pathsegmentor")
# Images of CoNSeP that have each type: its masks in the paper's table 5.
CONSEP = {
    "Malignant epithelial": 18,
    "Healthy epithelial": 5,
    "Inflammatory": 39,
    "Muscle": 11,
    "Fibroblast": 37,
    "Endothelial": 11,
}
# Table 7's fits: the table of its points, the method in it, its form, and whether x is 1 - the printed one.
FITS: tuple[tuple[str, str, str, str, str, Form], ...] = (
    ("shape", "MedSAM", "08_irregularity", "medsam", "irregularity", "exponential"),
    ("shape", "PathSegmentor", "08_irregularity", "pathsegmentor", "irregularity", "linear"),
    ("size", "MedSAM", "09_instance_ratio", "medsam", "ratio", "exponential"),
    ("size", "PathSegmentor", "09_instance_ratio", "pathsegmentor", "ratio", "exponential"),
    ("density", "MedSAM", "10_instance_count", "medsam", "count", "reciprocal"),
    ("density", "PathSegmentor", "10_instance_count", "pathsegmentor", "count", "linear"),
)
# Table 7's numbers, its damaged signs and fraction bar put right: a, b, c.
PRINTED = (
    (0.8436, 4.4946, 0.9802),
    (0.2085, None, 0.7998),
    (0.7653, 14.1092, 0.8978),
    (0.4800, 17.2893, 0.9586),
    (93.4330 / 173.6386, None, 0.1192),
    (0.0003, None, 0.7240),
)
HALF = 0.0005  # what rounding to three digits can hide


@dataclass(frozen=True)
class Check:
    """One printed number and what the sub-tables give for it; ``allowed`` is what rounding can make of it."""

    what: str
    row: str
    printed: float
    computed: float
    allowed: float

    @property
    def holds(self) -> bool:
        return abs(self.printed - self.computed) <= self.allowed


def read(tables: Path, name: str) -> list[dict[str, str]]:
    with (tables / f"table{name}.csv").open(encoding="utf-8") as file:
        return list(csv.DictReader(file))


def checks(tables: Path) -> list[Check]:
    return [
        *overall_of_sources(tables),
        *overall_of_structures(tables),
        *overall_of_external(tables),
        *best_specialists(tables),
        *types_of_one_label(tables),
        *unions_again(tables),
        *inside_intervals(tables),
        *fits(tables),
    ]


def overall_of_sources(tables: Path) -> Iterator[Check]:
    masks = {row["source"].lower(): int(row["test_masks"]) for row in read(tables, "01_sources")}
    rows = read(tables, "06_dice_by_source")
    parts = [row for row in rows if row["source"] != "Overall"]
    whole = next(row for row in rows if row["source"] == "Overall")
    weights = [masks[row["source"].lower()] for row in parts]
    for method in ALL:
        mean = float(np.average([float(row[method]) for row in parts], weights=weights))
        yield Check(
            "table 6, overall, from data sets by table 1's test masks", method, float(whole[method]), mean, 0.001
        )


def overall_of_structures(tables: Path) -> Iterator[Check]:
    """Masks per structure of the test part are not printed: those that explain table 13, held against table 11."""
    parts = read(tables, "13_dice_by_structure")
    whole = next(row for row in read(tables, "06_dice_by_source") if row["source"] == "Overall")
    table = np.array([[float(row[method]) for row in parts] for method in ALL])
    known = np.array([float(whole[method]) for method in ALL])
    last = table[:, -1]
    found, *_ = np.linalg.lstsq(table[:, :-1] - last[:, None], known - last, rcond=None)
    shares = dict(zip([row["structure"] for row in parts], [*found, 1 - found.sum()], strict=True))
    for method, value in zip(ALL, table @ [*found, 1 - found.sum()], strict=True):
        said = ", ".join(f"{share:.1%} {name.lower()}" for name, share in shares.items())
        yield Check(f"table 6, overall, from table 13 with {said}", method, float(whole[method]), float(value), 0.0015)
    rows = {row["structure"]: row for row in read(tables, "11_prompt_efficiency")}
    for key in ("medsam_union_dice", "medsam_instance_dice", "instance_box_dice", "pathsegmentor_dice"):
        value = sum(share * float(rows[name][key]) for name, share in shares.items())
        yield Check("table 11, overall, with these shares", key, float(rows["Overall"][key]), value, 0.005)
    prompts = sum(share * float(rows[name]["medsam_instance_prompts"]) for name, share in shares.items())
    printed = float(rows["Overall"]["medsam_instance_prompts"])
    yield Check("table 11, prompts per mask, with these shares", "instance boxes", printed, prompts, 0.2)


def overall_of_external(tables: Path) -> Iterator[Check]:
    rows = {row["object_type"]: row for row in read(tables, "17_dice_external")}
    for method in ALL:
        mean = sum(CONSEP[name] * float(rows[name][method]) for name in CONSEP) / sum(CONSEP.values())
        yield Check("table 17, overall, from types by their masks", method, float(rows["Overall"][method]), mean, 0.001)


def best_specialists(tables: Path) -> Iterator[Check]:
    best: dict[tuple[str, str], float] = {}
    for row in read(tables, "16_external_mapping"):
        name = row["external_label"].removeprefix("Colon-Cell-")
        for method in METHODS[:3]:
            best[name, method] = max(best.get((name, method), 0.0), float(row[method]))
    rows = {row["object_type"]: row for row in read(tables, "17_dice_external")}
    for (name, method), value in best.items():
        yield Check(
            "table 17, the best specialist of table 16", f"{name}, {method}", float(rows[name][method]), value, 0
        )


def types_of_one_label(tables: Path) -> Iterator[Check]:
    labels: dict[str, list[dict[str, str]]] = {}
    for row in read(tables, "15_dice_by_label"):
        labels.setdefault(row["label"].split("-", 2)[2].lower(), []).append(row)
    for row in read(tables, "14_dice_by_object_type"):
        of_type = labels.get(row["object_type"].lower(), [])
        for method in ALL if of_type else ():
            values = [float(one[method]) for one in of_type]
            low, high = min(values), max(values)
            nearest = min(max(float(row[method]), low), high)
            what = "table 14, between table 15's lowest and highest label of the type"
            yield Check(what, f"{row['object_type']}, {method}", float(row[method]), nearest, 0.001)


def unions_again(tables: Path) -> Iterator[Check]:
    rows = {row["structure"]: row for row in read(tables, "11_prompt_efficiency")}
    for row in read(tables, "13_dice_by_structure"):
        for theirs, mine in (("medsam_union_box", "medsam_union_dice"), ("pathsegmentor", "pathsegmentor_dice")):
            printed, again = float(row[theirs]), float(rows[row["structure"]][mine])
            yield Check("table 13 again in table 11", f"{row['structure']}, {theirs}", printed, again, 0)


def inside_intervals(tables: Path) -> Iterator[Check]:
    names = (
        "06_dice_by_source",
        "13_dice_by_structure",
        "14_dice_by_object_type",
        "15_dice_by_label",
        "17_dice_external",
    )
    for name in names:
        for row in read(tables, name):
            for method in ALL:
                if not (row[method] and row[f"{method}_low"]):
                    continue
                mean, low, high = (float(row[key]) for key in (method, f"{method}_low", f"{method}_high"))
                what = f"table {int(name[:2])}, means inside their intervals"
                yield Check(what, f"{next(iter(row.values()))}, {method}", mean, min(max(mean, low), high), HALF)


def fits(tables: Path) -> Iterator[Check]:
    rows = read(tables, "07_fits")
    for (kind, method, table, key, x_key, form), printed, row in zip(FITS, PRINTED, rows, strict=True):
        points = read(tables, table)
        x = np.array([float(point[f"{key}_{x_key}"]) for point in points])
        y = [float(point[f"{key}_dice"]) for point in points]
        found = fit(form, 1 - x if x_key == "irregularity" else x, y)
        assert found is not None
        values = (found.a, found.b, found.c, found.mae, found.rmse)
        for name, theirs, mine in zip(
            ("a", "b", "c", "MAE", "RMSE"), (*printed, float(row["mae"]), float(row["rmse"])), values, strict=True
        ):
            if theirs is not None:
                # The points are printed to three digits; a steep exponential turns that into more.
                allowed = max(0.005 * abs(theirs), 0.0003)
                yield Check(
                    f"table 7 fitted to tables 8 to 10 ({form})", f"{kind}, {method}, {name}", theirs, mine, allowed
                )


def markdown(found: list[Check]) -> str:
    lines = ["| what | numbers | hold | differ |", "| --- | ---: | ---: | --- |"]
    for what in dict.fromkeys(one.what for one in found):
        group = [one for one in found if one.what == what]
        wrong = [one for one in group if not one.holds]
        said = "; ".join(f"{one.row}: {one.printed:g}, computed {one.computed:.4g}" for one in wrong)
        lines.append(f"| {what} | {len(group)} | {len(group) - len(wrong)} | {said or 'none'} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    sys.stdout.write(markdown(checks(Path(sys.argv[1]))))
