"""Countries as thin context on a map: their borders and, where there is room, their names."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError

if TYPE_CHECKING:
    import geopandas as gpd
    from matplotlib.axes import Axes

    from linkways.studies._map_frame import View
    from linkways.studies._map_labels import Board

__all__ = ["Context", "builtin_countries", "country_context", "name_column"]

_NAMES = ("name", "name_en", "NAME", "NAME_EN", "ADMIN", "admin", "country", "COUNTRY")
_BUILTIN = "natural-earth-countries"


@dataclass(frozen=True)
class Context:
    """Countries cut to the view, in its CRS."""

    outlines: np.ndarray
    names: tuple[str, ...] = ()
    tolerance: float = 0.0
    """Detail finer than this is not drawn."""

    def draw_land(self, axes: Axes) -> None:
        """Fill the land, for maps without a raster."""
        from matplotlib.patches import PathPatch

        from linkways.studies._map_features import polygon_path

        if len(self.outlines):
            axes.add_artist(
                PathPatch(polygon_path(self.outlines, self.tolerance), facecolor="#F1EFE7", edgecolor="none", zorder=0)
            )

    def draw_borders(self, axes: Axes) -> None:
        """Draw the borders, a dark hairline in a pale one so that they show on any colour."""
        import shapely
        from matplotlib.collections import LineCollection

        from linkways.studies._map_features import thinned

        if not len(self.outlines):
            return
        rings = thinned(shapely.get_rings(self.outlines), self.tolerance)
        points, index = shapely.get_coordinates(rings, return_index=True)
        lines = np.split(points, np.flatnonzero(np.diff(index)) + 1)
        for colour, width, alpha in (("white", 1.3, 0.45), ("#30383A", 0.45, 0.9)):
            axes.add_collection(
                LineCollection(lines, colors=colour, linewidths=width, alpha=alpha, zorder=2.5), autolim=False
            )

    def write_names(self, axes: Axes, board: Board) -> None:
        """Write the names of the countries, the largest first, where they fit inside and cover no other text."""
        import shapely

        if not len(self.names):
            return
        scale = axes.get_window_extent().width / (axes.get_xlim()[1] - axes.get_xlim()[0])
        written = {""}
        for at in np.argsort(-shapely.area(self.outlines)):
            if self.names[at] in written:
                continue
            written.add(self.names[at])
            outline = self.outlines[at]
            west, _, east, _ = outline.bounds
            place = outline.representative_point()
            board.write_name(self.names[at], (place.x, place.y), 1.2 * scale * (east - west))


def country_context(countries: gpd.GeoDataFrame | None, view: View) -> Context:
    """Return the countries in view, none when ``countries`` is None."""
    import shapely

    box = view.bounds_in_degrees()
    if countries is None or countries.empty or box is None:
        return Context(np.array([], dtype=object))
    from linkways.spatial._grid import parse_crs, same_crs

    degrees = countries if same_crs(parse_crs(countries.crs), parse_crs("EPSG:4326")) else countries.to_crs("EPSG:4326")
    column = name_column(degrees)
    names = degrees[column].astype(str).to_numpy() if column else np.full(len(degrees), "")
    outlines, rows = _cut(degrees.geometry.to_numpy(), box)
    if not len(outlines):
        return Context(outlines)
    if not view.crs.equals("EPSG:4326"):
        import geopandas as gpd

        outlines = gpd.GeoSeries(outlines, crs="EPSG:4326").to_crs(view.crs).to_numpy()
    good = np.isfinite(shapely.bounds(outlines)).all(axis=1)
    return Context(outlines[good], tuple(names[rows[good]]), view.width / 2500)


@lru_cache(maxsize=1)
def builtin_countries() -> gpd.GeoDataFrame | None:
    """Return the built-in countries, or None when their package is not installed."""
    from linkways.spatial import builtin, recording

    try:
        # Mending their geometries is no part of the run that asks for context.
        with recording():
            frame = builtin(_BUILTIN)
    except LinkwaysError:
        return None
    return frame


def name_column(frame: gpd.GeoDataFrame) -> str | None:
    """Return the column that names countries, or None."""
    return next((name for name in _NAMES if name in frame.columns), None)


def _cut(geometries: np.ndarray, box: tuple[float, float, float, float]) -> tuple[np.ndarray, np.ndarray]:
    """Return the largest-first polygons inside the window (with a margin) and the row each came from.

    A view past 180 degrees sees the western hemisphere again, moved on by 360.
    """
    import shapely

    west, south, east, north = box
    if west > east:
        east += 360.0
    margin = 0.02 * max(east - west, north - south)
    window = (west - margin, south - margin, east + margin, north + margin)
    outlines: list[np.ndarray] = []
    rows: list[np.ndarray] = []
    for shift in (0.0, 360.0, -360.0):
        bounds = shapely.bounds(geometries) + np.array([shift, 0, shift, 0])
        near = (bounds[:, 0] < window[2]) & (bounds[:, 2] > window[0])
        near &= (bounds[:, 1] < window[3]) & (bounds[:, 3] > window[1])
        if not near.any():
            continue
        moved = shapely.transform(geometries[near], lambda xy, by=shift: xy + np.array([by, 0.0]))
        parts, inner = shapely.get_parts(shapely.clip_by_rect(moved, *window), return_index=True)
        polygons = (shapely.get_type_id(parts) == 3) & ~shapely.is_empty(parts)
        outlines.append(parts[polygons])
        rows.append(np.flatnonzero(near)[inner[polygons]])
    if not outlines:
        return np.array([], dtype=object), np.array([], dtype=int)
    return np.concatenate(outlines), np.concatenate(rows)
