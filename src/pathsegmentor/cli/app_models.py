"""The commands of ``models``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pathsegmentor.cli.options import AsJson, path

models_app = typer.Typer(help="Models on this machine; get, give and convert them.", no_args_is_help=False)


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
