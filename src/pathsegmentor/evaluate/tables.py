"""The tables of a summary, once for people and once for programs: Markdown, HTML and CSV say the same."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from pathsegmentor.atomic import whole_file

Row = dict[str, Any]
NOTHING = "–"


@dataclass(frozen=True)
class Column:
    """A heading and what stands below it; numbers are set to the right."""

    title: str
    text: Callable[[Row], str]
    number: bool = True


@dataclass(frozen=True)
class Table:
    """``name`` is that of its CSV, which has all keys of ``rows``; ``columns`` are what people are shown."""

    name: str
    title: str
    columns: tuple[Column, ...]
    rows: Sequence[Row]


def tables_of(summary: dict[str, Any]) -> list[Table]:
    """All tables of a summary, in the order in which they are read."""
    tables = summary["tables"]
    return [
        Table("overall", "Overall", _scores(), [summary["overall"]]),
        Table("by_source", "By data set (as table 6)", _scores(), tables["by_source"]),
        Table("by_region", "By anatomical region (as table 12)", _scores(), tables["by_region"]),
        Table("by_structure", "By histological structure (as table 13)", _scores(), tables["by_structure"]),
        Table("by_object_type", "By object type (as table 14)", _scores(), tables["by_object_type"]),
        Table("by_label", "By label (as table 15)", _scores(), tables["by_label"]),
        Table(
            "by_source_and_label",
            "By data set and label",
            (_word("data set", "source"), _word("label", "label"), *_scores()[1:]),
            tables["by_source_and_label"],
        ),
        Table("presence", "Is it there? Presence", _PRESENCE, _presence_rows(summary)),
        Table("absent", "Wrongly found: absent labels", _ABSENT, summary["absent"]),
        Table("not_scored", "Pairs without a score, and why", _NOT_SCORED, summary["not_scored"]),
        Table("lowest", "Pairs of lowest Dice", _LOWEST, summary["lowest"]),
    ]


def markdown(table: Table) -> str:
    """A table with its heading."""
    lines = [f"## {table.title}", ""]
    if not table.rows:
        return "\n".join([*lines, "None.", ""])
    lines.append(_line(column.title for column in table.columns))
    lines.append(_line("---:" if column.number else "---" for column in table.columns))
    lines += [_line(column.text(row).replace("|", "\\|") for column in table.columns) for row in table.rows]
    return "\n".join([*lines, ""])


def html(table: Table) -> str:
    """A table as HTML, with its heading."""
    head = f'<h2 id="{table.name}">{escape(table.title)}</h2>\n'
    if not table.rows:
        return f"{head}<p>None.</p>\n"

    def line(tag: str, cells: Sequence[str]) -> str:
        kinds = (' class="n"' if column.number else "" for column in table.columns)
        inside = "".join(f"<{tag}{kind}>{escape(cell)}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))
        return f"<tr>{inside}</tr>\n"

    body = "".join(line("td", [column.text(row) for column in table.columns]) for row in table.rows)
    top = line("th", [column.title for column in table.columns])
    file = f'<p class="f">tables/{table.name}.csv</p>\n'
    return f"{head}<table>\n<thead>{top}</thead>\n<tbody>\n{body}</tbody>\n</table>\n{file}"


def write_csv(table: Table, folder: Path) -> None:
    """``FOLDER/NAME.csv`` with every key of the rows; what is not defined is empty."""
    with whole_file(folder / f"{table.name}.csv") as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table.rows[0]) if table.rows else ["name"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(table.rows)


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def _word(title: str, key: str) -> Column:
    return Column(title, lambda row: str(row[key]), number=False)


def _count(title: str, key: str) -> Column:
    return Column(title, lambda row: NOTHING if row[key] is None else f"{row[key]:,}")


def _decimal(title: str, key: str, places: int = 3) -> Column:
    return Column(title, lambda row: NOTHING if row[key] is None else f"{row[key]:,.{places}f}")


def _interval(title: str, key: str) -> Column:
    def text(row: Row) -> str:
        low, high = row[f"{key}_low"], row[f"{key}_high"]
        return NOTHING if low is None or high is None else f"{low:.3f} to {high:.3f}"

    return Column(title, text)


def _scores() -> tuple[Column, ...]:
    return (
        _word("", "name"),
        _count("pairs", "pairs"),
        _count("failed", "failed"),
        _count("passed over", "passed_over"),
        _decimal("Dice", "dice"),
        _interval("95 %, pairs", "dice"),
        _interval("95 %, patients", "dice_grouped"),
        _decimal("IoU", "iou"),
        _decimal("boundary Dice", "boundary_dice"),
        _decimal("HD95, um", "hd95_um", 1),
        _decimal("F1", "f1"),
        _decimal("AJI", "aji"),
        _decimal("PQ", "pq"),
        _count("called absent", "called_absent"),
    )


_PRESENCE = (
    _word("labels", "name"),
    _count("present", "present"),
    _count("absent", "absent"),
    _decimal("AUROC", "auroc"),
    _decimal("calibration error", "calibration_error"),
    _count("present called absent", "present_called_absent"),
    _count("absent called absent", "absent_called_absent"),
    _count("absent called present", "absent_called_present"),
)
_ABSENT = (
    _word("label", "name"),
    _count("absent pairs", "pairs"),
    _count("of them looked for", "looked_for"),
    _count("called absent", "called_absent"),
    _count("called present", "called_present"),
    _count("with any pixel", "with_pixels"),
    _decimal("mean area, um²", "area_um2", 1),
    _decimal("mean area, % of the image", "area_percent", 2),
)
_NOT_SCORED = (
    _word("state", "state"),
    _word("data set", "source"),
    _word("label", "label"),
    _word("reason", "reason"),
    _count("pairs", "pairs"),
)
_LOWEST = (
    _word("data set", "source"),
    _word("image", "image"),
    _word("label", "label"),
    _word("called", "status"),
    _decimal("Dice", "dice"),
)


def _presence_rows(summary: dict[str, Any]) -> list[Row]:
    return [
        {"name": kind.replace("_", " ")} | {key: value for key, value in found.items() if key != "bins"}
        for kind, found in summary["presence"].items()
    ]
