"""Zonings: exact by HiGHS, or annealed with a bound beside them, and which demands clash where there is none."""

import time
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.planning._annealing import Landscape, anneal_landscape, broken
from linkways.planning._problem import named
from linkways.planning._select_program import Program, duality_bound, solve
from linkways.planning._zones_problem import ZoneProblem, landscape_of_zones
from linkways.planning._zones_program import program_of_zones, program_size

__all__ = ["Search", "Solver", "ZonePlan", "annealed_zones", "best_zones", "clashing_zones", "relaxed_bound"]

CERTAIN = 1e-6
EXACT_SIZE = 60_000
"""Variables of a program up to which ``auto`` solves exactly."""
LARGE = 300_000
"""Variables from which a bound takes the least that pairs can cost, in place of what they do cost."""

Solver = Literal["auto", "exact", "annealing"]


@dataclass(frozen=True)
class ZonePlan:
    """A zoning, its objective computed anew, what no zoning can better, and who found it."""

    choice: np.ndarray
    value: float
    bound: float
    relaxed: float
    """The weaker bound by weak duality, computed from the problem's arrays."""
    solver: str

    @property
    def gap(self) -> float:
        """What is left between objective and bound, as a share of the larger; 0 is a proven best zoning."""
        if not np.isfinite(self.bound):
            return float("inf")
        left = abs(self.value - self.bound) / max(abs(self.value), abs(self.bound), 1e-12)
        return 0.0 if left <= CERTAIN else left


@dataclass(frozen=True)
class Search:
    """How long and how hard zonings are looked for."""

    solver: Solver
    gap: float
    time_limit_s: float
    iterations: int
    seed: int


def best_zones(problem: ZoneProblem, search: Search, method: str) -> ZonePlan:
    """The best zoning that the solver finds.

    ``auto`` solves problems of up to 60,000 variables exactly and anneals larger ones; where the exact solver runs out
    of time, a zoning is annealed too and the better one kept, with the exact solver's bound.

    Raises LinkwaysError where there is none, naming a smallest set of demands that clash, or where none was found.
    """
    solver = search.solver
    if solver == "auto":
        solver = "exact" if program_size(problem) <= EXACT_SIZE else "annealing"
    if not problem.allowed().any(axis=1).all():
        _refuse_clash(problem, search.time_limit_s, method)
    if solver == "annealing":
        return _annealed(problem, search, method)
    program = program_of_zones(problem)
    found = solve(program, search.time_limit_s, search.gap)
    if found.infeasible:
        _refuse_clash(problem, search.time_limit_s, method)
    relaxed = duality_bound(program, search.time_limit_s)
    plan = None
    if found.x is not None:
        x = found.x[: problem.n * problem.choices].reshape(problem.n, problem.choices)
        plan = _told(problem, program, x.argmax(axis=1), found.bound, relaxed, "HiGHS")
        if plan.gap <= search.gap + CERTAIN:
            return plan
    choice = annealed_zones(problem, search.seed, search.iterations, search.time_limit_s)
    if choice is not None:
        other = _told(problem, program, choice, found.bound, relaxed, "annealing, bound by HiGHS")
        better = plan is None or (other.value > plan.value if problem.maximised else other.value < plan.value)
        plan = other if better else plan
    if plan is None:
        raise LinkwaysError(
            f"{method}: no zoning was found within {search.time_limit_s:g} s; raise time_limit_s or gap_percent, or "
            "use fewer units"
        )
    return plan


def annealed_zones(problem: ZoneProblem, seed: int, iterations: int, time_limit_s: float) -> np.ndarray | None:
    """(n,) a zoning by simulated annealing, None where it breaks a limit that must hold."""
    land, rng = landscape_of_zones(problem), np.random.default_rng(seed)
    sign = -1.0 if problem.maximised else 1.0
    choice = anneal_landscape(
        land,
        _random_start(land, rng),
        lambda found: sign * problem.value(found),
        rng=rng,
        iterations=iterations,
        time_limit_s=time_limit_s,
    )
    return None if broken(land, choice).any() else choice


def _random_start(land: Landscape, rng: np.random.Generator) -> np.ndarray:
    """One of its choices for every unit."""
    draw = np.where(land.allowed, rng.random(land.allowed.shape), -1.0)
    return np.asarray(draw.argmax(axis=1))


def _annealed(problem: ZoneProblem, search: Search, method: str) -> ZonePlan:
    choice = annealed_zones(problem, search.seed, search.iterations, search.time_limit_s)
    if choice is None:
        program = program_of_zones(replace(problem, links=()))
        shares = replace(program, cost=np.zeros_like(program.cost), whole=np.zeros_like(program.whole))
        if solve(shares, search.time_limit_s, 0.0).infeasible:
            _refuse_clash(problem, search.time_limit_s, method)
        raise LinkwaysError(
            f"{method}: annealing found no zoning that keeps all limits; raise iterations, ease a limit, or choose the "
            "solver exact"
        )
    program, least = _bounding(problem)
    relaxed = duality_bound(program, search.time_limit_s) + least
    return _told(problem, program, choice, -np.inf, relaxed, "annealing")


def relaxed_bound(problem: ZoneProblem, time_limit_s: float) -> float:
    """What no zoning can better, by weak duality; where most is best with its sign turned."""
    program, least = _bounding(problem)
    return duality_bound(program, time_limit_s) + least


def _bounding(problem: ZoneProblem) -> tuple[Program, float]:
    """A program that no zoning can better, and what is to be added to its cost.

    In large problems every pair is taken to cost the least that it can, so that pairs need no variables.
    """
    if program_size(problem) <= LARGE:
        return program_of_zones(problem), 0.0
    least = [np.minimum(x.pairs.value * x.cost.min(), x.pairs.value * x.cost.max()).sum() for x in problem.links]
    return program_of_zones(replace(problem, links=())), float(sum(least))


def _told(
    problem: ZoneProblem, program: Program, choice: np.ndarray, bound: float, relaxed: float, solver: str
) -> ZonePlan:
    sign = -1.0 if problem.maximised else 1.0
    value, best = problem.value(choice), max(bound, relaxed)
    size = float(np.abs(program.cost[program.cost != 0]).mean()) if program.cost.any() else 1.0
    # proven to the solver's tolerances only
    if best > sign * value - 2 * CERTAIN * size:
        best = sign * value
    return ZonePlan(choice, value, sign * best + 0.0, sign * min(relaxed, sign * value) + 0.0, solver)


# --- clashes ---------------------------------------------------------------------------------------------------


def _refuse_clash(problem: ZoneProblem, time_limit_s: float, method: str) -> None:
    # what pairs cost makes nothing impossible
    clash = clashing_zones(program_of_zones(replace(problem, links=())), problem, time_limit_s)
    raise LinkwaysError(
        f"{method}: no zoning meets all demands; these clash, and without any one of them the others can be met: "
        f"{named(clash, 12)}; ease one of them"
    )


def clashing_zones(program: Program, problem: ZoneProblem, time_limit_s: float) -> list[str]:
    """A smallest set of demands and bans that cannot hold together: none of it can be left out (deletion filter).

    Chinneck JW, Dravnieks EW (1991) Locating minimal infeasible constraint sets in linear programs. ORSA Journal on
    Computing 3:157-168. Where even shares of units cannot meet the demands, the filter works on shares, which is fast.
    """
    begun, bare = time.perf_counter(), replace(program, cost=np.zeros_like(program.cost))
    shares = replace(bare, whole=np.zeros_like(bare.whole))
    if solve(shares, time_limit_s, 0.0).infeasible:
        bare = shares
    rows = len(program.demands)
    names = [*program.demands, *(ban.name for ban in problem.bans)]
    dropped: set[int] = set()
    for one in range(len(names)):
        left = max(time_limit_s - (time.perf_counter() - begun), 0.1)
        if solve(_open(bare, problem, dropped | {one}, rows), left, 0.0).infeasible:
            dropped.add(one)
    return [name for k, name in enumerate(names) if k not in dropped]


def _open(program: Program, problem: ZoneProblem, dropped: set[int], rows: int) -> Program:
    """The program without the dropped demands, bans among them (numbers from ``rows`` on)."""
    above = program.above.copy()
    above[: problem.n * problem.choices] = problem.allowed({d - rows for d in dropped if d >= rows}).ravel()
    return replace(program.without({d for d in dropped if d < rows}), above=above)
