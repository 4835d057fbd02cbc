"""Simulated annealing of selections and zonings, beside Marxan 4's stored times and objectives.

    python benchmarks/annealing.py [SIDE OF THE GRID]

CPU seconds of one process, after a first call that loads the compiled kernels. The problem is made: 10,000 cells, 70
features (smoothed noise, present in 2 to 40 % of the cells), a fifth of each wanted, costs that are log-normal, BLM
0.02. Marxan 4 ran once, for one repeat, on another problem of the same description, so that objectives compare only by
how far they lie above what no plan can better (its optimum is certified to lie in [313.69, 315.07]), on a machine of
the same kind (two shared cores); its plans missed targets by up to 0.02 %, ours miss none. Our bound is that of the
linear relaxation, so our share above the optimum is smaller than what is printed.
"""

from __future__ import annotations

import sys
import time

import numpy as np
import scipy.sparse as sp
from scipy.ndimage import gaussian_filter

from linkways.planning._annealing import Links, anneal
from linkways.planning._problem import Pairs, Problem, Rows
from linkways.planning._select_program import duality_bound, program_of
from linkways.planning._zones_problem import Goals, ZoneProblem
from linkways.planning._zones_program import program_of_zones
from linkways.planning._zones_solve import annealed_zones

MARXAN = {10**6: (0.76, 402.6), 10**7: (3.6, 352.5), 10**8: (29.8, 333.9)}
CERTIFIED = 313.69
BLM = 0.02


def selection(side: int, features: int = 70, seed: int = 0) -> Problem:
    rng, n = np.random.default_rng(seed), side * side
    rows = []
    for _ in range(features):
        noise = gaussian_filter(rng.normal(size=(side, side)), rng.uniform(2, 8) * side / 100, mode="reflect").ravel()
        above = np.clip(noise - np.quantile(noise, 1 - rng.uniform(0.02, 0.4)), 0, None)
        rows.append(above / above.max())
    amounts, cost = sp.csr_array(np.array(rows)), rng.lognormal(0, 1, n)
    total = np.asarray(amounts.sum(axis=1)).ravel()
    cell = np.arange(n).reshape(side, side)
    a, b = np.r_[cell[:, :-1].ravel(), cell[:-1].ravel()], np.r_[cell[:, 1:].ravel(), cell[1:].ravel()]
    exposed = 4.0 - np.bincount(a, minlength=n) - np.bincount(b, minlength=n)
    none, empty = np.zeros(n, bool), Rows((), sp.csr_array((0, n)), np.zeros(0), np.zeros(0))
    pairs = Pairs(a, b, np.ones(len(a)))
    names, ones = np.arange(features), np.ones(features)
    return Problem(
        "min_set", np.arange(n), cost, names, amounts, 0.2 * total, total, ones, none, none, empty, pairs, exposed, BLM
    )  # fmt: skip


def zoned(problem: Problem) -> ZoneProblem:
    """The same cells in a reserve (full cost, all counts), a farm zone (a third of the cost, 0.4 counts) or none."""
    n, share, factor = problem.n, (0.0, 1.0, 0.4), (0.0, 1.0, 0.3)
    parts = [problem.amounts.tocoo()] * 2
    column = np.concatenate([p.col * 3 + k for k, p in enumerate(parts, start=1)])
    value = np.concatenate([p.data * share[k] for k, p in enumerate(parts, start=1)])
    row = np.concatenate([p.row for p in parts])
    goals = Goals(
        tuple(map(str, problem.features)),
        np.arange(problem.m),
        ("all",) * problem.m,
        sp.coo_array((value, (row, column)), shape=(problem.m, 3 * n)).tocsr(),
        np.zeros(problem.m, bool),
        problem.targets,
        np.ones(problem.m),
        np.full(problem.m, np.inf),
    )
    table = np.array([[0.0, 1.0, 0.5], [1.0, 0.0, 0.25], [0.5, 0.25, 0.0]])
    pairs = problem.boundary
    links = (Links(Pairs(pairs.a, pairs.b, BLM * pairs.value), table),)
    cost = problem.costs[:, None] * np.array(factor)
    rows = Rows((), sp.csr_array((0, 3 * n)), np.zeros(0), np.zeros(0))
    names = ("reserve", "farm")
    return ZoneProblem(
        "min_set", problem.units, names, cost, np.zeros((n, 3)), (), problem.features, goals, rows, links, ()
    )


def main() -> None:
    side = int(sys.argv[1]) if len(sys.argv) > 1 else 100
    problem = selection(side)
    bound = duality_bound(program_of(problem), 600)
    anneal(problem, seed=0, iterations=1000, time_limit_s=60)
    print(f"{problem.n:,} units, {problem.m} features, {problem.amounts.nnz:,} amounts; bound {bound:.2f}\n")
    print(f"{'iterations':>11}   {'ours, CPU':>9} {'objective':>10} {'above bound':>11} {'missed':>6}   "
          f"{'Marxan 4, CPU':>13} {'objective':>9} {'above bound':>11}")  # fmt: skip
    for iterations in (10**5, 10**6, 10**7):
        begun = time.process_time()
        x = anneal(problem, seed=1, iterations=iterations, time_limit_s=3600)
        spent, value = time.process_time() - begun, problem.value(x)
        ours = f"{spent:8.2f} s {value:10.2f} {100 * (value / bound - 1):10.2f} % {(problem.shortfall(x) > 0).sum():6}"
        seconds, theirs = MARXAN.get(iterations, (np.nan, np.nan))
        beside = f"{seconds:11.2f} s {theirs:9.1f} {100 * (theirs / CERTIFIED - 1):10.1f} %" if seconds > 0 else ""
        print(f"{iterations:11,}   {ours}   {beside}")
    seconds, theirs = MARXAN[10**8]
    print(f"{10**8:11,}   {'':39}   {seconds:11.2f} s {theirs:9.1f} {100 * (theirs / CERTIFIED - 1):10.1f} %")
    zones = zoned(selection(side // 2))
    bound = duality_bound(program_of_zones(zones), 600)
    print(f"\n{zones.n:,} units in two zones or none; bound {bound:.2f}")
    for iterations in (10**5, 10**6):
        begun = time.process_time()
        choice = annealed_zones(zones, 1, iterations, 3600)
        spent = time.process_time() - begun
        assert choice is not None
        value = zones.value(choice)
        print(f"{iterations:11,}   {spent:8.2f} s {value:10.2f} {100 * (value / bound - 1):10.2f} % {0:6}")


if __name__ == "__main__":
    main()
