"""The cost game of conservation: what groups pay to meet their targets alone and together, and Shapley's value."""

import itertools
import math
from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from linkways.errors import LinkwaysError
from linkways.planning._problem import Problem, Rows
from linkways.planning._select_program import program_of, solve

__all__ = ["CostGame", "Value", "gini"]


@dataclass(frozen=True)
class Value:
    """Shapley's value of each group, with standard errors where orders were sampled (0 where all were counted)."""

    shares: np.ndarray
    errors: np.ndarray
    exact: bool


class CostGame:
    """``cost(S)``: least cost at which the groups of S meet the sum of their own targets on their own land.

    The target T_j of a feature is shared among groups as its amounts are: ``T_gj = T_j r_gj / sum_g r_gj``. ``owner``
    (n,) is the group of each unit, from 0. Costs of coalitions are kept.
    """

    def __init__(self, problem: Problem, owner: np.ndarray, names: list[str], method: str, limit_s: float, gap: float):
        self._problem, self._owner, self._names, self._method = problem, owner, names, method
        self._limit, self._gap = limit_s, gap
        self.known: dict[frozenset[int], float] = {frozenset(): 0.0}

    def cost(self, members: frozenset[int]) -> float:
        """Least cost of a coalition; refused where it cannot meet its targets, or not in time."""
        if members not in self.known:
            self.known[members] = self._solved(members)
        return self.known[members]

    def _solved(self, members: frozenset[int]) -> float:
        whole, inside = self._problem, np.isin(self._owner, list(members))
        amounts = whole.amounts[:, np.flatnonzero(inside)].tocsr()
        held, total = np.asarray(amounts.sum(axis=1)).ravel(), np.asarray(whole.amounts.sum(axis=1)).ravel()
        count = int(inside.sum())
        own = replace(
            whole,
            units=whole.units[inside],
            costs=whole.costs[inside],
            amounts=amounts,
            targets=np.where(held > 0, whole.targets * held / np.maximum(total, 1e-300), 0.0),
            totals=held,
            locked_in=whole.locked_in[inside],
            locked_out=whole.locked_out[inside],
            rows=Rows((), sp.csr_array((0, count)), np.zeros(0), np.zeros(0)),
        )
        found = solve(program_of(own), self._limit, self._gap)
        if found.x is None:
            who = ", ".join(self._names[g] for g in sorted(members))
            raise LinkwaysError(
                f"{self._method}: the targets of {who} cannot be met on their own land with its locks; open units, or "
                "lower the targets"
                if found.infeasible
                else f"{self._method}: the least cost for {who} was not found within {found.seconds:.0f} s; raise "
                "time_limit_s or gap_percent, or set decision to proportion"
            )
        return float(own.costs @ found.x[:count])

    def exactly(self) -> Value:
        """Over all coalitions: ``sum_S |S|! (k - |S| - 1)! / k! (c(S and g) - c(S))``."""
        k = len(self._names)
        shares = np.zeros(k)
        for g in range(k):
            others = [h for h in range(k) if h != g]
            for size in range(k):
                weight = 1.0 / (k * math.comb(k - 1, size))
                for chosen in itertools.combinations(others, size):
                    before = frozenset(chosen)
                    shares[g] += weight * (self.cost(before | {g}) - self.cost(before))
        return Value(shares, np.zeros(k), True)

    def sampled(self, orders: int, seed: int) -> Value:
        """Over random orders in which groups join: the mean of what each adds to the cost."""
        k, random = len(self._names), np.random.default_rng(seed)
        added = np.zeros((orders, k))
        for row in added:
            members: frozenset[int] = frozenset()
            for g in random.permutation(k):
                joined = members | {int(g)}
                row[g] = self.cost(joined) - self.cost(members)
                members = joined
        spread = added.std(axis=0, ddof=1) if orders > 1 else np.full(k, np.nan)
        return Value(added.mean(axis=0), spread / math.sqrt(orders), False)

    def largest_excess(self, shares: np.ndarray) -> float:
        """The most that a known coalition (not all groups) pays above what it would cost it to act on its own."""
        k = len(self._names)
        return max(
            (float(shares[list(s)].sum()) - c for s, c in self.known.items() if 0 < len(s) < k), default=float("-inf")
        )


def gini(values: np.ndarray) -> float:
    """Gini coefficient ``sum_gh |x_g - x_h| / (2 k^2 mean)``: 0 all equal, (k - 1) / k one has all; NaN of zeros."""
    mean = float(values.mean())
    if abs(mean) <= 1e-300:
        return float("nan")
    return float(np.abs(values[:, None] - values[None, :]).sum()) / (2 * len(values) ** 2 * mean)
