"""Barriers brought onto the river: how far they may be moved, which are the same, and where the reaches are cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

from linkways.rivers._topology import boxed_pairs
from linkways.rivers._topology_flow import Channels
from linkways.rivers._topology_geometry import (
    Bools,
    Floats,
    Ints,
    Metric,
    Vertices,
    along_m,
    nearest_places,
    place_at,
    points_at,
    vertices_of,
)

__all__ = ["TOLERANCES_M", "Doubles", "Snapped", "doubles", "snap"]

TOLERANCES_M: dict[str, float] = {
    "dam": 150.0,
    "weir": 150.0,
    "long dam": 1000.0,
    "off network": 50.0,
    "manual": 25.0,
    "waterfall": 100.0,
    "road": 50.0,
    "culvert": 50.0,
    "bridge": 50.0,
    "ford": 50.0,
    "other": 100.0,
}
"""How far a barrier of each kind may be moved to the river, in metres: those of the national inventory of aquatic
barriers of the USA (Southeast Aquatic Resources Partnership, 2026) for dam, long dam, off network, manual, waterfall
and road; weirs go as dams, culverts, bridges and fords as roads. "other" is for every kind that is not listed."""

_SHORTEST_M = 1.0


@dataclass(frozen=True)
class Doubles:
    """By barrier: the barrier it repeats and the one it may repeat (-1: none), with the distances."""

    of: Ints
    maybe_of: Ints
    distance_m: Floats


@dataclass(frozen=True)
class Snapped:
    """By barrier; ``edge`` is -1 where the barrier has no place, for the reason in ``why``."""

    edge: Ints
    place: Floats
    """Place on the edge, one with the places of others that share the cut."""
    along_m: Floats
    inside: Bools
    """Whether the place lies above the lower end of the edge, so that the edge is cut."""
    x: Floats
    y: Floats
    distance_m: Floats
    confidence: Floats
    site: list[str]
    why: list[str]


def doubles(x: Floats, y: Floats, kind: np.ndarray, metric: Metric, same_m: float, maybe_m: float) -> Doubles:
    """Barriers of one kind that lie so near an earlier one, still kept, that they are (or may be) the same."""
    from scipy.spatial import cKDTree

    positions = metric.positions(x, y)
    count = len(x)
    widest = max(same_m, maybe_m)
    pairs = cKDTree(positions).query_pairs(widest, output_type="ndarray") if count else np.empty((0, 2), np.int64)
    pairs = np.sort(pairs[kind[pairs[:, 0]] == kind[pairs[:, 1]]], axis=1).astype(np.int64)
    gap = np.linalg.norm(positions[pairs[:, 0]] - positions[pairs[:, 1]], axis=1)
    order = np.lexsort((gap, pairs[:, 1]))
    pairs, gap = pairs[order], gap[order]
    near = gap <= same_m
    of = _first_come(pairs[near], count)
    kept = (of[pairs[:, 0]] < 0) & (of[pairs[:, 1]] < 0) & (gap <= maybe_m)
    maybe, first = np.unique(pairs[kept, 1], return_index=True)
    maybe_of = np.full(count, -1, np.int64)
    maybe_of[maybe] = pairs[kept, 0][first]
    distance = np.full(count, np.nan)
    other = np.maximum(of, maybe_of)
    has = other >= 0
    distance[has] = np.linalg.norm(positions[has] - positions[other[has]], axis=1)
    return Doubles(of, maybe_of, distance)


def _first_come(pairs: Ints, count: int) -> Ints:
    """The kept barrier that each repeats, -1 for a kept one: the first stays, whatever lies near a kept one goes.

    ``pairs`` are (earlier, later), sorted by the later one and the distance.
    """
    of = np.full(count, -1, np.int64)
    open_ = np.zeros(count, bool)
    open_[pairs[:, 1]] = True
    while len(pairs):
        # barriers whose earlier neighbours are all decided: gone if one of these was kept
        waits = np.zeros(count, bool)
        waits[pairs[open_[pairs[:, 0]], 1]] = True
        ready = ~waits[pairs[:, 1]]
        ends = pairs[ready & ~open_[pairs[:, 0]] & (of[pairs[:, 0]] < 0)]
        gone, first = np.unique(ends[:, 1], return_index=True)
        of[gone] = ends[first, 0]
        open_[pairs[ready, 1]] = False
        pairs = pairs[~ready]
    return of


def snap(x: Floats, y: Floats, reach_m: Floats, channels: Channels, metric: Metric) -> Snapped:
    """The nearest place on the river within the reach of each barrier.

    The nearer of kept and left-out lines decides: a barrier on a line that was left out is not moved to another one.
    At a node the place is the lower end of the reach above where there is one only, else just below the node.
    """
    edges, kept = channels.edges, len(channels.down)
    lines = np.concatenate([edges.lines, channels.cut.lines])
    vertices = vertices_of(lines, metric)
    barrier, edge = boxed_pairs(lines, x, y, reach_m, metric)
    near = nearest_places(x[barrier], y[barrier], edge, vertices, metric)
    within = near.distance_m <= reach_m[barrier]
    barrier, edge, place, gap = barrier[within], edge[within], near.place[within], near.distance_m[within]
    along = along_m(vertices, edge, place)
    at_start = along < np.minimum(_SHORTEST_M, vertices.length_m[edge] / 2)
    # among lines that meet at the nearest place, the one that leads on from there
    order = np.lexsort((edge, ~at_start, np.round(gap, 6), barrier))
    barrier, edge, along, gap = barrier[order], edge[order], along[order], gap[order]
    found, first = np.unique(barrier, return_index=True)
    best = np.full(len(x), -1, np.int64)
    best[found] = first
    confidence = _confidence(barrier, edge, gap, best, reach_m, channels)
    result = _settled(best, edge, along, gap, vertices, channels)
    chosen, metres, distance, site = result
    left_out = chosen >= kept
    why = _reasons(x, y, reach_m, chosen, lines, vertices, metric, channels)
    usable = (chosen >= 0) & ~left_out
    spots = place_at(vertices, np.where(usable, chosen, 0), np.where(usable, metres, 0.0))
    px, py = points_at(vertices, np.where(usable, chosen, 0), spots)
    shared_m = _shared_cuts(np.where(usable, chosen, -1), metres)
    spots = place_at(vertices, np.where(usable, chosen, 0), np.where(usable, shared_m, 0.0))
    return Snapped(
        np.where(usable, chosen, -1),
        spots,
        shared_m,
        usable & (shared_m < vertices.length_m[np.where(usable, chosen, 0)]),
        np.where(usable, px, x),
        np.where(usable, py, y),
        np.where(usable, distance, np.nan),
        np.where(usable, confidence, np.nan),
        site,
        why,
    )


def _settled(
    best: Ints, edge: Ints, along: Floats, gap: Floats, vertices: Vertices, channels: Channels
) -> tuple[Ints, Floats, Floats, list[str]]:
    """Edge, metres along it, distance and site of each barrier, moved off the very ends of edges."""
    kept = len(channels.down)
    has = best >= 0
    chosen = np.where(has, edge[best], -1) if len(edge) else np.full(len(best), -1, np.int64)
    metres = np.where(has, along[best], 0.0) if len(edge) else np.zeros(len(best))
    distance = np.where(has, gap[best], np.nan) if len(edge) else np.full(len(best), np.nan)
    on = has & (chosen < kept)
    down = channels.down
    arrive = np.bincount(down[down >= 0], minlength=kept)
    above = np.full(kept, -1, np.int64)
    above[down[down >= 0]] = np.flatnonzero(down >= 0)
    length = vertices.length_m[np.where(on, chosen, 0)]
    margin = np.minimum(_SHORTEST_M, length / 2)
    at_start = on & (metres < margin)
    at = np.where(on, chosen, 0)
    through = at_start & (arrive[at] == 1)
    headwater = at_start & (arrive[at] == 0)
    joined = at_start & (arrive[at] > 1)
    metres = np.where(at_start, margin, metres)
    # a barrier where one reach follows another stands at the lower end of the upper one
    chosen = np.where(through, above[at], chosen)
    metres = np.where(through, vertices.length_m[np.where(through, chosen, 0)], metres)
    at = np.where(on, chosen, 0)
    length = vertices.length_m[at]
    at_end = on & ~at_start & (length - metres < np.minimum(_SHORTEST_M, length / 2))
    metres = np.where(at_end, length, metres)
    outlet = on & (metres == length) & (down[at] < 0)
    meets = at_end & (down[at] >= 0) & (arrive[np.maximum(down[at], 0)] > 1)
    site = np.select([headwater, joined | meets, outlet], ["stream start", "confluence", "outlet"], "river")
    return chosen, metres, distance, [str(s) for s in site]


def _confidence(barrier: Ints, edge: Ints, gap: Floats, best: Ints, reach_m: Floats, channels: Channels) -> Floats:
    """1 - d / min(reach, d2): d the distance to the river, d2 that to another line that does not follow on.

    1 on the river, 0 at the limit of the tolerance or halfway between two rivers.
    """
    confidence = np.zeros(len(best))
    if not len(edge):
        return confidence
    kept = len(channels.down)
    down = np.concatenate([channels.down, np.full(len(channels.cut.line), -1)])
    mine = edge[best[barrier]]
    arrive = np.bincount(channels.down[channels.down >= 0], minlength=kept + len(channels.cut.line))
    follows = (down[mine] == edge) & (arrive[edge] == 1) | (down[edge] == mine) & (arrive[mine] == 1)
    rival = (edge != mine) & ~follows
    limit = reach_m.copy()
    np.minimum.at(limit, barrier[rival], gap[rival])
    has = best >= 0
    nearest = np.where(has, gap[best], np.inf)
    # exactly on a confluence nothing tells the lines apart: 0
    share = np.divide(nearest, limit, out=np.ones(len(best)), where=has & (limit > 0))
    confidence[has] = np.clip(1.0 - share[has], 0.0, 1.0)
    return confidence


def _reasons(
    x: Floats, y: Floats, reach_m: Floats, chosen: Ints, lines: np.ndarray, vertices: Vertices, metric: Metric,
    channels: Channels,
) -> list[str]:  # fmt: skip
    """Why each barrier has no place; empty for those that have one."""
    kept = len(channels.down)
    why = np.full(len(x), "", object)
    for i in np.flatnonzero(chosen >= kept):
        why[i] = f"lies on a line that was left out: {channels.why[chosen[i] - kept]}"
    lost = np.flatnonzero(chosen < 0)
    if len(lost):
        nearest = shapely.STRtree(lines).nearest(shapely.points(x[lost], y[lost]))
        away = nearest_places(x[lost], y[lost], nearest.astype(np.int64), vertices, metric).distance_m
        why[lost] = [
            f"no river within {reach_m[i]:g} m, the nearest about {d:.0f} m away"
            for i, d in zip(lost, away, strict=True)
        ]
    return list(why)


def _shared_cuts(edge: Ints, metres: Floats) -> Floats:
    """Metres along the edge of each cut; barriers within a metre of the one before share its cut."""
    shared = metres.copy()
    order = np.lexsort((metres, edge))
    opens = np.ones(len(order), bool)
    opens[1:] = (np.diff(edge[order]) != 0) | (np.diff(metres[order]) > _SHORTEST_M)
    # the lowest of a group, so that one at the end of an edge keeps it there
    group = np.cumsum(opens) - 1
    last = np.concatenate([np.flatnonzero(opens)[1:], [len(order)]]) - 1 if len(order) else np.zeros(0, np.int64)
    shared[order] = metres[order][last[group]]
    return shared
