"""What a segmentation gives: enough to read it, to export it and to run it again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.segment.objects import Object, count_objects, outline
from pathsegmentor.vocabulary import Label

Status = Literal["present", "absent", "unsure"]


@dataclass(frozen=True)
class Found:
    """The answer to one prompt.

    ``mask`` (H, W) boolean at the image's own size, empty if the object is absent and never if it is present;
    ``presence`` in 0..1; ``reason`` says how the words were understood; ``seconds`` is this prompt's share of the
    decoding; ``note`` says why the status is not what the presence alone would make it.
    """

    prompt: str
    label: Label
    reason: str
    status: Status
    presence: float
    mask: NDArray[np.bool_]
    mpp: tuple[float, float]
    seconds: float
    note: str = ""

    @cached_property
    def objects(self) -> list[Object]:
        """Outlines of the 8-connected pieces."""
        return outline(self.mask, self.mpp)

    @cached_property
    def count(self) -> int:
        """Number of 8-connected pieces."""
        return count_objects(self.mask)

    @property
    def area_um2(self) -> float:
        """Area in um2."""
        return float(self.mask.sum()) * self.mpp[0] * self.mpp[1]

    @property
    def area_fraction(self) -> float:
        """Share of the image, 0..1."""
        return float(self.mask.mean())

    def to_dict(self, mask: str | None = None) -> dict[str, Any]:
        """Plain values; ``mask`` is the path the mask was written to."""
        return {
            "prompt": self.prompt,
            "label": self.label.id,
            "status": self.status,
            "presence": round(self.presence, 4),
            "count": self.count,
            "area_um2": round(self.area_um2, 2),
            "area_fraction": round(self.area_fraction, 6),
            "mask": mask,
        } | ({"note": self.note} if self.note else {})


@dataclass(frozen=True)
class Result:
    """One image, one model, all prompts.

    ``notes`` say what had to be decided, or cannot be trusted, in reading the image; ``icc_profile`` names
    the image's profile, which is not applied. ``threads`` is how many torch had: another number may round
    another way, and move a pixel that lies on the threshold. ``region`` (x, y, width, height) says which part of a
    slide this is, if it is one; ``shown_from`` is the place from which viewers such as QuPath count.
    """

    image: str
    image_sha256: str | None
    width: int
    height: int
    mpp: tuple[float, float]
    model: str
    weights_sha256: str
    threshold: float
    founds: tuple[Found, ...]
    encode_seconds: float
    version: str
    notes: tuple[str, ...] = ()
    icc_profile: str | None = None
    threads: int = 1
    region: tuple[int, int, int, int] | None = None
    shown_from: tuple[int, int] = (0, 0)

    @property
    def offset(self) -> tuple[int, int]:
        """What viewers add to (x, y) of this image's pixels."""
        x, y = self.region[:2] if self.region else (0, 0)
        return x - self.shown_from[0], y - self.shown_from[1]

    @property
    def distinct(self) -> tuple[Found, ...]:
        """One answer per label: of prompts that mean the same, the first."""
        first: dict[str, Found] = {}
        for found in self.founds:
            first.setdefault(found.label.id, found)
        return tuple(first.values())

    def to_dict(self, masks: list[str] | None = None) -> dict[str, Any]:
        """Plain values for ``--json``; ``masks`` are the written paths, one per prompt."""
        paths: list[str | None] = [None] * len(self.founds) if masks is None else list(masks)
        return {
            "image": self.image,
            "width": self.width,
            "height": self.height,
            "mpp": self.mpp[0] if self.mpp[0] == self.mpp[1] else list(self.mpp),
            "model": self.model,
            "notes": list(self.notes),
            "results": [f.to_dict(p) for f, p in zip(self.founds, paths, strict=True)],
        } | ({"region": list(self.region)} if self.region else {})

    def record(self, masks: list[str]) -> dict[str, Any]:
        """``to_dict`` and all that a replay needs: hashes, settings, version, how words were read.

        ``mpp`` is always the pair (x, y) here.
        """
        plain = self.to_dict(masks) | {"mpp": list(self.mpp)}
        for entry, found in zip(plain["results"], self.founds, strict=True):
            entry |= {"understood": found.reason, "seconds": round(found.seconds, 3)}
        return plain | {
            "image_sha256": self.image_sha256,
            "weights_sha256": self.weights_sha256,
            "icc_profile": self.icc_profile,
            "threshold": self.threshold,
            "threads": self.threads,
            "geojson_offset": list(self.offset),
            "encode_seconds": round(self.encode_seconds, 3),
            "version": self.version,
            "note": "research use only",
        }
