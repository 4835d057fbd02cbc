"""How isolated protected areas are: by distance to the others, by what they can reach, and by effective resistance."""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Raster, TableOf, Vector, method
from linkways.policy._reported import REPORTED, reported
from linkways.policy.protconn import MAB, OECM, Invalid, Points, Realm, Status

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from linkways.policy._links import Links

__all__ = ["ProtectedIsolation", "protected_isolation"]


@dataclass(frozen=True)
class ProtectedIsolation:
    """How isolated protected land is."""

    nodes: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "dissolved protected land: node, area_km2, sites (count), site_ids, nearest_km (edge to edge), isolated, "
            "isolation (0: all other protected land in sure reach, 1: none), and with a resistance raster "
            "effective_resistance"
        ),
    ]
    decisions: Annotated[
        "pd.DataFrame", TableOf("every filter, repair and choice: region, step, decision, features, area_km2")
    ]
    reported: Annotated["pd.DataFrame", TableOf(REPORTED)]
    isolated_share: Annotated[float, Indicator("share of protected nodes without another one in reach", unit="%")]
    isolated_area: Annotated[float, Indicator("share of protected area in isolated nodes", unit="%")]
    isolation: Annotated[float, Indicator("mean isolation weighted by area, 0 to 1")]
    effective_resistance: Annotated[
        float,
        Indicator(
            "mean effective resistance between a node and all others joined; not told without a resistance raster",
            unit="resistance",
        ),
    ]


@method(
    "policy.protected_isolation",
    references=(
        "Saura S, Pascual-Hortal L (2007) A new habitat availability index to integrate connectivity in landscape "
        "conservation planning. Landscape and Urban Planning 83:91-103 (probability of the best path)",
        "Brennan A, Naidoo R, Greenstreet L, Mehrabi Z, Ramankutty N, Kremen C (2022) Functional connectivity of the "
        "world's protected areas. Science 376:1101-1104 (isolation of protected areas by effective resistance)",
    ),
)
def protected_isolation(
    areas: Annotated[
        "gpd.GeoDataFrame",
        Vector("protected areas and OECMs; fields of the WDPA are read where present", geometry=("Polygon", "Point")),
    ],
    resistance: Annotated[
        "xr.DataArray | None",
        Raster("resistance to movement, for effective resistances", unit="resistance", positive=True, own_grid=True),
    ] = None,
    *,
    distance_km: Annotated[
        float, Param("a node is isolated when no other lies within this distance, edge to edge", unit="km", gt=0)
    ] = 10.0,
    probability: Annotated[float, Param("probability to reach that distance", gt=0, lt=1)] = 0.5,
    min_area_km2: Annotated[float, Param("smallest node", unit="km2", ge=0)] = 0.0,
    dissolve_within_m: Annotated[float, Param("areas that lie this near are one node", unit="metres", ge=0)] = 0.0,
    exclude_status: Status = ["Proposed", "Not Reported"],  # noqa: B006
    unesco_mab: MAB = "drop",
    oecm: OECM = "include",
    realm: Realm = "all",
    points: Points = "buffer",
    invalid: Invalid = "repair",
    cutoff: Annotated[float, Param("paths of a lower probability count as none", gt=0, le=0.1)] = 1e-4,
) -> ProtectedIsolation:
    """How isolated each piece of protected land is from the rest, and the share of it that is.

    Areas that touch are one node. A node is isolated when no other lies within ``distance_km`` of its edge. Its
    isolation is 1 - sum_{j != i} a_j p*_ij / sum_{j != i} a_j, with a_j areas and p*_ij the probability of the best
    path (as in ``protconn``): 0 when all other protected land is reached with certainty, 1 when none is.

    With a resistance raster, effective_resistance is that between the node and all other nodes joined together, after
    Brennan et al. (2022), who measure the isolation of protected areas by effective resistance to mammal movement.
    Their resistance surface and normalisation are not part of this method, so that values compare within one raster.

    Raises LinkwaysError for fewer than two nodes, and as ``protconn`` for layers that cannot be measured.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from linkways import policy
    >>> parks = gpd.GeoDataFrame(geometry=[shapely.box(x, 0, x + 1000, 1000) for x in (0, 6000, 40_000)], crs=3035)
    >>> found = policy.protected_isolation(parks)
    >>> found.nodes[["node", "nearest_km", "isolated", "isolation"]].round(3)
       node  nearest_km  isolated  isolation
    0     1         5.0     False      0.611
    1     2         5.0     False      0.596
    2     3        33.0      True      0.913
    """
    import geopandas as gpd
    import shapely

    from linkways.policy._fractions import Scale
    from linkways.policy._links import Outlines
    from linkways.policy._nodes import dissolve
    from linkways.policy._plane import Plane
    from linkways.policy._sites import Decisions, Filters, read_sites

    decisions = Decisions()
    filters = Filters(tuple(exclude_status or ()), unesco_mab, oecm, realm, points, invalid)
    sites = read_sites(areas, filters, decisions)
    plane = Plane.of(sites.shape, sites.crs)
    decisions.add("choice", f"measured in the {plane.words}", len(sites))
    parts, owner = shapely.get_parts(sites.on(plane), return_index=True)
    shapes, members = dissolve(parts, dissolve_within_m)
    area = shapely.area(shapes) / 1e6
    large = area >= min_area_km2
    if min_area_km2 > 0:
        small = float(area[~large].sum())
        decisions.add("filter", f"dropped: nodes under {min_area_km2:g} km2", int((~large).sum()), small)
    shapes, area = shapes[large], area[large]
    names = [np.unique(owner[m]) for m, kept in zip(members, large, strict=True) if kept]
    if len(shapes) < 2:
        raise LinkwaysError(
            f"policy.protected_isolation: {len(shapes)} piece of protected land is left, but isolation needs two or "
            "more; lower min_area_km2 or check the filters"
        )
    scale = Scale(distance_km * 1000.0, probability, cutoff)
    outlines = Outlines(shapes, plane)
    known = 1.001 * scale.distance_m
    links = outlines.completed(outlines.within(known), known, scale.reach_m)
    nearest = _nearest_km(shapes, links, outlines)
    isolation = _isolation(area, links, scale)
    nodes = gpd.GeoDataFrame(
        {
            "node": np.arange(1, len(shapes) + 1),
            "area_km2": area,
            "sites": [len(n) for n in names],
            "site_ids": [";".join(sites.name[n]) for n in names],
            "nearest_km": nearest,
            "isolated": nearest > distance_km,
            "isolation": isolation,
        },
        geometry=plane.unproject(shapes),
    )
    mean = math.nan
    if resistance is not None:
        nodes["effective_resistance"] = _effective_resistance(nodes, resistance)
        mean = float(nodes["effective_resistance"].mean())
    alone = nodes["isolated"].to_numpy()
    mean_isolation = float(np.average(isolation, weights=area))
    how = "Linkways' own definition, see the method"
    row = {"indicator": "protected-isolation", "value": mean_isolation, "unit": "0-1", "thresholds": how}
    return ProtectedIsolation(
        nodes=nodes,
        decisions=decisions.table(),
        reported=reported("policy.protected_isolation", [row]),
        isolated_share=100.0 * float(alone.mean()),
        isolated_area=100.0 * float(area[alone].sum() / area.sum()),
        isolation=mean_isolation,
        effective_resistance=mean,
    )


def _nearest_km(shapes: np.ndarray, links: "Links", outlines: Any) -> np.ndarray:
    """Distance to the nearest other node, whatever its length."""
    nearest = np.full(len(shapes), np.inf)
    np.minimum.at(nearest, links.ends[:, 0], links.metres)
    np.minimum.at(nearest, links.ends[:, 1], links.metres)
    reach = 4.0 * float(links.metres.max(initial=1000.0))
    while np.isinf(nearest).any():  # the nearest neighbour of a node never has a shorter way over a third one
        more = outlines.within(reach)
        for end in (0, 1):
            np.minimum.at(nearest, more.ends[:, end], more.metres)
        reach *= 4.0
    return nearest / 1000.0


def _isolation(area: np.ndarray, links: "Links", scale: Any) -> np.ndarray:
    from linkways.kernels.reach import graph, probability_sum

    near = links.up_to(scale.reach_m)
    reached = probability_sum(graph(len(area), near.ends, near.metres * scale.per_metre), area, scale.horizon)
    return np.asarray(1.0 - reached.inflow / (area.sum() - area))


def _effective_resistance(nodes: "gpd.GeoDataFrame", resistance: "xr.DataArray") -> np.ndarray:
    from linkways.corridors import current
    from linkways.spatial import to_grid_crs

    focal = to_grid_crs(nodes[["node", "geometry"]], resistance)
    found = current(resistance, focal, mode="one_to_all").resistances
    return np.asarray(found.set_index("node")["resistance"].reindex(nodes["node"]).to_numpy(dtype=float))
