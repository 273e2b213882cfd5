"""All commands and their options; each imports its work only when it is called."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pathsegmentor.cli.group import OneLineGroup

app = typer.Typer(
    cls=OneLineGroup,
    help="Segment anything in H&E pathology images from words. Research use only.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
models_app = typer.Typer(help="Models on this machine; get, give and convert them.", no_args_is_help=False)
app.add_typer(models_app, name="models")
data_app = typer.Typer(
    help="The PathSeg data set: build it from its sources, look at it, check it.", no_args_is_help=True
)
app.add_typer(data_app, name="data")
baselines_app = typer.Typer(help="Other methods to compare with: which there are, and their training.")
app.add_typer(baselines_app, name="baselines")


def path(text: str | Path) -> Path:
    """A path as it was given; an empty one would mean the current folder."""
    if not str(text):
        raise typer.BadParameter("it is empty; name a file or folder")
    return Path(text)


ModelName = Annotated[str, typer.Option("--model", help="Model's name, model folder, or Hub id.")]
Device = Annotated[str, typer.Option(help="cpu, cuda, mps, ...")]
Workers = Annotated[int, typer.Option(help="Processes.")]
AsJson = Annotated[bool, typer.Option("--json", help="Print one JSON document and nothing else.")]


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


@models_app.callback(invoke_without_command=True)
def models(context: typer.Context, as_json: AsJson = False) -> None:
    """List the models on this machine."""
    if context.invoked_subcommand is None:
        from pathsegmentor.cli.models import show

        show(as_json)


@models_app.command("pull")
def pull(
    source: Annotated[
        str, typer.Argument(metavar="NAME", help="biomedparse-v1, a Hub id OWNER/NAME, or a model folder.")
    ],
    out: Annotated[Path | None, typer.Option(parser=path, help="Model folder to write [a model of that name].")] = None,
) -> None:
    """Get a model, checked and ready under its name."""
    from pathsegmentor.cli.models import pull_model

    pull_model(source, out)


@models_app.command("push")
def push(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Model's name or folder.")],
    hub: Annotated[str | None, typer.Option(metavar="OWNER/NAME", help="Hub repository; made if missing.")] = None,
    out: Annotated[Path | None, typer.Option(parser=path, help="Or a model folder to write.")] = None,
    public: Annotated[bool, typer.Option("--public", help="A repository made now is for all to see.")] = False,
) -> None:
    """Give a model away: to the Hub, or as a folder."""
    from pathsegmentor.cli.models import push_model

    push_model(model, hub, out, public)


@models_app.command("import")
def import_(
    checkpoint: Annotated[
        Path, typer.Argument(parser=path, help="Released BiomedParse-v1 weights: .pt or .safetensors.")
    ],
    out: Annotated[Path, typer.Option(parser=path, help="Model folder to write.")],
    tokenizer: Annotated[
        Path, typer.Option(parser=path, help="tokenizer.json of the text tower (CLIP's for these weights).")
    ],
) -> None:
    """Convert released weights to a model folder."""
    from pathsegmentor.cli.models import import_released

    import_released(checkpoint, out, tokenizer)


@models_app.command("export")
def export(
    folder: Annotated[Path, typer.Argument(parser=path, help="Model folder made by 'models import'.")],
    out: Annotated[Path, typer.Option(parser=path, help="The .safetensors file to write, in the released layout.")],
) -> None:
    """Convert a model folder back to the released layout, losing nothing."""
    from pathsegmentor.cli.models import export_released

    export_released(folder, out)


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


@baselines_app.callback(invoke_without_command=True)
def baselines(context: typer.Context, as_json: AsJson = False) -> None:
    """List the baselines for 'evaluate --model NAME:WEIGHTS', and what each needs."""
    if context.invoked_subcommand is None:
        from pathsegmentor.cli.baselines import show

        show(as_json)


@baselines_app.command("train")
def baselines_train(
    config: Annotated[Path, typer.Argument(parser=path, help="YAML of a group of specialists.")],
    data: Annotated[Path, typer.Option(parser=path, help="PathSeg folder that 'data build' wrote.")],
    out: Annotated[Path, typer.Option(parser=path, help="Folder of the group: one folder per source in it.")],
    source: Annotated[list[str] | None, typer.Option(help="Only this source; repeatable.")] = None,
    device: Device = "cpu",
) -> None:
    """Train one specialist per source; run it again to go on after a stop."""
    from pathsegmentor.cli.baselines import train

    train(config, data, out, source or [], device)


@baselines_app.command("install")
def baselines_install(name: Annotated[str, typer.Argument(help="nnunet.")]) -> None:
    """Make the environment of its own that a baseline needs."""
    from pathsegmentor.cli.baselines import install

    install(name)


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
