"""The cost distance of every core, computed once, and the links read off them."""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import astuple, dataclass, field
from functools import cached_property
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.checkpoint import kept_each
from linkways.corridors._landscape import CoreCells, Landscape, core_cells, core_table, refuse_unreachable
from linkways.corridors._paths import Path, path_along
from linkways.errors import LinkwaysError
from linkways.method import progress
from linkways.spatial import note
from linkways.workers import each

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

__all__ = ["CoreFields", "Link", "Network", "build_network", "field_bytes", "joinable_cores"]

MEMORY_FOR_FIELDS = 128 * 2**20


@dataclass(frozen=True)
class Window:
    """A part of the grid: rows and columns, ends excluded."""

    top: int
    bottom: int
    left: int
    right: int

    @property
    def slices(self) -> tuple[slice, slice]:
        return slice(self.top, self.bottom), slice(self.left, self.right)

    @property
    def shape(self) -> tuple[int, int]:
        return self.bottom - self.top, self.right - self.left

    def common(self, other: Window) -> Window:
        top, left = max(self.top, other.top), max(self.left, other.left)
        return Window(top, max(top, min(self.bottom, other.bottom)), left, max(left, min(self.right, other.right)))

    def within(self, outer: Window) -> tuple[slice, slice]:
        return (
            slice(self.top - outer.top, self.bottom - outer.top),
            slice(self.left - outer.left, self.right - outer.left),
        )


class CoreFields:
    """The cost distances of all cores, each computed once; those beyond the memory allowance lie on disk."""

    def __init__(self, landscape: Landscape, cores: CoreCells, limit: float) -> None:
        self.landscape = landscape
        self.cores = cores
        self.limit = limit
        self._windows: list[Window] = []
        self._arrays: dict[tuple[str, int], np.ndarray | FilePath] = {}
        self._held = 0
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def compute(self) -> np.ndarray:
        """Compute every field, in parallel, and return the least cost between all pairs of cores."""
        count = len(self.cores)
        between = np.full((count, count), math.inf)
        start = self.landscape.graph, self.cores.cells, self.limit

        def fields(left: list[int]) -> Iterator[_Field]:
            return each(_field_of_core, start, left)

        name = "cost distances of cores"
        for index, found in enumerate(kept_each(name, start, range(count), fields, pack=_packed, unpack=_unpacked)):
            between[index], window, distance, direction = found
            self._windows.append(window)
            self._keep("distance", index, distance)
            self._keep("direction", index, direction)
            progress(0.7 * (index + 1) / count, f"cost distance {index + 1} of {count}")
        upper = np.triu(between, 1)
        return np.asarray(upper + upper.T)

    def _keep(self, what: str, index: int, array: np.ndarray) -> None:
        if self._held + array.nbytes <= MEMORY_FOR_FIELDS:
            self._held += array.nbytes
            self._arrays[what, index] = array
            return
        if self._folder is None:
            self._folder = tempfile.TemporaryDirectory(prefix="linkways-")
        file = FilePath(self._folder.name) / f"{what}-{index}.npy"
        np.save(file, array)
        self._arrays[what, index] = file

    def read(self, what: str, index: int) -> tuple[Window, np.ndarray]:
        """The window that core ``index`` reached, and its ``distance`` or ``direction`` there."""
        found = self._arrays[what, index]
        return self._windows[index], found if isinstance(found, np.ndarray) else np.load(found)

    def path(self, index: int, other: int) -> Path:
        """The least-cost path from core ``index`` to core ``other``."""
        window, distance = self.read("distance", index)
        rows, columns = np.divmod(self.cores.cells[other], self.landscape.shape[1])
        inside = (rows >= window.top) & (rows < window.bottom) & (columns >= window.left) & (columns < window.right)
        rows, columns = rows[inside], columns[inside]
        best = int(np.argmin(distance[rows - window.top, columns - window.left]))
        direction = np.full(self.landscape.shape, -2, np.int8)
        direction[window.slices] = self.read("direction", index)[1]
        return path_along(self.landscape, direction, int(rows[best] * self.landscape.shape[1] + columns[best]))

    def close(self) -> None:
        """Drop what lies on disk."""
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def field_bytes(cores: int, cells: int) -> float:
    """Memory that the cost distances of all cores take: at work, and held until the network is closed."""
    return 25.0 * cells * min(os.cpu_count() or 1, 8, cores) + min(9.0 * cells * cores, MEMORY_FOR_FIELDS)


_Field = tuple[np.ndarray, Window, np.ndarray, np.ndarray]


def _field_of_core(start: tuple[Any, tuple[np.ndarray, ...], float], index: int) -> _Field:
    """Least cost from one core to every core, and the distance and direction on the window it reached."""
    from linkways.kernels.cost_distance import cost_field_on_grid

    graph, cores, limit = start
    field = cost_field_on_grid(graph, cores[index], np.zeros(len(cores[index]), np.int32), max_cost=limit)
    flat = field.distance.ravel()
    row = np.array([flat[cells].min() for cells in cores])
    window = _reached(field.distance)
    return row, window, field.distance[window.slices].copy(), field.direction[window.slices].copy()


def _packed(found: _Field) -> dict[str, np.ndarray]:
    row, window, distance, direction = found
    return {"row": row, "window": np.array(astuple(window)), "distance": distance, "direction": direction}


def _unpacked(kept: dict[str, np.ndarray]) -> _Field:
    return kept["row"], Window(*kept["window"].tolist()), kept["distance"], kept["direction"]


def _reached(distance: np.ndarray) -> Window:
    reached = np.isfinite(distance)
    rows, columns = np.flatnonzero(reached.any(axis=1)), np.flatnonzero(reached.any(axis=0))
    return Window(int(rows[0]), int(rows[-1]) + 1, int(columns[0]), int(columns[-1]) + 1)


@dataclass(frozen=True)
class Link:
    """One link between two cores, by their index."""

    a: int
    b: int
    cost: float
    path: Path
    euclidean_m: float

    def row(self, number: int, ids: tuple[int, ...]) -> dict[str, Any]:
        euclidean = self.euclidean_m if self.euclidean_m > 0 else math.nan
        length = self.path.length_m if self.path.length_m > 0 else math.nan
        return {
            "link": number,
            "core_a": ids[self.a],
            "core_b": ids[self.b],
            "euclidean_m": self.euclidean_m,
            "cost": self.cost,
            "length_m": self.path.length_m,
            "cost_to_euclidean": self.cost / euclidean,
            "cost_to_length": self.cost / length,
            "mean_resistance": self.path.mean_resistance,
            "max_resistance": self.path.max_resistance,
            "geometry": self.path.line,
        }


@dataclass
class Network:
    """Cores, their cost distances, and the links between them."""

    landscape: Landscape
    cores: CoreCells
    fields: CoreFields
    links: list[Link] = field(default_factory=list)

    @cached_property
    def owner(self) -> np.ndarray:
        """Index of the cheapest core of every cell, -1 where none reaches."""
        cells = np.concatenate(self.cores.cells)
        labels = np.repeat(np.arange(len(self.cores)), [len(c) for c in self.cores.cells])
        return self.landscape.cost_field(cells, labels, max_cost=self.fields.limit).allocation

    def allocation(self) -> xr.DataArray:
        """The allocation as a raster of core numbers."""
        ids = np.array([*self.cores.ids, 0], float)
        return self.landscape.like(np.where(self.owner >= 0, ids[self.owner], np.nan), "allocation")

    def table(self) -> gpd.GeoDataFrame:
        """The links as features."""
        import geopandas as gpd

        rows = [link.row(number, self.cores.ids) for number, link in enumerate(self.links, 1)]
        return gpd.GeoDataFrame(rows, geometry="geometry", crs=self.landscape.raster.rio.crs)


def build_network(
    resistance: xr.DataArray,
    cores: gpd.GeoDataFrame,
    links: gpd.GeoDataFrame | None,
    *,
    rule: str,
    max_cost: float | None,
    nearest: int,
    drop_through_cores: bool,
    unreachable: str,
    neighbours: int,
    beyond: float = 0.0,
) -> Network:
    """Cost distances of all cores and the links by the rule, or the links given.

    ``beyond`` widens the cost distances past ``max_cost``, so that corridors wider than their path fit in.
    """
    landscape = Landscape.of(resistance, neighbours)
    table = core_table(cores)
    found = joinable_cores(landscape, table, unreachable)
    limit = math.inf if max_cost is None else max_cost + beyond
    network = Network(landscape, found, CoreFields(landscape, found, limit))
    between = network.fields.compute()
    cap = math.inf if max_cost is None else max_cost
    wanted = _pairs(network, table, between, rule, nearest) if links is None else _given_pairs(links, found.ids)
    pairs = [(a, b) for a, b in wanted if between[a, b] <= cap]
    geometry = table.set_index("core").geometry
    for number, (a, b) in enumerate(pairs):
        path = network.fields.path(a, b)
        if drop_through_cores and _third_core(network, path, a, b):
            continue
        gap = _edge_to_edge_m(geometry[found.ids[a]], geometry[found.ids[b]], table.crs)
        network.links.append(Link(a, b, float(between[a, b]), path, gap))
        progress(0.7 + 0.1 * (number + 1) / len(pairs), f"link {number + 1} of {len(pairs)}")
    if not network.links:
        what = f"cost at most {cap:g} cost-metres" if max_cost else "meet the rule"
        raise LinkwaysError(f"no link between the {len(found)} cores would {what}; raise max_cost or change the rule")
    _tell_left_out(found, network.links)
    return network


def joinable_cores(landscape: Landscape, cores: gpd.GeoDataFrame, unreachable: str) -> CoreCells:
    """The cells of at least two cores that can reach each other, or why there are none."""
    found = core_cells(landscape, cores)
    if len(found) < 2:
        raise LinkwaysError("cores holds a single core area; give at least two to join")
    return refuse_unreachable(landscape, found, drop=unreachable == "drop")


def _tell_left_out(cores: CoreCells, links: list[Link]) -> None:
    joined = {i for link in links for i in (link.a, link.b)}
    alone = [str(core) for i, core in enumerate(cores.ids) if i not in joined]
    if alone:
        note(f"cores without any link under the rule and limits given: {', '.join(alone)}")


def _given_pairs(links: gpd.GeoDataFrame, ids: tuple[int, ...]) -> list[tuple[int, int]]:
    index = {core: i for i, core in enumerate(ids)}
    pairs = set()
    for row, (a, b) in enumerate(zip(links["core_a"], links["core_b"], strict=True)):
        for core in (a, b):
            if core not in index:
                raise LinkwaysError(
                    f"links row {row + 1} names core {core}, which is not among the cores; drop the row"
                )
        if a == b:
            raise LinkwaysError(f"links row {row + 1} joins core {a} to itself; drop the row")
        pairs.add((min(index[a], index[b]), max(index[a], index[b])))
    return sorted(pairs)


def _pairs(
    network: Network, table: gpd.GeoDataFrame, between: np.ndarray, rule: str, nearest: int
) -> list[tuple[int, int]]:
    count = len(network.cores)
    if rule == "all_pairs":
        pairs = {(a, b) for a in range(count) for b in range(a + 1, count)}
    elif rule == "nearest":
        pairs = set()
        for a in range(count):
            others = sorted((b for b in range(count) if b != a), key=lambda b: (between[a, b], b))
            pairs |= {(min(a, b), max(a, b)) for b in others[:nearest]}
    elif rule == "delaunay":
        pairs = _delaunay(network, table)
    else:
        pairs = _touching(network.owner, network.landscape)
    return sorted((a, b) for a, b in pairs if np.isfinite(between[a, b]))


def _touching(owner: np.ndarray, landscape: Landscape) -> set[tuple[int, int]]:
    """Pairs of zones with neighbouring cells."""
    shifts = [(owner[:-1], owner[1:]), (owner[:, :-1], owner[:, 1:])]
    if landscape.neighbours == 8:
        shifts += [(owner[:-1, :-1], owner[1:, 1:]), (owner[:-1, 1:], owner[1:, :-1])]
    if landscape.cells.wraps:
        shifts.append((owner[:, -1], owner[:, 0]))
        if landscape.neighbours == 8:
            shifts += [(owner[:-1, -1], owner[1:, 0]), (owner[1:, -1], owner[:-1, 0])]
    pairs: set[tuple[int, int]] = set()
    for one, two in shifts:
        meet = (one != two) & (one >= 0) & (two >= 0)
        both = np.stack([np.minimum(one, two)[meet], np.maximum(one, two)[meet]], axis=1)
        pairs |= {(int(a), int(b)) for a, b in np.unique(both, axis=0)}
    return pairs


def _delaunay(network: Network, table: gpd.GeoDataFrame) -> set[tuple[int, int]]:
    from scipy.spatial import Delaunay, QhullError

    points = table.set_index("core").loc[list(network.cores.ids)].geometry.representative_point()
    if points.crs.is_geographic:
        points = points.to_crs(_centred_on(points.union_all().centroid))
    xy = np.column_stack([points.x, points.y])
    if len(xy) < 4:
        return {(a, b) for a in range(len(xy)) for b in range(a + 1, len(xy))}
    try:
        corners = Delaunay(xy).simplices
    except QhullError:
        # all on one line: each is joined to the next
        along = np.argsort(xy @ (xy[-1] - xy[0] + 1e-9), kind="stable")
        return {(min(a, b), max(a, b)) for a, b in zip(along[:-1].tolist(), along[1:].tolist(), strict=True)}
    sides = np.concatenate([corners[:, [0, 1]], corners[:, [1, 2]], corners[:, [0, 2]]])
    return {(int(min(a, b)), int(max(a, b))) for a, b in sides}


def _third_core(network: Network, path: Path, a: int, b: int) -> bool:
    labels = network.cores.labels(network.landscape.shape).ravel()[path.cells]
    return bool(np.setdiff1d(labels, [-1, a, b]).size)


def _centred_on(point: Any) -> str:
    return f"+proj=aeqd +lat_0={point.y:.6f} +lon_0={point.x:.6f} +ellps=WGS84"


def _edge_to_edge_m(one: Any, two: Any, crs: Any) -> float:
    """Shortest distance between two features in metres; geodesic for a geographic CRS.

    In a geographic CRS the nearest points are found on an azimuthal equidistant plane centred between the nearest
    points in degrees, and their distance is then taken on the ellipsoid.
    """
    import pyproj
    import shapely

    if not crs.is_geographic:
        return float(shapely.distance(one, two) * crs.axis_info[0].unit_conversion_factor)
    if shapely.intersects(one, two):
        return 0.0
    middle = shapely.shortest_line(one, two).centroid
    plane = pyproj.Transformer.from_crs(crs, _centred_on(middle), always_xy=True)

    def moved(shape: Any) -> Any:
        return shapely.transform(shape, lambda xy: np.column_stack(plane.transform(xy[:, 0], xy[:, 1])))

    ends = shapely.get_coordinates(shapely.shortest_line(moved(one), moved(two)))
    lon, lat = plane.transform(ends[:, 0], ends[:, 1], direction="INVERSE")
    return float(crs.get_geod().inv(lon[0], lat[0], lon[1], lat[1])[2])
