"""The commands of ``baselines``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from pathsegmentor.cli.options import AsJson, Device, path

baselines_app = typer.Typer(help="Other methods to compare with: which there are, and their training.")


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
