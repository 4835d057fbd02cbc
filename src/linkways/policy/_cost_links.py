"""Links between protected areas by least cost over a resistance raster."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.policy._links import Links

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

__all__ = ["cost_links"]


def cost_links(nodes: gpd.GeoDataFrame, resistance: xr.DataArray, reach: float, straight: Links) -> tuple[Links, int]:
    """Least-cost links up to ``reach`` cost-metres, and how many nodes were too small to hold a cell's centre.

    The cost of a link is the least sum over 8-neighbour steps of length times mean resistance, from any cell of one
    node to any cell of the other. A node without a cell of its own starts from the cell it lies in; where two nodes
    share a cell their straight distance (from ``straight``) counts with that cell's resistance.

    Refuses nodes that lie wholly outside the raster or on cells without resistance.
    """
    from linkways.kernels.cost_distance import prepare
    from linkways.spatial import cell_geometry, feature_of_cell, to_grid_crs
    from linkways.workers import each

    nodes = to_grid_crs(nodes, resistance)
    values = np.asarray(resistance.values, np.float64)
    owner = feature_of_cell(nodes, resistance).ravel()
    owner[~np.isfinite(values).ravel()] = -1
    cells, small = _cells_of(nodes, resistance, owner, np.isfinite(values).ravel())
    geometry = cell_geometry(resistance)
    steps = (geometry.east_west_m, geometry.north_south_m, geometry.diagonal_m)
    grid = prepare(values, *steps, neighbours=8, wraps=geometry.wraps)
    cell = np.concatenate(cells)
    node = np.repeat(np.arange(len(cells)), [len(c) for c in cells])
    shared = (grid, cells, cell, node, float(reach))
    found = list(each(_from_node, shared, range(len(cells) - 1)))
    ends = np.concatenate([f[0] for f in found] or [np.empty((0, 2), np.int32)])
    cost = np.concatenate([f[1] for f in found] or [np.empty(0)])
    links = Links(ends, cost)
    if small:
        links = _apart_in_one_cell(links, straight, cells, values.ravel())
    return links, small


def _cells_of(
    nodes: gpd.GeoDataFrame, resistance: xr.DataArray, owner: np.ndarray, passable: np.ndarray
) -> tuple[list[np.ndarray], int]:
    """Passable cells of each node, and how many nodes have none by the rule of cell centres."""
    order = np.argsort(owner, kind="stable")
    starts = np.searchsorted(owner[order], np.arange(len(nodes) + 1))
    cells, small, lost = [], 0, []
    for i, shape in enumerate(nodes.geometry):
        own = order[starts[i] : starts[i + 1]]
        if not len(own):
            own = _cell_under(resistance, shape.representative_point())
            own = own[passable[own]]
            small += 1
            if not len(own):
                lost.append(i)
        cells.append(own)
    if lost:
        raise LinkwaysError(
            f"resistance: {len(lost)} of {len(nodes)} pieces of protected land lie outside the raster or on cells "
            f"without resistance, first one about {nodes.geometry.iloc[lost[0]].representative_point().wkt}; extend "
            "the raster or give these cells a resistance"
        )
    return cells, small


def _cell_under(resistance: xr.DataArray, point: Any) -> np.ndarray:
    from linkways.spatial import grid_of

    grid = grid_of(resistance)
    column, row = int((point.x - grid.x0) // grid.dx), int((point.y - grid.y0) // grid.dy)
    if 0 <= row < grid.rows and 0 <= column < grid.columns:
        return np.array([row * grid.columns + column])
    return np.empty(0, np.int64)


def _from_node(shared: Any, source: int) -> tuple[np.ndarray, np.ndarray]:
    """Links from one node to the later ones."""
    from linkways.kernels.cost_distance import cost_field_on_grid

    grid, cells, cell, node, reach = shared
    start = cells[source].astype(np.int64)
    field = cost_field_on_grid(grid, start, np.zeros(len(start), np.int32), max_cost=reach)
    later = node > source
    least = np.full(len(cells), np.inf)
    np.minimum.at(least, node[later], field.distance.ravel()[cell[later]])
    reached = np.flatnonzero(least <= reach)
    ends = np.column_stack([np.full(len(reached), source), reached]).astype(np.int32)
    return ends, least[reached]


def _apart_in_one_cell(links: Links, straight: Links, cells: list[np.ndarray], resistance: np.ndarray) -> Links:
    """Links that cost nothing because both nodes share a cell get their straight distance at its resistance."""
    apart = {(min(a, b), max(a, b)): d for (a, b), d in zip(straight.ends.tolist(), straight.metres, strict=True)}
    cost = links.metres.copy()
    for i in np.flatnonzero(cost == 0.0):
        a, b = links.ends[i].tolist()
        shared = np.intersect1d(cells[a], cells[b])
        if len(shared):
            cost[i] = apart.get((min(a, b), max(a, b)), 0.0) * resistance[shared].min()
    return Links(links.ends, cost)
