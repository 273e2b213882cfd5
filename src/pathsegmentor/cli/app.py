"""The commands and their options; each imports its work only when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pathsegmentor.cli.app_baselines import baselines_app
from pathsegmentor.cli.app_data import data_app
from pathsegmentor.cli.app_models import models_app
from pathsegmentor.cli.group import OneLineGroup
from pathsegmentor.cli.options import AsJson, Device, ModelName, Workers, path

app = typer.Typer(
    cls=OneLineGroup,
    help="Segment anything in H&E pathology images from words. Research use only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.add_typer(models_app, name="models")
app.add_typer(data_app, name="data")
app.add_typer(baselines_app, name="baselines")


def _version(value: bool) -> None:
    if value:
        from pathsegmentor import __version__
        from pathsegmentor.cli.streams import speaking

        with speaking():
            print(f"pathsegmentor {__version__}")
        raise typer.Exit


@app.callback()
def options(
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True)] = False,
) -> None:
    """Options that stand before the command."""


@app.command()
def segment(
    image: Annotated[Path, typer.Argument(parser=path, help="An image, or a slide of any format.")],
    prompts: Annotated[list[str], typer.Argument(metavar="PROMPT...", help="What to segment, in words.")],
    model: ModelName = "nano",
    mpp: Annotated[float | None, typer.Option(help="Um per pixel, if the file does not say.")] = None,
    region: Annotated[
        str | None, typer.Option(metavar="X,Y,WIDTH,HEIGHT", help="Part of a slide, in its full-resolution pixels.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option(parser=path, help="Folder for the results [IMAGE's name + -segmented].")
    ] = None,
    threshold: Annotated[float | None, typer.Option(help="Probability that counts as inside.")] = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Segment an image: overlay, masks, GeoJSON for QuPath, numbers."""
    from pathsegmentor.cli.segment import run

    run(image, prompts, model, mpp, region, out, threshold, device, as_json)


@app.command()
def prompts(
    phrases: Annotated[
        list[str] | None,
        typer.Argument(metavar="PHRASE...", help="To look up, each in quotes; none lists all labels."),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", help="Only what this model knows.")] = None,
    as_json: AsJson = False,
) -> None:
    """Show the labels, or what words are understood as."""
    from pathsegmentor.cli.prompts import run

    run(phrases, model, as_json)


@app.command()
def doctor(as_json: AsJson = False) -> None:
    """Check environment, devices, weights and a self-test mask."""
    from pathsegmentor.cli.doctor import run

    run(as_json)


@app.command()
def train(
    config: Annotated[Path, typer.Argument(parser=path, help="Training YAML.")],
    data: Annotated[Path, typer.Option(parser=path, help="PathSeg folder that 'data build' wrote.")],
    out: Annotated[Path, typer.Option(parser=path, help="Folder of the run.")] = Path("runs/train"),
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    devices: Annotated[int, typer.Option(min=1, help="GPUs, or processes on a machine without any.")] = 1,
    check: Annotated[bool, typer.Option("--check", help="Only try it: data, one step, memory and hours.")] = False,
) -> None:
    """Train a model."""
    from pathsegmentor.cli.train import run

    run(config, data, out, resume, devices, check)


@app.command()
def finetune(
    data: Annotated[Path, typer.Option(parser=path, help="Annotated folder, or a PathSeg that 'data build' wrote.")],
    out: Annotated[Path, typer.Option(parser=path, help="Model folder to write; the run's own is OUT-run.")],
    model: ModelName = "nano",
    labels: Annotated[
        list[str] | None, typer.Option(help="Only this label of the data; repeatable [all the model does not know].")
    ] = None,
    synonyms: Annotated[
        list[str] | None, typer.Option("--words", metavar="LABEL=WORDS", help="Another way to say a label; repeatable.")
    ] = None,
    what: Annotated[str, typer.Option("--train", help="What learns: heads, adapters (low rank) or all.")] = "heads",
    rehearse: Annotated[
        list[Path] | None, typer.Option(parser=path, help="PathSeg of what the model learnt before; repeatable.")
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Steps of six crops.")] = 150,
    mpp: Annotated[float, typer.Option(help="Um per pixel of images that do not tell it.")] = 0.0,
    scale: Annotated[float | None, typer.Option(help="Um per pixel at which to look for the new labels.")] = None,
    seed: Annotated[int, typer.Option(min=0, help="Another seed draws other crops.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last checkpoint.")] = False,
    as_json: AsJson = False,
) -> None:
    """Teach a model your own labels, from 5 to 20 annotated images."""
    from pathsegmentor.cli.finetune import Request, run

    run(
        Request(data, out, model, labels or [], synonyms or [], what, rehearse or [], steps, mpp, scale, seed),
        resume,
        as_json,
    )


@app.command()
def annotate(
    images: Annotated[list[Path], typer.Argument(parser=path, metavar="IMAGE...", help="Images, or folders of them.")],
    out: Annotated[Path, typer.Option(parser=path, help="New folder to correct in QuPath and to learn from.")],
    prompts: Annotated[
        list[str] | None, typer.Option("--prompt", help="What to look for; repeatable [all the model knows].")
    ] = None,
    model: ModelName = "nano",
    mpp: Annotated[float | None, typer.Option(help="Um per pixel, if the files do not say.")] = None,
    device: Device = "cpu",
    as_json: AsJson = False,
) -> None:
    """Write what a model sees as GeoJSON to correct, the least sure images first."""
    from pathsegmentor.cli.annotate import run

    run(images, prompts or [], model, mpp, out, device, as_json)


@app.command()
def evaluate(
    data: Annotated[Path, typer.Option(parser=path, help="PathSeg folder that 'data build' wrote.")],
    out: Annotated[Path, typer.Option(parser=path, help="Folder of the evaluation; one that was cut off goes on.")],
    model: ModelName = "nano",
    split: Annotated[str, typer.Option(help="test, train, or val (held out of train by --config).")] = "test",
    source: Annotated[list[str] | None, typer.Option(help="Only this part of the set; repeatable.")] = None,
    config: Annotated[
        Path | None, typer.Option(parser=path, help="Training YAML: only its sources, and what it holds out.")
    ] = None,
    absent: Annotated[
        str, typer.Option(help="Absent labels to ask: all that are known to be, looked-for by annotators, or none.")
    ] = "all",
    unknown_as_background: Annotated[
        bool, typer.Option("--unknown-as-background", help="Score where nobody annotated, too, as the paper does.")
    ] = False,
    masks: Annotated[bool, typer.Option("--masks", help="Keep the masks that were found.")] = False,
    workers: Workers = 1,
    ray: Annotated[str, typer.Option(metavar="ADDRESS", help="Evaluate on a Ray cluster ('local' starts one).")] = "",
    mapping: Annotated[
        Path | None, typer.Option(parser=path, help="YAML: as which labels of the model to ask labels of the set.")
    ] = None,
    device: Device = "cpu",
    force: Annotated[bool, typer.Option("--force", help="Do it anew, whatever the folder holds.")] = False,
    as_json: AsJson = False,
) -> None:
    """Measure a model on annotated images: scores per pair, tables with intervals, figures, one page."""
    from pathsegmentor.cli.evaluate import mapped, run, settings_of
    from pathsegmentor.evaluate.find import Maker

    settings = settings_of(split, source or [], absent, unknown_as_background, masks)
    maker = mapped(Maker(model, device), mapping)
    run(maker, data, out, settings, config, workers, ray, force, as_json)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(parser=path, metavar="DIR", help="Folder that 'evaluate' wrote.")],
    as_json: AsJson = False,
) -> None:
    """Write tables, figures and page of an evaluation anew, from its folder alone."""
    from pathsegmentor.cli.evaluate import report as write

    write(folder, as_json)


@app.command()
def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="DIR...",
            help="Folders of 'evaluate', the first against the others. NAME=DIR names one; of NAME=DIR,DIR the best"
            " counts for each label.",
        ),
    ],
    out: Annotated[Path, typer.Option(parser=path, help="Folder for tables, figures and the page.")],
    data: Annotated[
        Path | None, typer.Option(parser=path, help="The PathSeg that was evaluated: adds shapes, prompts, pictures.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Compare evaluations pair by pair: means side by side, tests, trends, pictures."""
    from pathsegmentor.cli.compare import run

    run(runs, out, data, as_json)
