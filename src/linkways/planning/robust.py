"""A plan that no scenario makes one regret much: least largest regret over several futures."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Table, TableOf, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

    from linkways.planning._problem import Problem
    from linkways.planning._select_inputs import Units
    from linkways.planning._select_solve import Plan

__all__ = ["RobustPlan", "robust"]

ID = "planning.robust"
ROBUST = "robust"


@dataclass(frozen=True)
class RobustPlan:
    """The plan with the least largest regret, beside the plans made for each scenario alone."""

    plan: Annotated["gpd.GeoDataFrame | pd.DataFrame", Layer("planning units of the robust plan: selected (1 or 0)")]
    regrets: Annotated["pd.DataFrame", TableOf("regret by plan (rows: robust, and one for each scenario) and scenario")]
    plans: Annotated[
        "pd.DataFrame",
        TableOf("plans: plan, largest_regret, mean_regret, worst_scenario, selected, differ (units, from the robust)"),
    ]
    outcomes: Annotated[
        "pd.DataFrame",
        TableOf(
            "every plan in every scenario: plan, scenario, objective, cost, allowed (meets the demands), optimum (best "
            "plan of the scenario), optimum_bound, regret, regret_at_most"
        ),
    ]
    selections: Annotated["pd.DataFrame", TableOf("units: unit, and for every plan 1 where it selects the unit")]
    largest_regret: Annotated[float, Indicator("largest regret of the robust plan")]
    bound: Annotated[float, Indicator("no plan has a smaller largest regret")]
    gap_percent: Annotated[float, Indicator("how far the largest regret may be from the least; 0: proven", unit="%")]
    best_single: Annotated[float, Indicator("least largest regret among the plans made for one scenario alone")]


@method(
    ID,
    references=(
        "Savage LJ (1951) The theory of statistical decision. Journal of the American Statistical Association 46:55-67 "
        "(minimax regret)",
        "Kouvelis P, Yu G (1997) Robust discrete optimization and its applications. Kluwer (absolute and relative "
        "robust deviation over scenarios)",
        "Huangfu Q, Hall JAJ (2018) Parallelizing the dual revised simplex method. Mathematical Programming "
        "Computation 10:119-142 (HiGHS)",
    ),
)
def robust(
    units: Annotated[
        "pd.DataFrame",
        Table(
            "planning units, a layer or a table: unit, cost and, when present, locked_in, locked_out, group", ("unit",)
        ),
    ],
    amounts: Annotated[
        "pd.DataFrame",
        Table(
            "how much of a feature a unit holds, in each scenario where there is a column scenario",
            columns=("unit", "feature", "amount"),
        ),
    ],
    targets: Annotated[
        "pd.DataFrame | None",
        Table("what is wanted of each feature: target, type and, when present, weight", columns=("feature",)),
    ] = None,
    costs: Annotated[
        "pd.DataFrame | None",
        Table("cost of units in each scenario, in place of those of units", columns=("unit", "scenario", "cost")),
    ] = None,
    budgets: Annotated["pd.DataFrame | None", Table("most that units of a group may cost", ("group", "budget"))] = None,
    constraints: Annotated[
        "pd.DataFrame | None",
        Table("limits of a column of units or of a feature, in every scenario", columns=("column", "sense", "limit")),
    ] = None,
    *,
    objective: Annotated[
        Literal["min_set", "min_shortfall", "min_largest_shortfall", "max_features", "max_coverage", "max_utility"],
        Param("as in planning.select"),
    ] = "min_shortfall",
    target: Annotated[float | None, Param("share of every feature, in place of the table targets", ge=0, le=1)] = None,
    budget: Annotated[float | None, Param("most that the selected units may cost, in every scenario", ge=0)] = None,
    regret: Annotated[
        Literal["absolute", "relative"], Param("difference from a scenario's optimum, or as a share of it")
    ] = "absolute",
    gap_percent: Annotated[float, Param("a plan so near the bound is good enough", unit="%", ge=0, lt=100)] = 0.0,
    time_limit_s: Annotated[float, Param("for each plan", unit="s", gt=0)] = 120.0,
) -> RobustPlan:
    """The plan whose largest regret over the scenarios is least, how much it would regret, and what others would.

    With f_s(x) the objective of plan x in scenario s (as planning.select computes it, counted so that least is best)
    and f_s* that of the best plan for s alone, the regret of x in s is f_s(x) - f_s*, or (f_s(x) - f_s*) / |f_s*| when
    relative. The robust plan has the least max_s regret; among such plans that with the least mean regret. It is found
    exactly, or within the gap, by one mixed-integer program (HiGHS) in which the scenarios share the units and each
    has its own amounts, costs and shortfalls.

    The robust plan meets budgets and constraints, and with min_set all targets, in every scenario. A plan made for one
    scenario may not do so in another: its regret there is infinite, and ``allowed`` is false. Relative targets are
    shares of what a scenario holds. Where a scenario's best plan is only known within a gap, regrets are told against
    the best plan found, with regret_at_most against the bound beside them; ``bound`` stays below every plan's largest
    regret in both cases.

    Raises LinkwaysError where neither amounts nor costs tell scenarios, where the scenarios of the two differ, where
    only one scenario is told, where a relative regret would divide by an optimum of 0, where no plan meets the demands
    of all scenarios, and as planning.select does, with the scenario's name.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import planning
    >>> units = pd.DataFrame({"unit": ["hill", "shore", "wood"], "cost": 1.0})
    >>> amounts = pd.DataFrame({"scenario": ["dry"] * 3 + ["wet"] * 3, "unit": ["hill", "shore", "wood"] * 2,
    ...     "feature": "frog", "amount": [0.0, 10.0, 7.0, 10.0, 0.0, 7.0]})
    >>> targets = pd.DataFrame({"feature": ["frog"], "target": [10.0], "type": ["absolute"]})
    >>> planning.robust(units, amounts, targets, budget=1.0).regrets.round(3)
         plan  dry  wet
    0  robust  0.3  0.3
    1     dry  0.0  1.0
    2     wet  1.0  0.0
    """
    import pandas as pd

    from linkways.planning._robust_program import best_of_all
    from linkways.planning._select_case import Demands, retold
    from linkways.planning._select_solve import best_plan

    demands = Demands(objective, targets, target, budget, budgets, constraints)
    problems, places = _problems(units, amounts, costs, demands)
    names, gap = list(problems), gap_percent / 100
    alone: dict[str, Plan] = {}
    for done, name in enumerate(names):
        progress(0.6 * done / len(names), f"the best plan for {name}")
        with retold(ID, f"scenario {name}: "):
            alone[name] = best_plan(problems[name], time_limit_s, gap)
    sign = -1.0 if problems[names[0]].maximised else 1.0
    optima = sign * np.array([alone[s].value for s in names])
    scales = _scales(optima, regret, names)
    progress(0.6, "the plan for all scenarios")
    found = best_of_all(list(problems.values()), optima, scales, time_limit_s, gap)
    if found.x is None:
        raise LinkwaysError(
            f"{ID}: no plan meets the demands of all {len(names)} scenarios at once; ease targets, budgets or locks, "
            "or choose min_shortfall"
            if found.infeasible
            else f"{ID}: no robust plan was found within {found.seconds:.0f} s; raise time_limit_s or gap_percent"
        )
    plans = {ROBUST: found.x} | {s: alone[s].x for s in names}
    outcomes = _outcomes(problems, plans, alone, scales)
    told = outcomes["regret"].to_numpy().reshape(len(plans), len(names))
    table = pd.DataFrame(told, index=pd.Index(list(plans), name="plan"), columns=names)
    summary = _plans(table, plans)
    largest = max(float(summary["largest_regret"].iloc[0]), 0.0)
    bound = max(min(found.bound, largest), 0.0)
    left = (largest - bound) / max(largest, 1e-12)
    # proven to the solver's tolerances only
    near = largest - bound <= 1e-6 * max(1.0, float(np.abs(optima / scales).max()))
    regrets = table.reset_index()
    return RobustPlan(
        places.drawn(found.x, "selected"),
        regrets,
        summary,
        outcomes,
        _selections(places, plans),
        largest,
        largest if near else bound,
        0.0 if near else 100 * left,
        float(summary["largest_regret"].iloc[1:].min()),
    )


# --- scenarios -------------------------------------------------------------------------------------------------


def _problems(
    units: "pd.DataFrame", amounts: "pd.DataFrame", costs: "pd.DataFrame | None", demands: Any
) -> "tuple[dict[str, Problem], Units]":
    """A problem for each scenario, by name, in the order in which the tables tell them."""
    from linkways.planning import _select_inputs as given
    from linkways.planning._select_case import case_of, retold

    names = _scenarios(amounts, costs)
    base = units if costs is None or "cost" in units.columns else units.assign(cost=0.0)
    with retold(ID):
        places = given.units_of(base, None, None, None)
    problems = {}
    for name in names:
        own = amounts
        if "scenario" in amounts.columns:
            own = amounts[_texts(amounts) == name]
        with retold(ID, f"scenario {name}: "):
            here = places if costs is None else replace(places, costs=_costs(places, costs[_texts(costs) == name]))
            problems[name] = case_of(here, None, own.reset_index(drop=True), demands)
    return problems, places


def _texts(table: "pd.DataFrame") -> np.ndarray:
    return np.array([str(v).strip() for v in table["scenario"]], dtype=object)


def _scenarios(amounts: "pd.DataFrame", costs: "pd.DataFrame | None") -> list[str]:
    told = {}
    if "scenario" in amounts.columns:
        told["amounts"] = list(dict.fromkeys(_texts(amounts)))
    if costs is not None:
        told["costs"] = list(dict.fromkeys(_texts(costs)))
    if not told:
        raise LinkwaysError(f"{ID}: nothing tells scenarios; give amounts a column scenario, or give the table costs")
    names = next(iter(told.values()))
    if len(told) == 2 and set(told["amounts"]) != set(told["costs"]):
        odd = sorted(set(told["amounts"]) ^ set(told["costs"]))[0]
        raise LinkwaysError(f"{ID}: amounts and costs tell different scenarios, first {odd}; give both the same ones")
    if len(names) < 2:
        raise LinkwaysError(f"{ID}: there is one scenario only ({names[0]}); give two or more, or use planning.select")
    if ROBUST in names:
        raise LinkwaysError(f"{ID}: a scenario is called {ROBUST}, as the robust plan is; give it another name")
    return names


def _costs(places: "Units", table: "pd.DataFrame") -> np.ndarray:
    import pandas as pd

    from linkways.planning._select_inputs import ID as READER

    at = places.index(table["unit"], "costs", "unit")
    value = np.full(len(places.names), np.nan)
    value[at] = pd.to_numeric(table["cost"], errors="coerce").to_numpy(dtype=float)
    if len(np.unique(at)) < len(at):
        raise LinkwaysError(f"{READER}: costs names a unit twice; give each unit one cost in every scenario")
    if not np.isfinite(value).all():
        first = places.names[int(np.flatnonzero(~np.isfinite(value))[0])]
        raise LinkwaysError(
            f"{READER}: costs has no finite cost for {int((~np.isfinite(value)).sum())} units, first {first}; give one"
        )
    return value


def _scales(optima: np.ndarray, regret: str, names: list[str]) -> np.ndarray:
    if regret == "absolute":
        return np.ones(len(optima))
    nothing = np.flatnonzero(np.abs(optima) <= 1e-9)
    if len(nothing):
        raise LinkwaysError(
            f"{ID}: the best plan for {names[nothing[0]]} has an objective of 0, so that regret has no share of it; "
            "set regret to absolute"
        )
    return np.asarray(np.abs(optima))


# --- results ---------------------------------------------------------------------------------------------------


def _outcomes(
    problems: "dict[str, Problem]", plans: dict[str, np.ndarray], alone: "dict[str, Plan]", scales: np.ndarray
) -> "pd.DataFrame":
    import pandas as pd

    from linkways.planning._robust_program import allowed

    rows = []
    for plan, x in plans.items():
        for (name, problem), scale in zip(problems.items(), scales, strict=True):
            sign = -1.0 if problem.maximised else 1.0
            value, fits = problem.value(x), allowed(problem, x)
            best = sign * min(sign * problem.value(p) for p in plans.values() if allowed(problem, p))
            rows.append(
                {
                    "plan": plan,
                    "scenario": name,
                    "objective": value,
                    "cost": float(problem.costs @ x),
                    "allowed": fits,
                    "optimum": best,
                    "optimum_bound": alone[name].bound,
                    "regret": _tidy(sign * (value - best) / scale) if fits else np.inf,
                    "regret_at_most": _tidy(sign * (value - alone[name].bound) / scale) if fits else np.inf,
                }
            )
    return pd.DataFrame(rows)


def _tidy(value: float) -> float:
    """A regret within the solver's tolerance is none."""
    return 0.0 if abs(value) < 1e-9 else value


def _plans(table: "pd.DataFrame", plans: dict[str, np.ndarray]) -> "pd.DataFrame":
    import pandas as pd

    value = table.to_numpy(dtype=float)
    return pd.DataFrame(
        {
            "plan": list(plans),
            "largest_regret": value.max(axis=1),
            "mean_regret": value.mean(axis=1),
            "worst_scenario": [table.columns[k] for k in value.argmax(axis=1)],
            "selected": [float(x.sum()) for x in plans.values()],
            "differ": [float(np.abs(x - plans[ROBUST]).sum()) for x in plans.values()],
        }
    )


def _selections(places: "Units", plans: dict[str, np.ndarray]) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame({"unit": places.names} | {name: np.rint(x).astype(int) for name, x in plans.items()})
