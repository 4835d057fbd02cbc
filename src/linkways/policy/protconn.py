"""Protected and connected land: ProtConn with all its fractions, for one region or many, over years and distances."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Raster, TableOf, Vector, method, progress
from linkways.policy._reported import REPORTED, reported

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from linkways.policy._fractions import Network, Scale
    from linkways.policy._network import Plan
    from linkways.policy._nodes import Nodes
    from linkways.policy._plane import Plane
    from linkways.policy._sites import Decisions, Sites

__all__ = ["ProtConn", "protconn"]

Status = Annotated[
    list[str] | None,
    Param(
        "sites of these statuses are dropped (case does not matter); none: no site is",
        source="Proposed and Not Reported are those that the JRC's ProtConn scripts drop",
    ),
]
MAB = Annotated[
    Literal["drop", "keep"],
    Param("UNESCO-MAB Biosphere Reserves, whose buffer and transition zones are often not protected"),
]
OECM = Annotated[
    Literal["include", "exclude", "only"],
    Param("other effective area-based conservation measures beside, without or instead of protected areas"),
]
Realm = Annotated[Literal["all", "terrestrial", "marine"], Param("drop sites wholly at sea, or wholly on land")]
Points = Annotated[
    Literal["buffer", "drop"],
    Param("sites known only as a point become circles of their reported area (REP_AREA, km2), or are dropped"),
]
Invalid = Annotated[
    Literal["repair", "refuse"], Param("invalid polygons are made valid and counted, or the layer is refused")
]


@dataclass(frozen=True)
class ProtConn:
    """What is protected, what of it is connected, and how."""

    fractions: Annotated[
        "pd.DataFrame",
        TableOf(
            "one row for each region, year, distance and probability: areas in km2 (region, protected, ECA), nodes "
            "inside and beyond the border, and percentages: Prot, ProtConn, ProtUnconn and the Bound variants of the "
            "region's area; RelConn of Prot; ProtConn_Prot, _Trans, _Unprot, _Within and _Contig of ProtConn, and the "
            "same with _land of the region's area; error_bound is by how many points ProtConn can be too low"
        ),
    ]
    nodes: Annotated[
        "gpd.GeoDataFrame",
        Layer(
            "dissolved protected land at the headline distance: region, node, beyond_border, area_km2, sites (count), "
            "site_ids, dProtConn (% of ProtConn lost without the node), varProtConn (the same in percentage points)"
        ),
    ]
    decisions: Annotated[
        "pd.DataFrame",
        TableOf("every filter, repair and choice: region, step, decision, features it met, area_km2 where known"),
    ]
    reported: Annotated["pd.DataFrame", TableOf(REPORTED)]
    prot: Annotated[float, Indicator("protected share of the area", unit="%")]
    protconn: Annotated[float, Indicator("protected and connected share of the area (ProtConn)", unit="%")]
    protunconn: Annotated[float, Indicator("protected but not connected share of the area", unit="%")]
    relconn: Annotated[float, Indicator("connected share of what is protected", unit="%")]
    protconn_bound: Annotated[
        float,
        Indicator("ProtConn without the isolation by sea and foreign land; not told without land polygons", unit="%"),
    ]
    error_bound: Annotated[
        float, Indicator("ProtConn is too low by no more than this because of the cutoff", unit="percentage points")
    ]


@method(
    "policy.protconn",
    references=(
        "Saura S, Bastin L, Battistella L, Mandrici A, Dubois G (2017) Protected areas in the world's ecoregions: how "
        "well connected are they? Ecological Indicators 76:144-158",
        "Saura S, Bertzky B, Bastin L, Battistella L, Mandrici A, Dubois G (2018) Protected area connectivity: "
        "shortfalls in global targets and country-level priorities. Biological Conservation 219:53-67",
        "Saura S et al. (2019) Global trends in protected area connectivity from 2010 to 2018. Biological "
        "Conservation 238:108183",
    ),
)
def protconn(
    areas: Annotated[
        "gpd.GeoDataFrame",
        Vector(
            "protected areas and OECMs, also those around the region; fields of the WDPA and WD-OECM are read where "
            "present, old or new (SITE_PID, SITE_TYPE or PA_DEF, STATUS, STATUS_YR, DESIG_ENG, REALM or MARINE, "
            "REP_AREA)",
            geometry=("Polygon", "Point"),
        ),
    ],
    regions: Annotated[
        "gpd.GeoDataFrame", Vector("what the shares are of: a country, ecoregions, ...", geometry=("Polygon",))
    ],
    land: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("land, for the Bound variants; the part inside each region counts", geometry=("Polygon",)),
    ] = None,
    resistance: Annotated[
        "xr.DataArray | None",
        Raster(
            "resistance to movement between areas; distances are then least costs",
            unit="resistance",
            positive=True,
            own_grid=True,
        ),
    ] = None,
    *,
    region_column: Annotated[
        str | None, Param("field that names the regions; none: all polygons are one region")
    ] = None,
    distances_km: Annotated[
        list[float] | None, Param("dispersal distances; none: 1, 10, 30 and 100", unit="km", gt=0)
    ] = None,
    probabilities: Annotated[
        list[float] | None,
        Param("probability to reach the dispersal distance; the first is the headline; none: 0.5", gt=0, lt=1),
    ] = None,
    headline_km: Annotated[
        float, Param("dispersal distance of the indicators", unit="km", gt=0, source="10 km: Saura et al. 2017, 2018")
    ] = 10.0,
    years: Annotated[
        list[int] | None, Param("years to look back on by STATUS_YR; none: all sites at once", ge=1800)
    ] = None,
    unknown_year: Annotated[
        Literal["include", "drop"], Param("sites without STATUS_YR are there in every year, or in none")
    ] = "include",
    transboundary_km: Annotated[
        float,
        Param(
            "areas beyond the border up to this far are stepping stones",
            unit="km",
            ge=0,
            source="300 km for countries, 200 km for ecoregions in the JRC's scripts",
        ),
    ] = 300.0,
    transboundary_from: Annotated[
        Literal["areas", "region"], Param("measured from the protected areas inside, or from the region")
    ] = "areas",
    dissolve_within_m: Annotated[
        float, Param("areas that lie this near are one node; 0: those that touch or overlap", unit="metres", ge=0)
    ] = 0.0,
    min_area_km2: Annotated[
        float,
        Param("sites with less inside the region are dropped", unit="km2", ge=0, source="1 km2 in the JRC's scripts"),
    ] = 0.0,
    exclude_status: Status = ["Proposed", "Not Reported"],  # noqa: B006
    unesco_mab: MAB = "drop",
    oecm: OECM = "include",
    realm: Realm = "all",
    points: Points = "buffer",
    invalid: Invalid = "repair",
    overlaps: Annotated[
        Literal["dissolve", "refuse"],
        Param("overlapping sites are dissolved and the overlap told, or the layer is refused"),
    ] = "dissolve",
    delta: Annotated[bool, Param("compute what each node adds to ProtConn at the headline distance")] = True,
    cutoff: Annotated[
        float,
        Param("paths of a lower probability count as none; error_bound tells what that can hide", gt=0, le=0.1),
    ] = 1e-4,
) -> ProtConn:
    """How much of a country or ecoregion is protected and connected (ProtConn), with all fractions of the indicator.

    Sites are cut at the border and dissolved where they touch. With a_i the area of node i inside the region (0 for
    stepping stones beyond the border), A the area of the region, and p_ij = exp(d_ij ln(p) / d) for the distance d_ij
    between the edges of two nodes, p*_ij is the largest product of p over any path between them:

    - ECA = sqrt(sum_ij a_i a_j p*_ij); Prot = 100 sum a_i / A; ProtConn = 100 ECA / A; ProtUnconn = Prot - ProtConn;
      RelConn = 100 ProtConn / Prot.
    - Of ProtConn, in percent: Prot = 100 sqrt(sum a_i^2) / ECA; Trans = 100 (ECA - ECA without the stepping stones
      beyond the border) / ECA; Unprot = 100 - Prot - Trans. Within = 100 sqrt(sum b_k^2 sum a_i / sum b_k) / ECA for
      the single polygons b_k before dissolving, and Contig = Prot - Within (where sites overlap so unevenly that
      Within would exceed Prot, it is Prot).
    - With land polygons: SeaOutland = Prot - 100 ECA' / A, with ECA' that of the network in which all of the region's
      own land can be crossed freely; ProtConn_Bound = ProtConn + SeaOutland and ProtUnconn_Design = ProtUnconn -
      SeaOutland.

    For several regions the indicators are means weighted by area. Areas and distances are taken on the plane of a
    projected CRS, or on the ellipsoid for a geographic one. No outline is simplified, and no link is left out that a
    path above the cutoff could use. With a resistance raster d_ij is the least cost (resistance x metres) between
    nodes, so that the dispersal distances are effective distances.

    Raises LinkwaysError for empty layers, degrees taken for metres (or the reverse), fields that are not there, sites
    that the filters all drop, and whatever ``invalid`` and ``overlaps`` are to refuse.

    Examples
    --------
    >>> import geopandas as gpd, shapely
    >>> from linkways import policy
    >>> parks = gpd.GeoDataFrame(geometry=[shapely.box(x, 0, x + 10_000, 10_000) for x in (0, 20_000)], crs=3035)
    >>> country = gpd.GeoDataFrame(geometry=[shapely.box(0, 0, 30_000, 20_000)], crs=3035)
    >>> found = policy.protconn(parks, country)
    >>> print(f"{found.prot:.2f} % protected, {found.protconn:.2f} % protected and connected")
    33.33 % protected, 28.87 % protected and connected
    """
    from linkways.policy._fractions import Scale
    from linkways.policy._network import Plan
    from linkways.policy._regions import named_regions, planes_of
    from linkways.policy._sites import Decisions, Filters, read_sites

    if land is not None and resistance is not None:
        raise LinkwaysError(
            "policy.protconn: the Bound variants need distances over free land; give either land or resistance"
        )
    decisions = Decisions()
    filters = Filters(tuple(exclude_status or ()), unesco_mab, oecm, realm, points, invalid)
    sites = read_sites(areas, filters, decisions)
    shapes = named_regions(regions, region_column, areas.crs, invalid, decisions)
    _tell_overlaps(shapes, overlaps, decisions)
    grounds = None if land is None else named_regions(land, None, areas.crs, invalid, decisions, "land")
    scales = _scales(distances_km, probabilities, headline_km, cutoff)
    headline = Scale(headline_km * 1000.0, (probabilities or [0.5])[0], cutoff)
    decisions.add("choice", f"paths of a probability below {cutoff:g} are not followed", len(scales))
    plan = Plan(
        scales, headline, transboundary_km * 1000.0, transboundary_from, dissolve_within_m, min_area_km2 * 1e6, delta,
        overlaps, resistance, None if grounds is None else next(iter(grounds.values())),
    )  # fmt: skip
    rows: list[dict[str, Any]] = []
    layers: list[gpd.GeoDataFrame] = []
    dates = _dates(sites, years, unknown_year, decisions)
    planes = planes_of(shapes, areas.crs, decisions)
    for done, (name, shape) in enumerate(shapes.items()):
        for step, (year, there) in enumerate(dates):
            share = (done + step / len(dates)) / len(shapes)
            progress(share, f"connecting the protected areas of {name}" + (f" in {year}" if year else ""))
            last = step == len(dates) - 1
            found, layer = _region(name, year, shape, sites.where(there), planes[name], plan, last, decisions)
            rows += found
            layers += [layer] if layer is not None else []
    return _result(rows, layers, decisions, headline, areas.crs)


def _scales(
    distances_km: list[float] | None, probabilities: list[float] | None, headline_km: float, cutoff: float
) -> "list[Scale]":
    from linkways.policy._fractions import Scale

    given = [1.0, 10.0, 30.0, 100.0] if distances_km is None else distances_km
    distances = sorted({*given, headline_km})
    return [Scale(d * 1000.0, p, cutoff) for p in dict.fromkeys(probabilities or [0.5]) for d in distances]


def _tell_overlaps(shapes: dict[str, Any], overlaps: str, decisions: "Decisions") -> None:
    from linkways.policy._regions import overlap_of

    pairs = overlap_of(shapes)
    if pairs and overlaps == "refuse":
        raise LinkwaysError(
            f"regions: {len(pairs)} pairs of regions overlap, first {pairs[0][0]} and {pairs[0][1]}; cut them apart or "
            "set overlaps to 'dissolve' to compute each by itself"
        )
    if pairs:
        told = "; ".join(" and ".join(pair) for pair in pairs[:5])
        decisions.add("choice", f"regions that overlap are each computed by themselves: {told}", len(pairs))


def _dates(
    sites: "Sites", years: list[int] | None, unknown_year: str, decisions: "Decisions"
) -> list[tuple[int | None, np.ndarray]]:
    """Each year with the sites that are there."""
    if years is None:
        return [(None, np.ones(len(sites), bool))]
    unknown = np.isnan(sites.year)
    if unknown.all():
        raise LinkwaysError(
            "areas: no site has a year in STATUS_YR, so that years cannot be told apart; leave years out"
        )
    rule = "there in every year" if unknown_year == "include" else "there in no year"
    decisions.add("choice", f"sites without STATUS_YR are {rule}", int(unknown.sum()))
    known = np.where(unknown, -np.inf if unknown_year == "include" else np.inf, sites.year)
    return [(year, known <= year) for year in sorted(set(years))]


def _region(
    name: str,
    year: int | None,
    shape: Any,
    sites: "Sites",
    plane: "Plane",
    plan: "Plan",
    last: bool,
    decisions: "Decisions",
) -> "tuple[list[dict[str, Any]], gpd.GeoDataFrame | None]":
    """Rows of one region and year, and the layer of its nodes in the last year."""
    import shapely

    from linkways.policy._fractions import fractions
    from linkways.policy._network import network_of
    from linkways.policy._nodes import region_nodes

    near = _near_region(sites, shape, plan.transboundary_m)
    region = plane.project(np.array([shape], dtype=object))[0]
    nodes = region_nodes(
        near.on(plane),
        region,
        reach_m=plan.transboundary_m,
        around="region" if plan.transboundary_from == "region" else "areas",
        tolerance_m=plan.tolerance_m,
        least_m2=plan.least_m2,
    )
    _tell_nodes(name, year, nodes, plan, decisions)
    network, important = network_of(nodes, region, plane, plan, last and plan.delta, name, decisions)
    row = {"region": name, "year": year, "region_km2": shapely.area(region) / 1e6}
    row |= {"protected_km2": float(nodes.area_m2.sum()) / 1e6}
    row |= {"nodes": nodes.inside, "nodes_beyond": len(nodes) - nodes.inside}
    rows = []
    for scale in plan.scales:
        values = fractions(network, scale)
        values = {"ECA_km2": values.pop("ECA") / 1e6, **values}
        rows.append({**row, "distance_km": scale.distance_m / 1000.0, "probability": scale.probability, **values})
    if not last:
        return rows, None
    return rows, _layer(name, nodes, near, plane, network, important, plan)


def _near_region(sites: "Sites", shape: Any, reach_m: float) -> "Sites":
    """The sites whose boxes come near the region's (all of them where longitudes are in doubt)."""
    import shapely

    boxes = shapely.bounds(sites.shape)
    west, south, east, north = shapely.bounds(shape)
    room = reach_m + math.sqrt(float(np.nanmax(sites.point_area_m2, initial=0.0)) / math.pi) * 1.1 + 1.0
    if sites.crs.is_geographic:
        up = room / 110_000.0
        top = min(max(abs(south - up), abs(north + up)), 90.0)
        side = up / max(math.cos(math.radians(top)), 1e-3)
        if west - side < -180.0 or east + side > 180.0:
            west, east = -math.inf, math.inf
    else:
        up = side = room / float(sites.crs.axis_info[0].unit_conversion_factor)
    return sites.where(
        (boxes[:, 0] <= east + side) & (boxes[:, 2] >= west - side) & (boxes[:, 1] <= north + up)
        & (boxes[:, 3] >= south - up)
    )  # fmt: skip


def _tell_nodes(name: str, year: int | None, nodes: "Nodes", plan: "Plan", decisions: "Decisions") -> None:
    when = "" if year is None else f" in {year}"
    twice = float(nodes.single_m2.sum() - nodes.area_m2.sum()) / 1e6
    if nodes.dropped:
        rule = f"dropped{when}: sites with less than {plan.least_m2 / 1e6:g} km2 inside the region"
        decisions.add("filter", rule, nodes.dropped, nodes.dropped_m2 / 1e6, region=name)
    if twice > 1e-9 * max(float(nodes.area_m2.sum()) / 1e6, 1e-6) and plan.overlaps == "refuse":
        raise LinkwaysError(
            f"areas: sites in region {name} overlap on {twice:.6g} km2; dissolve them or set overlaps to 'dissolve'"
        )
    singles = len(nodes.single_m2)
    rule = f"{singles} single polygons inside dissolved to {nodes.inside} nodes{when}; area_km2 was covered twice"
    decisions.add("dissolve", rule, singles - nodes.inside, max(twice, 0.0), region=name)
    decisions.add(
        "choice",
        f"stepping stones beyond the border{when}, without area",
        len(nodes) - nodes.inside,
        region=name,
    )


def _layer(
    name: str, nodes: "Nodes", sites: "Sites", plane: "Plane", network: "Network", links: Any, plan: "Plan"
) -> "gpd.GeoDataFrame":
    import geopandas as gpd

    from linkways.policy._fractions import node_deltas

    columns: dict[str, Any] = {
        "region": name,
        "node": np.arange(1, len(nodes) + 1),
        "beyond_border": np.arange(len(nodes)) >= nodes.inside,
        "area_km2": nodes.area_m2 / 1e6,
        "sites": [len(members) for members in nodes.sites],
        "site_ids": [";".join(sites.name[members]) for members in nodes.sites],
    }
    if links is not None:
        columns["dProtConn"], columns["varProtConn"] = node_deltas(network, links, plan.headline)
    return gpd.GeoDataFrame(columns, geometry=plane.unproject(nodes.shape))


def _result(
    rows: list[dict[str, Any]], layers: "list[gpd.GeoDataFrame]", decisions: "Decisions", headline: "Scale", crs: Any
) -> ProtConn:
    import pandas as pd

    table = pd.DataFrame(rows)
    if table["year"].isna().all():
        table = table.drop(columns="year")
    now = table if "year" not in table else table[table["year"] == table["year"].max()]
    now = now[(now["distance_km"] == headline.distance_m / 1000.0) & (now["probability"] == headline.probability)]
    weight = now["region_km2"].to_numpy()

    def mean(column: str) -> float:
        return float(np.average(now[column], weights=weight)) if column in now else math.nan

    prot, connected = mean("Prot"), mean("ProtConn")
    return ProtConn(
        fractions=table,
        nodes=_stacked(layers, crs),
        decisions=decisions.table(),
        reported=reported("policy.protconn", _to_report(table)),
        prot=prot,
        protconn=connected,
        protunconn=prot - connected,
        relconn=100.0 * connected / prot if prot > 0 else math.nan,
        protconn_bound=mean("ProtConn_Bound"),
        error_bound=mean("error_bound"),
    )


def _to_report(table: "pd.DataFrame") -> list[dict[str, Any]]:
    """Coverage and ProtConn of each region, year and distance."""
    out = []
    for row in table.to_dict("records"):
        where = "" if row["region"] == "all" else f"{row['region']}; "
        when = "" if "year" not in row else f"{row['year']:.0f}; "
        how = f"{where}{when}probability {row['probability']:g} at {row['distance_km']:g} km"
        value = {"value": row["ProtConn"], "unit": "%", "thresholds": how}
        out += [{"indicator": key, **value} for key in ("protconn", "connected-habitats")]
    return out


def _stacked(layers: "Sequence[gpd.GeoDataFrame]", crs: Any) -> "gpd.GeoDataFrame":
    import geopandas as gpd
    import pandas as pd

    filled = [layer for layer in layers if len(layer)]
    if not filled:
        return gpd.GeoDataFrame(layers[0], crs=crs)
    return gpd.GeoDataFrame(pd.concat(filled, ignore_index=True), crs=crs)
