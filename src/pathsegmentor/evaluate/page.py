"""A page that opens offline: one HTML file with its style and figures inside."""

from __future__ import annotations

import base64
from html import escape
from pathlib import Path

from pathsegmentor.atomic import whole_file

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


def page_html(title: str, body: str) -> str:
    """The whole page; ``body`` is HTML and begins below the heading."""
    return (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{escape(title)}</title>'
        f"<style>{STYLE}</style></head>\n<body>\n<h1>{escape(title)}</h1>\n<p>Research use only.</p>\n"
        f"{body}</body></html>\n"
    )


def figure_html(name: str, caption: str, folder: Path) -> str:
    """``NAME.svg`` of a folder of figures, within the page."""
    data = base64.b64encode((folder / f"{name}.svg").read_bytes()).decode()
    return (
        f'<figure><img alt="{escape(caption)}" src="data:image/svg+xml;base64,{data}">'
        f"<figcaption>{escape(caption)} figures/{name}.png, .svg</figcaption></figure>\n"
    )


def write_text(path: Path, text: str) -> None:
    """A text file, whole or not at all, the same on every system."""
    with whole_file(path) as beside:
        beside.write_text(text, encoding="utf-8", newline="\n")
