"""Where the corridors between cores are tight: current through truncated least-cost corridors."""

import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.corridors.cost_distance import Neighbours
from linkways.corridors.links import LinkRule, MaxCost, Nearest, Through, Unreachable
from linkways.errors import LinkwaysError
from linkways.method import Layer, Param, Raster, Vector, estimate_of, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

    from linkways.corridors._circuit import Circuit
    from linkways.corridors._landscape import Landscape
    from linkways.corridors._network import Network
    from linkways.estimates import Estimate

__all__ = ["PinchPoints", "pinch_points"]

Average = Annotated[
    Literal["resistance", "conductance"],
    Param(
        "the branch between two cells has their mean resistance, as least-cost paths do, or their mean conductance",
        source="mean resistance is the rule of least-cost paths, mean conductance the default of Circuitscape",
    ),
]
CELLS_AT_ONCE = 8_000_000  # cells of the circuits solved side by side
BYTES_OF_CIRCUIT, BYTES_OF_MAPS = 170.0, 70.0  # per cell of a circuit being solved, and of the raster
CUT_UNITS = 1000  # whole-number width of the largest cell in the minimum cut


@dataclass(frozen=True)
class PinchPoints:
    """Currents inside corridors, and how much way each link has."""

    current: Annotated[
        "xr.DataArray",
        Layer(
            "current through each cell of the corridors: the largest of the links between neighbours, or the sum "
            "over pairs or over grounds; 0 on cores while they give or take it; empty outside",
            unit="amperes",
        ),
    ]
    links: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "least-cost paths with their measures and cutoff (cost-metres), effective_resistance (resistance units x "
            "metres, comparable to cost), redundancy (cost / effective_resistance: 1 when there is a single way), "
            "max_current (amperes), min_cut_cells and min_cut_m (fewest cells, and their width in metres, that would "
            "sever the corridor)"
        ),
    ]
    pinch_points: Annotated[
        "gpd.GeoDataFrame",
        Layer("the cell of each link's corridor, outside cores, with the most current: link, core_a, core_b, current"),
    ]


@method(
    "corridors.pinch_points",
    references=(
        "McRae BH, Dickson BG, Keitt TH, Shah VB (2008) Using circuit theory to model connectivity in ecology, "
        "evolution, and conservation. Ecology 89:2712-2724",
        "McRae BH (2012) Pinchpoint Mapper connectivity analysis software. Linkage Mapper, The Nature Conservancy",
        "Ford LR, Fulkerson DR (1956) Maximal flow through a network. Canadian Journal of Mathematics 8:399-404",
    ),
)
def pinch_points(
    resistance: Annotated["xr.DataArray", Raster("resistance to movement", unit="resistance", positive=True)],
    cores: Annotated["gpd.GeoDataFrame", Vector("core areas; column core numbers them when present")],
    links: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("the pairs of cores to join; left out: found by the rule", columns=("core_a", "core_b")),
    ] = None,
    *,
    mode: Annotated[
        Literal["adjacent", "all_pairs", "all_to_one"],
        Param(
            "current between the two cores of each link, within its own corridor; between all pairs of cores over "
            "all corridors together; or from all cores to each in turn"
        ),
    ] = "adjacent",
    cutoff: Annotated[
        float | None,
        Param("a corridor holds the cells that cost at most this much more than the path", unit="cost-metres", gt=0),
    ] = None,
    cutoff_percent: Annotated[
        float | None,
        Param("the same as a share of the link's least cost; 10 when neither is given", unit="percent", gt=0),
    ] = None,
    squared_resistance: Annotated[
        bool, Param("square the resistances, which draws the current together; redundancy is then left empty")
    ] = False,
    minimum_cut: Annotated[bool, Param("find the fewest cells that would sever each link's corridor")] = False,
    average: Average = "resistance",
    rule: LinkRule = "allocation",
    max_cost: MaxCost = None,
    nearest: Nearest = 3,
    drop_through_cores: Through = False,
    unreachable: Unreachable = "refuse",
    neighbours: Neighbours = 8,
) -> PinchPoints:
    """Current through the corridors between cores: where it gathers, movement has no other way.

    The corridor of a link holds the cells whose normalised least-cost corridor value CWD_a + CWD_b - LCD_ab is at
    most the cutoff (see corridors.least_cost). The resistance is clipped to it, each core inside it is one node, and
    1 A enters at one core and leaves at the other. The current through a cell is max(inflow, outflow); on cores it is
    set to 0 while they give or take it. Branches have the conductance 1 / (length x mean resistance), lengths in
    metres, so that the effective resistance R has the unit of cost; it is at most the least cost, and their ratio
    tells how much a link gains from having many ways.

    - ``adjacent``: each link on its own, in its own corridor; the map holds the largest current of all links.
    - ``all_pairs``: all pairs of cores over the corridors together, two active cores at a time, the others being
      plain ground; the map holds the sum.
    - ``all_to_one``: each core in turn is ground and 1 A enters at every other; all cores are single nodes throughout,
      for the effective resistances too; the map holds the sum.

    The minimum cut is the set of cells of least width (square root of the cell's area) without which no way of
    neighbouring cells is left (maximum flow; Ford and Fulkerson 1956); it counts cells, so that a slanted corridor
    counts up to 1.41 times its straight width. It is empty where the two cores touch.

    Raises LinkwaysError for a single core, cores on nodata or that cannot reach each other, and both cutoffs given.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, shapely
    >>> from linkways import corridors, spatial
    >>> ground = np.ones((9, 30))
    >>> ground[:, 15] = np.nan
    >>> ground[4, 15] = 1  # the only gap
    >>> resistance = spatial.new_raster(ground, crs="EPSG:3035", cell_size=100)
    >>> cores = gpd.GeoDataFrame(geometry=[shapely.box(x, -900, x + 200, 0) for x in (0, 2800)], crs="EPSG:3035")
    >>> found = corridors.pinch_points(resistance, cores, cutoff=2000)
    >>> print(found.pinch_points.geometry[0], f"{found.pinch_points.current[0]:.3f} A")
    POINT (1550 -450) 1.000 A
    """
    from linkways.corridors._network import build_network

    if cutoff is not None and cutoff_percent is not None:
        raise LinkwaysError("corridors.pinch_points: cutoff and cutoff_percent are given together; keep one of them")
    percent = None if cutoff is not None else (cutoff_percent or 10.0)
    beyond = 0.0 if max_cost is None else (cutoff if cutoff is not None else max_cost * (percent or 0.0) / 100)
    network = build_network(
        resistance, cores, links, rule=rule, max_cost=max_cost, nearest=nearest,
        drop_through_cores=drop_through_cores, unreachable=unreachable, neighbours=neighbours, beyond=beyond,
    )  # fmt: skip
    try:
        options = _Options(cutoff, percent, average, squared_resistance, minimum_cut)
        corridors = list(_corridors(network, options))
    finally:
        network.fields.close()
    if mode == "adjacent":
        return _adjacent(network, corridors, options)
    return _together(network, corridors, options, mode)


# --- corridors as circuits ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Options:
    cutoff: float | None
    percent: float | None
    average: Literal["resistance", "conductance"]
    squared: bool
    cut: bool


@dataclass(frozen=True)
class Clip:
    """Cells of the grid, some of them open: consecutive rows, and columns in order (also across the seam)."""

    rows: np.ndarray
    columns: np.ndarray
    open: np.ndarray
    width: int

    @classmethod
    def around(cls, inside: np.ndarray, corner: tuple[int, int], width: int, wraps: bool) -> "Clip":
        """The smallest clip around the True cells of a window whose upper left cell is ``corner``."""
        rows = np.flatnonzero(inside.any(axis=1))
        used = np.asarray(inside.any(axis=0))
        shift = int(np.argmin(used)) if wraps and len(used) == width and not used.all() else 0
        used = np.roll(used, -shift)
        columns = np.flatnonzero(used)
        down = np.arange(rows[0], rows[-1] + 1)
        right = (np.arange(columns[0], columns[-1] + 1) + shift) % len(used)
        return cls(down + corner[0], right + corner[1], inside[np.ix_(down, right)], width)

    @property
    def grid(self) -> tuple[np.ndarray, np.ndarray]:
        return self.rows[:, None], self.columns[None, :]

    def local(self, cells: np.ndarray) -> np.ndarray:
        """Flat cells of the grid as open flat cells of the clip; those outside are left out."""
        place = np.full(self.width, -1)
        place[self.columns] = np.arange(len(self.columns))
        row, column = cells // self.width - self.rows[0], place[cells % self.width]
        there = (row >= 0) & (row < len(self.rows)) & (column >= 0)
        row, column = row[there], column[there]
        here = self.open[row, column]
        return np.asarray(row[here] * len(self.columns) + column[here], np.intp)

    def cell(self, flat: int) -> int:
        """A flat cell of the clip as one of the grid."""
        row, column = divmod(flat, len(self.columns))
        return int(self.rows[row] * self.width + self.columns[column])

    def circuit(self, landscape: "Landscape", options: _Options, **more: Any) -> "Circuit":
        """The open cells as a circuit, lengths in metres."""
        from linkways.corridors._circuit import build_circuit
        from linkways.kernels.laplacian import StepLengths

        raster = np.where(self.open, landscape.resistance[self.grid], np.nan)
        east_west, north_south, diagonal = landscape.steps
        first, last = self.rows[0], self.rows[-1]
        steps = StepLengths(east_west[first : last + 1], north_south[first:last], diagonal[first:last])
        return build_circuit(
            raster**2 if options.squared else raster,
            average=options.average, neighbours=landscape.neighbours, steps=steps, **more,  # type: ignore[arg-type]
        )  # fmt: skip


@dataclass(frozen=True)
class _Corridor:
    """One link's corridor, its two cores' cells within it (flat, in the clip), and its row of the table."""

    clip: Clip
    one: np.ndarray
    two: np.ndarray
    row: dict[str, Any]


def _corridors(network: "Network", options: _Options) -> Iterator[_Corridor]:
    from linkways.corridors._corridors import normalised_corridor

    landscape, cores = network.landscape, network.cores
    for number, link in enumerate(network.links, 1):
        window, excess = normalised_corridor(network, link)
        limit = options.cutoff if options.cutoff is not None else link.cost * (options.percent or 0.0) / 100
        corner = window.top, window.left
        clip = Clip.around(excess <= limit, corner, landscape.shape[1], landscape.cells.wraps)
        row = {**link.row(number, cores.ids), "cutoff": limit}
        yield _Corridor(clip, clip.local(cores.cells[link.a]), clip.local(cores.cells[link.b]), row)


@dataclass(frozen=True)
class _Found:
    current: np.ndarray
    resistance: float
    cut: tuple[float, float]

    def pack(self) -> dict[str, np.ndarray]:
        return {"current": self.current, "numbers": np.array([self.resistance, *self.cut])}

    @classmethod
    def unpack(cls, kept: dict[str, np.ndarray]) -> "_Found":
        resistance, cells, metres = kept["numbers"].tolist()
        return cls(kept["current"], resistance, (cells, metres))


def _adjacent(network: "Network", corridors: list[_Corridor], options: _Options) -> PinchPoints:
    from linkways.checkpoint import kept_each
    from linkways.workers import each

    landscape = network.landscape
    largest = max(c.clip.open.size for c in corridors)
    threads = max(1, min(os.cpu_count() or 1, CELLS_AT_ONCE // largest))
    mosaic = np.full(landscape.shape, np.nan)
    rows, spots = [], []
    shared = landscape, options
    ground = landscape.resistance, landscape.steps, landscape.neighbours, landscape.cells.area_m2
    content = ground, options, [(c.clip, c.one, c.two) for c in corridors]

    def through(left: list[_Corridor]) -> Iterator[_Found]:
        return each(_through_corridor, shared, left, threads=threads)

    name, pack, unpack = "current in corridors", _Found.pack, _Found.unpack
    for done, found in enumerate(kept_each(name, content, corridors, through, pack=pack, unpack=unpack)):
        corridor = corridors[done]
        part = mosaic[corridor.clip.grid]
        mosaic[corridor.clip.grid] = np.fmax(part, np.where(corridor.clip.open, found.current, np.nan))
        best = int(np.argmax(found.current))
        rows.append(_measures(corridor, options, found.resistance, float(found.current.flat[best]), found.cut))
        spots.append(corridor.clip.cell(best))
        progress(0.8 + 0.2 * (done + 1) / len(corridors), f"current in corridor {done + 1} of {len(corridors)}")
    return _result(network, mosaic, rows, spots)


def _through_corridor(shared: "tuple[Landscape, _Options]", corridor: _Corridor) -> _Found:
    """1 A from core to core in the corridor."""
    landscape, options = shared
    circuit = corridor.clip.circuit(landscape, options)
    responses = quietly_driven(circuit, [corridor.one, corridor.two])
    current = responses.pair_current(0, 1, at_focal=False)
    cut = math.nan, math.nan
    if options.cut:
        size = np.sqrt(landscape.cells.area_m2[corridor.clip.rows])
        cut = cut_of_least_width(corridor.clip.open, corridor.one, corridor.two, size, landscape.neighbours)
    return _Found(current, float(responses.resistances[0, 1]), cut)


def quietly_driven(circuit: "Circuit", nodes: list[np.ndarray]) -> Any:
    """The circuit's responses; its own progress is one step of ours."""
    from linkways.method import reporting_progress

    with reporting_progress(lambda *_: None):
        return circuit.drive(nodes)


def _measures(
    corridor: _Corridor, options: _Options, resistance: float, current: float, cut: tuple[float, float]
) -> dict[str, Any]:
    row = dict(corridor.row)
    line = row.pop("geometry")
    row["effective_resistance"] = resistance
    row["redundancy"] = math.nan if options.squared or not resistance > 0 else row["cost"] / resistance
    row["max_current"] = current
    row["min_cut_cells"], row["min_cut_m"] = cut
    return {**row, "geometry": line}


def _result(network: "Network", mosaic: np.ndarray, rows: list[dict[str, Any]], spots: list[int]) -> PinchPoints:
    import geopandas as gpd
    import shapely

    crs = network.landscape.raster.rio.crs
    links = gpd.GeoDataFrame(rows, geometry="geometry", crs=crs)
    table = links[["link", "core_a", "core_b"]].assign(current=links["max_current"])
    points = list(shapely.points(network.landscape.points(np.array(spots, np.int64))))
    return PinchPoints(
        network.landscape.like(mosaic, "current", units="amperes"),
        links,
        gpd.GeoDataFrame(table, geometry=points, crs=crs).sort_values("current", ascending=False, ignore_index=True),
    )


# --- all corridors together --------------------------------------------------------------------------------------


def _together(network: "Network", corridors: list[_Corridor], options: _Options, mode: str) -> PinchPoints:
    landscape, cores = network.landscape, network.cores
    union = np.zeros(landscape.shape, bool)
    for corridor in corridors:
        union[corridor.clip.grid] |= corridor.clip.open
    clip = Clip.around(union, (0, 0), landscape.shape[1], landscape.cells.wraps)
    cells = [clip.local(own) for own in cores.cells]
    joined = [n for n, own in enumerate(cells) if len(own)]
    circuit = clip.circuit(landscape, options, threads=os.cpu_count() or 1)
    way = _sum_over_pairs if mode == "all_pairs" else _sum_over_grounds
    current, between = way(circuit, [cells[n] for n in joined])
    mosaic = np.full(landscape.shape, np.nan)
    mosaic[clip.grid] = np.where(clip.open, current, np.nan)
    place = {cores.ids[n]: k for k, n in enumerate(joined)}
    outside = np.where(cores.labels(landscape.shape) < 0, mosaic, -1.0)
    rows, spots = [], []
    for corridor in corridors:
        own = np.where(corridor.clip.open, outside[corridor.clip.grid], -1.0)
        best = int(np.argmax(own))
        resistance = float(between[place[corridor.row["core_a"]], place[corridor.row["core_b"]]])
        cut = _through_cut(landscape, corridor) if options.cut else (math.nan, math.nan)
        rows.append(_measures(corridor, options, resistance, max(float(own.flat[best]), 0.0), cut))
        spots.append(corridor.clip.cell(best))
    return _result(network, mosaic, rows, spots)


def _through_cut(landscape: "Landscape", corridor: _Corridor) -> tuple[float, float]:
    size = np.sqrt(landscape.cells.area_m2[corridor.clip.rows])
    return cut_of_least_width(corridor.clip.open, corridor.one, corridor.two, size, landscape.neighbours)


def _sum_over_pairs(circuit: "Circuit", cells: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Current summed over all pairs, only the two active cores being single nodes, and R of every pair."""
    from linkways.checkpoint import resumed

    total = np.zeros(circuit.shape)
    between = np.full((len(cells), len(cells)), np.nan)
    pairs = [(s, t) for s in range(len(cells)) for t in range(s + 1, len(cells))]
    content = circuit.content, cells
    with resumed("current of pairs of cores", content, {"total": total, "between": between}) as kept:
        progress(0.8 + 0.2 * kept.first / len(pairs), f"current of pair {kept.first} of {len(pairs)}")
        for done, (s, t) in enumerate(pairs[kept.first :], kept.first + 1):
            responses = quietly_driven(circuit, [cells[s], cells[t]])
            between[s, t] = between[t, s] = responses.resistances[0, 1]
            total += responses.pair_current(0, 1, at_focal=False)
            kept.keep(done)
            progress(0.8 + 0.2 * done / len(pairs), f"current of pair {done} of {len(pairs)}")
    return total, between


def _sum_over_grounds(circuit: "Circuit", cells: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Current summed over all cores as ground, 1 A from every other, and R of every pair; all cores single nodes."""
    responses = quietly_driven(circuit, cells)
    total = np.zeros(circuit.shape)
    for ground in range(len(cells)):
        others = [n for n in range(len(cells)) if n != ground]
        total += responses.current(responses.all_to_one(ground, others, [1.0] * len(others)))
        progress(0.8 + 0.2 * (ground + 1) / len(cells), f"current to core {ground + 1} of {len(cells)}")
    total.reshape(-1)[np.concatenate(cells)] = 0.0
    return total, responses.resistances


# --- the minimum cut ---------------------------------------------------------------------------------------------


def cut_of_least_width(
    inside: np.ndarray, one: np.ndarray, two: np.ndarray, size: np.ndarray, neighbours: int
) -> tuple[float, float]:
    """The fewest cells, by total width, whose closing severs two groups of flat cells: their number and width.

    ``inside`` (rows, columns) open cells, ``size`` (rows,) the width of a cell in metres. NaN where the groups touch.
    The groups' own cells are not closed. Maximum flow on the graph in which every cell is an edge of its width.
    """
    from scipy.sparse import csr_array
    from scipy.sparse.csgraph import maximum_flow

    rows, columns = inside.shape
    group = np.zeros(rows * columns, np.int8)
    group[one], group[two] = 1, 2
    free = np.flatnonzero(inside.ravel() & (group == 0))
    enter = np.full(rows * columns, -1)
    leave = np.full(rows * columns, -1)
    enter[free], leave[free] = 2 + np.arange(len(free)), 2 + len(free) + np.arange(len(free))
    leave[one], enter[two] = 0, 1
    width = np.maximum(np.rint(size / size.max() * CUT_UNITS).astype(np.int32), 1)
    tails, heads, values = [enter[free]], [leave[free]], [width[free // columns]]
    steps = [(0, 1), (1, 0), (1, 1), (1, -1)] if neighbours == 8 else [(0, 1), (1, 0)]
    places = np.arange(rows * columns).reshape(rows, columns)
    for down, right in steps:
        a = places[: rows - down, max(0, -right) : columns - max(0, right)].ravel()
        b = places[down:, max(0, right) : columns + min(0, right)].ravel()
        for x, y in ((a, b), (b, a)):
            used = (leave[x] >= 0) & (enter[y] >= 0)
            if (used & (group[x] == 1) & (group[y] == 2)).any():
                return math.nan, math.nan
            tails.append(leave[x[used]])
            heads.append(enter[y[used]])
            values.append(np.full(int(used.sum()), np.iinfo(np.int32).max // 16, np.int32))
    graph = csr_array(
        (np.concatenate(values), (np.concatenate(tails), np.concatenate(heads))), shape=(2 + 2 * len(free),) * 2
    )
    result = maximum_flow(graph, 0, 1)
    return _cut_cells(graph, result.flow, len(free)), float(result.flow_value) * float(size.max()) / CUT_UNITS


def _cut_cells(graph: Any, flow: Any, free: int) -> float:
    """Cells whose entry the source still reaches in what the flow leaves, but not their exit."""
    from scipy.sparse.csgraph import breadth_first_order

    left = graph - flow
    left.data = np.maximum(left.data, 0)
    left.eliminate_zeros()
    reached = np.zeros(2 + 2 * free, bool)
    reached[breadth_first_order(left, 0, return_predecessors=False)] = True
    return float((reached[2 : 2 + free] & ~reached[2 + free :]).sum())


# --- what it takes -----------------------------------------------------------------------------------------------


@estimate_of(pinch_points)
def _estimate(arguments: dict[str, Any]) -> "Estimate":
    """All of it on thinned ground."""
    from linkways.corridors._landscape import Landscape
    from linkways.corridors._network import field_bytes, joinable_cores
    from linkways.estimates import sampled, thinned

    landscape = Landscape.of(arguments["resistance"], arguments["neighbours"])
    cores = joinable_cores(landscape, arguments["cores"], arguments["unreachable"])
    passable = np.isfinite(landscape.resistance)
    links: list[gpd.GeoDataFrame] = []

    def prepare(shape: tuple[int, int], _: int) -> Callable[[], None]:
        fewer = thinned(arguments, shape, passable, apart=("cores",))
        return lambda: links.append(pinch_points(**fewer).links)

    found = sampled(landscape.shape, prepare, power=1.1)
    cells = passable.size
    if arguments["mode"] == "adjacent":
        largest = _largest_box(links[-1], landscape) * cells
        held = largest * BYTES_OF_CIRCUIT * max(1.0, min(os.cpu_count() or 1, len(links[-1]), CELLS_AT_ONCE / largest))
    else:
        held = cells * (BYTES_OF_CIRCUIT + (8.0 * len(cores) if arguments["mode"] == "all_to_one" else 16.0))
    memory = BYTES_OF_MAPS * cells + max(field_bytes(len(cores), cells), held)
    return found.estimate(memory, f"{cells:,} cells, {len(cores)} cores, about {len(links[-1])} links")


def _largest_box(links: "gpd.GeoDataFrame", landscape: "Landscape") -> float:
    """The share of the raster in the largest box around a link, with some room for its corridor."""
    west, south, east, north = (np.asarray(side) for side in links.bounds.to_numpy().T)
    x, y = (np.ptp(axis.values) or 1.0 for axis in (landscape.raster.x, landscape.raster.y))
    wide, high = (np.minimum(part + 0.1, 1.0) for part in ((east - west) / x, (north - south) / y))
    return float((wide * high).max())
