"""How hard it is to do without a planning unit: rarity, Ferrier's irreplaceability, and shares of targets."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Raster, Table, TableOf, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from linkways.planning._select_inputs import Amounts, Units

__all__ = ["Irreplaceability", "irreplaceability"]

ID = "planning.irreplaceability"
MEASURES = ("rarity", "ferrier", "ferrier_max", "proportional", "complementarity", "necessary")
STILL = 1e-11  # a spread of totals below this is none


@dataclass(frozen=True)
class Irreplaceability:
    """How much depends on each planning unit."""

    units: Annotated[
        "pd.DataFrame",
        TableOf(
            "planning units: unit, selected (with a plan), rarity, ferrier, ferrier_max, proportional, "
            "complementarity, necessary; with replacement also replacement and replacement_at_least"
        ),
    ]
    map: Annotated[
        "gpd.GeoDataFrame | pd.DataFrame | xr.DataArray",
        Layer("planning units with all measures; where they are cells, a raster of the one that is asked for"),
    ]
    by_feature: Annotated[
        "pd.DataFrame", TableOf("unit, feature, amount, share (of all there is), ferrier, necessary, where amount > 0")
    ]
    necessary_units: Annotated[int, Indicator("units without which some target cannot be met by all the others")]


@method(
    ID,
    references=(
        "Ferrier S, Pressey RL, Barrett TW (2000) A new predictor of the irreplaceability of areas for achieving a "
        "conservation goal, its application to real-world planning, and a research agenda for further refinement. "
        "Biological Conservation 93:303-325",
        "Williams P, Gibbons D, Margules C, Rebelo A, Humphries C, Pressey R (1996) A comparison of richness hotspots, "
        "rarity hotspots, and complementary areas for conserving diversity of British birds. Conservation Biology "
        "10:155-174 (rarity-weighted richness)",
        "Hanson JO, Schuster R, Strimas-Mackey M, et al. (2025) Systematic conservation prioritization with the "
        "prioritizr R package. Conservation Biology 39:e14376 (the forms of both used here)",
        "Cabeza M, Moilanen A (2006) Replacement cost: a practical measure of site value for cost-effective reserve "
        "planning. Biological Conservation 132:336-342",
    ),
)
def irreplaceability(
    units: Annotated["pd.DataFrame | None", Table("planning units, a layer or a table: unit (name) and cost")] = None,
    amounts: Annotated[
        "pd.DataFrame | None", Table("how much of a feature a unit holds", columns=("unit", "feature", "amount"))
    ] = None,
    targets: Annotated[
        "pd.DataFrame | None",
        Table(
            "what is wanted of each feature: target, type (absolute; relative) and, when present, weight", ("feature",)
        ),
    ] = None,
    cost: Annotated[
        "xr.DataArray | None", Raster("in place of units: a raster with a value in every cell that is a planning unit")
    ] = None,
    features: Annotated[
        "list[xr.DataArray] | None", Raster("in place of amounts: a raster of amounts per feature", many=True)
    ] = None,
    plan: Annotated[
        "pd.DataFrame | None",
        Table("the plan as planning.select gives it: unit, selected (1 or 0)", columns=("unit", "selected")),
    ] = None,
    plan_raster: Annotated["xr.DataArray | None", Raster("the plan where units are cells: 1 selected, 0 not")] = None,
    *,
    target: Annotated[
        float | None, Param("target of all features in place of the table, as a share of all there is", gt=0, le=1)
    ] = None,
    size: Annotated[
        int | None, Param("units that a plan would have, for Ferrier's measure without a plan", unit="units", ge=1)
    ] = None,
    spread: Annotated[
        Literal["variance", "prioritizr"],
        Param("spread of amounts in ferrier: their deviation, or as prioritizr has it"),
    ] = "variance",
    replacement: Annotated[
        bool, Param("compute the replacement cost of every selected unit too, by the exact solver (with a plan)")
    ] = False,
    gap_percent: Annotated[float, Param("of each replacement", unit="%", ge=0, lt=100)] = 0.0,
    time_limit_s: Annotated[float, Param("for each replacement", unit="s", gt=0)] = 30.0,
    shown: Annotated[
        Literal["rarity", "ferrier", "ferrier_max", "proportional", "complementarity", "necessary", "replacement"],
        Param("the measure on the map where units are cells"),
    ] = "rarity",
) -> Irreplaceability:
    """How much depends on each planning unit, by measures that need no solver, and by what replacing it costs.

    With r_kj the amount of feature j in unit k, T_j its target and w_j its weight:

    - rarity, rarity-weighted richness: sum_j w_j (r_kj / max_i r_ij) / sum_i r_ij, the last sum over all there is
    - ferrier: the share of the plans of p units that meet T_j and would no longer without unit k, from the normal
      distribution of what p - 1 of the other units hold, summed over features; ferrier_max: the largest of them
    - proportional: sum_j w_j min(r_kj, T_j) / T_j
    - complementarity: sum_j w_j (what the unit adds to what the other selected units hold, up to T_j) / T_j; for a
      selected unit it is what the targets lose without it. Without a plan nothing else is held
    - necessary: the features whose target all other units together cannot meet

    - replacement, on request: with unit k locked out and the other selected units kept, the cost of the cheapest plan
      that meets all targets, minus that of the plan; inf where there is none, 0 for units that are not selected, below
      0 where the others do without k. It is solved by HiGHS; where that stops at a gap, replacement_at_least is its
      bound, and replacement what was found (NaN: nothing in time)

    p is the number of selected units, or ``size`` without a plan; without either ferrier is NaN. With a plan rarity
    and ferrier are 0 in the units left out of it.

    Ferrier's measure takes no weights. With S and SS the sums of amounts and of their squares without the unit, times
    n / (n - 1) for n units, its spread is sqrt((SS - S^2 / n) / n), the deviation, which comes near to counting all
    plans; prioritizr 8 computes sqrt(SS - S^2 / n^2), a larger one, which is here for comparisons.

    Raises LinkwaysError for units and features that planning.select would refuse, targets that are missing, a plan
    whose units differ, replacement without a plan that meets the targets, and a size above the number of units.

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import planning
    >>> units = pd.DataFrame({"unit": ["a", "b", "c"], "cost": 1.0})
    >>> amounts = pd.DataFrame({"unit": ["a", "b", "c", "c"], "feature": ["frog", "frog", "frog", "fern"],
    ...     "amount": [1.0, 1.0, 2.0, 5.0]})
    >>> found = planning.irreplaceability(units, amounts, target=0.5)
    >>> found.units[["unit", "rarity", "proportional", "necessary"]]
      unit  rarity  proportional  necessary
    0    a   0.125           0.5          0
    1    b   0.125           0.5          0
    2    c   0.450           2.0          1
    """
    import pandas as pd

    if size is not None and (plan is not None or plan_raster is not None):
        raise LinkwaysError(f"{ID}: size is for want of a plan, and a plan is given; leave one of them out")
    places, held, wanted, weight = _problem(units, amounts, targets, cost, features, target)
    if not (held.matrix > 0).nnz:
        raise LinkwaysError(f"{ID}: no planning unit holds anything of any feature; check amounts or features")
    selected = _selected(places, plan, plan_raster)
    if shown == "replacement" and not replacement:
        raise LinkwaysError(f"{ID}: the replacement cost is to be shown and not computed; set replacement to true")
    n = len(places.names)
    p = size if selected is None else int(selected.sum())
    if p is not None and p > n:
        raise LinkwaysError(f"{ID}: size is {p}, and there are {n} planning units; give at most so many")
    table = {name: np.zeros(n) for name in MEASURES}
    rows = []
    if not p:
        table["ferrier"][:] = table["ferrier_max"][:] = np.nan if selected is None else 0.0
    counted = np.ones(n, bool) if selected is None else selected
    for j in range(len(held.features)):
        progress(j / len(held.features), f"feature {held.features[j]}")
        x = held.matrix[[j]].toarray().ravel()
        total, goal, w = float(held.totals[j]), float(wanted[j]), float(weight[j])
        if not total > 0:
            continue
        table["rarity"] += w * counted * x / max(x.max(), np.finfo(float).tiny) / total
        chance = np.full(n, np.nan)
        if p and goal > 0:
            chance = ferrier(x, p, goal, spread) * counted
            table["ferrier"] += chance
            table["ferrier_max"] = np.maximum(table["ferrier_max"], chance)
        # a target that only all units together meet is rounded with their sum
        necessary = (x > 0) & (x.sum() - x < goal * (1 - 1e-9))
        if goal > 0:
            others = 0.0 if selected is None else (x * selected).sum() - x * selected
            table["proportional"] += w * np.minimum(x, goal) / goal
            table["complementarity"] += w * np.minimum(x, np.maximum(goal - others, 0)) / goal
            table["necessary"] += necessary
        at = np.flatnonzero(x > 0)
        parts = {"amount": x, "share": x / total, "ferrier": chance, "necessary": necessary}
        row = {"unit": places.names[at], "feature": held.features[j]} | {name: part[at] for name, part in parts.items()}
        rows.append(pd.DataFrame(row))
    if replacement:
        table["replacement"], table["replacement_at_least"] = _replaced(
            places, held, wanted, selected, time_limit_s, gap_percent / 100
        )
    columns = {} if selected is None else {"selected": selected.astype(int)}
    found = pd.DataFrame({"unit": places.names} | columns | table).astype({"necessary": int})
    return Irreplaceability(
        found, _map(places, found, shown), pd.concat(rows, ignore_index=True), int((found["necessary"] > 0).sum())
    )


def _problem(
    units: Any, amounts: Any, targets: Any, cost: Any, features: Any, target: float | None
) -> tuple["Units", "Amounts", np.ndarray, np.ndarray]:
    """Units, amounts, absolute targets and weights, read and refused as planning.select does."""
    from linkways.planning import _select_inputs as inputs

    if targets is not None and "type" in targets.columns and (targets["type"].astype(str) == "loglinear").any():
        raise LinkwaysError(f"{ID}: targets has loglinear targets; give the shares that they come to, as relative")
    log_linear = inputs.LogLinear(1000.0, 1.0, 250_000.0, 0.1)
    with _as_our_own():
        places = inputs.units_of(units, cost, None, None)
        held = inputs.amounts_of(places, features, amounts, targets)
        wanted, weight = inputs.targets_of(held, targets, target, log_linear, needed=True)
    below = held.matrix.min(axis=1).toarray().ravel() < 0
    if below.any():
        name = held.features[int(np.flatnonzero(below)[0])]
        raise LinkwaysError(f"{ID}: feature {name} has amounts below 0; give amounts of 0 or more")
    return places, held, wanted, weight


@contextmanager
def _as_our_own() -> Iterator[None]:
    """Refusals of the readers that planning.select owns, told as this method's."""
    from linkways.planning import _select_inputs as inputs

    try:
        yield
    except LinkwaysError as error:
        raise LinkwaysError(str(error).replace(inputs.ID, ID)) from None


def _selected(places: "Units", plan: "pd.DataFrame | None", raster: "xr.DataArray | None") -> np.ndarray | None:
    if plan is not None and raster is not None:
        raise LinkwaysError(f"{ID}: give the plan as a table (plan) or as a raster (plan_raster), not as both")
    if raster is not None:
        if places.raster is None:
            raise LinkwaysError(f"{ID}: plan_raster goes with units that are cells; give plan, a table, instead")
        value = np.asarray(raster.values, float)[places.inside]
        _refuse_parts(value, "plan_raster")
        return np.asarray(value == 1)
    if plan is None:
        return None
    import pandas as pd

    with _as_our_own():
        at = places.index(plan["unit"], "plan", "unit")
    if len(np.unique(at)) < len(places.names) or len(at) > len(places.names):
        raise LinkwaysError(
            f"{ID}: plan has {len(at)} rows for {len(np.unique(at))} of {len(places.names)} planning units; give each "
            "unit one row"
        )
    value = np.empty(len(places.names))
    value[at] = pd.to_numeric(plan["selected"], errors="coerce").to_numpy(dtype=float)
    _refuse_parts(value, "plan")
    return np.asarray(value == 1)


def _refuse_parts(value: np.ndarray, what: str) -> None:
    wrong = np.flatnonzero((value != 0) & (value != 1))
    if len(wrong):
        raise LinkwaysError(
            f"{ID}: {what} has {len(wrong)} units whose selected is neither 1 nor 0, the first {value[wrong[0]]:g}; "
            "give one of the two"
        )


def _replaced(
    places: "Units", held: "Amounts", wanted: np.ndarray, selected: np.ndarray | None, time_limit_s: float, gap: float
) -> tuple[np.ndarray, np.ndarray]:
    from linkways.planning._replacement import replacement_costs

    if selected is None:
        raise LinkwaysError(f"{ID}: replacement costs are those of a plan's units; give plan or plan_raster")
    if not (places.costs >= 0).all():
        first = places.names[int(np.flatnonzero(~(places.costs >= 0))[0])]
        raise LinkwaysError(f"{ID}: replacement needs costs of 0 or more, and unit {first} has none; mend its cost")
    missed = np.flatnonzero(held.matrix @ selected.astype(float) < wanted * (1 - 1e-6))
    if len(missed):
        raise LinkwaysError(
            f"{ID}: the plan misses {len(missed)} targets, first that of {held.features[missed[0]]}, so that it is not "
            "clear what would replace a unit; lower them, or give a plan that meets them"
        )
    return replacement_costs(
        held.matrix,
        wanted,
        places.costs,
        selected,
        ~places.locked_out,
        time_limit_s,
        gap,
        lambda done: progress(done, "replacement costs"),
    )


def _map(places: "Units", found: "pd.DataFrame", shown: str) -> Any:
    from linkways.spatial import raster_like

    if places.raster is not None:
        grid = np.full(places.raster.shape, np.nan)
        grid[places.inside] = found[shown]
        return raster_like(grid, places.raster, name=shown)
    assert places.table is not None
    columns = [c for c in found.columns if c != "unit"]
    return places.table.assign(**{c: found[c].to_numpy() for c in columns})


def ferrier(x: np.ndarray, p: int, target: float, form: str) -> np.ndarray:
    """Ferrier's irreplaceability of every unit for one feature; x holds the amounts, plans have p units.

    Of the plans that would meet the target, the share that does with the unit and not without it.
    """
    n = len(x)
    if n == 1:
        return (x >= target).astype(float)
    scale = n / (n - 1)
    total = (x.sum() - x) * scale
    squares = ((x**2).sum() - x**2) * scale
    mean = total / n
    variance = squares - mean**2 if form == "prioritizr" else squares / n - mean**2
    spread = np.sqrt(np.maximum(variance, 0))
    short = total - x < target
    if p == 1:
        removed, included = np.zeros(n), (x >= target).astype(float)
    else:
        without = spread * _drawn(n - 1, p - 1)
        removed = np.where(short, 0.0, _reaching(target / (p - 1), mean, without))
        included = np.where(x >= target, 1.0, _reaching((target - x) / (p - 1), mean, without))
    excluded = np.where(short, 0.0, _reaching(target / p, mean, spread * _drawn(n - 1, p)))
    included = np.where((included == 0) & (x > 0), 1.0, included)
    meeting = included * p / n + excluded * (1 - p / n)
    lost = (included - removed) * p / n
    return np.divide(lost, meeting, out=np.zeros(n), where=meeting > 0)


def _drawn(count: int, drawn: int) -> float:
    """How the spread of a mean of some units shrinks when they are drawn from so many."""
    return float(np.sqrt(max(count - drawn, 0) if drawn > count / 2 else drawn) / drawn)


def _reaching(needed: np.ndarray | float, mean: np.ndarray, spread: np.ndarray) -> np.ndarray:
    """How likely a mean from the normal distribution is at least what is needed."""
    from scipy.special import ndtr

    still = spread < STILL
    return np.where(still, mean >= needed, 1 - ndtr((needed - mean) / np.where(still, 1.0, spread)))
