"""Rasters on a map: brought down to what the page can show, then coloured by value or by class."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from linkways.studies.map_style import (
    MOST_CLASSES,
    NODATA,
    Key,
    Scale,
    Styled,
    Wishes,
    class_scale,
    continuous_scale,
    repeating_scale,
)

if TYPE_CHECKING:
    import xarray as xr
    from matplotlib.axes import Axes
    from pyproj import CRS

    from linkways.studies._map_frame import View

__all__ = ["coarsened", "is_classes", "style_raster"]

MOST_CELLS = 1000
"""Cells drawn along a side; more cannot be seen on a page at 150 dpi."""


@dataclass(frozen=True)
class _Picture:
    """Values to draw, first row north, with their outer bounds (west, south, east, north)."""

    values: np.ndarray
    bounds: tuple[float, float, float, float]


def style_raster(raster: xr.DataArray, view: View, wishes: Wishes) -> Styled:
    """Return a raster ready to draw; nodata is grey in the main layer and transparent in layers over it."""
    from linkways.spatial._grid import same_crs

    classes = is_classes(raster) or wishes.class_names is not None
    picture, crs = _picture(raster, classes)
    if not same_crs(crs, view.crs):
        picture = _warped(picture, crs, view)
    finite = picture.values[np.isfinite(picture.values)]
    if finite.size == 0:
        nothing = (Key("patch", "no data", NODATA),) if wishes.main else (Key("heading", f"{wishes.name}: no data"),)
        return Styled(_painter(picture, None, wishes.main), nothing, message="no data" if wishes.main else "")
    codes = np.unique(finite) if classes else finite
    if classes and len(codes) > MOST_CLASSES:
        picture = _repeating(picture, codes)
    scale = _scale(raster, codes, classes, wishes)
    keys = scale.keys
    if wishes.main and finite.size < picture.values.size:
        keys = (*keys, Key("patch", "no data", NODATA))
    return Styled(_painter(picture, scale, wishes.main), keys)


def is_classes(raster: xr.DataArray) -> bool:
    """Whether the values are class codes: marked so, or true and false."""
    return bool(raster.attrs.get("classes")) or raster.dtype == bool


def coarsened(values: np.ndarray, step_y: int, step_x: int, *, classes: bool) -> np.ndarray:
    """Return blocks of ``step_y`` by ``step_x`` cells: their mean over cells that are not NaN, or their middle cell.

    The last blocks may be smaller. Blocks of NaN stay NaN.
    """
    if step_y == 1 and step_x == 1:
        return values.astype(np.float64)
    rows, columns = np.arange(0, values.shape[0], step_y), np.arange(0, values.shape[1], step_x)
    if classes:
        middle_rows = np.minimum(rows + step_y // 2, values.shape[0] - 1)
        middle_columns = np.minimum(columns + step_x // 2, values.shape[1] - 1)
        return values[np.ix_(middle_rows, middle_columns)].astype(np.float64)
    out = np.empty((rows.size, columns.size))
    for at, row in enumerate(rows):
        strip = values[row : row + step_y].astype(np.float64)
        known = np.isfinite(strip)
        count = np.add.reduceat(known.sum(axis=0), columns)
        total = np.add.reduceat(np.where(known, strip, 0.0).sum(axis=0), columns)
        out[at] = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return out


def _picture(raster: xr.DataArray, classes: bool) -> tuple[_Picture, CRS]:
    from linkways.spatial._grid import grid_of

    grid = grid_of(raster)
    step_y, step_x = (max(1, -(-size // MOST_CELLS)) for size in raster.shape)
    values = raster.values if grid.dy < 0 else raster.values[::-1]
    small = coarsened(values, step_y, step_x, classes=classes)
    west, south, _, north = grid.bounds
    if grid.dx < 0:
        small = small[:, ::-1]
    # The last blocks may reach past the raster; the frame of the map hides what is beyond.
    east = west + abs(grid.dx) * step_x * small.shape[1]
    south = north - abs(grid.dy) * step_y * small.shape[0]
    return _Picture(small, (west, south, east, north)), grid.crs


def _warped(picture: _Picture, crs: CRS, view: View) -> _Picture:
    from rasterio.transform import from_bounds
    from rasterio.warp import reproject

    columns = MOST_CELLS
    rows = max(1, round(columns * view.height / view.width))
    target = np.full((rows, columns), np.nan)
    reproject(
        picture.values,
        target,
        src_transform=from_bounds(*picture.bounds, picture.values.shape[1], picture.values.shape[0]),
        src_crs=crs.to_wkt(),
        src_nodata=np.nan,
        dst_transform=from_bounds(view.west, view.south, view.east, view.north, columns, rows),
        dst_crs=view.crs.to_wkt(),
        dst_nodata=np.nan,
    )
    return _Picture(target, (view.west, view.south, view.east, view.north))


def _repeating(picture: _Picture, codes: np.ndarray) -> _Picture:
    """The picture with the position of each class modulo the number of colours in place of its code."""
    places = np.searchsorted(codes, picture.values) % MOST_CLASSES
    return _Picture(np.where(np.isfinite(picture.values), places, np.nan), picture.bounds)


def _scale(raster: xr.DataArray, values: np.ndarray, classes: bool, wishes: Wishes) -> Scale:
    name = wishes.name or ("" if raster.name is None else str(raster.name))
    named = Wishes(name=name, unit=wishes.unit or str(raster.attrs.get("units", "")))
    if classes and len(values) > MOST_CLASSES:
        return repeating_scale(len(values), named.heading())
    if classes:
        told = wishes.class_names or raster.attrs.get("class_names")
        if told is None and raster.dtype == bool:
            told = {0: "no", 1: "yes"}
        return class_scale(values, told or {}, palette=wishes.palette, heading=named.heading())
    about = " ".join((wishes.name, str(raster.name or ""), named.unit))
    return continuous_scale(values, palette=wishes.palette, about=about, heading=named.heading(), log=wishes.log)


def _painter(picture: _Picture, scale: Scale | None, main: bool) -> Callable[[Axes], None]:
    def draw(axes: Axes) -> None:
        import matplotlib
        from matplotlib.colors import Normalize

        cmap = (scale.cmap if scale is not None else matplotlib.colormaps["gray"]).with_extremes(
            bad=NODATA if main else (1, 1, 1, 0)
        )
        west, south, east, north = picture.bounds
        axes.imshow(
            np.ma.masked_invalid(picture.values),
            extent=(west, east, south, north),
            origin="upper",
            cmap=cmap,
            norm=scale.norm if scale is not None else Normalize(0, 1),
            interpolation="nearest",
            aspect="auto",
            zorder=1 if main else 2,
        )

    return draw
