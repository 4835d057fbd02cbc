"""What compactness or connectivity costs: the curve of plans from no penalty to the largest one that matters."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Figure, Indicator, Layer, Param, Raster, Table, TableOf, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import matplotlib.figure
    import pandas as pd
    import xarray as xr

    from linkways.planning._pareto import Found, Frontier
    from linkways.planning._problem import Problem

__all__ = ["Calibration", "calibrate"]

ID = "planning.calibrate"
NEAR = 1e-9


@dataclass(frozen=True)
class Calibration:
    """Plans between the best and the most compact or best connected one, and the penalty at the knee."""

    curve: Annotated[
        "pd.DataFrame",
        TableOf(
            "one row for each penalty: penalty, plan (number, equal plans have the same), objective (without the "
            "penalty), cost, length (edge), connectivity or lost (links), selected (units), value (penalty and all), "
            "bound, gap_percent, below_chord, knee, cohon (the penalty is Cohon's)"
        ),
    ]
    plan: Annotated[
        "gpd.GeoDataFrame | pd.DataFrame | xr.DataArray", Layer("planning units: selected (1 or 0) at the knee")
    ]
    frequency: Annotated[
        "gpd.GeoDataFrame | pd.DataFrame | xr.DataArray",
        Layer("share of the curve's different plans that select the unit", unit="1"),
    ]
    chart: Annotated["matplotlib.figure.Figure", Figure("the curve, its knee and its chord")]
    cohon_penalty: Annotated[float, Indicator("Cohon's penalty: slope of the chord between the ends; NaN: no trade")]
    knee_penalty: Annotated[float, Indicator("penalty of the knee; NaN: nothing is traded")]
    knee_below_chord: Annotated[
        float, Indicator("how far the knee lies below the chord, both aims from 0 to 1; 0: no knee", unit="1")
    ]
    least_penalty: Annotated[float, Indicator("up to here a penalty changes nothing")]
    largest_penalty: Annotated[float, Indicator("from here on a larger penalty changes nothing")]


@method(
    ID,
    references=(
        "Cohon JL, Church RL, Sheer DP (1979) Generating multiobjective trade-offs: an algorithm for bicriterion "
        "problems. Water Resources Research 15:1001-1010 (the curve from weighted sums)",
        "Ardron JA, Possingham HP, Klein CJ, eds (2010) Marxan good practices handbook, version 2. Pacific Marine "
        "Analysis and Research Association (calibrating the boundary)",
        "Hanson JO, Schuster R, Strimas-Mackey M, et al. (2025) Systematic conservation prioritization with the "
        "prioritizr R package. Conservation Biology 39:e14376 (Cohon's penalty)",
        "Das I (1999) On characterizing the knee of the Pareto curve based on normal-boundary intersection. Structural "
        "Optimization 18:107-115",
    ),
)
def calibrate(
    units: Annotated[
        "pd.DataFrame | None",
        Table("planning units, a layer or a table, as planning.select takes them: unit, cost, locks, group"),
    ] = None,
    amounts: Annotated[
        "pd.DataFrame | None", Table("how much of a feature a unit holds", columns=("unit", "feature", "amount"))
    ] = None,
    targets: Annotated[
        "pd.DataFrame | None",
        Table("what is wanted of each feature: target, type and, when present, weight", columns=("feature",)),
    ] = None,
    cost: Annotated["xr.DataArray | None", Raster("in place of units: cost of each cell")] = None,
    features: Annotated["list[xr.DataArray] | None", Raster("in place of amounts: rasters", many=True)] = None,
    locked_in: Annotated["xr.DataArray | None", Raster("1 where cells must be selected (with cost)")] = None,
    locked_out: Annotated["xr.DataArray | None", Raster("1 where cells must not be selected (with cost)")] = None,
    boundary: Annotated[
        "pd.DataFrame | None",
        Table("shared edges of units; left out: measured in m from shapes or cells", ("unit_a", "unit_b", "length")),
    ] = None,
    connectivity: Annotated[
        "pd.DataFrame | None", Table("strength of the link between two units", ("unit_a", "unit_b", "strength"))
    ] = None,
    budgets: Annotated["pd.DataFrame | None", Table("most that units of a group may cost", ("group", "budget"))] = None,
    constraints: Annotated[
        "pd.DataFrame | None",
        Table("limits of a column of units or of a feature", columns=("column", "sense", "limit")),
    ] = None,
    *,
    penalty: Annotated[
        Literal["boundary", "connectivity"], Param("the penalty to calibrate: of the edge, or for connectivity")
    ] = "boundary",
    steps: Annotated[int, Param("penalties on the curve, at least", ge=10, le=200)] = 12,
    objective: Annotated[
        Literal["min_set", "min_shortfall", "min_largest_shortfall", "max_features", "max_coverage", "max_utility"],
        Param("as in planning.select"),
    ] = "min_set",
    target: Annotated[float | None, Param("share of every feature, in place of the table targets", ge=0, le=1)] = None,
    budget: Annotated[float | None, Param("most that the selected units may cost", ge=0)] = None,
    edge_factor: Annotated[
        float, Param("how much of an edge counts that no other unit shares: 1 as in Marxan, or 0.5", ge=0, le=1)
    ] = 1.0,
    asymmetric: Annotated[bool, Param("links lead from unit_a to unit_b; links led out of the plan are lost")] = False,
    neighbours: Annotated[int, Param("selected units that each selected one shares an edge with, at least", ge=0)] = 0,
    contiguous: Annotated[bool, Param("the selected units form one piece by shared edges")] = False,
    solver: Annotated[
        Literal["automatic", "highs", "min_cut", "annealing"], Param("as in planning.select, for every plan")
    ] = "automatic",
    gap_percent: Annotated[float, Param("a plan so near the bound is good enough", unit="%", ge=0, lt=100)] = 0.0,
    time_limit_s: Annotated[float, Param("for each plan", unit="s", gt=0)] = 60.0,
    seed: Annotated[int, Param("of annealing", ge=0)] = 0,
) -> Calibration:
    """The curve of cost against boundary length (or connectivity), the penalty at its knee, and Cohon's penalty.

    A plan x has its own objective o(x), the one that planning.select would give it without a penalty, and a length
    e(x): the boundary with the edge factor, or minus the connectivity held (asymmetric: the strength of links lost).
    Plans of the curve are best for o + p e at a penalty p. First come the two ends: the plan with the best o, of equal
    ones the shortest, and the shortest plan, of equal ones the one with the best o. Cohon's penalty is the slope of
    the chord between them, (o2 - o1) / (e1 - e2). The least and the largest penalty that matter are the slopes of the
    curve at its two ends, found exactly by drawing chords anew; beyond them the ends stay best. Between them lie
    ``steps`` penalties in equal ratios, with 0 and Cohon's.

    With o and e from 0 to 1 between the ends, a plan lies 1 - o' - e' below the chord, and the knee is the plan that
    lies deepest (Das 1999). That is the plan which is best at Cohon's penalty, so that it is found and not guessed.
    Where all plans lie on the chord there is no knee, and knee_below_chord is 0.

    Each row has the solver's bound on its value; since the best value is concave in p, lines between bounds are bounds,
    and penalties that they settle are not solved again. With a gap the ends and the slopes are those of the plans that
    were found. Where more is better (max_), o is counted downwards for the slopes, and told as it is in the table.

    Raises LinkwaysError as planning.select does.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import planning
    >>> units = pd.DataFrame({"unit": ["a", "b", "c", "d"], "cost": [1.0, 3.0, 2.0, 1.5], "frog": 1.0})
    >>> row = pd.DataFrame({"unit_a": ["a", "b", "c"], "unit_b": ["b", "c", "d"], "length": 1.0})
    >>> wanted = pd.DataFrame({"feature": ["frog"], "target": [2.0], "type": ["absolute"]})
    >>> found = planning.calibrate(units, targets=wanted, boundary=row)
    >>> found.curve.drop_duplicates("plan")[["cost", "length", "selected"]].values.tolist(), found.cohon_penalty
    ([[2.5, 2.0, 2.0], [3.5, 1.0, 2.0], [7.5, 0.0, 4.0]], 2.5)
    """
    from linkways.planning import _select_inputs as given
    from linkways.planning._pareto import Frontier
    from linkways.planning._select_case import Demands, case_of, retold
    from linkways.planning._select_ways import Effort

    if penalty == "connectivity" and connectivity is None:
        raise LinkwaysError(f"{ID}: to calibrate the connectivity penalty, give the table connectivity")
    if penalty == "boundary" and (connectivity is not None or asymmetric):
        raise LinkwaysError(f"{ID}: connectivity is given and the penalty to calibrate is boundary; choose one of them")
    with retold(ID):
        places = given.units_of(units, cost, locked_in, locked_out)
        fields: dict[str, Any] = {"neighbours": neighbours, "contiguous": contiguous, "edge_factor": edge_factor}
        if penalty == "boundary" or neighbours or contiguous or boundary is not None:
            edges = given.boundary_of(places, boundary)
            fields |= {"boundary": edges.pairs, "exposed": edges.exposed}
        if connectivity is not None:
            links = given.links_of(places, connectivity, asymmetric)
            fields |= {"connectivity": links, "asymmetric": asymmetric}
        wanted = Demands(objective, targets, target, budget, budgets, constraints)
        problem = case_of(places, features, amounts, wanted, **fields)
        effort = Effort(solver, time_limit_s, gap_percent / 100, 10_000_000, seed)
        frontier = Frontier(_Weighted(problem, penalty, effort))
        progress(0.02, "the ends of the curve")
        least, largest = frontier.ends()
        cohon = _cohon(frontier)
        penalties = _penalties(least, largest, cohon, steps)
        for done, one in enumerate(penalties):
            progress(0.3 + 0.7 * done / len(penalties), f"penalty {one:.4g}")
            if not frontier.settled(one):
                frontier.look(one)
    curve, plans = _curve(frontier, penalties, problem, penalty, cohon)
    knee = int(curve["knee"].to_numpy().argmax())
    distinct = {int(n): p.x for n, p in zip(curve["plan"], plans, strict=True)}
    return Calibration(
        curve,
        places.drawn(plans[knee].x, "selected"),
        places.drawn(np.mean(list(distinct.values()), axis=0), "frequency"),
        _chart(curve, penalty, objective),
        cohon,
        float(curve["penalty"].iloc[knee]) if np.isfinite(cohon) else float("nan"),
        float(curve["below_chord"].iloc[knee]),
        least,
        largest,
    )


class _Weighted:
    """Plans that are best for their own objective and a penalty times their length, as planning.select finds them."""

    def __init__(self, problem: "Problem", penalty: str, effort: Any) -> None:
        self._problem, self._boundary, self._effort = problem, penalty == "boundary", effort
        self._sign = -1.0 if problem.maximised else 1.0

    def __call__(self, penalty: float) -> "tuple[Found, float]":
        from linkways.planning._pareto import Found
        from linkways.planning._select_solve import Portfolio
        from linkways.planning._select_ways import plans_of

        problem = self._problem
        if np.isinf(penalty):
            costs = np.zeros(problem.n) if problem.objective == "min_set" else problem.costs
            problem, penalty = replace(problem, weights=np.zeros(problem.m), costs=costs), 1.0
        problem = self._with(problem, penalty)
        plan = plans_of(problem, Portfolio("none", 1, 0.0, 0), self._effort)[0]
        other = self._with(self._problem, 1.0).penalty(plan.x)
        return Found(plan.x, self._sign * self._problem.value(plan.x), other), self._sign * plan.bound

    def _with(self, problem: "Problem", penalty: float) -> "Problem":
        if self._boundary:
            return replace(problem, boundary_penalty=penalty)
        return replace(problem, connectivity_penalty=penalty)


def _cohon(frontier: "Frontier") -> float:
    from linkways.planning._pareto import slope, traded

    first, last = frontier.first, frontier.last
    return slope(first, last) if traded(first, last) else float("nan")


def _penalties(least: float, largest: float, cohon: float, steps: int) -> list[float]:
    """0, Cohon's penalty, and equal ratios from the least to the largest; equal steps where these are the same."""
    if not np.isfinite(cohon):
        return [0.0] if largest == 0 else list(np.linspace(0.0, largest, steps))
    if largest - least <= NEAR * largest:
        inner = np.linspace(0.0, largest, steps)
    else:
        inner = np.r_[0.0, np.geomspace(least, largest, steps - 1)]
        inner[-1] = largest
    apart = [p for p in inner if abs(p - cohon) > NEAR * cohon]
    return sorted({*map(float, apart), cohon})


def _curve(
    frontier: "Frontier", penalties: list[float], problem: "Problem", penalty: str, cohon: float
) -> "tuple[pd.DataFrame, list[Found]]":
    import pandas as pd

    sign = -1.0 if problem.maximised else 1.0
    plans = [frontier.best(p) for p in penalties]
    number = {key: n for n, key in enumerate(dict.fromkeys(p.x.tobytes() for p in plans), start=1)}
    depth = [_below_chord(p, plans[0], plans[-1]) for p in plans]
    measure = "length" if penalty == "boundary" else "lost" if problem.asymmetric else "connectivity"
    turn = -1.0 if measure == "connectivity" else 1.0
    value = np.array([p.value(one) for p, one in zip(plans, penalties, strict=True)])
    bound = np.array([frontier.bound(one) for one in penalties])
    gap = (value - bound) / np.maximum(np.maximum(np.abs(value), np.abs(bound)), 1e-12)
    deepest = np.flatnonzero(np.array(depth) >= max(depth) - NEAR)
    at_knee = next((int(k) for k in deepest if penalties[k] == cohon), int(deepest[0]))
    table = pd.DataFrame(
        {
            "penalty": penalties,
            "plan": [number[p.x.tobytes()] for p in plans],
            "objective": [sign * p.own for p in plans],
            "cost": [float(problem.costs @ p.x) for p in plans],
            measure: [turn * p.other + 0.0 for p in plans],
            "selected": [float(p.x.sum()) for p in plans],
            "value": sign * value,
            "bound": sign * bound,
            "gap_percent": 100 * np.where(gap <= 1e-6, 0.0, gap),
            "below_chord": depth,
            "knee": np.arange(len(plans)) == at_knee,
            "cohon": [one == cohon for one in penalties],
        }
    )
    return table, plans


def _below_chord(plan: "Found", first: "Found", last: "Found") -> float:
    own, other = last.own - first.own, first.other - last.other
    if own <= 0 or other <= 0:
        return 0.0
    depth = 1 - (plan.own - first.own) / own - (plan.other - last.other) / other
    return 0.0 if abs(depth) < NEAR else depth


def _chart(curve: "pd.DataFrame", penalty: str, objective: str) -> "matplotlib.figure.Figure":
    from matplotlib.figure import Figure as Canvas

    measure = str(curve.columns[4])
    named = {"length": "boundary length", "lost": "strength of links lost", "connectivity": "connectivity held"}[
        measure
    ]
    figure = Canvas(figsize=(6.4, 4.4), layout="constrained")
    axes = figure.add_subplot()
    ends = curve.iloc[[0, -1]]
    axes.plot(ends[measure], ends["objective"], color="#9fb8ad", linewidth=1, linestyle="--", label="chord")
    axes.plot(curve[measure], curve["objective"], color="#1b5e4b", marker="o", markersize=4, label="plans")
    knee = curve[curve["knee"]].iloc[0]
    axes.plot([knee[measure]], [knee["objective"]], color="#8c2d19", marker="D", linestyle="none", label="knee")
    axes.annotate(
        f"penalty {knee['penalty']:.3g}",
        (knee[measure], knee["objective"]),
        xytext=(8, 8),
        textcoords="offset points",
        color="#8c2d19",
    )
    aim = "cost" if objective == "min_set" else f"objective ({objective})"
    axes.set(xlabel=named, ylabel=aim, title=f"What {penalty} costs")
    axes.legend(frameon=False)
    return figure
