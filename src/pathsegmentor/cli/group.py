"""The commands as one group whose every failure is one line.

Typer answers a wrong option with a framed box and an interrupt with nothing; a script wants one line to log
and an exit code: 2 for a wrong request, 130 for an interrupt.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Any, NoReturn

import typer
from typer.core import TyperGroup

from pathsegmentor.cli.streams import complain, speaking
from pathsegmentor.errors import BadInput, PathSegError

_NO_MEMORY = ("out of memory", "can't allocate memory", "cannot allocate memory", "insufficient memory", "bad_alloc")
_NOT_LOADED = ("failed to map segment", "cannot allocate memory")


class OneLineGroup(TyperGroup):
    """Turns what went wrong into a ``PathSegError`` of one line, which ``cli.main`` prints."""

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> NoReturn:
        """Run a command and leave with its exit code."""
        # A file name that the terminal cannot show is written with escapes, not refused.
        for stream in (sys.stdout, sys.stderr):
            if hasattr(stream, "reconfigure"):
                stream.reconfigure(errors="backslashreplace")
        extra |= {"standalone_mode": False} | ({} if rest else {"prog_name": "pathsegmentor"})
        try:
            code = super().main(args, *rest, **extra)
            with speaking():
                pass
        except typer.Abort:
            code = 130
        except BrokenPipeError:
            # The reader has seen enough (`| head`); files are written before anything is said.
            sys.exit(1)
        except Exception as error:
            if _is_help(error):
                sys.exit(2)
            text = _in_words(error)
            if text is None:
                raise
            raise BadInput(" ".join(text.split())) from error
        if code == 130:
            complain("interrupted")
        sys.exit(code if isinstance(code, int) else 0)


def _is_help(error: Exception) -> bool:
    """The command was called with nothing at all, and typer has shown its help."""
    return type(error).__name__ == "NoArgsIsHelpError"


def _in_words(error: Exception) -> str | None:
    """What a person can act on, or None for an error that is a fault of ours."""
    if isinstance(error, PathSegError):
        return str(error)
    if hasattr(error, "format_message"):  # a wrong option or argument
        context = getattr(error, "ctx", None)
        command = context.command_path if context is not None else "pathsegmentor"
        return f"{error.format_message().rstrip('.')}; see {command} --help"
    text = str(error).lower()
    if isinstance(error, MemoryError) or any(sign in text for sign in _NO_MEMORY):
        return "not enough memory; cut the image into smaller ones, or use a machine with more"
    if isinstance(error, ImportError) and any(sign in text for sign in _NOT_LOADED):
        return "not enough memory to load torch"
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return None
