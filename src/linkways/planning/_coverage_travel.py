"""Travel from every candidate site to every demand point: as the crow flies, over terrain, or as a table tells."""

from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import progress

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

__all__ = ["straight", "tabled", "terrain"]

ID = "planning.coverage"


def straight(demand: "gpd.GeoDataFrame", sites: "gpd.GeoDataFrame") -> np.ndarray:
    """Metres, (points, sites): on the ellipsoid for coordinates in degrees, on the map otherwise."""
    sites = sites.to_crs(demand.crs)
    x, y = demand.geometry.x.to_numpy(), demand.geometry.y.to_numpy()
    u, v = sites.geometry.x.to_numpy(), sites.geometry.y.to_numpy()
    if demand.crs.is_geographic:
        shape = len(x), len(u)
        lines = [np.broadcast_to(a, shape).ravel() for a in (x[:, None], y[:, None], u[None, :], v[None, :])]
        return np.asarray(demand.crs.get_geod().inv(*lines)[2]).reshape(shape)
    unit = demand.crs.axis_info[0].unit_conversion_factor
    return np.asarray(np.hypot(x[:, None] - u[None, :], y[:, None] - v[None, :]) * unit)


def terrain(demand: "gpd.GeoDataFrame", sites: "gpd.GeoDataFrame", resistance: "xr.DataArray") -> np.ndarray:
    """Least resistance x metres from each site to each point, (points, sites); inf where there is no way."""
    from linkways.kernels.cost_distance import cost_field_on_grid, prepare
    from linkways.spatial import cell_geometry

    cells = cell_geometry(resistance)
    grid = prepare(
        np.ascontiguousarray(resistance.values, dtype=np.float64),
        cells.east_west_m,
        cells.north_south_m,
        cells.diagonal_m,
        wraps=cells.wraps,
    )
    ends = _cells_of(demand, resistance, "demand")
    starts = _cells_of(sites, resistance, "sites")
    out = np.empty((len(demand), len(sites)))
    label = np.zeros(1, np.int32)
    for k, start in enumerate(starts):
        field = cost_field_on_grid(grid, np.array([start], np.int64), label, targets=np.unique(ends))
        out[:, k] = field.distance.ravel()[ends]
        progress(0.5 * (k + 1) / len(starts), f"travel from site {k + 1} of {len(starts)}")
    return out


def _cells_of(points: "gpd.GeoDataFrame", raster: "xr.DataArray", what: str) -> np.ndarray:
    """The cell of each point; refuses those beyond the raster or where nobody can go."""
    from linkways.spatial import grid_of

    grid = grid_of(raster)
    moved = points.to_crs(grid.crs).geometry
    column = np.floor((moved.x.to_numpy() - grid.x0) / grid.dx).astype(int)
    row = np.floor((moved.y.to_numpy() - grid.y0) / grid.dy).astype(int)
    inside = (row >= 0) & (row < grid.rows) & (column >= 0) & (column < grid.columns)
    _refuse(points, ~inside, what, "lie outside the raster resistance")
    _refuse(points, np.isnan(raster.values[row, column]), what, "lie where resistance has no data")
    return np.asarray(row * grid.columns + column)


def _refuse(points: "gpd.GeoDataFrame", wrong: np.ndarray, what: str, trouble: str) -> None:
    rows = np.flatnonzero(wrong)
    if len(rows):
        raise LinkwaysError(
            f"{ID}: {len(rows)} of {len(points)} points of {what} {trouble}, first row {rows[0] + 1}; move them, leave "
            "them out, or give a raster that holds them"
        )


def tabled(demand: "gpd.GeoDataFrame", sites: "gpd.GeoDataFrame", travel: "pd.DataFrame") -> np.ndarray:
    """Travel as a table with the columns demand, site and travel tells it, (points, sites)."""
    import pandas as pd

    values = pd.to_numeric(travel["travel"], errors="coerce").to_numpy(dtype=float)
    wrong = np.flatnonzero(~(values >= 0))
    if len(wrong):
        raise LinkwaysError(
            f"{ID}: travel has no number of 0 or more in row {wrong[0] + 1} (column travel); mend it, or leave the "
            "row out"
        )
    points = {str(name): k for k, name in enumerate(demand["demand"])}
    places = {str(name): k for k, name in enumerate(sites["site"])}
    row = travel["demand"].astype(str).map(points)
    column = travel["site"].astype(str).map(places)
    used = np.asarray(row.notna() & column.notna())
    out = np.full((len(demand), len(sites)), np.nan)
    out[row[used].astype(int), column[used].astype(int)] = values[used]
    missing = np.argwhere(np.isnan(out))
    if len(missing):
        one = missing[0]
        raise LinkwaysError(
            f"{ID}: travel has no row for {len(missing)} pairs, first demand {demand['demand'].iloc[one[0]]} and site "
            f"{sites['site'].iloc[one[1]]}; add them (a large number where there is no way), or check the names"
        )
    return out
