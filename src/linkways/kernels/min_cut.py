"""Cheapest selection of the nodes of a graph whose arcs cost what they cut: one minimum s-t cut by maximum flow.

A selection x of n nodes costs ``sum_i unary_i x_i + sum over pairs (up max(0, x_a - x_b) + down max(0, x_b - x_a))``.
Such a function is submodular, and its least value is a minimum cut (Picard 1976; Kolmogorov & Zabih 2004). Flow is
pushed along paths between two search trees that are kept from path to path (Boykov & Kolmogorov 2004). Capacities are
float64 and are never rounded.

Any flow on the arcs proves a lower bound, whatever made it: with ``net_i`` the flow that leaves node i, no selection
costs less than ``sum_i min(0, unary_i + net_i)`` (weak duality). `min_cut` recomputes that sum from the arcs, and
thus tells how good its own selection is.

Picard JC (1976) Maximal closure of a graph and applications to combinatorial problems. Management Science 22:1268-1272.
Boykov Y, Kolmogorov V (2004) An experimental comparison of min-cut/max-flow algorithms for energy minimization in
vision. IEEE Transactions on Pattern Analysis and Machine Intelligence 26:1124-1137.
Kolmogorov V, Zabih R (2004) What energy functions can be minimized via graph cuts? IEEE Transactions on Pattern
Analysis and Machine Intelligence 26:147-159.
"""

from typing import NamedTuple

import numba as nb
import numpy as np

__all__ = ["Cut", "CutGraph", "cut_graph", "cut_value", "min_cut"]

NONE, ROOT, ORPHAN = -1, -2, -3  # in place of the arc to a node's parent in its search tree
NO_ARC = -1
CRUMB = 1e-14  # excess below this share of a node's own numbers is what rounding left


class CutGraph(NamedTuple):
    """Arcs in the order of the nodes they leave; each has a sister that leads back.

    ``capacity[e]`` is the cost of an arc from a selected to an unselected node.
    """

    first: np.ndarray
    """(n + 1,) int32: arcs of node i are first[i] to first[i + 1]"""
    head: np.ndarray
    """(arcs,) int32: node that the arc enters"""
    sister: np.ndarray
    """(arcs,) int32"""
    capacity: np.ndarray
    """(arcs,) float64, 0 or more"""


class Cut(NamedTuple):
    """The cheapest selection found, what none can better, and the flow that proves it."""

    selected: np.ndarray
    """(n,) bool, the smallest of the cheapest selections"""
    value: float
    """cost of the selection, computed from the graph"""
    bound: float
    """no selection costs less; equal to the value but for rounding"""
    spare: np.ndarray
    """(arcs,) what is left of the capacity of each arc: gives `min_cut` a start where the unary costs are similar"""
    reduced: np.ndarray
    """(n,) ``unary_i + net_i``: selecting i (not selecting it, where below 0) costs at least so much above the bound"""


@nb.njit(cache=True, nogil=True)
def _arcs(n, a, b, up, down):
    first = np.zeros(n + 1, np.int32)
    for k in range(a.size):
        first[a[k] + 1] += 1
        first[b[k] + 1] += 1
    for i in range(n):
        first[i + 1] += first[i]
    place = first[:n].copy()
    head = np.empty(2 * a.size, np.int32)
    sister = np.empty(2 * a.size, np.int32)
    capacity = np.empty(2 * a.size, np.float64)
    for k in range(a.size):
        e, f = place[a[k]], place[b[k]]
        place[a[k]] += 1
        place[b[k]] += 1
        head[e], head[f] = b[k], a[k]
        sister[e], sister[f] = f, e
        capacity[e], capacity[f] = up[k], down[k]
    return first, head, sister, capacity


def cut_graph(n: int, a: np.ndarray, b: np.ndarray, up: np.ndarray, down: np.ndarray) -> CutGraph:
    """The graph of n nodes and pairs a, b of them (a not b): a without b costs ``up``, b without a ``down``."""
    found = _arcs(n, a.astype(np.int64), b.astype(np.int64), up.astype(np.float64), down.astype(np.float64))
    return CutGraph(*found)


@nb.njit(cache=True, nogil=True)
def _shares(first, head, capacity, unary, selected, share):
    for i in range(unary.size):
        share[i] = 0.0
        if selected[i]:
            share[i] = unary[i]
            for e in range(first[i], first[i + 1]):
                if not selected[head[e]]:
                    share[i] += capacity[e]


def cut_value(graph: CutGraph, unary: np.ndarray, selected: np.ndarray) -> float:
    """What a selection costs."""
    share = np.empty(len(unary))
    _shares(graph.first, graph.head, graph.capacity, unary, selected, share)
    return float(share.sum())  # in pairs, so that rounding stays small


@nb.njit(cache=True, nogil=True)
def _excess(first, sister, capacity, spare, unary, excess):
    """Bring the flow within the capacities, and tell what each node has too much (to be sent to others) of it."""
    for i in range(unary.size):
        net, size = unary[i], abs(unary[i])
        for e in range(first[i], first[i + 1]):
            f = sister[e]
            if e < f:
                flow = min(max(capacity[e] - spare[e], -capacity[f]), capacity[e])
                spare[e], spare[f] = capacity[e] - flow, capacity[f] + flow
            else:
                flow = -(capacity[f] - spare[f])
            net += flow
            size += abs(flow)
        excess[i] = 0.0 if abs(net) <= CRUMB * size else -net


@nb.njit(cache=True, nogil=True)
def _reduced(first, sister, capacity, spare, unary, reduced):
    for i in range(unary.size):
        net = unary[i]
        for e in range(first[i], first[i + 1]):
            f = sister[e]
            # the same number, of the opposite sign, at both ends
            net += capacity[e] - spare[e] if e < f else spare[f] - capacity[f]
        reduced[i] = net


@nb.njit(cache=True, nogil=True)
def _augment(middle, head, sister, spare, excess, parent, after, ends):
    """Push along the path through ``middle``; nodes whose arc to the parent is full become orphans, in front."""
    up, down = head[sister[middle]], head[middle]
    most = spare[middle]
    i = up
    while parent[i] != ROOT:
        most = min(most, spare[sister[parent[i]]])
        i = head[parent[i]]
    most = min(most, excess[i])
    i = down
    while parent[i] != ROOT:
        most = min(most, spare[parent[i]])
        i = head[parent[i]]
    most = min(most, -excess[i])

    spare[middle] -= most
    spare[sister[middle]] += most
    i = up
    while parent[i] != ROOT:
        e = parent[i]
        j = head[e]
        spare[e] += most
        spare[sister[e]] -= most
        if spare[sister[e]] <= 0.0:
            spare[sister[e]] = 0.0
            parent[i] = ORPHAN
            after[i] = ends[0]
            if ends[0] < 0:
                ends[1] = i
            ends[0] = i
        i = j
    excess[i] -= most
    if excess[i] <= 0.0:
        excess[i] = 0.0
        parent[i] = ORPHAN
        after[i] = ends[0]
        if ends[0] < 0:
            ends[1] = i
        ends[0] = i
    i = down
    while parent[i] != ROOT:
        e = parent[i]
        j = head[e]
        spare[sister[e]] += most
        spare[e] -= most
        if spare[e] <= 0.0:
            spare[e] = 0.0
            parent[i] = ORPHAN
            after[i] = ends[0]
            if ends[0] < 0:
                ends[1] = i
            ends[0] = i
        i = j
    excess[i] += most
    if excess[i] >= 0.0:
        excess[i] = 0.0
        parent[i] = ORPHAN
        after[i] = ends[0]
        if ends[0] < 0:
            ends[1] = i
        ends[0] = i


@nb.njit(cache=True, nogil=True)
def _adopt(i, clock, first, head, sister, spare, parent, sink, stamp, far, queued, line, after, ends):
    """Find orphan i the nearest parent that hangs on a root; else it leaves its tree and its children are orphans."""
    best, least = NO_ARC, 2147483647
    for e in range(first[i], first[i + 1]):
        if (spare[e] if sink[i] else spare[sister[e]]) <= 0.0:
            continue
        j = head[e]
        if sink[j] != sink[i] or parent[j] == NONE:
            continue
        # is j's root still there?
        steps = 0
        k = j
        while True:
            if stamp[k] == clock:
                steps += far[k]
                break
            steps += 1
            if parent[k] == ROOT:
                stamp[k] = clock
                far[k] = 1
                break
            if parent[k] == ORPHAN:
                steps = -1
                break
            k = head[parent[k]]
        if steps < 0:
            continue
        if steps < least:
            best, least = e, steps
        k = j
        while stamp[k] != clock:
            stamp[k] = clock
            far[k] = steps
            steps -= 1
            k = head[parent[k]]
    if best != NO_ARC:
        parent[i] = best
        stamp[i] = clock
        far[i] = least + 1
        return
    parent[i] = NONE
    for e in range(first[i], first[i + 1]):
        j = head[e]
        if sink[j] != sink[i] or parent[j] == NONE:
            continue
        if (spare[e] if sink[i] else spare[sister[e]]) > 0.0 and not queued[j]:
            _activate(j, queued, line)
        if parent[j] >= 0 and head[parent[j]] == i:
            parent[j] = ORPHAN
            after[j] = -1
            if ends[1] >= 0 and ends[0] >= 0:
                after[ends[1]] = j
            else:
                ends[0] = j
            ends[1] = j


@nb.njit(cache=True, nogil=True)
def _activate(i, queued, line):
    """Put node i at the end of the ring of active nodes: line holds its start, its length, then the nodes."""
    size = line.size - 2
    queued[i] = True
    line[2 + (line[0] + line[1]) % size] = i
    line[1] += 1


@nb.njit(cache=True, nogil=True)
def _flow(first, head, sister, spare, excess, selected):
    n = excess.size
    parent = np.full(n, NONE, np.int32)
    sink = np.zeros(n, np.bool_)
    stamp = np.zeros(n, np.int64)
    far = np.ones(n, np.int32)
    queued = np.zeros(n, np.bool_)
    line = np.zeros(n + 2, np.int64)
    after = np.full(n, -1, np.int32)
    ends = np.full(2, -1, np.int64)
    for i in range(n):
        if excess[i] != 0.0:
            parent[i] = ROOT
            sink[i] = excess[i] < 0.0
            _activate(i, queued, line)
    clock = np.int64(0)
    while line[1] > 0:
        i = line[2 + line[0]]
        line[0] = (line[0] + 1) % (line.size - 2)
        line[1] -= 1
        queued[i] = False
        while parent[i] != NONE:
            middle = NO_ARC
            for e in range(first[i], first[i + 1]):
                f = sister[e]
                if (spare[f] if sink[i] else spare[e]) <= 0.0:
                    continue
                j = head[e]
                if parent[j] == NONE:
                    sink[j] = sink[i]
                    parent[j] = f
                    stamp[j] = stamp[i]
                    far[j] = far[i] + 1
                    if not queued[j]:
                        _activate(j, queued, line)
                elif sink[j] != sink[i]:
                    middle = f if sink[i] else e
                    break
                elif stamp[j] <= stamp[i] and far[j] > far[i] and parent[j] >= 0:
                    # hang j nearer to its root
                    parent[j] = f
                    stamp[j] = stamp[i]
                    far[j] = far[i] + 1
            if middle == NO_ARC:
                break
            clock += 1
            _augment(middle, head, sister, spare, excess, parent, after, ends)
            while ends[0] >= 0:
                orphan = ends[0]
                ends[0] = after[orphan]
                if ends[0] < 0:
                    ends[1] = -1
                _adopt(orphan, clock, first, head, sister, spare, parent, sink, stamp, far, queued, line, after, ends)
    for i in range(n):
        selected[i] = parent[i] != NONE and not sink[i]


def min_cut(graph: CutGraph, unary: np.ndarray, spare: np.ndarray | None = None) -> Cut:
    """The cheapest selection of nodes, and the bound that the flow proves.

    ``unary`` (n,) float64, finite; forbid or force a node by a number that outweighs all else, such as the sum of its
    arcs and more. ``spare`` is that of an earlier cut of the same graph: its flow is kept as far as it goes, which is
    fast where costs have changed little; it is not written to.
    """
    spare = graph.capacity.copy() if spare is None else spare.copy()
    excess, selected = np.empty(len(unary)), np.zeros(len(unary), np.bool_)
    _excess(graph.first, graph.sister, graph.capacity, spare, unary, excess)
    _flow(graph.first, graph.head, graph.sister, spare, excess, selected)
    reduced = np.empty(len(unary))
    # rounding may have left the flow a crumb outside of the capacities
    _excess(graph.first, graph.sister, graph.capacity, spare, unary, excess)
    _reduced(graph.first, graph.sister, graph.capacity, spare, unary, reduced)
    bound = float(np.minimum(reduced, 0.0).sum())
    return Cut(selected, cut_value(graph, unary, selected), bound, spare, reduced)
