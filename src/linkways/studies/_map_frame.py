"""The frame of a map: its view, true distances in it, scale bar, direction of north, degrees, and words on its CRS."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from pyproj import CRS

__all__ = ["ScaleBar", "View", "crs_line", "degree_text", "degree_ticks", "plane_ticks", "scale_bar", "true_north"]

_SHAPES = (0.30, 2.0)
"""Least and greatest height of a map over its width on the page."""


@dataclass(frozen=True)
class View:
    """What a map shows: a window in a CRS, with how tall one unit of y is drawn beside one unit of x."""

    crs: CRS
    west: float
    south: float
    east: float
    north: float
    aspect: float

    @classmethod
    def around(cls, crs: CRS, bounds: tuple[float, float, float, float], margin: float = 0.0) -> View:
        """Return the view of ``bounds`` with a margin (share of the longer side), grown where it is too thin to read.

        A geographic view is drawn at the proportions of its middle latitude: one degree of longitude is
        cos(latitude) as long as one of latitude (equidistant cylindrical, Snyder 1987, p. 90).
        """
        west, south, east, north = bounds
        aspect = 1.0
        if crs.is_geographic:
            middle = math.radians(_degrees(crs) * (south + north) / 2)
            aspect = 1.0 / max(math.cos(middle), 0.02)
        pad = margin * max(east - west, (north - south) * aspect)
        west, east = west - pad, east + pad
        south, north = south - pad / aspect, north + pad / aspect
        least = 0.01 / _degrees(crs) if crs.is_geographic else 100.0
        width = max(east - west, least if (east - west) <= 0 and (north - south) <= 0 else 0.0)
        height = (north - south) * aspect
        width = max(width, height / _SHAPES[1])
        height = max(height, width * _SHAPES[0]) / aspect
        x, y = (west + east) / 2, (south + north) / 2
        return cls(crs, x - width / 2, y - height / 2, x + width / 2, y + height / 2, aspect)

    @property
    def width(self) -> float:
        """From west to east in units of the CRS."""
        return self.east - self.west

    @property
    def height(self) -> float:
        """From south to north in units of the CRS."""
        return self.north - self.south

    @property
    def centre(self) -> tuple[float, float]:
        """The middle of the view."""
        return (self.west + self.east) / 2, (self.south + self.north) / 2

    @property
    def shape(self) -> float:
        """Height over width on the page."""
        return self.height * self.aspect / self.width

    def bounds_in_degrees(self) -> tuple[float, float, float, float] | None:
        """(west, south, east, north) in degrees on WGS 84, or None where the CRS cannot tell."""
        from pyproj import Transformer
        from pyproj.exceptions import ProjError

        try:
            transformer = Transformer.from_crs(self.crs, "EPSG:4326", always_xy=True)
            box = transformer.transform_bounds(self.west, self.south, self.east, self.north, densify_pts=21)
        except ProjError:
            return None
        return box if all(map(math.isfinite, box)) else None


@dataclass(frozen=True)
class ScaleBar:
    """A scale bar: a round length, how wide it is drawn at the centre of the map, and how far the scale strays."""

    metres: float
    width: float
    """In units of the view's CRS."""
    strays: float
    """Greatest departure of the true length of such a bar elsewhere in the map, as a share of its length."""

    @property
    def text(self) -> str:
        """The length with its unit."""
        return f"{self.metres / 1000:,.10g} km" if self.metres >= 1000 else f"{self.metres:,.10g} m"

    @property
    def half_text(self) -> str:
        """Half the length, as a bare number in the unit of `text`."""
        return f"{self.metres / (2000 if self.metres >= 1000 else 2):,.10g}"


def scale_bar(view: View) -> ScaleBar:
    """Return the scale bar of a view: exact at its centre, geodesic on the ellipsoid of its CRS (Karney, 2013).

    The length is the greatest of 1, 2 or 5 times a power of ten below a third of the view's width.
    """
    distance = ground_distance(view.crs)
    x, y = view.centre
    length = _round_down(distance(x - view.width / 6, y, x + view.width / 6, y))
    width = view.width / 3
    for _ in range(20):
        found = distance(x - width / 2, y, x + width / 2, y)
        if abs(found - length) <= 1e-9 * length:
            break
        width *= length / found
    return ScaleBar(length, width, _strays(view, distance, length, width))


def _strays(view: View, distance: Callable[..., float], length: float, width: float) -> float:
    reach = max(view.width - width, 0.0) / 2
    x = view.centre[0]
    found = [
        distance(px - width / 2, py, px + width / 2, py)
        for px in (x - reach, x, x + reach)
        for py in np.linspace(view.south, view.north, 5)
    ]
    return max(abs(each / length - 1.0) for each in found if math.isfinite(each))


def ground_distance(crs: CRS) -> Callable[[float, float, float, float], float]:
    """Return the function (xa, ya, xb, yb) -> metres on the ground between two places of a map in this CRS."""
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    unit = crs.axis_info[0].unit_conversion_factor if crs.axis_info else 1.0
    geod = crs.get_geod()
    if geod is not None and crs.is_geographic:
        degrees = _degrees(crs)

        def on_ellipsoid(xa: float, ya: float, xb: float, yb: float) -> float:
            ya, yb = (max(-90.0, min(90.0, degrees * y)) for y in (ya, yb))
            return float(geod.inv(degrees * xa, ya, degrees * xb, yb)[2])

        return on_ellipsoid

    def on_plane(xa: float, ya: float, xb: float, yb: float) -> float:
        return math.hypot(xb - xa, yb - ya) * unit

    if geod is None or crs.geodetic_crs is None or not crs.is_projected:
        return on_plane
    try:
        # The inverse projection alone: no shift to another datum.
        transformer = Transformer.from_crs(crs, crs.geodetic_crs, always_xy=True)
    except ProjError:
        return on_plane
    to_degrees = _degrees(crs.geodetic_crs)

    def on_ground(xa: float, ya: float, xb: float, yb: float) -> float:
        lon, lat = transformer.transform([xa, xb], [ya, yb])
        places = [to_degrees * value for value in (lon[0], lat[0], lon[1], lat[1])]
        metres = float(geod.inv(*places)[2]) if all(map(math.isfinite, places)) else math.nan
        return metres if metres > 0.0 else on_plane(xa, ya, xb, yb)

    return on_ground


def true_north(view: View) -> float:
    """Return the direction of true north at the centre of the map, in degrees clockwise from straight up."""
    from pyproj import Transformer
    from pyproj.exceptions import ProjError

    if not view.crs.is_projected or view.crs.geodetic_crs is None:
        return 0.0
    x, y = view.centre
    try:
        transformer = Transformer.from_crs(view.crs, view.crs.geodetic_crs, always_xy=True)
    except ProjError:
        return 0.0
    lon, lat = transformer.transform(x, y)
    step = 0.01 / _degrees(view.crs.geodetic_crs)
    northward = transformer.transform(lon, lat + step, direction="INVERSE")
    dx, dy = northward[0] - x, northward[1] - y
    return math.degrees(math.atan2(dx, dy)) if math.isfinite(dx) and math.isfinite(dy) and (dx or dy) else 0.0


def crs_line(view: View) -> str:
    """Return the sentence that names the CRS of the map and how it is drawn."""
    crs = view.crs
    code = crs.to_epsg()
    name = f"{crs.name} (EPSG:{code})" if code is not None else str(crs.name)
    unit = crs.axis_info[0].unit_name if crs.axis_info else "unknown unit"
    text = f"Coordinate reference system: {name}, unit {unit}"
    if crs.is_geographic:
        middle = degree_text(_degrees(crs) * view.centre[1], "NS", digits=1)
        text += f"; drawn at the proportions of latitude {middle}"
    return text + "."


def degree_ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Return round degrees between ``low`` and ``high``, about as many as asked for."""
    steps = [m * 10.0**k for k in range(-5, 1) for m in (1, 2, 5)] + [10.0, 15.0, 20.0, 30.0, 45.0, 60.0, 90.0]
    step = next((s for s in steps if (high - low) / s <= about), 180.0)
    return _multiples(low, high, step)


def plane_ticks(low: float, high: float, about: int = 4) -> list[float]:
    """Return round coordinates between ``low`` and ``high``, about as many as asked for."""
    step = _round_down((high - low) / about * 1.0001)
    return _multiples(low, high, step * (2 if (high - low) / step > about * 1.5 else 1))


def degree_text(degrees: float, sides: str, digits: int | None = None) -> str:
    """Return degrees with their side of the world, ``sides`` naming the positive one first.

    >>> degree_text(-60, "EW"), degree_text(12.5, "NS"), degree_text(190, "EW")
    ('60°W', '12.5°N', '170°W')
    """
    if sides == "EW":
        degrees = (degrees + 180.0) % 360.0 - 180.0
    value = round(abs(degrees), 5 if digits is None else digits)
    if value == 0 or (sides == "EW" and value == 180):
        return f"{value:g}°"
    return f"{value:.10g}°{sides[0] if degrees > 0 else sides[1]}"


def _degrees(crs: CRS) -> float:
    """How many degrees one unit of a geographic CRS is."""
    return math.degrees(crs.axis_info[0].unit_conversion_factor) if crs.axis_info else 1.0


def _multiples(low: float, high: float, step: float) -> list[float]:
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [k * step for k in range(first, last + 1)]


def _round_down(value: float) -> float:
    """The greatest of 1, 2 or 5 times a power of ten that is not above ``value``."""
    power = 10.0 ** math.floor(math.log10(value))
    return max(m * power for m in (1.0, 2.0, 5.0) if m * power <= value * (1 + 1e-12))
