"""Values of rasters at places of any CRS: the cell in which each lies."""

from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    import xarray as xr

__all__ = ["raster_name", "values_at"]


def raster_name(raster: "xr.DataArray", position: int) -> str:
    """The name of a raster as terms call it, or its position."""
    return str(raster.name) if raster.name not in (None, "", "raster") else f"covariate_{position + 1}"


def values_at(raster: "xr.DataArray", x: Any, y: Any, crs: Any) -> np.ndarray:
    """The values of the cells in which places lie, NaN outside the raster and at nodata.

    Args:
        raster: dimensions (y, x), any CRS.
        x, y: coordinates of the places in ``crs``, any shape.
        crs: of the places.
    """
    from pyproj import Transformer

    from linkways.spatial import grid_of

    x, y = np.asarray(x, float), np.asarray(y, float)
    grid = grid_of(raster)
    if not grid.crs.equals(crs, ignore_axis_order=True):
        x, y = Transformer.from_crs(crs, grid.crs, always_xy=True).transform(x, y)
    with np.errstate(invalid="ignore"):
        column, row = np.floor((x - grid.x0) / grid.dx), np.floor((y - grid.y0) / grid.dy)
        inside = (column >= 0) & (column < grid.columns) & (row >= 0) & (row < grid.rows)
    values = np.full(inside.shape, np.nan)
    where = row[inside].astype(np.int64), column[inside].astype(np.int64)
    values[inside] = _cells(raster)[where]
    return values


def _cells(raster: "xr.DataArray") -> np.ndarray:
    return np.asarray(raster.values, dtype=float)
