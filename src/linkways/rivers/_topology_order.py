"""What a forest of reaches tells of each: stream order, basin, fragment, way to the outlet."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import njit

from linkways.rivers._kernels import order_forest
from linkways.rivers._topology_geometry import Bools, Floats, Ints

__all__ = ["Labels", "labels_of", "on_circles", "on_loops"]


@dataclass(frozen=True)
class Labels:
    """By reach."""

    strahler: Ints
    basin: Ints
    """The outlet reach of the basin."""
    fragment: Ints
    """The lowest reach of the fragment."""
    to_outlet_m: Floats
    """From the lower end of the reach to the outlet."""


def labels_of(down: Ints, length_m: Floats, side: Bools, parted: Bools) -> Labels:
    """Label the reaches of a forest.

    Strahler (1957): a headwater is 1; where the highest order comes in twice or more it rises by one. A side channel
    (``side``) starts at 1 and raises nothing below it. Fragments end where the lower end of a reach is ``parted``.
    """
    row, *_ = order_forest(down.astype(np.int32))
    strahler, basin, fragment, to_outlet = _label(row, down, length_m, side, parted)
    return Labels(strahler, basin, fragment, to_outlet)


def on_circles(down: Ints) -> Ints:
    """Reaches that lie on circles of ``down``, or flow into one."""
    place = order_forest(down.astype(np.int32))[1]
    return np.flatnonzero(place < 0)


def on_loops(down: Ints, side: Bools, other: Ints) -> Bools:
    """Edges that lie on a loop, closed by the side channels: another way leads round each of them.

    A side channel is joined to the forest at its lower end, by ``down``, and at its upper end, where ``other`` leads on
    (-1: at an outlet). Each gets a random mark, laid on both ways down from it; where these meet the marks cancel, so
    that those edges keep one that lie on an odd number of such ways: on loops, but for a chance of 2^-63.
    """
    marks = np.zeros(len(down), np.int64)
    sides = np.flatnonzero(side)
    mark = np.random.default_rng(0).integers(1, 2**63 - 1, len(sides))
    for ends in (down[sides], other[sides]):
        inside = ends >= 0
        np.bitwise_xor.at(marks, ends[inside], mark[inside])
    row, *_ = order_forest(down.astype(np.int32))
    _pass_down(row, down, marks)
    return np.asarray((marks != 0) | side)


@njit(cache=True, nogil=True)
def _pass_down(row, down, marks):  # type: ignore[no-untyped-def]
    for v in row:
        if down[v] >= 0:
            marks[down[v]] ^= marks[v]


@njit(cache=True, nogil=True)
def _label(row, down, length, side, parted):  # type: ignore[no-untyped-def]
    n = len(down)
    order, twice = np.zeros(n, np.int64), np.zeros(n, np.bool_)
    basin, fragment, way = np.empty(n, np.int64), np.empty(n, np.int64), np.zeros(n)
    for i in range(n):
        v = row[i]
        order[v] = max(order[v] + twice[v], 1)
        d = down[v]
        if d >= 0 and not side[v]:
            if order[v] > order[d]:
                order[d], twice[d] = order[v], False
            elif order[v] == order[d]:
                twice[d] = True
    for i in range(n - 1, -1, -1):
        v = row[i]
        d = down[v]
        if d < 0:
            basin[v] = fragment[v] = v
        else:
            basin[v] = basin[d]
            fragment[v] = v if parted[v] else fragment[d]
            way[v] = way[d] + length[d]
    return order, basin, fragment, way
