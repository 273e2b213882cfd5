"""Tables of a comparison: means side by side, the best marked, and whether differences can be told from chance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.evaluate.groups import DRAWS, SEED, interval, number
from pathsegmentor.evaluate.paired import Method, Paired
from pathsegmentor.evaluate.significance import holm, stars, t_test, wilcoxon
from pathsegmentor.evaluate.tables import NOTHING, Column, Row, Table, count, decimal, word

LEVELS = {
    "by_source": ("source", "By data set (as table 6)"),
    "by_region": ("region", "By anatomical region (as table 12)"),
    "by_structure": ("structure", "By histological structure (as table 13)"),
    "by_object_type": ("object_type", "By object type (as tables 14 and 17)"),
    "by_label": ("label", "By label (as table 15)"),
}
OVERALL = "all"
RULES = (
    "Every mean is over the same (image, label) pairs of all methods, each counting once; a pair that one of them did"
    " not score is in no mean and is listed.",
    f"Intervals are 95 % percentile intervals of {DRAWS} bootstrap draws (seed {SEED}) over pairs, as in the paper;"
    " those over patients are in the CSV files and beside every difference.",
    "The best of a row is bold, the second best underlined; equal means are marked alike.",
    "p: one-sided paired Student t-test that the first method is better than the best of the others, as in the paper"
    " only where it is the best. That other is picked on the same data and there are many rows: the column beside it"
    " is corrected for the rows of its table (Holm), and the table of differences tests the first method against every"
    " other one, with Wilcoxon's test too, corrected for all its rows of one kind.",
)


def comparison(paired: Paired) -> dict[str, Any]:
    """All numbers: methods, tables and tests."""
    tables = {name: _level(paired, column) for name, (column, _) in LEVELS.items()}
    return {
        "rules": list(RULES),
        "methods": [_method(method, i, paired) for i, method in enumerate(paired.methods)],
        "pairs": len(paired.keys),
        "tables": tables,
        "differences": [row for name, (column, _) in LEVELS.items() for row in _differences(paired, name, column)],
        "not_compared": _not_compared(paired),
        "chosen": _chosen(paired),
    }


def _method(method: Method, place: int, paired: Paired) -> Row:
    """What a method is, and its mean over its own pairs and over all, those it could not answer counting 0."""
    rows = [row for run in method.runs[:1] for row in run.rows.values()] if len(method.runs) == 1 else []
    rows = rows or [row for key in _keys(method) if (row := method.row(key))]
    states = Counter(row["state"] for row in rows)
    own = [row["dice"] for row in rows if row["state"] == "scored"]
    answerable = states["scored"] + states["passed over"]
    return {
        "name": method.name,
        "folders": " ".join(str(run.folder) for run in method.runs),
        "weights_sha256": " ".join(run.record.weights_sha256 for run in method.runs),
        "boxes": method.runs[0].record.wants_boxes,
        "scored": states["scored"],
        "failed": states["failed"],
        "passed_over": states["passed over"],
        "dice": number(float(paired.dice[place].mean())),
        "dice_own": number(float(np.mean(own))) if own else None,
        "dice_unanswered_0": number(float(np.sum(own)) / answerable) if answerable else None,
        "prompts": number(float(paired.prompts[place].mean())),
        "labels": len({row["label"] for row in rows if row["state"] == "scored"}),
    }


def _keys(method: Method) -> list[tuple[str, str]]:
    return sorted({key for run in method.runs for key in run.rows})


def _level(paired: Paired, column: str) -> list[Row]:
    words = paired.texts[column]
    rows = [_row(paired, name, words == name) for name in np.unique(words).tolist()]
    rows.append(_row(paired, OVERALL, np.ones(len(words), bool)))
    for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
        row["p_holm"] = p
    return rows


def _row(paired: Paired, name: str, here: NDArray[np.bool_]) -> Row:
    row: Row = {"name": name, "pairs": int(here.sum()), "groups": len(np.unique(paired.texts["group"][here]))}
    means = paired.dice[:, here].mean(axis=1)
    for i, method in enumerate(paired.names):
        values = paired.dice[i, here]
        row |= interval(method, values) | interval(f"{method}_grouped", values, _codes(paired, here))
        row[f"{method}_mark"] = mark(means, i)
    second = 1 + int(np.argmax(means[1:]))
    best = means[0] > means[second]
    row["second"] = paired.names[second]
    row["p"] = t_test(paired.dice[0, here], paired.dice[second, here]) if best else None
    row["stars"] = stars(row["p"])
    return row


def mark(means: NDArray[np.float64], place: int) -> int:
    """1 for the highest of some means, 2 for the next lower one, else 0."""
    ranks = np.unique(means)[::-1]
    return int(np.flatnonzero(ranks == means[place])[0]) + 1 if means[place] >= ranks[:2].min() else 0


def _codes(paired: Paired, here: NDArray[np.bool_]) -> NDArray[np.int64]:
    return np.unique(paired.texts["group"][here], return_inverse=True)[1].astype(np.int64)


def _differences(paired: Paired, table: str, column: str) -> list[Row]:
    """The first method against every other one, row by row of a table, both tests corrected for all of them."""
    words, rows = paired.texts[column], []
    for name in (*np.unique(words).tolist(), OVERALL):
        here = np.ones(len(words), bool) if name == OVERALL else words == name
        for i, other in enumerate(paired.names[1:], 1):
            ours, theirs = paired.dice[0, here], paired.dice[i, here]
            row: Row = {"table": table, "name": name, "other": other, "pairs": int(here.sum())}
            row |= interval("difference", ours - theirs)
            row |= interval("difference_grouped", ours - theirs, _codes(paired, here))
            rows.append(row | {"t_test": t_test(ours, theirs), "wilcoxon": wilcoxon(ours, theirs)})
    for test in ("t_test", "wilcoxon"):
        for row, p in zip(rows, holm([row[test] for row in rows]), strict=True):
            row[f"{test}_holm"] = p
    return rows


def _not_compared(paired: Paired) -> list[Row]:
    counts = Counter((one["method"], one["label"], one["reason"]) for one in paired.lost)
    return [
        {"method": method, "label": label, "reason": reason, "pairs": pairs}
        for (method, label, reason), pairs in sorted(counts.items())
    ]


def _chosen(paired: Paired) -> list[Row]:
    """Of methods that are several runs: each run on each label, and which one counts (as table 16)."""
    rows: list[Row] = []
    for method in paired.methods:
        for label, best in sorted(method.chosen.items()):
            for i, run in enumerate(method.runs):
                dice = [row["dice"] for key, row in run.rows.items() if key[1] == label and row["state"] == "scored"]
                if dice:
                    row = {"method": method.name, "label": label, "run": run.record.model, "pairs": len(dice)}
                    rows.append(row | interval("dice", np.array(dice)) | {"counts": i == best})
    return rows


def tables_of(compared: dict[str, Any]) -> list[Table]:
    """All tables of a comparison."""
    names = [method["name"] for method in compared["methods"]]
    tables = [Table("methods", "Methods", _METHODS, compared["methods"])]
    tables += [Table(name, title, _means(names), compared["tables"][name]) for name, (_, title) in LEVELS.items()]
    tables.append(Table("differences", f"{names[0]} against every other", _DIFFERENCES, compared["differences"]))
    if compared["chosen"]:
        tables.append(Table("chosen", "Which of several runs counts (as table 16)", _CHOSEN, compared["chosen"]))
    tables.append(Table("not_compared", "Pairs that are not compared, and why", _LOST, compared["not_compared"]))
    return tables


def _means(names: Sequence[str]) -> tuple[Column, ...]:
    return (word("", "name"), count("pairs", "pairs"), *map(_mean, names), _p("p", "p"), _p("p, Holm", "p_holm"))


def _mean(name: str) -> Column:
    def text(row: Row) -> str:
        low, high = row[f"{name}_low"], row[f"{name}_high"]
        return f"{row[name]:.3f}" + ("" if low is None or high is None else f" [{low:.3f}, {high:.3f}]")

    return Column(name, text, mark=lambda row: int(row[f"{name}_mark"]))


def _p(title: str, key: str) -> Column:
    def text(row: Row) -> str:
        p = row[key]
        return NOTHING if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"

    return Column(title, text)


def _change(title: str, key: str) -> Column:
    return Column(title, lambda row: f"{row[key]:+.3f}")


def _span(title: str, key: str) -> Column:
    def text(row: Row) -> str:
        low, high = row[f"{key}_low"], row[f"{key}_high"]
        return NOTHING if low is None or high is None else f"{low:+.3f} to {high:+.3f}"

    return Column(title, text)


_METHODS = (
    word("", "name"),
    word("boxes shown", "boxes"),
    count("labels", "labels"),
    count("scored", "scored"),
    count("failed", "failed"),
    count("passed over", "passed_over"),
    decimal("prompts per mask", "prompts", 1),
    decimal("Dice, common pairs", "dice"),
    decimal("Dice, own pairs", "dice_own"),
    decimal("Dice, passed over as 0", "dice_unanswered_0"),
)
_DIFFERENCES = (
    word("table", "table"),
    word("", "name"),
    word("other", "other"),
    count("pairs", "pairs"),
    _change("difference", "difference"),
    _span("95 %, pairs", "difference"),
    _span("95 %, patients", "difference_grouped"),
    _p("p, t-test", "t_test"),
    _p("Holm", "t_test_holm"),
    _p("p, Wilcoxon", "wilcoxon"),
    _p("Holm", "wilcoxon_holm"),
)
_CHOSEN = (
    word("method", "method"),
    word("label", "label"),
    word("run", "run"),
    count("pairs", "pairs"),
    decimal("Dice", "dice"),
    Column("counts", lambda row: "yes" if row["counts"] else "", number=False),
)
_LOST = (word("method", "method"), word("label", "label"), word("reason", "reason"), count("pairs", "pairs"))
