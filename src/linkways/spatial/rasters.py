"""Rasters in and out: what GDAL reads becomes a 2-D DataArray; Linkways writes Cloud-Optimised GeoTIFF."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.spatial._windows import Bounds, window
from linkways.spatial.blocks import HELD_CELLS, file_cells, float_type, is_deferred, write_deferred
from linkways.spatial.log import note

if TYPE_CHECKING:
    import rasterio
    import xarray as xr
    from pyproj import CRS

    from linkways.spatial._grid import Grid

__all__ = ["new_raster", "raster_like", "read_raster", "write_raster"]


def read_raster(
    path: str | os.PathLike[str],
    *,
    band: int = 1,
    bounds: Bounds | None = None,
    like: xr.DataArray | None = None,
    crs: Any = None,
    origin: tuple[float, float] | None = None,
    cell_size: float | tuple[float, float] | None = None,
    nodata: float | None = None,
    classes: bool | None = None,
    overview: int | None = None,
    lazy: bool | None = None,
) -> xr.DataArray:
    """Return one band of a raster file as a 2-D DataArray with dimensions (y, x), nodata as NaN.

    Rows run from north to south; coordinates are cell centres; the CRS is kept as rioxarray does
    (``raster.rio.crs``); the name is the file's. ``attrs`` hold ``source`` and, where the file tells, ``units``,
    ``simulated`` and ``classes``. Continuous values are float64 with the band's scale and offset applied; classes
    are float32 where that holds them exactly (8- and 16-bit codes), else float64, with ``attrs["classes"] = True``.

    Args:
        path: a local file, an http(s) address (read in place, window by window) or a GDAL name.
        band: number of the band, from 1.
        bounds: (west, south, east, north) in the raster's CRS; every cell they touch is read. On a geographic CRS
            west may be greater than east: the window crosses the antimeridian, and longitudes run on past 180.
        like: read the window that covers this raster, whatever its CRS, instead of ``bounds``.
        crs: use this CRS instead of what the file says.
        origin: (left, top) outer corner to use instead of what the file says, in units of the CRS.
        cell_size: cell (or width and height) to use instead of what the file says, in units of the CRS.
        nodata: a further value that means no data.
        classes: whether the values are class codes; by default what the file tells (tag CLASSES, colour table).
        overview: level of the overview to read, 0 the finest; by default the full resolution.
        lazy: leave the cells in the file and read those that are asked for, each time they are; by default only
            of rasters with more than 2**28 cells (2 GB). Methods that work by blocks then need little memory.

    Raises:
        LinkwaysError: no such file or band or overview, unreadable, rotated, no CRS and none given, or the window
            does not overlap the raster.
    """
    if bounds is not None and like is not None:
        raise LinkwaysError("give bounds or like to read_raster, not both; they both name the window")
    name = Path(str(path).split("?", 1)[0]).stem
    with _opened(path, overview) as dataset:
        _check_band(dataset, band, name)
        grid = _file_grid(dataset, name, crs, origin, cell_size)
        if like is not None:
            bounds = _cover(like, grid)
        rows, columns, shift = window(grid, bounds, name)
        is_classes = _tells_classes(dataset, band) if classes is None else classes
        lazy = len(rows) * len(columns) > HELD_CELLS if lazy is None else lazy
        tile_rows = dataset.block_shapes[band - 1][0]
        if lazy:
            dtype = float_type(dataset.dtypes[band - 1], is_classes)
            values = file_cells(path, band, grid, rows, columns, overview, is_classes, nodata, dtype)
        else:
            stored = _read_window(dataset, band, grid, rows, columns, name)
            values = _as_float(stored, dataset, band, is_classes, nodata)
        attrs = _attrs(dataset, band, path, is_classes)
    # Counted from the corner of the file, so that two windows of one file share their coordinates exactly.
    y = grid.y0 + grid.dy * (np.array(rows) + 0.5)
    x = grid.x0 + grid.dx * (np.array(columns) + 0.5) + shift
    if grid.dy > 0:
        values, y = values if lazy else values[::-1].copy(), y[::-1].copy()
    raster = _assemble(values, x, y, grid.crs, (grid.dx, -abs(grid.dy)), name, attrs)
    if lazy:
        raster.encoding["preferred_chunks"] = {"y": tile_rows, "x": len(columns)}
    return raster


def new_raster(
    values: np.ndarray,
    *,
    crs: Any,
    cell_size: float | tuple[float, float],
    origin: tuple[float, float] = (0.0, 0.0),
    name: str = "raster",
    attrs: dict[str, Any] | None = None,
) -> xr.DataArray:
    """Return a 2-D array as a raster, its first row the northernmost.

    Args:
        values: (rows, columns).
        crs: EPSG code, WKT or PROJ string.
        cell_size: cell, or (width, height), in units of the CRS.
        origin: (left, top) outer corner in units of the CRS.
        name: name of the raster.
        attrs: attributes, for instance ``{"units": "m"}``.

    Raises:
        LinkwaysError: the array is not 2-D, or the CRS is not known.
    """
    from linkways.spatial._grid import parse_crs

    array = np.asarray(values)
    if array.ndim != 2:
        raise LinkwaysError(f"raster {name} has {array.ndim} dimensions; give rows and columns")
    width, height = cell_size if isinstance(cell_size, tuple) else (cell_size, cell_size)
    x = origin[0] + (np.arange(array.shape[1]) + 0.5) * width
    y = origin[1] - (np.arange(array.shape[0]) + 0.5) * height
    return _assemble(array, x, y, parse_crs(crs), (width, -height), name, dict(attrs or {}))


def raster_like(
    values: np.ndarray,
    template: xr.DataArray,
    *,
    name: str,
    units: str | None = None,
    attrs: dict[str, Any] | None = None,
) -> xr.DataArray:
    """Return a 2-D array as a raster on the grid of ``template``: its coordinates and CRS, none of its attributes.

    Raises:
        LinkwaysError: the shapes differ.
    """
    array = np.asarray(values)
    if array.shape != template.shape:
        raise LinkwaysError(
            f"{name} has {array.shape} rows and columns, its template {template.shape}; they must be the same grid"
        )
    raster = template.copy(data=array).rename(name)
    raster.attrs = dict(attrs or {}) | ({"units": units} if units is not None else {})
    raster.encoding = {}
    return raster


def write_raster(raster: xr.DataArray, path: str | os.PathLike[str]) -> Path:
    """Write a raster as Cloud-Optimised GeoTIFF (deflate, overviews) and return its path.

    Floating values keep their type with nodata NaN and overviews by average. Rasters marked ``attrs["classes"] =
    True`` are written as the smallest integer type that holds the codes and one nodata value, with overviews by mode;
    integer and boolean arrays as they are. Units, source, the legend (``class_names``), the simulated and the classes
    marks go into the file and come back with ``read_raster``. The file is written aside and moved into place. A
    raster that is still in its file, or not yet computed, is written block by block.

    Raises:
        LinkwaysError: no CRS, not a regular grid, not a .tif name, the folder missing or not writable, the disk
            full.
    """
    from linkways.spatial._atomic import check_suffix, written_aside
    from linkways.spatial._cog import encoded, write_cog
    from linkways.spatial._grid import grid_of

    check_suffix(path, {".tif": "GeoTIFF", ".tiff": "GeoTIFF"}, "raster")
    if is_deferred(raster):
        write_deferred(raster, Path(path))
        return Path(path)
    grid = grid_of(raster)
    values, fill = encoded(raster)
    with written_aside(path) as aside:
        write_cog(aside, values, fill, grid, raster)
    return Path(path)


# --- reading ---------------------------------------------------------------------------------------------------


@contextmanager
def _opened(path: str | os.PathLike[str], overview: int | None) -> Iterator[rasterio.DatasetReader]:
    import warnings

    import rasterio
    from rasterio.errors import NotGeoreferencedWarning, RasterioError

    from linkways.spatial._atomic import missing_file

    text = os.fspath(path)
    remote = text.startswith(("http://", "https://"))
    target = f"/vsicurl/{text}" if remote else text
    plain = not text.startswith("/vsi") and ":" not in text[2:]
    if plain and not Path(text).exists():
        raise missing_file(text, "raster")
    # On a web server there is no folder to list, and asking for one costs a request per file.
    settings = {"GDAL_DISABLE_READDIR_ON_OPEN": "EMPTY_DIR"} if remote else {}
    options = {} if overview is None else {"overview_level": overview}
    with rasterio.Env(**settings), warnings.catch_warnings():
        warnings.simplefilter("ignore", NotGeoreferencedWarning)
        try:
            dataset = rasterio.open(target, **options)
        except RasterioError as error:
            raise _unopened(target, overview, text, error) from error
        with dataset:
            yield dataset


def _unopened(target: str, overview: int | None, shown: str, error: Exception) -> LinkwaysError:
    import rasterio
    from rasterio.errors import RasterioError

    if overview is not None:
        try:
            with rasterio.open(target) as dataset:
                levels = len(dataset.overviews(1)) if dataset.count else 0
        except RasterioError:
            pass
        else:
            have = f"levels 0 to {levels - 1}" if levels else "none"
            return LinkwaysError(f"{shown} has no overview {overview} (it has {have}); leave overview out")
    reason = str(error).replace("\n", " ")
    return LinkwaysError(f"cannot read {shown} as a raster ({reason}); give a GeoTIFF or another raster GDAL reads")


def _check_band(dataset: rasterio.DatasetReader, band: int, name: str) -> None:
    if dataset.count == 0 and dataset.subdatasets:
        raise LinkwaysError(
            f"{name} holds {len(dataset.subdatasets)} layers; give the name of one of them as the path: "
            + ", ".join(dataset.subdatasets[:12])
        )
    if not 1 <= band <= dataset.count:
        raise LinkwaysError(f"{name} has no band {band}; it has bands 1 to {dataset.count}")


def _file_grid(
    dataset: rasterio.DatasetReader,
    name: str,
    crs: Any,
    origin: tuple[float, float] | None,
    cell_size: float | tuple[float, float] | None,
) -> Grid:
    from linkways.spatial._grid import Grid

    t = dataset.transform
    if t.b != 0.0 or t.d != 0.0:
        raise LinkwaysError(
            f"{name} is rotated; warp it to a grid whose rows run east-west (for example with gdalwarp)"
        )
    if t.is_identity and (origin is None or cell_size is None):
        raise LinkwaysError(
            f"{name} does not say where its cells lie; give origin=(left, top) and cell_size, or georeference the file"
        )
    x0, y0 = origin if origin is not None else (t.c, t.f)
    dx, dy = t.a, t.e
    if cell_size is not None:
        width, height = cell_size if isinstance(cell_size, tuple) else (cell_size, cell_size)
        dx, dy = width, math.copysign(height, t.e)
        if t.is_identity:
            dy = -height
    if dx < 0:
        raise LinkwaysError(f"{name} has columns that run from east to west; warp it to a north-up grid")
    return Grid(_file_crs(dataset, name, crs), x0, y0, dx, dy, dataset.height, dataset.width)


def _file_crs(dataset: rasterio.DatasetReader, name: str, given: Any) -> CRS:
    from linkways.spatial._grid import parse_crs, same_crs, short_name

    told = None if dataset.crs is None else parse_crs(dataset.crs.to_wkt())
    if given is None:
        if told is None:
            raise LinkwaysError(f"{name} has no coordinate reference system; give one with crs='EPSG:...'")
        return told
    chosen = parse_crs(given)
    if told is None:
        note(f"raster {name}: the file has no CRS, {short_name(chosen)} as given")
    elif not same_crs(told, chosen):
        note(f"raster {name}: the file's CRS ({short_name(told)}) replaced by {short_name(chosen)} as given")
    return chosen


def _cover(like: xr.DataArray, grid: Grid) -> Bounds:
    """Return the bounds of ``like`` in the CRS of ``grid``, one cell wider where the CRS differ."""
    from rasterio.warp import transform_bounds

    from linkways.spatial._grid import grid_of, same_crs

    wanted = grid_of(like)
    if same_crs(wanted.crs, grid.crs):
        return wanted.bounds
    west, south, east, north = transform_bounds(wanted.crs.to_wkt(), grid.crs.to_wkt(), *wanted.bounds, densify_pts=101)
    pad_x, pad_y = abs(grid.dx), abs(grid.dy)
    return west - pad_x, south - pad_y, east + pad_x, north + pad_y


def _read_window(
    dataset: rasterio.DatasetReader, band: int, grid: Grid, rows: range, columns: range, name: str
) -> np.ma.MaskedArray[Any, Any]:
    from rasterio.errors import RasterioError
    from rasterio.windows import Window

    start = columns.start % grid.columns
    end = start + len(columns)
    parts = [range(start, min(end, grid.columns)), range(max(0, end - grid.columns))]
    try:
        read = [
            dataset.read(band, window=Window(part.start, rows.start, len(part), len(rows)), masked=True)
            for part in parts
            if part
        ]
    except RasterioError as error:
        reason = str(error.__cause__ or error).replace("\n", " ")
        raise LinkwaysError(
            f"cannot read the cells of {name} ({reason}); the file is damaged or incomplete, get it again"
        ) from error
    values = np.concatenate([part.data for part in read], axis=1)
    mask = np.concatenate([np.ma.getmaskarray(part) for part in read], axis=1)
    return np.ma.MaskedArray(values, mask)


def _tells_classes(dataset: rasterio.DatasetReader, band: int) -> bool:
    from rasterio.enums import ColorInterp

    tag = dataset.tags().get("CLASSES", "").lower()
    return tag == "true" or bool(dataset.colorinterp[band - 1] == ColorInterp.palette)


def _as_float(
    values: np.ma.MaskedArray[Any, Any],
    dataset: rasterio.DatasetReader,
    band: int,
    classes: bool,
    nodata: float | None,
) -> np.ndarray:
    dtype = float_type(values.dtype, classes)
    missing = np.ma.getmaskarray(values)
    if nodata is not None:
        missing = missing | (values.data == nodata)
    floats = values.data.astype(dtype)
    scale, offset = dataset.scales[band - 1], dataset.offsets[band - 1]
    if not classes and (scale, offset) != (1.0, 0.0):
        floats = floats * scale + offset
    floats[missing] = np.nan
    return floats


def _attrs(dataset: rasterio.DatasetReader, band: int, path: str | os.PathLike[str], classes: bool) -> dict[str, Any]:
    tags = dataset.tags()
    attrs: dict[str, Any] = {"source": tags.get("SOURCE") or os.fspath(path)}
    if dataset.units[band - 1]:
        attrs["units"] = dataset.units[band - 1]
    if tags.get("SIMULATED", "").lower() == "true":
        attrs["simulated"] = True
    if classes:
        attrs["classes"] = True
        names = _class_names(tags.get("CLASS_NAMES", ""))
        attrs |= {"class_names": names} if names else {}
    return attrs


def _class_names(text: str) -> dict[int, str]:
    """The legend that Linkways wrote into the file; nothing where another program wrote something else there."""
    try:
        return {int(code): str(name) for code, name in json.loads(text).items()}
    except (ValueError, AttributeError):
        return {}


def _assemble(
    values: Any,
    x: np.ndarray,
    y: np.ndarray,
    crs: CRS,
    cell: tuple[float, float],
    name: str,
    attrs: dict[str, Any],
) -> xr.DataArray:
    import rioxarray  # noqa: F401  (registers the .rio accessor)
    import xarray as xr
    from affine import Affine

    raster = xr.DataArray(values, dims=("y", "x"), coords={"y": y, "x": x}, name=name, attrs=attrs)
    raster = raster.rio.write_crs(crs.to_wkt())
    if 1 in values.shape:
        # One row or column alone does not tell the cell size; elsewhere coordinates do, and slices stay right.
        dx, dy = cell
        transform = Affine(dx, 0.0, float(x[0]) - dx / 2, 0.0, dy, float(y[0]) - dy / 2)
        raster = raster.rio.write_transform(transform)
    result: xr.DataArray = raster
    return result
