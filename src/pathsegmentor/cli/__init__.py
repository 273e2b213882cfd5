"""The command line: one small file per command, no logic of its own."""

from __future__ import annotations

import sys

from pathsegmentor.errors import PathSegError


def main() -> None:
    """Entry point: errors for people are one line and exit code 2; ``--debug`` shows the traceback."""
    from pathsegmentor.cli.app import app

    debug = "--debug" in sys.argv
    try:
        app()
    except (PathSegError, MemoryError) as error:
        if debug:
            raise
        text = str(error) or "not enough memory; cut the image into smaller ones"
        print(f"pathsegmentor: {text}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        sys.exit(130)
