"""Removals for the dendritic connectivity index: bounded search, since pairs of reaches do not part into subtrees.

S, the sum over pairs, is linear in the passability of every barrier and has no negative coefficient: mending one
barrier never lowers the gain of another. So the gain of a barrier when everything else that may be mended is mended
bounds its gain in any plan, and the best fractional choice of such gains within the budget bounds every plan.
"""

from __future__ import annotations

import heapq
import itertools
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Floats = NDArray[np.float64]
    Ints = NDArray[np.int64]

__all__ = ["PairPlan", "Pairs", "best_pair_plan", "greedy_pair_plan", "pair_gains", "pair_sum"]

CHAIN = 3
"""Barriers one above the other that the search for a start also tries together."""


@dataclass(frozen=True)
class Pairs:
    """The problem: parts of the river joined by barriers, and what can be done at these.

    Attributes:
        down: part below each part, -1 at the root, branches first, (n,).
        joined: False where a part does not count as joined with the one below (basins and the root), (n,).
        weight: (n,).
        a, b: passability downstream and upstream of the edge below each part as it is, (n,).
        node: part above each option's barrier, rising, (m,). cost: (m,). a_after, b_after: (m,).
    """

    down: NDArray[np.int32]
    joined: NDArray[np.bool_]
    weight: Floats
    a: Floats
    b: Floats
    node: Ints
    cost: Floats
    a_after: Floats
    b_after: Floats


@dataclass(frozen=True)
class PairPlan:
    """Which options are done, (m,), the sum over pairs, and a bound that no plan within the budget exceeds."""

    done: NDArray[np.bool_]
    value: float
    bound: float


def _state(problem: Pairs, a: Floats, b: Floats) -> tuple[float, Floats, Floats]:
    """S and its slopes along every edge."""
    from linkways.rivers._kernels import connect

    none = np.empty(0)
    starts = np.array([0, len(problem.down)], np.int64)
    a, b = np.where(problem.joined, a, 0.0), np.where(problem.joined, b, 0.0)
    total, _, _, slope_a, slope_b = connect(problem.down, starts, problem.weight, a, b, none, none, none)
    return float(total.sum()), slope_a, slope_b


def _mended(problem: Pairs, done: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    a, b = problem.a.copy(), problem.b.copy()
    a[problem.node[done]] = problem.a_after[done]
    b[problem.node[done]] = problem.b_after[done]
    return a, b


def pair_sum(problem: Pairs, done: NDArray[np.bool_]) -> float:
    """S with these options done."""
    return _state(problem, *_mended(problem, done))[0]


def pair_gains(problem: Pairs, done: NDArray[np.bool_]) -> tuple[float, Floats]:
    """S, and what each option adds when it takes the place of what is done at its barrier."""
    a, b = _mended(problem, done)
    total, slope_a, slope_b = _state(problem, a, b)
    at = problem.node
    return total, (problem.a_after - a[at]) * slope_a[at] + (problem.b_after - b[at]) * slope_b[at]


def greedy_pair_plan(problem: Pairs, budget: float) -> NDArray[np.bool_]:
    """Take the affordable option with the largest gain for its cost, again and again: what ranking gives."""
    done = np.zeros(len(problem.node), bool)
    left = budget
    while True:
        _, gain = pair_gains(problem, done)
        taken = np.isin(problem.node, problem.node[done])
        can = ~taken & (problem.cost <= left) & (gain > 0)
        if not can.any():
            return done
        worth = np.where(can, gain / np.maximum(problem.cost, 1e-12), -np.inf)
        best = int(np.argmax(worth))
        done[best] = True
        left -= problem.cost[best]


def best_pair_plan(problem: Pairs, budget: float, time_limit_s: float) -> PairPlan:
    """The best plan that branch and bound finds, and the bound: equal when it ran to its end."""
    until = time.perf_counter() + time_limit_s
    start = _improved(problem, budget, until)
    return _branch_and_bound(problem, budget, start, until)


# --- a good start --------------------------------------------------------------------


def _improved(problem: Pairs, budget: float, until: float) -> NDArray[np.bool_]:
    plans = [greedy_pair_plan(problem, budget), _chains_plan(problem, budget)]
    best = max(plans, key=lambda plan: pair_sum(problem, plan))
    return _swapped(problem, budget, best, until)


def _chains_plan(problem: Pairs, budget: float) -> NDArray[np.bool_]:
    """Greedy over single barriers and chains of up to `CHAIN` barriers one above the other."""
    done = np.zeros(len(problem.node), bool)
    left = budget
    dearest = _best_options(problem)
    while True:
        total, gain = pair_gains(problem, done)
        taken = set(problem.node[done].tolist())
        best, worth = None, 0.0
        for option in range(len(problem.node)):
            if problem.node[option] not in taken and gain[option] > 0 and problem.cost[option] <= left:
                ratio = gain[option] / max(problem.cost[option], 1e-12)
                if ratio > worth:
                    best, worth = [option], ratio
        if len(dearest) <= 400:
            for chain in _open_chains(problem, dearest, taken):
                cost = float(problem.cost[chain].sum())
                if cost > left:
                    continue
                with_chain = done.copy()
                with_chain[chain] = True
                ratio = (pair_sum(problem, with_chain) - total) / max(cost, 1e-12)
                if ratio > worth * (1 + 1e-12):
                    best, worth = list(chain), ratio
        if best is None:
            return done
        done[best] = True
        left -= float(problem.cost[best].sum())


def _best_options(problem: Pairs) -> dict[int, int]:
    """The most passable option of each barrier."""
    out: dict[int, int] = {}
    for option, node in enumerate(problem.node.tolist()):
        old = out.get(node)
        passed = problem.a_after[option] + problem.b_after[option]
        if old is None or passed > problem.a_after[old] + problem.b_after[old]:
            out[node] = option
    return out


def _open_chains(problem: Pairs, dearest: dict[int, int], taken: set[int]) -> list[list[int]]:
    """Options of two to `CHAIN` undecided barriers that follow one another downstream."""
    chains = []
    for node in dearest:
        if node in taken:
            continue
        chain, at = [dearest[node]], int(problem.down[node])
        while at >= 0 and len(chain) < CHAIN:
            if at in dearest and at not in taken:
                chain.append(dearest[at])
                chains.append(list(chain))
            at = int(problem.down[at])
    return chains


def _swapped(problem: Pairs, budget: float, done: NDArray[np.bool_], until: float) -> NDArray[np.bool_]:
    """Give up one option and spend the money better, while that helps."""
    value = pair_sum(problem, done)
    better = True
    while better and time.perf_counter() < until:
        better = False
        for out in np.flatnonzero(done):
            trial = done.copy()
            trial[out] = False
            left = budget - float(problem.cost[trial].sum())
            while True:
                _, gain = pair_gains(problem, trial)
                free = ~np.isin(problem.node, problem.node[trial])
                can = free & (problem.cost <= left) & (gain > 0)
                can[out] = False
                if not can.any():
                    break
                best = int(np.argmax(np.where(can, gain, -np.inf)))
                trial[best] = True
                left -= problem.cost[best]
            found = pair_sum(problem, trial)
            if found > value * (1 + 1e-12):
                done, value, better = trial, found, True
                break
    return done


# --- branch and bound ----------------------------------------------------------------


@dataclass(frozen=True)
class _Open:
    """A part of the search: what is done, what is settled, and what is spent."""

    done: NDArray[np.bool_]
    settled: frozenset[int]
    spent: float


def _branch_and_bound(problem: Pairs, budget: float, start: NDArray[np.bool_], until: float) -> PairPlan:
    best, value = start, pair_sum(problem, start)
    ticket = itertools.count()
    first = _Open(np.zeros(len(problem.node), bool), frozenset(), 0.0)
    bound, branch_on = _bound(problem, budget, first)
    heap = [(-bound, next(ticket), branch_on, first)]
    while heap:
        bound = -heap[0][0]
        if bound <= value * (1 + 1e-12):
            return PairPlan(best, value, value)
        if time.perf_counter() > until:
            return PairPlan(best, value, bound)
        _, _, node, state = heapq.heappop(heap)
        if node is None:
            continue
        choices = [None, *np.flatnonzero(problem.node == node)]
        for option in choices:
            done, spent = state.done, state.spent
            if option is not None:
                spent += float(problem.cost[option])
                if spent > budget * (1 + 1e-12):
                    continue
                done = done.copy()
                done[option] = True
            child = _Open(done, state.settled | {node}, spent)
            found = pair_sum(problem, done)
            if found > value:
                best, value = done, found
            limit, next_node = _bound(problem, budget, child)
            if limit > value * (1 + 1e-12):
                heapq.heappush(heap, (-limit, next(ticket), next_node, child))
    return PairPlan(best, value, value)


def _bound(problem: Pairs, budget: float, state: _Open) -> tuple[float, int | None]:
    """No plan that goes on from here exceeds this; and the barrier to decide next."""
    free = ~np.isin(problem.node, list(state.settled))
    left = budget - state.spent
    free &= problem.cost <= left * (1 + 1e-12)
    now, _ = pair_gains(problem, state.done)
    if not free.any():
        return now, None
    a, b = _mended(problem, state.done)
    np.maximum.at(a, problem.node[free], problem.a_after[free])
    np.maximum.at(b, problem.node[free], problem.b_after[free])
    everything, slope_a, slope_b = _state(problem, a, b)
    at = problem.node
    # what an option takes away in one direction must not count against the bound: it is less in a poorer plan
    more_a = np.maximum(problem.a_after - problem.a[at], 0.0)
    more_b = np.maximum(problem.b_after - problem.b[at], 0.0)
    gain = np.where(free, more_a * slope_a[at] + more_b * slope_b[at], 0.0)
    limit = min(everything, now + _fractional(problem.node, problem.cost, gain, left))
    return limit, int(at[int(np.argmax(gain))])


def _fractional(node: Ints, cost: Floats, gain: Floats, budget: float) -> float:
    """The linear relaxation of choosing at most one option of each barrier within the budget, exactly."""
    steps: list[tuple[float, float, float]] = []  # gain per cost, cost, gain
    for one in np.unique(node[gain > 0]):
        of = np.flatnonzero((node == one) & (gain > 0))
        hull = _hull(cost[of], gain[of])
        steps += hull
    total, left = 0.0, budget
    for worth, price, gained in sorted(steps, key=lambda step: -step[0]):
        if price <= left:
            total += gained
            left -= price
        else:
            return total + worth * left
    return total


def _hull(cost: Floats, gain: Floats) -> list[tuple[float, float, float]]:
    """The steps of the upper concave hull from doing nothing, the steepest first."""
    points = [(0.0, 0.0), *sorted(zip(cost.tolist(), gain.tolist(), strict=True))]
    hull: list[tuple[float, float]] = []
    for point in points:
        if hull and point[1] <= hull[-1][1]:
            continue
        while len(hull) > 1 and (hull[-1][1] - hull[-2][1]) * (point[0] - hull[-2][0]) <= (point[1] - hull[-2][1]) * (
            hull[-1][0] - hull[-2][0]
        ):
            hull.pop()
        if hull and point[0] == hull[-1][0]:
            # free of charge: it starts from there
            base = hull.pop()
            hull.append((base[0], point[1]))
            continue
        hull.append(point)
    start = hull[0][1]
    free = [(np.inf, 0.0, start)] if start > 0 else []
    return free + [((y1 - y0) / (x1 - x0), x1 - x0, y1 - y0) for (x0, y0), (x1, y1) in itertools.pairwise(hull)]
