"""Which planning units to select, so that features are protected at least cost or as well as a budget allows."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Raster, Table, TableOf, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from linkways.planning._problem import Problem
    from linkways.planning._select_inputs import LogLinear, Units
    from linkways.planning._select_solve import Plan

__all__ = ["Selection", "select"]

ID = "planning.select"
ITERATIONS, NUMBER, PORTFOLIO_GAP = 10_000_000, 10, 10.0


@dataclass(frozen=True)
class Selection:
    """A plan, what it holds of each feature, and how good it is known to be."""

    plan: Annotated[
        "gpd.GeoDataFrame | pd.DataFrame | xr.DataArray",
        Layer("planning units: selected (1, 0, or the share); a layer keeps unit, cost and locks, a raster has cells"),
    ]
    frequency: Annotated[
        "gpd.GeoDataFrame | pd.DataFrame | xr.DataArray",
        Layer("share of the portfolio's plans that select the unit", unit="1"),
    ]
    features: Annotated[
        "pd.DataFrame",
        TableOf(
            "features: feature, total, held, held_share, target, shortfall (share of the target), met, weight, "
            "price (of one more unit of the target: by how much it worsens relaxed_bound)"
        ),
    ]
    portfolio: Annotated[
        "pd.DataFrame",
        TableOf("plans, the best first: plan, objective, gap_percent, cost, selected, differ (units, from the best)"),
    ]
    summary: Annotated[
        "pd.DataFrame",
        TableOf("the plan in one row: problem, objective, bound, relaxed_bound, gap_percent, status, solver, units"),
    ]
    objective: Annotated[float, Indicator("value of the objective, penalties with it")]
    bound: Annotated[float, Indicator("what no plan can better")]
    gap_percent: Annotated[float, Indicator("how far the plan may be from the best; 0: the optimum", unit="%")]
    cost: Annotated[float, Indicator("what the selected units cost")]
    selected: Annotated[float, Indicator("selected units (shares added up)")]
    targets_met: Annotated[int, Indicator("features whose target is met")]
    boundary: Annotated[
        float, Indicator("edge of the selection, in m or the boundary table's unit; NaN: not asked for")
    ]
    connectivity: Annotated[float, Indicator("strength of the links between selected units; NaN: not asked for")]


@method(
    ID,
    references=(
        "Hanson JO, Schuster R, Strimas-Mackey M, et al. (2025) Systematic conservation prioritization with the "
        "prioritizr R package. Conservation Biology 39:e14376 (objectives, penalties, constraints)",
        "Ball IR, Possingham HP, Watts M (2009) Marxan and relatives: software for spatial conservation "
        "prioritisation. In: Spatial conservation prioritisation, Oxford University Press, 185-195 (boundary)",
        "Beyer HL, Dujardin Y, Watts ME, Possingham HP (2016) Solving conservation planning problems with integer "
        "linear programming. Ecological Modelling 328:14-22",
        "Rodrigues ASL, Akcakaya HR, Andelman SJ, et al. (2004) Global gap analysis: priority regions for expanding "
        "the global protected-area network. BioScience 54:1092-1100 (log-linear targets)",
        "Chinneck JW, Dravnieks EW (1991) Locating minimal infeasible constraint sets in linear programs. ORSA "
        "Journal on Computing 3:157-168 (clashes)",
        "Geoffrion AM (1974) Lagrangean relaxation for integer programming. Mathematical Programming Study 2:82-114 "
        "(prices)",
        "Boykov Y, Kolmogorov V (2004) An experimental comparison of min-cut/max-flow algorithms for energy "
        "minimization in vision. IEEE Transactions on Pattern Analysis and Machine Intelligence 26:1124-1137 (cuts)",
        "Huangfu Q, Hall JAJ (2018) Parallelizing the dual revised simplex method. Mathematical Programming "
        "Computation 10:119-142 (HiGHS)",
    ),
)
def select(
    units: Annotated[
        "pd.DataFrame | None",
        Table(
            "planning units, a layer or a table: unit (name), cost, and when present locked_in, locked_out (true or "
            "false), group, together (units with the same text are selected together, as whole reefs), region and "
            "area_km2"
        ),
    ] = None,
    amounts: Annotated[
        "pd.DataFrame | None",
        Table("how much of a feature a unit holds", columns=("unit", "feature", "amount")),
    ] = None,
    targets: Annotated[
        "pd.DataFrame | None",
        Table(
            "what is wanted of each feature: target, type (absolute; relative, a share of all there is; loglinear) "
            "and, when present, weight and range (of a loglinear target)",
            columns=("feature",),
        ),
    ] = None,
    cost: Annotated[
        "xr.DataArray | None",
        Raster("in place of units: cost of each cell, nodata where there is no planning unit"),
    ] = None,
    features: Annotated[
        "list[xr.DataArray] | None",
        Raster(
            "in place of amounts: a raster per feature; on the grid of cost, or summed over the units' shapes",
            many=True,
        ),
    ] = None,
    locked_in: Annotated["xr.DataArray | None", Raster("1 where cells must be selected (with cost)")] = None,
    locked_out: Annotated["xr.DataArray | None", Raster("1 where cells must not be selected (with cost)")] = None,
    boundary: Annotated[
        "pd.DataFrame | None",
        Table(
            "shared edges of units; a unit with itself: its edge shared with none; left out: measured in m from shapes "
            "or cells",
            columns=("unit_a", "unit_b", "length"),
        ),
    ] = None,
    connectivity: Annotated[
        "pd.DataFrame | None",
        Table(
            "strength of the link between two units, from the first to the second; a link of a unit with itself does "
            "not count",
            ("unit_a", "unit_b", "strength"),
        ),
    ] = None,
    budgets: Annotated[
        "pd.DataFrame | None", Table("most that units of a group may cost", columns=("group", "budget"))
    ] = None,
    constraints: Annotated[
        "pd.DataFrame | None",
        Table(
            "sum over the selected units of a column of units, or of a feature: <=, >= or = a limit",
            columns=("column", "sense", "limit"),
        ),
    ] = None,
    *,
    objective: Annotated[
        Literal["min_set", "min_shortfall", "min_largest_shortfall", "max_features", "max_coverage", "max_utility"],
        Param(
            "least cost that meets all targets; least sum of shares missed; least largest share missed; most targets "
            "met; most features with an amount of 1 or more; most weighted amount"
        ),
    ] = "min_set",
    target: Annotated[float | None, Param("share of every feature, in place of the table targets", ge=0, le=1)] = None,
    budget: Annotated[float | None, Param("most that the selected units may cost", ge=0)] = None,
    boundary_penalty: Annotated[float, Param("cost of a unit of the selection's edge", ge=0)] = 0.0,
    edge_factor: Annotated[
        float, Param("how much of an edge counts that no other unit shares: 1 as in Marxan, or 0.5", ge=0, le=1)
    ] = 1.0,
    connectivity_penalty: Annotated[float, Param("worth of a unit of connectivity, as a cost", ge=0)] = 0.0,
    asymmetric: Annotated[
        bool, Param("links lead from unit_a to unit_b; a selected unit_a without its unit_b costs the link's strength")
    ] = False,
    neighbours: Annotated[int, Param("selected units that each selected one shares an edge with, at least", ge=0)] = 0,
    contiguous: Annotated[bool, Param("the selected units form one piece by shared edges")] = False,
    min_patch_km2: Annotated[
        float, Param("least area of every piece of the selection, by shared edges", unit="km2", ge=0)
    ] = 0.0,
    replicates: Annotated[int, Param("pieces of the selection in each region (column of units), at least", ge=0)] = 0,
    most_group_share: Annotated[
        float | None, Param("most that a group may bear of the plan's cost, as a share", gt=0, le=1)
    ] = None,
    decision: Annotated[
        Literal["binary", "proportion", "semicontinuous"],
        Param("whole units; shares of units; no share below the least"),
    ] = "binary",
    least_share: Annotated[float, Param("least share of a unit (semicontinuous)", ge=0, le=1)] = 0.0,
    most_share: Annotated[
        float, Param("most that is selected of a unit not locked in (proportion, semicontinuous)", gt=0, le=1)
    ] = 1.0,
    small_range: Annotated[
        float,
        Param(
            "range of features of the small share, in the unit of the range or the amounts",
            gt=0,
            source="Rodrigues 2004, km2",
        ),
    ] = 1000.0,
    small_share: Annotated[float, Param("log-linear target up to the small range", ge=0, le=1)] = 1.0,
    large_range: Annotated[
        float, Param("range of features of the large share", gt=0, source="Rodrigues 2004, km2")
    ] = 250_000.0,
    large_share: Annotated[float, Param("log-linear target from the large range on", ge=0, le=1)] = 0.1,
    negative_costs: Annotated[bool, Param("costs below 0 are meant: units that pay for themselves")] = False,
    portfolio: Annotated[
        Literal["none", "gap", "shuffle", "extra"],
        Param(
            "further plans: within the gap and as different as can be; found after shuffling units and costs; the next "
            "best ones"
        ),
    ] = "none",
    number: Annotated[int, Param("plans of the portfolio, the best one too", ge=1)] = NUMBER,
    portfolio_gap_percent: Annotated[
        float, Param("plans of a portfolio by gap or shuffle are at most so much worse", unit="%", ge=0)
    ] = PORTFOLIO_GAP,
    seed: Annotated[int, Param("of the shuffles, of annealing and of the search of min_cut", ge=0)] = 0,
    solver: Annotated[
        Literal["automatic", "highs", "min_cut", "annealing"],
        Param(
            "automatic: min_cut from 2,000 units on where the problem allows it, else HiGHS; highs: exact, slow where "
            "there are many units; min_cut: prices and minimum cuts; annealing: as Marxan does, the bound apart"
        ),
    ] = "automatic",
    iterations: Annotated[int, Param("trial moves of annealing", ge=1)] = ITERATIONS,
    gap_percent: Annotated[float, Param("a plan so near the bound is good enough", unit="%", ge=0, lt=100)] = 0.0,
    time_limit_s: Annotated[float, Param("for each plan", unit="s", gt=0)] = 300.0,
) -> Selection:
    """Which planning units to select: the least cost that meets all targets, or the most that a budget can do.

    Units are polygons, rows of a table or cells of a cost raster; features are amounts in a table, rasters, or columns
    of the units that the targets name. The objectives with x_i whether unit i is selected, costs c, amounts r, targets
    T and weights w: min_set min sum c x with r x >= T; min_shortfall min sum w max(0, 1 - r x / T);
    min_largest_shortfall min max w max(0, 1 - r x / T); max_features max sum w [r x >= T]; max_coverage the same with
    every target 1; max_utility max sum w r x; all but the first within budgets or constraints.

    The boundary penalty adds p (edge_factor x outer edge + inner edge) and connectivity takes p sum_{i<j} s_ij x_i x_j
    off the cost (asymmetric: adds p sum s_ij x_i (1 - x_j)); where most is best the signs turn. Relative targets are
    shares of all there is, cells without a cost too. A target counts as met when all but a millionth of it is held.

    HiGHS solves small problems to a proven best plan or a stated gap. Large ones that are cuts (min_set, min_shortfall,
    max_utility of whole units, with boundary or connectivity that is nowhere negative) go to a planner of our own:
    targets and budgets get prices lambda >= 0, so that ``lambda T + min_x value(x) - lambda r x`` is one minimum cut
    and a bound, whose best prices are looked for; plans are made from the cuts, annealed, and solved exactly in parts.
    It stops at gap_percent, when nothing helps any more, or in time; up to 60,000 units HiGHS then works on what the
    bound leaves open. The summary names the solver. The objective is computed anew from the arrays, and beside the
    solver's bound stands relaxed_bound, computed anew by weak duality. Its prices are those of the targets in the table
    features: with one more unit of target j to be held, relaxed_bound gets worse by price_j. Cells of a cost raster are
    named by their number in reading order from 0 (row x columns + column).

    Units with the same text in the column together are selected together. With min_patch_km2 every piece (by shared
    edges) has at least that area, and with replicates at least so many pieces touch each region; HiGHS solves these in
    rounds, each with what the plan before missed, and every round's bound holds. With most_group_share s,
    ``sum_g c x <= s sum c x`` for every group. planning.principles makes these inputs from bioregions and reefs.

    Raises LinkwaysError for unit names that do not match, costs below 0 without permission, amounts that are not
    numbers, targets above what exists (listed), features that are nowhere present, an asymmetric matrix given as
    symmetric, and demands that cannot be met together (a smallest set that clashes is named).

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import planning
    >>> units = pd.DataFrame({"unit": ["a", "b", "c"], "cost": [3.0, 2.0, 2.0], "frog": [4, 2, 1], "owl": [0, 1, 1]})
    >>> targets = pd.DataFrame({"feature": ["frog", "owl"], "target": [3.0, 1.0], "type": "absolute"})
    >>> found = planning.select(units, targets=targets)
    >>> found.plan.unit[found.plan.selected == 1].tolist(), found.cost, found.summary.status[0]
    (['b', 'c'], 4.0, 'optimal')
    """
    from linkways.planning import _select_inputs as given
    from linkways.planning._select_case import Demands, case_of
    from linkways.planning._select_principles import plans_by_principles
    from linkways.planning._select_solve import Portfolio
    from linkways.planning._select_ways import Effort

    _refuse_contradictions(decision, least_share, most_share)
    _refuse_idle(solver, iterations, gap_percent, portfolio, number, portfolio_gap_percent)
    planned = given.units_of(units, cost, locked_in, locked_out)
    wishes = _loglinear(targets, small_range, small_share, large_range, large_share)
    pieces = min_patch_km2 > 0 or replicates > 0
    principles = given.principles_of(planned, min_patch_km2, replicates)
    problem = case_of(
        planned,
        features,
        amounts,
        Demands(objective, targets, target, budget, budgets, constraints, negative_costs, wishes, most_group_share),
        **_edges(planned, boundary, boundary_penalty > 0 or neighbours > 0 or contiguous or pieces),
        **_links(planned, connectivity, connectivity_penalty, asymmetric),
        boundary_penalty=boundary_penalty,
        edge_factor=edge_factor,
        connectivity_penalty=connectivity_penalty,
        asymmetric=asymmetric,
        neighbours=neighbours,
        contiguous=contiguous,
        decision=decision,
        least_share=least_share,
        most_share=most_share,
    )
    progress(0.1, "solving")
    wanted = Portfolio(portfolio, number, portfolio_gap_percent / 100, seed)
    effort = Effort(solver, time_limit_s, gap_percent / 100, iterations, seed)
    plans = plans_by_principles(problem, principles, wanted, effort)
    return _result(planned, problem, plans)


# --- inputs ----------------------------------------------------------------------------------------------------


def _refuse_contradictions(decision: str, least_share: float, most_share: float) -> None:
    if decision != "semicontinuous" and least_share > 0:
        raise LinkwaysError(f"{ID}: least_share needs the decision semicontinuous, and it is {decision}")
    if decision == "binary" and most_share < 1:
        raise LinkwaysError(f"{ID}: most_share needs the decision proportion or semicontinuous, and it is binary")
    if least_share > most_share:
        raise LinkwaysError(f"{ID}: least_share {least_share:g} is above most_share {most_share:g}; lower it")


def _refuse_idle(
    solver: str, iterations: int, gap_percent: float, portfolio: str, number: int, portfolio_gap_percent: float
) -> None:
    """Refuse parameters that the others leave without an effect."""
    if iterations != ITERATIONS and solver != "annealing":
        raise LinkwaysError(f"{ID}: iterations are those of annealing, and solver is {solver}; leave them out")
    if gap_percent > 0 and solver == "annealing":
        raise LinkwaysError(
            f"{ID}: annealing ends after its iterations and not at a gap; leave gap_percent out, or choose another "
            "solver"
        )
    if portfolio == "none" and number != NUMBER:
        raise LinkwaysError(
            f"{ID}: number counts the plans of a portfolio, and portfolio is none; choose one, or leave number out"
        )
    if portfolio in ("none", "extra") and portfolio_gap_percent != PORTFOLIO_GAP:
        raise LinkwaysError(
            f"{ID}: portfolio_gap_percent limits portfolios by gap or shuffle, and portfolio is {portfolio}; leave it "
            "out"
        )


def _loglinear(
    targets: "pd.DataFrame | None", small_range: float, small_share: float, large_range: float, large_share: float
) -> "LogLinear":
    """The shares of log-linear targets, refused where they contradict each other or no target is log-linear."""
    from linkways.planning._select_inputs import LogLinear

    kinds = [] if targets is None or "type" not in targets.columns else [str(k).strip() for k in targets["type"]]
    wished = LogLinear(small_range, small_share, large_range, large_share)
    if "loglinear" not in kinds and wished != LogLinear():
        raise LinkwaysError(
            f"{ID}: small_range, small_share, large_range and large_share are those of log-linear targets, and there "
            "are none; leave them out, or give targets the type loglinear"
        )
    if small_range >= large_range:
        raise LinkwaysError(
            f"{ID}: small_range {small_range:g} is not below large_range {large_range:g}, and between them the share "
            "of a log-linear target changes; lower it"
        )
    return wished


def _edges(units: "Units", table: "pd.DataFrame | None", needed: bool) -> dict[str, Any]:
    """The boundary, where penalty, neighbours or contiguity ask for it, or a table tells it."""
    from linkways.planning._select_inputs import boundary_of

    if not needed and table is None:
        return {}
    found = boundary_of(units, table)
    return {"boundary": found.pairs, "exposed": found.exposed}


def _links(units: "Units", table: "pd.DataFrame | None", penalty: float, asymmetric: bool) -> dict[str, Any]:
    from linkways.planning._select_inputs import links_of

    if table is None:
        if penalty > 0 or asymmetric:
            raise LinkwaysError(f"{ID}: a connectivity penalty needs the table connectivity")
        return {}
    return {"connectivity": links_of(units, table, asymmetric)}


# --- results ---------------------------------------------------------------------------------------------------


def _result(units: "Units", problem: "Problem", plans: "list[Plan]") -> Selection:
    best = plans[0]
    frequency = np.mean([p.x for p in plans], axis=0)
    features = _features(problem, best)
    told = len(problem.exposed) > 0
    return Selection(
        units.drawn(best.x, "selected"),
        units.drawn(frequency, "frequency"),
        features,
        _portfolio(problem, plans),
        _summary(problem, best),
        best.value,
        best.bound,
        100 * best.gap,
        float(problem.costs @ best.x),
        float(best.x.sum()),
        int(features["met"].sum()),
        problem.boundary_length(best.x) if told else float("nan"),
        problem.connectivity_held(best.x) if len(problem.connectivity) else float("nan"),
    )


def _features(problem: "Problem", best: "Plan") -> "pd.DataFrame":
    import pandas as pd

    held, short = problem.held(best.x), problem.shortfall(best.x)
    return pd.DataFrame(
        {
            "feature": problem.features,
            "total": problem.totals,
            "held": held,
            "held_share": held / problem.totals,
            "target": problem.targets,
            "shortfall": short,
            "met": (problem.targets > 0) & (short == 0),
            "weight": problem.weights,
            "price": best.prices,
        }
    )


def _portfolio(problem: "Problem", plans: "list[Plan]") -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(
        {
            "plan": np.arange(1, len(plans) + 1),
            "objective": [p.value for p in plans],
            "gap_percent": [100 * p.gap for p in plans],
            "cost": [float(problem.costs @ p.x) for p in plans],
            "selected": [float(p.x.sum()) for p in plans],
            "differ": [float(np.abs(p.x - plans[0].x).sum()) for p in plans],
        }
    )


def _summary(problem: "Problem", best: "Plan") -> "pd.DataFrame":
    import pandas as pd

    row = {
        "problem": problem.objective,
        "objective": best.value,
        "bound": best.bound,
        "relaxed_bound": best.relaxed,
        "gap_percent": 100 * best.gap,
        "status": "optimal" if best.gap == 0 else f"gap {100 * best.gap:.2g} %",
        "solver": best.solver,
        "units": problem.n,
        "features": problem.m,
        "penalty": problem.penalty(best.x),
    }
    return pd.DataFrame([row])
