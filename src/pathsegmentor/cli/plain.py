"""Text of strangers, safe for a terminal: words, labels and file names may hold anything."""

from __future__ import annotations

import unicodedata


def plain(text: object) -> str:
    """One line in which control characters, escape sequences and direction marks are shown, and never act."""
    return " ".join("".join(map(_shown, str(text))).split())


def _shown(character: str) -> str:
    if character.isspace() or unicodedata.category(character)[0] != "C":
        return character
    return character.encode("unicode_escape").decode("ascii")
