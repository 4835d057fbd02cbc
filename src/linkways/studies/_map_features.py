"""Features on a map: points, lines and polygons, plain or coloured by a column, lines as wide as a column tells."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.studies.map_style import (
    INK,
    MOST_CLASSES,
    NODATA,
    Key,
    Label,
    Scale,
    Styled,
    Wishes,
    class_scale,
    continuous_scale,
    own_colours,
    repeating_scale,
)
from linkways.studies.numbers import column_heading, number

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    from matplotlib.axes import Axes

    from linkways.studies._map_frame import View

__all__ = ["has_column", "polygon_path", "style_features", "thinned"]

_POINT, _LINE, _POLYGON = 0, 1, 3
_ALONG = (0.5, 0.4, 0.6, 0.3, 0.7, 0.2, 0.8, 0.1, 0.9)


@dataclass(frozen=True)
class _Parts:
    """Simple geometries of one kind, each with the row of the feature it belongs to."""

    kind: int
    geometries: np.ndarray
    rows: np.ndarray
    tolerance: float
    """Detail finer than this, half a dot of the page, is not drawn."""


def style_features(frame: gpd.GeoDataFrame, view: View, wishes: Wishes) -> Styled:
    """Return features ready to draw, in the view's CRS; those without a geometry are passed over."""
    geometries = _in_view_crs(frame, view)
    parts = _parts(geometries, view)
    if not parts:
        text = f"{wishes.name or 'features'}: none"
        return Styled(lambda _: None, (Key("heading", text),), message="no features" if wishes.main else "")
    colours, keys = _colours(frame, wishes)
    widths, width_keys = _widths(frame, wishes)
    if keys is None:
        keys = _plain_keys(parts, wishes) if not width_keys else (Key("heading", wishes.name),) * bool(wishes.name)
    painters = [_painter(each, colours, widths, wishes) for each in parts]

    def draw(axes: Axes) -> None:
        for paint in painters:
            paint(axes)

    return Styled(draw, (*keys, *width_keys), _labels(frame, geometries, wishes))


def has_column(layer: Any, column: str | None) -> bool:
    """Whether ``layer`` holds features that have this column."""
    return column is not None and hasattr(layer, "columns") and column in layer.columns


# --- geometries ----------------------------------------------------------------------


def _in_view_crs(frame: gpd.GeoDataFrame, view: View) -> np.ndarray:
    import shapely

    from linkways.spatial._grid import parse_crs, same_crs

    series = frame.geometry
    if not same_crs(parse_crs(series.crs), view.crs):
        series = series.to_crs(view.crs)
    geometries = series.to_numpy().copy()
    bounds = shapely.bounds(geometries)
    # Places a projection cannot show come out as infinities.
    geometries[~np.isfinite(bounds).all(axis=1)] = None
    return np.asarray(geometries, dtype=object)


def _parts(geometries: np.ndarray, view: View) -> list[_Parts]:
    import shapely

    flat, rows = shapely.get_parts(geometries, return_index=True)
    while (shapely.get_type_id(flat) >= 4).any():
        flat, inner = shapely.get_parts(flat, return_index=True)
        rows = rows[inner]
    kinds = np.where(shapely.get_type_id(flat) == 2, _LINE, shapely.get_type_id(flat))
    frame = shapely.box(view.west, view.south, view.east, view.north)
    seen = shapely.intersects(shapely.envelope(flat), frame) & ~shapely.is_empty(flat)
    out = []
    for kind in (_POLYGON, _LINE, _POINT):
        chosen = (kinds == kind) & seen
        if chosen.any():
            out.append(_Parts(kind, flat[chosen], rows[chosen], view.width / 3000))
    return out


def polygon_path(polygons: np.ndarray, tolerance: float = 0.0) -> Any:
    """Return one Matplotlib path with all rings of the polygons, each ring thinned to ``tolerance`` on its own.

    Thinned rings may cross, which a drawing forgives; thinning whole polygons can lose parts of them.
    """
    import shapely
    from matplotlib.path import Path

    rings = thinned(shapely.get_rings(polygons), tolerance)
    points, index = shapely.get_coordinates(rings, return_index=True)
    starts = np.flatnonzero(np.r_[True, np.diff(index) > 0])
    codes = np.full(len(points), Path.LINETO, dtype=np.uint8)
    codes[starts] = Path.MOVETO
    codes[np.r_[starts[1:], len(points)] - 1] = Path.CLOSEPOLY
    return Path(points, codes)


def thinned(lines: np.ndarray, tolerance: float) -> np.ndarray:
    """Return the lines or rings without detail finer than ``tolerance``; none vanishes and none is mended."""
    import shapely

    if tolerance <= 0.0:
        return lines
    thin = shapely.simplify(lines, tolerance, preserve_topology=False)
    return np.where(shapely.get_num_coordinates(thin) < 2, lines, thin)


# --- colours and widths --------------------------------------------------------------


def _colours(frame: gpd.GeoDataFrame, wishes: Wishes) -> tuple[np.ndarray | None, tuple[Key, ...] | None]:
    """Return an RGBA colour per feature and the legend of the column, or None and None without a column."""
    if wishes.column is None or not has_column(frame, wishes.column):
        return None, None
    values = frame[wishes.column]
    heading = column_heading(wishes.column)
    if wishes.unit:
        heading = Wishes(name=heading, unit=wishes.unit).heading()
    if _is_quantity(values):
        numbers = values.to_numpy(dtype=float, na_value=np.nan)
        known = np.isfinite(numbers) & ((numbers > 0) | (not wishes.log))
        if not known.any():
            return _missing(len(frame)), (Key("heading", heading), Key("patch", "no value", NODATA, "#999999"))
        scale = continuous_scale(
            numbers[np.isfinite(numbers)],
            palette=wishes.palette,
            about=f"{wishes.name} {wishes.column}",
            heading=heading,
            log=wishes.log,
        )
        return _painted(scale, numbers, known)
    texts = values.map(lambda v: {True: "yes", False: "no"}.get(v, str(v)), na_action="ignore")
    known = texts.notna().to_numpy()
    names = sorted(set(texts[known]))
    if not names:
        return _missing(len(frame)), (Key("heading", heading), Key("patch", "no value", NODATA, "#999999"))
    codes = np.where(known, np.searchsorted(names, texts.where(known, names[0]).to_numpy(dtype=str)), -1)
    if len(names) > MOST_CLASSES:
        return _painted(repeating_scale(len(names), heading), codes % MOST_CLASSES, known)
    every = np.arange(len(names), dtype=float)
    own = own_colours(frame, wishes.column)
    scale = class_scale(every, dict(enumerate(names)), palette=wishes.palette, heading=heading, own=own)
    return _painted(scale, codes, known)


def _painted(scale: Scale, values: np.ndarray, known: np.ndarray) -> tuple[np.ndarray, tuple[Key, ...]]:
    colours = _missing(len(values))
    colours[known] = scale.cmap(scale.norm(values[known]))
    gap = () if known.all() else (Key("patch", "no value", NODATA, "#999999"),)
    return colours, (*scale.keys, *gap)


def _missing(count: int) -> np.ndarray:
    from matplotlib.colors import to_rgba

    return np.tile(to_rgba(NODATA), (count, 1))


def _is_quantity(values: pd.Series) -> bool:
    from pandas.api.types import is_bool_dtype, is_numeric_dtype

    return bool(is_numeric_dtype(values) and not is_bool_dtype(values))


def _widths(frame: gpd.GeoDataFrame, wishes: Wishes) -> tuple[np.ndarray | None, tuple[Key, ...]]:
    """Return the line width of each feature in points, 0.6 to 4 over the column's range, and its legend."""
    if wishes.width is None or not has_column(frame, wishes.width) or not _is_quantity(frame[wishes.width]):
        return None, ()
    values = frame[wishes.width].to_numpy(dtype=float, na_value=np.nan)
    known = values[np.isfinite(values)]
    if known.size == 0:
        return None, ()
    low, high = float(known.min()), float(known.max())
    span = high - low or 1.0

    def points(value: Any) -> Any:
        return 0.6 + 3.4 * (np.nan_to_num(value, nan=low) - low) / span

    shown = [low] if low == high else [low, (low + high) / 2, high]
    stroke = INK if has_column(frame, wishes.column) else wishes.stroke
    keys = [Key("line", number(float(f"{value:.3g}")), stroke, width=float(points(value))) for value in shown]
    return points(values), (Key("heading", f"line width: {column_heading(wishes.width)}"), *keys)


def _plain_keys(parts: list[_Parts], wishes: Wishes) -> tuple[Key, ...]:
    name = wishes.name or "features"
    kind = parts[0].kind
    if kind == _POLYGON:
        fill = _fill(wishes.stroke, wishes.main)
        return (Key("patch", name, fill, wishes.stroke),)
    return (Key("line" if kind == _LINE else "point", name, wishes.stroke, width=1.6),)


def _fill(stroke: str, main: bool) -> Any:
    from matplotlib.colors import to_rgba

    return to_rgba(stroke, 0.45 if main else 0.12)


# --- drawing -------------------------------------------------------------------------


def _painter(
    parts: _Parts, colours: np.ndarray | None, widths: np.ndarray | None, wishes: Wishes
) -> Callable[[Axes], None]:
    own = None if colours is None else colours[parts.rows]
    if parts.kind == _POLYGON:
        return lambda axes: _draw_polygons(axes, parts, own, wishes)
    if parts.kind == _LINE:
        own_widths = 1.6 if widths is None else widths[parts.rows]
        return lambda axes: _draw_lines(axes, parts, own, own_widths, wishes)
    return lambda axes: _draw_points(axes, parts.geometries, own, wishes)


def _draw_polygons(axes: Axes, parts: _Parts, colours: np.ndarray | None, wishes: Wishes) -> None:
    from matplotlib.collections import PathCollection
    from matplotlib.patches import PathPatch

    depth = 3 if wishes.main else 4
    if colours is None:
        # Added without asking for its limits, which takes long: the view is set.
        # One path for all: overlapping outlines stay lines, and ten thousand polygons draw as one.
        path = polygon_path(parts.geometries, parts.tolerance)
        axes.add_artist(PathPatch(path, facecolor="none", edgecolor="white", linewidth=1.2, alpha=0.5, zorder=depth))
        fill = _fill(wishes.stroke, wishes.main)
        axes.add_artist(PathPatch(path, facecolor=fill, edgecolor=wishes.stroke, linewidth=0.55, zorder=depth))
        return
    paths = [polygon_path(np.array([one]), parts.tolerance) for one in parts.geometries]
    axes.add_collection(
        PathCollection(paths, facecolors=colours, edgecolors="#33383A", linewidths=0.35, zorder=depth),
        autolim=False,
    )


def _draw_lines(
    axes: Axes, parts: _Parts, colours: np.ndarray | None, widths: float | np.ndarray, wishes: Wishes
) -> None:
    import shapely
    from matplotlib.collections import LineCollection

    points, index = shapely.get_coordinates(thinned(parts.geometries, parts.tolerance), return_index=True)
    segments = np.split(points, np.flatnonzero(np.diff(index)) + 1)
    depth = 5 if wishes.main else 6
    casing = LineCollection(
        segments, colors="white", linewidths=np.asarray(widths) + 1.4, alpha=0.8, capstyle="round", zorder=depth
    )
    stroke = wishes.stroke if colours is None else colours
    line = LineCollection(segments, colors=stroke, linewidths=widths, capstyle="round", zorder=depth + 0.1)
    axes.add_collection(casing, autolim=False)
    axes.add_collection(line, autolim=False)


def _draw_points(axes: Axes, points: np.ndarray, colours: np.ndarray | None, wishes: Wishes) -> None:
    import shapely

    at = shapely.get_coordinates(points)
    size = float(np.clip(4000 / max(len(at), 1), 3, 28))
    axes.scatter(
        at[:, 0],
        at[:, 1],
        s=size,
        c=wishes.stroke if colours is None else colours,
        edgecolors="white" if size > 8 else "none",
        linewidths=0.5,
        zorder=7 if wishes.main else 8,
    )


# --- labels --------------------------------------------------------------------------


def _labels(frame: gpd.GeoDataFrame, geometries: np.ndarray, wishes: Wishes) -> tuple[Label, ...]:
    if wishes.label is None or not has_column(frame, wishes.label):
        return ()
    values = frame[wishes.label]
    counted = _is_quantity(values)
    out = []
    for value, geometry in zip(values, geometries, strict=True):
        if geometry is None or value is None or value != value:
            continue
        places, beside = _places(geometry)
        order = float(value) if counted else -max(geometry.area, geometry.length)
        out.append(Label(_label_text(value, counted), order, places, beside))
    return tuple(out)


def _label_text(value: Any, counted: bool) -> str:
    if not counted:
        return str(value)
    return str(int(value)) if value == int(value) and abs(value) < 10_000 else number(value, 3)


def _places(geometry: Any) -> tuple[np.ndarray, bool]:
    """Return points where the label of a geometry may stand, best first, and whether it should stand beside them."""
    import shapely

    pieces = [p for p in shapely.get_parts(geometry) if not p.is_empty]
    piece = max(pieces, key=lambda p: (p.area, p.length))
    if piece.area > 0:
        inner = piece.representative_point()
        return shapely.get_coordinates([inner, piece.centroid]), False
    if piece.length > 0:
        return shapely.get_coordinates([piece.interpolate(share, normalized=True) for share in _ALONG]), False
    return shapely.get_coordinates(piece)[:1], True
