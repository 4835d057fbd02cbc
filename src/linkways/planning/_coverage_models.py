"""Where to place units: location models of PySAL's spopt, solved by HiGHS, and expected coverage of our own."""

import time
import warnings
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from linkways.errors import LinkwaysError, MissingExtra

__all__ = ["Aim", "Placement", "Siting", "cheapest", "place"]

Aim = Literal["p_median", "max_cover", "set_cover", "p_centre", "expected_cover"]


@dataclass(frozen=True)
class Siting:
    """Demand points with weights, candidate sites, and the travel from each site to each point, (points, sites)."""

    travel: np.ndarray
    weight: np.ndarray
    existing: np.ndarray
    limit: float
    """Travel within which a point counts as covered; inf where it plays no part."""
    busy: float
    time_limit_s: float
    gap: float

    @property
    def reach(self) -> np.ndarray:
        """Which sites cover which points."""
        return np.asarray(self.travel <= self.limit)


@dataclass(frozen=True)
class Placement:
    """Units at each site, the value of the model's aim there, and what no placement can better."""

    units: np.ndarray
    objective: float
    bound: float

    @property
    def gap(self) -> float:
        """What is left between objective and bound, as a share of the objective; 0 is a proven best placement."""
        return abs(self.objective - self.bound) / max(abs(self.objective), 1e-12)


def place(aim: Aim, siting: Siting, count: int | None) -> Placement:
    """The best placement of ``count`` units (existing ones among them) by one aim; as few as needed for set_cover.

    - p_median: least sum of weight x travel to the nearest unit (Hakimi 1964).
    - max_cover: most weight within the limit of a unit (Church and ReVelle 1974).
    - set_cover: fewest units with every point within the limit (Toregas and others 1971).
    - p_centre: least travel of the farthest point, by set covers within ever shorter limits (Minieka 1970).
    - expected_cover: most expected weight covered when each unit is busy for a share q of the time on its own: the k-th
      unit within the limit of a point adds (1 - q) q^(k - 1) of its weight (Daskin 1983); units may share a site.
    """
    if aim == "p_centre":
        return _p_centre(siting, _known(count))
    if aim == "expected_cover":
        return _expected_cover(siting, _known(count))
    chosen, bound = _by_spopt(aim, siting, siting.limit, count)
    units = chosen.astype(int)
    value = _value(aim, siting, chosen)
    if not np.isfinite(value):
        raise LinkwaysError(
            f"planning.coverage: {count} units cannot reach every demand point, as some have no way to others; raise "
            "units, or choose max_cover"
        )
    # the solver's bound is proven to its tolerance only
    return Placement(units, value, value if bound is None or abs(bound - value) <= 1e-6 * abs(value) else bound)


def _known(count: int | None) -> int:
    assert count is not None
    return count


def _value(aim: Aim, siting: Siting, chosen: np.ndarray) -> float:
    if aim == "set_cover":
        return float(chosen.sum())
    if aim == "max_cover":
        return float(siting.weight[siting.reach[:, chosen].any(axis=1)].sum())
    return float(siting.weight @ siting.travel[:, chosen].min(axis=1))


# --- spopt -----------------------------------------------------------------------------------------------------


def _by_spopt(aim: str, siting: Siting, limit: float, count: int | None) -> tuple[np.ndarray, float | None]:
    """Which sites a model of spopt chooses, and the solver's bound."""
    try:
        import pulp  # noqa: F401
        from spopt.locate import LSCP, MCLP, PMedian
    except ImportError:
        raise MissingExtra("spopt", "siting", "planning.coverage") from None
    with warnings.catch_warnings():
        # spopt still builds its models in the way that PuLP 4 will leave
        warnings.filterwarnings("ignore", category=DeprecationWarning)
        model = _model(aim, siting, limit, count, PMedian, MCLP, LSCP)
        solver = _highs(siting.time_limit_s, siting.gap)
        model.solve(solver, results=False)
        return np.array([bool(round(v.value())) for v in model.fac_vars]), solver.bound


def _model(
    aim: str, siting: Siting, limit: float, count: int | None, median: Any, max_cover: Any, set_cover: Any
) -> Any:
    given = siting.existing.astype(int) if siting.existing.any() else None
    travel = siting.travel
    if aim == "p_median":
        # sites out of reach stand farther away than any choice could pay for
        finite = travel[np.isfinite(travel)]
        travel = np.where(np.isfinite(travel), travel, 10 * float(finite.max()) * max(len(travel), 1))
        return median.from_cost_matrix(travel, siting.weight, count, predefined_facilities_arr=given)
    if aim == "max_cover":
        return max_cover.from_cost_matrix(travel, siting.weight, limit, count, predefined_facilities_arr=given)
    return set_cover.from_cost_matrix(travel, limit, predefined_facilities_arr=given)


def _highs(time_limit_s: float, gap: float) -> Any:
    """A solver for PuLP: the HiGHS that comes with SciPy, which tells its bound."""
    import pulp

    class SciPyHiGHS(pulp.LpSolver):  # type: ignore[misc]
        name = "SciPy HiGHS"
        bound: float | None = None

        def available(self) -> bool:
            return True

        def actualSolve(self, problem: Any, **_: Any) -> int:
            found = _solve_pulp(problem, time_limit_s, gap)
            self.bound = found.bound
            problem.assignVarsVals(found.values)
            problem.assignStatus(pulp.LpStatusOptimal)
            return int(pulp.LpStatusOptimal)

    return SciPyHiGHS(msg=False)


@dataclass(frozen=True)
class _Solved:
    values: dict[str, float]
    bound: float | None


def _solve_pulp(problem: Any, time_limit_s: float, gap: float) -> _Solved:
    import scipy.sparse

    variables = problem.variables()
    place_of = {v.name: k for k, v in enumerate(variables)}
    cost = np.zeros(len(variables))
    for variable, factor in problem.objective.items():
        cost[place_of[variable.name]] += factor
    rows, columns, factors, low, high = [], [], [], [], []
    constraints = problem.constraints
    for row, constraint in enumerate(constraints.values() if hasattr(constraints, "values") else constraints):
        for variable, factor in constraint.items():
            rows.append(row)
            columns.append(place_of[variable.name])
            factors.append(factor)
        low.append(-constraint.constant if constraint.sense >= 0 else -np.inf)
        high.append(-constraint.constant if constraint.sense <= 0 else np.inf)
    matrix = scipy.sparse.csr_array((factors, (rows, columns)), shape=(len(low), len(variables)))
    x, bound = cheapest(
        cost * problem.sense,
        (matrix, np.array(low), np.array(high)),
        np.array([v.cat == "Integer" for v in variables], int),
        (
            np.array([-np.inf if v.lowBound is None else v.lowBound for v in variables]),
            np.array([np.inf if v.upBound is None else v.upBound for v in variables]),
        ),
        time_limit_s,
        gap,
    )
    values = {v.name: float(x[k]) for k, v in enumerate(variables)}
    return _Solved(values, None if bound is None else bound * problem.sense + (problem.objective.constant or 0.0))


def cheapest(
    cost: np.ndarray,
    rows: tuple[Any, np.ndarray, np.ndarray],
    whole: np.ndarray,
    bounds: tuple[np.ndarray, np.ndarray],
    time_limit_s: float,
    gap: float,
    method: str = "planning.coverage",
) -> tuple[np.ndarray, float | None]:
    """The cheapest solution of a mixed-integer program, and the solver's lower bound."""
    from scipy.optimize import Bounds, LinearConstraint, milp

    begun = time.perf_counter()
    found = milp(
        cost,
        constraints=LinearConstraint(*rows),
        integrality=whole,
        bounds=Bounds(*bounds),
        options={"time_limit": time_limit_s, "mip_rel_gap": gap},
    )
    if found.x is None:
        spent = time.perf_counter() - begun
        raise LinkwaysError(
            f"{method}: no solution was found within {spent:.0f} s ({found.message.splitlines()[0]}); raise "
            "time_limit_s, or merge features that lie close together"
        )
    told = getattr(found, "mip_dual_bound", None)
    return found.x, float(told) if told is not None and np.isfinite(told) else None


# --- our own ---------------------------------------------------------------------------------------------------


def _p_centre(siting: Siting, count: int) -> Placement:
    """The shortest of the distances that occur within which ``count`` units reach every point."""
    distances = np.unique(siting.travel[np.isfinite(siting.travel)])
    best, _ = _by_spopt("set_cover", siting, distances[-1], None)
    if best.sum() > count:
        raise LinkwaysError(
            f"planning.coverage: {count} units cannot reach every demand point; at least {int(best.sum())} are needed, "
            "so raise units"
        )
    # no placement reaches a point faster than its nearest site does
    low, high = int(np.searchsorted(distances, siting.travel.min(axis=1).max())), len(distances) - 1
    while low < high:
        middle = (low + high) // 2
        chosen, _ = _by_spopt("set_cover", siting, distances[middle], None)
        if chosen.sum() <= count:
            high, best = middle, chosen
        else:
            low = middle + 1
    value = float(siting.travel[:, best].min(axis=1).max())
    return Placement(_with_spare(siting, best, count), value, value)


def _with_spare(siting: Siting, chosen: np.ndarray, count: int) -> np.ndarray:
    """Units left over go, one by one, where they shorten the weighted travel most."""
    chosen = chosen.copy()
    while chosen.sum() < count:
        nearest = siting.travel[:, chosen].min(axis=1)
        saved = siting.weight @ np.clip(nearest[:, None] - np.where(chosen, np.inf, siting.travel), 0, None)
        saved[chosen] = -1.0
        chosen[int(np.argmax(saved))] = True
    return chosen.astype(int)


def _expected_cover(siting: Siting, count: int) -> Placement:
    import scipy.sparse as sp

    points, sites = siting.travel.shape
    shares = (1 - siting.busy) * siting.busy ** np.arange(count)
    gain = siting.weight[:, None] * shares  # (points, count)
    # sum over k of y_ik <= units within the limit of i, and count units in all
    spread = sp.kron(sp.eye_array(points), np.ones((1, count)))
    cover = sp.hstack([-sp.csr_array(siting.reach.astype(float)), spread])
    total = np.r_[np.ones(sites), np.zeros(points * count)][None, :]
    x, bound = cheapest(
        -np.r_[np.zeros(sites), gain.ravel()],
        (
            sp.vstack([cover, sp.csr_array(total)]).tocsr(),
            np.r_[np.full(points, -np.inf), count],
            np.r_[np.zeros(points), count],
        ),
        np.r_[np.ones(sites), np.zeros(points * count)].astype(int),
        (
            np.r_[siting.existing.astype(float), np.zeros(points * count)],
            np.r_[np.full(sites, float(count)), np.ones(points * count)],
        ),
        siting.time_limit_s,
        siting.gap,
    )
    units = np.rint(x[:sites]).astype(int)
    near = siting.reach @ units
    value = float(siting.weight @ (1 - siting.busy**near))
    best = value if bound is None or abs(-bound - value) <= 1e-6 * abs(value) else -bound
    return Placement(units, value, best)
