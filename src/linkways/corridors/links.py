"""Which core areas to join, and what each link costs."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Literal

from linkways.corridors.cost_distance import Neighbours
from linkways.method import Indicator, Layer, Param, Raster, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

__all__ = ["LinkNetwork", "LinkRule", "MaxCost", "Nearest", "Through", "Unreachable", "link_network"]

LinkRule = Annotated[
    Literal["allocation", "all_pairs", "nearest", "delaunay"],
    Param(
        "which cores to join: those whose cost allocation zones touch, all pairs, each with its cheapest others, or "
        "the Delaunay triangulation of their middle points",
        source="allocation is the rule of Linkage Mapper (McRae & Kavanagh 2011)",
    ),
]
MaxCost = Annotated[float | None, Param("links that cost more are left out; none: no limit", unit="cost-metres", gt=0)]
Nearest = Annotated[int, Param("with the rule nearest: how many others each core is joined to", ge=1)]
Through = Annotated[bool, Param("leave out links whose least-cost path passes through a third core")]
Unreachable = Annotated[
    Literal["refuse", "drop"],
    Param("what to do with cores that no passable cells join to the largest group: refuse the run, or drop them"),
]


@dataclass(frozen=True)
class LinkNetwork:
    """A network of least-cost links between cores."""

    links: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "least-cost paths: link, core_a, core_b, euclidean_m, cost (cost-metres), length_m, cost_to_euclidean, "
            "cost_to_length, mean_resistance, max_resistance"
        ),
    ]
    allocation: Annotated["xr.DataArray", Layer("number of the core that is cheapest to reach from each cell")]
    links_count: Annotated[int, Indicator("links in the network")]


@method(
    "corridors.link_network",
    references=(
        "McRae BH, Kavanagh DM (2011) Linkage Mapper connectivity analysis software. The Nature Conservancy",
        "Urban D, Keitt T (2001) Landscape connectivity: a graph-theoretic perspective. Ecology 82:1205-1218",
    ),
)
def link_network(
    resistance: Annotated["xr.DataArray", Raster("resistance to movement", unit="resistance", positive=True)],
    cores: Annotated["gpd.GeoDataFrame", Vector("core areas; column core numbers them when present")],
    *,
    rule: LinkRule = "allocation",
    max_cost: MaxCost = None,
    nearest: Nearest = 3,
    drop_through_cores: Through = False,
    unreachable: Unreachable = "refuse",
    neighbours: Neighbours = 8,
) -> LinkNetwork:
    """The least-cost links that join the core areas, by one of four rules, with distances and ratios.

    One cost distance is computed for each core and serves all its links. The cost of a link is the least cost from
    any cell of one core to any cell of the other; the Euclidean distance is edge to edge, geodesic for a geographic
    CRS. cost_to_euclidean = cost / euclidean_m and cost_to_length = cost / length_m tell how much harder than open
    ground the link is.

    Raises LinkwaysError for a single core, cores on nodata, and cores that cannot reach each other (by number).

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, shapely
    >>> from linkways import corridors, spatial
    >>> resistance = spatial.new_raster(np.ones((3, 30)), crs="EPSG:3035", cell_size=100)
    >>> cores = gpd.GeoDataFrame(geometry=[shapely.box(x, -300, x + 200, 0) for x in (0, 900, 2600)], crs="EPSG:3035")
    >>> corridors.link_network(resistance, cores).links[["core_a", "core_b", "euclidean_m", "cost"]]
       core_a  core_b  euclidean_m    cost
    0       1       2        700.0   800.0
    1       2       3       1500.0  1600.0
    """
    from linkways.corridors._network import build_network

    network = build_network(
        resistance, cores, None, rule=rule, max_cost=max_cost, nearest=nearest,
        drop_through_cores=drop_through_cores, unreachable=unreachable, neighbours=neighbours,
    )  # fmt: skip
    network.fields.close()
    return LinkNetwork(network.table(), network.allocation(), len(network.links))
