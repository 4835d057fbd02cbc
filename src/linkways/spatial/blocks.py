"""Rasters in blocks of whole rows: read, computed and written so that memory holds a few blocks, not the raster."""

from __future__ import annotations

import math
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    import xarray as xr

    from linkways.spatial._grid import Grid

__all__ = ["block_values", "computed_raster", "is_deferred", "row_blocks"]

#: Rasters of more cells than this are left in their file until a part of them is asked for.
HELD_CELLS = 2**28
#: Cells of a block: about 64 MB as float64.
BLOCK_CELLS = 2**23


def is_deferred(raster: xr.DataArray) -> bool:
    """Return whether the raster's cells are still in their file, or not yet computed."""
    return raster.chunks is not None or not raster.variable._in_memory


def row_blocks(raster: xr.DataArray, *, cells: int | None = None) -> list[range]:
    """Return the rows of the raster in blocks of about ``cells`` cells (by default 2**23), from the north.

    Blocks end where the tiles of the file end, so that no tile is read twice.
    """
    rows, columns = raster.shape
    step = max(1, (BLOCK_CELLS if cells is None else cells) // max(1, columns))
    tile = int(raster.encoding.get("preferred_chunks", {}).get("y", 1))
    if tile < rows:
        step = max(tile, step // tile * tile)
    return [range(top, min(top + step, rows)) for top in range(0, rows, step)]


def block_values(raster: xr.DataArray, rows: range) -> np.ndarray:
    """Return the values of some rows of the raster, (len(rows), columns); only they are read or computed."""
    return np.asarray(raster.isel(y=slice(rows.start, rows.stop)).values)


def computed_raster(
    template: xr.DataArray,
    window: Callable[[range, range], np.ndarray],
    *,
    dtype: Any,
    name: str,
    block_rows: int,
    attrs: dict[str, Any] | None = None,
    stored: tuple[Any, float] | None = None,
) -> xr.DataArray:
    """Return a raster on the grid of ``template`` whose cells are computed when they are asked for.

    Args:
        template: the raster whose grid it has.
        window: the values of some rows and columns, (len(rows), len(columns)).
        dtype: the type of the values.
        name: its name.
        block_rows: rows that are best computed together.
        attrs: its attributes.
        stored: the type and the nodata value that hold its values in a file, where that is known (classes).
    """
    import xarray as xr

    from linkways.spatial._lazy import Cells, deferred

    cells = Cells((template.shape[0], template.shape[1]), dtype, window)
    coords = {key: template.coords[key] for key in template.coords if set(template.coords[key].dims) <= {"y", "x"}}
    raster = xr.DataArray(deferred(cells), dims=("y", "x"), coords=coords, name=name, attrs=dict(attrs or {}))
    raster.encoding = {"preferred_chunks": {"y": block_rows, "x": template.shape[1]}}
    if stored is not None:
        raster.encoding |= {"dtype": np.dtype(stored[0]).name, "_FillValue": stored[1]}
    return raster


def float_type(stored: Any, classes: bool) -> type[np.float32] | type[np.float64]:
    """Return the type that holds the values of a file and NaN: float32 for short class codes, else float64."""
    stored = np.dtype(stored)
    return np.float32 if classes and (stored.itemsize <= 2 or stored == np.float32) else np.float64


def file_cells(
    path: str | os.PathLike[str],
    band: int,
    grid: Grid,
    rows: range,
    columns: range,
    overview: int | None,
    classes: bool,
    nodata: float | None,
    dtype: Any,
) -> Any:
    """Return a window of a raster file as an array that is read when asked for; for ``read_raster``."""
    from linkways.spatial._lazy import Cells, FileCells, deferred

    where = os.path.abspath(path) if Path(path).exists() else os.fspath(path)  # noqa: PTH100  the folder may change
    reader = FileCells(where, band, grid, rows, columns, overview, classes, nodata)
    return deferred(Cells((len(rows), len(columns)), dtype, reader))


def write_deferred(raster: xr.DataArray, path: Path) -> None:
    """Write a raster that is not in memory as Cloud-Optimised GeoTIFF, block by block; for ``write_raster``.

    A plain tiled GeoTIFF is written beside it first, from which GDAL makes the other one with its overviews.
    """
    import warnings

    import rasterio
    import rasterio.shutil
    from rasterio.errors import NotGeoreferencedWarning

    from linkways.spatial._atomic import written_aside
    from linkways.spatial._cog import describe
    from linkways.spatial._grid import grid_of

    grid = grid_of(raster)
    if grid.dy > 0:
        raise LinkwaysError(f"raster {raster.name} runs from south to north and is not in memory; turn it round first")
    dtype, fill = _stored(raster)
    whole = np.issubdtype(dtype, np.integer)
    with written_aside(path) as aside, warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        plain = aside.with_name(aside.stem + ".blocks.tif")
        try:
            profile = {
                "driver": "GTiff", "height": grid.rows, "width": grid.columns, "count": 1, "dtype": dtype.name,
                "crs": grid.crs.to_wkt(), "transform": grid.transform, "nodata": fill, "compress": "DEFLATE",
                "zlevel": 1, "tiled": True, "blockxsize": 512, "blockysize": 512, "bigtiff": "IF_SAFER",
            }  # fmt: skip
            with rasterio.open(plain, "w", **profile) as dataset:
                for rows in _blocks_of_tiles(raster, 512):
                    window = rasterio.windows.Window(0, rows.start, grid.columns, len(rows))
                    dataset.write(_as_stored(block_values(raster, rows), dtype, fill), 1, window=window)
                describe(dataset, raster, whole=bool(whole))
            rasterio.shutil.copy(
                plain, aside, driver="COG", compress="DEFLATE", predictor="YES", bigtiff="IF_SAFER",
                overview_resampling="MODE" if whole else "AVERAGE", num_threads="2",
            )  # fmt: skip
        finally:
            plain.unlink(missing_ok=True)


def _blocks_of_tiles(raster: xr.DataArray, tile: int) -> list[range]:
    """Blocks of rows that fill the tiles of the file to be written."""
    rows, columns = raster.shape
    step = max(tile, BLOCK_CELLS // columns // tile * tile)
    return [range(top, min(top + step, rows)) for top in range(0, rows, step)]


def _stored(raster: xr.DataArray) -> tuple[np.dtype[Any], float | None]:
    if "dtype" in raster.encoding:
        return np.dtype(raster.encoding["dtype"]), raster.encoding["_FillValue"]
    if raster.dtype == np.bool_:
        return np.dtype(np.uint8), None
    if np.issubdtype(raster.dtype, np.integer):
        return raster.dtype, None
    return raster.dtype, math.nan


def _as_stored(values: np.ndarray, dtype: np.dtype[Any], fill: float | None) -> np.ndarray:
    if np.issubdtype(dtype, np.integer) and np.issubdtype(values.dtype, np.floating):
        values = np.where(np.isnan(values), 0 if fill is None else fill, values)
    return values.astype(dtype, copy=False)
