"""Small landscapes whose answers can be read off."""

import geopandas as gpd
import numpy as np
import rioxarray  # noqa: F401
import shapely
import xarray as xr
from affine import Affine


def planar(values, cell_m: float = 100.0, crs: str = "EPSG:3035") -> xr.DataArray:
    """A raster whose upper left corner lies at (0, rows x cell)."""
    values = np.asarray(values, float)
    rows, columns = values.shape
    raster = xr.DataArray(
        values,
        dims=("y", "x"),
        coords={"y": (rows - np.arange(rows) - 0.5) * cell_m, "x": (np.arange(columns) + 0.5) * cell_m},
        name="landscape",
    )
    return raster.rio.write_crs(crs).rio.write_transform(Affine(cell_m, 0, 0, 0, -cell_m, rows * cell_m))


def degrees(values, west: float, north: float, step: float) -> xr.DataArray:
    values = np.asarray(values, float)
    rows, columns = values.shape
    raster = xr.DataArray(
        values,
        dims=("y", "x"),
        coords={"y": north - (np.arange(rows) + 0.5) * step, "x": west + (np.arange(columns) + 0.5) * step},
        name="landscape",
    )
    return raster.rio.write_crs("EPSG:4326").rio.write_transform(Affine(step, 0, west, 0, -step, north))


def cell_boxes(raster: xr.DataArray, cells, **columns) -> gpd.GeoDataFrame:
    """One square feature for each (row, column), or for each (row, column, height, width) in cells."""
    transform = raster.rio.transform()
    west, north, dx, dy = transform.c, transform.f, transform.a, -transform.e
    boxes = []
    for row, column, *size in cells:
        height, width = size or (1, 1)
        boxes.append(
            shapely.box(west + column * dx, north - (row + height) * dy, west + (column + width) * dx, north - row * dy)
        )
    return gpd.GeoDataFrame(columns, geometry=boxes, crs=raster.rio.crs)
