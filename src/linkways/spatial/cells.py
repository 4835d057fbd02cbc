"""The geometry of raster cells in metres: steps between neighbours and areas, on the ellipsoid where need be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    import xarray as xr
    from pyproj import CRS, Geod

    from linkways.spatial._grid import Grid

__all__ = ["CellGeometry", "cell_geometry", "same_grid"]


@dataclass(frozen=True)
class CellGeometry:
    """Lengths of the steps between the centres of neighbouring cells, and areas of the cells, row by row.

    Attributes:
        east_west_m: (rows,) metres between the centres of neighbours in the row.
        north_south_m: (rows - 1,) metres between row i and row i + 1.
        diagonal_m: (rows - 1,) metres between a cell of row i and its diagonal neighbour in row i + 1.
        area_m2: (rows,) square metres of one cell of the row.
        wraps: the grid spans 360 degrees, so its first and its last column are neighbours.
    """

    east_west_m: np.ndarray
    north_south_m: np.ndarray
    diagonal_m: np.ndarray
    area_m2: np.ndarray
    wraps: bool

    @property
    def area_km2(self) -> np.ndarray:
        """(rows,) square kilometres of one cell of the row."""
        return self.area_m2 / 1e6


def cell_geometry(raster: xr.DataArray) -> CellGeometry:
    """Return the step lengths and cell areas of a raster with a CRS, in metres and square metres.

    On a geographic CRS the steps are geodesics on its ellipsoid (Karney, 2013) between cell centres, and the area of
    a cell of width dL between the latitudes p1 and p2 is exact (Snyder, 1987, eq. 3-12):
    ``A = dL b^2 / 2 [q(p2) - q(p1)]`` with ``q(p) = s / (1 - e^2 s^2) + artanh(e s) / e`` and ``s = sin p``.
    On a projected CRS they are map distances, its units converted to metres.

    Args:
        raster: 2-D, dimensions (y, x), coordinates at cell centres, evenly spaced.

    Raises:
        LinkwaysError: no CRS, a rotated or irregular grid, latitudes beyond the poles, or more than 360 degrees.
    """
    from linkways.spatial._grid import grid_of, label

    grid = grid_of(raster)
    if _horizontal(grid.crs).is_geographic:
        return _on_ellipsoid(grid, label(raster))
    return _on_plane(grid, label(raster))


def _horizontal(crs: CRS) -> CRS:
    """Return the horizontal part of a bound or compound CRS."""
    if crs.is_bound and crs.source_crs is not None:
        return _horizontal(crs.source_crs)
    if crs.is_compound:
        return _horizontal(crs.sub_crs_list[0])
    return crs


def _on_plane(grid: Grid, name: str) -> CellGeometry:
    crs = _horizontal(grid.crs)
    units = [axis.unit_conversion_factor for axis in crs.axis_info[:2]]
    if crs.is_geocentric or len(units) < 2 or not all(unit > 0 for unit in units):
        raise LinkwaysError(
            f"{name} has the CRS {crs.name!r}, which is neither geographic nor projected; reproject it to one that is"
        )
    width, height = abs(grid.dx) * units[0], abs(grid.dy) * units[1]
    between = grid.rows - 1
    return CellGeometry(
        east_west_m=np.full(grid.rows, width),
        north_south_m=np.full(between, height),
        diagonal_m=np.full(between, math.hypot(width, height)),
        area_m2=np.full(grid.rows, width * height),
        wraps=False,
    )


def _on_ellipsoid(grid: Grid, name: str) -> CellGeometry:
    crs = _horizontal(grid.crs)
    if crs.is_derived:
        raise LinkwaysError(
            f"{name} has the rotated-pole CRS {crs.name!r}, whose degrees are not latitudes; reproject it to EPSG:4326"
        )
    to_degrees = math.degrees(crs.axis_info[0].unit_conversion_factor)
    width = abs(grid.dx) * to_degrees
    edges = (grid.y0 + grid.dy * np.arange(grid.rows + 1)) * to_degrees
    edges = _within_poles(edges, abs(grid.dy) * to_degrees, name)
    wraps = _wraps(width, grid.columns, name)
    geod = _ellipsoid(crs, name)
    centres = (grid.y0 + grid.dy * (np.arange(grid.rows) + 0.5)) * to_degrees
    return CellGeometry(
        east_west_m=_geodesics(geod, centres, centres, width),
        north_south_m=_geodesics(geod, centres[:-1], centres[1:], 0.0),
        diagonal_m=_geodesics(geod, centres[:-1], centres[1:], width),
        area_m2=_ellipsoidal_areas(geod, edges, width),
        wraps=wraps,
    )


def _ellipsoid(crs: CRS, name: str) -> Geod:
    geod = crs.get_geod()
    if geod is None:
        raise LinkwaysError(f"the CRS {crs.name!r} of {name} names no ellipsoid; use one that does, like EPSG:4326")
    return geod


def _within_poles(edges: np.ndarray, height: float, name: str) -> np.ndarray:
    if np.abs(edges).max() > 90.0 + 0.01 * height:
        raise LinkwaysError(
            f"{name} reaches from latitude {edges.min():g} to {edges.max():g}, beyond the poles; check its CRS and "
            "its coordinates (centres of cells), or crop it to -90 .. 90"
        )
    clipped: np.ndarray = np.clip(edges, -90.0, 90.0)
    return clipped


def _wraps(width: float, columns: int, name: str) -> bool:
    excess = columns * width - 360.0
    if excess > 0.5 * width:
        raise LinkwaysError(
            f"{name} spans {columns * width:g} degrees of longitude, more than 360; drop the columns that repeat"
        )
    return abs(excess) <= 0.5 * width


def _geodesics(geod: Geod, from_latitudes: np.ndarray, to_latitudes: np.ndarray, dlon: float) -> np.ndarray:
    zeros = np.zeros_like(from_latitudes)
    if zeros.size == 0:
        return zeros
    return np.asarray(geod.inv(zeros, from_latitudes, zeros + dlon, to_latitudes)[2], dtype=np.float64)


def _ellipsoidal_areas(geod: Geod, edge_latitudes: np.ndarray, dlon: float) -> np.ndarray:
    sine = np.sin(np.radians(edge_latitudes))
    e = math.sqrt(max(geod.es, 0.0))
    over_e = np.arctanh(e * sine) / e if e > 0.0 else sine
    q = sine / (1.0 - geod.es * sine**2) + over_e
    areas: np.ndarray = np.abs(np.diff(q)) * math.radians(dlon) * geod.b**2 / 2.0
    return areas


def same_grid(one: xr.DataArray, two: xr.DataArray) -> bool:
    """Return whether two rasters have the same CRS and the same cells (corners within 1e-6 of a cell)."""
    from linkways.spatial._grid import grid_of

    return grid_of(one).matches(grid_of(two))
