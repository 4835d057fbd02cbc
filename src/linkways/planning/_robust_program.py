"""One plan for several scenarios: the largest regret as a mixed-integer program."""

from dataclasses import dataclass, replace

import numpy as np
import scipy.sparse as sp

from linkways.planning._problem import Problem
from linkways.planning._select_program import Program, duality_bound, program_of, solve

__all__ = ["MiniMax", "allowed", "best_of_all"]

HOLDS = 1e-6


@dataclass(frozen=True)
class MiniMax:
    """The plan whose largest regret is least; ``x`` is None where there is none. ``bound`` is below all regrets."""

    x: np.ndarray | None
    bound: float
    infeasible: bool
    seconds: float


def allowed(problem: Problem, x: np.ndarray) -> bool:
    """Whether a plan meets a scenario's demands: budgets and constraints, and targets where these must be met."""
    if problem.objective == "min_set" and (problem.shortfall(x) > 0).any():
        return False
    if not len(problem.rows):
        return True
    held = problem.rows.matrix @ x
    size = np.maximum(np.abs(problem.rows.matrix).max(axis=1).toarray().ravel(), 1e-300)
    return bool((np.maximum(problem.rows.lower - held, held - problem.rows.upper) <= HOLDS * size).all())


def best_of_all(problems: list[Problem], optima: np.ndarray, scales: np.ndarray, limit_s: float, gap: float) -> MiniMax:
    """Least z with ``(value_s(x) - optimum_s) / scale_s <= z`` for all scenarios s; then, at that z, least mean regret.

    ``optima`` are values as they are minimised. The scenarios' programs share the units' variables; each has its own
    for what it misses, which a row in place of the objective pushes down as the objective did.
    """
    program, regrets = _joined([program_of(p) for p in problems], problems[0].n, optima, scales)
    found = solve(program, limit_s, gap)
    if found.x is None:
        return MiniMax(None, found.bound, found.infeasible, found.seconds)
    bound = max(found.bound, duality_bound(program, limit_s))
    z = float(found.x[-1])
    held = replace(program, cost=regrets, above=np.r_[program.above[:-1], z + 1e-7 * max(1.0, abs(z))])
    better = solve(held, limit_s, gap)
    x = found.x if better.x is None else better.x
    return MiniMax(x[: problems[0].n], bound, False, found.seconds + better.seconds)


def _joined(programs: list[Program], n: int, optima: np.ndarray, scales: np.ndarray) -> tuple[Program, np.ndarray]:
    """The program of all scenarios, its last variable the largest regret, and the mean regret as costs."""
    own = [len(p.cost) - n for p in programs]
    total = n + sum(own) + 1
    blocks, rows, means = [], [], np.zeros(total)
    begin = n
    for program, count, optimum, scale in zip(programs, own, optima, scales, strict=True):
        place = np.r_[np.arange(n), np.arange(begin, begin + count)]
        spread = sp.csr_array((np.ones(len(place)), (np.arange(len(place)), place)), shape=(len(place), total))
        blocks.append(program.matrix @ spread)
        regret = program.cost @ spread / scale
        means += regret / len(programs)
        rows.append((sp.csr_array(np.r_[regret[:-1], -1.0][None, :]), optimum / scale))
        begin += count
    count = len(programs)
    above = np.r_[programs[0].above[:n], *(p.above[n:] for p in programs)]
    most = max(float(np.maximum(r.toarray().ravel()[:-1] * above, 0.0).sum() - limit) for r, limit in rows)
    return Program(
        np.r_[np.zeros(total - 1), 1.0],
        sp.vstack([*blocks, *(r[0] for r in rows)]).tocsr(),
        np.r_[*(p.low for p in programs), np.full(count, -np.inf)],
        np.r_[*(p.high for p in programs), [r[1] for r in rows]],
        np.r_[programs[0].below[:n], *(p.below[n:] for p in programs), 0.0],
        np.r_[above, max(most, 0.0) + 1.0],
        np.r_[programs[0].whole[:n], *(p.whole[n:] for p in programs), 0],
        np.r_[*(p.owner for p in programs), np.full(count, -1)],
        programs[0].demands,
    ), means
