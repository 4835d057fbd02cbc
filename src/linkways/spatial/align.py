"""Layers onto one grid: resampling rasters and burning vectors, by a named rule."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.spatial.log import note

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

    from linkways.spatial._grid import Grid

__all__ = ["align", "burn_lines", "rasterize", "to_grid_crs"]

Rule = Literal["nearest", "average", "fraction"]
_RULES = ("nearest", "average", "fraction")


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
    warped = _warp(values, source, target, rule)
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
    from rasterio import features

    from linkways.spatial._grid import grid_of
    from linkways.spatial.rasters import raster_like

    grid = grid_of(template)
    numbers = None if field is None else _field_values(frame, field)
    burnt = _shapes(to_grid_crs(frame, template), grid)
    if field is None or numbers is None:
        mask = np.zeros(grid.shape, dtype=np.uint8)
        if burnt:
            features.rasterize(
                [(shape, 1) for _, shape in burnt], out=mask, transform=grid.transform, all_touched=all_touched
            )
        return raster_like(mask.astype(bool), template, name="mask")
    # Row numbers are burnt and looked up, so that every value of the field comes through exactly.
    rows = np.zeros(grid.shape, dtype=np.int32)
    if burnt:
        shapes = [(shape, row + 1) for row, shape in burnt]
        features.rasterize(shapes, out=rows, transform=grid.transform, all_touched=all_touched)
    _note_lost(rows, len(frame), field, numbers)
    return raster_like(np.concatenate([[np.nan], numbers])[rows], template, name=field)


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


def _warp(values: np.ndarray, source: Grid, target: Grid, rule: Rule) -> np.ndarray:
    from rasterio.enums import Resampling
    from rasterio.warp import reproject

    warped = np.full(target.shape, np.nan, dtype=values.dtype)
    reproject(
        np.ascontiguousarray(values),
        warped,
        src_transform=source.transform,
        src_crs=source.crs.to_wkt(),
        src_nodata=np.nan,
        dst_transform=target.transform,
        dst_crs=target.crs.to_wkt(),
        dst_nodata=np.nan,
        resampling=Resampling.nearest if rule == "nearest" else Resampling.average,
        # Exact transformation of every cell: the default approximates to an eighth of a cell.
        tolerance=0.0,
    )
    return warped


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
    held = np.zeros(count + 1, dtype=bool)
    held[np.unique(rows)] = True
    lost = ~held[1:]
    if lost.any():
        shown = ", ".join(f"{value:g}" for value in numbers[lost][:10])
        note(f"{int(lost.sum())} of {count} features hold no cell of the grid ({field}: {shown})")
