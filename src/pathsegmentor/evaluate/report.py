"""All that people read of a run, made from its files alone: ``summary.json``, tables, figures, one page."""

from __future__ import annotations

import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from pathsegmentor.atomic import written
from pathsegmentor.evaluate.columns import read_columns
from pathsegmentor.evaluate.figures import draw_figures
from pathsegmentor.evaluate.page import figure_html, page_html, write_text
from pathsegmentor.evaluate.summary import summarise
from pathsegmentor.evaluate.tables import Table, html, markdown, tables_of, write_csv

SUMMARY, PAGE, PLAIN = "summary.json", "report.html", "tables.md"
TABLES, FIGURES = "tables", "figures"


def write_report(folder: Path) -> dict[str, Any]:
    """Write everything anew and return the summary; raises ``BadInput`` if the run is missing or not finished."""
    summary = summarise(folder)
    tables = tables_of(summary)
    for name in (TABLES, FIGURES):
        with written(folder / name):
            (folder / name).mkdir(exist_ok=True)
    for table in tables:
        write_csv(table, folder / TABLES)
    figures = draw_figures(summary, read_columns(folder), folder / FIGURES)
    write_text(folder / SUMMARY, json.dumps(summary, indent=1, allow_nan=False) + "\n")
    write_text(folder / PLAIN, _plain(summary, tables))
    write_text(folder / PAGE, _page(summary, tables, figures, folder / FIGURES))
    return summary


def _title(summary: dict[str, Any]) -> str:
    run = summary["run"]
    of = f" of {', '.join(run['settings']['sources'])}" if run["settings"]["sources"] else ""
    return f"{run['model']} on the {run['settings']['split']} part{of}"


def _plain(summary: dict[str, Any], tables: Sequence[Table]) -> str:
    """The tables as Markdown."""
    rules = "\n".join(f"- {rule}" for rule in summary["rules"].values())
    facts = "\n".join(f"- {name}: {value}" for name, value in _facts(summary))
    body = "\n".join(markdown(table) for table in tables)
    return f"# {_title(summary)}\n\nResearch use only.\n\n{facts}\n\n{rules}\n\n{body}"


def _page(summary: dict[str, Any], tables: Sequence[Table], figures: Sequence[tuple[str, str]], folder: Path) -> str:
    """One HTML page that needs no other file and no network."""
    facts = "".join(f"<dt>{escape(name)}</dt><dd><code>{escape(value)}</code></dd>" for name, value in _facts(summary))
    rules = "".join(f"<li>{escape(rule)}</li>" for rule in summary["rules"].values())
    pictures = "".join(figure_html(name, caption, folder) for name, caption in figures)
    parts = "".join(html(table) for table in tables)
    body = (
        f"{_headline(summary)}<h2>How to read the numbers</h2><ul>{rules}</ul>\n{pictures}{parts}"
        f"<h2>From a number to its samples</h2>\n<p>{escape(_FOLLOW)}</p>\n"
        f"<h2>The run</h2><dl>{facts}</dl>\n"
    )
    return page_html(_title(summary), body)


_FOLLOW = (
    "samples.parquet in this folder has one row per image and label with all scores; every row of a table above is the"
    " mean of its rows with state 'scored' and present true whose source, region, structure, object_type or label has"
    " the name on the left. The column image is the member of the data set's shards; masks/ holds what was found if the"
    " run kept it (--masks)."
)


def _headline(summary: dict[str, Any]) -> str:
    """The three numbers that are asked for first."""
    overall, counts = summary["overall"], summary["counts"]
    presence = summary["presence"]["looked_for"]["auroc"]
    dice = "no score" if overall["dice"] is None else f"{overall['dice']:.3f}"
    over = f"{overall['pairs']:,} pairs of {overall['images']:,} images"
    lines = [f'<p><span class="big">{dice}</span> mean Dice over {over}']
    if presence is not None:
        everything = summary["presence"]["all"]["auroc"]
        lines.append(f", presence AUROC {presence:.3f} over labels looked for, {everything:.3f} over all")
    states = ", ".join(f"{count:,} {state}" for state, count in counts.items())
    return "".join([*lines, f".</p>\n<p>Rows of samples.parquet, absent labels included: {states}.</p>\n"])


def _facts(summary: dict[str, Any]) -> list[tuple[str, str]]:
    run = summary["run"]
    names = {
        "command": "command",
        "model": "model",
        "weights_sha256": "weights, SHA-256",
        "config_sha256": "config of the model, SHA-256",
        "manifest_sha256": "manifest of the data set, SHA-256",
        "wants_boxes": "boxes shown to the model",
        "settings": "settings",
        "version": "pathsegmentor",
    }
    return [(title, str(run[key])) for key, title in names.items()]
