"""All that people read of a run, made from its files alone: ``summary.json``, tables, figures, one page."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Any

from pathsegmentor.atomic import whole_file, written
from pathsegmentor.evaluate.columns import read_columns
from pathsegmentor.evaluate.figures import draw_figures
from pathsegmentor.evaluate.summary import summarise
from pathsegmentor.evaluate.tables import Table, html, markdown, tables_of, write_csv

SUMMARY, PAGE, PLAIN = "summary.json", "report.html", "tables.md"
TABLES, FIGURES = "tables", "figures"
STYLE = """
body { font: 15px/1.45 system-ui, sans-serif; color: #1a1a1a; max-width: 75em; margin: 2em auto; padding: 0 1.5em; }
h1 { font-size: 1.6em; margin-bottom: 0.2em; } h2 { font-size: 1.15em; margin-top: 2em; }
table { border-collapse: collapse; font-size: 0.86em; font-variant-numeric: tabular-nums; }
th { text-align: left; border-bottom: 1.5px solid #333; padding: 0.25em 0.7em 0.25em 0; vertical-align: bottom; }
td { border-bottom: 1px solid #ddd; padding: 0.2em 0.7em 0.2em 0; vertical-align: top; overflow-wrap: anywhere; }
.n { text-align: right; white-space: nowrap; } .f, figcaption { color: #666; font-size: 0.85em; }
figure { margin: 1.5em 0; } img { max-width: 100%; }
dt { font-weight: 600; margin-top: 0.5em; } dd { margin-left: 1.2em; }
code { overflow-wrap: anywhere; } .big { font-size: 1.9em; font-weight: 600; }
@media print {
 body { max-width: none; margin: 0; font-size: 10pt; } table { font-size: 7.5pt; }
 figure, tr { break-inside: avoid; }
}
"""


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
    _write(folder / SUMMARY, json.dumps(summary, indent=1, allow_nan=False) + "\n")
    _write(folder / PLAIN, _plain(summary, tables))
    _write(folder / PAGE, _page(summary, tables, figures, folder / FIGURES))
    return summary


def _write(path: Path, text: str) -> None:
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")


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
    pictures = "".join(_figure(name, caption, folder) for name, caption in figures)
    parts = "".join(html(table) for table in tables)
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(_title(summary))}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n<h1>{escape(_title(summary))}</h1>\n<p>Research use only.</p>\n"
        f"{_headline(summary)}<h2>How to read the numbers</h2><ul>{rules}</ul>\n{pictures}{parts}"
        f"<h2>From a number to its samples</h2>\n<p>{escape(_FOLLOW)}</p>\n"
        f"<h2>The run</h2><dl>{facts}</dl>\n</body></html>\n"
    )


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


def _figure(name: str, caption: str, folder: Path) -> str:
    data = base64.b64encode((folder / f"{name}.svg").read_bytes()).decode()
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{escape(caption)} figures/{name}.png, .svg</figcaption></figure>\n"
    )


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
