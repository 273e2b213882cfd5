"""The command line: one small file per command, no logic of its own."""

from __future__ import annotations

import sys

from pathsegmentor.cli.streams import complain, open_closed
from pathsegmentor.errors import PathSegError


def main() -> None:
    """Entry point: errors for people are one line and exit code 2; ``--debug`` shows the traceback."""
    open_closed()
    debug = "--debug" in sys.argv
    try:
        from pathsegmentor.cli.app import app

        app()
    except (PathSegError, MemoryError) as error:
        if debug:
            raise
        complain(str(error) or "not enough memory; cut the image into smaller ones")
        sys.exit(2)
    except KeyboardInterrupt:
        complain("interrupted")
        sys.exit(130)
