"""Where to restore habitat: the cells or parcels that serve connectivity most under a budget, with proof or gap."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Raster, Table, TableOf, Vector, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from linkways.planning._objectives import Objective
    from linkways.planning._restore_problem import Problem
    from linkways.planning._restore_search import Plan, Planner
    from linkways.planning._restore_units import Action, Blocks

__all__ = ["Restoration", "restore"]

Columns = (
    "budget, value, gain, cost, restored_ha, chosen (how many), units, pieces (of restored units), diameter_m, bound, "
    "gap_percent, status"
)


@dataclass(frozen=True)
class Restoration:
    """A restoration plan, and how good it is known to be."""

    plan: Annotated[
        "xr.DataArray",
        Layer("units: 0 may not be restored, 1 may be, 2 habitat, 3 restored (4, 5, ...: by the second, third action)"),
    ]
    chosen: Annotated[
        "gpd.GeoDataFrame", Layer("what is chosen: unit or parcel, action, cost, restored_ha, total_ha, units")
    ]
    frequency: Annotated["xr.DataArray", Layer("share of the portfolio's plans that restore the unit", unit="1")]
    portfolio: Annotated["pd.DataFrame", TableOf("plans near the best: rank, value, gain, cost, restored_ha, chosen")]
    curve: Annotated["pd.DataFrame", TableOf(f"the best plan of each budget: {Columns}")]
    summary: Annotated["pd.DataFrame", TableOf(f"the plan in one row: objective, value_before, {Columns}")]
    value_before: Annotated[float, Indicator("the objective before anything is restored")]
    value_after: Annotated[float, Indicator("the objective once the plan is carried out")]
    cost: Annotated[float, Indicator("what the plan costs, in the unit of the budget")]
    restored_ha: Annotated[float, Indicator("habitat to restore", unit="ha")]
    gap_percent: Annotated[
        float, Indicator("how far above the plan's value the bound on all plans lies; 0: the optimum", unit="%")
    ]


@method(
    "planning.restore",
    references=(
        "Justeau-Allaire D, Vieilledent G, Rinck N, Vismara P, Lorca X, Birnbaum P (2021) Constrained optimization of "
        "landscape indices in conservation planning to support ecological restoration in New Caledonia. Journal of "
        "Applied Ecology 58:744-754 (units, habitat threshold, area to restore, compactness)",
        "Jaeger JAG (2000) Landscape division, splitting index, and effective mesh size. Landscape Ecology 15:115-130",
        "Pascual-Hortal L, Saura S (2006) Comparison and development of new graph-based landscape connectivity "
        "indices. Landscape Ecology 21:959-967 (IIC)",
        "Saura S, Estreguil C, Mouton C, Rodriguez-Freire M (2011) Network analysis to assess landscape connectivity "
        "trends. Ecological Indicators 11:407-416 (ECA)",
        "Saura S, Bastin L, Battistella L, Mandrici A, Dubois G (2017) Protected areas in the world's ecoregions: how "
        "well connected are they? Ecological Indicators 76:144-158 (ProtConn)",
        "Hanski I, Ovaskainen O (2000) The metapopulation capacity of a fragmented landscape. Nature 404:755-758",
    ),
)
def restore(
    habitat: Annotated["xr.DataArray", Raster("1 habitat, 0 not, nodata outside (for protconn: protected land)")],
    cost: Annotated["xr.DataArray | None", Raster("cost of restoring one hectare, in money")] = None,
    restorable: Annotated["xr.DataArray | None", Raster("1 where land can be restored; left out: everywhere")] = None,
    locked_in: Annotated["xr.DataArray | None", Raster("1 where land must be restored")] = None,
    locked_out: Annotated["xr.DataArray | None", Raster("1 where land must not be restored")] = None,
    resistance: Annotated[
        "xr.DataArray | None",
        Raster("resistance to movement (in habitat only for iic), 1 when left out", unit="resistance", positive=True),
    ] = None,
    parcels: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("parcels that are restored whole; left out: every unit on its own", geometry=("Polygon",)),
    ] = None,
    zones: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("municipalities or owners with limits, where parcels do not tell", geometry=("Polygon",)),
    ] = None,
    cores: Annotated[
        "gpd.GeoDataFrame | None",
        Vector("cores that must be joined; column name or core names them", geometry=("Polygon",)),
    ] = None,
    limits: Annotated[
        "pd.DataFrame | None",
        Table("most that may be spent in a zone, in the unit of the budget", columns=("name", "limit")),
    ] = None,
    actions: Annotated[
        "pd.DataFrame | None",
        Table(
            "what can be done, the first first: cost_per_ha (money), habitat (value 0 to 1 that the land gets) and "
            "resistance_factor (0 to 1, multiplies its resistance); left out: restore, at value 1 and factor 0",
            columns=("action", "cost_per_ha", "habitat", "resistance_factor"),
        ),
    ] = None,
    *,
    budget: Annotated[float, Param("most that may be restored (ha) or spent (money)", gt=0)],
    budget_unit: Annotated[Literal["ha", "money"], Param("what the budget and limits count")] = "ha",
    objective: Annotated[
        Literal["mesh", "iic", "eca", "protconn", "metapopulation_capacity"], Param("what is maximised")
    ] = "mesh",
    aggregation: Annotated[int, Param("side of a planning unit", unit="cells", ge=1)] = 1,
    habitat_threshold: Annotated[float, Param("a unit is habitat from this share of habitat up", gt=0, le=1)] = 0.7,
    restored_share: Annotated[
        float, Param("share of a unit's cells that is habitat once it is restored", gt=0, le=1)
    ] = 1.0,
    neighbours: Annotated[Literal[4, 8], Param("units that touch by an edge (4), or also by a corner (8)")] = 4,
    compact_km: Annotated[
        float | None, Param("largest diameter of a circle around the centres of all restored units", unit="km", gt=0)
    ] = None,
    connected: Annotated[bool, Param("restored units must form one piece by themselves")] = False,
    join: Annotated[list[str] | None, Param("names of the cores to join; none: all cores given")] = None,
    limit_by: Annotated[str, Param("column of zones (or parcels) that holds the names in limits")] = "name",
    cost_column: Annotated[
        str | None, Param("column of parcels with a cost of the whole parcel, in money, added to the others")
    ] = None,
    dispersal_km: Annotated[
        float, Param("cost distance of the dispersal probability; for iic links are shorter than it", unit="km", gt=0)
    ] = 1.0,
    dispersal_probability: Annotated[float, Param("probability to disperse that far", gt=0, lt=1)] = 0.5,
    budgets: Annotated[list[float] | None, Param("budgets of the curve; none: the budget alone", gt=0)] = None,
    portfolio: Annotated[int, Param("how many plans near the best to look for", ge=1)] = 1,
    within_percent: Annotated[
        float, Param("plans of the portfolio lose at most this much of the best gain", unit="%", ge=0, le=100)
    ] = 1.0,
    formalism: Annotated[
        Literal["exact", "restopt"],
        Param(
            "restopt: circles are measured on square units as wide as they are, and ceil(cells x (1 - share)) cells "
            "may stay degraded; exact: in metres, and as many as leave the share reached"
        ),
    ] = "exact",
    time_limit: Annotated[float, Param("time for the plan of one budget, about", unit="s", gt=0)] = 60.0,
    seed: Annotated[int, Param("seed of exchanges and portfolio", ge=0)] = 42,
) -> Restoration:
    """The cells or parcels whose restoration serves connectivity most under a budget, with a proof or the gap to one.

    Planning units are blocks of ``aggregation`` x ``aggregation`` cells; a unit is habitat from ``habitat_threshold``
    up and belongs to the landscape with any cell that has data. A unit that is no habitat may be restored unless a
    share of ``habitat_threshold`` is locked out; what it costs is the area that brings its habitat to
    ``restored_share`` (in money: times the cost of a hectare). One of these is maximised, a the area of patches (in
    ha), A_L that of all units, d the least cost over the units, 8 neighbours, metres x resistance, nothing in habitat:

    - mesh: sum a_i^2 / A_L over patches of touching units (ha)
    - iic: sum_ij a_i a_j / (1 + links on the shortest path) / A_L^2, links where d < ``dispersal_km`` (here d crosses
      third patches and restored land at the resistance of the ground, so that links do not run through them)
    - eca: sqrt(sum_ij a_i a_j p_ij) (ha), p = ``dispersal_probability`` ^ (d / ``dispersal_km``)
    - protconn: 100 eca / A_L (%), habitat being the protected land
    - metapopulation_capacity: the leading eigenvalue of a_i a_j p_ij, i = j included (ha2)

    Areas of land that an action gives a lower habitat value count by it; for mesh and for patches land is habitat when
    the action's value reaches ``habitat_threshold``. Every objective grows with what is restored.

    The status is "optimal" where the plan is proven, else "gap x %": how far the bound on every plan lies above its
    value. Mesh within a circle (``compact_km``), or with at most 64 options, is searched by branch and bound, which
    is a proof when it ends in time; with at most 22 options every objective is. Otherwise plans are grown by gain per
    cost, from single options and from least-cost ways between patches, and improved by exchanges; gains are not
    submodular, so that this alone proves nothing, and the bound comes from relaxations (for mesh a mixed-integer
    program whose connections are cut down lazily; else distances that the budget could pay for at best, and the
    fractional knapsack). Rules other than the budget are left out of bounds, which keeps them valid.

    Raises LinkwaysError for a budget that buys nothing, cores that no candidates can join, rules that no plan keeps,
    costs beside a budget in hectares, degrees taken for metres, and rasters without CRS.

    Examples
    --------
    >>> from linkways import planning, spatial
    >>> habitat = spatial.new_raster([[1, 0, 1, 1], [0, 0, 0, 0], [1, 0, 0, 1]], crs="EPSG:3035", cell_size=100)
    >>> found = planning.restore(habitat, budget=1)
    >>> found.summary[["value_before", "value", "cost", "status"]]
       value_before  value  cost   status
    0      0.583333    1.5   1.0  optimal
    >>> found.plan.values.astype(int)
    array([[2, 3, 2, 2],
           [1, 1, 1, 1],
           [2, 1, 1, 2]])
    """
    from linkways.planning._objectives import objective_of
    from linkways.planning._restore_search import Planner
    from linkways.planning._restore_units import Blocks, actions_of

    _check_budget(budget_unit, cost, actions, parcels, cost_column)
    kinds = actions_of(actions)
    blocks = Blocks(habitat, aggregation)
    inputs = {"cost": cost, "restorable": restorable, "locked_in": locked_in, "locked_out": locked_out}
    curve_budgets = sorted({*(budgets or ()), budget})
    made = _problem(
        blocks,
        kinds,
        inputs,
        resistance,
        parcels,
        cost_column,
        budget=max(curve_budgets),
        money=budget_unit == "money",
        objective=objective,
        threshold=habitat_threshold,
        share=restored_share,
        neighbours=neighbours,
        formalism=formalism,
        diameter_m=math.inf if compact_km is None else compact_km * 1000,
        connected=connected,
        limited=(zones, limits, limit_by),
        joining=(cores, join),
    )
    _check_reach(made.problem, curve_budgets[0], budget_unit)
    aim = objective_of(objective, made.problem, dispersal_m=dispersal_km * 1000, probability=dispersal_probability)
    planner = Planner(made.problem, aim, time_limit, seed)
    plans = _along(planner, curve_budgets)
    best = plans[curve_budgets.index(budget)]
    near = planner.portfolio(best, budget, count=portfolio, within=within_percent / 100)
    return _result(made, aim, plans, curve_budgets, best, budget, near, objective)


@dataclass(frozen=True)
class _Made:
    """The problem with what is needed to show its answers on a map."""

    problem: "Problem"
    blocks: "Blocks"
    actions: "list[Action]"
    action: np.ndarray
    parcel: np.ndarray
    parcels: "gpd.GeoDataFrame | None"
    total_ha: np.ndarray


def _check_budget(budget_unit: str, cost: Any, actions: Any, parcels: Any, cost_column: str | None) -> None:
    from linkways.errors import nearest

    if budget_unit == "money" and cost is None and actions is None and cost_column is None:
        raise LinkwaysError(
            "planning.restore: a budget in money needs costs; give cost (a raster), actions (a table) or cost_column "
            "(of parcels)"
        )
    if budget_unit == "ha" and (cost is not None or cost_column is not None):
        raise LinkwaysError(
            f"planning.restore: {'cost' if cost is not None else 'cost_column'} counts only where the budget is money; "
            "set budget_unit to money, or leave it out"
        )
    if cost_column is not None and parcels is None:
        raise LinkwaysError("planning.restore: cost_column names a column of parcels, and no parcels are given")
    if cost_column is not None and cost_column not in parcels.columns:
        known = [str(c) for c in parcels.columns]
        raise LinkwaysError(f"planning.restore: parcels has no column '{cost_column}'{nearest(cost_column, known)}")


def _problem(
    blocks: "Blocks",
    kinds: "list[Action]",
    inputs: dict[str, Any],
    resistance: "xr.DataArray | None",
    parcels: "gpd.GeoDataFrame | None",
    cost_column: str | None,
    *,
    budget: float,
    money: bool,
    objective: str,
    threshold: float,
    share: float,
    neighbours: int,
    formalism: Literal["exact", "restopt"],
    diameter_m: float,
    connected: bool,
    limited: tuple[Any, Any, str],
    joining: tuple[Any, "list[str] | None"],
) -> _Made:
    from dataclasses import replace

    from linkways.planning import _restore_units as made_of
    from linkways.planning._restore_problem import Problem, Rules
    from linkways.spatial import note

    if objective == "mesh":
        counting = [a for a in kinds if a.habitat >= threshold]
        if not counting:
            raise LinkwaysError(
                f"planning.restore: no action gives land a habitat value of {threshold:g} or more, so that mesh cannot "
                "grow; choose another objective, or lower habitat_threshold"
            )
        for action in kinds:
            if action not in counting:
                note(f"planning.restore: action {action.name} makes no habitat and is left out for mesh")
        kinds = counting
    units, present = made_of.units_of(blocks, threshold, resistance, neighbours, formalism)
    candidates = made_of.Candidates.of(
        blocks, units, present, share=share, threshold=threshold, rule=formalism, **inputs
    )
    if parcels is None:
        options = made_of.options_of_units(candidates, kinds, money, threshold)
        parcel = np.full(options.count, -1)
    else:
        price = None if cost_column is None else _prices(parcels, cost_column)
        options, parcel = made_of.options_of_parcels(blocks, candidates, parcels, kinds, money, threshold, price)
    zone_limit = np.empty(0)
    zones, limits, limit_by = limited
    if limits is not None:
        layer, what = (parcels, "parcels") if zones is None else (zones, "zones")
        if layer is None:
            raise LinkwaysError("planning.restore: limits need zones or parcels whose names they limit; give one")
        names = made_of.names_in(blocks, layer, limit_by, what)
        zone, zone_limit = made_of.zones_of(options, names, limits)
        options = replace(options, zone=zone)
    cores, join = joining
    joined: tuple[int, ...] = ()
    if cores is not None:
        joined = tuple(dict.fromkeys(made_of.core_patches(blocks, units, cores, join).values()))
    elif join is not None:
        raise LinkwaysError("planning.restore: join names cores, and no cores are given; give the layer cores")
    total = np.zeros(units.count)
    total[candidates.unit] = candidates.total_ha
    problem = Problem(units, options, Rules(budget, zone_limit, diameter_m, connected, joined))
    each = options.count // len(kinds)
    return _Made(problem, blocks, kinds, np.arange(options.count) // each, parcel, parcels, total)


def _prices(parcels: "gpd.GeoDataFrame", column: str) -> np.ndarray:
    import pandas as pd

    prices = np.asarray(pd.to_numeric(parcels[column], errors="coerce"), float)
    bad = ~(np.isfinite(prices) & (prices >= 0))
    if bad.any():
        raise LinkwaysError(
            f"planning.restore: column {column} of parcels must hold costs of 0 or more, and {int(bad.sum())} rows do "
            f"not, first the one with index {parcels.index[int(bad.argmax())]}; fill them in or leave these parcels out"
        )
    return prices


def _check_reach(problem: "Problem", budget: float, unit: str) -> None:
    """Refuse budgets that buy nothing and cores that cannot be joined."""
    locked = problem.cost(np.flatnonzero(problem.options.locked))
    shown = unit if unit == "ha" else "of money"
    if locked > budget * (1 + 1e-9):
        raise LinkwaysError(
            f"planning.restore: what is locked in costs {locked:.6g} {shown} and the budget is {budget:.6g}; raise the "
            "budget or lock in less"
        )
    cheapest = float(problem.options.cost.min())
    if cheapest > budget * (1 + 1e-9):
        raise LinkwaysError(
            f"planning.restore: a budget of {budget:.6g} {shown} buys nothing, as the cheapest option costs "
            f"{cheapest:.6g}; raise the budget, or use smaller units"
        )
    if not problem.can_join():
        raise LinkwaysError(
            "planning.restore: the cores cannot be joined even if everything that may be restored is; widen the "
            "candidates (locked_out, restorable, parcels) or join fewer cores"
        )


def _along(planner: "Planner", budgets: Sequence[float]) -> "list[Plan]":
    """The best plan of each budget; what a smaller budget finds is a start for the next."""
    from linkways.spatial import note

    plans = []
    for number, budget in enumerate(budgets):
        progress(number / len(budgets), f"budget {budget:g}")
        plan = planner.best(budget)
        if plan is None:
            raise LinkwaysError(
                f"planning.restore: no plan within a budget of {budget:.6g} keeps all rules (locked in, compact_km, "
                "connected, limits, joined cores); loosen one, raise the budget or the time limit"
            )
        if not plan.chosen:
            raise LinkwaysError(
                f"planning.restore: a budget of {budget:.6g} buys nothing that improves the objective under these "
                "rules; raise the budget, or loosen the rules"
            )
        note(f"planning.restore: budget {budget:.6g}: value {plan.value:.6g}, {_status(plan)}")
        plans.append(plan)
    return plans


def _status(plan: "Plan") -> str:
    return "optimal" if plan.optimal else f"gap {100 * plan.gap:.2g} %"


# --- showing the answer ----------------------------------------------------------------------------------------


def _result(
    made: _Made,
    aim: "Objective",
    plans: "list[Plan]",
    budgets: list[float],
    best: "Plan",
    budget: float,
    near: "list[Plan]",
    objective: str,
) -> Restoration:
    import pandas as pd

    before = aim.value(())
    curve = pd.DataFrame([_row(made, p, b, before) for p, b in zip(plans, budgets, strict=True)])
    summary = pd.DataFrame([{"objective": objective, "value_before": before, **_row(made, best, budget, before)}])
    listed = [
        {"rank": rank, **{k: v for k, v in _row(made, p, budget, before).items() if k in _PORTFOLIO}}
        for rank, p in enumerate(near, start=1)
    ]
    return Restoration(
        _plan_map(made, best),
        _chosen(made, best),
        _frequency(made, near),
        pd.DataFrame(listed),
        curve,
        summary,
        before,
        best.value,
        made.problem.cost(best.chosen),
        float(made.problem.options.restored_ha[list(best.chosen)].sum()),
        100 * best.gap,
    )


_PORTFOLIO = ("value", "gain", "cost", "restored_ha", "chosen")


def _row(made: _Made, plan: "Plan", budget: float, before: float) -> dict[str, Any]:
    problem, chosen = made.problem, list(plan.chosen)
    return {
        "budget": budget,
        "value": plan.value,
        "gain": plan.value - before,
        "cost": problem.cost(chosen),
        "restored_ha": float(problem.options.restored_ha[chosen].sum()),
        "chosen": len(chosen),
        "units": len(np.unique(problem.options.units_of(chosen))),
        "pieces": problem.pieces(chosen),
        "diameter_m": problem.diameter_m(chosen),
        "bound": plan.bound,
        "gap_percent": 100 * plan.gap,
        "status": _status(plan),
    }


def _on_map(made: _Made, values: np.ndarray, name: str, **attrs: Any) -> "xr.DataArray":
    from linkways.spatial import raster_like

    out = np.full(made.blocks.shape, np.nan)
    out.ravel()[made.blocks.inside] = values
    simulated = {k: made.blocks.habitat.attrs[k] for k in ("simulated",) if k in made.blocks.habitat.attrs}
    return raster_like(out, made.blocks.raster, name=name, attrs=simulated | attrs)


def _plan_map(made: _Made, plan: "Plan") -> "xr.DataArray":
    options = made.problem.options
    codes = np.zeros(made.problem.units.count)
    codes[options.unit_of] = 1
    codes[made.problem.units.habitat] = 2
    for option in plan.chosen:
        codes[options.units(option)] = 3 + made.action[option]
    legend = {0: "may not be restored", 1: "may be restored", 2: "habitat"}
    legend |= {3 + place: action.name for place, action in enumerate(made.actions)}
    return _on_map(made, codes, "plan", classes=True, class_names=legend)


def _frequency(made: _Made, near: "list[Plan]") -> "xr.DataArray":
    times = np.zeros(made.problem.units.count)
    for plan in near:
        times[np.unique(made.problem.options.units_of(plan.chosen))] += 1
    return _on_map(made, times / len(near), "frequency", units="1")


def _chosen(made: _Made, plan: "Plan") -> "gpd.GeoDataFrame":
    import geopandas as gpd
    import shapely

    options, blocks = made.problem.options, made.blocks
    chosen = np.array(sorted(plan.chosen), np.int64)
    table: dict[str, Any] = {}
    if made.parcels is None:
        rows, columns = np.divmod(blocks.inside[options.unit_of[options.unit_ptr[chosen]]], blocks.shape[1])
        x, y = blocks.raster.x.values[columns], blocks.raster.y.values[rows]
        width, height = (abs(float(step)) / 2 for step in blocks.raster.rio.resolution())
        outlines: Any = shapely.box(x - width, y - height, x + width, y + height)
        table["row"], table["column"] = rows, columns
    else:
        outlines = made.parcels.geometry.iloc[made.parcel[chosen]].to_numpy()
        table["parcel"] = made.parcels.index[made.parcel[chosen]].to_numpy()
    table["action"] = [made.actions[k].name for k in made.action[chosen]]
    table["cost"] = options.cost[chosen]
    table["restored_ha"] = options.restored_ha[chosen]
    table["total_ha"] = [float(made.total_ha[options.units(o)].sum()) for o in chosen]
    table["units"] = np.diff(options.unit_ptr)[chosen]
    return gpd.GeoDataFrame(table, geometry=outlines, crs=blocks.raster.rio.crs)
