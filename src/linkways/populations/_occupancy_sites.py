"""Sites of an occupancy study on the ground: their covariates from layers, tables and rasters, and who is how far."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from linkways.errors import LinkwaysError
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr

__all__ = ["Places", "distances_between", "read_places"]

ID = "populations.occupancy"
CORRIDOR = "in_corridor"
PAIRS = (("source", "target"), ("site_a", "site_b"), ("core_a", "core_b"), ("patch_a", "patch_b"), ("from", "to"))


@dataclass(frozen=True)
class Places:
    """Sites with what is known of each before anybody looked."""

    sites: NDArray[Any]
    """Those of the histories first, then those that nobody visited."""
    values: dict[str, NDArray[Any]]
    layer: "gpd.GeoDataFrame | None"
    """In the order of ``sites``."""


def read_places(
    names: NDArray[Any],
    layer: "gpd.GeoDataFrame | None",
    table: "pd.DataFrame | None",
    rasters: "Sequence[xr.DataArray]",
    corridor: "gpd.GeoDataFrame | None",
) -> Places:
    """Covariates of sites from a layer, a table, rasters under the layer, and whether they lie in a corridor."""
    every = list(names)
    for what, frame in (("sites", layer), ("site_table", table)):
        if frame is not None:
            every += _others(what, frame, every, len(names))
    sites = np.array(every, dtype=object)
    values: dict[str, NDArray[Any]] = {}
    placed = None
    if layer is not None:
        at = _rows(layer, sites, "sites")
        placed = layer.iloc[at].reset_index(drop=True)
        values |= _columns(placed.drop(columns=placed.geometry.name))
        values |= {name: found for name, found in _under(placed, rasters).items() if name not in values}
    if table is not None:
        fresh = _columns(table.iloc[_rows(table, sites, "site_table")])
        twice = set(fresh) & set(values)
        if twice:
            raise LinkwaysError(f"{ID}: {min(twice)} is a column of sites and of site_table; keep it in one of them")
        values |= fresh
    if corridor is not None:
        if placed is None:
            raise LinkwaysError(f"{ID}: corridor needs the layer sites, which tells where sites lie")
        area = corridor.to_crs(placed.crs).union_all()
        values[CORRIDOR] = placed.geometry.representative_point().within(area).to_numpy(float)
    return Places(sites, values, placed)


def _others(what: str, frame: "pd.DataFrame", known: list[Any], surveyed: int) -> list[Any]:
    """Sites of a frame that are not known yet; refuses a frame that misses surveyed ones."""
    if "site" not in frame:
        raise LinkwaysError(f"{ID}: {what} has no column site; name its sites as in histories")
    keys = frame["site"].astype(str)
    if keys.duplicated().any():
        raise LinkwaysError(f"{ID}: {what} holds site {keys[keys.duplicated()].iloc[0]} twice; keep one row for each")
    missing = [name for name in known[:surveyed] if str(name) not in set(keys)]
    if missing:
        raise LinkwaysError(
            f"{ID}: {what} has no row for {len(missing)} sites of histories, first {missing[0]}; add them"
        )
    have = {str(name) for name in known}
    return [name for name, key in zip(frame["site"], keys, strict=True) if key not in have]


def _rows(frame: "pd.DataFrame", sites: NDArray[Any], what: str) -> NDArray[np.int64]:
    position = {str(name): row for row, name in enumerate(frame["site"])}
    missing = [name for name in sites if str(name) not in position]
    if missing:
        raise LinkwaysError(f"{ID}: {what} has no row for site {missing[0]}; add it")
    return np.array([position[str(name)] for name in sites], np.int64)


def _columns(frame: "pd.DataFrame") -> dict[str, NDArray[Any]]:
    from linkways.populations._occupancy_histories import _array

    return {str(name): _array(frame[name]) for name in frame.columns if name != "site"}


def raster_names(rasters: "Sequence[xr.DataArray]") -> dict[str, "xr.DataArray"]:
    """Rasters by the name that terms call them; refuses two of one name."""
    out: dict[str, xr.DataArray] = {}
    for position, raster in enumerate(rasters):
        name = str(raster.name) if raster.name not in (None, "", "raster") else f"covariate_{position + 1}"
        if name in out:
            raise LinkwaysError(f"{ID}: two covariates are called {name}; rename one (raster.name)")
        out[name] = raster
    return out


def raster_values(raster: "xr.DataArray", values: NDArray[Any]) -> NDArray[Any]:
    """Numbers as they are, class codes as text."""
    if raster.attrs.get("classes") is not True:
        return values.astype(float)
    return np.array([None if v != v else f"{v:g}" for v in values.astype(float)], dtype=object)


def _under(layer: "gpd.GeoDataFrame", rasters: "Sequence[xr.DataArray]") -> dict[str, NDArray[Any]]:
    """The cell under points (and of classes, of polygons); the mean of the cells whose centres lie in polygons."""
    from linkways.spatial import grid_of, to_grid_crs

    out = {}
    for name, raster in raster_names(rasters).items():
        grid, cells = grid_of(raster), np.asarray(raster.values, float)
        placed = to_grid_crs(layer, raster)
        points = placed.geometry.representative_point()
        column = np.floor((points.x.to_numpy() - grid.x0) / grid.dx)
        row = np.floor((points.y.to_numpy() - grid.y0) / grid.dy)
        inside = (column >= 0) & (column < grid.columns) & (row >= 0) & (row < grid.rows)
        values = np.full(len(placed), np.nan)
        values[inside] = cells[row[inside].astype(int), column[inside].astype(int)]
        polygons = placed.geometry.geom_type.str.contains("Polygon").to_numpy()
        if polygons.any() and raster.attrs.get("classes") is not True:
            means = _means(placed, raster, cells)
            values = np.where(polygons & np.isfinite(means), means, values)
        out[name] = raster_values(raster, values)
    return out


def _means(placed: "gpd.GeoDataFrame", raster: "xr.DataArray", cells: NDArray[np.float64]) -> NDArray[np.float64]:
    from linkways.spatial import feature_of_cell

    owner = feature_of_cell(placed, raster).ravel()
    values = cells.ravel()
    known = np.isfinite(values) & (owner >= 0)
    total = np.bincount(owner[known], weights=values[known], minlength=len(placed))
    count = np.bincount(owner[known], minlength=len(placed))
    with np.errstate(invalid="ignore"):
        return np.asarray(total / count)


def distances_between(table: "pd.DataFrame", column: str | None, sites: NDArray[Any]) -> NDArray[np.float64]:
    """(to, from) distances, infinite where the table has none; pairs source and target go one way, others both."""
    pair = next((p for p in PAIRS if set(p) <= set(table.columns)), None)
    if pair is None:
        raise LinkwaysError(f"{ID}: distances needs the columns source and target (or site_a and site_b)")
    if column is None:
        numbers = [c for c in table.columns if c not in pair and table[c].dtype.kind in "fiu"]
        if len(numbers) != 1:
            raise LinkwaysError(
                f"{ID}: distances has {len(numbers)} columns of numbers ({', '.join(map(str, numbers))}); say which "
                "one with distance_column"
            )
        column = str(numbers[0])
    if column not in table:
        raise LinkwaysError(f"{ID}: distances has no column {column}; its columns are {', '.join(map(str, table))}")
    number = {str(name): k for k, name in enumerate(sites)}
    a, b = (table[name].astype(str).map(number) for name in pair)
    known = (a.notna() & b.notna() & (a != b)).to_numpy()
    if not known.any():
        raise LinkwaysError(f"{ID}: no pair of distances joins two sites of histories; name sites alike")
    if len(known) > known.sum():
        note(f"{ID}: {len(known) - int(known.sum())} pairs of distances are of other sites, or of a site with itself")
    values = table[column].to_numpy(float)[known]
    if not (values[np.isfinite(values)] >= 0).all():
        raise LinkwaysError(f"{ID}: the column {column} of distances has values below 0; give distances or costs")
    out = np.full((len(sites), len(sites)), np.inf)
    start, end = a[known].astype(int).to_numpy(), b[known].astype(int).to_numpy()
    values = np.where(np.isfinite(values), values, np.inf)
    np.minimum.at(out, (end, start), values)
    if pair[0] not in ("source", "from"):
        np.minimum.at(out, (start, end), values)
    return out
