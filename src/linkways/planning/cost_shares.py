"""Who carries a plan, who gains by it, and how its cost can be shared fairly among municipalities or stakeholders."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.method import Figure, Indicator, Param, Table, TableOf, method, progress
from linkways.spatial import note

if TYPE_CHECKING:
    import matplotlib.figure
    import pandas as pd

    from linkways.planning._cost_game import CostGame, Value
    from linkways.planning._problem import Problem
    from linkways.planning._select_inputs import Units

__all__ = ["CostShares", "cost_shares"]

ID = "planning.cost_shares"
RULES = {
    "borne": ("sum of c_i x_i over its units", "the plan as it lies, without sharing"),
    "equal": ("C / k", "Young 1994"),
    "area": ("C A_g / sum A", "Young 1994, proportional"),
    "benefit": ("C b_g / sum b", "Young 1994, proportional to benefits"),
    "ability": ("C m_g / sum m", "Young 1994, proportional to means"),
    "alone": ("C c({g}) / sum c({h})", "Moriarity 1975"),
    "shapley": ("C phi_g / c(all), phi_g = mean over orders of joining of c(S and g) - c(S)", "Shapley 1953"),
}


@dataclass(frozen=True)
class CostShares:
    """What the groups carry and gain, and the cost each would pay under different rules."""

    groups: Annotated[
        "pd.DataFrame",
        TableOf(
            "groups: group, units, selected, area_km2, selected_km2, area_share (of all that is selected), cost, "
            "cost_share, benefit, benefit_share, ability, alone (least cost of its own targets on its own land), "
            "shapley, shapley_error (standard error, 0 where exact)"
        ),
    ]
    shares: Annotated[
        "pd.DataFrame",
        TableOf("rule, group, share, cost, transfer (what it pays beyond the cost on its own land; below 0: it gets)"),
    ]
    rules: Annotated[
        "pd.DataFrame",
        TableOf(
            "rule, formula, source, gini (of the groups' costs), gini_per_ability, transfers (sum that changes hands), "
            "largest_excess (most that some groups pay above their cost on their own), stable (nobody does; of the "
            "coalitions that were computed)"
        ),
    ]
    by_feature: Annotated[
        "pd.DataFrame", TableOf("group, feature, held (by the plan in the group), share_of_target, share_of_held")
    ]
    chart: Annotated["matplotlib.figure.Figure", Figure("costs of the groups by rule")]
    cost: Annotated[float, Indicator("cost of the plan")]
    gini_cost: Annotated[float, Indicator("Gini coefficient of the costs that groups bear as the plan lies", unit="1")]
    gini_benefit: Annotated[float, Indicator("Gini coefficient of the benefits", unit="1")]
    together: Annotated[float, Indicator("least cost of all targets met together")]
    saved_together: Annotated[float, Indicator("what acting together saves, of the sum of costs alone", unit="1")]


@method(
    ID,
    references=(
        "Shapley LS (1953) A value for n-person games. In: Contributions to the theory of games II, Princeton "
        "University Press, 307-317",
        "Young HP (1994) Cost allocation. In: Handbook of game theory with economic applications 2, Elsevier, "
        "1193-1235",
        "Moriarity S (1975) Another approach to allocating joint costs. The Accounting Review 50:791-795",
        "Castro J, Gomez D, Tejada J (2009) Polynomial calculation of the Shapley value based on sampling. Computers & "
        "Operations Research 36:1726-1730",
        "Kark S, Levin N, Grantham HS, Possingham HP (2009) Between-country collaboration and consideration of costs "
        "increase conservation planning efficiency in the Mediterranean Basin. PNAS 106:15368-15373",
    ),
)
def cost_shares(
    units: Annotated[
        "pd.DataFrame",
        Table(
            "planning units, a layer or a table: unit, cost, group (municipality or stakeholder) and, when present, "
            "area_km2, locked_in, locked_out",
            columns=("unit", "cost", "group"),
        ),
    ],
    plan: Annotated[
        "pd.DataFrame", Table("the plan as planning.select gives it: unit, selected (0 to 1)", ("unit", "selected"))
    ],
    amounts: Annotated[
        "pd.DataFrame | None", Table("how much of a feature a unit holds", columns=("unit", "feature", "amount"))
    ] = None,
    targets: Annotated[
        "pd.DataFrame | None",
        Table("what is wanted of each feature: target, type and, when present, weight", columns=("feature",)),
    ] = None,
    groups: Annotated[
        "pd.DataFrame | None",
        Table(
            "of each group, when present: ability (to pay: income, budget, people) and benefit (in place of that by "
            "targets)",
            columns=("group",),
        ),
    ] = None,
    *,
    target: Annotated[float | None, Param("share of every feature, in place of the table targets", ge=0, le=1)] = None,
    decision: Annotated[
        Literal["binary", "proportion"], Param("units that coalitions select: whole ones, or shares (fast)")
    ] = "binary",
    exact_groups: Annotated[
        int, Param("up to so many groups all coalitions are computed, 2 to the power of it", ge=1, le=12)
    ] = 8,
    samples: Annotated[int, Param("orders of joining that are drawn where there are more groups", ge=2)] = 200,
    seed: Annotated[int, Param("of the orders", ge=0)] = 0,
    gap_percent: Annotated[float, Param("of the least cost of a coalition", unit="%", ge=0, lt=100)] = 0.0,
    time_limit_s: Annotated[float, Param("for each coalition", unit="s", gt=0)] = 30.0,
) -> CostShares:
    """How the area, cost and benefit of a plan fall on groups, how unequal that is, and rules to share the cost.

    With x the plan, c costs, r amounts, T targets, w weights and h_gj what the plan holds of feature j in group g, the
    benefit of a group is its part of the targets met, ``b_g = sum_j w_j min(1 / T_j, 1 / h_j) h_gj / sum w`` over the
    features with a target, unless a table tells benefits. The cost C = c x is shared

    - equally; in proportion to the area of a group, to its benefit, or to its ability to pay (with a table of groups)
    - alone: in proportion to c({g}), the cost of meeting its own targets on its own land
    - shapley: in proportion to Shapley's value of the game c(S), the least cost at which the groups S together meet the
      sum of their own targets on their land: what a group adds to the cost, on average over all orders of joining

    A group's own targets are parts of T_j as its amounts are parts of all. The targets of a union can be met as its
    members would alone, so acting together never costs more; Shapley's value may be negative for a group whose land
    saves the others more than it needs itself. Up to exact_groups all coalitions are solved exactly (HiGHS); with more,
    orders are sampled, and standard errors are told.

    The Gini coefficient is ``sum_gh |y_g - y_h| / (2 k^2 mean y)``, 0 where all are equal. A rule is stable when no
    coalition pays more than its cost on its own (the core). To bound a group's cost in the plan itself, give
    planning.select the table budgets. Rules whose key is 0 for all are left out, with a note.

    Raises LinkwaysError for units or targets that planning.select would refuse, a plan whose units differ, groups that
    are missing or below 0, a plan without cost, and coalitions whose targets cannot be met.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import planning
    >>> units = pd.DataFrame({"unit": ["a", "b", "c"], "cost": [2.0, 6.0, 4.0], "group": ["east", "west", "west"]})
    >>> amounts = pd.DataFrame({"unit": ["a", "b", "c"], "feature": "frog", "amount": [2.0, 1.0, 1.0]})
    >>> plan = pd.DataFrame({"unit": ["a", "b", "c"], "selected": [1, 0, 0]})
    >>> found = planning.cost_shares(units, plan, amounts, target=0.5)
    >>> found.groups[["group", "cost", "alone", "shapley"]]
      group  cost  alone  shapley
    0  east   2.0    2.0      0.0
    1  west   0.0    4.0      2.0
    """
    from linkways.planning import _select_inputs as given
    from linkways.planning._cost_game import CostGame
    from linkways.planning._select_case import Demands, case_of, retold

    with retold(ID):
        places = given.units_of(units, None, None, None)
        problem = case_of(places, None, amounts, Demands("min_set", targets, target), decision=decision)
        x = _selected(places, plan)
    names, owner = _owners(places)
    cost = float(problem.costs @ x)
    if not cost > 0:
        raise LinkwaysError(f"{ID}: the plan costs {cost:g}, so that there is nothing to share; give one with a cost")
    told = _told(groups, names)
    progress(0.05, "what coalitions cost")
    game = CostGame(problem, owner, names, ID, time_limit_s, gap_percent / 100)
    value = game.exactly() if len(names) <= exact_groups else game.sampled(samples, seed)
    table = _groups(places, problem, x, names, owner, told, game, value)
    rules, shares = _shared(table, cost, game)
    alone, together = float(table["alone"].sum()), game.cost(frozenset(range(len(names))))
    return CostShares(
        table,
        shares,
        rules,
        _by_feature(problem, x, names, owner),
        _chart(shares, names),
        cost,
        float(rules["gini"].iloc[0]),
        _gini(table["benefit"]),
        together,
        1 - together / alone if alone > 0 else 0.0,
    )


# --- inputs ----------------------------------------------------------------------------------------------------


def _selected(places: "Units", plan: "pd.DataFrame") -> np.ndarray:
    import pandas as pd

    at = places.index(plan["unit"], "plan", "unit")
    if len(np.unique(at)) < len(places.names) or len(at) > len(places.names):
        raise LinkwaysError(
            f"{ID}: plan has {len(at)} rows for {len(np.unique(at))} of {len(places.names)} planning units; give each "
            "unit one row"
        )
    x = np.empty(len(places.names))
    x[at] = pd.to_numeric(plan["selected"], errors="coerce").to_numpy(dtype=float)
    wrong = np.flatnonzero(~((x >= 0) & (x <= 1)))
    if len(wrong):
        raise LinkwaysError(
            f"{ID}: plan has {len(wrong)} units whose selected is not from 0 to 1, first unit "
            f"{places.names[wrong[0]]}; mend it"
        )
    return x


def _owners(places: "Units") -> tuple[list[str], np.ndarray]:
    import pandas as pd

    assert places.table is not None
    group = places.table["group"]
    missing = np.flatnonzero(group.isna() | (group.astype(str).str.strip() == ""))
    if len(missing):
        raise LinkwaysError(
            f"{ID}: {len(missing)} units have no group, first {places.names[missing[0]]} in row {missing[0] + 1}; name "
            "one"
        )
    codes, names = pd.factorize(np.array([str(g).strip() for g in group], dtype=object))
    if len(names) < 2:
        raise LinkwaysError(f"{ID}: all units belong to {names[0]}; give two groups or more to share among")
    return [str(n) for n in names], codes


def _told(groups: "pd.DataFrame | None", names: list[str]) -> dict[str, np.ndarray]:
    """Columns ability and benefit of the table of groups, in the order of the groups."""
    import pandas as pd

    if groups is None:
        return {}
    listed = [str(g).strip() for g in groups["group"]]
    unknown, absent = [g for g in listed if g not in names], [g for g in names if g not in listed]
    if unknown:
        raise LinkwaysError(f"{ID}: groups names {unknown[0]}, which no unit has{nearest(unknown[0], names)}; mend it")
    if absent or len(set(listed)) < len(listed):
        what = f"lacks {absent[0]}" if absent else "names a group twice"
        raise LinkwaysError(f"{ID}: groups {what}; give each group one row")
    found = {}
    for column in ("ability", "benefit"):
        if column in groups.columns:
            value = pd.to_numeric(groups[column], errors="coerce").to_numpy(dtype=float)
            if not (np.isfinite(value) & (value >= 0)).all():
                row = int(np.flatnonzero(~(np.isfinite(value) & (value >= 0)))[0])
                raise LinkwaysError(f"{ID}: groups has no {column} of 0 or more for {listed[row]}; give one")
            found[column] = value[[listed.index(n) for n in names]]
    return found


# --- results ---------------------------------------------------------------------------------------------------


def _gini(values: Any) -> float:
    from linkways.planning._cost_game import gini

    return gini(np.asarray(values, dtype=float))


def _groups(
    places: "Units",
    problem: "Problem",
    x: np.ndarray,
    names: list[str],
    owner: np.ndarray,
    told: dict[str, np.ndarray],
    game: "CostGame",
    value: "Value",
) -> "pd.DataFrame":
    import pandas as pd

    k = len(names)
    area = places.areas_km2()
    sizes = np.full(len(x), np.nan) if area is None else area

    def summed(values: np.ndarray) -> np.ndarray:
        return np.bincount(owner, values, k)

    cost = summed(problem.costs * x)
    benefit = told.get("benefit", _benefit(problem, x, owner, k))
    held = summed(sizes * x)
    return pd.DataFrame(
        {
            "group": names,
            "units": summed(np.ones(len(x))).astype(int),
            "selected": summed(x),
            "area_km2": summed(sizes),
            "selected_km2": held,
            "area_share": held / held.sum() if held.sum() > 0 else np.full(k, np.nan),
            "cost": cost,
            "cost_share": cost / cost.sum(),
            "benefit": benefit,
            "benefit_share": benefit / benefit.sum() if benefit.sum() > 0 else np.zeros(k),
            "ability": told.get("ability", np.full(k, np.nan)),
            "alone": [game.cost(frozenset({g})) for g in range(k)],
            "shapley": value.shares,
            "shapley_error": value.errors,
        }
    )


def _benefit(problem: "Problem", x: np.ndarray, owner: np.ndarray, k: int) -> np.ndarray:
    """Each group's part of the targets met, weighted over features."""
    wanted = np.flatnonzero((problem.targets > 0) & (problem.weights > 0))
    benefit = np.zeros(k)
    for j in wanted:
        held = np.bincount(owner, problem.amounts[[j]].toarray().ravel() * x, k)
        benefit += problem.weights[j] * held / max(problem.targets[j], held.sum())
    return benefit / problem.weights[wanted].sum() if len(wanted) else benefit


def _shared(table: "pd.DataFrame", cost: float, game: "CostGame") -> "tuple[pd.DataFrame, pd.DataFrame]":
    import pandas as pd

    keys = {"borne": "cost", "area": "area_km2", "benefit": "benefit", "ability": "ability"}
    keys |= {"alone": "alone", "shapley": "shapley"}
    rules, shares = [], []
    borne = table["cost"].to_numpy()
    for rule, (formula, source) in RULES.items():
        key = np.ones(len(table)) if rule == "equal" else table[keys[rule]].to_numpy(dtype=float)
        if np.isnan(key).any() or not key.sum() > 0:
            missing = "is not told" if np.isnan(key).any() else "is 0 for all groups"
            note(f"{ID}: the rule {rule} is left out, as {keys[rule]} {missing}")
            continue
        share = key / key.sum()
        paid = cost * share
        excess = game.largest_excess(paid)
        ability = table["ability"].to_numpy(dtype=float)
        with np.errstate(divide="ignore", invalid="ignore"):
            each = np.where(ability > 0, paid / ability, np.nan)
        rules.append(
            {
                "rule": rule,
                "formula": formula,
                "source": source,
                "gini": _gini(paid),
                "gini_per_ability": _gini(each),
                "transfers": float(np.maximum(paid - borne, 0).sum()),
                "largest_excess": excess,
                "stable": excess <= 1e-6 * cost,
            }
        )
        columns = {"rule": rule, "group": table["group"], "share": share, "cost": paid, "transfer": paid - borne}
        shares.append(pd.DataFrame(columns))
    return pd.DataFrame(rules), pd.concat(shares, ignore_index=True)


def _by_feature(problem: "Problem", x: np.ndarray, names: list[str], owner: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    parts = []
    for j, feature in enumerate(problem.features):
        held = np.bincount(owner, problem.amounts[[j]].toarray().ravel() * x, len(names))
        goal, total = problem.targets[j], held.sum()
        of_target = held / goal if goal > 0 else np.full(len(names), np.nan)
        of_held = held / total if total > 0 else np.zeros(len(names))
        columns = {"group": names, "feature": feature, "held": held}
        parts.append(pd.DataFrame(columns | {"share_of_target": of_target, "share_of_held": of_held}))
    return pd.concat(parts, ignore_index=True)


def _chart(shares: "pd.DataFrame", names: list[str]) -> "matplotlib.figure.Figure":
    from matplotlib.figure import Figure as Canvas

    rules = list(dict.fromkeys(shares["rule"]))
    figure = Canvas(figsize=(7.2, 0.6 + 0.32 * len(names) * max(1.0, len(rules) / 3)), layout="constrained")
    axes = figure.add_subplot()
    colours = ("#1b5e4b", "#9fb8ad", "#d9b38c", "#8c2d19", "#4a6fa5", "#7a6f9b", "#3d3d3d")
    height = 0.8 / len(rules)
    for k, rule in enumerate(rules):
        paid = shares.loc[shares["rule"] == rule, "cost"].to_numpy()
        axes.barh(np.arange(len(names)) + k * height, paid, height=height, color=colours[k % 7], label=rule)
    axes.set_yticks(np.arange(len(names)) + 0.4 - height / 2, names)
    axes.invert_yaxis()
    axes.set(xlabel="cost")
    axes.legend(frameon=False, title="rule")
    return figure
