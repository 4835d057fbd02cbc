"""The network of one region: its nodes and the links between them, by distance, by cost, or over free land."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.policy._fractions import Network, Scale
from linkways.policy._links import Links, Outlines

if TYPE_CHECKING:
    import xarray as xr

    from linkways.policy._nodes import Nodes
    from linkways.policy._plane import Plane
    from linkways.policy._sites import Decisions

__all__ = ["Plan", "network_of"]

_MOST_PAIRS = 12_000_000
"""Direct links that are measured for the importance of single nodes; more would not fit on a small machine."""
_PAIRS_PER_NODE = 60


@dataclass(frozen=True)
class Plan:
    """What is done in every region and year."""

    scales: list[Scale]
    headline: Scale
    transboundary_m: float
    transboundary_from: str
    tolerance_m: float
    least_m2: float
    delta: bool
    overlaps: str
    resistance: xr.DataArray | None
    land: Any


def network_of(
    nodes: Nodes, region: Any, plane: Plane, plan: Plan, important: bool, name: str, decisions: Decisions
) -> tuple[Network, Any]:
    """The network for the fractions, and the links for the importance of nodes (None when not asked for)."""
    import shapely

    longest = max(scale.reach_m for scale in plan.scales)
    if plan.resistance is not None:
        links = _by_cost(nodes, plane, plan, longest, name, decisions)
        inner = links.where(np.all(links.ends < nodes.inside, axis=1))
        network = Network(
            nodes.area_m2, nodes.inside, nodes.single_m2, float(shapely.area(region)), links.that_matter(len(nodes)),
            inner.that_matter(nodes.inside),
        )  # fmt: skip
        return network, links.that_matter(len(nodes), one_node_may_go=True) if important else None
    links, inner, robust = _by_distance(nodes, plane, plan, longest, important, name, decisions)
    network = Network(nodes.area_m2, nodes.inside, nodes.single_m2, float(shapely.area(region)), links, inner)
    if plan.land is not None:
        network = _with_land(network, nodes, region, plane, plan.land, longest)
    return network, robust


def _by_distance(
    nodes: Nodes, plane: Plane, plan: Plan, longest: float, important: bool, name: str, decisions: Decisions
) -> tuple[Any, Any, Any]:
    """Links of all nodes, of those inside alone, and those that matter when any one node is lost."""

    if len(nodes) < 2:
        none = Links(np.empty((0, 2), np.int32), np.empty(0))
        return none, none, none if important else None
    outlines = Outlines(nodes.shape, plane)
    if important:
        known = _longest_reach(outlines, min(plan.headline.reach_m, longest), _MOST_PAIRS)
        if known < plan.headline.reach_m:
            rule = f"importance of nodes sees direct links up to {known / 1000:.4g} km only, because there are so many"
            decisions.add("choice", rule, len(nodes), region=name)
    else:
        known = _longest_reach(outlines, longest, _PAIRS_PER_NODE * len(nodes))
    direct = outlines.within(known)
    links = outlines.completed(direct.that_matter(len(nodes)), known, longest)
    inner = links
    if nodes.inside < len(nodes):
        own = Outlines(nodes.shape[: nodes.inside], plane)
        among = direct.where(np.all(direct.ends < nodes.inside, axis=1))
        inner = own.completed(among.that_matter(nodes.inside), known, longest)
    if not important:
        return links, inner, None
    robust = direct.that_matter(len(nodes), one_node_may_go=True)
    return links, inner, robust if known >= plan.headline.reach_m else robust.and_also(links)


def _longest_reach(outlines: Any, wanted_m: float, most: int) -> float:
    """The longest reach, by halves of what is wanted, within which there are no more pairs than ``most``."""
    reach = wanted_m
    while reach > 1.0 and outlines.pairs_within(reach) > most:
        reach /= 2.0
    return reach


def _by_cost(nodes: Nodes, plane: Plane, plan: Plan, longest: float, name: str, decisions: Decisions) -> Any:
    import geopandas as gpd

    from linkways.policy._cost_links import cost_links

    assert plan.resistance is not None
    frame = gpd.GeoDataFrame(geometry=plane.unproject(nodes.shape))
    if len(frame) < 2:
        return Links(np.empty((0, 2), np.int32), np.empty(0))
    step = float(np.abs(np.diff(plan.resistance.x.values)).max(initial=1.0))
    cell_m = step * (
        111_320.0 if plan.resistance.rio.crs.is_geographic else plan.resistance.rio.crs.linear_units_factor[1]
    )
    straight = Outlines(nodes.shape, plane).within(2.0 * cell_m)
    links, small = cost_links(frame, plan.resistance, longest, straight)
    decisions.add("choice", "links are least costs over the resistance raster", len(links), region=name)
    if small:
        decisions.add(
            "choice", "nodes too small to hold the centre of a cell start from the one they lie in", small, region=name
        )
    return links


def _with_land(network: Network, nodes: Nodes, region: Any, plane: Plane, land: Any, longest: float) -> Network:
    """The network with the region's own land as nodes without area, at no distance from what lies in them."""
    import shapely

    ground = shapely.get_parts(shapely.intersection(plane.project(np.array([land], dtype=object))[0], region))
    ground = ground[shapely.get_type_id(ground) == 3]
    if not len(ground):
        raise LinkwaysError("land: no land polygon lies in the region; give the land of the regions or leave land out")
    shapes = np.concatenate([nodes.shape, ground])
    piece, node = shapely.STRtree(nodes.shape).query(ground, predicate="intersects") if len(nodes) else ([], [])
    inside = Links(
        np.column_stack([np.asarray(node), np.asarray(piece) + len(nodes)]).astype(np.int32), np.zeros(len(node))
    )
    outlines = Outlines(shapes, plane)
    known = _longest_reach(outlines, longest, _PAIRS_PER_NODE * len(shapes))
    links = outlines.within(known).and_also(inside).that_matter(len(shapes))
    return replace(network, bound_nodes=len(shapes), links_bound=outlines.completed(links, known, longest))
