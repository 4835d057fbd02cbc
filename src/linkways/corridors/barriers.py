"""Where restoring a patch of ground would shorten least-cost links the most."""

import itertools
from collections import OrderedDict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.corridors.cost_distance import Neighbours
from linkways.corridors.links import LinkRule, MaxCost, Nearest, Through, Unreachable
from linkways.errors import LinkwaysError
from linkways.method import Layer, Param, Raster, Vector, estimate_of, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

    from linkways.corridors._landscape import Landscape
    from linkways.corridors._network import Link, Network, Window
    from linkways.estimates import Estimate

__all__ = ["Barriers", "barriers"]

MEMORY_FOR_MINIMA = 256 * 2**20
BYTES_OF_MAPS = 110.0  # per cell, for results and a link's scores
SCORE = "cost-metres per metre"


@dataclass(frozen=True)
class Barriers:
    """Barriers to movement between cores, found by what their removal would save."""

    score: Annotated[
        "xr.DataArray",
        Layer(
            "improvement score of a disk around each cell: cost saved per metre restored, for the best link and "
            "radius; 0 where none gains, empty where no link can come",
            unit=SCORE,
        ),
    ]
    score_sum: Annotated[
        "xr.DataArray", Layer("sum of the positive scores of all links, at the radius where it is largest", unit=SCORE)
    ]
    percent: Annotated[
        "xr.DataArray",
        Layer("largest score as a share of the link's least cost", unit="percent per metre restored"),
    ]
    link: Annotated["xr.DataArray", Layer("number of the link that gains the score")]
    radius: Annotated["xr.DataArray", Layer("search radius that gives the score", unit="metres")]
    sites: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "the best disk of each link at each radius, best first: link, core_a, core_b, radius_m, score, percent "
            "(per metre restored), saving (cost-metres), saving_percent of the link's least cost"
        ),
    ]
    links: Annotated[
        "gpd.GeoDataFrame",
        Layer("least-cost paths with their measures, the best score, its radius_m and saving_percent"),
    ]


@method(
    "corridors.barriers",
    references=(
        "McRae BH, Hall SA, Beier P, Theobald DM (2012) Where to restore ecological connectivity? Detecting barriers "
        "and quantifying restoration benefits. PLoS ONE 7:e52604",
    ),
)
def barriers(
    resistance: Annotated["xr.DataArray", Raster("resistance to movement", unit="resistance", positive=True)],
    cores: Annotated["gpd.GeoDataFrame", Vector("core areas; column core numbers them when present")],
    links: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("the pairs of cores to look at; left out: found by the rule", columns=("core_a", "core_b")),
    ] = None,
    *,
    radii_m: Annotated[list[float] | None, Param("search radii", unit="metres", gt=0)] = None,
    from_radius_m: Annotated[float | None, Param("smallest search radius, in place of a list", unit="m", gt=0)] = None,
    to_radius_m: Annotated[float | None, Param("largest search radius, in place of a list", unit="m", gt=0)] = None,
    radius_step_m: Annotated[float | None, Param("step from one radius to the next", unit="m", gt=0)] = None,
    restored_resistance: Annotated[
        float | None,
        Param(
            "resistance of restored ground; none: the least on the raster",
            unit="resistance",
            gt=0,
            source="McRae et al. (2012) take 1",
        ),
    ] = 1.0,
    method: Annotated[
        Literal["disk", "lm-annulus"],
        Param(
            "look for the cheapest cell in the whole disk, or only at a distance between the radius less one map "
            "unit and the radius, as Linkage Mapper does, which misses savings"
        ),
    ] = "disk",
    fill: Annotated[bool, Param("paint every score over its whole disk instead of the disk's centre alone")] = False,
    rule: LinkRule = "allocation",
    max_cost: MaxCost = None,
    nearest: Nearest = 3,
    drop_through_cores: Through = False,
    unreachable: Unreachable = "refuse",
    neighbours: Neighbours = 8,
) -> Barriers:
    """How much cost each link between cores would save if a disk of ground were restored, for every cell.

    A disk of radius R around a cell is restored along its diameter D = 2 R to the resistance r'. With CWD_a the cost
    distance from core a and LCD_ab the least cost of the link, the improvement score is
    ``(LCD_ab - min CWD_a - min CWD_b - D r') / D``, the minima taken over the disk: the cost that the link saves for
    each metre restored. Percent is 100 score / LCD_ab. Over links the map holds the largest score and the sum of the
    positive ones, over radii the largest. The score also stands on cells without a resistance (nodata), for these
    may be the barrier; a detour around them must exist, though.

    One cost distance is computed for each core and serves all its links and radii. On a geographic grid the disks
    are round in metres on every row.

    Raises LinkwaysError for a single core, cores on nodata or that cannot reach each other, no radius or one smaller
    than a cell, and for ``lm-annulus`` on a geographic grid or with a ring that holds no cell centre.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, shapely
    >>> from linkways import corridors, spatial
    >>> ground = np.ones((3, 30))
    >>> ground[:, 14:16] = 50  # a barrier across the way
    >>> resistance = spatial.new_raster(ground, crs="EPSG:3035", cell_size=100)
    >>> cores = gpd.GeoDataFrame(geometry=[shapely.box(x, -300, x + 200, 0) for x in (0, 2800)], crs="EPSG:3035")
    >>> site = corridors.barriers(resistance, cores, radii_m=[200]).sites.iloc[0]
    >>> bool(1400 <= site.geometry.x <= 1600), bool(site.saving_percent > 50)
    (True, True)
    """
    from linkways.corridors._landscape import Landscape
    from linkways.corridors._network import build_network

    radii = _radii(radii_m, from_radius_m, to_radius_m, radius_step_m)
    _check_radii(Landscape.of(resistance, neighbours), radii, method)
    network = build_network(
        resistance, cores, links, rule=rule, max_cost=max_cost, nearest=nearest,
        drop_through_cores=drop_through_cores, unreachable=unreachable, neighbours=neighbours,
    )  # fmt: skip
    restored = restored_resistance or float(np.nanmin(network.landscape.resistance))
    try:
        return _search(network, radii, restored, method, fill)
    finally:
        network.fields.close()


# --- the radii ---------------------------------------------------------------------------------------------------


def _radii(given: list[float] | None, start: float | None, end: float | None, step: float | None) -> list[float]:
    span = (start, end, step)
    if given is not None and any(part is not None for part in span):
        raise LinkwaysError("corridors.barriers: radii_m is given together with from, to or step; keep one of the two")
    if given is not None:
        if not given:
            raise LinkwaysError("corridors.barriers: radii_m is empty; give at least one search radius in metres")
        return sorted(set(given))
    if start is None or end is None or (step is None and start != end):
        raise LinkwaysError(
            "corridors.barriers needs search radii: give radii_m, or from_radius_m, to_radius_m and radius_step_m"
        )
    if end < start:
        raise LinkwaysError(
            f"corridors.barriers: to_radius_m ({end:g}) is below from_radius_m ({start:g}); exchange them"
        )
    if step is None:
        return [start]
    # a last step that rounding carries a hair past the end still counts
    return [start + n * step for n in range(int((end - start) / step * (1 + 1e-9)) + 1)]


def _check_radii(landscape: "Landscape", radii: list[float], method: str) -> None:
    steps = np.concatenate([landscape.cells.east_west_m, landscape.cells.north_south_m])
    if radii[0] < steps.min():
        raise LinkwaysError(
            f"corridors.barriers: a search radius of {radii[0]:g} m is smaller than a cell ({steps.min():.4g} m), so "
            "that nothing would be restored; give radii of at least one cell"
        )
    if method != "lm-annulus":
        return
    if landscape.raster.rio.crs.is_geographic:
        raise LinkwaysError(
            "corridors.barriers: the method 'lm-annulus' is defined on projected grids only; reproject the resistance "
            "or use the method 'disk'"
        )
    from linkways.kernels.disks import ring_minimum

    unit, size = _map_unit_m(landscape), (landscape.cells.east_west_m[0], _north_south(landscape))
    for radius in radii:
        if ring_minimum(np.zeros((1, 1)), radius - unit, radius, *size) is None:
            raise LinkwaysError(
                f"corridors.barriers: no cell centre lies between {radius - unit:g} and {radius:g} m of another, the "
                "ring that 'lm-annulus' searches; choose radii that are multiples of the cell size, or the method "
                "'disk'"
            )


def _map_unit_m(landscape: "Landscape") -> float:
    from pyproj import CRS

    return float(CRS(landscape.raster.rio.crs).axis_info[0].unit_conversion_factor)


def _north_south(landscape: "Landscape") -> float:
    # a grid of one row has no step to the next one
    steps = landscape.cells.north_south_m
    return float(steps[0] if len(steps) else landscape.cells.east_west_m[0])


# --- the search --------------------------------------------------------------------------------------------------


@dataclass
class _Maps:
    """What has been found so far, over links and radii."""

    shape: tuple[int, int]
    searches: int
    score: np.ndarray = field(init=False)
    score_sum: np.ndarray = field(init=False)
    percent: np.ndarray = field(init=False)
    link: np.ndarray = field(init=False)
    radius: np.ndarray = field(init=False)
    total: np.ndarray = field(init=False)  # of the gains at the present radius
    sites: np.ndarray = field(init=False)  # best cell and score of each search; -1 where nothing gains

    def __post_init__(self) -> None:
        self.score, self.score_sum, self.percent = (np.full(self.shape, np.nan) for _ in range(3))
        self.link, self.radius, self.total = (np.full(self.shape, np.nan) for _ in range(3))
        self.sites = np.full((self.searches, 2), -1.0)

    @property
    def arrays(self) -> dict[str, np.ndarray]:
        """All of it, which can be kept."""
        names = ("score", "score_sum", "percent", "link", "radius", "total", "sites")
        return {name: getattr(self, name) for name in names}

    def add(self, window: "Window", score: np.ndarray, percent: np.ndarray, link: int, radius: float) -> None:
        part = window.slices
        np.fmax(self.percent[part], percent, out=self.percent[part])
        best = self.score[part]
        better = (score > 0) & ~(best >= score)
        self.link[part][better], self.radius[part][better] = link, radius
        np.fmax(best, score, out=best)
        there = self.total[part]
        np.copyto(there, np.where(np.isnan(there), score, there + np.nan_to_num(score)))

    def end_radius(self) -> None:
        np.fmax(self.score_sum, self.total, out=self.score_sum)
        self.total.fill(np.nan)


def _search(network: "Network", radii: list[float], restored: float, method: str, fill: bool) -> Barriers:
    import geopandas as gpd
    import shapely

    from linkways.checkpoint import resumed

    links = network.links
    maps = _Maps(network.landscape.shape, len(radii) * len(links))
    content = _content(network, radii, restored, method, fill)
    with resumed("barriers to links", content, maps.arrays) as kept:
        done = kept.first
        progress(0.8 + 0.2 * done / maps.searches, f"barriers within {radii[0]:g} m")
        for radius in radii[done // len(links) :]:
            for number, link, window, score in _scores(network, radius, restored, method, done % len(links)):
                maps.sites[done] = _best_cell(network, window, score)
                gain = np.maximum(score, 0.0)
                if fill:
                    gain = _filled(network.landscape, window, gain, radius)
                maps.add(window, gain, 100 * gain / link.cost, number, radius)
                if number == len(links):
                    maps.end_radius()
                done += 1
                kept.keep(done)
                progress(0.8 + 0.2 * done / maps.searches, f"barriers within {radius:g} m")
    searches = itertools.product(radii, enumerate(links, 1))
    found = zip(searches, maps.sites.tolist(), strict=True)
    rows = [_site(network, link, n, r, cell, score) for (r, (n, link)), (cell, score) in found if cell >= 0]
    like = network.landscape.like
    rows.sort(key=lambda row: (-row["score"], row["link"], row["radius_m"]))
    crs = network.landscape.raster.rio.crs
    points = network.landscape.points(np.array([row.pop("cell") for row in rows], np.int64))
    columns = ["link", "core_a", "core_b", "radius_m", "score", "percent", "saving", "saving_percent"]
    sites = gpd.GeoDataFrame(rows, columns=columns, geometry=list(shapely.points(points)), crs=crs)
    return Barriers(
        like(maps.score, "score", units=SCORE),
        like(maps.score_sum, "score_sum", units=SCORE),
        like(maps.percent, "percent", units="percent per metre restored"),
        like(maps.link, "link"),
        like(maps.radius, "radius", units="metres"),
        sites,
        _links_with_best(network, sites),
    )


def _content(network: "Network", radii: list[float], restored: float, method: str, fill: bool) -> tuple[Any, ...]:
    """All that decides the scores."""
    links = [(link.a, link.b, link.cost) for link in network.links]
    graph, cores = network.landscape.graph, network.cores.cells
    return graph, network.landscape.cells.area_m2, cores, network.fields.limit, links, radii, restored, method, fill


def _scores(
    network: "Network", radius: float, restored: float, method: str, first: int
) -> "Iterator[tuple[int, Link, Window, np.ndarray]]":
    """The improvement score of links from ``first`` on at one radius, where both cores come within the disk."""
    least = _kept(_least_in_reach(network, radius, method), network.landscape.shape)
    diameter = 2 * radius
    for number, link in enumerate(network.links[first:], first + 1):
        (one_window, one), (two_window, two) = least(link.a), least(link.b)
        window = one_window.common(two_window)
        through = one[window.within(one_window)] + two[window.within(two_window)]
        score = (link.cost - through - diameter * restored) / diameter
        yield number, link, window, np.where(np.isfinite(score), score, np.nan)


def _least_in_reach(network: "Network", radius: float, method: str) -> "Callable[[int], tuple[Window, np.ndarray]]":
    from linkways.kernels.disks import disk_minimum, ring_minimum

    landscape = network.landscape
    cells = landscape.cells

    def least(core: int) -> "tuple[Window, np.ndarray]":
        inner, distance = network.fields.read("distance", core)
        window = _widened(landscape, inner, radius)
        padded = np.full(window.shape, np.inf)
        padded[inner.within(window)] = distance
        if method == "lm-annulus":
            unit, size = _map_unit_m(landscape), (cells.east_west_m[0], _north_south(landscape))
            return window, ring_minimum(padded, radius - unit, radius, *size)  # type: ignore[return-value]
        east_west = cells.east_west_m[window.top : window.bottom]
        north_south = cells.north_south_m[window.top : window.bottom - 1]
        return window, disk_minimum(padded, radius, east_west, north_south, wraps=cells.wraps)

    return least


def _kept(
    least: "Callable[[int], tuple[Window, np.ndarray]]", shape: tuple[int, int]
) -> "Callable[[int], tuple[Window, np.ndarray]]":
    """The same, keeping as many of the last results as the memory allowance holds."""
    room = max(2, MEMORY_FOR_MINIMA // (8 * shape[0] * shape[1]))
    kept: OrderedDict[int, tuple[Any, np.ndarray]] = OrderedDict()

    def remembered(core: int) -> "tuple[Window, np.ndarray]":
        if core not in kept:
            kept[core] = least(core)
            if len(kept) > room:
                kept.popitem(last=False)
        kept.move_to_end(core)
        return kept[core]

    return remembered


def _widened(landscape: "Landscape", window: "Window", radius: float) -> "Window":
    """The window and all cells from which a disk can look into it."""
    from linkways.corridors._network import Window

    northing = np.concatenate([[0.0], np.cumsum(landscape.cells.north_south_m)])
    reach = radius * (1 + 1e-6)
    top = int(np.searchsorted(northing, northing[window.top] - reach))
    bottom = int(np.searchsorted(northing, northing[window.bottom - 1] + reach, side="right"))
    if landscape.cells.wraps:
        return Window(top, bottom, 0, landscape.shape[1])
    # where a meridian step shrinks to nothing the disk goes all around
    step = max(float(landscape.cells.east_west_m[top:bottom].min()), reach / landscape.shape[1])
    aside = int(reach / step) + 1
    return Window(top, bottom, max(0, window.left - aside), min(landscape.shape[1], window.right + aside))


def _filled(landscape: "Landscape", window: "Window", gain: np.ndarray, radius: float) -> np.ndarray:
    from linkways.kernels.disks import disk_maximum

    east_west = landscape.cells.east_west_m[window.top : window.bottom]
    north_south = landscape.cells.north_south_m[window.top : window.bottom - 1]
    known = np.isfinite(gain)
    spread = disk_maximum(np.where(known, gain, 0.0), radius, east_west, north_south, wraps=landscape.cells.wraps)
    return np.where(known | (spread > 0), spread, np.nan)


# --- the tables --------------------------------------------------------------------------------------------------


def _best_cell(network: "Network", window: "Window", score: np.ndarray) -> tuple[int, float]:
    """The cell with the best disk and its score, of equals the first from the upper left; -1 if none saves cost."""
    if not (score > 0).any():
        return -1, -1.0
    row, column = divmod(int(np.nanargmax(score)), score.shape[1])
    return (window.top + row) * network.landscape.shape[1] + window.left + column, float(score[row, column])


def _site(network: "Network", link: "Link", number: int, radius: float, cell: float, best: float) -> dict[str, Any]:
    """The row of a link's best disk at a radius."""
    saving = best * 2 * radius
    return {
        "link": number,
        "core_a": network.cores.ids[link.a],
        "core_b": network.cores.ids[link.b],
        "radius_m": radius,
        "score": best,
        "percent": 100 * best / link.cost,
        "saving": saving,
        "saving_percent": 100 * saving / link.cost,
        "cell": int(cell),
    }


def _links_with_best(network: "Network", sites: "gpd.GeoDataFrame") -> "gpd.GeoDataFrame":
    table = network.table()
    best = sites.drop_duplicates("link").set_index("link")
    line = table.pop("geometry")
    table["score"] = table["link"].map(best["score"]).fillna(0.0)
    for column in ("radius_m", "saving_percent"):
        table[column] = table["link"].map(best[column])
    return table.assign(geometry=line).set_geometry("geometry", crs=network.landscape.raster.rio.crs)


# --- what it takes -----------------------------------------------------------------------------------------------


@estimate_of(barriers)
def _estimate(arguments: dict[str, Any]) -> "Estimate":
    """All of it on thinned ground, the disks as many cells wide as on the whole."""
    from linkways.corridors._landscape import Landscape
    from linkways.corridors._network import field_bytes, joinable_cores
    from linkways.estimates import sampled, thinned

    landscape = Landscape.of(arguments["resistance"], arguments["neighbours"])
    radii = _radii(*(arguments[name] for name in ("radii_m", "from_radius_m", "to_radius_m", "radius_step_m")))
    _check_radii(landscape, radii, arguments["method"])
    cores = joinable_cores(landscape, arguments["cores"], arguments["unreachable"])
    passable = np.isfinite(landscape.resistance)
    given = {**arguments, "from_radius_m": None, "to_radius_m": None, "radius_step_m": None}

    def prepare(shape: tuple[int, int], _: int) -> Callable[[], Barriers]:
        wider = max(whole / part for whole, part in zip(landscape.shape, shape, strict=True))
        fewer = thinned(given, shape, passable, apart=("cores",)) | {"radii_m": [radius * wider for radius in radii]}
        return lambda: barriers(**fewer)

    cells = passable.size
    minima = max(min(8.0 * cells * len(cores), MEMORY_FOR_MINIMA), 16.0 * cells)
    return sampled(landscape.shape, prepare, power=1.1).estimate(
        BYTES_OF_MAPS * cells + field_bytes(len(cores), cells) + minima,
        f"{cells:,} cells, {len(cores)} cores, {len(radii)} radii",
    )
