"""Run a Marxan or Marxan-with-Zones input file unchanged, and write the output files it asks for."""

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.planning._marxan_files import ID, MarxanInput, Settings, read_marxan
from linkways.planning._marxan_output import Told, write_runs
from linkways.planning._marxan_problem import LOCKED_IN, LOCKED_OUT, marxan_problem

if TYPE_CHECKING:
    import pandas as pd

    from linkways.planning._zones_problem import ZoneProblem

__all__ = ["MarxanRun", "run_marxan", "solve_marxan"]

Way = Literal["exact", "annealing"]


@dataclass(frozen=True)
class MarxanRun:
    """The runs of a Marxan problem, the best of them, and what no run can better."""

    problem: "ZoneProblem"
    runs: np.ndarray
    """(runs, units) 0 or 1, or the number of the zone among the zones, in the order of the file of units"""
    scores: np.ndarray
    """(runs,) cost, boundary cost and penalty, as Marxan adds them up"""
    best: int
    bound: float
    relaxed_bound: float
    solvers: tuple[str, ...]
    """(runs,) what found each of them"""

    @property
    def solution(self) -> np.ndarray:
        """(units,) the best run."""
        return np.asarray(self.runs[self.best])

    @property
    def score(self) -> float:
        """The score of the best run."""
        return float(self.scores[self.best])


def run_marxan(
    config: str | os.PathLike[str],
    *,
    gap_percent: float = 0.0,
    time_limit_s: float = 300.0,
    solver: Way = "exact",
    spf: bool = False,
) -> list[Path]:
    """Solve what an INPUT.DAT asks for and write its output files into its output folder; return their paths.

    Written are, as the file asks, the best solution, each run's solution and missing values, the summary, the summed
    solution (in how many of the NUMREPS runs a unit was selected), the matrix of solutions, zone connectivities, total
    areas, richness, scenario and log; and always a file with the bound, which Marxan does not know. See `solve_marxan`
    for the runs.

    Raises LinkwaysError for what Marxan offers and this does not (see `read_marxan`), and for targets that clash.
    """
    import pandas as pd

    given = read_marxan(Path(config))
    run = solve_marxan(given, gap_percent=gap_percent, time_limit_s=time_limit_s, solver=solver, spf=spf)
    left = abs(run.score - run.bound) / max(abs(run.score), abs(run.bound), 1e-12)
    gap = 0.0 if left <= 1e-6 else 100 * left
    row = {
        "objective": run.score,
        "bound": run.bound,
        "relaxed_bound": run.relaxed_bound,
        "gap_percent": gap,
        "status": "optimal" if gap == 0 else f"gap {gap:.2g} %",
        "solver": run.solvers[run.best],
    }
    told = Told(given, run.problem, run.runs, run.scores, run.best, pd.DataFrame([row]), run.solvers)
    return write_runs(told)


def solve_marxan(
    given: MarxanInput,
    *,
    gap_percent: float = 0.0,
    time_limit_s: float = 300.0,
    solver: Way = "exact",
    spf: bool = False,
) -> MarxanRun:
    """NUMREPS runs of the least ``cost + BLM x boundary`` that meets all targets (Ball, Possingham and Watts 2009), or
    of the least ``cost + connections`` of zones (Watts and others 2009).

    The first run of the solver exact is the proven plan; all others are annealed with NUMITNS iterations and the seeds
    that follow from RANDSEED. With ``spf`` targets may be missed at Marxan's price (see `marxan_problem`); without it
    they are met, those of a Marxan problem above what may be selected being lowered to just that, as any plan misses
    them by as much. With ASYMMETRICCONNECTIVITY the rows of the boundary file lead from id1 to id2.
    """
    from linkways.planning._zones_solve import annealed_zones, relaxed_bound

    problem = marxan_problem(given, spf=spf)
    settings, runs = given.settings, []
    bound = relaxed = -np.inf
    if solver == "exact":
        first, bound, relaxed, name = _exact(given, problem, gap_percent, time_limit_s, spf)
        runs.append((first, name))
    else:
        bound = relaxed = relaxed_bound(problem, time_limit_s)
    while len(runs) < settings.repeats:
        choice = annealed_zones(problem, settings.seed + len(runs), settings.iterations, time_limit_s)
        if choice is None:
            raise LinkwaysError(
                f"{ID}: annealing found no plan that meets all targets in run {len(runs) + 1}; raise NUMITNS, let "
                "targets be missed at a price (spf), or solve exactly"
            )
        runs.append((choice, "annealing"))
    choices = np.array([r[0] for r in runs])
    scores = np.array([problem.value(x) for x in choices])
    best = int(scores.argmin())
    least = float(min(bound, scores[best]))
    return MarxanRun(problem, choices, scores, best, least, float(min(relaxed, least)), tuple(r[1] for r in runs))


def _exact(
    given: MarxanInput, problem: "ZoneProblem", gap_percent: float, time_limit_s: float, spf: bool
) -> tuple[np.ndarray, float, float, str]:
    """The proven plan, its bounds and its solver: by select where all targets must be met and there are no zones."""
    from linkways.planning._zones_solve import Search, best_zones

    if given.marzone is None and not spf and not (given.features["occurrences"] > 0).any():
        return _selected(given, problem, gap_percent, time_limit_s)
    search = Search("exact", gap_percent / 100, time_limit_s, given.settings.iterations, given.settings.seed)
    plan = best_zones(problem, search, ID)
    return plan.choice, plan.bound, plan.relaxed, plan.solver


def _selected(
    given: MarxanInput, problem: "ZoneProblem", gap_percent: float, time_limit_s: float
) -> tuple[np.ndarray, float, float, str]:
    from linkways.planning._zones_inputs import told_as
    from linkways.planning.select import select

    settings = given.settings
    penalty = settings.number("BLM", 0.0)
    units = given.units.rename(columns={"id": "unit"})[["unit", "cost", "status"]]
    units = units.assign(locked_in=units.status == LOCKED_IN, locked_out=units.status == LOCKED_OUT)
    own = {} if given.boundary is None or penalty <= 0 else _boundary(given.boundary, penalty, settings)
    with told_as(ID):
        found = select(
            units.drop(columns="status"),
            given.amounts,
            _targets(given, problem),
            gap_percent=gap_percent,
            time_limit_s=time_limit_s,
            negative_costs=True,
            **own,  # type: ignore[arg-type]
        )
    row = found.summary.iloc[0]
    x = found.plan["selected"].to_numpy()
    return x.astype(int), found.bound, float(row["relaxed_bound"]), str(row["solver"])


def _boundary(edges: "pd.DataFrame", penalty: float, settings: Settings) -> "dict[str, pd.DataFrame | float | bool]":
    if settings.number("ASYMMETRICCONNECTIVITY", 0.0) != 1:
        return {"boundary": edges, "boundary_penalty": penalty}
    links = edges.rename(columns={"length": "strength"})
    return {"connectivity": links, "connectivity_penalty": penalty, "asymmetric": True}


def _targets(given: MarxanInput, problem: "ZoneProblem") -> "pd.DataFrame":
    """Absolute targets, as the problem has them; features without one want nothing."""
    import pandas as pd

    target = np.zeros(len(given.features))
    target[problem.goals.feature] = problem.goals.target
    table = pd.DataFrame({"feature": given.features["id"], "target": target, "type": "absolute"})
    return table[given.features["id"].isin(given.amounts["feature"]).to_numpy()]
