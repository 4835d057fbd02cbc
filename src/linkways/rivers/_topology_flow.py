"""From edges between nodes to channels that flow: roots, the way of the water, and where loops are opened.

Every node but an outlet gets one edge that leads on downstream, chosen so that the way to an outlet turns round as few
drawn lines as possible, then leaves the main channel as seldom as possible, then is the shortest. The other edges close
loops: each stays as a side channel, open at its lower end only, or is left out.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING

import numpy as np
import shapely

from linkways.errors import LinkwaysError
from linkways.rivers._topology import Edges, Repairs, boxed_pairs, split_edges
from linkways.rivers._topology_geometry import (
    Bools,
    Floats,
    Ints,
    Metric,
    along_m,
    cut_lines,
    nearest_places,
    place_at,
    vertices_of,
)
from linkways.rivers._topology_order import on_loops

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Channels", "Flow", "flowing_channels", "joined_mouths", "with_outlets"]

# metres that no way down a river takes, so that sums order first by lines turned round, then by branches, then metres
_BRANCH_M = 1e8
_SHORTEST_M = 1.0


@dataclass(frozen=True)
class Flow:
    """How the way of the water is told."""

    drawn: bool
    """Whether the lines' own direction counts."""
    main: Floats | None
    """By edge: larger on the main channel; None where the shorter way is the main one."""
    keep_loops: bool
    join_mouths: bool
    """Whether reaches that end at one outlet come together just above it, or are basins of their own."""
    tolerance_m: float


@dataclass(frozen=True)
class Channels:
    """Edges that each flow on into at most one other, and those that were left out."""

    edges: Edges
    down: Ints
    """The edge that each flows into, -1 at an outlet."""
    side_of: Ints
    """For a side channel: the edge that takes the main flow past it; -1 otherwise."""
    on_loop: Bools
    """Whether another way leads round the edge."""
    given: Bools
    """Whether the edge ends at an outlet that was given."""
    cut: Edges
    why: list[str]
    """Why each edge of ``cut`` was left out."""

    def without(self, drop: Bools, why: str) -> Channels:
        """The channels less some whole basins, which join the cut ones."""
        kept = np.flatnonzero(~drop)
        number = np.full(len(drop) + 1, -1, np.int64)
        number[kept] = np.arange(len(kept))
        return Channels(
            self.edges.take(kept),
            number[self.down[kept]],
            number[self.side_of[kept]],
            self.on_loop[kept],
            self.given[kept],
            _joined(self.cut, self.edges.take(drop)),
            self.why + [why] * int(drop.sum()),
        )

    def in_order_of_lines(self) -> Channels:
        """The same channels in the order of the lines as given, parts of one line as they are."""
        order = np.argsort(self.edges.line, kind="stable")
        number = np.full(len(order) + 1, -1, np.int64)
        number[order] = np.arange(len(order))
        return replace(
            self,
            edges=self.edges.take(order),
            down=number[self.down[order]],
            side_of=number[self.side_of[order]],
            on_loop=self.on_loop[order],
            given=self.given[order],
        )


# --- outlets ---------------------------------------------------------------------------------------------------


def with_outlets(
    edges: Edges, x: Floats, y: Floats, metric: Metric, tolerance_m: float, drawn: bool, repairs: Repairs
) -> tuple[Edges, Ints]:
    """The node of each outlet, the edges cut where an outlet lies inside one, and parted from what lies below it.

    Raises:
        LinkwaysError: an outlet farther than the tolerance from every line.
    """
    outlet, edge = boxed_pairs(edges.lines, x, y, np.full(len(x), tolerance_m), metric)
    vertices = vertices_of(edges.lines, metric)
    near = nearest_places(x[outlet], y[outlet], edge, vertices, metric)
    order = np.lexsort((edge, near.distance_m, outlet))
    order = order[near.distance_m[order] <= tolerance_m]
    found, first = np.unique(outlet[order], return_index=True)
    if len(found) < len(x):
        lost = np.setdiff1d(np.arange(len(x)), found)
        raise LinkwaysError(
            f"outlets: row {lost[0]} lies farther than {tolerance_m:g} m from every line ({len(lost)} such outlets); "
            "move it onto the river or raise outlet_tolerance_m"
        )
    edge, place = edge[order[first]], near.place[order[first]]
    node = _end_node(edges, edge, x, y, metric, tolerance_m)
    along = along_m(vertices, edge, place)
    node = np.where((node < 0) & (along <= _SHORTEST_M), edges.start[edge], node)
    node = np.where((node < 0) & (along >= edges.length_m[edge] - _SHORTEST_M), edges.end[edge], node)
    edges, node = _cut_at_outlets(edges, edge, place, node, metric)
    if drawn:
        edges = _parted_below(edges, np.unique(node), repairs)
    return edges, np.unique(node)


def _end_node(edges: Edges, edge: Ints, x: Floats, y: Floats, metric: Metric, tolerance_m: float) -> Ints:
    """The free end of the edge within the tolerance of the outlet, -1 where there is none."""
    meets = np.bincount(np.concatenate([edges.start, edges.end]), minlength=edges.nodes)
    node = np.full(len(edge), -1, np.int64)
    best = np.full(len(edge), tolerance_m)
    part = edges.take(edge)
    kx, ky = metric.scales(y)
    for ends, (ex, ey) in ((part.start, part.starts_at()), (part.end, part.ends_at())):
        away = np.hypot((ex - x) * kx, (ey - y) * ky)
        better = (meets[ends] == 1) & (away <= best)
        node[better], best[better] = ends[better], away[better]
    return node


def _cut_at_outlets(edges: Edges, edge: Ints, place: Floats, node: Ints, metric: Metric) -> tuple[Edges, Ints]:
    inside = np.flatnonzero(node < 0)
    if not len(inside):
        return edges, node
    inside = inside[np.lexsort((place[inside], edge[inside]))]
    same = (np.diff(edge[inside], prepend=-1) == 0) & (np.diff(place[inside], prepend=-1.0) == 0)
    number = edges.nodes + np.cumsum(~same) - 1
    node = node.copy()
    node[inside] = number
    once = inside[~same]
    return split_edges(edges, edge[once], place[once], number[~same], metric), node


def _parted_below(edges: Edges, outlets: Ints, repairs: Repairs) -> Edges:
    """Take lines that leave an outlet off it, where others arrive there."""
    arrives = np.isin(outlets, edges.end)
    below = np.flatnonzero(np.isin(edges.start, outlets[arrives]))
    if not len(below):
        return edges
    x, y = edges.take(below).starts_at()
    length = edges.length_m[below]
    repairs.add("parted below an outlet", "leaves a given outlet", edges.line[below], x, y, length, length)
    start = edges.start.copy()
    # lines that left the same outlet still meet
    start[below] = edges.nodes + np.searchsorted(outlets, start[below])
    return replace(edges, start=start, nodes=edges.nodes + len(outlets))


# --- flow ------------------------------------------------------------------------------------------------------


def flowing_channels(edges: Edges, outlets: Ints, flow: Flow, metric: Metric, repairs: Repairs) -> Channels:
    """Root the edges at the given outlets, and every piece without one at the end that most of its lines run to."""
    edges, main, nothing, why = _usable(edges, flow, repairs)
    roots = _roots(edges, outlets)
    leads, against, away = _ways_down(edges, roots, flow, main)
    in_tree = np.zeros(len(edges.line), bool)
    in_tree[leads[leads >= 0]] = True
    turn = np.zeros(len(in_tree), bool)
    turn[leads[leads >= 0]] = against[leads >= 0]
    if flow.drawn:
        _tell(repairs, "line turned round", "runs against the way to the outlet", edges, turn)
    side = ~in_tree
    if not flow.drawn:
        turn[side] = away[edges.start[side]] < away[edges.end[side]]
    edges = edges.turned(turn)
    # at an outlet a side channel would become a basin of its own: it hangs from its upper end instead
    hung = side & (leads[edges.end] < 0) & (leads[edges.start] >= 0)
    edges = edges.turned(hung)
    down = leads[edges.end]
    main_edge = np.where(hung, leads[edges.end], leads[edges.start])
    on_loop = on_loops(down, side, np.where(hung, -1, main_edge))
    side_of = np.where(side, main_edge, -1)
    given = (down < 0) & np.isin(edges.end, outlets)
    _tell_loops(edges, side, flow.keep_loops, repairs)
    _tell_confluences(edges, side, leads, flow.join_mouths, repairs)
    channels = Channels(edges, down, side_of, on_loop, given, nothing, why)
    if not flow.keep_loops:
        channels = channels.without(side, "closes a loop")
    return joined_mouths(channels, metric) if flow.join_mouths else channels


def joined_mouths(channels: Channels, metric: Metric) -> Channels:
    """Reaches that end at one outlet made to flow into the last metre of the longest of them."""
    edges, count = channels.edges, len(channels.down)
    roots = np.flatnonzero(channels.down < 0)
    roots = roots[np.lexsort((-edges.length_m[roots], edges.end[roots]))]
    mouth, first, number, size = np.unique(edges.end[roots], return_index=True, return_inverse=True, return_counts=True)
    if not (size > 1).any():
        return channels
    shared = np.flatnonzero(size > 1)
    long = np.sort(roots[first[shared]])
    of_mouth = np.full(len(mouth), -1, np.int64)
    of_mouth[np.searchsorted(mouth, edges.end[long])] = count + np.arange(len(long))
    vertices = vertices_of(edges.lines[long], metric)
    places = place_at(
        vertices, np.arange(len(long)), vertices.length_m - np.minimum(_SHORTEST_M, vertices.length_m / 2)
    )
    pieces, _ = cut_lines(edges.lines[long], np.arange(len(long)), places)
    lines, length = edges.lines.copy(), edges.length_m.copy()
    lines[long], length[long] = pieces[::2], vertices_of(pieces[::2], metric).length_m
    stubs = replace(edges.take(long), lines=pieces[1::2], length_m=vertices_of(pieces[1::2], metric).length_m)
    down = np.concatenate([channels.down, np.full(len(long), -1)])
    down[roots] = of_mouth[number]
    none = np.full(len(long), -1)
    given = np.concatenate([channels.given & (down[:count] < 0), channels.given[long]])
    return replace(
        channels,
        edges=_joined(replace(edges, lines=lines, length_m=length), stubs),
        down=down,
        side_of=np.concatenate([channels.side_of, none]),
        on_loop=np.concatenate([channels.on_loop, none >= 0]),
        given=given,
    ).in_order_of_lines()


def _usable(edges: Edges, flow: Flow, repairs: Repairs) -> tuple[Edges, Floats | None, Edges, list[str]]:
    """The edges less rings and doubles: (edges, their main column, left out, why)."""
    ring = edges.start == edges.end
    double = _doubles(edges) & ~ring
    short = ring & (edges.length_m <= 2 * flow.tolerance_m)
    words = {"shorter than the tolerance": short, "closed ring": ring & ~short, "drawn twice": double}
    out: list[Edges] = []
    why: list[str] = []
    for word, which in words.items():
        _tell(repairs, word, "left out", edges, which, after=0.0)
        out.append(edges.take(which))
        why += [word] * int(which.sum())
    kept = ~(ring | double)
    main = None if flow.main is None else flow.main[kept]
    return edges.take(kept), main, _joined(*out), why


def _doubles(edges: Edges) -> Bools:
    """Edges that are the same line as one before them, in either direction."""
    low, high = np.minimum(edges.start, edges.end), np.maximum(edges.start, edges.end)
    order = np.lexsort((np.round(edges.length_m, 3), high, low))
    a, b = order[:-1], order[1:]
    alike = (low[a] == low[b]) & (high[a] == high[b]) & (np.abs(edges.length_m[a] - edges.length_m[b]) <= 1e-3)
    a, b = a[alike], b[alike]
    double = np.zeros(len(order), bool)
    double[np.maximum(a, b)[shapely.equals(edges.lines[a], edges.lines[b])]] = True
    return double


def _roots(edges: Edges, outlets: Ints) -> Ints:
    """The given outlets, and for each piece without one the node that the fewest lines lead away from."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    ones = np.ones(len(edges.start), np.int8)
    graph = coo_array((ones, (edges.start, edges.end)), shape=(edges.nodes,) * 2).tocsr()
    count, piece = connected_components(graph, directed=False)
    rooted = np.zeros(count, bool)
    rooted[piece[outlets]] = True
    used = np.zeros(count, bool)
    used[piece[edges.start]] = True
    outlets = outlets[used[piece[outlets]]]
    if (rooted | ~used).all():
        return outlets
    turned = _lines_turned(edges, piece, count)
    order = np.lexsort((turned, piece))
    _, first = np.unique(piece[order], return_index=True)
    return np.union1d(outlets, order[first][~rooted & used])


def _lines_turned(edges: Edges, piece: Ints, pieces: int) -> Ints:
    """How many lines of a spanning tree of its piece run away from each node, up to a constant for each piece."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import breadth_first_order

    low, high = np.minimum(edges.start, edges.end), np.maximum(edges.start, edges.end)
    key, one = np.unique(low * edges.nodes + high, return_index=True)
    _, some = np.unique(piece, return_index=True)
    # one more node that touches every piece, so that a single search reaches all of them
    a = np.concatenate([low[one], np.full(pieces, edges.nodes)])
    b = np.concatenate([high[one], some])
    graph = coo_array((np.ones(len(a), np.int8), (a, b)), shape=(edges.nodes + 1,) * 2).tocsr()
    _, before = breadth_first_order(graph, edges.nodes, directed=False)
    nodes = np.arange(edges.nodes)
    from_ = before[:-1].astype(np.int64)
    inner = from_ < edges.nodes
    pair = np.minimum(nodes, from_)[inner] * edges.nodes + np.maximum(nodes, from_)[inner]
    edge = one[np.searchsorted(key, pair)]
    more = np.zeros(edges.nodes + 1, np.int64)
    # rooted one step on along a line that runs that way, one line less is turned
    more[:-1][inner] = np.where(edges.end[edge] == nodes[inner], -1, 1)
    onward = np.concatenate([from_, [edges.nodes]])
    while (onward != edges.nodes).any():
        more, onward = more + more[onward], onward[onward]
    return more[:-1]


def _ways_down(edges: Edges, roots: Ints, flow: Flow, main: Floats | None) -> tuple[Ints, Bools, Floats]:
    """By node: the edge that leads on down (-1 at a root), whether it is turned for that, and the way to the root."""
    from scipy.sparse.csgraph import dijkstra

    n = edges.nodes
    turning = _BRANCH_M * (1.0 if main is None else 1000.0) if flow.drawn else 0.0
    along = edges.length_m + (0.0 if main is None else _BRANCH_M * _branches_off(edges, main))
    tail = np.concatenate([edges.start, edges.end])
    head = np.concatenate([edges.end, edges.start])
    weight = np.concatenate([along, edges.length_m + turning])
    edge = np.tile(np.arange(len(edges.start)), 2)
    key = tail * n + head
    order = np.lexsort((edge, weight, key))
    key, best = np.unique(key[order], return_index=True)
    arc = order[best]
    graph = _graph(head[arc], tail[arc], weight[arc], n)
    away, before, _ = dijkstra(graph, indices=roots, min_only=True, return_predecessors=True)
    node = np.flatnonzero(before >= 0)
    taken = arc[np.searchsorted(key, node * n + before[node])]
    leads, against = np.full(n, -1, np.int64), np.zeros(n, bool)
    leads[node], against[node] = edge[taken], taken >= len(edges.start)
    return leads, against, away


def _graph(row: Ints, column: Ints, weight: Floats, n: int) -> csr_array:
    from scipy.sparse import coo_array

    return coo_array((weight, (row, column)), shape=(n, n)).tocsr()


def _branches_off(edges: Edges, main: Floats) -> Bools:
    """Edges that leave a node where another that leaves it has more of the main column."""
    value = np.nan_to_num(main, nan=-np.inf)
    most = np.full(edges.nodes, -np.inf)
    np.maximum.at(most, edges.start, value)
    return np.asarray(value < most[edges.start])


# --- what is told ----------------------------------------------------------------------------------------------


def _tell(repairs: Repairs, kind: str, what: str, edges: Edges, which: Bools, after: float | None = None) -> None:
    part = edges.take(which)
    if len(part.line):
        x, y = part.starts_at()
        repairs.add(kind, what, part.line, x, y, part.length_m, part.length_m if after is None else after)


def _tell_loops(edges: Edges, side: Bools, kept: bool, repairs: Repairs) -> None:
    if kept:
        _tell(repairs, "side channel", "closes a loop: parted here, open at its lower end only", edges, side)
    else:
        _tell(repairs, "loop cut", "closes a loop: left out", edges, side, after=0.0)


def _tell_confluences(edges: Edges, side: Bools, leads: Ints, joined: bool, repairs: Repairs) -> None:
    mouths = "joined a metre above it" if joined else "each is a basin of its own"
    arrive = np.bincount(edges.end[~side], minlength=edges.nodes)
    one = np.zeros(edges.nodes, np.int64)
    one[edges.end[~side]] = np.flatnonzero(~side)
    for kind, what, nodes in (
        ("complex confluence", "reaches meet here: kept as they are", (arrive > 2) & (leads >= 0)),
        (
            "confluence at an outlet",
            f"reaches end at this outlet: {mouths}",
            (arrive > 1) & (leads < 0),
        ),
    ):
        node = np.flatnonzero(nodes)
        x, y = edges.take(one[node]).ends_at()
        repairs.add(kind, [f"{k} {what}" for k in arrive[node]], np.full(len(node), -1), x, y, 0.0, 0.0)


def _joined(*parts: Edges) -> Edges:
    whole = {f.name: np.concatenate([getattr(p, f.name) for p in parts]) for f in fields(Edges) if f.name != "nodes"}
    return Edges(**whole, nodes=max(p.nodes for p in parts))
