"""Corridors drawn from the cost distances of a network."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.corridors._network import Link, Network, Window
from linkways.method import progress
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

__all__ = ["Drawn", "draw_corridors", "normalised_corridor"]

WIDTH_STEPS = 14  # halvings of the cutoff interval: the cutoff is found to 1 part in 16,000


@dataclass(frozen=True)
class Drawn:
    """Corridors of all links."""

    links: gpd.GeoDataFrame
    corridors: gpd.GeoDataFrame
    mosaic: xr.DataArray
    bottlenecks: gpd.GeoDataFrame
    area_km2: float


@dataclass(frozen=True)
class _Corridor:
    window: Window
    excess: np.ndarray
    cutoff: float
    min_width_m: float
    narrowest: int


def normalised_corridor(network: Network, link: Link) -> tuple[Window, np.ndarray]:
    """NLC of a link on the window that both cores reached; inf beyond."""
    one_window, one = network.fields.read("distance", link.a)
    two_window, two = network.fields.read("distance", link.b)
    window = one_window.common(two_window)
    excess = one[window.within(one_window)] + two[window.within(two_window)] - link.cost
    # rounding can bring the path itself to a hair below 0
    return window, np.maximum(excess, 0.0, out=excess)


def draw_corridors(network: Network, cutoff: float | None, percent: float | None, width_m: float | None) -> Drawn:
    """Cut each link's corridor at its cutoff, measure it, and lay all over each other."""
    import geopandas as gpd

    landscape = network.landscape
    owner = network.cores.labels(landscape.shape)
    mosaic = np.full(landscape.shape, np.inf)
    rows, outlines, spots = [], [], []
    for number, link in enumerate(network.links, 1):
        window, excess = normalised_corridor(network, link)
        if width_m is not None:
            corridor = _cut_to_width(network, link, owner, window, excess, width_m)
        else:
            limit = cutoff if cutoff is not None else link.cost * (percent or 0.0) / 100
            corridor = _cut(network, link, owner, window, excess, limit)
        inside = corridor.excess <= corridor.cutoff
        part = mosaic[corridor.window.slices]
        np.minimum(part, np.where(inside, corridor.excess, np.inf), out=part)
        outside_cores = inside & (owner[corridor.window.slices] < 0)
        row = link.row(number, network.cores.ids)
        line = row.pop("geometry")
        row["cutoff"] = corridor.cutoff
        row["corridor_area_km2"] = float(landscape.area_km2[corridor.window.slices][outside_cores].sum())
        row["min_width_m"] = corridor.min_width_m
        rows.append({**row, "geometry": line})
        outlines.append(landscape.polygon(outside_cores, (corridor.window.top, corridor.window.left)))
        spots.append(corridor.narrowest)
        progress(0.8 + 0.2 * number / len(network.links), f"corridor {number} of {len(network.links)}")
    crs = landscape.raster.rio.crs
    links = gpd.GeoDataFrame(rows, crs=crs)
    reached = np.isfinite(mosaic)
    area = float(landscape.area_km2[reached & (owner < 0)].sum())
    attributes = links.drop(columns="geometry")
    return Drawn(
        links,
        gpd.GeoDataFrame(attributes, geometry=outlines, crs=crs),
        landscape.like(np.where(reached, mosaic, np.nan), "mosaic", units="cost-metres"),
        _bottlenecks(network, attributes, spots),
        area,
    )


def _bottlenecks(network: Network, attributes: Any, spots: list[int]) -> gpd.GeoDataFrame:
    import geopandas as gpd
    import shapely

    known = np.array([spot >= 0 for spot in spots])
    points = network.landscape.points(np.array(spots, np.int64)[known])
    table = attributes.loc[known, ["link", "core_a", "core_b", "min_width_m"]].reset_index(drop=True)
    table = gpd.GeoDataFrame(table, geometry=list(shapely.points(points)), crs=network.landscape.raster.rio.crs)
    return table.sort_values("min_width_m", ignore_index=True)


def _cut(
    network: Network, link: Link, owner: np.ndarray, window: Window, excess: np.ndarray, cutoff: float
) -> _Corridor:
    inside = excess <= cutoff
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    small = Window(
        window.top + int(rows[0]), window.top + int(rows[-1]) + 1,
        window.left + int(columns[0]), window.left + int(columns[-1]) + 1,
    )  # fmt: skip
    cropped = excess[small.within(window)]
    width, cell = _narrowest(network, link, owner[small.slices], small, cropped <= cutoff)
    return _Corridor(small, cropped, cutoff, width, cell)


def _narrowest(
    network: Network, link: Link, owner: np.ndarray, window: Window, inside: np.ndarray
) -> tuple[float, int]:
    """Width of the widest disk that passes from core to core, and the flat grid cell where it is tightest."""
    from linkways.kernels.clearance import distance_to_outside, widest_way

    landscape = network.landscape
    start, end = owner == link.a, owner == link.b
    area = inside | start | end
    shift = _seam_shift(area) if landscape.cells.wraps and window.shape[1] == landscape.shape[1] else 0
    area, start, end = (np.roll(part, -shift, axis=1) for part in (area, start, end))
    # cells beyond the window are outside the corridor
    east_west = np.pad(landscape.cells.east_west_m[window.top : window.bottom], 1, mode="edge")
    north_south = _padded_steps(landscape.cells.north_south_m, window)
    clearance = distance_to_outside(np.pad(area, 1), east_west, north_south)[1:-1, 1:-1]
    # the disk has arrived once it touches the core
    steps = east_west[1:-1], north_south[1:-1]
    touching = [distance_to_outside(~core, *steps) <= clearance for core in (start, end)]
    value, cell = widest_way(clearance, *touching, neighbours=landscape.neighbours)
    if cell < 0:
        return math.nan, -1
    row, column = divmod(cell, window.shape[1])
    size = math.sqrt(float(landscape.cells.area_m2[window.top + row]))
    column = (column + shift) % window.shape[1]
    # the edge of the corridor lies half a cell before the nearest outside centre, on both sides
    return 2 * value - size, (window.top + row) * landscape.shape[1] + window.left + column


def _seam_shift(area: np.ndarray) -> int:
    """Columns to roll a grid that goes around the world, so that its seam does not cut the area."""
    empty = np.flatnonzero(~area.any(axis=0))
    return int(empty[0]) if len(empty) else 0


def _padded_steps(north_south: np.ndarray, window: Window) -> np.ndarray:
    if not len(north_south):
        return np.ones(window.shape[0] + 1)
    steps = np.arange(window.top - 1, window.bottom)
    return north_south[np.clip(steps, 0, len(north_south) - 1)]


def _cut_to_width(
    network: Network, link: Link, owner: np.ndarray, window: Window, excess: np.ndarray, width_m: float
) -> _Corridor:
    """The smallest cutoff whose corridor is nowhere narrower than the width, by halving; widths grow with it."""
    low, high = 0.0, max(link.cost, 1e-9)
    widest = _cut(network, link, owner, window, excess, high)
    if widest.min_width_m < width_m:
        a, b = network.cores.ids[link.a], network.cores.ids[link.b]
        note(
            f"the corridor between cores {a} and {b} is drawn at twice the least cost and still only "
            f"{widest.min_width_m / 1000:.3g} km wide: it cannot be {width_m / 1000:g} km wide"
        )
        return widest
    best = widest
    for _ in range(WIDTH_STEPS):
        middle = (low + high) / 2
        tried = _cut(network, link, owner, window, excess, middle)
        if not tried.min_width_m < width_m:  # nan: the cores touch
            best, high = tried, middle
        else:
            low = middle
    return best
