"""Masks of class codes beside the images, explained by ``labels.csv``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from pathsegmentor.data import files
from pathsegmentor.data.counted import Count, Mark, Passed, Place, all_passed
from pathsegmentor.data.record import Annotated, MaskArray, Pixels, Unused
from pathsegmentor.errors import BadInput


def read_masks(name: str, image: Path, masks: Sequence[Path], labels: dict[str, str]) -> Annotated:
    """An image (H, W) with the masks of its codes; each code in a mask counts as one object.

    Raises ``Unused`` for an image that cannot be used as a whole: one with a code that nobody described may
    have its codes shifted, so that the others mean nothing either.
    """
    meanings = _meanings(labels)
    marks: list[Mark | Passed] = []
    read = [(path, _codes(path)) for path in masks]
    for path, values in read:
        marks += _marks(path, values, meanings)
    try:
        pixels = files.rgb(image)
        for _, values in read:
            files.same_size(pixels, values, name)
            files.known_codes(values, {0, *meanings}, name)
    except BadInput as error:
        raise Unused(str(error), Count(passed=all_passed(marks, "belongs to an image that is left out"))) from error
    return Annotated(
        pixels,
        _by_label([values for _, values in read], meanings, pixels),
        frozenset(labels.values()),
        count=Count(tuple(mark for mark in marks if isinstance(mark, Mark))),
    )


def _meanings(labels: dict[str, str]) -> dict[int, str]:
    try:
        return {int(code): label for code, label in labels.items()}
    except ValueError as error:
        raise BadInput(f"labels.csv: classes of masks are numbers ({error})") from error


def _codes(path: Path) -> NDArray[Any]:
    values = files.codes(path)
    files.one_page(path)
    return values.astype(np.uint8) if values.dtype == bool else values


def _marks(path: Path, values: NDArray[Any], meanings: dict[int, str]) -> list[Mark | Passed]:
    """The codes that occur in a mask; 0 only counts where it means something."""
    marks: list[Mark | Passed] = []
    for code in np.unique(values).tolist():
        place = Place(path.name, f"code {code:g}")
        if code in meanings:
            marks.append(Mark(place, meanings[code], meanings[code]))
        elif code:
            marks.append(Passed(place, f"{code:g}", "is not in labels.csv"))
    return marks


def _by_label(masks: Sequence[NDArray[Any]], meanings: dict[int, str], pixels: Pixels) -> dict[str, MaskArray]:
    found: dict[str, MaskArray] = {}
    for label in dict.fromkeys(meanings.values()):
        codes = [code for code, other in meanings.items() if other == label]
        inside = np.zeros(pixels.shape[:2], bool)
        for values in masks:
            inside |= np.isin(values, codes)
        found[label] = inside
    return found
