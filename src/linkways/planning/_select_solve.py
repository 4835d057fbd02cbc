"""Plans, portfolios of plans, and which demands clash where there is no plan."""

import time
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np
import scipy.sparse as sp

from linkways.errors import LinkwaysError
from linkways.planning._problem import Problem, named
from linkways.planning._select_pieces import solve_in_one_piece
from linkways.planning._select_program import Program, Solved, duality, program_of, solve, target_prices

__all__ = ["Plan", "Portfolio", "Spread", "best_plan", "opened", "plans_near", "proven_plan"]

ID = "planning.select"
CERTAIN = 1e-6
"""A gap below is within the solver's tolerances, and called none."""
HALF = 0.5

Spread = Literal["none", "gap", "shuffle", "extra"]


@dataclass(frozen=True)
class Plan:
    """A selection, its objective computed anew, and what no selection can better."""

    x: np.ndarray
    value: float
    bound: float
    relaxed: float
    """The weaker bound by weak duality, computed from the problem's arrays."""
    prices: np.ndarray
    """(m,) what one more unit of each feature's target would change the weaker bound by, 0 or more"""
    solver: str = "HiGHS"

    @property
    def gap(self) -> float:
        """What is left between objective and bound, as a share of the objective; 0 is a proven best plan."""
        left = abs(self.value - self.bound) / max(abs(self.value), abs(self.bound), 1e-12)
        return 0.0 if left <= CERTAIN else left


def best_plan(problem: Problem, time_limit_s: float, gap: float) -> Plan:
    """The best selection within the gap, by HiGHS.

    Raises LinkwaysError where there is none, naming a smallest set of demands that clash, or where none was found in
    time.
    """
    found, program = _solved(program_of(problem), problem, time_limit_s, gap)
    if found.x is None:
        if found.infeasible:
            _refuse_clash(program_of(problem, by_flow=True), problem, time_limit_s)
        raise LinkwaysError(
            f"{ID}: no plan was found within {found.seconds:.0f} s; raise time_limit_s or gap_percent, or use fewer "
            "units"
        )
    return proven_plan(problem, program, found.x, found.bound, time_limit_s)


def _solved(program: Program, problem: Problem, time_limit_s: float, gap: float) -> tuple[Solved, Program]:
    """What HiGHS finds, in one piece where that is asked for, and the program with what proved it."""
    if problem.contiguous and problem.decision == "binary":
        return solve_in_one_piece(program, problem, time_limit_s, gap)
    return solve(program, time_limit_s, gap), program


def proven_plan(
    problem: Problem, program: Program, v: np.ndarray, bound: float, time_limit_s: float, solver: str = "HiGHS"
) -> Plan:
    """The plan of a solution of the program, with the solver's bound and the one computed anew beside it."""
    x, sign = v[: problem.n], -1.0 if problem.maximised else 1.0
    value = problem.value(x)
    relaxed, prices = duality(program, time_limit_s)
    best = max(bound, relaxed)
    size = float(np.abs(program.cost[program.cost != 0]).mean()) if program.cost.any() else 1.0
    # proven to the solver's tolerances only
    if best > sign * value - 2 * CERTAIN * size:
        best = sign * value
    prices = target_prices(problem, prices)
    return Plan(x, value, sign * best + 0.0, sign * min(relaxed, sign * value) + 0.0, prices, solver)


# --- clashes ---------------------------------------------------------------------------------------------------


def _refuse_clash(program: Program, problem: Problem, time_limit_s: float) -> None:
    clash, smallest = clashing(program, problem, time_limit_s)
    sure = "and without any one of them the others can be met" if smallest else "and time was short to leave some out"
    raise LinkwaysError(
        f"{ID}: no selection meets all demands; these clash, {sure}: {named(clash, 12)}; ease one of them"
    )


def clashing(program: Program, problem: Problem, time_limit_s: float) -> tuple[list[str], bool]:
    """A smallest set of demands that cannot be met together, none of which can be left out (deletion filter).

    Beside it whether time allowed to prove for each of them that it cannot be left out.

    Chinneck JW, Dravnieks EW (1991) Locating minimal infeasible constraint sets in linear programs. ORSA Journal on
    Computing 3:157-168. Each demand in turn is left out; where no plan appears, it stays out. Where even shares of
    units cannot meet the demands, the filter works on shares, which is fast.
    """
    begun, bare = time.perf_counter(), replace(program, cost=np.zeros_like(program.cost))
    shares = replace(bare, whole=np.zeros_like(bare.whole))
    if solve(shares, time_limit_s, 0.0).infeasible:
        bare = shares
    rows = len(program.demands)
    locks = {rows: problem.locked_in, rows + 1: problem.locked_out}
    names = [*program.demands, f"{int(locks[rows].sum())} units locked in"]
    names.append(f"{int(locks[rows + 1].sum())} units locked out")
    candidates = [*range(rows), *(k for k, lock in locks.items() if lock.any())]
    dropped: set[int] = set()
    smallest = True
    for one in candidates:
        left = max(time_limit_s - (time.perf_counter() - begun), 0.1)
        trial = opened(bare, problem, dropped | {one}, rows)
        found = solve(trial, left, 0.0)
        smallest &= found.infeasible or found.x is not None
        if found.infeasible:
            dropped.add(one)
    return [names[k] for k in candidates if k not in dropped], smallest


def opened(program: Program, problem: Problem, dropped: set[int], rows: int) -> Program:
    """The program without the dropped demands, units locked in and out among them (numbers rows and rows + 1)."""
    below, above = program.below.copy(), program.above.copy()
    if rows in dropped:
        below[: problem.n] = 0.0
    if rows + 1 in dropped:
        above[np.flatnonzero(problem.locked_out)] = problem.most_share
    return replace(program.without({d for d in dropped if d < rows}), below=below, above=above)


# --- portfolios ------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Portfolio:
    """How further plans are looked for."""

    kind: Spread
    number: int
    gap: float
    """Plans of the kinds gap and shuffle are at most so much worse than the best, as a share."""
    seed: int


def plans_near(problem: Problem, best: Plan, wanted: Portfolio, time_limit_s: float, gap: float) -> list[Plan]:
    """The best plan and further ones, all different, best first; fewer than asked for where there are no more.

    - gap: each further plan lies within the gap of the best and differs as much as can be from those before.
    - shuffle: units are shuffled and costs changed by at random up to the gap before the problem is solved again; kept
      are different plans that lie within the gap at the true costs.
    - extra: the next best plans, however much worse.
    """
    if wanted.kind == "none" or wanted.number <= 1:
        return [best]
    if problem.decision != "binary":
        raise LinkwaysError(f"{ID}: portfolios need whole units; set decision to binary")
    further = _shuffled if wanted.kind == "shuffle" else _cut_off
    plans = further(problem, best, wanted, time_limit_s, gap)
    return sorted(plans, key=lambda p: -p.value if problem.maximised else p.value)


def _cut_off(problem: Problem, best: Plan, wanted: Portfolio, time_limit_s: float, gap: float) -> list[Plan]:
    """One plan after another, those before cut off (at least one unit differs)."""
    program, plans = program_of(problem), [best]
    if wanted.kind == "gap":
        sign = -1.0 if problem.maximised else 1.0
        limit = sign * best.value + wanted.gap * abs(best.value) + 1e-9 * max(1.0, abs(best.value))
        size = float(np.abs(program.cost).max()) or 1.0
        row = sp.csr_array(program.cost[None, :] / size)
        program = program.with_rows(row, np.array([-np.inf]), np.array([limit / size]))
    while len(plans) < wanted.number:
        side = 1.0 - 2.0 * plans[-1].x  # distance to a plan: sum of side x + sum of the plan's own x
        own = float(plans[-1].x.sum())
        program = program.with_rows(sp.csr_array(side[None, :]), np.array([1.0 - own]), np.array([np.inf]))
        aim = program
        if wanted.kind == "gap":
            cost = np.zeros_like(program.cost)
            cost[: problem.n] = -np.sum([1.0 - 2.0 * p.x for p in plans], axis=0)
            aim = replace(program, cost=cost)
        found, _ = _solved(aim, problem, time_limit_s, gap)
        if found.x is None:
            break
        x = found.x[: problem.n]
        plans.append(replace(best, x=x, value=problem.value(x)))
    return plans


def _shuffled(problem: Problem, best: Plan, wanted: Portfolio, time_limit_s: float, gap: float) -> list[Plan]:
    random, program, plans = np.random.default_rng(wanted.seed), program_of(problem), [best]
    sign = -1.0 if problem.maximised else 1.0
    limit = sign * best.value + wanted.gap * abs(best.value) + 1e-9 * max(1.0, abs(best.value))
    for _ in range(10 * wanted.number):
        # separators are told by the units' places, so these stay where a plan is to be in one piece
        order = np.arange(len(program.cost)) if problem.contiguous else random.permutation(len(program.cost))
        mixed = replace(
            program,
            cost=(program.cost * random.uniform(1.0, 1.0 + wanted.gap, len(order)))[order],
            matrix=program.matrix[:, order].tocsr(),
            below=program.below[order],
            above=program.above[order],
            whole=program.whole[order],
        )
        found, _ = _solved(mixed, problem, time_limit_s, max(gap, wanted.gap / 2))
        if found.x is None:
            continue
        back = np.empty_like(found.x)
        back[order] = found.x
        x = back[: problem.n]
        new = all(np.abs(x - p.x).max() > HALF for p in plans)
        if new and sign * problem.value(x) <= limit:
            plans.append(replace(best, x=x, value=problem.value(x)))
        if len(plans) == wanted.number:
            break
    return plans
