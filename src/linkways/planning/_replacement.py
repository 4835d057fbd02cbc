"""What it costs to do without a selected unit while the others stay."""

from collections.abc import Callable

import numpy as np
import scipy.sparse as sp

from linkways.planning._select_program import Program, solve

__all__ = ["replacement_costs"]

SHORT = 1e-9  # a target is met when no larger share of it is missing


def replacement_costs(
    amounts: sp.csr_array,
    targets: np.ndarray,
    costs: np.ndarray,
    selected: np.ndarray,
    open_units: np.ndarray,
    time_limit_s: float,
    gap: float,
    tell: Callable[[float], None],
) -> tuple[np.ndarray, np.ndarray]:
    """(n,) replacement cost of each unit, and what it is at least; 0 for units that are not selected.

    Without unit i, and with the other selected units kept, the least that ``open_units`` (a mask) must add to meet the
    targets, minus the cost of i: a small covering problem over the features that are short (Cabeza and Moilanen 2006).
    Below 0 where the others meet the targets without i; inf where no units can; NaN where no plan was found in time.
    """
    cost, least = np.zeros(len(costs)), np.zeros(len(costs))
    held = amounts @ selected.astype(float)
    by_unit = amounts.tocsc()
    chosen = np.flatnonzero(selected)
    for done, i in enumerate(chosen):
        tell(done / len(chosen))
        own = by_unit[:, [i]].toarray().ravel()
        short = targets - (held - own)
        rows = np.flatnonzero(short > SHORT * targets)
        value, bound = _cover(amounts[rows], short[rows], costs, open_units & ~selected, time_limit_s, gap)
        cost[i], least[i] = value - costs[i], bound - costs[i]
    return cost, least


def _cover(
    amounts: sp.csr_array, needed: np.ndarray, costs: np.ndarray, free: np.ndarray, limit_s: float, gap: float
) -> tuple[float, float]:
    """The least cost of free units that hold what is needed, and a bound on it."""
    if not len(needed):
        return 0.0, 0.0
    useful = np.flatnonzero(free & (np.asarray(amounts.sum(axis=0)).ravel() > 0))
    matrix = amounts[:, useful].tocsr()
    if (np.asarray(matrix.sum(axis=1)).ravel() < needed * (1 - SHORT)).any():
        return np.inf, np.inf
    n, m = len(useful), len(needed)
    program = Program(
        costs[useful],
        # what one unit holds beyond the need counts for no more than the need
        (sp.diags_array(1.0 / needed) @ matrix).minimum(1.0).tocsr(),
        np.ones(m) * (1 - SHORT),
        np.full(m, np.inf),
        np.zeros(n),
        np.ones(n),
        np.ones(n, int),
        np.full(m, -1),
        (),
    )
    found = solve(program, limit_s, gap)
    bound = max(found.bound, 0.0)
    if found.x is None:
        return np.nan, bound
    value = float(program.cost @ found.x)
    return value, value if value - bound <= 1e-6 * max(value, 1e-12) else bound
