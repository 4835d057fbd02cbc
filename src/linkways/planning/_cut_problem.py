"""The selection problem as a cut with prices: costs of units and pairs, and rows that a selection has to cover."""

from dataclasses import dataclass, field

import numpy as np
import scipy.sparse as sp

from linkways.kernels.min_cut import CutGraph, cut_graph, cut_value
from linkways.planning._cut_kernels import priced
from linkways.planning._problem import Problem

__all__ = ["TOLERANCE", "Covering", "covering_of", "merged", "part", "target_prices"]


def _no_features() -> np.ndarray:
    return np.zeros(0, np.int64)


@dataclass(frozen=True)
class Covering:
    """Least ``constant + base x + pairs(x) + sum_j cap_j max(0, need_j - rows_j x)`` over whole x, for free units.

    Rows with an infinite cap must be covered: ``rows_j x >= need_j``. Locked units are worked into the numbers: what
    they cost, hold, and share with units that are free.
    """

    constant: float
    base: np.ndarray
    """(n,)"""
    graph: CutGraph
    rows: sp.csr_array
    """(k, n)"""
    turned: sp.csr_array
    """(n, k), the same numbers unit by unit"""
    need: np.ndarray
    """(k,)"""
    cap: np.ndarray
    """(k,) what a missing unit of the row costs, infinite where it may not be missing"""
    free: np.ndarray
    """(n,) place of each free unit among all units"""
    whole: np.ndarray
    """(all units,) float: 1 for those locked in, else 0"""
    target: np.ndarray = field(default_factory=_no_features)
    """(k,) the feature whose target the row is, -1 for other rows; empty in parts and merged ones"""

    @property
    def n(self) -> int:
        """How many free units."""
        return len(self.base)

    @property
    def hard(self) -> np.ndarray:
        """(k,) rows that must be covered."""
        return np.asarray(np.isinf(self.cap))

    @property
    def plain(self) -> bool:
        """Whether a single cut says it all: there is no row to be covered, or no unit left to choose."""
        return not self.n or not len(self.need)

    def priced(self, prices: np.ndarray) -> np.ndarray:
        """(n,) cost of each unit less what it holds at these prices."""
        found: np.ndarray = priced(self.turned.indptr, self.turned.indices, self.turned.data, self.base, prices)
        return found

    def own(self, x: np.ndarray) -> float:
        """What a selection costs, units and pairs, without what it misses."""
        return float(self.constant + cut_value(self.graph, self.base, x))

    def value(self, x: np.ndarray) -> float:
        """The objective of a selection; infinite where a row is missed that must be covered."""
        missed = np.clip(self.need - self.rows @ x, 0.0, None)
        if (missed[self.hard] > TOLERANCE).any():
            return np.inf
        soft = ~self.hard
        return self.own(x) + float(self.cap[soft] @ missed[soft])

    def plan(self, x: np.ndarray) -> np.ndarray:
        """(all units,) the selection with the locked units in their places."""
        whole = self.whole.copy()
        whole[self.free] = x
        return whole


TOLERANCE = 1e-9
"""Rows are scaled to a need of about 1; what is missing below this share is rounding."""


def covering_of(problem: Problem) -> Covering:
    """The problem as one that minimises; only for problems that are ``cuttable``."""
    rows, need, cap, target = _demands(problem)
    terms = problem.pair_terms()
    base = terms.unary.copy()
    if problem.objective == "min_set":
        base += problem.costs
    elif problem.objective == "max_utility":
        base -= np.asarray(problem.amounts.T @ problem.weights)
    inside, outside = problem.locked_in, problem.locked_out
    free = np.flatnonzero(~inside & ~outside)
    constant = float(base[inside].sum())
    for a, b, up, down in ((terms.a, terms.b, terms.up, terms.down), (terms.b, terms.a, terms.down, terms.up)):
        open_end = ~inside[b] & ~outside[b]
        chosen, refused = inside[a] & open_end, outside[a] & open_end
        constant += float(up[chosen].sum() + up[inside[a] & outside[b]].sum())
        np.subtract.at(base, b[chosen], up[chosen])
        np.add.at(base, b[refused], down[refused])
    place = np.full(problem.n, -1)
    place[free] = np.arange(len(free))
    kept = (place[terms.a] >= 0) & (place[terms.b] >= 0)
    graph = cut_graph(len(free), place[terms.a[kept]], place[terms.b[kept]], terms.up[kept], terms.down[kept])
    need = need - rows @ inside.astype(float)
    rows = rows[:, free].tocsr() if len(free) < problem.n else rows
    # a row that any selection covers says nothing
    least = rows.minimum(0.0).sum(axis=1) if rows.nnz else np.zeros(len(need))
    telling = np.asarray(least).ravel() < need
    rows, need, cap, target = rows[telling], need[telling], cap[telling], target[telling]
    return Covering(constant, base[free], graph, rows, rows.T.tocsr(), need, cap, free, inside.astype(float), target)


def target_prices(covering: Covering, problem: Problem, prices: np.ndarray) -> np.ndarray:
    """(m,) what one more unit of each feature's target adds to the bound, from prices of rows scaled to 1."""
    found, aimed = np.zeros(problem.m), covering.target >= 0
    found[covering.target[aimed]] = prices[aimed] / problem.targets[covering.target[aimed]]
    return found


def part(covering: Covering, units: np.ndarray, need: np.ndarray | None = None) -> Covering:
    """Some of the units by themselves, sorted, with the pairs among them.

    They need what is told, or of each row the share that they hold of it.
    """
    place = np.full(covering.n, -1)
    place[units] = np.arange(len(units))
    turned = covering.turned[units]
    if need is None:
        all_held = np.asarray(abs(covering.rows).sum(axis=1)).ravel()
        held = np.asarray(abs(turned).sum(axis=0)).ravel()
        need = covering.need * np.divide(held, all_held, out=np.zeros_like(held), where=all_held > 0)
    a, b, up, down = pairs_of(covering)
    kept = (place[a] >= 0) & (place[b] >= 0)
    graph = cut_graph(len(units), place[a[kept]], place[b[kept]], up[kept], down[kept])
    none = np.zeros(0)
    return Covering(
        0.0, covering.base[units], graph, turned.T.tocsr(), turned, need, covering.cap, none.astype(int), none
    )


def pairs_of(covering: Covering) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Pairs of units that act on one another: a, b, and what a without b costs, and b without a."""
    graph = covering.graph
    arcs = np.flatnonzero(np.arange(len(graph.sister)) < graph.sister)
    tail = np.repeat(np.arange(covering.n), np.diff(graph.first))
    return tail[arcs], graph.head[arcs].astype(np.int64), graph.capacity[arcs], graph.capacity[graph.sister[arcs]]


def merged(covering: Covering, label: np.ndarray, count: int, x: np.ndarray) -> Covering:
    """One unit for each block of units (label from 0 to count - 1); the others (-1) stay as x has them."""
    a, b, up, down = pairs_of(covering)
    la, lb = label[a], label[b]
    loose = label >= 0
    base = np.bincount(label[loose], covering.base[loose], count)
    constant = covering.constant + float(covering.base[~loose & x].sum())
    constant += float(up[(la < 0) & (lb < 0) & x[a] & ~x[b]].sum() + down[(la < 0) & (lb < 0) & x[b] & ~x[a]].sum())
    for i, li, lj, out, back in ((a, la, lb, up, down), (b, lb, la, down, up)):
        edge = (li < 0) & (lj >= 0)
        chosen, refused = edge & x[i], edge & ~x[i]
        constant += float(out[chosen].sum())
        base += np.bincount(lj[refused], back[refused], count) - np.bincount(lj[chosen], out[chosen], count)
    inner = (la >= 0) & (lb >= 0) & (la != lb)
    key, place = np.unique(np.minimum(la, lb)[inner] * count + np.maximum(la, lb)[inner], return_inverse=True)
    ahead = la[inner] < lb[inner]
    ups = np.bincount(place, np.where(ahead, up[inner], down[inner]), len(key))
    downs = np.bincount(place, np.where(ahead, down[inner], up[inner]), len(key))
    graph = cut_graph(count, key // max(count, 1), key % max(count, 1), ups, downs)
    units = np.flatnonzero(loose)
    sums = sp.csr_array((np.ones(len(units)), (label[units], np.arange(len(units)))), shape=(count, len(units)))
    turned = (sums @ covering.turned[units]).tocsr()
    need = covering.need - covering.rows @ (x & ~loose)
    none = np.zeros(0)
    return Covering(constant, base, graph, turned.T.tocsr(), turned, need, covering.cap, none.astype(int), none)


def _demands(problem: Problem) -> tuple[sp.csr_array, np.ndarray, np.ndarray, np.ndarray]:
    """Rows, what they need, what a missing unit costs, and whose target they are (-1: none's).

    Targets are scaled to 1; then come linear constraints.
    """
    blocks: list[sp.csr_array] = []
    need, cap, target = [], [], []
    if problem.objective in ("min_set", "min_shortfall"):
        wanted = np.flatnonzero((problem.targets > 0) & ((problem.weights > 0) | (problem.objective == "min_set")))
        blocks.append(sp.diags_array(1.0 / problem.targets[wanted]) @ problem.amounts[wanted])
        need.append(np.ones(len(wanted)))
        target.append(wanted)
        cap.append(np.full(len(wanted), np.inf) if problem.objective == "min_set" else problem.weights[wanted])
    if len(problem.rows):
        matrix = problem.rows.matrix
        size = np.maximum(abs(matrix).max(axis=1).toarray().ravel(), 1e-300)
        for sign, limit in ((1.0, problem.rows.lower), (-1.0, problem.rows.upper)):
            told = np.flatnonzero(np.isfinite(limit))
            scale = np.maximum(size[told], np.abs(limit[told]))
            blocks.append(sp.diags_array(sign / scale) @ matrix[told])
            need.append(sign * limit[told] / scale)
            target.append(np.full(len(told), -1))
            cap.append(np.full(len(told), np.inf))
    if not blocks:
        return sp.csr_array((0, problem.n)), np.zeros(0), np.zeros(0), np.zeros(0, np.int64)
    return sp.vstack(blocks).tocsr(), np.concatenate(need), np.concatenate(cap), np.concatenate(target)
