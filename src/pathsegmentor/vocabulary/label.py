"""``Label``: anatomical region, histological structure, object type (paper, section 2.1)."""

from __future__ import annotations

import re
from dataclasses import dataclass

from pathsegmentor.errors import BadInput


@dataclass(frozen=True, eq=False)
class Label:
    """One category; two labels are equal whatever their case."""

    region: str
    structure: str
    object_type: str

    @property
    def id(self) -> str:
        """``breast-nuclei-neoplastic``: lower case, joined by hyphens."""
        return f"{self.region}-{self.structure}-{self.object_type}".lower()

    @property
    def prompt(self) -> str:
        """The paper's template, in lower case: ``nuclei-level neoplastic in breast pathology``."""
        return f"{self.structure}-level {self.object_type} in {self.region} pathology".lower()

    @property
    def file_name(self) -> str:
        """The id with everything but letters, digits, dots and hyphens replaced by ``_``."""
        return re.sub(r"[^\w.-]", "_", self.id)

    @classmethod
    def from_id(cls, text: str) -> Label:
        """Read ``region-structure-object type``; the object type may hold hyphens itself."""
        parts = [part.strip() for part in text.split("-", 2)]
        if len(parts) != 3 or not all(parts):
            raise BadInput(f"'{text}' is no label; expected region-structure-object type")
        if not text.isprintable():
            raise BadInput(f"{text!r} is no label: it holds characters that cannot be shown")
        return cls(*parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Label) and self.id == other.id

    def __hash__(self) -> int:
        return hash(self.id)
