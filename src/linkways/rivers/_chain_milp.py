"""Removals for several targets, groups and years: a mixed-integer program with chains of passabilities, by HiGHS."""

from __future__ import annotations

import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Places = NDArray[np.int64]

__all__ = ["ChainPlan", "Chains", "best_chain_plan", "chain_values"]


@dataclass(frozen=True)
class Chains:
    """The problem: a tree whose nodes are barriers or parts without one, with T targets and m options.

    Attributes:
        down: node below, -1 at the root, branches first, (n,).
        habitat: by target and node, (T, n).
        now: passability of each node as it is, (T, n); 1 where there is no barrier.
        importance: weight of each target, negative for one that is to be kept out, (T,).
        node: node of each option, (m,), rising.
        cost: of each option, (m,).
        after: passability that each option leaves, (T, m).
        open: whether an option can be done in a year, (m, years).
        together: numbers of groups of which all or none is done, -1 for none, (m,).
        exclusive: numbers of groups of which at most one is done, -1 for none, (m,).
        money: what may be spent up to and with each year, (years,).
    """

    down: Places
    habitat: Floats
    now: Floats
    importance: Floats
    node: Places
    cost: Floats
    after: Floats
    open: NDArray[np.bool_]
    together: Places
    exclusive: Places
    money: Floats


@dataclass(frozen=True)
class ChainPlan:
    """What is done when, (m, years) of 0 and 1, its value and a bound that no plan exceeds."""

    done: NDArray[np.bool_]
    value: float
    bound: float
    seconds: float


def chain_values(problem: Chains, done: NDArray[np.bool_]) -> Floats:
    """Accessible habitat of each target in each year, (T, years), evaluated along the tree."""
    years = done.shape[1]
    out = np.empty((len(problem.importance), years))
    state = np.cumsum(done, axis=1) > 0
    for year in range(years):
        p = problem.now.copy()
        chosen = np.flatnonzero(state[:, year])
        p[:, problem.node[chosen]] = problem.after[:, chosen]
        held = problem.habitat.copy()
        for v in range(len(problem.down) - 1):
            held[:, problem.down[v]] += p[:, v] * held[:, v]
        out[:, year] = held[:, -1]
    return out


def best_chain_plan(problem: Chains, time_limit_s: float) -> ChainPlan:
    """The plan of the largest value, summed over targets and years, within the money.

    With x_k(s) = 1 where option k is done in year s, z_k(s) the sum of x_k up to s, and P_j the passability from node j
    to the outlet: for every target and year the way that arrives at a barrier from below is shared out over its
    options, sum_k y_k = P_below(j), y_k <= z_k, and P_j = sum_k p_k y_k. As exactly one option holds, this is exact.
    """
    from scipy.optimize import Bounds, LinearConstraint, milp

    begun = time.perf_counter()
    builder = _Builder(problem)
    gains, matrix, low, high, whole, fixed = builder.build()
    limits = Bounds(np.zeros(len(gains)), builder.upper)
    found = milp(
        -gains,
        constraints=LinearConstraint(matrix, low, high),
        integrality=whole,
        bounds=limits,
        options={"time_limit": max(time_limit_s, 0.1), "mip_rel_gap": 1e-9},
    )
    shape = problem.open.shape
    done = np.zeros(shape, bool)
    if found.x is not None:
        done = np.round(found.x[builder.x].reshape(shape)).astype(bool)
    value = float((problem.importance @ chain_values(problem, done)).sum())
    told = getattr(found, "mip_dual_bound", None)
    bound = fixed - told if told is not None and np.isfinite(told) else np.inf
    if found.status == 0:
        # proven to 1e-9 of the value; what is left of the solver's bound is rounding
        bound = max(value, min(bound, value + 1e-8 * max(1.0, abs(value))))
    return ChainPlan(done, value, max(bound, value), time.perf_counter() - begun)


class _Builder:
    """Columns and rows of the program, gathered as coordinates."""

    def __init__(self, problem: Chains) -> None:
        self.problem = problem
        m, years = problem.open.shape
        self.targets = len(problem.importance)
        self.x = np.arange(m * years)
        self.rows: list[NDArray[np.int64]] = []
        self.columns: list[NDArray[np.int64]] = []
        self.entries: list[Floats] = []
        self.low: list[Floats] = []
        self.high: list[Floats] = []
        self.height = 0
        # decision nodes, from the outlet upwards; each has "leave it" and its options
        self.deciding, start = np.unique(problem.node, return_index=True)
        self.first = np.r_[start, m]

    def build(self) -> tuple[Any, ...]:
        """Objective, matrix, row limits, which columns are whole, and the worth of what no decision touches."""
        from scipy.sparse import csr_array

        p = self.problem
        m, years = p.open.shape
        ways = m + len(self.deciding)  # one column for each option and for leaving a barrier as it is
        width = m * years + self.targets * years * ways
        above, factor, gathered, fixed = self._contracted()
        gains = np.zeros(width)
        upper = np.ones(width)
        upper[self.x] = p.open.ravel()
        for target in range(self.targets):
            for year in range(years):
                offset = m * years + (target * years + year) * ways
                self._chain(target, year, offset, above, factor[target])
                gains[offset : offset + ways] = p.importance[target] * self._worth(target, gathered[target])
        self._rules(m, years)
        matrix = csr_array(
            (np.concatenate(self.entries), (np.concatenate(self.rows), np.concatenate(self.columns))),
            shape=(self.height, width),
        )
        whole = np.zeros(width, np.int64)
        whole[self.x] = 1
        self.upper = upper
        return gains, matrix, np.concatenate(self.low), np.concatenate(self.high), whole, fixed * years

    def _contracted(self) -> tuple[Any, Any, Any, float]:
        """Nodes without options folded into the next decision below.

        Returns the decision below each decision (-1: none), the passability of what lies between, (T, decisions), the
        habitat that hangs on each decision, (T, decisions), and the worth of what no decision touches.
        """
        p = self.problem
        n = len(p.down)
        index = np.full(n, -1)
        index[self.deciding] = np.arange(len(self.deciding))
        owner = np.full(n, -1)
        way = np.ones((self.targets, n))
        above = np.full(len(self.deciding), -1)
        factor = np.ones((self.targets, len(self.deciding)))
        for v in range(n - 1, -1, -1):
            below = p.down[v]
            own, passed = (-1, np.ones(self.targets)) if below < 0 else (owner[below], way[:, below])
            if index[v] >= 0:
                above[index[v]], factor[:, index[v]] = own, passed
                owner[v], way[:, v] = index[v], 1.0
            else:
                owner[v], way[:, v] = own, passed * p.now[:, v]
        worth = p.habitat * way
        gathered = np.stack([np.bincount(owner[owner >= 0], row[owner >= 0], len(self.deciding)) for row in worth])
        fixed = float(p.importance @ worth[:, owner < 0].sum(axis=1))
        return above, factor, gathered, fixed

    def _column(self, decision: int) -> NDArray[np.int64]:
        """Offsets of "leave it" and of the options of a decision."""
        return np.arange(self.first[decision] + decision, self.first[decision + 1] + decision + 1)

    def _passed(self, target: int, decision: int) -> Any:
        p = self.problem
        options = slice(self.first[decision], self.first[decision + 1])
        return np.r_[p.now[target, self.deciding[decision]], p.after[target, options]]

    def _worth(self, target: int, gathered: Floats) -> Any:
        return np.concatenate(
            [gathered[d] * self._passed(target, d) for d in range(len(self.deciding))] or [np.empty(0)]
        )

    def _row(self, columns: NDArray[np.int64], entries: Floats, low: float, high: float) -> None:
        self.rows.append(np.full(len(columns), self.height))
        self.columns.append(np.asarray(columns, np.int64))
        self.entries.append(np.asarray(entries, float))
        self.low.append(np.array([low]))
        self.high.append(np.array([high]))
        self.height += 1

    def _chain(self, target: int, year: int, offset: int, above: NDArray[np.int64], factor: Floats) -> None:
        years = self.problem.open.shape[1]
        for d in range(len(self.deciding)):
            ways = self._column(d)
            below = above[d]
            if below < 0:
                self._row(offset + ways, np.ones(len(ways)), factor[d], factor[d])
            else:
                columns = np.r_[ways, self._column(below)]
                entries = np.r_[np.ones(len(ways)), -factor[d] * self._passed(target, below)]
                self._row(offset + columns, entries, 0.0, 0.0)
            options = np.arange(self.first[d], self.first[d + 1])
            dates = np.arange(year + 1)
            for way, option in zip(ways[1:], options, strict=True):
                done = option * years + dates
                self._row(np.r_[offset + way, done], np.r_[1.0, np.full(len(done), -1.0)], -np.inf, 0.0)
            every = (options[:, None] * years + dates).ravel()
            self._row(np.r_[offset + ways[0], every], np.ones(1 + len(every)), -np.inf, 1.0)

    def _rules(self, m: int, years: int) -> None:
        p = self.problem
        for year in range(years):
            columns = (np.arange(m)[:, None] * years + np.arange(year + 1)).ravel()
            self._row(columns, np.repeat(p.cost, year + 1), -np.inf, float(p.money[year]))
        for d in range(len(self.deciding)):
            options = np.arange(self.first[d], self.first[d + 1])
            columns = (options[:, None] * years + np.arange(years)).ravel()
            self._row(columns, np.ones(len(columns)), -np.inf, 1.0)
        for group in np.unique(p.exclusive[p.exclusive >= 0]):
            options = np.flatnonzero(p.exclusive == group)
            columns = (options[:, None] * years + np.arange(years)).ravel()
            self._row(columns, np.ones(len(columns)), -np.inf, 1.0)
        for group in np.unique(p.together[p.together >= 0]):
            options = np.flatnonzero(p.together == group)
            for one, other in itertools.pairwise(options):
                columns = np.r_[one * years + np.arange(years), other * years + np.arange(years)]
                self._row(columns, np.r_[np.ones(years), -np.ones(years)], 0.0, 0.0)
