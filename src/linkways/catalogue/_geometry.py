"""GeoJSON geometries: are they valid, what do they span, how do they look to shapely."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    from shapely.geometry.base import BaseGeometry

__all__ = ["area_of_bounds", "checked_bounds", "checked_geometry", "geometry_of_place", "parse_area"]

_DEPTHS = {
    "Point": 0,
    "MultiPoint": 1,
    "LineString": 1,
    "MultiLineString": 2,
    "Polygon": 2,
    "MultiPolygon": 3,
}
MOST_POSITIONS = 100_000


def checked_geometry(value: Mapping[str, Any]) -> dict[str, Any]:
    """Return a GeoJSON geometry that is valid, or refuse it with the reason and the place.

    Valid means: a known type, finite longitudes within 180 and latitudes within 90 degrees, closed rings, and, by the
    rules of simple features, no crossing of its own boundary. Points, lines and areas are allowed, collections are not.

    Raises:
        ValueError: the one sentence that says what is wrong.
    """
    kind = value.get("type")
    if kind in ("Feature", "FeatureCollection", "GeometryCollection"):
        raise ValueError(f"a {kind} stands where a geometry belongs; give one geometry, joined to a Multi one if many")
    if not isinstance(kind, str) or kind not in _DEPTHS:
        raise ValueError(f"there is no geometry type {kind!r}{nearest(str(kind), _DEPTHS)}")
    if set(value) - {"type", "coordinates", "bbox"}:
        extra = sorted(set(value) - {"type", "coordinates", "bbox"})[0]
        raise ValueError(f"a geometry has type and coordinates and no '{extra}'; remove it")
    coordinates: Any = value.get("coordinates")
    count = 0
    for place, position in _positions(coordinates, _DEPTHS[kind], ()):
        _check_position(place, position)
        count += 1
        if count > MOST_POSITIONS:
            raise ValueError(f"the geometry has more than {MOST_POSITIONS:,} positions; simplify it")
    if count == 0:
        raise ValueError("the geometry has no coordinates; give them or leave the geometry out")
    if kind in ("Polygon", "MultiPolygon"):
        _check_rings(coordinates if kind == "MultiPolygon" else [coordinates])
    _check_simple(kind, coordinates)
    return {"type": kind, "coordinates": coordinates}


def _positions(value: Any, depth: int, place: tuple[int, ...]) -> Iterator[tuple[tuple[int, ...], Any]]:
    if depth == 0:
        yield place, value
        return
    if not isinstance(value, Sequence) or isinstance(value, str):
        raise ValueError(f"coordinates{_at(place)} must be a list; see the GeoJSON form of this type")
    for number, part in enumerate(value):
        yield from _positions(part, depth - 1, (*place, number))


def _at(place: tuple[int, ...]) -> str:
    return "".join(f"[{number}]" for number in place)


def _check_position(place: tuple[int, ...], position: Any) -> None:
    numbers = (
        isinstance(position, Sequence)
        and len(position) in (2, 3)
        and all(isinstance(n, (int, float)) and not isinstance(n, bool) and math.isfinite(n) for n in position)
    )
    if not numbers:
        raise ValueError(f"coordinates{_at(place)} is {str(position)[:40]} but must be [longitude, latitude]")
    longitude, latitude = position[:2]
    if abs(latitude) > 90 >= abs(longitude):
        raise ValueError(f"latitude {latitude:g} at coordinates{_at(place)} is beyond 90; write longitude first")
    if abs(latitude) > 90 or abs(longitude) > 180:
        raise ValueError(
            f"coordinates{_at(place)} is ({longitude:g}, {latitude:g}), outside the globe; give degrees of WGS 84"
        )


def _check_rings(polygons: Sequence[Any]) -> None:
    for p, rings in enumerate(polygons):
        for r, ring in enumerate(rings):
            place = f"ring {r} of polygon {p}" if len(polygons) > 1 else f"ring {r}"
            if len(ring) < 4:
                raise ValueError(f"{place} has {len(ring)} positions but needs at least 4, the last like the first")
            if list(ring[0]) != list(ring[-1]):
                raise ValueError(f"{place} is not closed; repeat its first position at the end")


def _check_simple(kind: str, coordinates: Any) -> None:
    import shapely

    try:
        shape = shapely.geometry.shape({"type": kind, "coordinates": coordinates})
    except (shapely.errors.ShapelyError, ValueError, TypeError) as error:
        raise ValueError(f"the {kind} cannot be built ({str(error).splitlines()[0]}); mend its coordinates") from None
    if not shape.is_valid:
        raise ValueError(f"the {kind} is not valid: {shapely.is_valid_reason(shape)}; mend it there")


def checked_bounds(value: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    """Return bounds (west, south, east, north) in degrees; west lies beyond east where they cross the antimeridian.

    Raises:
        ValueError: a side outside the globe, or south not below north.
    """
    west, south, east, north = value
    if abs(west) > 180 or abs(east) > 180 or abs(south) > 90 or abs(north) > 90:
        raise ValueError(f"bounds {list(value)} lie outside longitude and latitude; write [west, south, east, north]")
    if south >= north:
        raise ValueError(f"south ({south:g}) must lie below north ({north:g}); write [west, south, east, north]")
    if west == east:
        raise ValueError(f"west and east are both {west:g}; write [west, south, east, north]")
    return value


def area_of_bounds(bounds: Sequence[float]) -> BaseGeometry:
    """Return the area of bounds, as two parts where they cross the antimeridian."""
    from shapely import MultiPolygon, box

    west, south, east, north = bounds
    if west < east:
        return box(west, south, east, north)
    return MultiPolygon([box(west, south, 180, north), box(-180, south, east, north)])


def geometry_of_place(geometry: Mapping[str, Any] | None, bounds: Sequence[float] | None) -> BaseGeometry | None:
    """Return where a place is: its geometry, else the area of its bounds, else None."""
    from shapely.geometry import shape

    if geometry is not None:
        return shape(geometry)
    return area_of_bounds(bounds) if bounds is not None else None


def parse_area(given: Sequence[float] | Mapping[str, Any]) -> BaseGeometry:
    """Return the area of a search: bounds (west, south, east, north) or a GeoJSON geometry.

    Raises:
        LinkwaysError: it is neither, or not valid.
    """
    from shapely.geometry import shape

    try:
        if isinstance(given, Mapping):
            return shape(checked_geometry(given))
        if len(given) != 4:
            raise ValueError("give four numbers, west south east north, or a GeoJSON geometry")
        west, south, east, north = (float(side) for side in given)
        return area_of_bounds(checked_bounds((west, south, east, north)))
    except (ValueError, TypeError) as error:
        raise LinkwaysError(f"the area to search in: {error}") from None
