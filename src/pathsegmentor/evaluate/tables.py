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
    """A heading and what stands below it; numbers are set to the right.

    ``mark`` is 1 for what is the best of its row, 2 for the second best: bold, and underlined.
    """

    title: str
    text: Callable[[Row], str]
    number: bool = True
    mark: Callable[[Row], int] = lambda row: 0


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
            (word("data set", "source"), word("label", "label"), *_scores()[1:]),
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
    lines += [
        _line(_marked(column.text(row).replace("|", "\\|"), column.mark(row), _MARKS) for column in table.columns)
        for row in table.rows
    ]
    return "\n".join([*lines, ""])


def html(table: Table) -> str:
    """A table as HTML, with its heading."""
    head = f'<h2 id="{table.name}">{escape(table.title)}</h2>\n'
    if not table.rows:
        return f"{head}<p>None.</p>\n"

    def line(tag: str, cells: Sequence[str]) -> str:
        kinds = (' class="n"' if column.number else "" for column in table.columns)
        inside = "".join(f"<{tag}{kind}>{cell}</{tag}>" for kind, cell in zip(kinds, cells, strict=True))
        return f"<tr>{inside}</tr>\n"

    def cell(column: Column, row: Row) -> str:
        return _marked(escape(column.text(row)), column.mark(row), _TAGS)

    body = "".join(line("td", [cell(column, row) for column in table.columns]) for row in table.rows)
    top = line("th", [escape(column.title) for column in table.columns])
    file = f'<p class="f">tables/{table.name}.csv</p>\n'
    return f"{head}<table>\n<thead>{top}</thead>\n<tbody>\n{body}</tbody>\n</table>\n{file}"


def write_csv(table: Table, folder: Path) -> None:
    """``FOLDER/NAME.csv`` with every key of the rows; what is not defined is empty."""
    with whole_file(folder / f"{table.name}.csv") as beside, beside.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(table.rows[0]) if table.rows else ["name"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(table.rows)


# Around what is the best, and the second best, in Markdown and in HTML.
_MARKS = ("", ""), ("**", "**"), ("<u>", "</u>")
_TAGS = ("", ""), ("<b>", "</b>"), ("<u>", "</u>")


def _marked(text: str, mark: int, around: tuple[tuple[str, str], ...]) -> str:
    before, after = around[mark]
    return f"{before}{text}{after}"


def _line(cells: Any) -> str:
    return f"| {' | '.join(cells)} |"


def word(title: str, key: str) -> Column:
    """A column of words."""
    return Column(title, lambda row: str(row[key]), number=False)


def count(title: str, key: str) -> Column:
    """A column of counts."""
    return Column(title, lambda row: NOTHING if row[key] is None else f"{row[key]:,}")


def decimal(title: str, key: str, places: int = 3) -> Column:
    """A column of decimals."""
    return Column(title, lambda row: NOTHING if row[key] is None else f"{row[key]:,.{places}f}")


def interval(title: str, key: str) -> Column:
    """A column of intervals, ``KEY_low`` to ``KEY_high``."""

    def text(row: Row) -> str:
        low, high = row[f"{key}_low"], row[f"{key}_high"]
        return NOTHING if low is None or high is None else f"{low:.3f} to {high:.3f}"

    return Column(title, text)


def _scores() -> tuple[Column, ...]:
    return (
        word("", "name"),
        count("pairs", "pairs"),
        count("failed", "failed"),
        count("passed over", "passed_over"),
        decimal("Dice", "dice"),
        interval("95 %, pairs", "dice"),
        interval("95 %, patients", "dice_grouped"),
        decimal("IoU", "iou"),
        decimal("boundary Dice", "boundary_dice"),
        decimal("HD95, um", "hd95_um", 1),
        decimal("F1", "f1"),
        decimal("AJI", "aji"),
        decimal("PQ", "pq"),
        count("called absent", "called_absent"),
    )


_PRESENCE = (
    word("labels", "name"),
    count("present", "present"),
    count("absent", "absent"),
    decimal("AUROC", "auroc"),
    decimal("calibration error", "calibration_error"),
    count("present called absent", "present_called_absent"),
    count("absent called absent", "absent_called_absent"),
    count("absent called present", "absent_called_present"),
)
_ABSENT = (
    word("label", "name"),
    count("absent pairs", "pairs"),
    count("of them looked for", "looked_for"),
    count("called absent", "called_absent"),
    count("called present", "called_present"),
    count("with any pixel", "with_pixels"),
    decimal("mean area, um²", "area_um2", 1),
    decimal("mean area, % of the image", "area_percent", 2),
)
_NOT_SCORED = (
    word("state", "state"),
    word("data set", "source"),
    word("label", "label"),
    word("reason", "reason"),
    count("pairs", "pairs"),
)
_LOWEST = (
    word("data set", "source"),
    word("image", "image"),
    word("label", "label"),
    word("called", "status"),
    decimal("Dice", "dice"),
)


def _presence_rows(summary: dict[str, Any]) -> list[Row]:
    return [
        {"name": kind.replace("_", " ")} | {key: value for key, value in found.items() if key != "bins"}
        for kind, found in summary["presence"].items()
    ]
