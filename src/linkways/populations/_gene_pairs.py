"""Tables of pairs of populations: genetic distances and what may explain them, brought together by name."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["Pairs", "pairs_of", "predictor_columns", "site_predictors"]


@dataclass(frozen=True)
class Pairs:
    """Pairs of sites with a response: numbers of the two sites (M,) and the response (M,)."""

    names: list[str]
    first: np.ndarray
    second: np.ndarray
    response: np.ndarray

    @property
    def complete(self) -> bool:
        """Whether every pair of sites is there."""
        return len(self.first) == len(self.names) * (len(self.names) - 1) // 2

    def square(self, values: np.ndarray) -> np.ndarray:
        """A symmetric matrix from values of the pairs, NaN where there is no pair, 0 on the diagonal."""
        out = np.full((len(self.names),) * 2, np.nan)
        np.fill_diagonal(out, 0.0)
        out[self.first, self.second] = out[self.second, self.first] = values
        return out


def ends_of(id: str, table: "pd.DataFrame", where: str) -> tuple[str, str]:
    """The two columns that name a pair: source and target, or any two such as population_a and population_b."""
    columns = [str(c) for c in table.columns]
    if {"source", "target"} <= set(columns):
        return "source", "target"
    for name in columns:
        if name.endswith("_a") and f"{name[:-2]}_b" in columns:
            return name, f"{name[:-2]}_b"
    raise LinkwaysError(
        f"{id}: {where} has no two columns that name a pair, such as population_a and population_b (columns: "
        f"{', '.join(columns[:8])}); rename them"
    )


def pairs_of(id: str, table: "pd.DataFrame", where: str, response: str, names: Sequence[str] | None = None) -> Pairs:
    """The pairs with a known response. ``names``: the sites that may occur, in order; otherwise those that do."""
    ends = ends_of(id, table, where)
    if response not in table.columns:
        numbers = [str(c) for c in table.columns if c not in ends]
        raise LinkwaysError(f"{id}: {where} has no column '{response}'{nearest(response, numbers)}; set response")
    values = _numbers(id, table, where, response)
    known = np.isfinite(values)
    labels = [[str(v) for v in table[end]] for end in ends]
    found = list(names) if names is not None else sorted({v for side in labels for v in side})
    place = {name: k for k, name in enumerate(found)}
    for side in labels:
        strange = next((v for v in side if v not in place), None)
        if strange is not None:
            raise LinkwaysError(
                f"{id}: {where} names population '{strange}', which is not there{nearest(strange, found)}"
            )
    first, second = (np.array([place[v] for v in side], dtype=np.int64)[known] for side in labels)
    kept = values[known]
    if not known.all():
        note(f"{id}: {int((~known).sum())} pairs of {where} have no {response} and are left out")
    apart = first != second
    first, second, kept = first[apart], second[apart], kept[apart]
    low, high = np.minimum(first, second), np.maximum(first, second)
    key = low * len(found) + high
    unique, start, count = np.unique(key, return_index=True, return_counts=True)
    if (count > 1).any():
        note(f"{id}: {where} gives {int((count > 1).sum())} pairs more than once; their mean is taken")
    total = np.bincount(np.searchsorted(unique, key), weights=kept)
    return Pairs(found, low[start], high[start], total / count)


def _numbers(id: str, table: "pd.DataFrame", where: str, name: str) -> np.ndarray:
    import pandas as pd

    values = pd.to_numeric(table[name], errors="coerce").to_numpy(float, na_value=np.nan)
    broken = np.flatnonzero(np.isnan(values) & table[name].notna().to_numpy())
    if len(broken):
        raise LinkwaysError(
            f"{id}: {where} row {broken[0] + 1} has {name} '{table[name].iloc[broken[0]]}', which is no number; "
            "correct it"
        )
    return values


def predictor_columns(
    id: str, tables: Sequence["pd.DataFrame"], genetic: "pd.DataFrame", pairs: Pairs, wanted: Sequence[str]
) -> dict[str, np.ndarray]:
    """Predictors by name, (M,) each, from all numeric columns of the tables (or those of the genetic table wanted)."""
    found: dict[str, np.ndarray] = {}
    for number, table in enumerate(tables):
        where = f"predictors[{number}]"
        ends = ends_of(id, table, where)
        for name in _numeric(table, ends):
            if not wanted or name in wanted:
                found[name] = _matched(id, table, where, name, pairs)
    for name in wanted:
        if name not in found and name in genetic.columns:
            found[name] = _matched(id, genetic, "genetic", name, pairs)
    return found


def _numeric(table: "pd.DataFrame", ends: tuple[str, str]) -> list[str]:
    import pandas as pd

    return [str(c) for c in table.columns if c not in ends and pd.api.types.is_numeric_dtype(table[c].dtype)]


def _matched(id: str, table: "pd.DataFrame", where: str, name: str, pairs: Pairs) -> np.ndarray:
    """Values of a predictor for the pairs of the response."""
    ends = ends_of(id, table, where)
    inside = table[table[ends[0]].astype(str).isin(pairs.names) & table[ends[1]].astype(str).isin(pairs.names)]
    square = np.full((len(pairs.names),) * 2, np.nan)
    if len(inside):
        other = pairs_of(id, inside, where, name, pairs.names)
        square = other.square(other.response)
    values = square[pairs.first, pairs.second]
    missing = np.flatnonzero(~np.isfinite(values))
    if len(missing):
        a, b = pairs.names[pairs.first[missing[0]]], pairs.names[pairs.second[missing[0]]]
        raise LinkwaysError(
            f"{id}: {where} has no {name} for {len(missing)} of {len(values)} pairs, first {a} and {b}; add them, "
            "or leave "
            "these pairs out of genetic"
        )
    return np.asarray(values)


def site_predictors(
    id: str, sites: "gpd.GeoDataFrame", pairs: Pairs, environment: Sequence[str]
) -> dict[str, np.ndarray]:
    """Distance between sites in metres (along the ellipsoid in degrees), and differences of their columns."""
    labels = [str(v) for v in sites["population"]]
    place = {name: k for k, name in enumerate(labels)}
    if len(place) < len(labels):
        raise LinkwaysError(f"{id}: sites names a population more than once; give each one point")
    absent = [n for n in pairs.names if n not in place]
    if absent:
        raise LinkwaysError(
            f"{id}: sites has no population '{absent[0]}' of genetic{nearest(absent[0], labels)}; add it"
        )
    rows = np.array([place[n] for n in pairs.names])
    first, second = rows[pairs.first], rows[pairs.second]
    points = sites.geometry.centroid if (sites.geom_type != "Point").any() else sites.geometry
    x, y = points.x.to_numpy(), points.y.to_numpy()
    if sites.crs.is_geographic:
        _, _, distance = sites.crs.get_geod().inv(x[first], y[first], x[second], y[second])
    else:
        distance = np.hypot(x[first] - x[second], y[first] - y[second]) * sites.crs.axis_info[0].unit_conversion_factor
    found = {"distance_m": np.asarray(distance, float)}
    for name in environment:
        if name not in sites.columns:
            raise LinkwaysError(f"{id}: sites has no column '{name}'{nearest(name, map(str, sites.columns))}")
        values = _numbers(id, sites, "sites", name)
        if not np.isfinite(values[rows]).all():
            raise LinkwaysError(f"{id}: column {name} of sites is empty for some population; fill it")
        found[f"difference_{name}"] = np.abs(values[first] - values[second])
    return found
