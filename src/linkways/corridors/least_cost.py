"""Least-cost corridors between core areas: where, how wide, and how good."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from linkways.corridors.cost_distance import Neighbours
from linkways.corridors.links import LinkRule, MaxCost, Nearest, Through, Unreachable
from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Raster, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

__all__ = ["LeastCostCorridors", "least_cost"]


@dataclass(frozen=True)
class LeastCostCorridors:
    """Least-cost corridors and their measures."""

    links: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "least-cost paths: link, core_a, core_b, euclidean_m, cost (cost-metres), cutoff (cost-metres), length_m, "
            "cost_to_euclidean, cost_to_length, mean_resistance, max_resistance, corridor_area_km2, min_width_m"
        ),
    ]
    corridors: Annotated[
        "gpd.GeoDataFrame", Layer("corridor of each link as a polygon, outside the cores, with the link's measures")
    ]
    mosaic: Annotated[
        "xr.DataArray",
        Layer("cost above the least cost of the best link through each cell, inside the corridors", unit="cost-metres"),
    ]
    bottlenecks: Annotated[
        "gpd.GeoDataFrame", Layer("narrowest place of each corridor: link, core_a, core_b, min_width_m")
    ]
    cores_count: Annotated[int, Indicator("core areas joined")]
    links_count: Annotated[int, Indicator("corridors between core areas")]
    corridor_area_km2: Annotated[float, Indicator("area of all corridors together, outside the cores", unit="km2")]
    core_area_km2: Annotated[float, Indicator("area of all cores joined", unit="km2")]
    network_area_km2: Annotated[float, Indicator("area of cores and corridors together", unit="km2")]


@method(
    "corridors.least_cost",
    references=(
        "McRae BH, Kavanagh DM (2011) Linkage Mapper connectivity analysis software. The Nature Conservancy "
        "(normalised least-cost corridors and their mosaic)",
        "Adriaensen F et al. (2003) The application of least-cost modelling as a functional landscape model. "
        "Landscape and Urban Planning 64:233-247",
    ),
)
def least_cost(
    resistance: Annotated["xr.DataArray", Raster("resistance to movement", unit="resistance", positive=True)],
    cores: Annotated["gpd.GeoDataFrame", Vector("core areas; column core numbers them when present")],
    links: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("the pairs of cores to join; left out: found by the rule", columns=("core_a", "core_b")),
    ] = None,
    *,
    cutoff: Annotated[
        float | None,
        Param("a corridor holds the cells that cost at most this much more than the path", unit="cost-metres", gt=0),
    ] = None,
    cutoff_percent: Annotated[
        float | None, Param("the same as a share of the link's least cost", unit="percent", gt=0)
    ] = None,
    width_km: Annotated[
        float | None,
        Param("the smallest cutoff at which the corridor is nowhere narrower than this", unit="km", gt=0),
    ] = None,
    rule: LinkRule = "allocation",
    max_cost: MaxCost = None,
    nearest: Nearest = 3,
    drop_through_cores: Through = False,
    unreachable: Unreachable = "refuse",
    neighbours: Neighbours = 8,
) -> LeastCostCorridors:
    """Least-cost corridors between core areas, with the path, area and narrowest place of each.

    With CWD_a(x) the least cost from core a to cell x and LCD_ab the least cost between the cores, the normalised
    least-cost corridor is NLC_ab(x) = CWD_a(x) + CWD_b(x) - LCD_ab: 0 along the least-cost path, growing with the
    detour. A corridor holds the cells with NLC up to its cutoff (one of ``cutoff``, ``cutoff_percent`` or
    ``width_km``; 10 percent of LCD when none is given). The mosaic is the minimum over links. The minimum width is
    the diameter of the largest disk that can pass from core to core inside the corridor, to within one cell.

    One cost distance is computed for each core and serves all its links.

    Raises LinkwaysError for a single core, cores on nodata, cores that cannot reach each other (by number), and
    more than one of the three cutoffs.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, shapely
    >>> from linkways import corridors, spatial
    >>> resistance = spatial.midpoint_displacement(60, 80, seed=7) * 20 + 1
    >>> points = [shapely.Point(x, 3000) for x in (500300, 504000, 507600)]
    >>> cores = gpd.GeoDataFrame(geometry=points, crs=resistance.rio.crs)
    >>> result = corridors.least_cost(resistance, cores, cutoff_percent=5)
    >>> result.links_count, result.mosaic.dims, bool(result.mosaic.min() == 0)
    (2, ('y', 'x'), True)
    """
    from linkways.corridors._corridors import draw_corridors
    from linkways.corridors._network import build_network

    cutoffs = {"cutoff": cutoff, "cutoff_percent": cutoff_percent, "width_km": width_km}
    given = [name for name, value in cutoffs.items() if value is not None]
    if len(given) > 1:
        raise LinkwaysError(f"corridors.least_cost: {' and '.join(given)} are given together; keep one of them")
    if not given:
        cutoff_percent = 10.0
    network = build_network(
        resistance, cores, links, rule=rule, max_cost=max_cost, nearest=nearest,
        drop_through_cores=drop_through_cores, unreachable=unreachable, neighbours=neighbours,
        beyond=_beyond(max_cost, cutoff, cutoff_percent),
    )  # fmt: skip
    try:
        drawn = draw_corridors(network, cutoff, cutoff_percent, None if width_km is None else width_km * 1000)
    finally:
        network.fields.close()
    core_area = sum(float(network.landscape.area_km2.ravel()[cells].sum()) for _, cells in network.cores)
    return LeastCostCorridors(
        links=drawn.links,
        corridors=drawn.corridors,
        mosaic=drawn.mosaic,
        bottlenecks=drawn.bottlenecks,
        cores_count=len({core for pair in ("core_a", "core_b") for core in drawn.links[pair]}),
        links_count=len(drawn.links),
        corridor_area_km2=drawn.area_km2,
        core_area_km2=core_area,
        network_area_km2=core_area + drawn.area_km2,
    )


def _beyond(max_cost: float | None, cutoff: float | None, percent: float | None) -> float:
    """How far past ``max_cost`` a corridor's cells may lie from either core."""
    if max_cost is None:
        return 0.0
    if cutoff is not None:
        return cutoff
    # a corridor drawn to a width has no cutoff known beforehand: it may widen up to the link's own cost
    return max_cost * (percent / 100 if percent is not None else 1.0)
