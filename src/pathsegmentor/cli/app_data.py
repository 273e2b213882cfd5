"""The commands of ``data``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pathsegmentor.cli.options import AsJson, Workers, path

data_app = typer.Typer(
    help="The PathSeg data set: build it from its sources, look at it, check it.", no_args_is_help=True
)


PathSegFolder = Annotated[Path, typer.Argument(parser=path, metavar="DIR", help="Folder that 'data build' wrote.")]


@data_app.command("sources")
def data_sources(as_json: AsJson = False) -> None:
    """List the sources: licence, where to get them, layout, scale, counts."""
    from pathsegmentor.cli.data import sources

    sources(as_json)


@data_app.command("build")
def data_build(
    source: Annotated[list[str], typer.Option(metavar="NAME=PATH", help="A source and its download; repeatable.")],
    out: Annotated[Path, typer.Option(parser=path, help="Folder of the data set; other sources in it are kept.")],
    split: Annotated[
        list[str] | None, typer.Option(metavar="NAME=RULE", help="official, random or external, instead of its own.")
    ] = None,
    all_labels: Annotated[bool, typer.Option("--all-labels", help="Also labels that the paper does not use.")] = False,
    mpp: Annotated[float, typer.Option(help="Um per pixel of your own images that do not tell it.")] = 0.0,
    seed: Annotated[int, typer.Option(help="Seed of random splits.")] = 0,
    workers: Workers = 1,
    ray: Annotated[str, typer.Option(metavar="ADDRESS", help="Build on a Ray cluster ('local' starts one).")] = "",
    as_json: AsJson = False,
) -> None:
    """Build image-mask-label triples from downloaded sources; run it again to go on after a stop."""
    from pathsegmentor.cli.data import build

    build(source, out, split or [], all_labels, mpp, seed, workers, ray, as_json)


@data_app.command("stats")
def data_stats(
    folder: PathSegFolder,
    out: Annotated[Path | None, typer.Option(parser=path, help="Folder for figures.")] = None,
    as_json: AsJson = False,
) -> None:
    """Count images, masks and labels, beside the paper's tables 1 to 5."""
    from pathsegmentor.cli.data import stats

    stats(folder, out, as_json)


@data_app.command("show")
def data_show(
    folder: PathSegFolder,
    out: Annotated[Path, typer.Option(parser=path, help="The PNG to write.")] = Path("pathseg.png"),
    count: Annotated[int, typer.Option(min=1, max=400, help="How many images.")] = 16,
    seed: Annotated[int, typer.Option(help="Another seed shows other images.")] = 0,
    source: Annotated[str, typer.Option(help="Only this source.")] = "",
    label: Annotated[str, typer.Option(help="Only images with this label.")] = "",
) -> None:
    """Draw a contact sheet: images, masks, prompts."""
    from pathsegmentor.cli.data import show

    show(folder, out, count, seed, source, label)


@data_app.command("check")
def data_check(
    folder: PathSegFolder,
    workers: Workers = 1,
    out: Annotated[Path | None, typer.Option(parser=path, help="JSON file for all findings.")] = None,
    as_json: AsJson = False,
) -> None:
    """Look for leaks between splits, duplicates, empty or damaged masks, wrong scales."""
    from pathsegmentor.cli.data import check

    check(folder, workers, out, as_json)


@data_app.command("licences")
def data_licences(folder: PathSegFolder, as_json: AsJson = False) -> None:
    """Say what may be passed on, and what trained weights may claim."""
    from pathsegmentor.cli.data import licences

    licences(folder, as_json)
