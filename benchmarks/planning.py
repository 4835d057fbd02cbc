"""Minimum sets with and without a boundary: the min-cut planner beside HiGHS, in one run, on simulated land.

Run: ``python benchmarks/planning.py [--units 10000 100489 605284] [--penalties 0 0.02 0.2] [--highs-limit 120]``

Simulated land, seed 0: a square of cells; 70 features, each a smooth gaussian field (range drawn from 2 to 12 cells)
above its quantile, so that it covers 2 to 40 % of the land; costs lognormal (0, 1), cell by cell; 20 % targets; the
penalty is the cost of one side of a cell. Both solvers get the same problem through `planning.select`, and the gap of
each is computed anew from its plan and its own bound. Every time is CPU seconds (user and system, all threads) of the
whole call, from rasters in memory to the result, after the kernels are compiled; HiGHS gets --highs-limit seconds, and
the gap that it has reached then is printed (its relaxation alone can take longer). Each size and solver runs in a
process of its own, so that the memory printed is its own peak, rasters in it.

Published times of other solvers are printed below. They are not ratios to ours: other data (72 bird species, real
land values), another machine, a gap of 10 %.
"""

from __future__ import annotations

import argparse
import math
import multiprocessing
import resource
import time
from typing import Any

import numpy as np

PUBLISHED = """
Published (prioritizr 8.1, article "Solver benchmarks", one thread, gap 10 %, 72 features, read off its figures):
  102,242 units, no boundary     Gurobi 0.8-1.2 min   HiGHS 0.8-1.0 min   CBC 0.4 min
  606,180 units, no boundary     Gurobi 12-17 min     HiGHS 8-10 min      CBC 2.4-3.2 min
   12,902 units, boundary 0.001  Gurobi 11-14 s       HiGHS 15-21 s       CBC 15-18 s
  102,242 units, boundary 0.001  Gurobi 2-2.5 min     HiGHS 83-93 min     CPLEX 2-6 min
  606,180 units, boundary 0.001  Gurobi 30-36 min     HiGHS 53-78 h       CPLEX 28-70 min"""


def land(units: int, features: int = 70) -> dict[str, Any]:
    """Simulated: rasters of cost and features."""
    from scipy.ndimage import gaussian_filter

    from linkways.spatial import new_raster

    side, random = math.isqrt(units), np.random.default_rng(0)

    def raster(values: np.ndarray, name: str) -> Any:
        return new_raster(values, crs="EPSG:32736", cell_size=1.0, name=name)

    cost, layers = random.lognormal(0.0, 1.0, (side, side)), []
    for number in range(features):
        field = gaussian_filter(random.standard_normal((side, side)), random.uniform(2.0, 12.0))
        above = field - np.quantile(field, 1.0 - random.uniform(0.02, 0.40))
        layers.append(raster(np.clip(above, 0.0, None) / field.std(), f"feature_{number}"))
    return {"cost": raster(cost, "cost"), "features": layers}


def solved(units: int, penalty: float, solver: str, gap: float, limit: float, answers: Any) -> None:
    """One problem by one solver, in a process of its own."""
    from linkways.planning import select

    wishes = {"target": 0.2, "boundary_penalty": penalty, "gap_percent": gap, "solver": solver, "time_limit_s": limit}
    small = land(900, 5)
    select(**small, **wishes)
    maps = land(units)
    began = time.process_time()
    try:
        found = select(**maps, **wishes)
    except Exception as failure:  # no plan in time
        answers.put((time.process_time() - began, None, None, None, str(failure)))
        return
    seconds = time.process_time() - began
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
    answers.put((seconds, found.objective, found.bound, peak, ""))


def apart(*task: Any) -> Any:
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=solved, args=(*task, answers))
    process.start()
    answer = answers.get()
    process.join()
    return answer


def told(name: str, answer: Any) -> str:
    seconds, objective, bound, peak, failure = answer
    if objective is None:
        return f"    {name:8} {seconds:8.2f} s CPU   no plan: {failure[:70]}"
    gap = 100.0 * (objective - bound) / objective
    plan = f"plan {objective:12.3f}   bound {bound:12.3f}   gap {gap:7.3f} %"
    return f"    {name:8} {seconds:8.2f} s CPU   {plan}   {peak:.2f} GB"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--units", type=int, nargs="+", default=[10_000, 100_489])
    parser.add_argument("--penalties", type=float, nargs="+", default=[0.0, 0.02, 0.2])
    parser.add_argument("--gap", type=float, default=0.5, help="gap asked for, per cent")
    parser.add_argument("--limit", type=float, default=120.0, help="seconds that min_cut gets")
    parser.add_argument("--highs-limit", type=float, default=120.0, help="seconds that HiGHS gets; 0: it is left out")
    parser.add_argument("--highs-units", type=int, default=110_000, help="HiGHS is left out above so many units")
    given = parser.parse_args()
    for units in given.units:
        for penalty in given.penalties:
            print(f"{math.isqrt(units) ** 2:,} units x 70, boundary penalty {penalty:g}, gap asked for {given.gap:g} %")
            print(told("min_cut", apart(units, penalty, "min_cut", given.gap, given.limit)), flush=True)
            if given.highs_limit > 0 and units <= given.highs_units:
                print(told("HiGHS", apart(units, penalty, "highs", given.gap, given.highs_limit)), flush=True)
    print(PUBLISHED)


if __name__ == "__main__":
    main()
