"""Outlines of all objects of a mask at once, along the edges of pixels.

Rings separate inside from outside and turn at corners of pixels. Along a row the turns come in pairs joined by a level
line, along a column in pairs joined by an upright one; following level and upright lines in turn walks around a ring.
All steps are sorts and look-ups, so the time grows with the number of turns, whatever the shapes.

Where two pixels meet at a corner only, there is a choice. Pixels of one part (whose pixels meet by their edges) are
joined there, those of different parts are kept apart: so no ring touches itself, and the polygons are valid by the
rules of OGC that shapely, JTS and QuPath share.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely
from numpy.typing import NDArray
from scipy.ndimage import label
from scipy.sparse import csr_array
from scipy.sparse.csgraph import connected_components, depth_first_order
from shapely import MultiPolygon, Polygon

Numbers = NDArray[np.int32]
Indices = NDArray[np.int64]


@dataclass(frozen=True)
class _Lines:
    """The level lines of all rings, walked with the inside at the right hand, in order of rows and columns.

    ``start`` and ``end`` are the corners (N, 2) as (x, y), ``part`` the number of the 4-connected part inside, and
    ``following`` the line that the walker comes to next, over one upright line.
    """

    start: Indices
    end: Indices
    part: Indices
    following: Indices


def polygons(numbers: Numbers) -> list[Polygon | MultiPolygon]:
    """Outlines of the 8-connected objects 1..n of a map (H, W) that is 0 elsewhere, in their order.

    An object whose parts meet at corners only is a MultiPolygon of these parts.
    """
    if not numbers.any():
        return []
    parts, count = label(numbers)
    object_of = np.zeros(count + 1, np.int64)
    object_of[parts] = numbers
    return _assembled(_lines(np.pad(parts, 1)), object_of)


def _lines(parts: Numbers) -> _Lines:
    """All level lines of a map of parts with a border of 0."""
    inside = (parts > 0).astype(np.int8)
    # More pixels inside on the falling than on the rising diagonal of a corner: the ring leaves it along the row.
    lean = inside[:-1, :-1] + inside[1:, 1:] - inside[:-1, 1:] - inside[1:, :-1]
    corners = np.flatnonzero(lean)
    y, x = np.divmod(corners, lean.shape[1])
    lean = lean.ravel()[corners]
    nw, ne, sw, se = parts[y, x], parts[y, x + 1], parts[y + 1, x], parts[y + 1, x + 1]
    crossing, falling = np.abs(lean) == 2, lean > 0
    joined = np.where(falling, nw == se, ne == sw)
    # At a crossing the ring on the left and the one on the right, each with its own upright line.
    left = np.where(crossing, np.where(falling, nw, sw), np.maximum(np.maximum(nw, ne), np.maximum(sw, se)))
    right = np.where(falling, se, ne)
    turn = np.repeat(np.arange(len(corners)), 1 + crossing)
    second = np.concatenate([[False], turn[1:] == turn[:-1]])
    part = np.where(second, right[turn], left[turn])
    upright = _upright(x[turn], np.flatnonzero(second), (falling == joined)[turn[second]])
    place = np.stack([x[turn], y[turn]], axis=1)
    # Of the two ends of a level line, 2k and 2k + 1, one leaves along it.
    first = np.arange(0, len(turn), 2) + ~falling[turn[::2]]
    last = first ^ 1
    return _Lines(place[first], place[last], part[first].astype(np.int64), upright[last] // 2)


def _upright(x: Indices, second: Indices, swapped: NDArray[np.bool_]) -> Indices:
    """For each turn the one at the other end of its upright line; ``x`` in order of rows.

    ``second`` are the right ones of two turns at one corner; where ``swapped``, it is them that the upper line meets.
    """
    order = np.arange(len(x))
    late = second[swapped]
    order[late], order[late - 1] = late - 1, late
    small = x[order].astype(np.uint16) if x.max() < 2**16 else x[order]  # numpy sorts short numbers in linear time
    order = order[np.argsort(small, kind="stable")]
    other = np.empty_like(order)
    other[order[::2]], other[order[1::2]] = order[1::2], order[::2]
    return other


def _assembled(lines: _Lines, object_of: Indices) -> list[Polygon | MultiPolygon]:
    """Rings put together to polygons: by object, by part, the outer ring first."""
    count, ring = connected_components(_graph(lines.following), connection="strong")
    first = np.empty(count, np.int64)
    first[ring[::-1]] = np.arange(len(ring))[::-1]  # the last write wins, so the first line of each ring
    # Twice the area is not needed: its sign tells the outer ring from holes, which are walked the other way.
    area = np.bincount(ring, lines.start[:, 1] * (lines.start[:, 0] - lines.end[:, 0]), count)
    part = lines.part[first]
    ranked = np.lexsort([first, area < 0, part, object_of[part]])
    size = np.bincount(ring, minlength=count)[ranked]
    order = _order(lines.following, first[ranked])
    ends = np.cumsum(size)
    after = np.arange(count).repeat(size)
    points = np.empty((2 * len(order) + count, 2))
    place = 2 * np.arange(len(order)) + after
    points[place], points[place + 1] = lines.start[order], lines.end[order]
    points[2 * ends + np.arange(count)] = lines.start[first[ranked]]
    part = part[ranked]
    part_starts = np.flatnonzero(np.diff(part, prepend=-1))
    object_starts = np.flatnonzero(np.diff(object_of[part[part_starts]], prepend=-1))
    offsets = (
        np.concatenate([[0], 2 * ends + np.arange(1, count + 1)]),
        np.append(part_starts, count),
        np.append(object_starts, len(part_starts)),
    )
    whole = shapely.from_ragged_array(shapely.GeometryType.MULTIPOLYGON, points, offsets)
    single = shapely.get_num_geometries(whole) == 1
    whole[single] = shapely.get_geometry(whole[single], 0)
    return list(whole)


def _order(following: Indices, first: Indices) -> Indices:
    """The lines ring by ring: rings are linked, the end of each to the first line of the next, and walked once."""
    before = np.empty_like(following)
    before[following] = np.arange(len(following))
    linked = following.copy()
    linked[before[first]] = np.roll(first, -1)
    return depth_first_order(_graph(linked), first[0], return_predecessors=False).astype(np.int64)


def _graph(following: Indices) -> csr_array:
    """A graph with one edge from each line to the one that follows."""
    count = len(following)
    return csr_array((np.ones(count), following, np.arange(count + 1)), (count, count))
