"""Layers onto one grid: resampling rasters and burning vectors, by a named rule."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.spatial.log import note

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

    from linkways.spatial._grid import Grid

__all__ = ["align", "burn_lines", "feature_of_cell", "rasterize", "to_grid_crs"]

Rule = Literal["nearest", "average", "fraction"]
_RULES = ("nearest", "average", "fraction")

# Cells whose centres are transformed at a time: about 50 MB of coordinates.
_BLOCK_CELLS = 1_000_000


def align(raster: xr.DataArray, template: xr.DataArray, *, rule: Rule) -> xr.DataArray:
    """Return ``raster`` on the grid of ``template``, reprojected and resampled by ``rule``; the log says so.

    A raster that is already on that grid is returned as it is. Cells that ``raster`` does not reach are NaN
    (0 for ``"fraction"``).

    Args:
        raster: the raster to bring over.
        template: the raster whose grid is wanted.
        rule: ``"nearest"`` for classes: the value of the cell in which the centre lies; ``"average"`` for continuous
            values: the mean of the cells that a cell covers, weighted by the part covered, leaving out NaN;
            ``"fraction"`` for masks of 0 and 1: the share of the cell covered by 1, NaN counting as 0.
            Across CRS ``"nearest"`` is exact and the other two place cells to within an eighth of a cell of
            ``raster`` (GDAL's transformation).

    Raises:
        LinkwaysError: unknown rule, values other than 0 and 1 under ``"fraction"``, no overlap, or no CRS.
    """
    from linkways.spatial._grid import grid_of, label
    from linkways.spatial.rasters import raster_like

    if rule not in _RULES:
        raise LinkwaysError(f"rule {rule!r} is not one of {', '.join(_RULES)}{nearest(str(rule), _RULES)}")
    source, target = grid_of(raster), grid_of(template)
    if source.matches(target):
        return raster
    values = np.asarray(raster.values)
    if rule == "fraction":
        values = _as_mask(values, label(raster))
    values = values if values.dtype in (np.float32, np.float64) else values.astype(np.float64)
    values, source = _turned_towards(values, source, target)
    _check_overlap(source, target, label(raster), label(template))
    if rule == "nearest":
        warped = _nearest_cells(values, source, target)
    else:
        warped = _averaged(values, source, target, beyond=0.0 if rule == "fraction" else np.nan)
    if rule == "fraction":
        warped = np.where(np.isnan(warped), 0.0, warped)
    note(f"{label(raster)} resampled from {_describe(source)} to {_describe(target)} by {rule}")
    name = str(raster.name) if raster.name is not None else "raster"
    return raster_like(warped, template, name=name, attrs=dict(raster.attrs))


def to_grid_crs(frame: gpd.GeoDataFrame, raster: xr.DataArray) -> gpd.GeoDataFrame:
    """Return the features in the CRS of ``raster``; a reprojection is written into the log.

    Raises:
        LinkwaysError: the features or the raster have no CRS.
    """
    from linkways.spatial._grid import crs_of, same_crs, short_name

    crs = crs_of(raster)
    if frame.crs is None:
        raise LinkwaysError("the features have no coordinate reference system; set one with frame.set_crs(...)")
    if same_crs(frame.crs, crs):
        return frame
    note(f"{len(frame)} features reprojected from {short_name(frame.crs)} to {short_name(crs)}")
    return frame.to_crs(crs)


def rasterize(
    frame: gpd.GeoDataFrame, template: xr.DataArray, *, field: str | None = None, all_touched: bool = False
) -> xr.DataArray:
    """Return the features as a raster on the grid of ``template``.

    A cell belongs to a polygon when its centre lies inside; with ``all_touched`` when the two touch at all. Features
    are reprojected first where needed. Where features overlap the last one holds the cell.

    Args:
        frame: the features.
        template: the raster whose grid is wanted.
        field: numeric field whose values the cells take, NaN outside all features (float64). By default a mask:
            True inside, False outside.
        all_touched: every cell that a feature touches instead of the centre rule.

    Raises:
        LinkwaysError: no such field, a field that is not numeric or has missing values, or no CRS.
    """
    from linkways.spatial.rasters import raster_like

    numbers = None if field is None else _field_values(frame, field)
    rows = feature_of_cell(frame, template, all_touched=all_touched)
    if field is None or numbers is None:
        return raster_like(rows >= 0, template, name="mask")
    _note_lost(rows, len(frame), field, numbers)
    # looked up by row, so that every value of the field comes through exactly; row -1 takes the last entry
    return raster_like(np.concatenate([numbers, [np.nan]])[rows], template, name=field)


def feature_of_cell(frame: gpd.GeoDataFrame, template: xr.DataArray, *, all_touched: bool = False) -> np.ndarray:
    """Return which feature each cell of ``template`` belongs to: its position in the layer from 0, -1 where none.

    The rule is that of ``rasterize``: cell centres, or every touched cell; the last feature where several overlap.
    """
    from rasterio import features

    from linkways.spatial._grid import grid_of

    grid = grid_of(template)
    shapes = [(shape, row + 1) for row, shape in _shapes(to_grid_crs(frame, template), grid)]
    rows = np.zeros(grid.shape, dtype=np.int32)
    if shapes:
        features.rasterize(shapes, out=rows, transform=grid.transform, all_touched=all_touched)
    return rows - 1


def burn_lines(frame: gpd.GeoDataFrame, template: xr.DataArray, *, field: str | None = None) -> xr.DataArray:
    """Return lines (roads, fences, rivers) as a raster on the grid of ``template``: every cell a line touches.

    The cells of a line are neighbours by their edges, so that no step between diagonal neighbours slips through.

    Args:
        frame: features with line geometry.
        template: the raster whose grid is wanted.
        field: as in ``rasterize``.

    Raises:
        LinkwaysError: geometry that is not lines, and as ``rasterize``.
    """
    kinds = set(frame.geom_type) - {"LineString", "MultiLineString", "LinearRing"}
    if kinds:
        raise LinkwaysError(f"lines are needed and {', '.join(sorted(map(str, kinds)))} given; use rasterize for those")
    return rasterize(frame, template, field=field, all_touched=True)


# --- resampling ------------------------------------------------------------------------------------------------


def _as_mask(values: np.ndarray, name: str) -> np.ndarray:
    mask = np.nan_to_num(values.astype(np.float64), nan=0.0)
    wrong = (mask != 0.0) & (mask != 1.0)
    if wrong.any():
        row, column = np.argwhere(wrong)[0]
        raise LinkwaysError(
            f"{name} has {int(wrong.sum())} cells that are neither 0 nor 1, first at row {row} column {column} "
            f"({values[row, column]:g}); make it a mask, for example raster == class, before rule='fraction'"
        )
    return mask


def _nearest_cells(values: np.ndarray, source: Grid, target: Grid) -> np.ndarray:
    """Return for every target cell the value of the source cell in which its centre lies, every centre transformed.

    A centre on the edge of two cells (to a billionth of a cell) belongs to the later row and column.
    """
    from pyproj import Transformer

    from linkways.spatial._grid import same_crs

    same = same_crs(source.crs, target.crs)
    to_source = None if same else Transformer.from_crs(target.crs, source.crs, always_xy=True)
    x = target.x0 + target.dx * (np.arange(target.columns) + 0.5)
    result = np.full(target.shape, np.nan, dtype=values.dtype)
    block = max(1, _BLOCK_CELLS // target.columns)
    for top in range(0, target.rows, block):
        y = target.y0 + target.dy * (np.arange(top, min(top + block, target.rows)) + 0.5)
        xs, ys = np.meshgrid(x, y)
        if to_source is not None:
            xs, ys = to_source.transform(xs, ys)
        result[top : top + block] = _looked_up(values, source, xs, ys)
    return result


def _looked_up(values: np.ndarray, grid: Grid, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    if grid.crs.is_geographic:
        west, _, east, _ = grid.bounds
        x = np.where(x < west, x + 360.0, np.where(x >= east, x - 360.0, x))
    # Points that cannot be transformed come as infinity.
    finite = np.isfinite(x) & np.isfinite(y)
    columns = np.floor(np.where(finite, (x - grid.x0) / grid.dx, -1.0) + 1e-9).astype(np.int64)
    rows = np.floor(np.where(finite, (y - grid.y0) / grid.dy, -1.0) + 1e-9).astype(np.int64)
    inside = (rows >= 0) & (rows < grid.rows) & (columns >= 0) & (columns < grid.columns)
    found = np.full(x.shape, np.nan, dtype=values.dtype)
    found[inside] = values[rows[inside], columns[inside]]
    return found


def _averaged(values: np.ndarray, source: Grid, target: Grid, *, beyond: float) -> np.ndarray:
    """Return the mean over each target cell; about the source lies a rim of ``beyond`` (round the globe: of itself).

    Without the rim GDAL gives a cell that only touches the outer edge the value behind it, and takes the part of a
    cell inside the source for the whole.
    """
    from affine import Affine
    from rasterio.enums import Resampling
    from rasterio.warp import reproject

    rim_x, rim_y = _rim(source, target)
    global_ = source.crs.is_geographic and abs(source.columns * source.dx - 360.0) <= 0.5 * source.dx
    if global_:
        rimmed = np.pad(values, ((0, 0), (rim_x, rim_x)), mode="wrap")
    else:
        rimmed = np.pad(values, ((0, 0), (rim_x, rim_x)), constant_values=beyond)
    rimmed = np.pad(rimmed, ((rim_y, rim_y), (0, 0)), constant_values=beyond)
    x0, y0 = source.x0 - rim_x * source.dx, source.y0 - rim_y * source.dy
    warped = np.full(target.shape, np.nan, dtype=values.dtype)
    reproject(
        rimmed,
        warped,
        src_transform=Affine(source.dx, 0.0, x0, 0.0, source.dy, y0),
        src_crs=source.crs.to_wkt(),
        src_nodata=np.nan,
        dst_transform=target.transform,
        dst_crs=target.crs.to_wkt(),
        dst_nodata=np.nan,
        resampling=Resampling.average,
    )
    return warped


def _rim(source: Grid, target: Grid) -> tuple[int, int]:
    """Return how many columns and rows of the source a target cell can reach past its edge, with room to spare."""
    west, south, east, north = _bounds_in(target, source)
    reach_x = (east - west) / target.columns / abs(source.dx)
    reach_y = (north - south) / target.rows / abs(source.dy)
    return math.ceil(1.5 * reach_x) + 2, math.ceil(1.5 * reach_y) + 2


def _turned_towards(values: np.ndarray, source: Grid, target: Grid) -> tuple[np.ndarray, Grid]:
    """Return a geographic raster turned by whole circles (a global one: by columns) so that it faces the target."""
    from dataclasses import replace

    if not source.crs.is_geographic:
        return values, source
    west, _, east, _ = _bounds_in(target, source)
    centre = (west + east) / 2
    mine_west, _, mine_east, _ = source.bounds
    turns = round((centre - (mine_west + mine_east) / 2) / 360.0)
    if abs((mine_east - mine_west) - 360.0) > 0.5 * abs(source.dx):
        turned = replace(source, x0=source.x0 + 360.0 * turns)
        return values, turned if _overlaps(turned.bounds, (west, -90.0, east, 90.0)) else source
    columns = round((centre - 180.0 - mine_west) / abs(source.dx))
    if source.dx < 0 or columns == 0 or (mine_west <= west and east <= mine_east):
        return values, source
    return np.roll(values, -columns, axis=1), replace(source, x0=source.x0 + columns * source.dx)


def _bounds_in(grid: Grid, other: Grid) -> tuple[float, float, float, float]:
    """Return the bounds of ``grid`` in the CRS of ``other``; across the antimeridian east runs past 180."""
    from rasterio.warp import transform_bounds

    from linkways.spatial._grid import same_crs

    if same_crs(grid.crs, other.crs):
        return grid.bounds
    west, south, east, north = transform_bounds(grid.crs.to_wkt(), other.crs.to_wkt(), *grid.bounds, densify_pts=101)
    if other.crs.is_geographic and west > east:
        east += 360.0
    return west, south, east, north


def _check_overlap(source: Grid, target: Grid, name: str, template_name: str) -> None:
    wanted = _bounds_in(target, source)
    if not _overlaps(source.bounds, wanted):
        raise LinkwaysError(
            f"{name} covers {_rounded(source.bounds)} and {template_name} {_rounded(wanted)} "
            "(west, south, east, north in the CRS of the first); they do not overlap, "
            "check the CRS of both or choose other inputs"
        )


def _overlaps(one: tuple[float, float, float, float], other: tuple[float, float, float, float]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def _rounded(bounds: tuple[float, float, float, float]) -> tuple[float, ...]:
    return tuple(float(f"{side:.6g}") for side in bounds)


def _describe(grid: Grid) -> str:
    from linkways.spatial._grid import short_name

    unit = grid.crs.axis_info[0].unit_name if grid.crs.axis_info else "units"
    return f"{abs(grid.dx):g} {unit} cells in {short_name(grid.crs)}"


# --- burning ---------------------------------------------------------------------------------------------------


def _field_values(frame: gpd.GeoDataFrame, field: str) -> np.ndarray:
    import pandas as pd

    if field not in frame.columns:
        fields = [str(name) for name in frame.columns if name != frame.geometry.name]
        raise LinkwaysError(f"the features have no field {field!r}{nearest(field, fields)}")
    column = frame[field]
    if not pd.api.types.is_numeric_dtype(column):
        raise LinkwaysError(f"field {field!r} is not numeric (first value {column.iloc[0]!r}); number its values first")
    if column.isna().any():
        row = int(np.argmax(column.isna().to_numpy()))
        raise LinkwaysError(f"field {field!r} has no value at row {row}; fill it in or leave the feature out")
    numbers: np.ndarray = column.to_numpy(dtype=np.float64)
    return numbers


def _shapes(frame: gpd.GeoDataFrame, grid: Grid) -> list[tuple[int, Any]]:
    """Return (row, geometry) of the features that reach the grid, repeated a circle on where it passes 180."""
    from shapely import affinity, box

    turns = [0.0]
    west, south, east, north = grid.bounds
    if grid.crs.is_geographic:
        turns += [360.0] if east > 180.0 else []
        turns += [-360.0] if west < -180.0 else []
    extent = box(west, south, east, north)
    shapes: list[tuple[int, Any]] = []
    for row, geometry in enumerate(frame.geometry):
        if geometry is None or geometry.is_empty:
            continue
        for turn in turns:
            moved = affinity.translate(geometry, xoff=turn) if turn else geometry
            if moved.intersects(extent):
                shapes.append((row, moved))
    if len(frame) and not shapes:
        note(f"none of the {len(frame)} features reaches the grid")
    return shapes


def _note_lost(rows: np.ndarray, count: int, field: str, numbers: np.ndarray) -> None:
    lost = np.ones(count, dtype=bool)
    lost[np.unique(rows[rows >= 0])] = False
    if lost.any():
        shown = ", ".join(f"{value:g}" for value in numbers[lost][:10])
        note(f"{int(lost.sum())} of {count} features hold no cell of the grid ({field}: {shown})")
