"""Links between habitat patches: straight, by least cost, or by current."""

from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Layer, Param, Raster, Vector, method

if TYPE_CHECKING:
    import geopandas as gpd
    import xarray as xr

    from linkways.networks._links_cost import CostLink, PatchCells
    from linkways.networks._links_straight import Gaps

__all__ = ["links"]

Kind = Literal["edge", "centroid", "inside", "least_cost", "effective_resistance"]
CostRule = Literal["steps", "entered_cells"]
Weights = Literal["surface", "zones"]


@method(
    "networks.links",
    references=(
        "Fall A, Fortin MJ, Manseau M, O'Brien D (2007) Spatial graphs: principles and applications for habitat "
        "connectivity. Ecosystems 10:448-461 (minimum planar graph)",
        "Foltete JC, Clauzel C, Vuidel G (2012) A software tool dedicated to the modelling of landscape networks. "
        "Environmental Modelling and Software 38:316-327",
        "Adriaensen F et al. (2003) The application of least-cost modelling as a functional landscape model. "
        "Landscape and Urban Planning 64:233-247",
        "McRae BH, Dickson BG, Keitt TH, Shah VB (2008) Using circuit theory to model connectivity in ecology, "
        "evolution, and conservation. Ecology 89:2712-2724",
        "Karney CFF (2013) Algorithms for geodesics. Journal of Geodesy 87:43-55",
    ),
)
def links(
    patches: Annotated[
        "gpd.GeoDataFrame",
        Vector("habitat patches; column patch numbers them when present", geometry=("Polygon",)),
    ],
    resistance: Annotated[
        "xr.DataArray | None",
        Raster("resistance to movement, for links by least cost or current", unit="resistance", positive=True),
    ] = None,
    *,
    kind: Annotated[
        Kind,
        Param(
            "how far apart patches are: edge to edge, centroid to centroid, the same with points inside the largest "
            "part, by the least-cost path, or by effective resistance"
        ),
    ] = "edge",
    topology: Annotated[
        Literal["complete", "planar"],
        Param("join all pairs within the horizon, or neighbours only: patches whose zones of nearest patch touch"),
    ] = "complete",
    max_distance_km: Annotated[
        float | None,
        Param("horizon: longer links are left out (by least cost or current: patches farther apart)", unit="km", gt=0),
    ] = None,
    max_cost: Annotated[
        float | None, Param("horizon: least-cost links that cost more are left out", unit="cost-metres", gt=0)
    ] = None,
    weights: Annotated[
        Weights,
        Param(
            "planar least-cost links: cheapest on the whole surface, or without leaving the zones of the two patches"
        ),
    ] = "surface",
    cost_rule: Annotated[
        CostRule,
        Param(
            "cost of a path: step lengths (m) x mean resistance of the two cells, or the sum of the resistances of the "
            "cells entered between the two patches (with planar links in zones)",
            source="steps as in Graphab and Linkage Mapper; entered cells as in grainscape",
        ),
    ] = "steps",
    prune: Annotated[bool, Param("leave out links that are longer than a way of two others")] = False,
    neighbours: Annotated[
        Literal[4, 8],
        Param("steps to the 4 cells that share an edge, or to all 8", source="8 as in Graphab; grainscape takes 4"),
    ] = 8,
    overlaps: Annotated[
        Literal["refuse", "keep"],
        Param("patches that overlap by more than a millionth: refused, or kept with distance 0"),
    ] = "refuse",
    invalid: Annotated[
        Literal["repair", "refuse"], Param("invalid polygons: made valid, with a note, or refused")
    ] = "repair",
) -> Annotated[
    "gpd.GeoDataFrame",
    Layer(
        "links: link, patch_a, patch_b, kind, and distance_m; or cost (cost-metres), euclidean_m, length_m, "
        "mean_resistance, max_resistance; or resistance (resistance x metres), euclidean_m"
    ),
]:
    """The links of a habitat network with their distance, cost or effective resistance, and their lines.

    - ``edge``: shortest distance between outlines, 0 for patches that touch; the line joins the nearest points.
    - ``centroid``, ``inside``: distance between centroids, or between points inside: the centroid of the largest part,
      or, where that lies outside it, a point on its surface.
    - ``least_cost``: least accumulated cost from any cell of one patch to any cell of the other, over paths that may
      cross other patches; a step costs its length in metres times the mean resistance of its two cells (exact,
      Dijkstra). A patch holds the cells whose centre lies in it, or the one cell that it lies in. The line runs
      through cell centres; mean and greatest resistance are those of its cells.
    - ``effective_resistance``: resistance between the two patches, each without resistance inside, in a circuit whose
      steps have length in metres x mean resistance; never more than the least cost.

    Distances on a geographic CRS are geodesics between the nearest points, found to within 5 cm (below 60 degrees of
    latitude) plus a millionth of the distance, with edges straight in longitude and latitude; on a projected CRS they
    are map distances in metres.

    ``planar`` links join patches whose zones touch: by least cost or current, the cells that are cheapest to reach
    from a patch; by edges, what is nearest to its outline; by anchors, the Voronoi cells (Delaunay triangulation).
    The cheapest way across the border of two zones can be dearer than a path over a third zone: ``weights`` says
    which is meant, and the column ``kind`` says least_cost or least_cost_in_zones. ``prune`` goes through the links
    from the shortest up and leaves out each that two of those kept are together shorter than; shortest paths over the
    network stay as long.

    The links of grainscape's minimum planar graph are kind least_cost, topology planar, weights zones, cost_rule
    entered_cells, prune, neighbours 4 (but for cells that are equally cheap to reach from two patches, which here
    belong to the first of them); those of Graphab's complete linkset are kind least_cost over a resistance in which
    patch cells have the cost of their class.

    Raises LinkwaysError for overlapping or invalid patches where these are refused, coordinates in degrees with a CRS
    in metres, patches wholly on nodata or outside the raster, and parameters that do not fit the kind.

    Examples
    --------
    >>> import geopandas as gpd, numpy as np, shapely
    >>> from linkways import networks, spatial
    >>> patches = gpd.GeoDataFrame(geometry=[shapely.box(x, 0, x + 200, 200) for x in (0, 500, 2000)], crs="EPSG:3035")
    >>> networks.links(patches, max_distance_km=1.5)[["patch_a", "patch_b", "distance_m"]]
       patch_a  patch_b  distance_m
    0        1        2       300.0
    1        2        3      1300.0
    >>> resistance = spatial.new_raster(np.full((2, 22), 3.0), crs="EPSG:3035", cell_size=100, origin=(0, 200))
    >>> networks.links(patches, resistance, kind="least_cost", topology="planar")[["patch_a", "patch_b", "cost"]]
       patch_a  patch_b    cost
    0        1        2  1200.0
    1        2        3  4200.0
    """
    from linkways.networks._patch_polygons import checked_polygons

    _refuse_unfitting(kind, topology, resistance is not None, max_cost, weights, cost_rule)
    checked = checked_polygons(patches, "patches", invalid=invalid, overlaps=overlaps)
    reach = np.inf if max_distance_km is None else max_distance_km * 1000
    if resistance is None:
        table = _straight(checked, kind, topology == "planar", reach)
    elif kind == "least_cost":
        limit = np.inf if max_cost is None else max_cost
        table = _least_cost(checked, resistance, topology == "planar", reach, limit, weights, cost_rule, neighbours)
    else:
        table = _effective(checked, resistance, topology == "planar", reach, neighbours)
    if prune:
        table = _pruned(table)
    return _finished(table, checked)


def _refuse_unfitting(
    kind: Kind, topology: str, has_raster: bool, max_cost: float | None, weights: Weights, cost_rule: CostRule
) -> None:
    by_raster = kind in ("least_cost", "effective_resistance")
    if by_raster and not has_raster:
        raise LinkwaysError(f"links of kind {kind} need a resistance raster; give resistance, or choose kind edge")
    if has_raster and not by_raster:
        raise LinkwaysError(
            f"links of kind {kind} do not look at resistance; leave it out, or choose kind least_cost or "
            "effective_resistance"
        )
    if max_cost is not None and kind != "least_cost":
        raise LinkwaysError(f"max_cost is a horizon for kind least_cost; use max_distance_km for kind {kind}")
    if weights == "zones" and (kind, topology) != ("least_cost", "planar"):
        raise LinkwaysError("weights 'zones' are for planar links by least cost; leave weights out")
    if cost_rule == "entered_cells" and weights != "zones":
        raise LinkwaysError(
            "cost_rule entered_cells needs kind least_cost, topology planar and weights zones (as in grainscape)"
        )


# --- straight ----------------------------------------------------------------------------------------------------


def _straight(patches: "gpd.GeoDataFrame", kind: Kind, planar: bool, reach_m: float) -> "gpd.GeoDataFrame":
    from linkways.networks import _links_straight as s

    surface = s.surface_of(patches)
    if kind == "edge":
        pairs = s.neighbours_by_nearness(surface) if planar else None
        gaps = s.edge_gaps(surface, reach_m, pairs)
    else:
        points = s.anchors(surface, "inside" if kind == "inside" else "centroid")
        pairs = s.neighbours_of_points(surface, points) if planar else None
        gaps = s.anchor_gaps(surface, points, reach_m, pairs)
    return _frame(patches, gaps.one, gaps.other, kind, {"distance_m": gaps.metres}, gaps.lines)


def _edge_gaps(patches: "gpd.GeoDataFrame", pairs: np.ndarray, reach_m: float) -> "Gaps":
    """Edge-to-edge distances of given pairs, those within the reach, in order of the pairs' numbers."""
    from linkways.networks import _links_straight as s

    return s.edge_gaps(s.surface_of(patches), reach_m, pairs)


def _frame(
    patches: "gpd.GeoDataFrame", one: np.ndarray, other: np.ndarray, kind: str, columns: dict[str, Any], lines: Any
) -> "gpd.GeoDataFrame":
    import geopandas as gpd

    ids = patches["patch"].to_numpy()
    head = {"patch_a": ids[one], "patch_b": ids[other], "kind": kind}
    return gpd.GeoDataFrame(head | columns, geometry=gpd.GeoSeries(lines, crs=patches.crs), crs=patches.crs)


# --- by least cost and current -----------------------------------------------------------------------------------


def _least_cost(
    patches: "gpd.GeoDataFrame",
    resistance: "xr.DataArray",
    planar: bool,
    reach_m: float,
    max_cost: float,
    weights: Weights,
    cost_rule: CostRule,
    neighbours: int,
) -> "gpd.GeoDataFrame":
    from linkways.networks._links_cost import cost_links, patch_cells, zone_borders, zone_links

    cells = patch_cells(patches, resistance, neighbours)
    kind = "least_cost"
    if not planar:
        found = cost_links(cells, max_cost, None, None)
    else:
        # with an exact re-run a link may cost less than the way across the border of its zones
        bound = max_cost if weights == "zones" else np.inf
        borders = zone_borders(cells, bound, entered_cells=cost_rule == "entered_cells")
        if weights == "zones":
            found, kind = zone_links(cells, borders), f"{kind}_in_zones"
        else:
            found = cost_links(cells, max_cost, np.stack([borders.one, borders.other], axis=1), borders.cost)
    return _path_table(patches, cells, found, kind, reach_m)


def _path_table(
    patches: "gpd.GeoDataFrame", cells: "PatchCells", found: "list[CostLink]", kind: str, reach_m: float
) -> "gpd.GeoDataFrame":
    from linkways.networks._links_cost import path_facts

    pairs = np.array([(link.one, link.other) for link in found], np.int64).reshape(-1, 2)
    euclidean = _edge_gaps(patches, pairs, np.inf).metres
    near = np.flatnonzero(euclidean <= reach_m)
    facts = [path_facts(cells, found[k].path) for k in near]
    columns = {"cost": np.array([found[k].cost for k in near], float), "euclidean_m": euclidean[near]}
    for place, name in enumerate(("length_m", "mean_resistance", "max_resistance"), 1):
        columns[name] = np.array([fact[place] for fact in facts], float)
    lines = np.array([fact[0] for fact in facts], object)
    return _frame(patches, pairs[near, 0], pairs[near, 1], kind, columns, lines)


def _effective(
    patches: "gpd.GeoDataFrame", resistance: "xr.DataArray", planar: bool, reach_m: float, neighbours: Literal[4, 8]
) -> "gpd.GeoDataFrame":
    import pandas as pd

    from linkways.corridors import current
    from linkways.networks._links_cost import patch_cells, zone_borders

    cells = patch_cells(patches, resistance, neighbours)
    if planar:
        borders = zone_borders(cells, np.inf)
        pairs = np.stack([borders.one, borders.other], axis=1)
    else:
        pairs = np.stack(np.triu_indices(len(patches), 1), axis=1)
    gaps = _edge_gaps(patches, pairs, reach_m)
    if not len(gaps.one):
        return _frame(patches, gaps.one, gaps.other, "effective_resistance", _no_resistances(), gaps.lines)
    flow = current(
        resistance,
        patches[[patches.geometry.name]].assign(node=np.arange(len(patches))),
        pairs=pd.DataFrame({"node_a": gaps.one, "node_b": gaps.other}),
        average="resistance",
        step_lengths="metres",
        neighbours=neighbours,
        many_nodes=True,
    )
    known = flow.resistances.set_index(["node_a", "node_b"])["resistance"]
    ohms = known.loc[list(zip(gaps.one.tolist(), gaps.other.tolist(), strict=True))].to_numpy()
    flows = np.isfinite(ohms)
    gaps = gaps.where(flows)
    columns = {"resistance": ohms[flows], "euclidean_m": gaps.metres}
    return _frame(patches, gaps.one, gaps.other, "effective_resistance", columns, gaps.lines)


def _no_resistances() -> dict[str, Any]:
    return {"resistance": np.empty(0), "euclidean_m": np.empty(0)}


# --- the finished table ------------------------------------------------------------------------------------------


def _weight_of(table: "gpd.GeoDataFrame") -> str:
    return next(name for name in ("distance_m", "cost", "resistance") if name in table.columns)


def _pruned(table: "gpd.GeoDataFrame") -> "gpd.GeoDataFrame":
    """The links without those that two kept links together are shorter than, gone through from the shortest up."""
    weight = table[_weight_of(table)].to_numpy()
    ends = list(zip(table["patch_a"], table["patch_b"], strict=True))
    joined: dict[Any, dict[Any, float]] = {patch: {} for pair in ends for patch in pair}
    kept = np.zeros(len(table), bool)
    for k in np.argsort(weight, kind="stable").tolist():
        a, b = ends[k]
        from_a, from_b = joined[a], joined[b]
        if not any(from_a[c] + from_b[c] < weight[k] for c in from_a.keys() & from_b.keys()):
            kept[k] = True
            from_a[b] = from_b[a] = float(weight[k])
    return table[kept].reset_index(drop=True)


def _finished(table: "gpd.GeoDataFrame", patches: "gpd.GeoDataFrame") -> "gpd.GeoDataFrame":
    from linkways.spatial import note

    table.insert(0, "link", np.arange(1, len(table) + 1))
    joined = {*table["patch_a"], *table["patch_b"]}
    alone = [str(patch) for patch in patches["patch"] if patch not in joined]
    if alone:
        shown = ", ".join(alone[:10]) + (f" and {len(alone) - 10} more" if len(alone) > 10 else "")
        note(f"{len(alone)} of {len(patches)} patches have no link under the rule and limits given: {shown}")
    return table
