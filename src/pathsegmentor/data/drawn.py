"""Objects drawn in other programs, and the masks that they make together."""

from __future__ import annotations

import hashlib
import unicodedata
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

import numpy as np
import shapely
from numpy.typing import NDArray

from pathsegmentor.data.counted import Count, Mark, Passed, Place
from pathsegmentor.data.outlines import Ring, paint
from pathsegmentor.data.record import Annotated, MaskArray, Pixels
from pathsegmentor.errors import BadInput
from pathsegmentor.vocabulary import Label

STRUCTURES = ("tissue", "cell", "nuclei")
# QuPath's class for regions to be left out of everything.
IGNORE = "ignore*"
STARRED = "is of a class that ends with '*', which QuPath leaves out"


@dataclass(frozen=True)
class Runs:
    """A mask of ``size`` (H, W) as the lengths of runs of 0 and 1 in turn, down the columns, as COCO has it."""

    size: tuple[int, int]
    lengths: tuple[int, ...]

    def mask(self) -> NDArray[np.bool_]:
        """The mask (H, W)."""
        values = np.repeat(np.arange(len(self.lengths)) % 2 == 1, self.lengths)
        return np.asarray(values.reshape(self.size[::-1]).T)


@dataclass(frozen=True)
class Drawn:
    """An object: its place, its class, and polygons or ``runs`` that together are it.

    A polygon's further rings are holes. About the pixels of a ``crowd`` nothing is known but that such
    objects lie there. ``key`` is the id that its file gives it, or "".
    """

    place: Place
    name: str
    polygons: list[list[Ring]]
    runs: Runs | None = None
    crowd: bool = False
    key: str = ""

    def paint(self, mask: NDArray[np.int32], number: int) -> int:
        """Write ``number`` into ``mask`` (H, W) where the object is, and return into how many pixels."""
        if self.runs is None:
            return sum(paint(mask, rings, number) for rings in self.polygons)
        # Compared before a mask of that size is made.
        if self.runs.size != mask.shape:
            raise ValueError(f"has a mask of {self.runs.size[1]} x {self.runs.size[0]} pixels, not of its image's size")
        inside = self.runs.mask()
        mask[inside] = number
        return int(np.count_nonzero(inside))

    def bounds(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the polygons."""
        points = np.concatenate([points for rings in self.polygons for points in rings])
        left, top = points.min(axis=0)
        right, bottom = points.max(axis=0)
        return float(left), float(top), float(right), float(bottom)

    def crosses_itself(self) -> bool:
        """Whether an outline crosses itself or its holes: then the even-odd rule decides what is inside."""
        try:
            return not all(shapely.is_valid(shapely.Polygon(rings[0], rings[1:])) for rings in self.polygons)
        except ValueError:  # a hole of two positions
            return True

    def shape(self) -> bytes:
        """A hash that objects of the same outline share, closed or not."""
        if self.runs is not None:
            return hashlib.sha256(repr(self.runs).encode()).digest()
        rings = [r[:-1] if (r[0] == r[-1]).all() else r for rings in self.polygons for r in rings]
        return hashlib.sha256(b"|".join(ring.tobytes() for ring in rings)).digest()


def key_of(name: str) -> str:
    """What class names that mean the same have in common: they differ by case, blanks or Unicode form."""
    return unicodedata.normalize("NFC", name).strip().casefold()


def label_of(name: str, labels: dict[str, str]) -> str:
    """The label id that a class name means; raises ``BadInput`` for one that means none."""
    if key_of(name) in labels:
        return labels[key_of(name)]
    plain = " ".join(unicodedata.normalize("NFC", name).lower().split())
    if not plain.isprintable():
        raise BadInput("has a class with characters in its name that cannot be shown")
    parts = [part.strip() for part in plain.split("-", 2)]
    if len(parts) == 3 and parts[1] in STRUCTURES:
        return Label.from_id(plain).id
    if not plain:
        raise BadInput("a class has no name")
    return Label("unspecified", "tissue", plain).id


@dataclass
class Canvas:
    """The masks of one image while its objects are drawn, and what became of them."""

    height: int
    width: int
    labels: dict[str, str]
    masks: dict[str, NDArray[np.int32]] = field(default_factory=dict)
    unknown: NDArray[np.int32] | None = None
    used: list[Mark] = field(default_factory=list)
    passed: list[Passed] = field(default_factory=list)
    said: Counter[str] = field(default_factory=Counter)
    drawn: dict[tuple[str, bytes], Place] = field(default_factory=dict)
    keys: set[str] = field(default_factory=set)

    def add(self, drawn: Drawn) -> None:
        """Draw an object over those before it, or say why not."""
        starred = drawn.name.endswith("*") and key_of(drawn.name) not in self.labels
        ignored = drawn.crowd or (starred and key_of(drawn.name) == IGNORE)
        if starred and not ignored:
            self.passed.append(Passed(drawn.place, drawn.name, STARRED, lost=False, gap=False))
            return
        try:
            label = "" if ignored else label_of(drawn.name, self.labels)
            twin = self.drawn.setdefault((label, drawn.shape()), drawn.place)
            if twin is not drawn.place:
                self._pass(drawn, f"is drawn twice: it is {twin.which} of {twin.file} again", gap=False)
                return
            number = len(self.used) + 1
            pixels = drawn.paint(self._layer(label), number)
        except ValueError as error:  # BadInput is one of them
            self._pass(drawn, str(error))
            return
        if not pixels:
            self._miss(drawn)
            return
        self.used.append(Mark(drawn.place, drawn.name, label, number))
        self._say(drawn, ignored)

    def _layer(self, label: str) -> NDArray[np.int32]:
        if label:
            return self.masks.setdefault(label, np.zeros((self.height, self.width), np.int32))
        if self.unknown is None:
            self.unknown = np.zeros((self.height, self.width), np.int32)
        return self.unknown

    def _pass(self, drawn: Drawn, reason: str, gap: bool = True) -> None:
        self.passed.append(Passed(drawn.place, drawn.name, reason, gap=gap))

    def _miss(self, drawn: Drawn) -> None:
        if drawn.runs is None:
            left, top, right, bottom = drawn.bounds()
            if right <= 0 or bottom <= 0 or left >= self.width or top >= self.height:
                self._pass(drawn, f"lies outside the image of {self.width} x {self.height} pixels", gap=False)
                return
        self._pass(drawn, "covers no pixel's centre in the image")

    def _say(self, drawn: Drawn, ignored: bool) -> None:
        """Count what is used, but not as simply as it was drawn."""
        if ignored:
            self.said["mark pixels about which nothing is known"] += 1
        if drawn.key and drawn.key in self.keys:
            self.said["have the id of another object"] += 1
        self.keys.add(drawn.key)
        if drawn.runs is None:
            left, top, right, bottom = drawn.bounds()
            if left < 0 or top < 0 or right > self.width or bottom > self.height:
                self.said["reach beyond the image and are cut"] += 1
            if drawn.crosses_itself():
                self.said["cross themselves and are filled by the even-odd rule"] += 1

    def annotated(self, pixels: Pixels) -> Annotated:
        """The masks with what is known about them."""
        masks: dict[str, MaskArray] = {label: mask for label, mask in self.masks.items() if mask.any()}
        if len({Label.from_id(label).file_name for label in masks}) < len(masks):
            raise BadInput(f"classes differ only in signs that file names lack: {', '.join(sorted(masks))}")
        unknown = self.unknown > 0 if self.unknown is not None and self.unknown.any() else None
        return Annotated(pixels, masks, self._complete(frozenset(masks)), unknown, count=self._count())

    def _complete(self, drawn: frozenset[str]) -> frozenset[str]:
        """The labels outlined wherever they occur: none of which an object is missing."""
        missing: set[str] = set()
        for one in self.passed:
            if one.gap and one.lost:
                try:
                    missing.add(label_of(one.name, self.labels))
                except BadInput:
                    return frozenset()  # it may be of any class
        return (drawn | frozenset(self.labels.values())) - missing

    def _count(self) -> Count:
        there = {label: set(np.unique(mask).tolist()) for label, mask in self.masks.items()}
        covered = {mark.number for mark in self.used if mark.label and mark.number not in there[mark.label]}
        if covered:
            self.said["lie wholly under later objects of their class"] += len(covered)
        used = (
            Mark(m.place, m.name, m.label, 0 if m.number in covered or not m.label else m.number) for m in self.used
        )
        return Count(tuple(used), tuple(self.passed), self.said)


def annotate(pixels: Pixels, objects: Iterable[Drawn | Passed], labels: dict[str, str]) -> Annotated:
    """Masks of the objects over an image; a later object wins where two of one label overlap."""
    height, width = pixels.shape[:2]
    canvas = Canvas(height, width, labels)
    for one in objects:
        if isinstance(one, Passed):
            canvas.passed.append(one)
        else:
            canvas.add(one)
    return canvas.annotated(pixels)
