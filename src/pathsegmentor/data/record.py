"""What a source is and what it yields: items first (cheap, no pixels), then each item's annotation."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.data.counted import Count
from pathsegmentor.errors import BadInput

Pixels = NDArray[np.uint8]
# Boolean, or instance numbers with 0 outside; any integer type.
MaskArray = NDArray[np.bool_] | NDArray[np.integer]

# The same patient has the same barcode in every source that is drawn from TCGA.
_BARCODE = re.compile(r"(?<![A-Za-z0-9])TCGA-\w\w-[A-Za-z0-9]{4}", re.IGNORECASE)


def person_of(*names: str) -> str:
    """The patient, by a name that means the same in all sources (TCGA's barcode), or ""; the first name wins."""
    found = next((match for name in names if (match := _BARCODE.search(name))), None)
    return found[0].upper() if found else ""


@dataclass(frozen=True)
class Item:
    """One annotated image of a download, found but not read.

    ``name`` is unique in its source; ``split`` the official one or ""; ``patient`` and ``slide`` are ""
    where the source does not tell; ``mpp`` um per pixel as downloaded, 0 if unknown until read;
    ``factor`` enlarges to 40x; ``files`` are what is read, the image first; ``note`` is the adapter's own;
    ``content`` identifies the picture whatever its file is called, or is "".
    """

    name: str
    files: tuple[Path, ...]
    mpp: float
    factor: float
    split: str = ""
    patient: str = ""
    slide: str = ""
    note: str = ""
    content: str = ""

    @property
    def group(self) -> str:
        """What must not be torn apart by a split: patient, else slide, else the image."""
        return self.patient or self.person or self.slide or self.name

    @property
    def identities(self) -> tuple[str, ...]:
        """What is known of it that means the same in all sources: its patient, its picture."""
        return tuple(filter(None, (self.person, self.content)))

    @property
    def person(self) -> str:
        """The patient by a name that means the same in all sources, or ""."""
        return person_of(self.patient, self.slide, self.name)


@dataclass(frozen=True)
class Problem:
    """Something in a download that cannot be used, in one line, and how many annotated objects go with it.

    ``lost`` false marks what is only worth saying: nothing that anybody labelled is missing for it.
    """

    what: str
    objects: int = 0
    lost: bool = True


@dataclass(frozen=True)
class Annotated:
    """Pixels (H, W, 3) uint8 RGB and masks (H, W) by label id.

    ``complete`` names the labels that the annotators looked for and outlined wherever they occur in this
    image, so that a pixel outside is a true negative; of any other label only its mask is known.
    ``ignore`` (H, W) marks pixels about which nothing is known. ``mpp`` overrides the item's where only
    the file knows it.
    """

    pixels: Pixels
    masks: dict[str, MaskArray]
    complete: frozenset[str]
    ignore: NDArray[np.bool_] | None = None
    mpp: float = 0.0
    count: Count | None = None


class Unused(BadInput):
    """An image that cannot be used though its annotation was read; ``count`` names the objects lost with it."""

    def __init__(self, message: str, count: Count) -> None:
        super().__init__(message)
        self.count = count


@dataclass(frozen=True)
class Licence:
    """Terms of a source's data, as far as they are known.

    ``confirmed`` says whether the terms were read at the source; ``share`` whether the data may be
    redistributed, ``commercial`` whether weights may be used commercially; None where nobody says.
    """

    name: str
    confirmed: bool
    share: bool | None
    commercial: bool | None


@dataclass(frozen=True)
class Counts:
    """Table 1 of the paper: windows with at least one mask, masks, and masks per split."""

    images: int
    masks: int
    train: int
    test: int


@dataclass(frozen=True)
class Source:
    """A public source of annotated images.

    ``labels`` are its labels of table 5, ``more`` further labels its annotation supports. ``split`` is
    ``official``, ``random`` (80:20 by group) or ``external`` (all test). ``cut`` false leaves images of
    over 1500 pixels whole. ``batch`` is how many items make a shard. ``seen`` tells how sure the layout
    is: ``bytes`` (original files), ``derived`` (converted files) or ``read`` (documentation only).
    ``borrowed`` names other sources, each with how the names of its images begin here: they are left out.
    """

    name: str
    title: str
    url: str
    licence: Licence
    layout: tuple[str, ...]
    magnification: str
    mpp: float
    factor: float
    labels: tuple[str, ...]
    split: str
    seen: str
    items: Callable[[Path], Iterator[Item | Problem]]
    read: Callable[[Item], Annotated]
    paper: Counts | None = None
    more: tuple[str, ...] = ()
    cut: bool = True
    batch: int = 64
    notes: tuple[str, ...] = ()
    borrowed: tuple[tuple[str, str], ...] = ()
