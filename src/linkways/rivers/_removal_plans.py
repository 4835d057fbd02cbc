"""Three ways to plan removals: a knapsack on the tree, a program for several targets and years, a search over pairs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

import numpy as np

from linkways.rivers._chain_milp import Chains, best_chain_plan
from linkways.rivers._pairs_search import Pairs, best_pair_plan, greedy_pair_plan, pair_gains, pair_sum

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from linkways.rivers._removal_tree import BarrierTree, Options

    Floats = NDArray[np.float64]
    Done = NDArray[np.bool_]

__all__ = ["Answer", "Case", "KnapsackPlans", "PairPlans", "Plans", "ProgramPlans"]

MOST_UNITS = 20_000
"""Whole money units up to which a knapsack is run exactly before costs are rounded."""
ROUNDED_UNITS = 4000
"""Money units that the budget is cut into where costs have to be rounded."""


@dataclass(frozen=True)
class Answer:
    """Which options are done when, (m, years or 1), the value, and a bound that no plan within the money exceeds."""

    done: Done
    value: float
    bound: float


@dataclass(frozen=True)
class Case:
    """The inputs, read and checked; passabilities by target and node or option.

    Attributes:
        tree: barriers and the parts between them.
        options: what can be done, rising by node; node: the node of each, (m,).
        names, importance: of the targets, (T,).
        habitat: (T, n). total: all habitat of each target, (T,).
        now_down, now_up: (T, n). after_down, after_up: (T, m).
    """

    tree: BarrierTree
    options: Options
    node: NDArray[np.int64]
    names: tuple[str, ...]
    importance: Floats
    habitat: Floats
    now_down: Floats
    now_up: Floats
    after_down: Floats
    after_up: Floats

    @property
    def tied(self) -> bool:
        """Whether groups tie options to one another."""
        return bool((self.options.together >= 0).any() or (self.options.exclusive >= 0).any())

    def accessible(self, done: Done) -> Floats:
        """Habitat of each target that can be reached with these options (m,) done, (T,)."""
        return np.array([self._access(target, done)[0] for target in range(len(self.importance))])

    def gains(self, done: Done) -> Floats:
        """What each option adds to the weighted habitat when it takes the place of what is done at its barrier."""
        total = np.zeros(len(self.node))
        for target, importance in enumerate(self.importance):
            _, p, slope = self._access(target, done)
            total += importance * (self.after_down[target] - p[self.node]) * slope[self.node]
        return total

    def worth(self, done: Done) -> float:
        """Accessible habitat, summed over the targets by importance."""
        return float(self.importance @ self.accessible(done))

    def _access(self, target: int, done: Done) -> tuple[float, Floats, Floats]:
        from linkways.rivers._kernels import access_from_outlets

        p = self.now_down[target].copy()
        p[self.node[done]] = self.after_down[target, done]
        starts = np.array([0, len(p)], np.int64)
        _, total, slope = access_from_outlets(self.tree.down, starts, self.habitat[target], p)
        return float(total[0]), p, slope


class Plans(Protocol):
    """Plans for one case."""

    years: int

    def best(self, budget: float) -> Answer:
        """The best plan found for this money, and the bound."""

    def greedy(self, budget: float) -> Answer:
        """What ranking by gain for cost gives."""

    def value(self, done: Done) -> float:
        """The objective of a plan."""

    def river_value(self, done: Done) -> float:
        """The objective of the river with these options (m,) done, whenever that was."""

    def river_gains(self, done: Done) -> Floats:
        """What each option adds to it, (m,)."""


def _greedy(case: Case, budget: float, start: Done | None = None) -> Done:
    """Take the affordable option with the largest gain for its cost, again and again."""
    done = np.zeros(len(case.node), bool) if start is None else start.copy()
    left = budget - float(case.options.cost[done].sum())
    while True:
        gain = case.gains(done)
        can = ~np.isin(case.node, case.node[done]) & (case.options.cost <= left * (1 + 1e-12)) & (gain > 0)
        if not can.any():
            return done
        best = int(np.argmax(np.where(can, gain / np.maximum(case.options.cost, 1e-12), -np.inf)))
        done[best] = True
        left -= case.options.cost[best]


# --- one target ----------------------------------------------------------------------


class KnapsackPlans:
    """All budgets up to the largest in one run, or two where costs must be rounded."""

    years = 1

    def __init__(self, case: Case, budget: float) -> None:
        from linkways.rivers._removal_kernels import best_by_budget

        self.case = case
        n = len(case.tree.down)
        affordable = np.flatnonzero(case.options.cost <= budget)
        count = np.bincount(case.node[affordable], minlength=n) + 1
        self.start = np.r_[0, np.cumsum(count)]
        #: position of each affordable option behind its node's "leave it"
        self.at = self.start[case.node[affordable]] + 1 + _rank(case.node[affordable])
        self.affordable = affordable
        cost = case.options.cost[affordable]
        self.unit, exact = _unit(np.r_[cost, budget])
        passed = np.repeat(case.now_down[0], count)
        passed[self.at] = case.after_down[0, affordable]
        # the root lets everything pass; zero-length options never occur
        units = int(np.floor(budget / self.unit + 1e-9))
        self.costs = np.zeros(len(passed), np.int64)
        self.costs[self.at] = np.ceil(cost / self.unit - 1e-9)
        tree, habitat = case.tree.down, case.habitat[0]
        self.run = best_by_budget(tree, habitat, self.start, self.costs, passed, units)
        self.bounds = self.run[0]
        if not exact:
            lower = np.zeros_like(self.costs)
            lower[self.at] = np.floor(cost / self.unit + 1e-9)
            self.bounds = best_by_budget(tree, habitat, self.start, lower, passed, units)[0]
        self.exact = exact

    def value(self, done: Done) -> float:
        return self.river_value(np.asarray(done.any(axis=1)))

    def river_value(self, done: Done) -> float:
        return self.case.worth(done)

    def river_gains(self, done: Done) -> Floats:
        return self.case.gains(done)

    def best(self, budget: float) -> Answer:
        from linkways.rivers._removal_kernels import plan_at

        units = min(int(np.floor(budget / self.unit + 1e-9)), len(self.bounds) - 1)
        picked = plan_at(self.case.tree.down, self.start, self.costs, *self.run[1:], units)
        done = np.zeros(len(self.case.node), bool)
        done[self.affordable] = (
            picked[self.case.node[self.affordable]] == self.at - self.start[self.case.node[self.affordable]]
        )
        if not self.exact:
            done = _greedy(self.case, budget, done)
        value = self.value(done[:, None])
        bound = value if self.exact else max(value, float(self.bounds[units]))
        return Answer(done[:, None], value, bound)

    def greedy(self, budget: float) -> Answer:
        done = _greedy(self.case, budget)[:, None]
        value = self.value(done)
        return Answer(done, value, value)


def _rank(node: NDArray[np.int64]) -> NDArray[np.int64]:
    """Position of each entry among those of the same, consecutive, number."""
    first = np.r_[True, node[1:] != node[:-1]] if len(node) else np.zeros(0, bool)
    begin = np.flatnonzero(first)
    return np.arange(len(node)) - np.repeat(begin, np.diff(np.r_[begin, len(node)]))


def _unit(amounts: Floats) -> tuple[float, bool]:
    """The largest unit of money that all amounts are whole multiples of, if the budget (the last) holds few enough."""
    budget = float(amounts[-1])
    for digits in range(7):
        scaled = amounts * 10.0**digits
        whole = np.round(scaled)
        if (np.abs(scaled - whole) <= 1e-9 * np.maximum(1.0, np.abs(scaled))).all() and whole.max() < 2**53:
            shared = int(np.gcd.reduce(whole.astype(np.int64)))
            if shared and whole[-1] / shared <= MOST_UNITS:
                return shared / 10.0**digits, True
            # the costs alone may share a larger unit; what is left of the budget then buys nothing
            of_costs = int(np.gcd.reduce(whole[:-1].astype(np.int64))) if len(whole) > 1 else 0
            if of_costs and whole[-1] / of_costs <= MOST_UNITS:
                return of_costs / 10.0**digits, True
            break
    return budget / ROUNDED_UNITS, False


# --- several targets, groups, years --------------------------------------------------


class ProgramPlans:
    """A mixed-integer program for each budget."""

    def __init__(self, case: Case, years: Sequence[int], time_limit_s: float) -> None:
        self.case, self.time_limit_s = case, time_limit_s
        self.years = max(1, len(years))
        when = np.asarray(years, float) if len(years) else np.zeros(1)
        first, last = case.options.first, case.options.last
        self.open = (first[:, None] <= when) & (when <= last[:, None]) if len(years) else np.ones((len(first), 1), bool)

    def _chains(self, budget: float) -> Chains:
        case = self.case
        return Chains(
            down=case.tree.down.astype(np.int64),
            habitat=case.habitat,
            now=case.now_down,
            importance=case.importance,
            node=case.node,
            cost=case.options.cost,
            after=case.after_down,
            open=self.open,
            together=case.options.together,
            exclusive=case.options.exclusive,
            money=(budget * np.arange(1, self.years + 1)).astype(float),
        )

    def value(self, done: Done) -> float:
        state = np.cumsum(done, axis=1) > 0
        return sum(self.case.worth(state[:, y]) for y in range(self.years))

    def river_value(self, done: Done) -> float:
        return self.case.worth(done)

    def river_gains(self, done: Done) -> Floats:
        return self.case.gains(done)

    def best(self, budget: float) -> Answer:
        found = best_chain_plan(self._chains(budget), self.time_limit_s)
        # the solver may leave an option in that changes nothing
        done = found.done.copy()
        for option in np.flatnonzero(done.any(axis=1) & (self.case.options.together < 0)):
            without = done.copy()
            without[option] = False
            if self.value(without) >= found.value - 1e-12 * max(1.0, abs(found.value)):
                done = without
        return Answer(done, self.value(done), found.bound)

    def greedy(self, budget: float) -> Answer:
        options, node = self.case.options, self.case.node
        done = np.zeros((len(node), self.years), bool)
        bundles = [np.array([i]) for i in np.flatnonzero(options.together < 0)]
        bundles += [np.flatnonzero(options.together == g) for g in np.unique(options.together[options.together >= 0])]
        left = 0.0
        for year in range(self.years):
            left += budget
            while True:
                ever = np.asarray(done.any(axis=1))
                now = self.value(done)
                best, worth = None, 0.0
                for bundle in bundles:
                    if not self._can(bundle, ever, year, left):
                        continue
                    trial = done.copy()
                    trial[bundle, year] = True
                    ratio = (self.value(trial) - now) / max(float(options.cost[bundle].sum()), 1e-12)
                    if ratio > worth:
                        best, worth = bundle, ratio
                if best is None:
                    break
                done[best, year] = True
                left -= float(options.cost[best].sum())
        value = self.value(done)
        return Answer(done, value, value)

    def _can(self, bundle: NDArray[np.int64], ever: Done, year: int, left: float) -> bool:
        options, node = self.case.options, self.case.node
        taken = np.isin(node[bundle], node[ever]).any() or len(np.unique(node[bundle])) < len(bundle)
        group = options.exclusive[bundle]
        blocked = np.isin(group[group >= 0], options.exclusive[ever]).any() or _repeats(group[group >= 0])
        affordable = float(options.cost[bundle].sum()) <= left * (1 + 1e-12)
        return bool(self.open[bundle, year].all()) and not taken and not blocked and affordable


def _repeats(numbers: NDArray[np.int64]) -> bool:
    return len(np.unique(numbers)) < len(numbers)


# --- all pairs -----------------------------------------------------------------------


class PairPlans:
    """Branch and bound for the dendritic connectivity index."""

    years = 1

    def __init__(self, case: Case, time_limit_s: float) -> None:
        self.time_limit_s = time_limit_s
        weight = case.habitat[0]
        self.problem = Pairs(
            down=case.tree.down,
            joined=case.tree.barrier >= 0,
            weight=weight,
            a=case.now_down[0],
            b=case.now_up[0],
            node=case.node,
            cost=case.options.cost,
            a_after=case.after_down[0],
            b_after=case.after_up[0],
        )
        self.scale = 100 / float(weight.sum()) ** 2

    def value(self, done: Done) -> float:
        return self.river_value(np.asarray(done.any(axis=1)))

    def river_value(self, done: Done) -> float:
        return self.scale * pair_sum(self.problem, done)

    def river_gains(self, done: Done) -> Floats:
        return self.scale * pair_gains(self.problem, done)[1]

    def best(self, budget: float) -> Answer:
        found = best_pair_plan(self.problem, budget, self.time_limit_s)
        return Answer(found.done[:, None], self.scale * found.value, self.scale * found.bound)

    def greedy(self, budget: float) -> Answer:
        done = greedy_pair_plan(self.problem, budget)[:, None]
        value = self.value(done)
        return Answer(done, value, value)
