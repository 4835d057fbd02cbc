"""From layers, tables and rasters to the flat arrays of a zoning problem."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.planning._annealing import Links
from linkways.planning._problem import Pairs, Rows, named
from linkways.planning._zones_problem import Ban, Buffer, Goals

if TYPE_CHECKING:
    import pandas as pd
    import scipy.sparse as sp
    import xarray as xr

    from linkways.planning._select_inputs import Units

__all__ = [
    "Holdings",
    "ZoneList",
    "areas_of",
    "bans_of",
    "buffers_of",
    "costs_of",
    "goals_of",
    "holdings_of",
    "limits_of",
    "links_between",
    "planning_units",
    "told_as",
    "weights_of",
    "zones_of",
]

ID = "planning.zones"
NONE, ALL = "none", "all"
KINDS, SENSES = ("absolute", "relative"), (">=", "<=", "=")
LOCKS = ("must", "may", "never")


@contextmanager
def told_as(method: str) -> Iterator[None]:
    """Refusals of the readers that selections share name this method instead."""
    try:
        yield
    except LinkwaysError as error:
        raise LinkwaysError(str(error).replace("planning.select:", f"{method}:", 1)) from error


@dataclass(frozen=True)
class ZoneList:
    """The zones: names, rule texts, colours, and their table."""

    names: tuple[str, ...]
    rules: tuple[str, ...]
    colours: tuple[str, ...]
    table: "pd.DataFrame"

    @property
    def choices(self) -> int:
        """The zones and none."""
        return len(self.names) + 1

    def place(self, value: Any, table: str, row: int, *, none: bool = False) -> int:
        """The choice that a zone's name stands for, 0 for none where that may be said."""
        name = _text(value)
        if none and name.lower() == NONE:
            return 0
        if name not in self.names:
            known = [*self.names, NONE] if none else list(self.names)
            raise LinkwaysError(f"{ID}: {table} names the zone {name} in row {row + 1}{nearest(name, known)}; mend it")
        return self.names.index(name) + 1

    def several(self, value: Any, table: str, row: int, *, none: bool = False) -> np.ndarray:
        """The choices that all, a name or names joined by + stand for."""
        if _text(value).lower() == ALL:
            return np.arange(1, self.choices)
        return np.array(sorted({self.place(part, table, row, none=none) for part in _text(value).split("+")}))


def _text(value: Any) -> str:
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value).strip()


def zones_of(table: "pd.DataFrame") -> ZoneList:
    """The zones of a table with the columns zone and, where present, rule and colour."""
    names = tuple(_text(z) for z in table["zone"])
    for row, name in enumerate(names):
        if name.lower() in (NONE, ALL, "", "nan") or "+" in name:
            raise LinkwaysError(
                f"{ID}: zones has the name '{name}' in row {row + 1}; none, all and + have a meaning of their own, so "
                "give the zone another"
            )
    if len(set(names)) < len(names) or not names:
        twice = next((n for n in names if names.count(n) > 1), "")
        told = f"has the zone {twice} twice" if twice else "holds no zone"
        raise LinkwaysError(f"{ID}: zones {told}; list each zone once")
    reset = table.reset_index(drop=True)
    return ZoneList(names, _words(reset, "rule"), _words(reset, "colour"), reset)


def _words(table: "pd.DataFrame", column: str) -> tuple[str, ...]:
    if column not in table.columns:
        return ("",) * len(table)
    return tuple("" if v is None or v != v else str(v) for v in table[column])


# --- units, costs and areas ------------------------------------------------------------------------------------


def planning_units(units: "pd.DataFrame | None", cost: "xr.DataArray | None") -> "Units":
    """Planning units of a layer or table (its column cost may be missing), or of a raster's cells."""
    from linkways.planning._select_inputs import units_of

    with told_as(ID):
        if units is not None and "cost" not in units.columns:
            units = units.assign(cost=0.0)
        return units_of(units, cost, None, None)


def costs_of(
    units: "Units", zones: ZoneList, costs: "pd.DataFrame | None", rasters: "list[xr.DataArray] | None"
) -> np.ndarray:
    """(n, K) cost of each unit in each choice, none being free.

    The units' own cost times the zone's cost_factor (1 where there is none); rows of the table costs and rasters named
    like zones stand above it.
    """
    table = np.zeros((len(units.names), zones.choices))
    factor = np.ones(len(zones.names))
    if "cost_factor" in zones.table.columns:
        factor = _numbers(zones.table, "cost_factor", "zones")
    table[:, 1:] = units.costs[:, None] * factor
    for raster in rasters or []:
        if units.raster is None:
            raise LinkwaysError(
                f"{ID}: zone_costs are rasters, and the units are no cells of a raster; give costs instead"
            )
        values = np.asarray(raster.data, float)[units.inside]
        table[:, zones.place(raster.name, "zone_costs", 0)] = values
    if costs is not None:
        place = _unit_places(units, costs, "costs")
        choice = [zones.place(z, "costs", row) for row, z in enumerate(costs["zone"])]
        table[place, choice] = _numbers(costs, "cost", "costs")
    wrong = np.argwhere(~np.isfinite(table))
    if len(wrong):
        unit, choice = wrong[0]
        raise LinkwaysError(
            f"{ID}: {len(wrong)} costs are no finite numbers, first that of unit {units.names[unit]} in the zone "
            f"{zones.names[choice - 1]}; give it one, or ban the pair with locks (never)"
        )
    return table


def _unit_places(units: "Units", table: "pd.DataFrame", name: str) -> np.ndarray:
    with told_as(ID):
        return units.index(table["unit"], name, "unit")


def _numbers(table: "pd.DataFrame", column: str, what: str) -> np.ndarray:
    import pandas as pd

    values = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=float)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise LinkwaysError(
            f"{ID}: {what} has {len(wrong)} rows whose {column} is no finite number, first row {wrong[0] + 1} "
            f"({table[column].iloc[wrong[0]]}); mend the column"
        )
    return values


def areas_of(units: "Units") -> np.ndarray | None:
    """(n,) hectares of each unit: of its column area_ha, its shape or its cell; None where none of them tells."""
    from linkways.spatial import cell_geometry

    if units.raster is not None:
        rows = cell_geometry(units.raster).area_m2 / 1e4
        return np.asarray(np.broadcast_to(rows[:, None], units.inside.shape)[units.inside])
    assert units.table is not None
    if "area_ha" in units.table.columns:
        return _numbers(units.table, "area_ha", "units")
    if type(units.table).__name__ != "GeoDataFrame":
        return None
    layer: Any = units.table
    if layer.crs.is_geographic:
        geod = layer.crs.get_geod()
        return np.array([abs(geod.geometry_area_perimeter(g)[0]) for g in layer.geometry]) / 1e4
    metres = float(layer.crs.axis_info[0].unit_conversion_factor)
    return np.asarray(layer.geometry.area, dtype=float) * metres**2 / 1e4


# --- what zones hold -------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Holdings:
    """Features by name, what each unit adds to each in each choice, and what exists in all."""

    features: np.ndarray
    raw: "tuple[sp.csr_array, ...]"
    """K matrices (m, n): the amount in each choice, before contributions; none holds nothing"""
    contribution: np.ndarray
    """(m, K)"""
    totals: np.ndarray

    def row(self, feature: int, choices: np.ndarray, count: int) -> tuple[np.ndarray, np.ndarray]:
        """Columns and values of a row over n K variables: the contributed amounts of a feature in some choices."""
        column, value = [], []
        for k in choices:
            own = self.raw[k][[feature]].tocoo()
            column.append(own.col * count + k)
            value.append(own.data * self.contribution[feature, k])
        join = np.concatenate(value)
        return np.concatenate(column)[join != 0], join[join != 0]


def holdings_of(
    units: "Units",
    zones: ZoneList,
    features: "list[xr.DataArray] | None",
    amounts: "pd.DataFrame | None",
    targets: "pd.DataFrame | None",
    contributions: "pd.DataFrame | None",
) -> Holdings:
    """Amounts of features in units, the same in every zone unless the table amounts has a column zone."""
    import scipy.sparse as sp

    from linkways.planning._select_inputs import amounts_of

    count = len(units.names)
    if amounts is not None and "zone" in amounts.columns:
        names, raw, totals = _by_zone(units, zones, amounts)
    else:
        wanted = None if targets is None else targets.drop_duplicates("feature")
        with told_as(ID):
            found = amounts_of(units, features, amounts, wanted)
        names, totals = found.features, found.totals
        raw = (sp.csr_array((len(names), count)), *[found.matrix] * len(zones.names))
    for matrix in raw:
        if not np.isfinite(matrix.data).all() or (matrix.data < 0).any():
            raise LinkwaysError(f"{ID}: amounts must be finite numbers of 0 or more; write 0 where a feature is absent")
    share = np.ones((len(names), zones.choices))
    share[:, 0] = 0.0
    if contributions is not None:
        _contribute(share, [str(f) for f in names], zones, contributions)
    return Holdings(names, raw, share, totals)


def _by_zone(
    units: "Units", zones: ZoneList, amounts: "pd.DataFrame"
) -> "tuple[np.ndarray, tuple[sp.csr_array, ...], np.ndarray]":
    import pandas as pd
    import scipy.sparse as sp

    codes, names = pd.factorize(amounts["feature"])
    place, values = _unit_places(units, amounts, "amounts"), _numbers(amounts, "amount", "amounts")
    choice = np.array([zones.place(z, "amounts", row) for row, z in enumerate(amounts["zone"])])
    twice = pd.DataFrame({"f": codes, "u": place, "z": choice}).duplicated()
    if twice.any():
        raise LinkwaysError(
            f"{ID}: amounts tells of the same feature, unit and zone twice, again in row "
            f"{int(np.flatnonzero(twice)[0]) + 1}; keep one row"
        )
    shape = (len(names), len(units.names))
    raw = tuple(
        sp.coo_array((values[choice == k], (codes[choice == k], place[choice == k])), shape=shape).tocsr()
        for k in range(zones.choices)
    )
    totals = np.max([np.asarray(r.sum(axis=1)).ravel() for r in raw], axis=0)
    return np.asarray(names, object), raw, totals


def _contribute(share: np.ndarray, names: list[str], zones: ZoneList, table: "pd.DataFrame") -> None:
    values = _numbers(table, "contribution", "contributions")
    for row, (feature, zone) in enumerate(zip(table["feature"], table["zone"], strict=True)):
        name = _text(feature)
        if name.lower() != ALL and name not in names:
            raise LinkwaysError(
                f"{ID}: contributions names the feature {name} in row {row + 1}, which is nowhere present"
                f"{nearest(name, names)}"
            )
        if values[row] < 0:
            raise LinkwaysError(f"{ID}: contributions has {values[row]:g} in row {row + 1}; they are 0 or more")
        own = slice(None) if name.lower() == ALL else names.index(name)
        for k in zones.several(zone, "contributions", row):
            share[own, k] = values[row]


def goals_of(holdings: Holdings, zones: ZoneList, targets: "pd.DataFrame") -> Goals:
    """Targets by feature and zone; relative ones are shares of all there is of the feature."""
    import scipy.sparse as sp

    if "type" not in targets.columns:
        raise LinkwaysError(f"{ID}: targets has no column 'type', and needs it to say absolute or relative; add it")
    known = [str(f) for f in holdings.features]
    values = _numbers(targets, "target", "targets")
    weight = _numbers(targets, "weight", "targets") if "weight" in targets.columns else np.ones(len(targets))
    if (weight < 0).any():
        raise LinkwaysError(f"{ID}: targets has weights below 0; weights are 0 or more")
    count, parts = zones.choices, []
    for row in range(len(targets)):
        name, kind = _text(targets["feature"].iloc[row]), _text(targets["type"].iloc[row])
        zone = _text(targets["zone"].iloc[row]) if "zone" in targets.columns else ALL
        sense = _text(targets["sense"].iloc[row]) if "sense" in targets.columns else ">="
        if name not in known:
            raise LinkwaysError(
                f"{ID}: targets names the feature {name} in row {row + 1}, which is nowhere present"
                f"{nearest(name, known)}"
            )
        if kind not in KINDS or sense not in SENSES or values[row] < 0 or (kind == "relative" and values[row] > 1):
            raise LinkwaysError(
                f"{ID}: targets has the {kind} target {sense} {values[row]:g} in row {row + 1}; types are absolute and "
                "relative (0 to 1), senses >=, <= and =, and targets are 0 or more"
            )
        j = known.index(name)
        amount = values[row] * (holdings.totals[j] if kind == "relative" else 1.0)
        columns, factors = holdings.row(j, zones.several(zone, "targets", row), count)
        both = (">=", "<=") if sense == "=" else (sense,)
        parts += [(j, zone, one, amount, weight[row], columns, factors) for one in both]
    n = holdings.raw[0].shape[1]
    rows = [sp.csr_array((p[6], (np.zeros(len(p[5]), int), p[5])), shape=(1, n * count)) for p in parts]
    names = [f"{known[p[0]]} {p[2]} {p[3]:.6g}" + ("" if p[1].lower() == ALL else f" in {p[1]}") for p in parts]
    return Goals(
        tuple(names),
        np.array([p[0] for p in parts]),
        tuple(p[1] for p in parts),
        sp.vstack(rows).tocsr() if rows else sp.csr_array((0, n * count)),
        np.array([p[2] == "<=" for p in parts], bool),
        np.array([p[3] for p in parts]),
        np.array([p[4] for p in parts]),
        np.full(len(parts), np.inf),
    )


# --- what is allowed -------------------------------------------------------------------------------------------


def bans_of(units: "Units", zones: ZoneList, locks: "pd.DataFrame | None", mandatory: bool) -> tuple[Ban, ...]:
    """What units may not have: by locks (must, may, never), and no zone where a zone is mandatory."""
    from linkways.planning._coverage_inputs import flags

    every = np.arange(len(units.names))
    bans = []
    needed = every if mandatory else every[:0]
    if not mandatory and units.table is not None:
        needed = np.flatnonzero(flags(units.table, "mandatory", ID))
    if len(needed):
        bans.append(Ban(f"a zone for each of {len(needed)} units", needed, np.zeros(len(needed), int)))
    if locks is None:
        return tuple(bans)
    kinds: dict[tuple[str, int], list[np.ndarray]] = {}
    for row in range(len(locks)):
        lock = _text(locks["lock"].iloc[row]).lower()
        if lock not in LOCKS:
            raise LinkwaysError(f"{ID}: locks has '{lock}' in row {row + 1}, and may have must, may or never")
        choice = zones.place(locks["zone"].iloc[row], "locks", row, none=True)
        kinds.setdefault((lock, choice), []).append(_locked_units(units, locks, row))
    label = [NONE, *zones.names]
    for (lock, choice), groups in sorted(kinds.items()):
        own = np.unique(np.concatenate(groups))
        if lock == "never":
            bans.append(Ban(f"{len(own)} units never in {label[choice]}", own, np.full(len(own), choice)))
        elif lock == "must":
            others = [k for k in range(zones.choices) if k != choice]
            name = f"{len(own)} units locked in {label[choice]}"
            bans.append(Ban(name, np.repeat(own, len(others)), np.tile(others, len(own))))
    return (*bans, *_may_only(units, zones, {c: np.concatenate(g) for (k, c), g in kinds.items() if k == "may"}))


def _may_only(units: "Units", zones: ZoneList, may: dict[int, np.ndarray]) -> list[Ban]:
    """Units that are listed with zones that they may have, may have no others; none stays open to them."""
    if not may:
        return []
    listed = np.zeros((len(units.names), zones.choices), bool)
    for choice, own in may.items():
        listed[own, choice] = True
    some = np.asarray(listed.any(axis=1))
    listed[:, 0] = True
    unit, barred = np.nonzero(some[:, None] & ~listed)
    return [Ban(f"{int(some.sum())} units that may have certain zones only", unit, barred)]


def _locked_units(units: "Units", locks: "pd.DataFrame", row: int) -> np.ndarray:
    if "unit" in locks.columns and _text(locks["unit"].iloc[row]).lower() not in ("", "nan", "none"):
        with told_as(ID):
            return units.index([locks["unit"].iloc[row]], "locks", "unit")
    if "group" not in locks.columns or units.table is None or "group" not in units.table.columns:
        raise LinkwaysError(
            f"{ID}: locks names no unit in row {row + 1}, and a group needs the column group in locks and in units"
        )
    name = _text(locks["group"].iloc[row])
    groups = [_text(g) for g in units.table["group"]]
    own = np.flatnonzero(np.array(groups) == name)
    if not len(own):
        raise LinkwaysError(f"{ID}: locks names the group {name} in row {row + 1}, and no unit is in it"
                            f"{nearest(name, set(groups))}")  # fmt: skip
    return own


def limits_of(
    units: "Units", zones: ZoneList, cost: np.ndarray, areas: np.ndarray | None, budget: float | None
) -> Rows:
    """Budgets, and least and most hectares of the zones, as rows over n K variables."""
    import scipy.sparse as sp

    count, size = zones.choices, len(units.names) * zones.choices
    rows = [] if budget is None else [(f"the budget ({budget:.6g})", np.arange(size), cost.ravel(), -np.inf, budget)]
    for column, words, unit in (("least_ha", "least", " ha"), ("most_ha", "most", " ha"), ("budget", "the budget", "")):
        limits = list(zones.table[column]) if column in zones.table.columns else []
        for k, value in enumerate(limits, start=1):
            if value is None or value != value:
                continue
            if areas is None and unit:
                raise LinkwaysError(
                    f"{ID}: zones limits hectares ({column}), and units tells none; give units a column area_ha, or "
                    "shapes"
                )
            factor = areas if areas is not None and unit else cost[:, k]
            ends = (float(value), np.inf) if column == "least_ha" else (-np.inf, float(value))
            name = f"{words} of {zones.names[k - 1]} ({float(value):.6g}{unit})"
            rows.append((name, np.arange(k, size, count), factor, *ends))
    blocks = [sp.csr_array((r[2], (np.zeros(len(r[1]), int), r[1])), shape=(1, size)) for r in rows]
    return Rows(
        tuple(r[0] for r in rows),
        sp.vstack(blocks).tocsr() if blocks else sp.csr_array((0, size)),
        np.array([r[3] for r in rows]),
        np.array([r[4] for r in rows]),
    )


# --- what lies beside each other -------------------------------------------------------------------------------


def weights_of(zones: ZoneList, table: "pd.DataFrame | None", name: str, default: np.ndarray) -> np.ndarray:
    """(K, K) symmetric weights of pairs of choices; pairs that the table leaves out weigh 0."""
    if table is None:
        return default
    weights = np.zeros((zones.choices, zones.choices))
    told: dict[tuple[int, int], float] = {}
    values = _numbers(table, "weight", name)
    for row in range(len(table)):
        a = zones.place(table["zone_a"].iloc[row], name, row, none=True)
        b = zones.place(table["zone_b"].iloc[row], name, row, none=True)
        if told.setdefault((min(a, b), max(a, b)), values[row]) != values[row]:
            raise LinkwaysError(f"{ID}: {name} has another weight for the same two zones in row {row + 1}; keep one")
        weights[a, b] = weights[b, a] = values[row]
    return weights


def links_between(pairs: Pairs, weights: np.ndarray, factor: float) -> tuple[Links, ...]:
    """The pairs as links that cost the factor times their length times the weight, none where nothing costs."""
    if not len(pairs) or not weights.any() or factor == 0:
        return ()
    return (Links(Pairs(pairs.a, pairs.b, pairs.value * factor), weights),)


def buffers_of(
    units: "Units", zones: ZoneList, table: "pd.DataFrame | None", neighbours: Pairs, allowed: np.ndarray
) -> tuple[Buffer, ...]:
    """Zones that need others around them, within one shared edge or within a distance between centres."""
    if table is None:
        return ()
    buffers = []
    outside = ~np.asarray(allowed[:, 1:].any(axis=1))
    for row in range(len(table)):
        choice = zones.place(table["zone"].iloc[row], "buffers", row)
        around = np.zeros(zones.choices, bool)
        around[zones.several(table["around"].iloc[row], "buffers", row, none=True)] = True
        around[choice] = True
        far = table["distance_m"].iloc[row] if "distance_m" in table.columns else None
        pairs, words = neighbours, ""
        if far is not None and far == far:
            pairs, words = pairs_within(units, float(far)), f" within {float(far):g} m"
        # a unit that may have no zone at all is outside of the plan
        inside = ~outside[pairs.a] & ~outside[pairs.b]
        shown = named([[NONE, *zones.names][k] for k in np.flatnonzero(around) if k != choice] or ["itself only"])
        name = f"{zones.names[choice - 1]} with {shown} around it{words}"
        buffers.append(Buffer(name, Pairs(pairs.a[inside], pairs.b[inside], pairs.value[inside]), choice, around))
    return tuple(buffers)


def pairs_within(units: "Units", far_m: float) -> Pairs:
    """Pairs of units whose centres lie at most so many metres apart, straight through the ground."""
    from scipy.spatial import cKDTree

    tree = cKDTree(_centres(units))
    found = tree.query_pairs(far_m * (1 + 1e-9), output_type="ndarray")
    return Pairs(found[:, 0].astype(np.int64), found[:, 1].astype(np.int64), np.ones(len(found)))


def _centres(units: "Units") -> np.ndarray:
    """(n, 2 or 3) metres: on the map, or from the Earth's centre where coordinates are degrees."""
    if units.raster is not None:
        crs = units.raster.rio.crs
        row, column = np.nonzero(units.inside)
        x, y = (np.asarray(units.raster[axis].data, float) for axis in ("x", "y"))
        points, geographic = np.column_stack([x[column], y[row]]), crs.is_geographic
        factor = 1.0 if geographic else crs.linear_units_factor[1]
    else:
        layer: Any = units.table
        if type(layer).__name__ != "GeoDataFrame":
            raise LinkwaysError(
                f"{ID}: buffers with a distance need shapes, and units is a table; leave distance_m out"
            )
        centre = layer.geometry.representative_point() if layer.crs.is_geographic else layer.geometry.centroid
        points, geographic = np.column_stack([centre.x, centre.y]), layer.crs.is_geographic
        factor = 1.0 if geographic else layer.crs.axis_info[0].unit_conversion_factor
    if not geographic:
        return points * factor
    from pyproj import Transformer

    return np.column_stack(
        Transformer.from_crs(4979, 4978, always_xy=True).transform(points[:, 0], points[:, 1], np.zeros(len(points)))
    )
