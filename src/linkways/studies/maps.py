"""Maps that stand on their own: legend, scale bar, north, CRS, source and licence, for the page and for print."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.studies.map_style import STROKES, Styled, Wishes

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr
    from matplotlib.figure import Figure
    from pyproj import CRS

    from linkways.spatial._grid import Grid
    from linkways.studies._map_frame import View

    Bounds: TypeAlias = tuple[float, float, float, float]
    MapLayer: TypeAlias = xr.DataArray | gpd.GeoDataFrame

__all__ = ["draw_map"]


def draw_map(
    layer: MapLayer,
    *,
    over: Sequence[MapLayer] | Mapping[str, MapLayer] = (),
    title: str = "",
    caption: str = "",
    palette: str | None = None,
    label: str | None = None,
    column: str | None = None,
    width: str | None = None,
    log: bool = False,
    name: str = "",
    unit: str = "",
    class_names: Mapping[Any, str] | None = None,
    source: str = "",
    licence: str = "",
    simulated: bool = False,
    countries: gpd.GeoDataFrame | bool | None = None,
) -> Figure:
    """Return a map of a raster or of features as a Matplotlib figure of 150 dots per inch, ready for print.

    It carries a legend (colour bar with unit, classes, widths of lines), a scale bar that is true at the map's centre
    and says so where the scale varies by more than 10 %, true north, the CRS, source and licence, and a stamp on
    simulated data. A geographic CRS is drawn at the proportions of its middle latitude. Rasters finer than the page
    are averaged (classes: nearest cell) before drawing; nodata is light grey.

    Args:
        layer: what the map is about; the extent of its data is the map's.
        over: layers drawn over it, in this order, brought to its CRS; give a mapping to name them in the legend.
            Polygons named ``countries`` or ``borders`` become thin context with their names.
        title: bold line above the map.
        caption: lines under the title.
        palette: ``resistance``, ``cost``, ``corridor``, ``current``, ``habitat``, ``elevation``, ``difference``,
            ``priority``, or a Matplotlib colour map; by default what suits the layer's name and unit.
        label: column whose values are written on the features of ``layer``, or of the first layer over it that has
            the column; a label that finds no free place is left out, and the map says how many were.
        column: column that colours the features of ``layer``: numbers by a colour bar, other values as classes.
        width: column of numbers that sets the widths of lines, in ``layer`` or the first layer over it that has it.
        log: colour by the logarithm of the values.
        name: what the layer shows, for the legend; by default the raster's name.
        unit: unit of the values; by default the raster's ``units`` attribute.
        class_names: names of the classes of a class raster; by default its ``class_names`` attribute.
        source: where the data come from.
        licence: licence of the data.
        simulated: stamp the map; also done when the ``simulated`` attribute of a layer says so.
        countries: borders for context; by default the built-in ones when their package is installed and the data are
            not simulated; False for none.

    Raises:
        LinkwaysError: a layer without CRS, no such palette or column, or ``log`` without a value above 0.
    """
    from linkways.studies._map_context import builtin_countries, country_context
    from linkways.studies._map_frame import View
    from linkways.studies._map_labels import Board
    from linkways.studies._map_sheet import Sheet

    overlays, borders = _named(over)
    for wanted in (label, column, width):
        _check_column(wanted, [layer] if wanted == column and wanted is not None else [layer, *overlays.values()])
    stamped = simulated or any(one.attrs.get("simulated") for one in (layer, *overlays.values()))
    if countries is None or countries is True:
        countries = borders if borders is not None else (None if stamped and countries is None else builtin_countries())
    view = View.around(*_window(layer, overlays))
    wishes = Wishes(name, column, label, width, palette, log, unit, class_names, STROKES[0], True)
    styled = _styled(layer, overlays, view, wishes)
    context = country_context(None if countries is False else countries, view)
    keys = [key for one in styled for key in one.keys]
    credit = "" if countries is None or countries is False or not len(context.outlines) else _credit(countries, source)
    sheet = Sheet(view, title, caption, source, licence, credit, bool(stamped), keys)
    axes = sheet.lay_out()
    if not hasattr(layer, "dims"):
        context.draw_land(axes)
    context.draw_borders(axes)
    for one in styled:
        one.draw(axes)
    board = Board(axes, [text.get_window_extent() for text in axes.texts])
    left_out = board.write([label for one in styled for label in one.labels])
    context.write_names(axes, board)
    if left_out:
        sheet.note(f"{left_out} {'label' if left_out == 1 else 'labels'} left out for want of room")
    if styled[0].message:
        sheet.announce(styled[0].message)
    return sheet.figure


def _credit(countries: gpd.GeoDataFrame, source: str) -> str:
    """Whose the borders are, unless the source of the map says so already."""
    told = str(countries.attrs.get("source") or "")
    return "" if "Natural Earth" in told and "Natural Earth" in source else told


def _styled(layer: MapLayer, overlays: Mapping[str, MapLayer], view: View, wishes: Wishes) -> list[Styled]:
    """Style the layers from the lowest up; labels and widths go to the first that has their column."""
    from linkways.studies._map_features import has_column

    styled = [_style(layer, view, wishes)]
    label = None if has_column(layer, wishes.label) else wishes.label
    width = None if has_column(layer, wishes.width) else wishes.width
    # Features below take the first stroke; what is drawn over them must look different.
    first = 0 if hasattr(layer, "dims") or wishes.column else 1
    for position, (name, overlay) in enumerate(overlays.items()):
        stroke = STROKES[(first + position) % len(STROKES)]
        styled.append(_style(overlay, view, Wishes(name, label=label, width=width, stroke=stroke)))
        label = None if has_column(overlay, label) else label
        width = None if has_column(overlay, width) else width
    return styled


def _style(layer: MapLayer, view: View, wishes: Wishes) -> Styled:
    if hasattr(layer, "dims"):
        from linkways.studies._map_rasters import style_raster

        return style_raster(layer, view, wishes)
    from linkways.studies._map_features import style_features

    return style_features(layer, view, wishes)


def _named(
    over: Sequence[MapLayer] | Mapping[str, MapLayer],
) -> tuple[dict[str, MapLayer], gpd.GeoDataFrame | None]:
    """Return the layers to draw over by name, and apart from them the countries among them."""
    if isinstance(over, Mapping):
        layers = {str(name): layer for name, layer in over.items()}
    else:
        layers = {}
        for position, layer in enumerate(over, start=1):
            name = getattr(layer, "name", None) if hasattr(layer, "dims") else layer.attrs.get("name")
            layers[str(name) if name and str(name) not in layers else f"layer {position}"] = layer
    for name, layer in layers.items():
        if hasattr(layer, "columns") and any(word in name.lower() for word in ("countr", "border")):
            return {other: one for other, one in layers.items() if other != name}, layer
    return layers, None


def _window(layer: MapLayer, overlays: Mapping[str, MapLayer]) -> tuple[CRS, Bounds, float]:
    """Return the CRS of the map, the bounds of its data (of the layers over it when it is empty) and a margin."""
    from linkways.spatial._grid import grid_of

    if hasattr(layer, "dims"):
        grid = grid_of(layer)
        return grid.crs, bounds_of_data(layer, grid, 0.03), 0.0
    crs = _crs_of(layer)
    bounds = _bounds(layer)
    for overlay in overlays.values():
        if np.isfinite(bounds).all():
            break
        if hasattr(overlay, "dims"):
            grid = grid_of(overlay)
            from rasterio.warp import transform_bounds

            bounds = transform_bounds(grid.crs.to_wkt(), crs.to_wkt(), *grid.bounds)
        elif len(overlay):
            bounds = _bounds(overlay.to_crs(crs))
    if not np.isfinite(bounds).all():
        bounds = (0.0, 0.0, 1.0, 1.0)
    return crs, bounds, 0.04


def bounds_of_data(raster: MapLayer, grid: Grid, margin: float = 0.0) -> Bounds:
    """Return the bounds of the cells that hold data, with a margin (share of the longer side) within the raster.

    Those of the whole raster where no cell does.
    """
    values = raster.values
    known = np.isfinite(values) if values.dtype.kind == "f" else np.ones(values.shape, dtype=bool)
    rows, columns = (np.flatnonzero(known.any(axis=axis)) for axis in (1, 0))
    if rows.size == 0:
        return grid.bounds
    pad = math.ceil(margin * max(rows[-1] - rows[0] + 1, columns[-1] - columns[0] + 1))
    top, bottom = max(rows[0] - pad, 0), min(rows[-1] + 1 + pad, grid.rows)
    left, right = max(columns[0] - pad, 0), min(columns[-1] + 1 + pad, grid.columns)
    xs = sorted(grid.x0 + grid.dx * column for column in (left, right))
    ys = sorted(grid.y0 + grid.dy * row for row in (top, bottom))
    return float(xs[0]), float(ys[0]), float(xs[1]), float(ys[1])


def _bounds(frame: gpd.GeoDataFrame) -> Bounds:
    west, south, east, north = (float(side) for side in frame.total_bounds)
    return west, south, east, north


def _crs_of(frame: gpd.GeoDataFrame) -> CRS:
    from linkways.spatial._grid import parse_crs

    if frame.crs is None:
        raise LinkwaysError(
            "the layer of the map has no coordinate reference system; set one with layer.set_crs('EPSG:...')"
        )
    return parse_crs(frame.crs)


def _check_column(column: str | None, layers: Sequence[MapLayer]) -> None:
    if column is None:
        return
    fields = [str(name) for layer in layers if hasattr(layer, "columns") for name in layer.columns]
    if column not in fields:
        raise LinkwaysError(f"no layer of the map has a column '{column}'{nearest(column, fields)}")
