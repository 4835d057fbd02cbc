"""The min-cut planner: prices that prove a bound, cuts that nearly cover all rows, and plans made from them."""

import time
from dataclasses import dataclass, replace

import numpy as np

from linkways.kernels.min_cut import min_cut
from linkways.planning._cut_dual import Ascent, climb, first_prices, polish, sift, start
from linkways.planning._cut_problem import TOLERANCE, Covering, covering_of, merged, target_prices
from linkways.planning._cut_search import HALF, Search, exact
from linkways.planning._problem import Problem
from linkways.planning._select_program import solve

__all__ = ["Cuts", "Proof", "plan_by_cuts", "plans_apart", "proven"]

STEPS, MORE_STEPS = 30, 20  # of the climb: before the first plans, and between further ones
STARTS, NEAR = 3, 10  # plans made after each part of the climb, and how many of the best cuts they are chosen from
FAR = 0.01  # a cut that misses more, at its prices, than this share of the bound is left for a better one
LIFTS, NEARLY = 40, 0.003  # cuts at raised prices, and what one may miss of a row to be made a plan
TRIES, UNIT_TRIES = 3_000_000, 300  # of each annealing, at most, and for each unit
CORE, LARGEST_CORE = 150, 1200  # blocks of the exact programs, the first and the largest
CORE_S, LONGEST_CORE_S = 1.5, 20.0
ANNEALED = 5  # times between two exact programs
STALLED, WORTH = 3, 2e-5  # so many rounds that better the gap by less than this share end the search
FINISH = 60_000  # free units up to which what is left is handed to the exact solver


@dataclass(frozen=True)
class Cuts:
    """A plan of the min-cut planner."""

    x: np.ndarray
    """(all units,) the selection, empty where none was found"""
    value: float
    bound: float
    """what no selection can better, computed anew from the arrays"""
    exact: bool
    """whether the exact solver had to finish the work"""
    ascent: Ascent
    prices: np.ndarray
    """(features,) what one more unit of each target adds to the ascent's bound"""


@dataclass(frozen=True)
class Proof:
    """A bound alone, and the prices that prove it."""

    bound: float
    prices: np.ndarray
    """(features,) what one more unit of each target adds to it"""


def plan_by_cuts(problem: Problem, time_limit_s: float, gap: float, *, finish: bool, seed: int = 0) -> Cuts:
    """A plan of a ``cuttable`` problem within the gap, or the best that was found until time or ideas ran out.

    Targets and budgets are given prices and moved into the objective, which leaves one minimum cut of a graph. Any
    prices prove a bound; the best prove that of the linear relaxation, as the cut is integral (Geoffrion 1974). Plans
    are made from the cuts on the way: what they miss is covered unit by unit, then the least certain units are annealed
    and, in blocks, solved exactly. With ``finish`` what no bound has settled goes to HiGHS at the end.

    Geoffrion AM (1974) Lagrangean relaxation for integer programming. Mathematical Programming Study 2:82-114.
    """
    until = time.perf_counter() + time_limit_s
    found = _Planner(covering_of(problem), until, gap, seed)
    found.run()
    handed = finish and not found.done and found.covering.n <= FINISH
    if handed:
        found.finish()
    best = found.search.best
    x = np.zeros(0) if best is None else found.covering.plan(best)
    prices = target_prices(found.covering, problem, found.ascent.prices)
    return Cuts(x, found.search.value, found.bound, handed, found.ascent, prices)


def proven(problem: Problem, time_limit_s: float) -> Proof:
    """The bound alone, of a ``cuttable`` problem as one that minimises."""
    until = time.perf_counter() + time_limit_s
    planner = _Planner(covering_of(problem), until, 0.0, 0)
    planner.climb_all()
    prices = target_prices(planner.covering, problem, planner.ascent.prices)
    return Proof(planner.ascent.bound, prices)


class _Planner:
    """The stages of one plan, each ended by the gap that is asked for or the time."""

    def __init__(self, covering: Covering, until: float, gap: float, seed: int, prices: np.ndarray | None = None):
        self.covering, self.until, self.gap = covering, until, gap
        self.random = np.random.default_rng(seed)
        self.search = Search(covering, self.random)
        prices = first_prices(covering, self.random) if prices is None else prices
        self.ascent = start(covering, prices)
        self.bound = self.ascent.bound
        self.repaired: set[int] = set()

    @property
    def left(self) -> float:
        """The gap that is left, as a share."""
        self.bound = max(self.bound, self.ascent.bound)
        value = self.search.value
        return (
            float("inf") if not np.isfinite(value) else (value - self.bound) / max(abs(value), abs(self.bound), 1e-12)
        )

    @property
    def done(self) -> bool:
        return self.left <= max(self.gap, 1e-9)

    @property
    def late(self) -> bool:
        return time.perf_counter() > self.until

    @property
    def enough(self) -> float:
        """The bound that would do for the best plan so far."""
        value = self.search.value
        return float("inf") if not np.isfinite(value) else value - self.gap * abs(value)

    def run(self) -> None:
        paired, c, a = len(self.covering.graph.head) > 0, self.covering, self.ascent
        if c.plain:
            self.search.offer(a.cut.selected)
            return
        climb(c, a, most=STEPS, until=self.until)
        self._plans()
        if not paired and not self.done:
            sift(c, a, self.until)
            self._plans()
        for go_on in (climb, climb, polish, polish, polish) if paired else ():
            if not self.done and not self.late:
                go_on(c, a, most=MORE_STEPS, until=self.until, enough=self.enough)
                self._plans()
        if paired and not self.done and not self.late:
            self.lift()
        if self.search.best is None:
            self._plans(np.inf)
        if self.search.best is None:
            self.search.offer(np.zeros(c.n, bool))
        if self.search.best is None:
            self.rescue()
        if self.search.best is not None:
            self._better(paired)

    def climb_all(self) -> None:
        """Climb as high as it goes, without plans."""
        if self.covering.plain:
            return
        if not len(self.covering.graph.head):
            sift(self.covering, self.ascent, self.until)
        for go_on in (climb, climb, polish):
            go_on(self.covering, self.ascent, most=3 * MORE_STEPS, until=self.until)

    def _plans(self, far: float = FAR) -> None:
        """Plans from those of the best cuts that miss least, where that is not too far from covering all rows."""
        a = self.ascent
        best = np.argsort(a.bounds)[::-1][:NEAR]
        missed = [float(a.prices @ np.clip(a.slopes[k], 0.0, None)) for k in best]
        for which in np.argsort(missed)[:STARTS]:
            if missed[which] > far * max(abs(a.bound), 1e-12) or self.done:
                return
            if self.late and self.search.best is not None:
                return
            if best[which] not in self.repaired:
                self.repaired.add(int(best[which]))
                self.search.take(a.selections[best[which]], a.prices)

    def lift(self) -> None:
        """Plans from cuts at raised prices of what is missing, until nothing is: whole blocks of units come in."""
        a, prices = self.ascent, self.ascent.prices.copy()
        floor = 0.05 * float(prices.mean())
        for _ in range(LIFTS):
            if self.late:
                return
            cut = min_cut(self.covering.graph, self.covering.priced(prices), a.cut.spare)
            lack = self.covering.need - self.covering.rows @ cut.selected
            short = self.covering.hard & (lack > TOLERANCE)
            if float(lack.max(initial=0.0)) < NEARLY:
                self.search.take(cut.selected, a.prices)
            if not short.any():
                return
            prices[short] = np.maximum(prices[short], floor) * (1.0 + 0.002 + 0.5 * lack[short])

    def rescue(self) -> None:
        """A plan where no repair finds one, by the exact solver: all units, or the least certain blocks of many.

        Rows that pull in opposite directions, such as a budget and an amount that barely fits into it, can only be met
        by turning several units at once.
        """
        c, a, limit = self.covering, self.ascent, min(self.until - time.perf_counter(), LONGEST_CORE_S)
        if limit <= 0:
            return
        if c.n > LARGEST_CORE:
            self.search.core(a.cut.selected, a.prices, self._near(), LARGEST_CORE, limit)
            return
        found = solve(exact(c), limit, max(self.gap, 0.01))
        if found.x is not None:
            self.search.take(found.x[: c.n] > HALF, a.prices)

    def _near(self) -> list[np.ndarray]:
        """The cuts of the best bounds."""
        return [self.ascent.selections[k] for k in np.argsort(self.ascent.bounds)[::-1][:15]]

    def _better(self, paired: bool) -> None:
        """Anneal and solve cores in turn, and climb on, until it is enough or nothing helps any more."""
        a, core, limit, stalled, annealed = self.ascent, CORE, CORE_S, 0, ANNEALED
        while not self.done and not self.late and stalled < STALLED:
            before = self.left
            for _ in range(annealed):
                self.search.wander(a.prices, min(TRIES, UNIT_TRIES * self.covering.n))
                if self.done or self.late:
                    return
            between = self.left
            x, left = self.search.best, self.until - time.perf_counter()
            assert x is not None
            self.search.core(x, a.prices, self._near(), core, min(limit, left))
            # the more helpful of the two gets more of the time
            annealed = 1 if before - between < between - self.left else ANNEALED
            if paired and not self.done:
                polish(self.covering, a, most=MORE_STEPS, until=self.until, enough=self.enough)
            stalled = 0 if before - self.left > WORTH else stalled + 1
            core, limit = min(2 * core, LARGEST_CORE), min(1.5 * limit, LONGEST_CORE_S)

    def finish(self) -> None:
        """Hand what the bound has not settled to the exact solver.

        A unit whose turning costs more than lies between bound and plan is settled: no better plan turns it.
        """
        c, a, rest = self.covering, self.ascent, self.until - time.perf_counter()
        if rest <= 0:
            return
        within = self.search.value - a.bound
        open_units = np.abs(a.cut.reduced) <= within * (1 + 1e-9) + 1e-12 * self.search.typical
        units = np.flatnonzero(open_units)
        if not len(units):  # a better plan can only be the cut itself
            self.search.offer(a.cut.selected)
            self.bound = max(self.bound, self.search.value) if np.isfinite(self.search.value) else self.bound
            return
        label = np.full(c.n, -1)
        label[units] = np.arange(len(units))
        settled = a.cut.reduced < 0
        small = merged(c, label, len(units), settled)
        found = solve(exact(small), rest, self.gap)
        if found.x is None:
            if found.infeasible and np.isfinite(self.search.value):
                self.bound = self.search.value
            return
        self.bound = max(self.bound, min(found.bound + small.constant, self.search.value))
        x = settled.copy()
        x[units] = found.x[: len(units)] > HALF
        self.search.take(x, a.prices)


def plans_apart(problem: Problem, best: Cuts, number: int, worse: float, time_limit_s: float, seed: int) -> list[Cuts]:
    """Further plans, each within the share ``worse`` of the best and unlike those before.

    Each unit that earlier plans select costs more, and each that they do not select less, by a weight that is halved
    until the plan's true objective lies within the limit.
    """
    covering = covering_of(problem)
    limit = best.value + worse * abs(best.value)
    plans, side = [best], np.zeros(covering.n)
    weight = 2.0 * float(np.abs(covering.base).sum()) / max(covering.n, 1)
    until = time.perf_counter() + time_limit_s
    while covering.n and len(plans) < number and time.perf_counter() < until:
        side += 2.0 * plans[-1].x[covering.free] - 1.0
        found = None
        for _ in range(12):
            far = replace(covering, base=covering.base + weight * side / len(plans))
            planner = _Planner(far, until, max(worse / 4, 0.002), seed + len(plans), best.ascent.prices)
            planner.run()
            if planner.search.best is not None and covering.value(planner.search.best) <= limit:
                found = planner.search.best
                break
            weight /= 2
        if found is None or any(np.array_equal(covering.plan(found), p.x) for p in plans):
            break
        plans.append(Cuts(covering.plan(found), covering.value(found), best.bound, False, best.ascent, best.prices))
        weight *= 1.5
    return plans
