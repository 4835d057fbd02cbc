"""The best set of barriers to remove or mend under a budget, with proof."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Param, Table, TableOf, method, progress

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from linkways.rivers._removal_plans import Answer, Case, Plans
    from linkways.rivers._removal_tree import BarrierTree

    Floats = NDArray[np.float64]

__all__ = ["RemovalPlan", "remove"]


@dataclass(frozen=True)
class RemovalPlan:
    """What to do for the money, what it gains, how good it is, and what ranking by gain for cost would have done."""

    plan: Annotated[
        "pd.DataFrame",
        TableOf(
            "what is done, each time what helps most next: barrier, option, cost, year (with years), value_after (the "
            "river then), gain_alone (if only this were done), gain_in_plan (what the plan loses without it), and the "
            "barrier's own columns"
        ),
    ]
    curve: Annotated[
        "pd.DataFrame",
        TableOf(
            "return on investment: budget, spent, value, bound (no plan exceeds it), gap_percent, answer, "
            "greedy_value, greedy_share (of the gain)"
        ),
    ]
    greedy: Annotated["pd.DataFrame", TableOf("what greedy ranking by gain for cost does: barrier, option, cost")]
    targets: Annotated[
        "pd.DataFrame", TableOf("accessible habitat of each target: target, importance, before, after, of (all of it)")
    ]
    before: Annotated[float, Indicator("value today, in units of the objective")]
    after: Annotated[float, Indicator("value with the plan, in units of the objective")]
    spent: Annotated[float, Indicator("money spent")]
    gap_percent: Annotated[float, Indicator("how far a better plan could be at most; 0 is proven optimal", unit="%")]
    greedy_share: Annotated[float, Indicator("share of the plan's gain that greedy ranking reaches")]


@method(
    "rivers.remove",
    references=(
        "O'Hanley JR, Tomberlin D (2005) Optimizing the removal of small fish passage barriers. Environmental Modeling "
        "and Assessment 10:85-98 (one target; what ranking loses)",
        "King S, O'Hanley JR (2016) Optimal fish passage barrier removal - revisited. River Research and Applications "
        "32:418-428 (chains of passabilities as a mixed-integer linear program)",
        "Cote D, Kehler DG, Bourne C, Wiersma YF (2009) A new measure of longitudinal connectivity for stream "
        "networks. Landscape Ecology 24:101-113 (DCIp, DCId)",
    ),
)
def remove(
    reaches: Annotated["pd.DataFrame", Table("reaches of the river", columns=("reach", "down", "length_m"))],
    barriers: Annotated[
        "pd.DataFrame",
        Table("barriers, with passability; and cost where there are no options", columns=("barrier", "reach")),
    ],
    options: Annotated[
        "pd.DataFrame | None",
        Table(
            "what can be done: barrier, option, cost, passability afterwards in columns named as in barriers; and "
            "where they apply from_year, to_year, together (all of a group or none), exclusive (at most one of it)",
            columns=("barrier",),
        ),
    ] = None,
    targets: Annotated[
        "pd.DataFrame | None",
        Table(
            "species or aims: target, importance (below 0: to be kept out), weight (column of reaches), pass_up and "
            "pass_down (columns of barriers and options)",
            columns=("target", "importance", "weight", "pass_up", "pass_down"),
        ),
    ] = None,
    *,
    budget: Annotated[
        float, Param("money that may be spent; with years, in each of them, unspent money is kept", gt=0)
    ],
    objective: Annotated[
        Literal["access", "dcip"],
        Param("habitat that can be reached from the sea, or the index of all pairs of reaches (DCIp)"),
    ] = "access",
    passability: Annotated[
        Literal["product", "up", "down", "directional"],
        Param("which way counts: both (their product), up, down; directional keeps them apart, for the objective dcip"),
    ] = "product",
    weight: Annotated[str, Param("column of reaches that is to be reached")] = "length_m",
    cost: Annotated[str, Param("column of options, or of barriers, that holds the cost")] = "cost",
    mended: Annotated[float, Param("passability of a removed barrier, where there are no options", ge=0, le=1)] = 1.0,
    years: Annotated[Sequence[int], Param("years in which something can be done, for windows and yearly money")] = (),
    curve_steps: Annotated[int, Param("budgets on the curve, evenly up to the budget", ge=1, le=1000)] = 10,
    time_limit_s: Annotated[float, Param("time for proving one plan", unit="s", gt=0)] = 60.0,
) -> RemovalPlan:
    """The best set of removals and fish passes under a budget, with proof or the gap, and what ranking would lose.

    Objective ``access``: sum over reaches of weight times the passability of the way to the outlet (DCId times the sum
    of weights). For one target it is a knapsack on the tree of barriers: everything above a barrier is multiplied by
    the same factor, so subtrees settle on their own, V_j(b) = max_k p_jk (h_j + best split of b - c_jk over the
    branches), and one run gives the whole curve. Costs are taken in whole units of money; where these would be more
    than 20,000, the plan comes from costs rounded up and the bound from costs rounded down. Several targets,
    targets to be kept out, years with windows and groups are a mixed-integer program whose variables follow the chains
    of passabilities (HiGHS); with years the value is summed over these. Objective ``dcip``: 100 times the sum over
    pairs of w_i w_j c_ij over the square of the sum of w, all basins together; since mending one barrier raises
    the gain of others, ranking has no guarantee here: branch and bound, with gains when all else is mended as bound.

    ``answer`` is "optimal" when the plan is proven, otherwise "within x %". Gains of barriers interact: never add them.
    Barriers at an outlet lie outside the basin and are left alone.

    Raises LinkwaysError for passabilities outside 0 to 1, negative costs, options for unknown barriers, groups or years
    with the objective dcip, and a budget that buys nothing.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import rivers
    >>> reaches = pd.DataFrame({"reach": [1, 2, 3], "down": [-1, 1, 2], "length_m": [100.0, 200.0, 700.0]})
    >>> barriers = pd.DataFrame({"barrier": ["weir", "dam"], "reach": [2, 3], "passability": [0.5, 0], "cost": [2, 3]})
    >>> found = rivers.remove(reaches, barriers, budget=3)
    >>> found.plan[["barrier", "cost", "gain_in_plan"]]
      barrier  cost  gain_in_plan
    0     dam   3.0         350.0
    >>> (found.before, found.after, found.gap_percent)
    (200.0, 550.0, 0.0)
    """
    import pandas as pd

    case = _read(reaches, barriers, options, targets, objective, passability, weight, cost, mended, years)
    if not (case.options.cost <= budget * max(1, len(years))).any():
        raise LinkwaysError(
            f"a budget of {budget:g} buys nothing: the cheapest option costs {case.options.cost.min():g}; raise budget"
        )
    plans = _plans(case, objective, budget, years, time_limit_s)
    today = plans.value(np.zeros((len(case.node), plans.years), bool))
    rows = []
    for step in range(1, curve_steps + 1):
        money = budget * step / curve_steps
        progress((step - 1) / curve_steps, f"best plan for {money:g}")
        best, greedy = plans.best(money), plans.greedy(money)
        rows.append(_on_the_curve(case, money, best, greedy, today))
    curve = pd.DataFrame(rows)
    last = curve.iloc[-1]
    return RemovalPlan(
        plan=_told(case, plans, best, today, barriers, options, years),
        curve=curve,
        greedy=_told(case, plans, greedy, today, barriers, options, years)[["barrier", "option", "cost"]],
        targets=_by_target(case, best),
        before=today,
        after=best.value,
        spent=float(last["spent"]),
        gap_percent=float(last["gap_percent"]),
        greedy_share=float(last["greedy_share"]),
    )


def _plans(case: "Case", objective: str, budget: float, years: Sequence[int], time_limit_s: float) -> "Plans":
    from linkways.rivers._removal_plans import KnapsackPlans, PairPlans, ProgramPlans

    if objective == "dcip":
        return PairPlans(case, time_limit_s)
    if len(case.importance) == 1 and case.importance[0] > 0 and not case.tied and not years:
        return KnapsackPlans(case, budget)
    return ProgramPlans(case, years, time_limit_s)


def _on_the_curve(case: "Case", money: float, best: "Answer", greedy: "Answer", today: float) -> dict[str, Any]:
    gained = best.value - today
    gap = 100 * (best.bound - best.value) / max(abs(best.bound), 1e-300)
    # what rounding of the last digits leaves is no gap
    gap = 0.0 if gap < 1e-6 else gap
    return {
        "budget": money,
        "spent": float(case.options.cost[best.done.any(axis=1)].sum()),
        "value": best.value,
        "bound": best.bound,
        "gap_percent": gap,
        "answer": "optimal" if gap == 0 else f"within {gap:.2g} %",
        "greedy_value": greedy.value,
        "greedy_share": (greedy.value - today) / gained if gained > 0 else 1.0,
    }


def _told(
    case: "Case",
    plans: "Plans",
    answer: "Answer",
    today: float,
    barriers: "pd.DataFrame",
    options: "pd.DataFrame | None",
    years: Sequence[int],
) -> "pd.DataFrame":
    """A plan as a table, with what the barriers' own columns say."""
    import pandas as pd

    rows = []
    done = np.zeros(len(answer.done), bool)
    for option in _in_order(plans, answer.done):
        done[option] = True
        alone = np.zeros_like(answer.done)
        alone[option] = answer.done[option]
        without = answer.done & ~alone
        row: dict[str, Any] = {
            "barrier": barriers["barrier"].iloc[case.options.barrier[option]],
            "option": case.options.name[option],
            "cost": case.options.cost[option],
        }
        if years:
            row["year"] = years[int(answer.done[option].argmax())]
        row["value_after"] = plans.river_value(done)
        row["gain_alone"] = plans.value(alone) - today
        row["gain_in_plan"] = answer.value - plans.value(without)
        own = barriers.iloc[case.options.barrier[option]]
        if options is not None:
            own = pd.concat([own, options.iloc[case.options.row[option]].drop(list(own.index), errors="ignore")])
        row |= {str(k): v for k, v in own.items() if k not in row and k != "geometry"}
        rows.append(row)
    first = ["barrier", "option", "cost", *(["year"] if years else []), "value_after", "gain_alone", "gain_in_plan"]
    return pd.DataFrame(rows) if rows else pd.DataFrame(columns=first)


def _in_order(plans: "Plans", done: "NDArray[np.bool_]") -> list[int]:
    """The options of a plan, year by year, each time the one that adds most to the river as it then is."""
    order: list[int] = []
    for year in range(done.shape[1]):
        left = np.flatnonzero(done[:, year]).tolist()
        while left:
            so_far = np.zeros(len(done), bool)
            so_far[order] = True
            gain = plans.river_gains(so_far)
            order.append(max(left, key=lambda option: gain[option]))
            left.remove(order[-1])
    return order


def _by_target(case: "Case", answer: "Answer") -> "pd.DataFrame":
    import pandas as pd

    done: NDArray[np.bool_] = np.asarray(answer.done.any(axis=1))
    return pd.DataFrame(
        {
            "target": list(case.names),
            "importance": case.importance,
            "before": case.accessible(np.zeros_like(done)),
            "after": case.accessible(done),
            "of": case.habitat.sum(axis=1),
        }
    )


# --- reading -------------------------------------------------------------------------


def _read(
    reaches: "pd.DataFrame",
    barriers: "pd.DataFrame",
    options: "pd.DataFrame | None",
    targets: "pd.DataFrame | None",
    objective: str,
    passability: str,
    weight: str,
    cost: str,
    mended: float,
    years: Sequence[int],
) -> "Case":
    from linkways.rivers._forest import read_forest, read_weights
    from linkways.rivers._removal_plans import Case
    from linkways.rivers._removal_tree import barrier_tree, read_options

    _refuse(objective, passability, targets, options, years)
    forest = read_forest(reaches)
    tree = barrier_tree(forest, barriers)
    way = "product" if passability == "product" else "directional"
    names, importance, weights, columns = _targets(targets, weight)
    per_target = [read_options(barriers, options, way, cost=cost, mended=mended, columns=c) for c in columns]
    # options of barriers at an outlet change nothing inside the basin
    node = tree.node[per_target[0].barrier]
    kept = np.flatnonzero(node >= 0)
    if not len(kept):
        raise LinkwaysError("options: all of them are at outlets, which lie outside the basins; add barriers above")
    kept = kept[np.argsort(node[kept], kind="stable")]
    found = [one.take(kept) for one in per_target]
    now = [_now(barriers, tree, way, c) for c in columns]
    pairs = [_direction(passability, o.down, o.up) for o in found]
    states = [_direction(passability, d, u) for d, u in now]
    weighted = [read_weights(reaches, forest, w) for w in weights]
    return Case(
        tree=tree,
        options=found[0],
        node=node[kept],
        names=names,
        importance=importance,
        habitat=np.stack([tree.gather(w) for w in weighted]),
        now_down=np.stack([d for d, _ in states]),
        now_up=np.stack([u for _, u in states]),
        after_down=np.stack([d for d, _ in pairs]),
        after_up=np.stack([u for _, u in pairs]),
    )


def _refuse(
    objective: str, passability: str, targets: Any, options: "pd.DataFrame | None", years: Sequence[int]
) -> None:
    if objective == "access" and passability == "directional":
        raise LinkwaysError(
            "passability 'directional' has no meaning for the way to the sea; choose product, up or down"
        )
    if objective == "dcip" and passability in ("up", "down"):
        raise LinkwaysError(f"passability {passability!r} has no meaning for all pairs; choose product or directional")
    tied = options is not None and {"together", "exclusive"} & set(options.columns)
    if objective == "dcip" and (years or targets is not None or tied):
        raise LinkwaysError(
            "the objective dcip takes one target, no years and no groups; leave out "
            f"{'years' if years else 'targets' if targets is not None else 'together and exclusive'} or choose access"
        )
    if sorted(set(years)) != list(years):
        raise LinkwaysError(f"years must rise and not repeat; got {list(years)}")
    if options is not None and not years and {"from_year", "to_year"} & set(options.columns):
        from linkways.spatial import note

        note("options name years, but no years are planned: every option is taken as possible")


def _targets(
    targets: "pd.DataFrame | None", weight: str
) -> "tuple[tuple[str, ...], Floats, list[str], list[tuple[str | None, str | None]]]":
    if targets is None:
        return (weight,), np.ones(1), [weight], [(None, None)]
    if not len(targets):
        raise LinkwaysError("targets: the table has no rows; give at least one target or leave the table out")
    importance = np.asarray(targets["importance"], float)
    if not np.isfinite(importance).all() or not (importance != 0).any():
        raise LinkwaysError("targets: importance must be finite numbers, not all of them 0; correct the column")
    columns: list[tuple[str | None, str | None]] = [
        (str(up), str(down)) for up, down in zip(targets["pass_up"], targets["pass_down"], strict=True)
    ]
    return tuple(map(str, targets["target"])), importance, [str(w) for w in targets["weight"]], columns


def _now(
    barriers: "pd.DataFrame", tree: "BarrierTree", way: str, columns: tuple[str | None, str | None]
) -> "tuple[Floats, Floats]":
    from linkways.rivers._removal_tree import both_ways

    down, up = both_ways(barriers, "barriers", way, columns)
    at = tree.barrier >= 0
    out = []
    for values in (down, up):
        p = np.ones(len(tree.down))
        p[at] = values[tree.barrier[at]]
        out.append(p)
    return out[0], out[1]


def _direction(passability: str, down: "Floats", up: "Floats") -> "tuple[Floats, Floats]":
    if passability == "up":
        return up, up
    if passability == "down":
        return down, down
    return down, up
