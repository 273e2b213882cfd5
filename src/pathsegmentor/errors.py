"""Errors meant for people: one line that says what, where and what to do.

``PathSegError`` is everything of ours. Cut along what a caller catches:

- ``BadInput``: an image, path or number given by the user cannot be used.
- ``BadPrompt``: words that name nothing the model knows; ``suggestions`` has the nearest labels.
- ``BadModel``: a model folder or checkpoint that is missing, broken or altered.

The command line prints the message of any ``PathSegError`` without a traceback and exits with 2.
"""

from __future__ import annotations

from collections.abc import Iterable


class PathSegError(Exception):
    """Anything that went wrong in a way a person can act on."""


class BadInput(PathSegError, ValueError):
    """An image, path or number that cannot be used as asked."""


class BadModel(PathSegError, RuntimeError):
    """A model that is missing, incomplete, altered or of another shape."""


class BadPrompt(PathSegError, ValueError):
    """Words that could not be understood; ``suggestions`` are ids of the nearest labels."""

    def __init__(self, message: str, suggestions: Iterable[str] = ()) -> None:
        super().__init__(message)
        self.suggestions = tuple(suggestions)
