"""Which zone each planning unit gets, so that zones together deliver what is wanted of them."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.method import Indicator, Layer, Param, Raster, Table, TableOf, method, progress

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

    from linkways.planning._problem import Pairs
    from linkways.planning._select_inputs import Boundary, Units
    from linkways.planning._zones_inputs import Holdings, ZoneList
    from linkways.planning._zones_problem import ZoneProblem
    from linkways.planning._zones_solve import ZonePlan

__all__ = ["Zoning", "zones"]

ID = "planning.zones"
OF_A_ZONE = ("zone", "rule", "cost_factor", "least_ha", "most_ha", "budget")
"""Columns of the table of zones that planning.zones itself has a use for; the others go with the plan."""
BUDGETED = ("min_shortfall", "min_largest_shortfall", "max_features")


@dataclass(frozen=True)
class Zoning:
    """A zoning, the rules of its zones and what each delivers, and how good it is known to be."""

    plan: Annotated[
        "gpd.GeoDataFrame | pd.DataFrame | xr.DataArray",
        Layer(
            "planning units: zone (none: in no zone), number, rule, cost, colour and further columns of the zones; a "
            "raster has the zones' numbers, 0 for none"
        ),
    ]
    zoning: Annotated[
        "pd.DataFrame",
        TableOf("zones: number, zone, rule, colour, units, area_ha, cost, targets_met of targets_set in it"),
    ]
    delivered: Annotated[
        "pd.DataFrame",
        TableOf(
            "zones and features: amount in the zone, contribution, delivered (amount x contribution), share of all"
        ),
    ]
    features: Annotated[
        "pd.DataFrame",
        TableOf("targets: feature, zone, sense, target, held, shortfall (share of the target), met, weight"),
    ]
    borders: Annotated[
        "pd.DataFrame",
        TableOf(
            "pairs of zones: edge that they share, in m or the boundary table's unit; outside: shared with no unit"
        ),
    ]
    summary: Annotated[
        "pd.DataFrame",
        TableOf("the zoning in one row: problem, objective, bound, relaxed_bound, gap_percent, status, solver, units"),
    ]
    objective: Annotated[float, Indicator("value of the objective, penalties with it")]
    bound: Annotated[float, Indicator("what no zoning can better")]
    gap_percent: Annotated[float, Indicator("how far the zoning may be from the best; 0: the optimum", unit="%")]
    cost: Annotated[float, Indicator("what the zoned units cost")]
    zoned: Annotated[int, Indicator("units that are in a zone")]
    targets_met: Annotated[int, Indicator("targets that are met")]


@method(
    ID,
    references=(
        "Watts ME, Ball IR, Stewart RS, et al. (2009) Marxan with Zones: software for optimal conservation based land- "
        "and sea-use zoning. Environmental Modelling & Software 24:1513-1521",
        "Hanson JO, Schuster R, Strimas-Mackey M, et al. (2025) Systematic conservation prioritization with the "
        "prioritizr R package. Conservation Biology 39:e14376 (objectives, mandatory allocation)",
        "Ball IR, Possingham HP, Watts M (2009) Marxan and relatives: software for spatial conservation "
        "prioritisation. In: Spatial conservation prioritisation, Oxford University Press, 185-195 (annealing)",
        "Chinneck JW, Dravnieks EW (1991) Locating minimal infeasible constraint sets in linear programs. ORSA "
        "Journal on Computing 3:157-168 (clashes)",
        "Huangfu Q, Hall JAJ (2018) Parallelizing the dual revised simplex method. Mathematical Programming "
        "Computation 10:119-142 (HiGHS)",
    ),
)
def zones(
    units: Annotated[
        "pd.DataFrame | None",
        Table(
            "planning units, a layer or a table: unit (name) and, when present, cost, group, mandatory (true or "
            "false), area_ha"
        ),
    ] = None,
    zones: Annotated[
        "pd.DataFrame | None",
        Table(
            "zones: zone (name), rule (text) and, when present, colour, cost_factor, least_ha, most_ha, budget; other "
            "columns, as the resistance of land under the rule, are handed on to the plan",
            columns=("zone",),
        ),
    ] = None,
    targets: Annotated[
        "pd.DataFrame | None",
        Table(
            "what is wanted of a feature: target, type (absolute; relative, a share of all there is) and, when "
            "present, zone (a name, names joined by +, all), sense (>=, <=, =) and weight",
            columns=("feature", "target"),
        ),
    ] = None,
    amounts: Annotated[
        "pd.DataFrame | None",
        Table("how much of a feature a unit holds; with a column zone: in that zone", ("unit", "feature", "amount")),
    ] = None,
    contributions: Annotated[
        "pd.DataFrame | None",
        Table(
            "how much of a feature's amount counts in a zone, 1 where nothing is said; all stands for every feature or "
            "zone",
            columns=("feature", "zone", "contribution"),
        ),
    ] = None,
    costs: Annotated[
        "pd.DataFrame | None",
        Table("cost of a unit in a zone, in place of its cost times cost_factor", columns=("unit", "zone", "cost")),
    ] = None,
    locks: Annotated[
        "pd.DataFrame | None",
        Table(
            "zone (none: in no zone) that a unit, or the units of a group, must have, may have (one of those listed) "
            "or never have: unit or group, zone, lock (must, may, never)",
            columns=("zone", "lock"),
        ),
    ] = None,
    buffers: Annotated[
        "pd.DataFrame | None",
        Table(
            "zones that need others around them: around (names joined by +; none: in no zone) and, when present, "
            "distance_m between centres, else every unit that shares an edge",
            columns=("zone", "around"),
        ),
    ] = None,
    boundary: Annotated[
        "pd.DataFrame | None",
        Table(
            "shared edges of units; a unit with itself: its edge shared with none; left out: measured in m from shapes "
            "or cells",
            columns=("unit_a", "unit_b", "length"),
        ),
    ] = None,
    zone_boundaries: Annotated[
        "pd.DataFrame | None",
        Table(
            "weight of an edge between two zones (or a zone and none), below 0 where they suit each other; 0 where "
            "nothing is said; without the table 1 between any two and 0 within",
            columns=("zone_a", "zone_b", "weight"),
        ),
    ] = None,
    connectivity: Annotated[
        "pd.DataFrame | None",
        Table("strength of the link between two units", columns=("unit_a", "unit_b", "strength")),
    ] = None,
    zone_connectivity: Annotated[
        "pd.DataFrame | None",
        Table(
            "worth of a link between two zones; 0 where nothing is said; without the table 1 within each zone",
            columns=("zone_a", "zone_b", "weight"),
        ),
    ] = None,
    cells: Annotated[
        "xr.DataArray | None",
        Raster("in place of units: cost of each cell, nodata where there is no planning unit"),
    ] = None,
    features: Annotated[
        "list[xr.DataArray] | None",
        Raster("in place of amounts: a raster per feature; on the grid of cells, or summed over the units", many=True),
    ] = None,
    zone_costs: Annotated[
        "list[xr.DataArray] | None",
        Raster("cost of each cell in a zone, each raster named like its zone (with cells)", many=True),
    ] = None,
    *,
    objective: Annotated[
        Literal["min_set", "min_shortfall", "min_largest_shortfall", "max_features"],
        Param("least cost that meets all targets; least sum of shares missed; least largest share missed; most met"),
    ] = "min_set",
    mandatory: Annotated[bool, Param("every unit gets a zone; else those marked so in units")] = False,
    budget: Annotated[float | None, Param("most that the zoned units may cost", ge=0)] = None,
    boundary_penalty: Annotated[float, Param("cost of a unit of weighted edge", ge=0)] = 0.0,
    edge_factor: Annotated[
        float, Param("how much of an edge counts that no other unit shares, as if none lay beyond it", ge=0, le=1)
    ] = 0.0,
    connectivity_penalty: Annotated[float, Param("worth of a unit of weighted connectivity, as a cost", ge=0)] = 0.0,
    solver: Annotated[
        Literal["auto", "exact", "annealing"],
        Param("HiGHS; simulated annealing with a bound beside it; auto: exact up to 60,000 variables"),
    ] = "auto",
    iterations: Annotated[
        int | None,
        Param("trial moves of the annealing; left out: 1,000,000 as in Marxan, or 200 for each unit where more", ge=1),
    ] = None,
    seed: Annotated[int, Param("of the annealing", ge=0)] = 0,
    gap_percent: Annotated[float, Param("a zoning so near the bound is good enough", unit="%", ge=0, lt=100)] = 0.0,
    time_limit_s: Annotated[float, Param("for the exact solver, and again for the annealing", unit="s", gt=0)] = 300.0,
) -> Zoning:
    """Which zone each planning unit gets: the least cost that meets all targets, or the most that budgets can do.

    Every unit gets one zone or none. With x_iz whether unit i is in zone z, the costs c_iz, the amounts r_ij of
    features and their contributions k_jz a target is ``sum_i sum_z k_jz r_ij x_iz >= T``, z over the zones that it
    names. min_set: least ``sum c_iz x_iz``; min_shortfall: least ``sum w max(0, 1 - held / T)``;
    min_largest_shortfall: the least largest of these; max_features: most ``sum w [held >= T]``. Targets of the sense <=
    are limits under every objective. Added to the objective (taken off where most is best) are the boundary penalty
    times ``sum_ij length_ij W[z_i, z_j]`` over units that share an edge, and less the worth of connectivity times
    ``sum_ij s_ij V[z_i, z_j]``.

    A buffer means: beside each unit of the zone (all that share an edge with it, or whose centres lie within the
    distance) lie only units of the zone itself, of the zones around it, or units that may have no zone at all. Cells of
    a raster are named by their number in reading order from 0 (row x columns + column).

    HiGHS solves the problem to a proven best zoning or a stated gap; larger problems are annealed (Metropolis moves of
    one unit to another zone, then repair and iterative improvement) with the bound of the linear relaxation beside
    them; from 300,000 variables on the bound takes every pair of units to cost the least that it can. The objective is
    computed anew from the arrays, and so is relaxed_bound, by weak duality.

    Raises LinkwaysError for names of units, features and zones that do not match, targets and weights that are not
    numbers, budgets that an objective lacks, and demands that cannot be met together (a smallest set that clashes is
    named: targets, budgets, hectares, locks, mandatory zones and buffers).

    Examples
    --------
    >>> import pandas as pd
    >>> from linkways import planning
    >>> units = pd.DataFrame({"unit": ["a", "b", "c"], "cost": [3.0, 2.0, 2.5], "frog": [4, 2, 2]})
    >>> rules = ["No felling.", "Shade trees."]
    >>> table = pd.DataFrame({"zone": ["reserve", "farm"], "rule": rules, "cost_factor": [2, 1]})
    >>> targets = pd.DataFrame({"feature": ["frog"], "target": [5.0], "type": "absolute"})
    >>> half = pd.DataFrame({"feature": ["frog"], "zone": ["farm"], "contribution": [0.5]})
    >>> found = planning.zones(units, table, targets, contributions=half)
    >>> found.plan.zone.tolist(), found.cost, found.summary.status[0]
    (['reserve', 'farm', 'none'], 8.0, 'optimal')
    """
    from linkways.planning import _zones_inputs as given
    from linkways.planning._zones_problem import ZoneProblem
    from linkways.planning._zones_solve import Search, best_zones

    if zones is None or targets is None:
        raise LinkwaysError(f"{ID}: give the tables zones and targets")
    listed = given.zones_of(zones)
    if objective in BUDGETED and budget is None and "budget" not in listed.table.columns:
        raise LinkwaysError(f"{ID}: {objective} needs a budget, or a column budget in zones")
    planned = given.planning_units(units, cells)
    bans = given.bans_of(planned, listed, locks, mandatory)
    prices = given.costs_of(planned, listed, costs, zone_costs)
    holdings = given.holdings_of(planned, listed, features, amounts, targets, contributions)
    goals = given.goals_of(holdings, listed, targets)
    needed = boundary_penalty > 0 or _beside(buffers)
    edges = _edges(planned, boundary, needed)
    apart = 1.0 - np.eye(listed.choices)
    apart_weights = given.weights_of(listed, zone_boundaries, "zone_boundaries", apart)
    within = np.diag(np.r_[0.0, np.ones(len(listed.names))])
    within_weights = given.weights_of(listed, zone_connectivity, "zone_connectivity", within)
    strengths = _links(planned, connectivity, connectivity_penalty)
    areas = given.areas_of(planned)
    problem = ZoneProblem(
        objective,
        planned.names,
        listed.names,
        prices,
        boundary_penalty * edge_factor * edges.exposed[:, None] * apart_weights[:, 0],
        bans,
        holdings.features,
        goals,
        given.limits_of(planned, listed, prices, areas, budget),
        given.links_between(edges.pairs, apart_weights, boundary_penalty)
        + given.links_between(strengths, within_weights, -connectivity_penalty),
        (),
    )
    beside = given.buffers_of(planned, listed, buffers, edges.pairs, problem.allowed())
    problem = _with_buffers(problem, beside)
    progress(0.1, "solving")
    trials = iterations or max(1_000_000, 200 * problem.n)
    search = Search(solver, gap_percent / 100, time_limit_s, trials, seed)
    plan = best_zones(problem, search, ID)
    progress(0.9, "result")
    return _result(planned, listed, holdings, problem, plan, edges, areas)


# --- inputs ----------------------------------------------------------------------------------------------------


def _beside(buffers: "pd.DataFrame | None") -> bool:
    """Whether a buffer asks for units that share an edge."""
    return buffers is not None and ("distance_m" not in buffers.columns or bool(buffers["distance_m"].isna().any()))


def _edges(units: "Units", table: "pd.DataFrame | None", needed: bool) -> "Boundary":
    from linkways.planning._problem import Pairs
    from linkways.planning._select_inputs import Boundary, boundary_of
    from linkways.planning._zones_inputs import told_as

    if table is None and not needed:
        return Boundary(Pairs(), np.zeros(len(units.names)))
    with told_as(ID):
        return boundary_of(units, table)


def _links(units: "Units", table: "pd.DataFrame | None", penalty: float) -> "Pairs":
    from linkways.planning._problem import Pairs
    from linkways.planning._select_inputs import links_of
    from linkways.planning._zones_inputs import told_as

    if table is None:
        if penalty > 0:
            raise LinkwaysError(f"{ID}: a connectivity penalty needs the table connectivity")
        return Pairs()
    with told_as(ID):
        return links_of(units, table, False)


def _with_buffers(problem: "ZoneProblem", buffers: Any) -> "ZoneProblem":
    from dataclasses import replace

    return replace(problem, buffers=buffers)


# --- results ---------------------------------------------------------------------------------------------------


def _result(
    units: "Units",
    listed: "ZoneList",
    holdings: "Holdings",
    problem: "ZoneProblem",
    plan: "ZonePlan",
    edges: "Boundary",
    areas: np.ndarray | None,
) -> Zoning:
    targets = _targets(problem, plan.choice)
    return Zoning(
        _drawn(units, listed, problem, plan.choice),
        _zone_table(listed, problem, plan.choice, areas, targets),
        _delivered(listed, holdings, plan.choice),
        targets,
        _borders(listed, plan.choice, edges),
        _summary(problem, plan),
        plan.value,
        plan.bound,
        100 * plan.gap,
        problem.paid(plan.choice),
        int((plan.choice > 0).sum()),
        int(targets["met"].sum()),
    )


def _drawn(units: "Units", listed: "ZoneList", problem: "ZoneProblem", choice: np.ndarray) -> Any:
    """The zones of units on their raster, or beside their names in their table or layer."""
    from linkways.spatial import raster_like

    if units.raster is not None:
        cells = np.full(units.inside.shape, np.nan)
        cells[units.inside] = choice
        names_of = dict(enumerate(("none", *listed.names)))
        return raster_like(cells, units.raster, name="zone", attrs={"classes": True, "class_names": names_of})
    assert units.table is not None
    kept = [c for c in ("unit", "group") if c in units.table.columns]
    shape = [units.table.geometry.name] if type(units.table).__name__ == "GeoDataFrame" else []
    table = units.table[[*kept, *shape]].copy()
    names, rules = np.array(["none", *listed.names], object), np.array(["", *listed.rules], object)
    columns = {
        "zone": names[choice],
        "number": choice,
        "rule": rules[choice],
        "cost": problem.cost[np.arange(problem.n), choice],
    }
    for name in [c for c in listed.table.columns if c not in (*OF_A_ZONE, *columns, *kept, *shape)]:
        columns[str(name)] = listed.table[name].reindex(choice - 1).to_numpy()
    for at, (name, values) in enumerate(columns.items(), start=len(kept)):
        table.insert(at, name, values)
    return table


def _zone_table(
    listed: "ZoneList", problem: "ZoneProblem", choice: np.ndarray, areas: np.ndarray | None, targets: "pd.DataFrame"
) -> "pd.DataFrame":
    import pandas as pd

    count = listed.choices
    cost = np.bincount(choice, problem.cost[np.arange(problem.n), choice], count)
    hectares = np.full(count, np.nan) if areas is None else np.bincount(choice, areas, count)
    own = [targets[[name in str(z).split("+") for z in targets["zone"]]] for name in listed.names]
    return pd.DataFrame(
        {
            "number": np.arange(1, count),
            "zone": listed.names,
            "rule": listed.rules,
            "colour": listed.colours,
            "units": np.bincount(choice, minlength=count)[1:],
            "area_ha": hectares[1:],
            "cost": cost[1:],
            "targets_met": [int(t["met"].sum()) for t in own],
            "targets_set": [len(t) for t in own],
        }
    )


def _delivered(listed: "ZoneList", holdings: "Holdings", choice: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    tables = []
    for k, name in enumerate(listed.names, start=1):
        amount = np.asarray(holdings.raw[k] @ (choice == k).astype(float))
        delivered = amount * holdings.contribution[:, k]
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.where(holdings.totals > 0, delivered / holdings.totals, np.nan)
        columns = {
            "zone": name,
            "feature": holdings.features,
            "amount": amount,
            "contribution": holdings.contribution[:, k],
            "delivered": delivered,
            "share": share,
        }
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def _targets(problem: "ZoneProblem", choice: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    goals, held, short = problem.goals, problem.held(choice), problem.shortfall(choice)
    kept = held <= goals.target + 1e-6 * np.maximum(goals.target, 1e-300)
    return pd.DataFrame(
        {
            "feature": problem.features[goals.feature],
            "zone": goals.zone,
            "sense": np.where(goals.most, "<=", ">="),
            "target": goals.target,
            "held": held,
            "shortfall": short,
            "met": np.where(goals.most, kept, short == 0),
            "weight": goals.weight,
        }
    )


def _borders(listed: "ZoneList", choice: np.ndarray, edges: "Boundary") -> "pd.DataFrame":
    import pandas as pd

    names = np.array(["none", *listed.names], object)
    a, b = choice[edges.pairs.a], choice[edges.pairs.b]
    low, high = np.minimum(a, b), np.maximum(a, b)
    inner = pd.DataFrame(
        {"zone_a": names[low], "zone_b": names[high], "length": edges.pairs.value, "a": low, "b": high}
    )
    outer = pd.DataFrame({"zone_a": names[choice], "zone_b": "outside", "length": edges.exposed, "a": choice, "b": -1})
    both = pd.concat([inner, outer[outer["length"] > 0]]).groupby(["a", "b", "zone_a", "zone_b"], as_index=False)
    return both[["length"]].sum()[["zone_a", "zone_b", "length"]]


def _summary(problem: "ZoneProblem", plan: "ZonePlan") -> "pd.DataFrame":
    import pandas as pd

    row = {
        "problem": problem.objective,
        "objective": plan.value,
        "bound": plan.bound,
        "relaxed_bound": plan.relaxed,
        "gap_percent": 100 * plan.gap,
        "status": "optimal" if plan.gap == 0 else f"gap {100 * plan.gap:.2g} %",
        "solver": plan.solver,
        "units": problem.n,
        "zones": len(problem.zones),
        "targets": len(problem.goals),
        "penalty": problem.penalty(plan.choice),
    }
    return pd.DataFrame([row])
