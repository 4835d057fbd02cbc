"""Lines measured in metres, cut at points along them, and searched for the place nearest to a point."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import shapely
from numba import njit
from numpy.typing import NDArray

__all__ = [
    "Bools", "Floats", "Ints", "Lines", "Metric", "Near", "Vertices", "along_m", "cut_lines", "nearest_places",
    "place_at", "points_at", "vertices_of",
]  # fmt: skip

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
Bools = NDArray[np.bool_]
Lines = NDArray[np.object_]


@dataclass(frozen=True)
class Metric:
    """Metres in a CRS: along the ellipsoid where it is geographic, in its own units otherwise."""

    crs: Any

    @cached_property
    def geodesic(self) -> Any:
        """The ellipsoid of a geographic CRS, None for a projected one."""
        return self.crs.get_geod() if self.crs.is_geographic else None

    @cached_property
    def unit_m(self) -> float:
        """Metres in one unit of a projected CRS."""
        return float(self.crs.axis_info[0].unit_conversion_factor)

    def lengths(self, x0: Floats, y0: Floats, x1: Floats, y1: Floats) -> Floats:
        """Length in metres of the segments from (x0, y0) to (x1, y1)."""
        if self.geodesic is None:
            return np.asarray(np.hypot(x1 - x0, y1 - y0) * self.unit_m)
        return np.asarray(self.geodesic.inv(x0, y0, x1, y1)[2], dtype=np.float64)

    def scales(self, y: Floats) -> tuple[Floats, Floats]:
        """Metres in one unit of x and of y at these ordinates."""
        if self.geodesic is None:
            return np.full(len(y), self.unit_m), np.full(len(y), self.unit_m)
        latitude = np.radians(y)
        bulge = 1.0 - self.geodesic.es * np.sin(latitude) ** 2
        normal = self.geodesic.a / np.sqrt(bulge)
        meridian = normal * (1.0 - self.geodesic.es) / bulge
        # a degree of longitude ends at the poles; a box around a point there is as wide as it must be
        return np.radians(1.0) * normal * np.maximum(np.cos(latitude), 1e-6), np.radians(1.0) * meridian

    def positions(self, x: Floats, y: Floats) -> Floats:
        """Cartesian coordinates in metres, (n, 2) or (n, 3): distances of neighbours are those on the ground."""
        if self.geodesic is None:
            return np.column_stack([x, y]) * self.unit_m
        longitude, latitude = np.radians(x), np.radians(y)
        normal = self.geodesic.a / np.sqrt(1.0 - self.geodesic.es * np.sin(latitude) ** 2)
        return np.column_stack(
            [
                normal * np.cos(latitude) * np.cos(longitude),
                normal * np.cos(latitude) * np.sin(longitude),
                normal * (1.0 - self.geodesic.es) * np.sin(latitude),
            ]
        )


@dataclass(frozen=True)
class Vertices:
    """The vertices of lines, one line after the other."""

    x: Floats
    y: Floats
    first: Ints
    """First vertex of each line, and one past the last (lines + 1)."""
    along_m: Floats
    """Metres from the start of its line."""

    @property
    def length_m(self) -> Floats:
        """Length of each line."""
        return self.along_m[self.first[1:] - 1]

    @property
    def starts(self) -> Ints:
        """First vertex of each line."""
        return self.first[:-1]

    @property
    def ends(self) -> Ints:
        """Last vertex of each line."""
        return self.first[1:] - 1


def vertices_of(lines: Lines, metric: Metric) -> Vertices:
    """Take lines apart and measure them."""
    xy = shapely.get_coordinates(lines)
    x, y = np.ascontiguousarray(xy[:, 0]), np.ascontiguousarray(xy[:, 1])
    first = np.concatenate([[0], np.cumsum(shapely.get_num_coordinates(lines))]).astype(np.int64)
    steps = np.zeros(len(x))
    if len(x) > 1:
        steps[1:] = metric.lengths(x[:-1], y[:-1], x[1:], y[1:])
    # from the end of one line to the start of the next there is no step
    steps[first[:-1]] = 0.0
    return Vertices(x, y, first, _along(steps, first))


@dataclass(frozen=True)
class Near:
    """For pairs of a point and a line: how near they come, and where on the line."""

    distance_m: Floats
    place: Floats
    """Number of the segment and the share of it passed: 2.25 is a quarter past vertex 2."""


def nearest_places(px: Floats, py: Floats, line: Ints, vertices: Vertices, metric: Metric) -> Near:
    """The place on ``line[i]`` nearest to the point (px[i], py[i]).

    Geographic coordinates are stretched to metres at the point, which is exact to about 1e-6 of the distance within
    a kilometre.
    """
    kx, ky = metric.scales(py)
    distance, place = np.empty(len(px)), np.empty(len(px))
    _nearest(px, py, kx, ky, line, vertices.x, vertices.y, vertices.first, distance, place)
    return Near(distance, place)


def along_m(vertices: Vertices, line: Ints, place: Floats) -> Floats:
    """Metres from the start of the line to the place on it."""
    segment = np.minimum(place.astype(np.int64), np.diff(vertices.first)[line] - 2)
    vertex = vertices.first[line] + segment
    low, high = vertices.along_m[vertex], vertices.along_m[vertex + 1]
    return np.asarray(low + (place - segment) * (high - low))


def place_at(vertices: Vertices, line: Ints, metres: Floats) -> Floats:
    """The place so many metres from the start of the line; the inverse of `along_m`."""
    # lines are laid end to end, so that one sorted search serves all of them
    base = np.concatenate([[0.0], np.cumsum(vertices.length_m + 1.0)])
    laid = vertices.along_m + np.repeat(base[:-1], np.diff(vertices.first))
    vertex = np.searchsorted(laid, base[line] + metres, side="right") - 1
    vertex = np.clip(vertex, vertices.first[line], vertices.ends[line] - 1)
    low, high = vertices.along_m[vertex], vertices.along_m[vertex + 1]
    share = np.divide(metres - low, high - low, out=np.zeros(len(line)), where=high > low)
    return np.asarray(vertex - vertices.first[line] + np.clip(share, 0.0, 1.0))


def points_at(vertices: Vertices, line: Ints, place: Floats) -> tuple[Floats, Floats]:
    """Coordinates of places on lines."""
    segment = np.minimum(place.astype(np.int64), np.diff(vertices.first)[line] - 2)
    vertex, share = vertices.first[line] + segment, place - segment
    x = (1.0 - share) * vertices.x[vertex] + share * vertices.x[vertex + 1]
    y = (1.0 - share) * vertices.y[vertex] + share * vertices.y[vertex + 1]
    return x, y


def cut_lines(lines: Lines, line: Ints, place: Floats) -> tuple[Lines, Ints]:
    """Cut lines at places inside them: (pieces, line of each piece), in order of lines and along each line.

    ``line`` and ``place`` are sorted by line, then place; places lie strictly between the two ends.
    """
    if not len(line):
        return lines, np.arange(len(lines))
    touched = np.unique(line)
    xy, owner = shapely.get_coordinates(lines[touched], return_index=True)
    number = np.arange(len(owner)) - np.searchsorted(owner, owner)
    cut_owner = np.searchsorted(touched, line)
    segment = place.astype(np.int64)
    vertex = np.searchsorted(owner, cut_owner) + segment
    share = (place - segment)[:, None]
    cut_xy = (1.0 - share) * xy[vertex] + share * xy[np.minimum(vertex + 1, len(xy) - 1)]
    # each cut ends one piece and starts the next: it comes twice, after a vertex at the same place
    owners = np.concatenate([owner, cut_owner, cut_owner])
    places = np.concatenate([number, place, place])
    turn = np.repeat([0, 1, 2], [len(owner), len(line), len(line)])
    order = np.lexsort((turn, places, owners))
    points, owners, turn = np.concatenate([xy, cut_xy, cut_xy])[order], owners[order], turn[order]
    opens = (turn == 2) | np.concatenate([[True], owners[1:] != owners[:-1]])
    piece = np.cumsum(opens) - 1
    fresh = opens | np.concatenate([[True], (points[1:] != points[:-1]).any(axis=1)])
    pieces = shapely.linestrings(points[fresh], indices=piece[fresh])
    whole = np.setdiff1d(np.arange(len(lines)), touched)
    belongs = np.concatenate([whole, touched[owners[opens]]])
    in_order = np.argsort(belongs, kind="stable")
    return np.concatenate([lines[whole], pieces])[in_order], belongs[in_order]


# --- kernels ---------------------------------------------------------------------------------------------------


@njit(cache=True, nogil=True, error_model="numpy")
def _along(steps, first):  # type: ignore[no-untyped-def]
    along = np.zeros(len(steps))
    for line in range(len(first) - 1):
        total = 0.0
        for i in range(first[line], first[line + 1]):
            total += steps[i]
            along[i] = total
    return along


@njit(cache=True, nogil=True, error_model="numpy")
def _nearest(px, py, kx, ky, line, x, y, first, distance, place):  # type: ignore[no-untyped-def]
    for i in range(len(px)):
        best, where = np.inf, 0.0
        start = first[line[i]]
        for j in range(start, first[line[i] + 1] - 1):
            ax, ay = (x[j] - px[i]) * kx[i], (y[j] - py[i]) * ky[i]
            bx, by = (x[j + 1] - px[i]) * kx[i], (y[j + 1] - py[i]) * ky[i]
            dx, dy = bx - ax, by - ay
            square = dx * dx + dy * dy
            share = 0.0
            if square > 0.0:
                share = min(max(-(ax * dx + ay * dy) / square, 0.0), 1.0)
            gap = (ax + share * dx) ** 2 + (ay + share * dy) ** 2
            if gap < best:
                best, where = gap, j - start + share
        distance[i], place[i] = np.sqrt(best), where
