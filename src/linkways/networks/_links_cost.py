"""Least-cost links between patches over a resistance raster: all pairs within a horizon, or the planar set."""

from __future__ import annotations

import heapq
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import progress
from linkways.spatial import cell_geometry, feature_of_cell, grid_of, note
from linkways.workers import each

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

    from linkways.kernels.cost_distance import Grid
    from linkways.spatial import CellGeometry

__all__ = [
    "CostLink",
    "PatchCells",
    "ZoneBorders",
    "cost_links",
    "patch_cells",
    "path_facts",
    "zone_borders",
    "zone_links",
]


@dataclass(frozen=True)
class PatchCells:
    """Patches on a resistance raster: the flat passable cells of each, in the order of the patches."""

    raster: xr.DataArray
    geometry: CellGeometry
    neighbours: int
    cells: tuple[np.ndarray, ...]

    @cached_property
    def resistance(self) -> np.ndarray:
        """(rows, columns) float64."""
        return np.ascontiguousarray(self.raster.values, dtype=np.float64)

    @property
    def columns(self) -> int:
        """Columns of the raster."""
        return int(self.raster.shape[1])

    @property
    def steps(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Step lengths in metres: along rows, between rows, diagonal."""
        return self.geometry.east_west_m, self.geometry.north_south_m, self.geometry.diagonal_m

    @cached_property
    def flat(self) -> np.ndarray:
        """The cells of all patches."""
        return np.concatenate(self.cells)

    @cached_property
    def owner(self) -> np.ndarray:
        """The patch of each of them, from 0."""
        return np.repeat(np.arange(len(self.cells), dtype=np.int32), [len(own) for own in self.cells])

    @cached_property
    def grid(self) -> Grid:
        """The raster made ready for searches."""
        from linkways.kernels.cost_distance import prepare

        return prepare(self.resistance, *self.steps, neighbours=self.neighbours, wraps=self.geometry.wraps)

    @cached_property
    def margin_per_cost(self) -> float:
        """Cells that a unit of cost reaches on the way of the median cell."""
        step = float(np.median(self.geometry.east_west_m))
        return 1.0 / (step * float(np.nanmedian(self.resistance)))


@dataclass(frozen=True)
class CostLink:
    """One link between two patches by position, ``one`` < ``other``, and the flat cells of its path."""

    one: int
    other: int
    cost: float
    path: np.ndarray


def patch_cells(patches: gpd.GeoDataFrame, resistance: xr.DataArray, neighbours: int) -> PatchCells:
    """The passable cells whose centre lies in each patch; a patch between centres takes the cell it lies in.

    Refuses patches that lie wholly on nodata or outside the raster.
    """
    owner = feature_of_cell(patches, resistance).ravel()
    passable = np.isfinite(np.asarray(resistance.values)).ravel()
    order = np.argsort(owner, kind="stable")
    cuts = np.searchsorted(owner[order], np.arange(len(patches) + 1))
    cells, small, lost = [], 0, []
    for k, (start, stop) in enumerate(pairwise(cuts)):
        own = order[start:stop]
        if not len(own):
            own = _cell_under(patches.geometry.iloc[k], resistance)
            small += len(own)
        own = own[passable[own]]
        if not len(own):
            lost.append(str(patches["patch"].iloc[k]))
        cells.append(np.sort(own).astype(np.int64))
    if lost:
        shown = ", ".join(lost[:10]) + (f" and {len(lost) - 10} more" if len(lost) > 10 else "")
        raise LinkwaysError(
            f"patches {shown} lie entirely on nodata or outside the resistance raster; drop them, or give their cells "
            "a resistance"
        )
    if small:
        note(f"{small} patches hold no centre of a cell of the resistance raster and stand for the cell they lie in")
    return PatchCells(resistance, cell_geometry(resistance), neighbours, tuple(cells))


def _cell_under(shape: Any, raster: xr.DataArray) -> np.ndarray:
    from rasterio.transform import rowcol

    point = shape.representative_point()
    row, column = (int(i) for i in rowcol(grid_of(raster).transform, point.x, point.y))
    rows, columns = raster.shape
    inside = 0 <= row < rows and 0 <= column < columns
    return np.array([row * columns + column] if inside else [], np.int64)


# --- searches from single patches --------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Search:
    """What the searches share: the patches, the limit of each search, and the patches it is to reach."""

    patches: PatchCells
    limit: np.ndarray
    """(patches,) greatest cost of a link from each."""
    wanted: tuple[np.ndarray, ...] | None
    """Patches that each is to be joined to; None: all of a higher number within the limit."""


def cost_links(
    patches: PatchCells, max_cost: float, pairs: np.ndarray | None, bounds: np.ndarray | None
) -> list[CostLink]:
    """The least-cost links of all pairs up to ``max_cost``, or of given pairs (n, 2) with an upper bound of each."""
    count = len(patches.cells)
    if pairs is None or bounds is None:
        search = _Search(patches, np.full(count, max_cost), None)
        sources = list(range(count - 1))
    else:
        search, sources = _covering(patches, pairs, np.minimum(bounds, max_cost))
    _ = patches.grid, patches.owner, patches.flat, patches.margin_per_cost  # made once, before threads share them
    found: list[CostLink] = []
    for done, links in enumerate(each(_links_from, search, sources)):
        found.extend(link for link in links if link.cost <= max_cost)
        progress(0.1 + 0.7 * (done + 1) / max(1, len(sources)), f"least costs from patch {done + 1} of {len(sources)}")
    return sorted(found, key=lambda link: (link.one, link.other))


def _covering(patches: PatchCells, pairs: np.ndarray, bounds: np.ndarray) -> tuple[_Search, list[int]]:
    """Few patches to search from, so that every pair has one: the one with most pairs left, time and again."""
    count = len(patches.cells)
    left = [set[int]() for _ in range(count)]
    for a, b in pairs.tolist():
        left[a].add(b)
        left[b].add(a)
    bound = {(a, b): c for (a, b), c in zip(pairs.tolist(), bounds.tolist(), strict=True)}
    limit, wanted = np.zeros(count), [np.empty(0, np.int64)] * count
    sources = []
    waiting = [(-len(own), k) for k, own in enumerate(left) if own]
    heapq.heapify(waiting)
    while waiting:
        pairs_left, most = heapq.heappop(waiting)
        if len(left[most]) < -pairs_left:  # some were covered since
            if left[most]:
                heapq.heappush(waiting, (-len(left[most]), most))
            continue
        sources.append(most)
        wanted[most] = np.array(sorted(left[most]))
        # rounding must not hide a path that costs exactly the bound
        limit[most] = max(bound[min(most, k), max(most, k)] for k in left[most]) * (1 + 1e-9)
        for k in left[most]:
            left[k].discard(most)
        left[most] = set()
    return _Search(patches, limit, tuple(wanted)), sources


def _links_from(search: _Search, source: int) -> list[CostLink]:
    """The links of one patch: the least cost to any cell of another, and the path there."""
    from linkways.kernels.cost_distance import trace_path
    from linkways.kernels.cost_windows import cost_field_near

    patches, limit = search.patches, float(search.limit[source])
    margin = int(min(4096, max(8, 2 * limit * patches.margin_per_cost))) if np.isfinite(limit) else 0
    near = cost_field_near(patches.grid, patches.cells[source], limit, margin=margin)
    place = near.inside(patches.flat, patches.columns)
    held = np.flatnonzero(place >= 0)
    cost = near.field.distance.ravel()[place[held]]
    reached = np.isfinite(cost) & (patches.owner[held] != source)
    if search.wanted is None:
        reached &= patches.owner[held] > source
    else:
        reached &= np.isin(patches.owner[held], search.wanted[source])
    held, cost = held[reached], cost[reached]
    order = np.lexsort((patches.flat[held], cost, patches.owner[held]))
    others, first = np.unique(patches.owner[held][order], return_index=True)
    links = []
    for other, at in zip(others.tolist(), order[first], strict=True):
        path = trace_path(near.field.direction, int(place[held[at]]), wraps=patches.geometry.wraps)
        path = near.cells(path, patches.columns)
        a, b = (source, other) if source < other else (other, source)
        links.append(CostLink(a, b, float(cost[at]), path[::-1] if source < other else path))
    return links


# --- zones -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class ZoneBorders:
    """Pairs of patches whose zones touch, the cheapest way across each border, and the search that tells the zones."""

    one: np.ndarray
    other: np.ndarray
    cost: np.ndarray
    here: np.ndarray
    """Cell on the border inside the zone of ``one``."""
    there: np.ndarray
    """Its neighbour inside the zone of ``other``."""
    direction: np.ndarray


def zone_borders(patches: PatchCells, max_cost: float, *, entered_cells: bool = False) -> ZoneBorders:
    """Cost-allocation neighbours: patches whose zones, the cells cheapest to reach from each, touch.

    The way across a border costs d(u) + d(v) + step(u, v), the least over all neighbouring cells u and v of the two
    zones, d being the cost from the patch. With ``entered_cells`` a path costs the sum of the resistances of the cells
    between the two patches instead of step lengths x mean resistances.
    """
    from linkways.kernels.cost_distance import cost_field_on_grid, prepare

    grid, resistance, steps = patches.grid, patches.resistance, patches.steps
    if entered_cells:
        # with patch cells of 1 and steps of 1 the kernel's cost of a cell is 1/2 + its entered cells - half its own
        resistance = patches.resistance.copy()
        resistance.ravel()[patches.flat] = 1.0
        steps = tuple(np.ones_like(step) for step in patches.steps)  # type: ignore[assignment]
        grid = prepare(resistance, *steps, neighbours=patches.neighbours, wraps=patches.geometry.wraps)
    field = cost_field_on_grid(grid, patches.flat, patches.owner, max_cost=max_cost)
    cost = field.distance
    if entered_cells:
        cost = np.where(field.allocation >= 0, cost + (resistance - 1.0) / 2, np.inf)
    meets = [
        _meeting(field.allocation, cost, resistance, shift, length, patches.geometry.wraps, entered_cells)
        for shift, length in _shifts(steps, patches.neighbours)
    ]
    meets.append(_sharing(patches))
    one, other, across, here, there = (np.concatenate(parts) for parts in zip(*meets, strict=True))
    swap = one > other
    one, other = np.where(swap, other, one), np.where(swap, one, other)
    here, there = np.where(swap, there, here), np.where(swap, here, there)
    order = np.lexsort((there, here, across, other, one))
    pair = np.stack([one[order], other[order]], axis=1)
    _, first = np.unique(pair, axis=0, return_index=True)
    best = order[first]
    best = best[across[best] <= max_cost]
    return ZoneBorders(one[best], other[best], across[best], here[best], there[best], field.direction)


def _sharing(patches: PatchCells) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of patches that stand for one and the same cell, as borders that cost nothing to cross."""
    order = np.lexsort((patches.owner, patches.flat))
    cell, owner = patches.flat[order], patches.owner[order].astype(np.int64)
    same = np.flatnonzero(cell[1:] == cell[:-1])
    return owner[same], owner[same + 1], np.zeros(len(same)), cell[same], cell[same]


def _shifts(
    steps: tuple[np.ndarray, np.ndarray, np.ndarray], neighbours: int
) -> list[tuple[tuple[int, int], np.ndarray]]:
    """The directions that lead from a cell to half of its neighbours, with the length of the step by row."""
    along, down, diagonal = steps
    shifts = [((0, 1), along), ((1, 0), down)]
    return shifts + ([((1, 1), diagonal), ((1, -1), diagonal)] if neighbours == 8 else [])


def _meeting(
    zone: np.ndarray,
    cost: np.ndarray,
    resistance: np.ndarray,
    shift: tuple[int, int],
    length: np.ndarray,
    wraps: bool,
    entered_cells: bool,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Zones, cost of the way across and cells of all neighbours in one direction that lie in two zones."""
    rows, columns = zone.shape
    down, right = shift
    upper, lower = zone[: rows - down], zone[down:]
    there = np.full(upper.shape, -1, zone.dtype)
    if wraps:
        there = np.roll(lower, -right, axis=1)
    elif right == 1:
        there[:, :-1] = lower[:, 1:]
    elif right == -1:
        there[:, 1:] = lower[:, :-1]
    else:
        there = lower
    row, column = np.nonzero((upper != there) & (upper >= 0) & (there >= 0))
    to_row, to_column = row + down, (column + right) % columns
    across = cost[row, column] + cost[to_row, to_column]
    if not entered_cells:
        across = across + length[row] * (resistance[row, column] + resistance[to_row, to_column]) / 2
    return (
        upper[row, column].astype(np.int64), there[row, column].astype(np.int64), across,
        row * columns + column, to_row * columns + to_column,
    )  # fmt: skip


def zone_links(patches: PatchCells, borders: ZoneBorders) -> list[CostLink]:
    """The links along the cheapest way across each border, which stays inside the two zones."""
    from linkways.kernels.cost_distance import trace_path

    links = []
    rows = zip(borders.one, borders.other, borders.cost, borders.here, borders.there, strict=True)
    for one, other, cost, here, there in rows:
        start, end = (trace_path(borders.direction, int(cell), wraps=patches.geometry.wraps) for cell in (here, there))
        links.append(CostLink(int(one), int(other), float(cost), np.concatenate([start[::-1], end])))
    return links


# --- paths -------------------------------------------------------------------------------------------------------


def path_facts(patches: PatchCells, path: np.ndarray) -> tuple[Any, float, float, float]:
    """The line of a path through cell centres, its length in metres, and mean and greatest resistance of its cells."""
    import shapely

    rows, columns = np.divmod(path, patches.columns)
    resistance = patches.resistance[rows, columns]
    points = np.column_stack([patches.raster.x.values[columns], patches.raster.y.values[rows]])
    along, down, diagonal = patches.steps
    upper, moved, across = np.minimum(rows[:-1], rows[1:]), np.diff(rows) != 0, np.diff(columns) != 0
    length = np.empty(len(upper))
    length[~moved] = along[upper[~moved]]
    length[moved & ~across] = down[upper[moved & ~across]]
    length[moved & across] = diagonal[upper[moved & across]]
    line: Any = shapely.linestrings(points if len(points) > 1 else np.repeat(points, 2, axis=0))
    if patches.geometry.wraps:
        line = _parted(points, line)
    return line, float(length.sum()), float(resistance.mean()), float(resistance.max())


def _parted(points: np.ndarray, line: Any) -> Any:
    """A line across the seam of a global grid as two, so that it does not run round the world."""
    import shapely

    breaks = np.flatnonzero(np.abs(np.diff(points[:, 0])) > 180) + 1
    pieces = [piece for piece in np.split(points, breaks) if len(piece) > 1]
    return line if not len(breaks) or not pieces else shapely.multilinestrings([shapely.linestrings(p) for p in pieces])
