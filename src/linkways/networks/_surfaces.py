"""What distances between patches are measured on: the plane of a projected CRS, or the ellipsoid of another."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from linkways.networks._patch_polygons import metres_per_unit

if TYPE_CHECKING:
    from linkways.kernels.geodesic_outlines import Outline

__all__ = ["OnEllipsoid", "OnPlane", "Surface"]

_PIECE_DEGREES = 0.01
"""Outlines on the ellipsoid are cut to pieces of at most so much: 1.1 km."""


class Surface(Protocol):
    """Distances in metres between shapes and points of one CRS."""

    @property
    def shapes(self) -> np.ndarray:
        """The patches."""

    def near(self, reach_m: float) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of patches, first < second; of those nearer than the reach, edge to edge, none is left out."""

    def gaps(self, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Edge-to-edge distances of pairs of patches, and the lines across."""

    def near_points(self, points: np.ndarray, reach_m: float) -> tuple[np.ndarray, np.ndarray]:
        """Pairs of points, first < second; of those nearer than the reach none is left out."""

    def between(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        """Distances of points (n, 2), row by row."""

    def flat(self, points: np.ndarray) -> np.ndarray:
        """Points on one plane in metres, to tell which are neighbours."""

    def centroids(self, shapes: np.ndarray) -> np.ndarray:
        """The centroid (n, 2) of each shape."""

    def areas(self, shapes: np.ndarray) -> np.ndarray:
        """The area of each shape, to tell which is larger."""


@dataclass(frozen=True)
class OnPlane:
    """The plane of a projected CRS, its unit turned into metres."""

    shapes: np.ndarray
    crs: Any

    @cached_property
    def _unit(self) -> float:
        return metres_per_unit(self.crs)[0]

    @cached_property
    def outlines(self) -> np.ndarray:
        """The outlines as lines with their segments indexed, which finds nearest points several times faster."""
        import shapely

        lines = shapely.boundary(self.shapes)
        shapely.prepare(lines)
        return np.asarray(lines)

    def near(self, reach_m: float) -> tuple[np.ndarray, np.ndarray]:
        import shapely

        west, south, east, north = shapely.bounds(self.shapes).T
        # a hair more: whether a pair is within reach is told from its distance
        reach = reach_m / self._unit * (1 + 1e-9)
        wide = shapely.box(west - reach, south - reach, east + reach, north + reach)
        one, other = shapely.STRtree(self.shapes).query(wide)
        return one[one < other], other[one < other]

    def gaps(self, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import shapely

        outlines = self.outlines
        lines = shapely.shortest_line(outlines[one], outlines[other])
        metres = shapely.length(lines) * self._unit
        meet = _meeting(self.shapes, one, other)
        metres[meet] = 0.0
        return metres, lines

    def near_points(self, points: np.ndarray, reach_m: float) -> tuple[np.ndarray, np.ndarray]:
        from scipy.spatial import cKDTree

        pairs = cKDTree(points).query_pairs(reach_m / self._unit * (1 + 1e-9), output_type="ndarray")
        return pairs[:, 0], pairs[:, 1]

    def between(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.asarray(np.hypot(*(one - other).T) * self._unit)

    def flat(self, points: np.ndarray) -> np.ndarray:
        return points * self._unit

    def centroids(self, shapes: np.ndarray) -> np.ndarray:
        import shapely

        return np.asarray(shapely.get_coordinates(shapely.centroid(shapes)))

    def areas(self, shapes: np.ndarray) -> np.ndarray:
        import shapely

        return np.asarray(shapely.area(shapes))


@dataclass(frozen=True)
class OnEllipsoid:
    """The ellipsoid of a geographic CRS; edges are straight in longitude and latitude."""

    shapes: np.ndarray
    crs: Any

    @cached_property
    def _geod(self) -> Any:
        return self.crs.get_geod()

    @cached_property
    def outlines(self) -> list[Outline]:
        """The outline of each patch in space."""
        import shapely

        from linkways.kernels.geodesic_outlines import Outline, to_space

        fine = shapely.segmentize(self.shapes, _PIECE_DEGREES)
        parts, of_part = shapely.get_parts(fine, return_index=True)
        rings, of_ring = shapely.get_rings(parts, return_index=True)
        degrees, of_point = shapely.get_coordinates(rings, return_index=True)
        points = to_space(degrees, self._geod.a, self._geod.es)
        goes_on = of_point[:-1] == of_point[1:]
        start, end = points[:-1][goes_on], points[1:][goes_on]
        owner = of_part[of_ring[of_point[:-1][goes_on]]]
        cuts = np.searchsorted(owner, np.arange(len(self.shapes) + 1))
        return [Outline(start[a:b], end[a:b]) for a, b in pairwise(cuts)]

    def near(self, reach_m: float) -> tuple[np.ndarray, np.ndarray]:
        from scipy.spatial import cKDTree

        middles = np.array([o.middle.mean(axis=0) for o in self.outlines])
        radius = np.array(
            [np.linalg.norm(o.start - m, axis=1).max() for o, m in zip(self.outlines, middles, strict=True)]
        )
        # patches in order of size, so that a few huge ones do not widen the search of all others
        order = np.argsort(radius)
        found = []
        for some in np.array_split(order, min(16, len(order))):
            tree, widest = cKDTree(middles[some]), float(radius[some].max())
            hits = tree.query_ball_point(middles, reach_m + radius + widest)
            one = np.repeat(np.arange(len(middles)), [len(h) for h in hits])
            other = some[np.concatenate([np.asarray(h, np.int64) for h in hits])]
            found.append(np.stack([one, other], axis=1))
        one, other = np.concatenate(found).T
        apart = np.linalg.norm(middles[one] - middles[other], axis=1) - radius[one] - radius[other]
        # a chord is shorter than the way over the ground, so that it leaves out none that is within reach
        kept = (one < other) & (apart <= reach_m)
        return one[kept], other[kept]

    def gaps(self, one: np.ndarray, other: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        import shapely

        from linkways.kernels.geodesic_outlines import from_space, nearest_points

        outlines = self.outlines
        ends = [nearest_points(outlines[i], outlines[j]) for i, j in zip(one.tolist(), other.tolist(), strict=True)]
        if not ends:
            return np.empty(0), np.empty(0, object)
        points = from_space(np.concatenate([np.stack(pair) for pair in ends]), self._geod.es).reshape(-1, 2, 2)
        metres = self.between(points[:, 0], points[:, 1])
        lines = shapely.linestrings(points)
        meet = _meeting(self.shapes, one, other)
        metres[meet | (metres < 1e-6)] = 0.0
        lines[meet] = shapely.shortest_line(self.shapes[one[meet]], self.shapes[other[meet]])
        return metres, lines

    def near_points(self, points: np.ndarray, reach_m: float) -> tuple[np.ndarray, np.ndarray]:
        from scipy.spatial import cKDTree

        from linkways.kernels.geodesic_outlines import to_space

        space = to_space(points, self._geod.a, self._geod.es)
        pairs = cKDTree(space).query_pairs(reach_m * (1 + 1e-9), output_type="ndarray")
        return pairs[:, 0], pairs[:, 1]

    def between(self, one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.asarray(self._geod.inv(one[:, 0], one[:, 1], other[:, 0], other[:, 1])[2], dtype=np.float64)

    def flat(self, points: np.ndarray) -> np.ndarray:
        centre = np.tile(self._centre, (len(points), 1))
        return np.asarray(_equal_area(points, centre) * float(self._geod.a))

    @cached_property
    def _centre(self) -> np.ndarray:
        return _middle_of(self.shapes)

    def centroids(self, shapes: np.ndarray) -> np.ndarray:
        import shapely

        moved, centre = self._local(shapes)
        return np.asarray(_from_equal_area(shapely.get_coordinates(shapely.centroid(moved)), centre))

    def areas(self, shapes: np.ndarray) -> np.ndarray:
        import shapely

        return np.asarray(shapely.area(self._local(shapes)[0]))

    def _local(self, shapes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Each shape on the Lambert azimuthal equal-area plane about its own middle, and these middles."""
        import shapely

        fine = shapely.segmentize(shapes, 10 * _PIECE_DEGREES)
        points, owner = shapely.get_coordinates(fine, return_index=True)
        centre = _middles(fine, owner, len(fine))
        return np.asarray(shapely.set_coordinates(fine.copy(), _equal_area(points, centre[owner]))), centre


def _meeting(shapes: np.ndarray, one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Which pairs of shapes touch or overlap."""
    import shapely

    west, south, east, north = shapely.bounds(shapes).T
    meet = (west[one] <= east[other]) & (west[other] <= east[one])
    meet &= (south[one] <= north[other]) & (south[other] <= north[one])
    some = np.flatnonzero(meet)
    meet[some] = shapely.intersects(shapes[one[some]], shapes[other[some]])
    return np.asarray(meet)


def _middle_of(shapes: np.ndarray) -> np.ndarray:
    """The middle of all shapes together, (2,)."""
    import shapely

    together = np.zeros(int(shapely.get_num_coordinates(shapes).sum()), np.int64)
    return np.asarray(_middles(shapes, together, 1)[0])


def _middles(shapes: np.ndarray, owner: np.ndarray, count: int) -> np.ndarray:
    """The direction of the mean of the vertices of each owner, in degrees; the antimeridian is nothing special."""
    import shapely

    longitude, latitude = np.radians(shapely.get_coordinates(shapes)).T
    space = (np.cos(latitude) * np.cos(longitude), np.cos(latitude) * np.sin(longitude), np.sin(latitude))
    x, y, z = (np.bincount(owner, part, minlength=count) for part in space)
    return np.asarray(np.degrees(np.column_stack([np.arctan2(y, x), np.arctan2(z, np.hypot(x, y))])))


def _equal_area(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """Lambert azimuthal equal-area coordinates (in radii) of points in degrees, each about its centre (Snyder 1987)."""
    (lon, lat), (lon0, lat0) = np.radians(points).T, np.radians(centre).T
    turn = lon - lon0
    k = np.sqrt(2 / (1 + np.sin(lat0) * np.sin(lat) + np.cos(lat0) * np.cos(lat) * np.cos(turn)))
    x = k * np.cos(lat) * np.sin(turn)
    y = k * (np.cos(lat0) * np.sin(lat) - np.sin(lat0) * np.cos(lat) * np.cos(turn))
    return np.column_stack([x, y])


def _from_equal_area(points: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """The inverse of `_equal_area`."""
    (x, y), (lon0, lat0) = points.T, np.radians(centre).T
    away = np.hypot(x, y)
    angle = 2 * np.arcsin(np.minimum(away / 2, 1))
    scale = np.divide(np.sin(angle), away, out=np.ones_like(away), where=away > 0)
    lat = np.arcsin(np.clip(np.cos(angle) * np.sin(lat0) + y * scale * np.cos(lat0), -1, 1))
    lon = lon0 + np.arctan2(x * scale, np.cos(lat0) * np.cos(angle) - y * scale * np.sin(lat0))
    lon = (np.degrees(lon) + 180) % 360 - 180
    return np.column_stack([lon, np.degrees(lat)])
