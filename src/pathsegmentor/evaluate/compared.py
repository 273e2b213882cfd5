"""All that people read of a comparison: ``compare.json``, tables, figures, one page; made from the runs' files."""

from __future__ import annotations

import json
import shlex
import sys
from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path
from typing import Any

from pathsegmentor import __version__
from pathsegmentor.atomic import written
from pathsegmentor.errors import BadInput
from pathsegmentor.evaluate import compare_figures, intricate, intricate_figures, pictures
from pathsegmentor.evaluate.compare import comparison
from pathsegmentor.evaluate.compare import tables_of as means_of
from pathsegmentor.evaluate.masks import mask_path
from pathsegmentor.evaluate.page import figure_html, page_html, write_text
from pathsegmentor.evaluate.paired import Paired
from pathsegmentor.evaluate.tables import Table, html, markdown, write_csv

NUMBERS, PAGE, PLAIN = "compare.json", "compare.html", "compare.md"
TABLES, FIGURES = "tables", "figures"
Progress = Callable[[int, int], None]
_SHAPES = (
    "Intricacy is that of the true mask: irregularity 1 - 4 pi area / perimeter², the mean area of an instance over"
    " that of the image, the number of instances (8-connected parts of at least 36 pixels). Plain means stand beside"
    " those weighted by the density of the pairs (Gaussian kernels on measure and Dice), which pulls towards the"
    " commonest Dice; curves of shapes are fitted against 1 - irregularity.",
)


def write_comparison(paired: Paired, out: Path, data: Path | None, progress: Progress) -> dict[str, Any]:
    """Write the folder and return what is in ``compare.json``; with the data set also shapes and pictures."""
    _check_place(out, paired)
    compared = {"command": shlex.join(["pathsegmentor", *sys.argv[1:]]), "version": __version__} | comparison(paired)
    tables = means_of(compared)
    for name in (TABLES, FIGURES):
        with written(out / name):
            (out / name).mkdir(parents=True, exist_ok=True)
    figures = compare_figures.draw(compared, out / FIGURES)
    if data is not None:
        shapes = intricate.measure(data, paired, progress)
        found = intricate.intricacy(paired, shapes)
        compared |= {"intricate": found, "rules": [*compared["rules"], *_SHAPES]}
        tables += intricate.tables_of(found)
        write_csv(Table("shapes", "", (), shapes), out / TABLES)
        write_csv(Table("fits_all", "", (), found["fits"]), out / TABLES)
        figures += intricate_figures.draw(paired, shapes, found, out / FIGURES)
        if _kept_masks(paired):
            figures.append(pictures.draw(paired, data, out / FIGURES))
    for table in tables:
        write_csv(table, out / TABLES)
    write_csv(Table("lost", "", (), paired.lost), out / TABLES)
    write_text(out / NUMBERS, json.dumps(compared, indent=1, allow_nan=False) + "\n")
    write_text(out / PLAIN, _plain(compared, tables))
    write_text(out / PAGE, page_html(_title(compared), _body(compared, tables, figures, out / FIGURES)))
    return compared


def _check_place(out: Path, paired: Paired) -> None:
    if out.exists() and not out.is_dir():
        raise BadInput(f"{out} is a file; --out is a folder")
    for run in (run for method in paired.methods for run in method.runs):
        if out.resolve() == run.folder.resolve():
            raise BadInput(f"--out {out} is one of the evaluations; choose another folder")
    if out.is_dir() and any(out.iterdir()) and not (out / NUMBERS).is_file() and not (out / TABLES).is_dir():
        raise BadInput(f"--out {out} holds other files and no comparison; choose a new or empty folder")


def _kept_masks(paired: Paired) -> bool:
    """Whether every method kept the masks that the pictures show."""
    return all(
        mask_path(method.run_of(label).folder, str(paired.texts["source"][place]), image, label).is_file()
        for _, place in pictures.chosen(paired)
        for image, label in [paired.keys[place]]
        for method in paired.methods
    )


def _title(compared: dict[str, Any]) -> str:
    return " against ".join([compared["methods"][0]["name"], ", ".join(m["name"] for m in compared["methods"][1:])])


def _plain(compared: dict[str, Any], tables: Sequence[Table]) -> str:
    rules = "\n".join(f"- {rule}" for rule in compared["rules"])
    body = "\n".join(markdown(table) for table in tables)
    return f"# {_title(compared)}\n\nResearch use only.\n\n`{compared['command']}`\n\n{rules}\n\n{body}"


def _body(compared: dict[str, Any], tables: Sequence[Table], figures: Sequence[tuple[str, str]], folder: Path) -> str:
    rules = "".join(f"<li>{escape(rule)}</li>" for rule in compared["rules"])
    shown = "".join(figure_html(name, caption, folder) for name, caption in figures)
    command = f"<p><code>{escape(compared['command'])}</code>, pathsegmentor {escape(compared['version'])}</p>"
    follow = "<p>Every mean is of rows of the samples.parquet in the folders of tables/methods.csv.</p>"
    return f"{command}<ul>{rules}</ul>{follow}\n{shown}{''.join(html(table) for table in tables)}"
