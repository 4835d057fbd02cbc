"""How much each cell, or each planned site, would give back to the links between cores when it is restored."""

import itertools
import math
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from operator import itemgetter
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.corridors.cost_distance import Neighbours
from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Raster, TableOf, Vector, estimate_of, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from linkways.corridors._edited_circuits import After, Edit, Ground, TwoCores
    from linkways.corridors._landscape import CoreCells, Landscape
    from linkways.estimates import Estimate

__all__ = ["RestoreGain", "restore_cell_gain"]

CELLS_AT_ONCE = 4_000_000  # cells of the circuits solved side by side
BYTES_OF_MAPS, BYTES_OF_CIRCUIT = 60.0, 250.0  # per cell, for results and for each circuit at work
FEW_SITES = 3  # in a sample of what it takes
OHMS = "resistance units x metres"


@dataclass(frozen=True)
class RestoreGain:
    """What restoration gains, in effective resistance between cores."""

    gain: Annotated[
        "xr.DataArray",
        Layer(
            "decrease of effective resistance, summed over links, that restoring this cell alone brings at least; 0 "
            "where it is no better than now, empty on nodata",
            unit=OHMS,
        ),
    ]
    sensitivity: Annotated[
        "xr.DataArray",
        Layer(
            "derivative of the effective resistance, summed over links, by the resistance of the cell", unit="metres"
        ),
    ]
    sites: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "the sites, or the best cells where none are given, best first: rank, site, cells (number changed), "
            "joins (links it joins that nothing joined before), gain (exact, resistance units x metres, over links "
            "joined before), at_least (its lower bound from the first pass), gain_percent of the sum over links"
        ),
    ]
    by_link: Annotated[
        "pd.DataFrame",
        TableOf("site, core_a, core_b, effective_resistance before and after, gain (resistance units x metres)"),
    ]
    links: Annotated[
        "pd.DataFrame",
        TableOf(
            "core_a, core_b, effective_resistance, and effective_resistance_restored when all sites of the table are "
            "restored together (resistance units x metres); infinite where nothing joins the cores"
        ),
    ]
    gain_together: Annotated[
        float,
        Indicator("decrease of effective resistance, summed over links, when all sites are restored", unit=OHMS),
    ]


@method(
    "corridors.restore_cell_gain",
    references=(
        "McRae BH, Dickson BG, Keitt TH, Shah VB (2008) Using circuit theory to model connectivity in ecology, "
        "evolution, and conservation. Ecology 89:2712-2724",
        "Ghosh A, Boyd S, Saberi A (2008) Minimizing effective resistance of a graph. SIAM Review 50:37-66 (the "
        "derivative, and convexity in the conductances)",
        "Shannon CE, Hagelbarger DW (1956) Concavity of resistance functions. Journal of Applied Physics 27:42-43",
    ),
)
def restore_cell_gain(
    resistance: Annotated["xr.DataArray", Raster("resistance to movement", unit="resistance", positive=True)],
    cores: Annotated["gpd.GeoDataFrame", Vector("core areas; column core numbers them when present")],
    links: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("the pairs of cores that count; left out: all pairs", columns=("core_a", "core_b")),
    ] = None,
    sites: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("planned crossings or patches, each looked at on its own; column site names them when present"),
    ] = None,
    *,
    restored_resistance: Annotated[
        float | None,
        Param("resistance of restored cells; none: the least on the raster", unit="resistance", gt=0),
    ] = 1.0,
    average: Annotated[
        Literal["resistance", "conductance"],
        Param("the branch between two cells has their mean resistance, or their mean conductance"),
    ] = "resistance",
    top: Annotated[int, Param("how many of the best cells are computed exactly where no sites are given", ge=0)] = 10,
    neighbours: Neighbours = 8,
) -> RestoreGain:
    """The gain in effective resistance between cores from restoring any cell, and exactly from restoring sites.

    Each link is a circuit of its own: its two cores are single nodes, 1 A runs between them, R is the voltage between
    them (branches of conductance c = 1 / (length x mean resistance), lengths in metres). One solve gives the effect of
    every cell at once: dR/dc_e = -(v_i - v_j)^2 for a branch e between cells i and j, and by the chain rule, for mean
    resistances, dR/dr_k is half the sum of length x current^2 over the branches of cell k. R is concave in the
    resistances of the branches (Shannon and Hagelbarger 1956), so that the first-order gain
    ``sum I_e^2 (1/c_e - 1/c'_e)`` of lowering a cell from r to r' is a lower bound; for mean resistances it is
    (r - r') dR/dr. The map shows it for every cell on its own, summed over links.

    For the sites (all cells of each lowered to r', nodata included, cells already below left as they are) R is
    computed anew: with phi the potential of 1 on one core and 0 on the other and C = 1/R its energy, the edit dL of
    the Laplacian changes it to C' = C + phi' dL phi - s' (L + dL)^-1 s, s = -dL phi, which is exact and takes one solve
    with a local right-hand side. A polygon's cells are those whose centres lie in it, a line's those it touches.

    Raises LinkwaysError for a single core, cores on nodata, cores that share a cell, and sites outside the raster.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, shapely
    >>> from linkways import corridors, spatial
    >>> resistance = spatial.new_raster([[1, 1, 9, 1, 1]], crs="EPSG:3035", cell_size=10)
    >>> cores = gpd.GeoDataFrame(geometry=[shapely.Point(x, -5) for x in (5, 45)], crs="EPSG:3035")
    >>> found = corridors.restore_cell_gain(resistance, cores, top=1)
    >>> site = found.sites.iloc[0]
    >>> print(f"the cell at {site.geometry.centroid.x:.0f} m takes away {site.gain:.0f} resistance units x metres")
    the cell at 25 m takes away 80 resistance units x metres
    """
    from linkways.corridors._edited_circuits import Ground
    from linkways.corridors._landscape import Landscape, core_cells
    from linkways.spatial import note

    landscape = Landscape.of(resistance, neighbours)
    found = core_cells(landscape, cores)
    pairs = _pairs(found, links)
    if landscape.cells.wraps:
        note("corridors.restore_cell_gain: the raster goes around the world; currents do not cross its first column")
    restored = restored_resistance or float(np.nanmin(landscape.resistance))
    ground = Ground.of(landscape, average)
    # a wrong site is refused before work starts
    chosen = None if sites is None else _given_sites(landscape, sites)
    seen = _first_pass(ground, found, pairs, restored)
    if chosen is None:
        chosen = _best_cells(landscape, found, seen.gain, top)
    after = _updates(ground, found, pairs, chosen.cells, restored)
    return _result(landscape, found, pairs, restored, seen, chosen, after)


# --- over all links ----------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Seen:
    """The effective resistance of each link, and the two maps summed over links."""

    before: list[float]
    gradient: np.ndarray
    gain: np.ndarray


def _first_pass(ground: "Ground", cores: "CoreCells", pairs: list[tuple[int, int]], restored: float) -> _Seen:
    from linkways.checkpoint import resumed
    from linkways.workers import each

    before = np.zeros(len(pairs))
    gradient, gain = np.zeros(ground.resistance.shape), np.zeros(ground.resistance.shape)
    shared = ground, cores.cells, restored
    arrays = {"before": before, "gradient": gradient, "gain": gain}
    with resumed("effect of all cells on links", (shared, pairs), arrays) as kept:
        progress(0.4 * kept.first / len(pairs), f"effect of all cells on link {kept.first} of {len(pairs)}")
        left, threads = pairs[kept.first :], _at_once(ground)
        for done, found in enumerate(each(_look, shared, left, threads=threads), kept.first + 1):
            resistance, slope, least = found
            before[done - 1] = resistance
            gradient += slope
            gain += least
            kept.keep(done)
            progress(0.4 * done / len(pairs), f"effect of all cells on link {done} of {len(pairs)}")
    return _Seen(before.tolist(), gradient, gain)


def _look(
    shared: "tuple[Ground, tuple[np.ndarray, ...], float]", pair: tuple[int, int]
) -> tuple[float, np.ndarray, np.ndarray]:
    """One link: its resistance and the two maps."""
    from linkways.corridors._edited_circuits import TwoCores, gradient_and_gain

    ground, cells, restored = shared
    circuit = TwoCores.joined(ground, *(cells[n] for n in pair))
    return circuit.resistance, *gradient_and_gain(circuit, restored)


def _updates(
    ground: "Ground", cores: "CoreCells", pairs: list[tuple[int, int]], cells: list[np.ndarray], restored: float
) -> "list[list[After]]":
    """For each link what every site makes of it, and at last all sites together; nothing where there are no sites."""
    from linkways.checkpoint import kept_each
    from linkways.corridors._edited_circuits import Edit, TwoCores
    from linkways.workers import each

    out: list[list[After]] = [[] for _ in pairs]
    if not cells:
        return out
    changes = [*cells, np.unique(np.concatenate(cells))]
    edits = [Edit.of(ground, part, restored) for part in changes]
    cases = list(itertools.product(range(len(pairs)), range(len(changes))))

    def solved(left: list[tuple[int, int]]) -> "Iterator[After]":
        for link, own in itertools.groupby(left, key=itemgetter(0)):
            circuit = TwoCores.joined(ground, *(cores.cells[n] for n in pairs[link]))
            items = [(edits[n], changes[n]) for _, n in own]
            yield from each(_edited, (circuit, restored), items, threads=_at_once(ground))

    name, content = "restored sites", (ground, cores.cells, pairs, cells, restored)
    for done, after in enumerate(kept_each(name, content, cases, solved, pack=_packed, unpack=_unpacked), 1):
        link = cases[done - 1][0]
        out[link].append(after)
        progress(0.4 + 0.6 * done / len(cases), f"restored sites on link {link + 1} of {len(pairs)}")
    return out


def _packed(after: "After") -> dict[str, np.ndarray]:
    return {"numbers": np.array([after.resistance, after.gain, after.at_least])}


def _unpacked(kept: dict[str, np.ndarray]) -> "After":
    from linkways.corridors._edited_circuits import After

    return After(*kept["numbers"].tolist())


def _edited(shared: "tuple[TwoCores, float]", item: "tuple[Edit | None, np.ndarray]") -> "After":
    circuit, restored = shared
    return circuit.after(*item, restored)


def _at_once(ground: "Ground") -> int:
    return max(1, min(os.cpu_count() or 1, CELLS_AT_ONCE // ground.resistance.size))


# --- cores, sites, cells -----------------------------------------------------------------------------------------


def _pairs(cores: "CoreCells", links: "gpd.GeoDataFrame | None") -> list[tuple[int, int]]:
    from linkways.corridors._network import _given_pairs

    if len(cores) < 2:
        raise LinkwaysError("cores holds a single core area; give at least two to join")
    count = range(len(cores))
    pairs = [(a, b) for a in count for b in count if a < b] if links is None else _given_pairs(links, cores.ids)
    if not pairs:
        raise LinkwaysError("corridors.restore_cell_gain: the links layer holds no links; run corridors.link_network")
    for a, b in pairs:
        if len(np.intersect1d(cores.cells[a], cores.cells[b])):
            raise LinkwaysError(
                f"cores {cores.ids[a]} and {cores.ids[b]} share a cell, so that nothing lies between them; merge them "
                "or use a finer raster"
            )
    return pairs


@dataclass(frozen=True)
class _Sites:
    """Sites by name, with their cells (flat) and outlines."""

    names: list[Any]
    cells: list[np.ndarray]
    outlines: list[Any]


def _best_cells(landscape: "Landscape", cores: "CoreCells", gain: np.ndarray, top: int) -> _Sites:
    """The cells outside cores with the largest gain; of equals the first from the upper left."""
    import shapely

    outside = np.where(cores.labels(landscape.shape) < 0, gain, 0.0).ravel()
    order = np.argsort(-outside, kind="stable")[:top]
    best = order[outside[order] > 0]
    return _Sites(
        list(range(1, len(best) + 1)), [np.array([cell]) for cell in best], list(shapely.points(landscape.points(best)))
    )


def _given_sites(landscape: "Landscape", sites: "gpd.GeoDataFrame") -> _Sites:
    if not len(sites):
        raise LinkwaysError("corridors.restore_cell_gain: the sites layer holds no features; leave it out or add some")
    names = list(sites["site"]) if "site" in sites.columns else list(range(1, len(sites) + 1))
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise LinkwaysError(f"sites: the name {twice} stands for two features in column site; dissolve or rename")
    cells = [_cells_of(landscape, geometry) for geometry in sites.geometry]
    lost = [str(name) for name, own in zip(names, cells, strict=True) if not len(own)]
    if lost:
        raise LinkwaysError(f"sites {', '.join(lost[:10])} lie outside the resistance raster; move or drop them")
    return _Sites(names, cells, list(sites.geometry))


def _cells_of(landscape: "Landscape", geometry: Any) -> np.ndarray:
    """Cells whose centres a polygon holds; cells that a line, a point or a smaller polygon touches."""
    from rasterio import windows
    from rasterio.features import geometry_mask
    from rasterio.transform import rowcol

    nothing = np.empty(0, np.intp)
    if geometry is None or geometry.is_empty:
        return nothing
    west, south, east, north = geometry.bounds
    rows, columns = rowcol(landscape.transform, [west, east], [north, south])
    top, bottom = max(min(rows), 0), min(max(rows) + 1, landscape.shape[0])
    left, right = max(min(columns), 0), min(max(columns) + 1, landscape.shape[1])
    if top >= bottom or left >= right:
        return nothing
    moved = windows.transform(windows.Window(left, top, right - left, bottom - top), landscape.transform)
    inside = np.zeros((bottom - top, right - left), bool)
    if geometry.area > 0:
        inside = geometry_mask([geometry], inside.shape, moved, invert=True)
    if not inside.any():
        inside = geometry_mask([geometry], inside.shape, moved, invert=True, all_touched=True)
    row, column = np.nonzero(inside)
    return np.asarray((row + top) * landscape.shape[1] + column + left, np.intp)


# --- the tables --------------------------------------------------------------------------------------------------


def _result(
    landscape: "Landscape",
    cores: "CoreCells",
    pairs: list[tuple[int, int]],
    restored: float,
    seen: _Seen,
    sites: _Sites,
    after: "list[list[After]]",
) -> RestoreGain:
    import pandas as pd

    ids = [(cores.ids[a], cores.ids[b]) for a, b in pairs]
    links = pd.DataFrame(ids, columns=["core_a", "core_b"]).assign(effective_resistance=seen.before)
    together = [found[-1:] for found in after]
    links["effective_resistance_restored"] = [
        found[0].resistance if found else before for found, before in zip(together, seen.before, strict=True)
    ]
    rows = [
        (name, *pair, before, found[n].resistance, found[n].gain)
        for n, name in enumerate(sites.names)
        for pair, before, found in zip(ids, seen.before, after, strict=True)
    ]
    passable = np.isfinite(landscape.resistance)
    return RestoreGain(
        landscape.like(np.where(passable, seen.gain, np.nan), "gain", units=OHMS),
        landscape.like(np.where(passable, seen.gradient, np.nan), "sensitivity", units="metres"),
        _ranked(landscape, restored, seen.before, sites, after),
        pd.DataFrame(rows, columns=["site", "core_a", "core_b", "before", "after", "gain"]),
        links,
        float(sum(np.nan_to_num(found[0].gain) for found in together if found)),
    )


def _ranked(
    landscape: "Landscape", restored: float, before: list[float], sites: _Sites, after: "list[list[After]]"
) -> "gpd.GeoDataFrame":
    """The sites by the links they join, then by what they gain."""
    import geopandas as gpd
    import pandas as pd

    total = sum(resistance for resistance in before if math.isfinite(resistance))
    rows = []
    for n, (name, cells) in enumerate(zip(sites.names, sites.cells, strict=True)):
        changes = [found[n] for found in after]
        gain = float(np.nansum([change.gain for change in changes]))
        rows.append(
            (
                name,
                int((~(landscape.resistance.ravel()[cells] <= restored)).sum()),
                sum(math.isnan(change.gain) and math.isfinite(change.resistance) for change in changes),
                gain,
                float(sum(change.at_least for change in changes)),
                100 * gain / total if total else math.nan,
            )
        )
    columns = ["site", "cells", "joins", "gain", "at_least", "gain_percent"]
    table = pd.DataFrame(rows, columns=columns)
    out = gpd.GeoDataFrame(table, geometry=sites.outlines, crs=landscape.raster.rio.crs)
    out = out.sort_values(["joins", "gain"], ascending=False, kind="stable", ignore_index=True)
    out.insert(0, "rank", np.arange(1, len(out) + 1))
    return out


# --- what it takes -----------------------------------------------------------------------------------------------


@estimate_of(restore_cell_gain)
def _estimate(arguments: dict[str, Any]) -> "Estimate":
    """A few of the links and sites on thinned ground; every site, and all together, is one more solve for each link."""
    import pandas as pd

    from linkways.corridors._landscape import Landscape, core_cells
    from linkways.estimates import sampled, thinned

    landscape = Landscape.of(arguments["resistance"], arguments["neighbours"])
    cores = core_cells(landscape, arguments["cores"])
    pairs = _pairs(cores, arguments["links"])
    sites = arguments["top"] if arguments["sites"] is None else len(_given_sites(landscape, arguments["sites"]).names)
    passable = np.isfinite(landscape.resistance)

    def prepare(shape: tuple[int, int], count: int) -> Callable[[], RestoreGain]:
        some = [pairs[n] for n in np.linspace(0, len(pairs) - 1, count).astype(int)]
        links = pd.DataFrame([(cores.ids[a], cores.ids[b]) for a, b in some], columns=["core_a", "core_b"])
        fewer = thinned(arguments, shape, passable, apart=("cores",), texture="resistance")
        chosen = None if fewer["sites"] is None else fewer["sites"].iloc[:FEW_SITES]
        fewer |= {"links": links, "sites": chosen, "top": min(arguments["top"], FEW_SITES)}
        return lambda: restore_cell_gain.__wrapped__(**fewer)  # type: ignore[attr-defined]

    cores_at_work = min(os.cpu_count() or 1, 8)
    found = sampled(landscape.shape, prepare, items=len(pairs), few=cores_at_work, more=2 * cores_at_work, power=1.06)
    found = found.times((sites + 3) / (min(sites, FEW_SITES) + 3))
    cells = passable.size
    side_by_side, in_sample = (max(1, min(cores_at_work, CELLS_AT_ONCE // n)) for n in (cells, found.cells))
    memory = (BYTES_OF_MAPS + BYTES_OF_CIRCUIT * side_by_side) * cells
    job = f"{cells:,} cells, {len(pairs)} links, {sites} sites"
    return found.estimate(memory, job, slower=in_sample / side_by_side)
