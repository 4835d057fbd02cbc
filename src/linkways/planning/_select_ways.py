"""Which solver a problem gets, and its plans and portfolios."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.planning._cut_planner import Cuts, plan_by_cuts, plans_apart, proven
from linkways.planning._problem import Problem, named
from linkways.planning._select_program import duality, program_of, target_prices
from linkways.planning._select_solve import HALF, Plan, Portfolio, best_plan, plans_near

__all__ = ["Effort", "Solver", "plans_of"]

ID = "planning.select"
LARGE = 2_000  # units from which on a problem that can be cut is
MORE = 10  # runs for each plan that a portfolio by shuffling asks for, at most

Solver = Literal["automatic", "highs", "min_cut", "annealing"]


@dataclass(frozen=True)
class Effort:
    """What solves the problem, and how long and how well."""

    solver: Solver
    time_limit_s: float
    gap: float
    iterations: int
    """trial moves of the annealing"""
    seed: int


def plans_of(problem: Problem, wanted: Portfolio, effort: Effort) -> list[Plan]:
    """The best plan that was found, and those of the portfolio, by the solver asked for or the one that suits.

    Raises LinkwaysError where a solver cannot do what is asked, where there is no plan, and where none was found.
    """
    solver = _chosen(problem, wanted, effort)
    if solver == "highs":
        best = best_plan(problem, effort.time_limit_s, effort.gap)
        return plans_near(problem, best, wanted, effort.time_limit_s, effort.gap)
    if problem.decision != "binary":
        raise LinkwaysError(f"{ID}: {solver} needs whole units; set decision to binary, or solver to highs")
    if solver == "annealing":
        return _annealed(problem, wanted, effort)
    return _cut(problem, wanted, effort)


def _chosen(problem: Problem, wanted: Portfolio, effort: Effort) -> Solver:
    if effort.solver == "automatic":
        large = problem.cuttable and problem.n >= LARGE
        return "min_cut" if large and not (wanted.kind == "extra" and wanted.number > 1) else "highs"
    if effort.solver == "min_cut" and not problem.cuttable:
        raise LinkwaysError(
            f"{ID}: the solver min_cut knows min_set, min_shortfall and max_utility of whole units, without "
            "neighbours, contiguity and negative connectivity; set solver to automatic or highs"
        )
    missing = {"min_cut": ("extra",), "annealing": ("extra", "gap")}.get(effort.solver, ())
    if wanted.kind in missing and wanted.number > 1:
        raise LinkwaysError(
            f"{ID}: the solver {effort.solver} has no portfolio '{wanted.kind}'; set solver to highs, or portfolio to "
            f"shuffle{' or gap' if effort.solver == 'min_cut' else ''}"
        )
    return effort.solver


# --- min-cut ---------------------------------------------------------------------------------------------------


def _cut(problem: Problem, wanted: Portfolio, effort: Effort) -> list[Plan]:
    automatic, begun = effort.solver == "automatic", time.perf_counter()
    found = plan_by_cuts(problem, effort.time_limit_s, effort.gap, finish=automatic, seed=effort.seed)
    if not len(found.x):
        left = effort.time_limit_s - (time.perf_counter() - begun)
        if automatic and left > 0:
            return plans_near(problem, best_plan(problem, left, effort.gap), wanted, left, effort.gap)
        raise LinkwaysError(
            f"{ID}: min_cut found no plan that meets all demands; raise time_limit_s, or set solver to highs, which "
            "names demands that clash"
        )
    name = "min_cut, HiGHS" if found.exact else "min_cut"
    plans = [_plan_of(problem, found, name)]
    if wanted.kind == "gap" and wanted.number > 1:
        further = plans_apart(problem, found, wanted.number, wanted.gap, effort.time_limit_s, wanted.seed)
        plans += [_plan_of(problem, one, name) for one in further[1:]]
    if wanted.kind == "shuffle":
        random, best = np.random.default_rng(wanted.seed), plans[0]

        def again(seed: int) -> np.ndarray:
            factor = random.uniform(1.0, 1.0 + wanted.gap, problem.n)
            amounts = problem.amounts if problem.objective == "min_set" else (problem.amounts * factor).tocsr()
            mixed = replace(problem, costs=problem.costs * factor, amounts=amounts)
            if problem.objective != "min_set":
                mixed = replace(mixed, costs=problem.costs)
            return plan_by_cuts(mixed, effort.time_limit_s, max(effort.gap, wanted.gap / 4), finish=False, seed=seed).x

        plans = _collected(problem, best, wanted, again)
    return _sorted(problem, plans)


def _plan_of(problem: Problem, found: Cuts, name: str) -> Plan:
    sign, value = (-1.0 if problem.maximised else 1.0), problem.value(found.x)
    best = min(found.bound, sign * value)
    return Plan(
        found.x, value, sign * best + 0.0, sign * min(found.ascent.bound, sign * value) + 0.0, found.prices, name
    )


# --- annealing -------------------------------------------------------------------------------------------------


def _annealed(problem: Problem, wanted: Portfolio, effort: Effort) -> list[Plan]:
    from linkways.planning._annealing import anneal

    x = anneal(problem, seed=effort.seed, iterations=effort.iterations, time_limit_s=effort.time_limit_s)
    if broken := _broken(problem, x):
        raise LinkwaysError(
            f"{ID}: annealing found no plan that meets {named(broken)}; raise iterations, or set solver to highs, "
            "which names demands that clash"
        )
    value, sign = problem.value(x), -1.0 if problem.maximised else 1.0
    if problem.cuttable:
        proof = proven(problem, effort.time_limit_s)
        least, prices = proof.bound, proof.prices
    else:
        least, prices = duality(program_of(problem), effort.time_limit_s)
        prices = target_prices(problem, prices)
    bound = sign * min(least, sign * value) + 0.0
    best = Plan(x, value, bound, bound, prices, "annealing")
    if wanted.kind != "shuffle":
        return [best]

    def again(seed: int) -> np.ndarray:
        found = anneal(problem, seed=seed, iterations=effort.iterations, time_limit_s=effort.time_limit_s)
        return np.zeros(0) if _broken(problem, found) else found

    return _sorted(problem, _collected(problem, best, wanted, again))


def _broken(problem: Problem, x: np.ndarray) -> list[str]:
    """Demands that a selection does not meet, by name."""
    names = [f"the target of {problem.features[j]}" for j in np.flatnonzero(problem.shortfall(x) > 0)]
    names = names if problem.objective == "min_set" else []
    rows = problem.rows
    if len(rows):
        size = np.maximum(np.abs(rows.matrix).max(axis=1).toarray().ravel(), 1e-300)
        held = rows.matrix @ x
        off = np.maximum(rows.lower - held, held - rows.upper) > 1e-6 * size
        names += [rows.names[k] for k in np.flatnonzero(off)]
    return names


# --- portfolios ------------------------------------------------------------------------------------------------


def _collected(problem: Problem, best: Plan, wanted: Portfolio, again: Callable[[int], np.ndarray]) -> list[Plan]:
    """Different plans within the gap of the best, from one run after another."""
    sign = -1.0 if problem.maximised else 1.0
    limit = sign * best.value + wanted.gap * abs(best.value) + 1e-9 * max(1.0, abs(best.value))
    plans = [best]
    for run in range(1, MORE * wanted.number):
        if len(plans) >= wanted.number:
            break
        x = again(wanted.seed + run)
        if not len(x) or _broken(problem, x):
            continue
        if sign * problem.value(x) <= limit and all(np.abs(x - p.x).max() > HALF for p in plans):
            plans.append(replace(best, x=x, value=problem.value(x)))
    return plans


def _sorted(problem: Problem, plans: list[Plan]) -> list[Plan]:
    """The best first; a later plan may have turned out better than the first."""
    return sorted(plans, key=lambda p: -p.value if problem.maximised else p.value)
