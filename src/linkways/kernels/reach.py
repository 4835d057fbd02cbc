"""Reachability in habitat graphs: what patches reach each other, and what every patch, link and candidate adds.

The probability of connectivity sums a_i a_j p*_ij over all pairs of nodes, i = j included and both orders, where p*_ij
is the probability of the best path (Saura and Pascual-Hortal 2007); a link of weight w = -ln p multiplies it by p. The
integral index of connectivity takes 1 / (1 + hops) in its place (Pascual-Hortal and Saura 2006). Without a node or link
a source loses only what hangs below it in the source's tree of best paths, and that is repaired from the nodes around
it, so that the loss for every node and link together costs about the depth of a tree times one pass over all sources.

Sources are worked on in blocks that do not depend on the number of threads and are added in order: results are the
same to the last bit for any number of threads.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from linkways.kernels._reach_loops import (
    betweenness_block,
    gain_block,
    length_block,
    loss_block,
    order_nodes,
    sum_block,
)
from linkways.workers import each

__all__ = [
    "Betweenness",
    "Gain",
    "Graph",
    "Losses",
    "PathLengths",
    "Reached",
    "added_gain",
    "betweenness",
    "direct_sum",
    "graph",
    "hop_sum",
    "hops_added_gain",
    "hops_removal_loss",
    "link_candidates",
    "path_lengths",
    "probability_sum",
    "removal_loss",
]

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]

BLOCKS = 96  # pieces of work, each with its own arrays of results
SMALLEST_BLOCK = 8  # sources
LONGEST = 690.0  # exp(-690) is still a normal number; paths beyond count as none


class Graph(NamedTuple):
    """An undirected graph as compressed rows: each link stands in the rows of both of its ends.

    ``indptr`` (n + 1,), ``neighbour`` (2 m',) node, ``weight`` (2 m',) >= 0, ``link`` (2 m',) row of the link in the
    list that it was made from. m' counts the links that are kept: of parallel ones the one of the smallest weight;
    ``spare`` (2 m',) is the next smallest, infinite where there is no second link.
    """

    indptr: Indices
    neighbour: NDArray[np.int32]
    weight: Floats
    link: NDArray[np.int32]
    spare: Floats

    @property
    def nodes(self) -> int:
        """Number of nodes."""
        return len(self.indptr) - 1


class Reached(NamedTuple):
    """The sum over all pairs, and each node's part in it."""

    total: float
    """sum_ij a_i a_j value_ij, both orders, i = j included with value 1."""
    intra: float
    """sum_i a_i^2."""
    flux: Floats
    """(n,) a_i sum_{j != i} a_j value_ij; the total is intra + the sum of flux."""
    inflow: Floats
    """(n,) sum_{j != i} a_j value_ij; not computed (NaN) where a_i = 0 unless asked for."""
    covered: float
    """sum_ij a_i a_j over the pairs within the horizon, both orders, i = j included."""
    bound: float
    """At most this much is missing from the total because of the horizon."""


class Losses(NamedTuple):
    """What the sum over all pairs loses without each node, in three parts, and without each link."""

    total: float
    intra: Floats
    """(n,) a_k^2."""
    flux: Floats
    """(n,) 2 a_k sum_{j != k} a_j value_kj: pairs that end in the node."""
    connector: Floats
    """(n,) what other pairs lose because their best path went through the node."""
    link: Floats
    """(m,) by row of the list of links; 0 for links no best path uses. Of parallel links the best may be used."""
    covered: float
    bound: float
    """As for `Reached`, of the total."""
    error: Floats
    """(n,) the loss without a node is at most this far from what it would be with no horizon."""
    link_error: Floats
    """(m,) the same of links."""

    @property
    def node(self) -> Floats:
        """(n,) the whole loss without each node."""
        return self.intra + self.flux + self.connector


class Gain(NamedTuple):
    """What the sum over all pairs gains by each candidate alone, in three parts, each (candidates,)."""

    intra: Floats
    flux: Floats
    connector: Floats
    error: Floats
    """(candidates,) the gain is at most this far from what it would be with no horizon."""

    @property
    def total(self) -> Floats:
        """The whole gain."""
        return self.intra + self.flux + self.connector


class Betweenness(NamedTuple):
    """Sums over unordered pairs of the share of their shortest paths that runs through each node or link."""

    node: Floats
    """(n,) pairs that end in the node are left out."""
    link: Floats
    """(m,)"""


class PathLengths(NamedTuple):
    """Shortest paths over the unordered pairs of nodes that are connected."""

    pairs: int
    mean: float
    """NaN without pairs."""
    reciprocals: float
    """Sum of 1 / length over pairs of a length above 0: by hops the Harary index."""
    longest: float


def graph(count: int, ends: ArrayLike, weight: ArrayLike) -> Graph:
    """Return the graph of ``count`` nodes with links ``ends`` (m, 2) of ``weight`` (m,) >= 0; a link may weigh 0.

    Of parallel links the smallest weight is kept (the first of equals), and links of infinite weight are left out.
    """
    pairs = np.asarray(ends, np.int64).reshape(-1, 2)
    weights = np.asarray(weight, np.float64)
    low, high = pairs.min(axis=1, initial=count), pairs.max(axis=1, initial=0)
    sequence = np.lexsort((weights, high, low))
    sequence = sequence[np.isfinite(weights[sequence])]
    first = np.ones(len(sequence), bool)
    first[1:] = (np.diff(low[sequence]) != 0) | (np.diff(high[sequence]) != 0)
    kept = sequence[first]
    spare = np.full(len(kept), np.inf)
    second = np.flatnonzero(~first & np.append(False, first[:-1]))
    spare[np.cumsum(first)[second] - 1] = weights[sequence[second]]
    tails = np.concatenate((low[kept], high[kept]))
    heads = np.concatenate((high[kept], low[kept]))
    rows = np.lexsort((heads, tails))
    indptr = np.concatenate(([0], np.cumsum(np.bincount(tails, minlength=count))))
    return Graph(
        indptr.astype(np.int64),
        heads[rows].astype(np.int32),
        np.tile(weights[kept], 2)[rows],
        np.tile(kept, 2)[rows].astype(np.int32),
        np.tile(spare, 2)[rows],
    )


def probability_sum(
    graph: Graph,
    attribute: ArrayLike,
    horizon: float = math.inf,
    *,
    every: bool = False,
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Reached:
    """Return PCnum = sum_ij a_i a_j exp(-d_ij), d the shortest path by weight, paths longer than ``horizon`` left out.

    ``attribute`` (n,) >= 0. ``every``: also compute the inflow of nodes whose attribute is 0.
    """
    return _sum(_walk(graph, horizon), attribute, every, threads, progress)


def hop_sum(
    graph: Graph,
    attribute: ArrayLike,
    horizon: float = math.inf,
    *,
    every: bool = False,
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Reached:
    """Return IICnum = sum_ij a_i a_j / (1 + hops_ij), pairs more than ``horizon`` hops apart left out."""
    return _sum(_hop_walk(graph, horizon), attribute, every, threads, progress)


def removal_loss(
    graph: Graph,
    attribute: ArrayLike,
    horizon: float = math.inf,
    *,
    repair_horizon: float | None = None,
    links: int = 0,
    changed_weight: ArrayLike | None = None,
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Losses:
    """Return what PCnum loses without each node, and without each link if ``links`` (their number) is given.

    ``changed_weight`` (links,) >= the links' weights: what is lost when a link gets this weight instead of being
    removed.

    Both sums, before and after, leave out paths longer than ``horizon``. Connectors and links take most of the time;
    a shorter ``repair_horizon`` for them alone leaves the total, the flux and the errors to the horizon.
    """
    near = horizon if repair_horizon is None else min(repair_horizon, horizon)
    other = graph.spare
    if changed_weight is not None:
        other = np.minimum(other, np.asarray(changed_weight, np.float64)[graph.link])
    outside = (math.exp(-near), _floor(near))
    return _losses(_walk(graph, horizon), *outside, np.exp(-other), attribute, links, threads, progress)


def hops_removal_loss(
    graph: Graph,
    attribute: ArrayLike,
    horizon: float = math.inf,
    *,
    links: int = 0,
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Losses:
    """Return what IICnum loses without each node, and without each link if ``links`` (their number) is given."""
    other = np.where(np.isfinite(graph.spare), -1.0, -np.inf)
    walk = _hop_walk(graph, horizon)
    return _losses(walk, walk.outside, walk.floor, other, attribute, links, threads, progress)


def added_gain(
    graph: Graph,
    attribute: ArrayLike,
    candidate_attribute: ArrayLike,
    candidate_ptr: ArrayLike,
    candidate_ends: ArrayLike,
    candidate_weight: ArrayLike,
    horizon: float = math.inf,
    *,
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Gain:
    """Return what PCnum gains when one candidate node is added with its links, for every candidate alone.

    Candidate c has the attribute ``candidate_attribute[c]`` (0 for a mere stepping stone) and links to the existing
    nodes ``candidate_ends[candidate_ptr[c]:candidate_ptr[c + 1]]`` of the weights ``candidate_weight``. A candidate
    link, or a lower weight for a link that is there, is such a node without attribute: see `link_candidates`.
    """
    step = np.exp(-np.asarray(candidate_weight, np.float64))
    return _gain(
        _walk(graph, horizon), attribute, candidate_attribute, candidate_ptr, candidate_ends, step, threads, progress
    )


def hops_added_gain(
    graph: Graph,
    attribute: ArrayLike,
    candidate_attribute: ArrayLike,
    candidate_ptr: ArrayLike,
    candidate_ends: ArrayLike,
    candidate_hops: ArrayLike,
    horizon: float = math.inf,
    *,
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Gain:
    """Return what IICnum gains by each candidate; ``candidate_hops`` are the hops of its links, 1 for a node's."""
    step = -np.asarray(candidate_hops, np.float64)
    return _gain(
        _hop_walk(graph, horizon),
        attribute,
        candidate_attribute,
        candidate_ptr,
        candidate_ends,
        step,
        threads,
        progress,
    )


def link_candidates(ends: ArrayLike, weight: ArrayLike) -> tuple[Floats, Indices, Indices, Floats]:
    """Return candidate links as the candidate arrays of `added_gain`: attribute, ptr, ends, weight (or hops).

    ``ends`` (m, 2), ``weight`` (m,): a link is a node without attribute, at its whole weight from one end and at none
    from the other.
    """
    pairs = np.asarray(ends, np.int64).reshape(-1, 2)
    weights = np.zeros((len(pairs), 2))
    weights[:, 0] = weight
    return np.zeros(len(pairs)), np.arange(0, 2 * len(pairs) + 1, 2), pairs.ravel(), weights.ravel()


def direct_sum(graph: Graph, attribute: ArrayLike, *, hops: bool = False) -> float:
    """Return sum_{i != j} a_i a_j p_ij over the links alone, both orders; p = exp(-weight), or 1/2 if ``hops``."""
    a = np.asarray(attribute, np.float64)
    rows = np.repeat(np.arange(graph.nodes), np.diff(graph.indptr))
    value = np.full(len(graph.weight), 0.5) if hops else np.exp(-graph.weight)
    return float(np.sum(a[rows] * a[graph.neighbour] * value))


def betweenness(
    graph: Graph,
    attribute: ArrayLike | None = None,
    *,
    pairs: Literal["count", "probability", "hops"] = "count",
    links: int = 0,
    by_hops: bool = False,
    horizon: float = math.inf,
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> Betweenness:
    """Return the betweenness of nodes and of links (their number in ``links``), equally short paths sharing a pair.

    Paths are shortest by weight, or by the number of links if ``by_hops``. A pair counts 1 (``count``), a_i a_j
    exp(-length) (``probability``) or a_i a_j / (1 + length) (``hops``). Lengths that differ by less than 1e-11
    relative are equal. A link of no weight leads on only to nodes that no link of some weight reaches as shortly.
    """
    kind = ("count", "probability", "hops").index(pairs)
    sequence = order_nodes(graph.indptr, graph.neighbour)
    indptr, neighbour, entries = _relabel(graph, sequence)
    weight = np.ones(len(entries)) if by_hops else graph.weight[entries]
    a = np.ones(graph.nodes) if attribute is None else np.asarray(attribute, np.float64)
    shared = (
        indptr,
        neighbour,
        weight,
        graph.link[entries],
        float(horizon),
        a[sequence],
        kind,
        max(links, _rows(graph)),
    )
    node, link = np.zeros(graph.nodes), np.zeros(shared[-1])
    for by_node, by_link in _blocks(_betweenness_of, shared, graph.nodes, threads, progress):
        node += by_node
        link += by_link
    out = np.empty(graph.nodes)
    out[sequence] = node / 2
    return Betweenness(out, link[: max(links, 0)] / 2)


def path_lengths(
    graph: Graph,
    *,
    by_hops: bool = False,
    threads: int | None = None,
    progress: Callable[[float], None] | None = None,
) -> PathLengths:
    """Return number, mean, sum of reciprocals and maximum of the shortest paths, by weight or by number of links."""
    sequence = order_nodes(graph.indptr, graph.neighbour)
    indptr, neighbour, entries = _relabel(graph, sequence)
    parts = list(
        _blocks(_lengths_of, (indptr, neighbour, graph.weight[entries], by_hops), graph.nodes, threads, progress)
    )
    pairs, total, reciprocals = (sum(float(p[i]) for p in parts) / 2 for i in range(3))
    longest = max((float(p[3]) for p in parts), default=0.0)
    return PathLengths(int(pairs), total / pairs if pairs else math.nan, reciprocals, longest)


# --- the walks -----------------------------------------------------------------------


class _Walk(NamedTuple):
    """A graph in the order in which its sources are worked on, with what its steps do to the worth of a path."""

    indptr: Indices
    neighbour: NDArray[np.int32]
    step: Floats
    link: NDArray[np.int32]
    product: bool
    floor: float
    outside: float
    """Value of the farthest pair within the horizon, an upper bound for those beyond."""
    sequence: Indices
    """(n,) the node of the graph at each place."""
    entries: Indices
    """(2 m',) where each entry stood in the graph."""


def _walk(graph: Graph, horizon: float) -> _Walk:
    sequence = order_nodes(graph.indptr, graph.neighbour)
    indptr, neighbour, entries = _relabel(graph, sequence)
    steps = np.exp(-graph.weight[entries])
    outside = math.exp(-horizon)
    return _Walk(indptr, neighbour, steps, graph.link[entries], True, _floor(horizon), outside, sequence, entries)


def _floor(horizon: float) -> float:
    # a path just as long as the horizon belongs to it whatever the rounding
    return math.exp(-min(horizon, LONGEST)) * (1 - 1e-12)


def _hop_walk(graph: Graph, horizon: float) -> _Walk:
    sequence = order_nodes(graph.indptr, graph.neighbour)
    indptr, neighbour, entries = _relabel(graph, sequence)
    hops = math.floor(min(horizon, 2 * graph.nodes + 2))
    outside = 0.0 if horizon >= graph.nodes else 1 / (hops + 2)
    steps = np.full(len(entries), -1.0)
    return _Walk(indptr, neighbour, steps, graph.link[entries], False, -float(hops), outside, sequence, entries)


def _relabel(graph: Graph, sequence: Indices) -> tuple[Indices, NDArray[np.int32], Indices]:
    """The rows of the graph in this order: indptr, neighbour by place, and where each entry stood."""
    place = np.empty(graph.nodes, np.int32)
    place[sequence] = np.arange(graph.nodes, dtype=np.int32)
    degree = np.diff(graph.indptr)[sequence]
    indptr = np.concatenate(([0], np.cumsum(degree))).astype(np.int64)
    entries = np.repeat(graph.indptr[:-1][sequence] - indptr[:-1], degree) + np.arange(indptr[-1])
    return indptr, place[graph.neighbour[entries]], entries


def _rows(graph: Graph) -> int:
    return int(graph.link.max(initial=-1)) + 1


def _blocks(
    function: Any, shared: Any, count: int, threads: int | None, progress: Callable[[float], None] | None
) -> Iterator[Any]:
    """The results of all blocks of sources, in order."""
    pieces = max(1, min(BLOCKS, count // SMALLEST_BLOCK))
    edges = [count * i // pieces for i in range(pieces + 1)]
    for done, result in enumerate(each(function, shared, pairwise(edges), threads=threads), 1):
        yield result
        if progress is not None:
            progress(done / pieces)


def _sum_of(shared: tuple[_Walk, Floats, bool], span: tuple[int, int]) -> tuple[Floats, Floats]:
    walk, attribute, every = shared
    size = span[1] - span[0]
    inflow, covered = np.full(size, np.nan), np.zeros(size)
    sum_block(*span, *walk[:3], walk.product, walk.floor, attribute, every, inflow, covered)
    return inflow, covered


def _sum(
    walk: _Walk, attribute: ArrayLike, every: bool, threads: int | None, progress: Callable[[float], None] | None
) -> Reached:
    a = np.asarray(attribute, np.float64)
    ordered = a[walk.sequence]
    parts = list(_blocks(_sum_of, (walk, ordered, every), len(a), threads, progress))
    inflow = _unsorted(walk, [p[0] for p in parts])
    return _reached(walk, a, inflow, ordered, np.concatenate([*(p[1] for p in parts), np.zeros(0)]))


def _reached(walk: _Walk, a: Floats, inflow: Floats, ordered: Floats, reached: Floats) -> Reached:
    flux = np.where(a > 0, a * inflow, 0.0)
    intra = float(a @ a)
    covered = float(ordered @ reached)
    bound = walk.outside * max(float(a.sum()) ** 2 - covered, 0.0)
    return Reached(intra + float(flux.sum()), intra, flux, inflow, covered, bound)


def _unsorted(walk: _Walk, parts: list[Floats]) -> Floats:
    out = np.empty(len(walk.sequence))
    out[walk.sequence] = np.concatenate([*parts, np.zeros(0)])
    return out


def _losses_of(
    shared: tuple[_Walk, float, Floats, Floats, int], span: tuple[int, int]
) -> tuple[Floats, Floats, Floats]:
    walk, near_floor, other, attribute, links = shared
    by_source = np.zeros((3, span[1] - span[0]))
    by_node, by_link = np.zeros((3, len(attribute))), np.zeros((3, links))
    loss_block(
        *span, *walk[:4], other, walk.product, walk.floor, near_floor, attribute, links > 0, *by_source,
        by_node[0], by_link[0], by_node[1], by_link[1], by_node[2], by_link[2],
    )  # fmt: skip
    return by_source, by_node, by_link


def _losses(
    walk: _Walk,
    outside: float,
    near_floor: float,
    other: Floats,
    attribute: ArrayLike,
    links: int,
    threads: int | None,
    progress: Callable[[float], None] | None,
) -> Losses:
    a = np.asarray(attribute, np.float64)
    ordered = a[walk.sequence]
    by_node, by_link = np.zeros((3, len(a))), np.zeros((3, links))
    sources = []
    for part in _blocks(_losses_of, (walk, near_floor, other[walk.entries], ordered, links), len(a), threads, progress):
        sources.append(part[0])
        by_node += part[1]
        by_link += part[2]
    inflow, reached, beyond = (_unsorted(walk, list(rows)) for rows in zip(*sources, strict=True))
    found = _reached(walk, a, inflow, ordered, reached[walk.sequence])
    connector, crossed, far = (_unsorted(walk, [row]) for row in by_node)
    through, ending = _unseen(walk, a, inflow, reached, beyond, found.bound)
    by_ends = np.full(links, found.bound)
    if links:
        np.minimum.at(by_ends, walk.link, (through + ending)[walk.sequence[walk.neighbour]])
    return Losses(
        found.total,
        a * a,
        2 * found.flux,
        connector,
        by_link[0],
        found.covered,
        found.bound,
        np.maximum(outside * crossed, far + through) + ending,
        np.maximum(outside * by_link[1], by_link[2] + by_ends),
    )


def _unseen(
    walk: _Walk, a: Floats, inflow: Floats, reached: Floats, beyond: Floats, bound: float
) -> tuple[Floats, Floats]:
    """What pairs beyond the horizon can add up to at most: those whose path leads through a node, and that end there.

    By way of node k a pair has p_ik p_kj, and a node beyond the horizon of k at most the floor.
    """
    if walk.outside == 0:
        return np.zeros(len(a)), np.zeros(len(a))
    outside = walk.outside * np.maximum(a.sum() - reached, 0.0)
    through = np.full(len(a), bound)
    if walk.product:
        # nodes without attribute were no sources
        through = np.where(a > 0, np.minimum(beyond + 2 * inflow * outside + outside**2, bound), bound)
    return through, 2 * a * outside


def _gain_of(shared: Any, span: tuple[int, int]) -> tuple[Floats, Floats, Floats]:
    walk, attribute, own, candidates = shared
    covered, flux, connector = np.zeros(span[1] - span[0]), np.zeros(len(own)), np.zeros(len(own))
    gain_block(*span, *walk[:3], walk.product, walk.floor, attribute, own, *candidates, covered, flux, connector)
    return covered, flux, connector


def _gain(
    walk: _Walk,
    attribute: ArrayLike,
    candidate_attribute: ArrayLike,
    candidate_ptr: ArrayLike,
    candidate_ends: ArrayLike,
    step: Floats,
    threads: int | None,
    progress: Callable[[float], None] | None,
) -> Gain:
    a = np.asarray(attribute, np.float64)
    own = np.asarray(candidate_attribute, np.float64)
    ptr = np.asarray(candidate_ptr, np.int64)
    place = np.empty(len(a), np.int64)
    place[walk.sequence] = np.arange(len(a))
    ends = place[np.asarray(candidate_ends, np.int64)]
    candidate = np.repeat(np.arange(len(own)), np.diff(ptr))
    by_node = np.argsort(ends, kind="stable")
    at_ptr = np.concatenate(([0], np.cumsum(np.bincount(ends, minlength=len(a))))).astype(np.int64)
    candidates = (ptr, ends, step, at_ptr, candidate[by_node], step[by_node])
    flux, connector = np.zeros(len(own)), np.zeros(len(own))
    reached = []
    for part in _blocks(_gain_of, (walk, a[walk.sequence], own, candidates), len(a), threads, progress):
        reached.append(part[0])
        flux += part[1]
        connector += part[2]
    covered = float(a @ _unsorted(walk, reached))
    error = walk.outside * np.maximum((a.sum() + own) ** 2 - covered, 0.0)
    return Gain(own * own, flux, connector, error)


def _betweenness_of(shared: Any, span: tuple[int, int]) -> tuple[Floats, Floats]:
    indptr, neighbour, weight, link, horizon, attribute, kind, links = shared
    by_node, by_link = np.zeros(len(attribute)), np.zeros(links)
    betweenness_block(*span, indptr, neighbour, weight, link, horizon, attribute, kind, by_node, by_link)
    return by_node, by_link


def _lengths_of(shared: Any, span: tuple[int, int]) -> Floats:
    sums = np.zeros(4)
    length_block(*span, *shared, sums)
    return sums
