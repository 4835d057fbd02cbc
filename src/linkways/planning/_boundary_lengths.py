"""Lengths of the edges that planning units share: of polygons, and of raster cells."""

from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.planning._problem import Pairs

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

    from linkways.spatial import CellGeometry

__all__ = ["grid_boundary", "polygon_boundary"]

TOUCH = 1e-9  # of a perimeter: a shared length below is a corner


def polygon_boundary(layer: "gpd.GeoDataFrame") -> tuple[Pairs, np.ndarray]:
    """Shared edges of polygons (m), and the edge of each that it shares with none (m)."""
    import shapely

    shapes = np.asarray(layer.geometry.values)
    empty = np.flatnonzero(shapely.is_missing(shapes) | shapely.is_empty(shapes))
    if len(empty):
        raise LinkwaysError(
            f"planning units without a shape have no boundary: {len(empty)} of them, first in row {empty[0] + 1}; "
            "leave them out"
        )
    edges = shapely.boundary(shapes)
    first, second = shapely.STRtree(shapes).query(shapes, predicate="intersects")
    once = first < second
    first, second = first[once], second[once]
    measure = _measure(layer.crs)
    perimeter = measure(edges)
    shared = measure(shapely.intersection(edges[first], edges[second]))
    real = shared > TOUCH * np.minimum(perimeter[first], perimeter[second])
    pairs = Pairs(first[real].astype(np.int64), second[real].astype(np.int64), shared[real])
    return pairs, _left(perimeter, pairs)


def _left(perimeter: np.ndarray, pairs: Pairs) -> np.ndarray:
    """Of each perimeter what no other unit shares."""
    count = len(perimeter)
    used = np.bincount(pairs.a, pairs.value, count) + np.bincount(pairs.b, pairs.value, count)
    left = perimeter - used
    return np.where(left > TOUCH * perimeter, left, 0.0)


def _measure(crs: Any) -> Any:
    """A function from lines to their lengths in metres: on the ellipsoid for degrees, on the map else."""
    import shapely

    if crs.is_geographic:
        geod = crs.get_geod()
        return lambda lines: np.array([geod.geometry_length(line) for line in lines], dtype=float)
    metres = crs.axis_info[0].unit_conversion_factor
    return lambda lines: shapely.length(lines) * metres


def grid_boundary(raster: "xr.DataArray", inside: np.ndarray) -> tuple[Pairs, np.ndarray]:
    """Shared edges of the cells that are ``inside``, in reading order, and their edges towards the outside (m).

    An edge between rows is as long as the mean of the two rows' widths, one within a row as long as the mean of the
    steps to the rows beside it; on a projected CRS both are exact.
    """
    from linkways.spatial import cell_geometry

    geometry = cell_geometry(raster)
    rows, columns = inside.shape
    width, height = _edge_lengths(geometry)
    number = np.full(inside.shape, -1, np.int64)
    number[inside] = np.arange(int(inside.sum()))
    beside = [(number[:, :-1], number[:, 1:], height[:, None])]
    if geometry.wraps and columns > 2:
        beside.append((number[:, -1:], number[:, :1], height[:, None]))
    beside.append((number[:-1], number[1:], width[1:-1, None]))
    a, b, length = [], [], []
    for left, right, size in beside:
        both = (left >= 0) & (right >= 0)
        a.append(np.minimum(left[both], right[both]))
        b.append(np.maximum(left[both], right[both]))
        length.append(np.broadcast_to(size, left.shape)[both])
    pairs = Pairs(np.concatenate(a), np.concatenate(b), np.concatenate(length))
    row = np.repeat(np.arange(rows), columns).reshape(inside.shape)[inside]
    return pairs, _left(width[row] + width[row + 1] + 2 * height[row], pairs)


def _edge_lengths(geometry: "CellGeometry") -> tuple[np.ndarray, np.ndarray]:
    """Lengths of the horizontal edges above, between and below the rows (rows + 1), and of the vertical ones (rows)."""
    centre, step = geometry.east_west_m, geometry.north_south_m
    width = np.r_[centre[0], (centre[:-1] + centre[1:]) / 2, centre[-1]]
    if len(step):
        around = np.r_[step[0], step, step[-1]]
        height = (around[:-1] + around[1:]) / 2
    else:
        height = geometry.area_m2 / centre
    return width, height
