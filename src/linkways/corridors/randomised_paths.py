"""Randomised shortest paths: movement between the one best path and a walk without direction."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from linkways.corridors.cost_distance import Neighbours
from linkways.corridors.current import Average
from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Raster, TableOf, Vector, estimate_of, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from linkways.corridors._landscape import CoreCells, Landscape
    from linkways.corridors._walks import EndedWalk, WalkGraph
    from linkways.estimates import Estimate
    from linkways.kernels.nested_dissection import Factor

__all__ = ["RandomisedPaths", "randomised_paths"]

BYTES_OF_FACTOR, BYTES_OF_SWEEPS = 1220.0, 430.0
"""Per cell, at work on one end: by elimination, or in logarithms."""
LARGEST_LOG_WEIGHT = 1e8
"""Theta x cost beyond this leaves fewer than 8 digits to the weights, which are kept as logarithms."""


@dataclass(frozen=True)
class RandomisedPaths:
    """What randomised shortest paths give."""

    passages: Annotated[
        "xr.DataArray", Layer("expected visits of each cell on the way, summed over all pairs", unit="visits")
    ]
    net_passages: Annotated[
        "xr.DataArray",
        Layer("the same without going back and forth: net movement through each cell", unit="movers"),
    ]
    costs: Annotated[
        "pd.DataFrame",
        TableOf("each pair: start, end, movers, least_cost, expected_cost and free_energy (all three cost-metres)"),
    ]
    expected_cost: Annotated[float, Indicator("expected cost of a path, mean over all movers", unit="cost-metres")]


@method(
    "corridors.randomised_paths",
    references=(
        "Saerens M, Achbany Y, Fouss F, Yen L (2009) Randomized shortest-path problems: two related models. Neural "
        "Computation 21:2363-2404",
        "Kivimäki I, Shimbo M, Saerens M (2014) Developments in the theory of randomized shortest paths with a "
        "comparison of graph node distances. Physica A 393:600-616",
        "Panzacchi M, Van Moorter B, Strand O, Saerens M, Kivimäki I, et al. (2016) Predicting the continuum between "
        "corridors and barriers to animal movements using step selection functions and randomized shortest paths. "
        "Journal of Animal Ecology 85:32-42",
    ),
)
def randomised_paths(
    resistance: Annotated["xr.DataArray", Raster("resistance to movement", unit="resistance", positive=True)],
    start: Annotated["gpd.GeoDataFrame", Vector("where paths start; column core numbers them when present")],
    end: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("where paths end, each feature an end of its own; left out: paths join every two starts, both ways"),
    ] = None,
    quality: Annotated[
        "xr.DataArray | None",
        Raster("habitat quality: movers set out from cells, and between pairs, in proportion to it", unit="quality"),
    ] = None,
    *,
    theta: Annotated[
        float,
        Param(
            "how strictly paths keep to low cost: 0 is a random walk, large the least-cost path; a step of cost c is "
            "avoided by the factor exp(-theta c)",
            unit="per cost-metre",
            gt=0,
        ),
    ],
    average: Average = "resistance",
    neighbours: Neighbours = 8,
) -> RandomisedPaths:
    """Where movers pass, and at what cost, when they prefer cheap paths as strictly as theta says.

    A random walk steps from cell i to its neighbour j with probability a_ij / sum_k a_ik; the affinity a_ij is
    (g_a + g_b) / (2 d) with ``average`` conductance, or 2 / ((r_a + r_b) d) with resistance. A step costs its length in
    metres times the mean resistance, as in least-cost paths. Each path from s that ends when it first enters the end T
    gets its probability in this walk times exp(-theta x its cost), scaled so that they sum to 1. Theta towards 0 gives
    the random walk, whose net passages are the current of ``corridors.current``; theta large the least-cost path.
    Theta x the cost of a typical step around 0.01 to 1 lies between.

    With D the sums of affinities and K_ij = a_ij exp(-theta c_ij), the sum z of weights of all paths to T solves
    (D - K) z = K_T 1 outside T, and the visits from the starts p solve (D - K) y = p / z: cell i is visited
    d_i y_i z_i times, step i to j is taken K_ij y_i z_j times. The free energy distance is -log(z_s) / theta, and the
    expected cost lies between the least cost and it. Net passages let movement on the way to one end cancel
    where it crosses a step in opposite directions; the net flow through a cell is the larger of what enters and leaves.

    Every pair has 1 mover, spread evenly over the cells of its start; with ``quality`` it has as many as the
    product of the summed qualities of start and end, spread over the start's cells by quality. The costs
    of a start of several cells are means over its movers. Passages count the visit at the start and the arrival.

    Each end takes one factorisation and three solves, exact to rounding. Where weights leave the range of float64
    (theta x cost above some 1000) the same equations are solved in logarithms instead. One million cells took 4 to 5 s
    of processor time and 1.1 GB for each end, in logarithms 4 s (theta so large that little strays from the best path)
    to 60 s (just out of range).

    Raises LinkwaysError for starts or ends on nodata, that share cells, or that passable cells do not join, quality
    that is negative or nowhere above 0, and a theta too large for both solvers (with the largest that works).

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, shapely
    >>> from linkways import spatial
    >>> from linkways.corridors.randomised_paths import randomised_paths
    >>> resistance = spatial.new_raster([[1, 1, 1], [1, 5, 1], [1, 1, 1]], crs="EPSG:3035", cell_size=10)
    >>> places = gpd.GeoDataFrame(geometry=[shapely.Point(5, -15), shapely.Point(25, -15)], crs="EPSG:3035")
    >>> strict = randomised_paths(resistance, places[:1], places[1:], theta=10)
    >>> strict.net_passages.values.round(3)
    array([[0. , 0.5, 0. ],
           [1. , 0. , 1. ],
           [0. , 0.5, 0. ]])
    >>> loose = randomised_paths(resistance, places[:1], places[1:], theta=0.001)
    >>> print(f"{strict.expected_cost:.1f} cost-metres; nearly at random {loose.expected_cost:.0f}")
    28.3 cost-metres; nearly at random 128
    """
    import pandas as pd

    from linkways.corridors._walks import walk_graph, walking_landscape

    landscape = walking_landscape(resistance, neighbours)
    trips = _trips(landscape, start, end, quality)
    graph = walk_graph(landscape.resistance, landscape.cells, average=average, neighbours=neighbours)
    passages, net = np.zeros(landscape.shape), np.zeros(landscape.shape)
    rows: list[dict[str, Any]] = []
    for found in _to_each_end(landscape, graph, trips, theta):
        passages += found.passages
        net += found.net_passages
        rows += found.rows
    costs = pd.DataFrame(rows)
    return RandomisedPaths(
        passages=landscape.like(_known(landscape, passages), "passages", units="visits"),
        net_passages=landscape.like(_known(landscape, net), "net_passages", units="movers"),
        costs=costs,
        expected_cost=float(np.average(costs["expected_cost"], weights=costs["movers"])),
    )


def _known(landscape: "Landscape", values: np.ndarray) -> np.ndarray:
    return np.where(np.isfinite(landscape.resistance), values, np.nan)


# --- who goes where --------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Trip:
    """One end and the movers that head for it: cells and movers of each start."""

    end: int
    cells: np.ndarray
    starts: list[tuple[int, np.ndarray, np.ndarray]]

    @property
    def at_start(self) -> np.ndarray:
        return np.concatenate([cells for _, cells, _ in self.starts])


def _trips(
    landscape: "Landscape",
    start: "gpd.GeoDataFrame",
    end: "gpd.GeoDataFrame | None",
    quality: "xr.DataArray | None",
) -> list[_Trip]:
    from linkways.corridors._landscape import core_cells

    begins = core_cells(landscape, start, "start")
    ends = begins if end is None else core_cells(landscape, end, "end")
    if end is None and len(begins) < 2:
        raise LinkwaysError("start holds one feature and end is left out: give an end, or a second start")
    if end is not None:
        _refuse_shared(begins, ends)
    worth = _worth(landscape, quality)
    trips = []
    for number, cells in ends:
        heads = [(a, own) for a, own in begins if end is not None or a != number]
        attraction = 1.0 if worth is None else _total(worth, cells, "end" if end is not None else "start", number)
        trips.append(_Trip(number, cells, [_set_out(landscape, a, own, number, cells, worth, attraction)
                                           for a, own in heads]))  # fmt: skip
    return trips


def _refuse_shared(begins: "CoreCells", ends: "CoreCells") -> None:
    for number, cells in ends:
        for other, own in begins:
            shared = np.intersect1d(cells, own)
            if len(shared):
                raise LinkwaysError(
                    f"start {other} and end {number} share {len(shared)} cells; a path from there has no length: move "
                    "or cut one of them"
                )


def _worth(landscape: "Landscape", quality: "xr.DataArray | None") -> np.ndarray | None:
    """Quality of each cell, nodata as 0."""
    if quality is None:
        return None
    values = np.asarray(quality.values, np.float64)
    bad = np.isinf(values) | (values < 0)
    if bad.any():
        row, column = (int(n) for n in np.argwhere(bad)[0])
        raise LinkwaysError(
            f"quality has {int(bad.sum())} cells that are negative or infinite, first at row {row} column {column} "
            f"({values[row, column]:g}); set them to 0 or more"
        )
    return np.where(np.isfinite(values) & np.isfinite(landscape.resistance), values, 0.0).ravel()


def _total(worth: np.ndarray, cells: np.ndarray, what: str, number: int) -> float:
    total = float(worth[cells].sum())
    if total <= 0:
        raise LinkwaysError(f"{what} {number} has no cell with quality above 0; drop it or give its cells a quality")
    return total


def _set_out(
    landscape: "Landscape", start: int, cells: np.ndarray, end: int, goal: np.ndarray, worth: np.ndarray | None,
    attraction: float,
) -> tuple[int, np.ndarray, np.ndarray]:  # fmt: skip
    """Cells and movers of a start for an end; cells that no passable cells join to the end send none."""
    from linkways.spatial import note

    groups = landscape.groups.ravel()
    joined = np.isin(groups[cells], groups[goal])
    if not joined.any():
        raise LinkwaysError(
            f"end {end} cannot be reached from start {start} over passable cells; give the cells between them a "
            "resistance"
        )
    if not joined.all():
        note(f"start {start}: {int((~joined).sum())} of its {len(cells)} cells cannot reach end {end} and send no one")
    kept = cells[joined]
    if worth is None:
        return start, kept, np.full(len(kept), 1.0 / len(kept))
    _total(worth, kept, "start", start)
    some = kept[worth[kept] > 0]
    return start, some, worth[some] * attraction


# --- one end ---------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Found:
    passages: np.ndarray
    net_passages: np.ndarray
    rows: list[dict[str, Any]]


def _to_each_end(landscape: "Landscape", graph: "WalkGraph", trips: list[_Trip], theta: float) -> Iterator[_Found]:
    from linkways.corridors._walks import SMALLEST_LOG_WEIGHT, EndedWalk, NotConverged

    factor: Factor | None = None
    for done, trip in enumerate(trips):
        progress(done / len(trips), f"paths to end {trip.end}")
        ends = np.zeros(landscape.shape, bool)
        ends.ravel()[trip.cells] = True
        walk = EndedWalk(graph, theta, ends)
        least = landscape.cost_field(trip.cells).distance
        farthest = float(least.ravel()[trip.at_start].max())
        _refuse_one_path(theta, farthest, trip)
        found = None
        if theta * farthest < -SMALLEST_LOG_WEIGHT:
            factor = walk.factor(factor, editable=len(trips) > 1)
            found = _directly(walk, trip, least, factor)
        if found is None:
            try:
                found = _in_logarithms(walk, landscape, trip, least)
            except NotConverged:
                raise _too_large(walk, trip) from None
        yield found
    progress(1.0, "paths found")


def _refuse_one_path(theta: float, farthest: float, trip: _Trip) -> None:
    if theta * farthest > LARGEST_LOG_WEIGHT:
        raise LinkwaysError(
            f"theta {theta:g} is too large for the paths to end {trip.end}: float64 cannot tell the weights of paths "
            f"apart; use corridors.least_cost_path, or a theta up to {LARGEST_LOG_WEIGHT / farthest:.2g} per cost-metre"
        )


def _directly(walk: "EndedWalk", trip: _Trip, least: np.ndarray, factor: "Factor") -> _Found | None:
    """The answer by elimination, or None where weights are too small for float64."""
    from linkways.corridors._walks import OutOfRange

    try:
        paths = _weights(walk, trip, factor)
        costs = walk.solve(walk.costs(paths), factor)
        visits = walk.solve(walk.starts(_movers(walk, trip), paths), factor)
    except OutOfRange:
        return None
    return _found(walk, trip, least, paths, costs, visits)


def _weights(walk: "EndedWalk", trip: _Trip, factor: "Factor") -> np.ndarray:
    """Sums of weights of paths to the end, in logarithms; raises OutOfRange if one at a start is too small."""
    from linkways.corridors._walks import SMALLEST_LOG_WEIGHT, OutOfRange

    paths = walk.with_ends(walk.solve(walk.arrivals(), factor))
    if paths[1:-1, 1:-1].ravel()[trip.at_start].min() < SMALLEST_LOG_WEIGHT:
        raise OutOfRange
    return paths


def _in_logarithms(walk: "EndedWalk", landscape: "Landscape", trip: _Trip, least: np.ndarray) -> _Found:
    paths = walk.with_ends(walk.sweep(walk.arrivals(), least))
    costs = walk.sweep(walk.costs(paths), least)
    without = np.where(walk.ends, np.nan, landscape.resistance)
    around = replace(landscape, raster=landscape.raster.copy(data=without))
    away = around.cost_field(np.unique(trip.at_start)).distance
    visits = walk.sweep(walk.starts(_movers(walk, trip), paths), away)
    return _found(walk, trip, least, paths, costs, visits)


def _movers(walk: "EndedWalk", trip: _Trip) -> np.ndarray:
    movers = np.zeros(walk.ends.shape)
    for _, cells, mass in trip.starts:
        movers.ravel()[cells] += mass
    return movers


def _found(
    walk: "EndedWalk", trip: _Trip, least: np.ndarray, paths: np.ndarray, costs: np.ndarray, visits: np.ndarray
) -> _Found:
    from linkways.corridors._walks import flows

    weight, spent = paths[1:-1, 1:-1].ravel(), costs[1:-1, 1:-1].ravel()
    rows = []
    for start, cells, mass in trip.starts:
        means = {
            "least_cost": least.ravel()[cells],
            "expected_cost": np.exp(spent[cells] - weight[cells]),
            "free_energy": -weight[cells] / walk.theta,
        }
        averaged = {name: float(np.average(values, weights=mass)) for name, values in means.items()}
        rows.append({"start": start, "end": trip.end, "movers": float(mass.sum()), **averaged})
    flow = flows(walk, paths, visits)
    return _Found(flow.passages, flow.net_passages, rows)


def _too_large(walk: "EndedWalk", trip: _Trip) -> LinkwaysError:
    """Name the largest theta that elimination can do, by halving the interval it lies in."""
    from linkways.corridors._walks import OutOfRange

    low, high = walk.theta * 1e-6, walk.theta
    for _ in range(12):
        middle = float(np.sqrt(low * high))
        trial = replace(walk, theta=middle)
        try:
            _weights(trial, trip, trial.factor())
            low = middle
        except OutOfRange:
            high = middle
    return LinkwaysError(
        f"theta {walk.theta:g} is too large for the paths to end {trip.end}: their weights leave the range of float64 "
        f"and their logarithms do not settle; the largest theta that works there is about {low:.2g} per cost-metre"
    )


# --- what it takes -----------------------------------------------------------------------------------------------


@estimate_of(randomised_paths)
def _estimate(arguments: dict[str, Any]) -> "Estimate":
    """The way to a few of the ends on thinned ground."""
    from linkways.corridors._walks import SMALLEST_LOG_WEIGHT, walking_landscape
    from linkways.estimates import sampled, thinned

    landscape = walking_landscape(arguments["resistance"], arguments["neighbours"])
    trips = _trips(landscape, arguments["start"], arguments["end"], arguments["quality"])
    passable = np.isfinite(landscape.resistance)
    layer = "start" if arguments["end"] is None else "end"

    def prepare(shape: tuple[int, int], count: int) -> Callable[[], RandomisedPaths]:
        some = np.linspace(0, len(trips) - 1, count).astype(int)
        chosen = {**arguments, layer: arguments[layer].iloc[some]}
        fewer = thinned(chosen, shape, passable, apart=("start", "end"), peaks=("quality",))
        return lambda: randomised_paths(**fewer)

    least = landscape.cost_field(trips[0].cells).distance
    farthest = float(least.ravel()[trips[0].at_start].max())
    _refuse_one_path(arguments["theta"], farthest, trips[0])
    eliminated = arguments["theta"] * farthest < -SMALLEST_LOG_WEIGHT
    # sweeps run over all cells, as often as paths turn, which grows with the side of the raster
    power, bytes_ = (1.2, BYTES_OF_FACTOR) if eliminated else (1.5, BYTES_OF_SWEEPS)
    found = sampled(landscape.shape, prepare, items=len(trips), few=2, more=3, power=power)
    return found.estimate(bytes_ * passable.size, f"{passable.size:,} cells, {len(trips)} ends")
