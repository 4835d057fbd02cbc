"""Links as the crow flies: from edge to edge or between anchor points, and which patches are neighbours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import progress
from linkways.networks._surfaces import OnEllipsoid, OnPlane, Surface
from linkways.spatial import note
from linkways.workers import each

if TYPE_CHECKING:
    import geopandas as gpd

__all__ = ["Anchor", "Gaps", "anchor_gaps", "edge_gaps", "neighbours_by_nearness", "neighbours_of_points", "surface_of"]

Anchor = Literal["centroid", "inside"]

_PAIRS_AT_ONCE = 20_000
_MOST_PAIRS = 20_000_000
_OUTLINE_POINTS = 100_000


@dataclass(frozen=True)
class Gaps:
    """Pairs of patches by position, ``one`` < ``other``, their distance in metres, and the line across."""

    one: np.ndarray
    other: np.ndarray
    metres: np.ndarray
    lines: np.ndarray

    def where(self, chosen: np.ndarray) -> Gaps:
        """Those of a mask."""
        return Gaps(self.one[chosen], self.other[chosen], self.metres[chosen], self.lines[chosen])


def surface_of(patches: gpd.GeoDataFrame) -> Surface:
    """What distances between these patches are measured on: the plane of their CRS, or its ellipsoid."""
    shapes = patches.geometry.to_numpy()
    return OnEllipsoid(shapes, patches.crs) if patches.crs.is_geographic else OnPlane(shapes, patches.crs)


def edge_gaps(surface: Surface, reach_m: float, pairs: np.ndarray | None = None) -> Gaps:
    """Edge-to-edge distances up to a reach, of all pairs or of those given (n, 2)."""
    if pairs is None:
        one, other = surface.near(reach_m) if np.isfinite(reach_m) else _all_pairs(len(surface.shapes))
    else:
        one, other = pairs.T
    order = np.lexsort((other, one))
    one, other = one[order], other[order]
    chunks = [slice(k, k + _PAIRS_AT_ONCE) for k in range(0, max(1, len(one)), _PAIRS_AT_ONCE)]
    metres, lines = [], []
    for k, (some, across) in enumerate(each(_gaps_of, surface, [(one[c], other[c]) for c in chunks])):
        metres.append(some)
        lines.append(across)
        progress(0.9 * (k + 1) / len(chunks), f"distances of {len(one)} pairs")
    found = Gaps(one, other, np.concatenate(metres), np.concatenate(lines))
    return found.where(found.metres <= reach_m)


def _gaps_of(surface: Surface, pairs: tuple[np.ndarray, np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    return surface.gaps(*pairs)


def anchor_gaps(surface: Surface, anchors: np.ndarray, reach_m: float, pairs: np.ndarray | None = None) -> Gaps:
    """Distances between the anchors (n, 2) of patches up to a reach, of all pairs or of those given."""
    import shapely

    if pairs is None:
        one, other = surface.near_points(anchors, reach_m) if np.isfinite(reach_m) else _all_pairs(len(anchors))
    else:
        one, other = pairs.T
    order = np.lexsort((other, one))
    one, other = one[order], other[order]
    metres = surface.between(anchors[one], anchors[other])
    kept = metres <= reach_m
    ends = np.stack([anchors[one[kept]], anchors[other[kept]]], axis=1)
    return Gaps(one[kept], other[kept], metres[kept], shapely.linestrings(ends))


def _all_pairs(count: int) -> tuple[np.ndarray, np.ndarray]:
    if count * (count - 1) // 2 > _MOST_PAIRS:
        raise LinkwaysError(
            f"{count} patches make {count * (count - 1) // 2} pairs; give max_distance_km, or set topology to 'planar'"
        )
    one, other = np.triu_indices(count, 1)
    return one, other


# --- neighbours --------------------------------------------------------------------------------------------------


def neighbours_of_points(surface: Surface, points: np.ndarray) -> np.ndarray:
    """Pairs of points (n, 2) that the Delaunay triangulation joins, those whose Voronoi cells touch."""
    return _triangulated(surface.flat(points), np.arange(len(points)))


def neighbours_by_nearness(surface: Surface) -> np.ndarray:
    """Pairs of patches whose zones touch, the zone of a patch being what is nearer to it than to any other.

    Zones are those of points along the outlines, a quarter of the least gap between patches apart, or as close as
    100,000 points beside the vertices allow.
    """
    import shapely

    shapes = shapely.boundary(shapely.transform(surface.shapes, surface.flat))
    if len(shapes) < 3:
        return np.array([[0, 1]])[: len(shapes) - 1]
    tree = shapely.STRtree(shapes)
    (_, _), gap = tree.query_nearest(shapes, exclusive=True, return_distance=True, all_matches=False)
    wanted = float(gap[gap > 0].min(initial=np.inf)) / 4
    coarsest = float(shapely.length(shapes).sum()) / _OUTLINE_POINTS
    if wanted < coarsest:
        note(f"neighbours told from outline points {coarsest:.3g} m apart; some patches are nearer to each other")
    fine = shapely.segmentize(shapes, max(min(wanted, float(shapely.length(shapes).max())), coarsest))
    points, owner = shapely.get_coordinates(fine, return_index=True)
    one, other = tree.query(shapes, predicate="intersects")
    touching = np.stack([one, other], axis=1)[one < other]
    return np.unique(np.concatenate([_triangulated(points, owner), touching]), axis=0)


def _triangulated(points: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Pairs of owners whose points a triangle's side joins; owners of one and the same point are a pair, too."""
    points, first, which = np.unique(points, axis=0, return_index=True, return_inverse=True)
    same = np.stack([owner[first][which.ravel()], owner], axis=1)
    pairs = np.concatenate([_sides(points, owner[first]), same])
    pairs = np.sort(pairs[pairs[:, 0] != pairs[:, 1]], axis=1)
    return np.unique(pairs, axis=0)


def _sides(points: np.ndarray, owner: np.ndarray) -> np.ndarray:
    """Owners at the two ends of all sides of the triangulation of different points."""
    from scipy.spatial import Delaunay, QhullError

    middle = points.mean(axis=0)
    try:
        corners = Delaunay(points - middle).simplices
    except (QhullError, ValueError):
        # too few points, or all on one line: each is joined to the next
        along = owner[np.lexsort((points - middle).T[::-1])]
        return np.stack([along[:-1], along[1:]], axis=1)
    return np.asarray(owner[np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]])])


# --- anchors -----------------------------------------------------------------------------------------------------


def anchors(surface: Surface, kind: Anchor) -> np.ndarray:
    """The point (n, 2) that stands for each patch: its centroid, or one inside its largest part."""
    import shapely

    if kind == "centroid":
        return surface.centroids(surface.shapes)
    parts, owner = shapely.get_parts(surface.shapes, return_index=True)
    order = np.lexsort((-surface.areas(parts), owner))
    largest = parts[order[np.searchsorted(owner[order], np.arange(len(surface.shapes)))]]
    points = surface.centroids(largest)
    outside = ~shapely.intersects_xy(largest, points[:, 0], points[:, 1])
    points[outside] = shapely.get_coordinates(shapely.point_on_surface(largest[outside]))
    return points
