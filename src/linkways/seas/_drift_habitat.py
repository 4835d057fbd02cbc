"""Where larvae settle: polygons with the distance from which they are sensed, or a raster, as sinks on a fine grid."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.seas._currents_places import goes_around, metres_per_cell, on_field, step_of

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr
    from numpy.typing import NDArray


def polygon_sinks(
    habitat: gpd.GeoDataFrame, field: xr.Dataset, parts: int, radius_m: float
) -> tuple[list[str], NDArray[np.int32]]:
    """Names of the sinks, and the sink (-1: none) of each part of a cell: the nearest within the radius.

    Distances are those from the middle of the part, in metres on a plane at the polygon's latitude.

    Raises LinkwaysError for polygons outside the field or on land alone.
    """
    import shapely

    placed = on_field(habitat, field, "habitat")
    names = placed["site"].astype(str)
    sinks = list(dict.fromkeys(names))
    rows, columns = field.sizes["y"] * parts, field.sizes["x"] * parts
    owner = np.full((rows, columns), -1, np.int32)
    nearest = np.full((rows, columns), np.inf)
    first = np.array([field["x"].values[0], field["y"].values[0]], float)
    step = np.array([step_of(field, "x"), step_of(field, "y")])
    width, height = metres_per_cell(field)
    wet = np.repeat(np.repeat(field["mask"].values > 0, parts, 0), parts, 1)
    for sink, name in enumerate(sinks):
        # in parts of a cell from the outer corner of the first
        shape = shapely.transform(
            shapely.union_all(placed.geometry.values[names == name]), lambda at: ((at - first) / step + 0.5) * parts
        )
        middle = int(np.clip((shape.bounds[1] + shape.bounds[3]) / 2 / parts, 0, len(width) - 1))
        metres = np.array([width[middle], abs(height[middle])]) / parts
        shapes = _around_the_world(shape, radius_m / metres[0], columns) if goes_around(field) else [shape]
        found = [(one, *_distances(one, metres, radius_m, owner.shape)) for one in shapes]
        found = [(one, block, distance) for one, block, distance in found if block is not None]
        if not found:
            raise LinkwaysError(f"habitat {name} lies outside the field of currents; leave it out or extend the field")
        closer = [wet[block] & (distance <= radius_m) & (distance < nearest[block]) for _, block, distance in found]
        if not any(one.any() for one in closer):
            closer = [_at_least_one(one, block, distance, wet[block], metres) for one, block, distance in found]
            if not any(one.any() for one in closer):
                raise LinkwaysError(
                    f"habitat {name} lies on land: no water of the currents is in or beside it; move it, or use "
                    "currents with finer cells"
                )
        for (_, block, distance), here in zip(found, closer, strict=True):
            owner[block][here] = sink
            nearest[block][here] = distance[here]
    return sinks, owner


def _around_the_world(shape: Any, reach: float, columns: int) -> list[Any]:
    """A shape, in parts of a cell, wherever whole turns bring it within reach of the field."""
    import shapely

    west, _, east, _ = shape.bounds
    turns = range(int(np.ceil((-reach - east) / columns)), int(np.floor((columns + reach - west) / columns)) + 1)
    return [shapely.transform(shape, lambda at, t=turn: at + np.array([t * columns, 0.0])) for turn in turns]


def _distances(
    shape: Any, metres: NDArray[np.float64], radius_m: float, size: tuple[int, ...]
) -> tuple[Any, NDArray[np.float64]]:
    """The window of parts around a shape, and the distance of each to it."""
    import shapely

    reach = radius_m / metres + 1.0
    west, south, east, north = shape.bounds
    i0, i1 = max(int(np.floor(west - reach[0])), 0), min(int(np.ceil(east + reach[0])), size[1])
    j0, j1 = max(int(np.floor(south - reach[1])), 0), min(int(np.ceil(north + reach[1])), size[0])
    if i1 <= i0 or j1 <= j0:
        return None, np.empty(0)
    x, y = np.meshgrid((np.arange(i0, i1) + 0.5) * metres[0], (np.arange(j0, j1) + 0.5) * metres[1])
    flat = shapely.transform(shape, lambda at: at * metres)
    shapely.prepare(flat)
    inside = shapely.contains_xy(flat, x, y)
    distance = np.where(inside, 0.0, np.inf)
    if radius_m > 0:
        distance[~inside] = shapely.distance(shapely.points(x[~inside], y[~inside]), flat)
    return (slice(j0, j1), slice(i0, i1)), distance


def _at_least_one(
    shape: Any, block: Any, distance: NDArray[np.float64], wet: NDArray[np.bool_], metres: NDArray[np.float64]
) -> NDArray[np.bool_]:
    """A polygon smaller than a part of a cell is the wet part that its inner point is in or beside."""
    import shapely

    inner = shapely.get_coordinates(shape.representative_point())[0]
    j, i = np.mgrid[block]
    away = np.hypot((i + 0.5 - inner[0]) * metres[0], (j + 0.5 - inner[1]) * metres[1])
    away[~wet] = np.inf
    out = np.zeros(distance.shape, bool)
    if away.min() <= 1.5 * float(metres.max()):
        out.flat[int(away.argmin())] = True
    return out


def raster_sinks(
    habitat: xr.DataArray, field: xr.Dataset, parts: int, radius_m: float
) -> tuple[list[str], NDArray[np.int32]]:
    """The same from a raster whose values number the sinks (nothing and 0: no habitat), read at the parts' middles."""
    from pyproj import CRS, Transformer

    values = np.nan_to_num(np.asarray(habitat.values, float))
    if (values != np.round(values)).any() or (values < 0).any():
        raise LinkwaysError("the habitat raster must hold whole numbers of sinks, 0 where there is no habitat")
    x, y = _middles(field, parts)
    there, here = CRS.from_user_input(habitat.rio.crs), CRS.from_user_input(field.rio.crs)
    x, y = np.meshgrid(x, y)
    if not there.equals(here, ignore_axis_order=True):
        x, y = Transformer.from_crs(here, there, always_xy=True).transform(x, y)
    elif here.is_geographic:
        x = x + 360.0 * np.round((float(habitat["x"].values.mean()) - x) / 360.0)
    i = np.floor((x - float(habitat["x"].values[0])) / step_of(habitat, "x") + 0.5)
    j = np.floor((y - float(habitat["y"].values[0])) / step_of(habitat, "y") + 0.5)
    inside = (i >= 0) & (i < values.shape[1]) & (j >= 0) & (j < values.shape[0])
    found = np.zeros(x.shape)
    found[inside] = values[j[inside].astype(int), i[inside].astype(int)]
    numbers = np.unique(found[found > 0])
    if not len(numbers):
        raise LinkwaysError("the habitat raster has no habitat within the field of currents; check its CRS and values")
    owner = (np.searchsorted(numbers, found) - np.where(found > 0, 0, np.inf)).clip(-1).astype(np.int32)
    if radius_m > 0:
        owner = _spread(owner, field, parts, radius_m)
    owner[~np.repeat(np.repeat(field["mask"].values > 0, parts, 0), parts, 1)] = -1
    return [f"{n:.0f}" for n in numbers], owner


def _spread(owner: NDArray[np.int32], field: xr.Dataset, parts: int, radius_m: float) -> NDArray[np.int32]:
    """Every part takes the nearest sink within the radius, on planes of rows whose cells are as wide within 1 %."""
    from scipy.ndimage import distance_transform_edt

    width, height = (np.repeat(np.abs(side), parts) / parts for side in metres_per_cell(field))
    reach = int(np.ceil(radius_m / width.min())) + 1 if goes_around(field) else 0
    reach = min(reach, owner.shape[1])
    wide = np.pad(owner, ((0, 0), (reach, reach)), mode="wrap")
    out = wide.copy()
    for rows in _alike_rows(width):
        beyond = int(np.ceil(radius_m / height[rows].min())) + 1
        block = slice(max(rows.start - beyond, 0), rows.stop + beyond)
        sampling = (height[rows].mean(), width[rows].mean())
        if not (wide[block] >= 0).any():
            continue
        distance, (j, i) = distance_transform_edt(wide[block] < 0, sampling=sampling, return_indices=True)
        taken = np.where(distance <= radius_m, wide[block][j, i], -1)
        out[rows] = taken[rows.start - block.start :][: rows.stop - rows.start]
    return np.ascontiguousarray(out[:, reach : reach + owner.shape[1]], np.int32)


def _alike_rows(width: NDArray[np.float64]) -> list[slice]:
    """Rows side by side whose cells are as wide within one per cent."""
    out, start = [], 0
    for row in range(1, len(width) + 1):
        if row == len(width) or abs(width[row] - width[start]) > 0.01 * width[start]:
            out.append(slice(start, row))
            start = row
    return out


def _middles(field: xr.Dataset, parts: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    out = []
    for axis in ("x", "y"):
        count = field.sizes[axis] * parts
        out.append(float(field[axis].values[0]) + step_of(field, axis) * ((np.arange(count) + 0.5) / parts - 0.5))
    return out[0], out[1]
