"""From layers, tables and rasters to the flat arrays of a selection problem."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.planning._boundary_lengths import grid_boundary, polygon_boundary
from linkways.planning._problem import Pairs, Rows, named

if TYPE_CHECKING:
    import pandas as pd
    import scipy.sparse as sp
    import xarray as xr

    from linkways.planning._select_principles import Principles

__all__ = [
    "Amounts",
    "Boundary",
    "Units",
    "amounts_of",
    "boundary_of",
    "links_of",
    "principles_of",
    "rows_of",
    "targets_of",
    "units_of",
]

ID = "planning.select"
SENSES = ("<=", ">=", "=")


@dataclass(frozen=True)
class Units:
    """Planning units: names, costs, locks, and the table or raster they come from."""

    names: np.ndarray
    costs: np.ndarray
    locked_in: np.ndarray
    locked_out: np.ndarray
    table: "pd.DataFrame | None"
    raster: "xr.DataArray | None"
    inside: np.ndarray
    """(rows, columns) which cells are units, (0, 0) for a table."""

    def index(self, values: Any, table: str, column: str) -> np.ndarray:
        """The place of each named unit; refused where a name is not among the units."""
        place = _places(self.names, values)
        unknown = np.flatnonzero(place < 0)
        if len(unknown):
            wrong = list(dict.fromkeys(str(v) for v in np.asarray(values)[unknown[:1000]]))
            raise LinkwaysError(
                f"{ID}: {table} names units that are not among the planning units ({named(wrong)}; {len(unknown)} "
                f"rows, first row {unknown[0] + 1}, column {column}); use the names of the column unit"
            )
        return place

    def areas_km2(self) -> np.ndarray | None:
        """Area of each unit: a column area_km2, else of its shape or cell; None where nothing tells it."""
        if self.raster is not None:
            from linkways.spatial import cell_geometry

            rows = np.nonzero(self.inside)[0]
            return np.asarray(cell_geometry(self.raster).area_m2[rows] / 1e6)
        assert self.table is not None
        if "area_km2" in self.table.columns:
            return _numbers(self.table, "area_km2", "units")
        if type(self.table).__name__ != "GeoDataFrame":
            return None
        shapes, crs = self.table.geometry, self.table.geometry.crs
        if not crs.is_geographic:
            return np.asarray(shapes.area) * float(crs.axis_info[0].unit_conversion_factor) ** 2 / 1e6
        geod = crs.get_geod()
        return np.array([abs(geod.geometry_area_perimeter(shape)[0]) for shape in shapes]) / 1e6

    def drawn(self, values: np.ndarray, name: str) -> Any:
        """Values of the units on their raster, or beside their names in their table or layer."""
        from linkways.spatial import raster_like

        if self.raster is not None:
            cells = np.full(self.inside.shape, np.nan)
            cells[self.inside] = values
            return raster_like(cells, self.raster, name=name, units="1")
        assert self.table is not None
        kept = [c for c in ("unit", "cost", "group", "locked_in", "locked_out") if c in self.table.columns]
        shape = [self.table.geometry.name] if type(self.table).__name__ == "GeoDataFrame" else []
        table = self.table[[*kept, *shape]].copy()
        table.insert(len(kept), name, values)
        return table


@dataclass(frozen=True)
class Amounts:
    """Features by name, their amounts in the units, and what exists of them in all."""

    features: np.ndarray
    matrix: "sp.csr_array"
    totals: np.ndarray


@dataclass(frozen=True)
class Boundary:
    """Shared edges of units, and of each unit what it shares with none."""

    pairs: Pairs
    exposed: np.ndarray


def _key(values: Any) -> np.ndarray:
    """Names as they compare: whole numbers without a decimal point, all else as text without blanks around."""
    array = np.asarray(values)
    if array.dtype.kind in "iub":
        return array.astype(np.int64)
    if array.dtype.kind == "f" and len(array) and np.isfinite(array).all() and (array == np.rint(array)).all():
        return array.astype(np.int64)
    return np.array([str(v).strip() for v in array], dtype=object)


def _places(names: np.ndarray, values: Any) -> np.ndarray:
    import pandas as pd

    known, wanted = _key(names), _key(values)
    if known.dtype != wanted.dtype:
        known, wanted = known.astype(str).astype(object), wanted.astype(str).astype(object)
    return np.asarray(pd.Index(known).get_indexer(pd.Index(wanted)))


def _numbers(table: "pd.DataFrame", column: str, what: str, asked: np.ndarray | None = None) -> np.ndarray:
    """The numbers of a column, in all rows or those that are asked for; refused where one is no finite number."""
    import pandas as pd

    values = pd.to_numeric(table[column], errors="coerce").to_numpy(dtype=float)
    asked = np.ones(len(values), bool) if asked is None else asked
    wrong = np.flatnonzero(~np.isfinite(values) & asked)
    if len(wrong):
        raise LinkwaysError(
            f"{ID}: {what} has {len(wrong)} rows whose {column} is no finite number, first row {wrong[0] + 1} "
            f"({table[column].iloc[wrong[0]]}); mend the column"
        )
    return np.asarray(values[asked])


def units_of(
    units: "pd.DataFrame | None",
    cost: "xr.DataArray | None",
    locked_in: "xr.DataArray | None",
    locked_out: "xr.DataArray | None",
) -> Units:
    """The planning units, from a table or layer, or from a raster of costs (one unit per cell with a cost)."""
    if (units is None) == (cost is None):
        raise LinkwaysError(f"{ID}: give the planning units either as units (a layer or table) or as a raster of cost")
    if units is not None:
        return _tabled(units, locked_in, locked_out)
    assert cost is not None
    values = np.asarray(cost.data, dtype=float)
    inside = np.isfinite(values)
    if not inside.any():
        raise LinkwaysError(f"{ID}: the raster of cost holds no cell with a value, so there is no planning unit")
    locks = []
    for name, raster in (("locked_in", locked_in), ("locked_out", locked_out)):
        lock = np.zeros(inside.shape, bool) if raster is None else np.nan_to_num(np.asarray(raster.data, float)) != 0
        if name == "locked_in" and (lost := int((lock & ~inside).sum())):
            raise LinkwaysError(f"{ID}: locked_in has {lost} cells without a cost; give them one, 0 if they are free")
        locks.append(lock[inside])
    return Units(np.flatnonzero(inside), values[inside], locks[0], locks[1], None, cost, inside)


def _tabled(units: "pd.DataFrame", locked_in: "xr.DataArray | None", locked_out: "xr.DataArray | None") -> Units:
    from linkways.planning._coverage_inputs import flags

    for name, raster in (("locked_in", locked_in), ("locked_out", locked_out)):
        if raster is not None:
            raise LinkwaysError(
                f"{ID}: {name} is a raster, and units is a table; mark the units in a column {name} instead"
            )
    for column in ("unit", "cost"):
        if column not in units.columns:
            raise LinkwaysError(f"{ID}: units has no column '{column}'{nearest(column, map(str, units.columns))}")
    if not len(units):
        raise LinkwaysError(f"{ID}: units holds no row; give at least one planning unit")
    table = units.reset_index(drop=True)
    twice = np.flatnonzero(table["unit"].duplicated() | table["unit"].isna())
    if len(twice):
        raise LinkwaysError(
            f"{ID}: units has the unit {table['unit'].iloc[twice[0]]} twice or without a name, in row {twice[0] + 1}; "
            "give each unit its own name"
        )
    return Units(
        table["unit"].to_numpy(),
        _numbers(table, "cost", "units"),
        flags(table, "locked_in", ID),
        flags(table, "locked_out", ID),
        table,
        None,
        np.zeros((0, 0), bool),
    )


# --- features --------------------------------------------------------------------------------------------------


def amounts_of(
    units: Units, features: "Sequence[xr.DataArray] | None", amounts: "pd.DataFrame | None", wanted: Any
) -> Amounts:
    """Features and amounts: of rasters, of a table, or of the units' own columns that the targets name."""
    if features is not None and amounts is not None:
        raise LinkwaysError(
            f"{ID}: give the features either as rasters (features) or as a table (amounts), not as both"
        )
    if features is not None:
        return _from_rasters(units, features)
    if amounts is not None:
        return _from_table(units, amounts)
    if units.table is None or wanted is None:
        raise LinkwaysError(
            f"{ID}: there are no features; give rasters (features), a table (amounts), or targets that name columns of "
            "units"
        )
    return _from_columns(units, wanted)


def _from_rasters(units: Units, rasters: "Sequence[xr.DataArray]") -> Amounts:
    import scipy.sparse as sp

    names = [str(r.name) if r.name is not None else f"feature_{k}" for k, r in enumerate(rasters, start=1)]
    if len(set(names)) < len(names):
        twice = next(n for n in names if names.count(n) > 1)
        raise LinkwaysError(f"{ID}: two feature rasters are called {twice}; give each its own name")
    rows, totals, cell_unit = [], [], None
    for raster, name in zip(rasters, names, strict=True):
        values = np.asarray(raster.data, dtype=float)
        if np.isinf(values).any():
            raise LinkwaysError(
                f"{ID}: feature {name} has {int(np.isinf(values).sum())} infinite cells; set them to nodata or a number"
            )
        values = np.nan_to_num(values)
        totals.append(values.sum())
        if units.raster is not None:
            rows.append(sp.csr_array(values[units.inside][None, :]))
            continue
        cell_unit = _unit_of_cell(units, raster) if cell_unit is None else cell_unit
        known = cell_unit >= 0
        rows.append(sp.csr_array(np.bincount(cell_unit[known], values[known], len(units.names))[None, :]))
    return Amounts(np.array(names, object), sp.vstack(rows).tocsr(), np.array(totals))


def _unit_of_cell(units: Units, raster: "xr.DataArray") -> np.ndarray:
    from linkways.spatial import feature_of_cell

    if type(units.table).__name__ != "GeoDataFrame":
        raise LinkwaysError(f"{ID}: units is a table without shapes, so feature rasters cannot be summed; give amounts")
    return feature_of_cell(units.table, raster)


def _from_table(units: Units, amounts: "pd.DataFrame") -> Amounts:
    import pandas as pd
    import scipy.sparse as sp

    place = units.index(amounts["unit"], "amounts", "unit")
    codes, names = pd.factorize(amounts["feature"])
    if (codes < 0).any():
        raise LinkwaysError(
            f"{ID}: amounts has {int((codes < 0).sum())} rows without a feature, first row "
            f"{int(np.flatnonzero(codes < 0)[0]) + 1}; name it"
        )
    values = _numbers(amounts, "amount", "amounts")
    pair = codes.astype(np.int64) * len(units.names) + place
    if len(np.unique(pair)) < len(pair):
        row = int(np.flatnonzero(pd.Series(pair).duplicated())[0])
        raise LinkwaysError(
            f"{ID}: amounts tells the amount of {amounts['feature'].iloc[row]} in unit {amounts['unit'].iloc[row]} "
            f"twice, again in row {row + 1}; keep one row or add them up"
        )
    matrix = sp.coo_array((values, (codes, place)), shape=(len(names), len(units.names))).tocsr()
    return Amounts(np.asarray(names, object), matrix, np.asarray(matrix.sum(axis=1)).ravel())


def _from_columns(units: Units, wanted: "pd.DataFrame") -> Amounts:
    import scipy.sparse as sp

    assert units.table is not None
    names = [str(f) for f in wanted["feature"]]
    missing = [n for n in names if n not in units.table.columns]
    if missing:
        raise LinkwaysError(
            f"{ID}: units has no columns for the features {named(missing)}"
            f"{nearest(missing[0], map(str, units.table.columns))}; add them, or give amounts"
        )
    matrix = sp.csr_array(np.array([_numbers(units.table, n, "units") for n in names]))
    return Amounts(np.array(names, object), matrix, np.asarray(matrix.sum(axis=1)).ravel())


@dataclass(frozen=True)
class LogLinear:
    """Shares of log-linear targets: the share of a feature of so small, and of so large a range."""

    small_range: float = 1000.0
    small_share: float = 1.0
    large_range: float = 250_000.0
    large_share: float = 0.1

    def share(self, size: np.ndarray) -> np.ndarray:
        """Linear in log10 of the range between the two, and flat beyond them (Rodrigues and others 2004)."""
        ends = np.log10([self.small_range, self.large_range])
        shares = [self.small_share, self.large_share]
        return np.asarray(np.interp(np.log10(np.maximum(size, 1e-300)), ends, shares))


def targets_of(
    amounts: Amounts, targets: "pd.DataFrame | None", share: float | None, loglinear: LogLinear, needed: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Absolute targets and weights of the features, in their order; those the table leaves out have target 0."""
    count = len(amounts.features)
    target, weight = np.zeros(count), np.ones(count)
    if targets is None:
        if needed and share is None:
            raise LinkwaysError(f"{ID}: this objective needs targets: a table targets, or target, one share for all")
        return (target if share is None else share * amounts.totals), weight
    if share is not None:
        raise LinkwaysError(f"{ID}: give either the table targets or target, one share for all features")
    place = _feature_places(amounts, targets)
    if "weight" in targets.columns:
        weight = np.zeros(count)
        weight[place] = _numbers(targets, "weight", "targets")
        if (weight < 0).any():
            raise LinkwaysError(f"{ID}: targets has weights below 0; weights are 0 or more")
    if needed:
        target[place] = _absolute(amounts.totals[place], targets, loglinear)
    return target, weight


def _feature_places(amounts: Amounts, targets: "pd.DataFrame") -> np.ndarray:
    place = _places(amounts.features, targets["feature"])
    unknown = np.flatnonzero(place < 0)
    if len(unknown):
        name = str(targets["feature"].iloc[unknown[0]])
        raise LinkwaysError(
            f"{ID}: targets names {len(unknown)} features that are nowhere present, first {name} in row "
            f"{unknown[0] + 1}{nearest(name, map(str, amounts.features))}"
        )
    if len(np.unique(place)) < len(place):
        raise LinkwaysError(f"{ID}: targets names a feature twice; give each one row")
    return place


def _absolute(total: np.ndarray, targets: "pd.DataFrame", loglinear: LogLinear) -> np.ndarray:
    kinds = np.array([str(k).strip() for k in targets["type"]]) if "type" in targets.columns else None
    if kinds is None:
        raise LinkwaysError(
            f"{ID}: targets has no column 'type', so it is not clear whether targets are amounts (absolute) or shares "
            "(relative, loglinear); add it"
        )
    wrong = np.flatnonzero(~np.isin(kinds, ["absolute", "relative", "loglinear"]))
    if len(wrong):
        raise LinkwaysError(
            f"{ID}: targets has the type '{kinds[wrong[0]]}' in row {wrong[0] + 1}, and may have absolute, relative or "
            "loglinear"
        )
    told = kinds != "loglinear"
    value = np.zeros(len(kinds))
    if told.any():
        if "target" not in targets.columns:
            raise LinkwaysError(f"{ID}: targets has no column 'target'{nearest('target', map(str, targets.columns))}")
        value[told] = _numbers(targets, "target", "targets", told)
    below = np.flatnonzero((value < 0) | ((kinds == "relative") & (value > 1)))
    if len(below):
        raise LinkwaysError(
            f"{ID}: targets has the {kinds[below[0]]} target {value[below[0]]:g} in row {below[0] + 1}; targets are 0 "
            "or more, and relative ones at most 1"
        )
    size = total.copy()
    if "range" in targets.columns:
        size[~told] = _numbers(targets, "range", "targets", ~told)
    value = np.where(told, value, loglinear.share(size))
    return np.where(kinds == "absolute", value, value * total)


# --- pairs -----------------------------------------------------------------------------------------------------


def boundary_of(units: Units, table: "pd.DataFrame | None") -> Boundary:
    """Shared edges as a table tells them (a unit with itself: its edge shared with none), else measured."""
    if table is None:
        if units.raster is not None:
            return Boundary(*grid_boundary(units.raster, units.inside))
        if type(units.table).__name__ != "GeoDataFrame":
            raise LinkwaysError(
                f"{ID}: units is a table without shapes, so its shared edges must be told: give boundary"
            )
        return Boundary(*polygon_boundary(units.table))
    a, b = units.index(table["unit_a"], "boundary", "unit_a"), units.index(table["unit_b"], "boundary", "unit_b")
    length = _numbers(table, "length", "boundary")
    if (length < 0).any():
        row = int(np.flatnonzero(length < 0)[0])
        raise LinkwaysError(f"{ID}: boundary has a length below 0 ({length[row]:g}) in row {row + 1}; mend it")
    exposed = np.bincount(a[a == b], length[a == b], len(units.names))
    return Boundary(_symmetric(units, a, b, length, "boundary", "length"), exposed)


def _symmetric(units: Units, a: np.ndarray, b: np.ndarray, value: np.ndarray, table: str, column: str) -> Pairs:
    """Each pair once; a pair told in both directions must have the same value in both."""
    import pandas as pd

    apart = a != b
    frame = pd.DataFrame({"a": np.minimum(a, b), "b": np.maximum(a, b), "up": a < b, "value": value})[apart]
    twice = frame.duplicated(["a", "b", "up"])
    if twice.any():
        row = int(np.flatnonzero(apart)[np.flatnonzero(twice)[0]])
        raise LinkwaysError(f"{ID}: {table} has the same pair of units twice, again in row {row + 1}; keep one of them")
    found = frame.groupby(["a", "b"])["value"].agg(["min", "max"]).reset_index()
    uneven = found[~np.isclose(found["min"], found["max"], rtol=1e-9, atol=0)]
    if len(uneven):
        one = uneven.iloc[0]
        raise LinkwaysError(
            f"{ID}: {table} is asymmetric: {len(uneven)} pairs have another {column} in the other direction, first "
            f"units {units.names[int(one['a'])]} and {units.names[int(one['b'])]} ({one['min']:g} and {one['max']:g}); "
            f"make them equal{', or set asymmetric' if table == 'connectivity' else ''}"
        )
    return Pairs(found["a"].to_numpy(np.int64), found["b"].to_numpy(np.int64), found["max"].to_numpy(float))


def links_of(units: Units, table: "pd.DataFrame", asymmetric: bool) -> Pairs:
    """Strengths of connectivity between units; a symmetric pair may be told in one direction or, equal, in both."""
    import pandas as pd

    a = units.index(table["unit_a"], "connectivity", "unit_a")
    b = units.index(table["unit_b"], "connectivity", "unit_b")
    value = _numbers(table, "strength", "connectivity")
    if not asymmetric:
        _refuse_half_told(units, a, b)
        return _symmetric(units, a, b, value, "connectivity", "strength")
    apart = a != b
    twice = pd.DataFrame({"a": a, "b": b})[apart].duplicated()
    if twice.any():
        row = int(np.flatnonzero(apart)[np.flatnonzero(twice)[0]])
        raise LinkwaysError(f"{ID}: connectivity has the same pair of units twice, again in row {row + 1}; keep one")
    return Pairs(a[apart], b[apart], value[apart])


def _refuse_half_told(units: Units, a: np.ndarray, b: np.ndarray) -> None:
    """Refuse pairs told in both directions beside others told in one: a directed matrix without its zeros."""
    apart = a != b
    there = a[apart] * len(units.names) + b[apart]
    back = np.isin(b[apart] * len(units.names) + a[apart], there)
    if back.any() and not back.all():
        row = int(np.flatnonzero(apart)[np.flatnonzero(~back)[0]])
        raise LinkwaysError(
            f"{ID}: connectivity tells {int(back.sum())} links with their way back and {int((~back).sum())} without, "
            f"first from unit {units.names[a[row]]} to {units.names[b[row]]} in row {row + 1}, so it is asymmetric; "
            "set asymmetric, or tell every pair once or in both directions"
        )


def principles_of(units: Units, min_patch_km2: float, replicates: int) -> "Principles":
    """What the columns together, region and area_km2 ask of a plan."""
    from linkways.planning._select_principles import Principles

    together, sets = _labels(units, "together")
    region, regions = _labels(units, "region")
    if replicates > 0 and not regions:
        raise LinkwaysError(f"{ID}: replicates are counted in regions; give units a column region")
    areas = units.areas_km2() if min_patch_km2 > 0 else None
    if min_patch_km2 > 0 and areas is None:
        raise LinkwaysError(f"{ID}: least patches need the units' areas; give shapes, or a column area_km2")
    sizes = np.zeros(len(units.names)) if areas is None else areas
    return Principles(together, sets, min_patch_km2, sizes, replicates, region, regions)


def _labels(units: Units, column: str) -> tuple[np.ndarray, list[str]]:
    """Numbers of the texts of a column, -1 where it is empty, and the texts."""
    import pandas as pd

    if units.table is None or column not in units.table.columns:
        return np.full(len(units.names), -1), []
    texts = units.table[column]
    empty = texts.isna() | (texts.astype(str).str.strip() == "")
    codes, names = pd.factorize(texts.astype(str).str.strip().mask(empty))
    return np.asarray(codes), [str(n) for n in names]


# --- budgets and other linear constraints ----------------------------------------------------------------------


def rows_of(
    units: Units,
    amounts: Amounts,
    budget: float | None,
    budgets: "pd.DataFrame | None",
    constraints: "pd.DataFrame | None",
    group_share: float | None = None,
) -> Rows:
    """Budgets, budgets of groups, shares of the cost that a group may bear, and limits of columns or features."""
    import scipy.sparse as sp

    rows: list[tuple[str, np.ndarray, float, float]] = []
    if budget is not None:
        rows.append((f"the budget ({budget:.6g})", units.costs, -np.inf, budget))
    if budgets is not None:
        rows += _group_budgets(units, budgets)
    if group_share is not None:
        rows += _group_shares(units, group_share)
    if constraints is not None:
        rows += _limits(units, amounts, constraints)
    factors = np.array([r[1] for r in rows]).reshape(len(rows), len(units.names))
    return Rows(
        tuple(r[0] for r in rows), sp.csr_array(factors), np.array([r[2] for r in rows]), np.array([r[3] for r in rows])
    )


def _group_budgets(units: Units, budgets: "pd.DataFrame") -> list[tuple[str, np.ndarray, float, float]]:
    if units.table is None or "group" not in units.table.columns:
        raise LinkwaysError(f"{ID}: budgets of groups need planning units as a layer or table with a column group")
    group = np.array([str(g).strip() for g in units.table["group"]])
    limits = _numbers(budgets, "budget", "budgets")
    rows = []
    for name, limit in zip(budgets["group"], limits, strict=True):
        own = group == str(name).strip()
        if not own.any():
            raise LinkwaysError(
                f"{ID}: budgets names the group {name}, and no unit is in it{nearest(str(name), set(group))}"
            )
        rows.append((f"the budget of {name} ({limit:.6g})", np.where(own, units.costs, 0.0), -np.inf, float(limit)))
    return rows


def _group_shares(units: Units, share: float) -> list[tuple[str, np.ndarray, float, float]]:
    """``sum_g c x - share sum c x <= 0`` for every group."""
    if units.table is None or "group" not in units.table.columns:
        raise LinkwaysError(f"{ID}: most_group_share needs planning units as a layer or table with a column group")
    group = np.array([str(g).strip() for g in units.table["group"]])
    return [
        (f"at most {share:.6g} of the cost for {name}", units.costs * ((group == name) - share), -np.inf, 0.0)
        for name in dict.fromkeys(group)
    ]


def _limits(units: Units, amounts: Amounts, constraints: "pd.DataFrame") -> list[tuple[str, np.ndarray, float, float]]:
    limits = _numbers(constraints, "limit", "constraints")
    features = {str(f): j for j, f in enumerate(amounts.features)}
    rows = []
    for number, (column, sense) in enumerate(zip(constraints["column"], constraints["sense"], strict=True)):
        name, sign, limit = str(column).strip(), str(sense).strip(), float(limits[number])
        if sign not in SENSES:
            raise LinkwaysError(
                f"{ID}: constraints has the sense {sense!r} in row {number + 1}, and may have {', '.join(SENSES)}"
            )
        if units.table is not None and name in units.table.columns:
            factors = _numbers(units.table, name, "units")
        elif name in features:
            factors = amounts.matrix[[features[name]]].toarray().ravel()
        elif name == "cost":
            factors = units.costs
        else:
            known = [*features, "cost", *([] if units.table is None else map(str, units.table.columns))]
            raise LinkwaysError(
                f"{ID}: constraints names {name} in row {number + 1}, which is neither a column of units nor a "
                f"feature{nearest(name, known)}"
            )
        lower, upper = (-np.inf if sign == "<=" else limit), (np.inf if sign == ">=" else limit)
        rows.append((f"the constraint {name} {sign} {limit:.6g}", factors, lower, upper))
    return rows
