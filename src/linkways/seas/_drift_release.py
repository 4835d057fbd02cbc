"""Larvae at their release: where, when, how many, and what is settled about each at birth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError
from linkways.seas._currents_places import goes_around, on_field, step_of

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd
    import xarray as xr
    from numpy.typing import NDArray

_TRIES = 200


@dataclass(frozen=True)
class Cohorts:
    """Who is released when: one entry for each site and date."""

    sites: list[str]
    dates: list[Any]
    site: NDArray[np.int64]
    date: NDArray[np.int64]
    number: NDArray[np.int64]

    @property
    def larvae(self) -> int:
        """All of them."""
        return int(self.number.sum())


def read_cohorts(
    releases: gpd.GeoDataFrame,
    schedule: pd.DataFrame | None,
    release_dates: Sequence[str],
    number: int,
) -> Cohorts:
    """The releases in order of date, then site.

    Raises LinkwaysError for dates that are none, sites the schedule names and the layer lacks, and numbers below 0.
    """
    import pandas as pd

    names = releases["site"].astype(str)
    sites = list(dict.fromkeys(names))
    if (schedule is None) == (not release_dates):
        raise LinkwaysError("seas.drift: give either release_dates or a schedule (a table), not both and not neither")
    if schedule is None:
        per_site = pd.Series(number, index=sites)
        if "number" in releases.columns:
            totals: Any = pd.Series(releases["number"].to_numpy()).groupby(names.to_numpy()).sum()
            per_site = totals.reindex(sites)
        days = [_date(one, f"release date {n}") for n, one in enumerate(release_dates)]
        if len(set(days)) != len(days):
            raise LinkwaysError("seas.drift: a release date is given twice; give each once, with more larvae")
        table = pd.DataFrame(
            [(site, day, per_site[site]) for day in days for site in sites], columns=["site", "date", "number"]
        )
    else:
        table = pd.DataFrame({"site": schedule["site"].astype(str), "number": schedule.get("number", number)})
        table["date"] = [_date(one, f"row {n} of the schedule") for n, one in enumerate(schedule["date"])]
        unknown = [s for s in table["site"] if s not in set(sites)]
        if unknown:
            raise LinkwaysError(
                f"the schedule names site '{unknown[0]}', which the releases lack; add it or leave it out"
            )
        table = table.groupby(["site", "date"])["number"].sum().reset_index()
    counts = pd.to_numeric(table["number"], errors="coerce").to_numpy(float)
    wrong = np.flatnonzero(~np.isfinite(counts) | (counts < 0) | (counts != np.round(counts)))
    if len(wrong):
        row = table.iloc[int(wrong[0])]
        raise LinkwaysError(f"site {row['site']} releases {row['number']} larvae; give whole numbers of 0 or more")
    days = sorted(set(table["date"]))
    place, when = {s: i for i, s in enumerate(sites)}, {d: i for i, d in enumerate(days)}
    table["s"], table["d"], table["n"] = table["site"].map(place), table["date"].map(when), counts.astype(np.int64)
    table = table[table["n"] > 0].sort_values(["d", "s"])
    if not len(table):
        raise LinkwaysError("seas.drift: no larva is released; raise number")
    return Cohorts(sites, days, table["s"].to_numpy(), table["d"].to_numpy(), table["n"].to_numpy())


def _date(text: Any, where: str) -> Any:
    import pandas as pd

    day: Any = pd.to_datetime(text, errors="coerce")
    if pd.isna(day):
        raise LinkwaysError(
            f"seas.drift: {where} is '{text}', which is no date; give one like 2020-01-31 or 2020-01-31T18:00"
        )
    return day.tz_convert("UTC").tz_localize(None) if day.tzinfo is not None else day


def positions(
    releases: gpd.GeoDataFrame, cohorts: Cohorts, field: xr.Dataset, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Column and row, in cells, of each larva: points as they are, polygons evenly over their water.

    Raises LinkwaysError for sites outside the field or on land.
    """
    placed = on_field(releases, field, "releases")
    names = placed["site"].astype(str).to_numpy()
    shapes = [_together(placed.geometry.values[names == site]) for site in cohorts.sites]
    x, y = np.empty(cohorts.larvae), np.empty(cohorts.larvae)
    water = _Water(field)
    points = [_points(shape, site, water) for shape, site in zip(shapes, cohorts.sites, strict=True)]
    start = 0
    for site, number in zip(cohorts.site, cohorts.number, strict=True):
        part = slice(start, start + int(number))
        if points[site] is not None:
            # dealt out in turn to the points of the site
            at = points[site][np.arange(number) % len(points[site])]
            x[part], y[part] = at[:, 0], at[:, 1]
        else:
            x[part], y[part] = _within(shapes[site], int(number), cohorts.sites[site], water, rng)
        start += int(number)
    return x, y


def _together(shapes: Any) -> Any:
    """The shapes of a site as one; points in the order they are in."""
    import shapely

    if set(shapely.get_type_id(shapes)) <= {shapely.GeometryType.POINT, shapely.GeometryType.MULTIPOINT}:
        return shapely.multipoints(shapely.get_coordinates(shapes))
    return shapely.union_all(shapes)


class _Water:
    """Whether places lie in the field's water."""

    def __init__(self, field: xr.Dataset) -> None:
        self.first = np.array([float(field["x"].values[0]), float(field["y"].values[0])])
        self.step = np.array([step_of(field, "x"), step_of(field, "y")])
        self.mask = field["mask"].values > 0
        self.wraps = goes_around(field)
        ranges = ((axis, field[axis].values) for axis in ("x", "y"))
        self.edges = ", ".join(f"{axis} {values.min():g} to {values.max():g}" for axis, values in ranges)

    def cells(self, at: NDArray[np.float64]) -> NDArray[np.float64]:
        """(n, 2) places to column and row."""
        return np.asarray((at - self.first) / self.step)

    def holds(self, cells: NDArray[np.float64]) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
        """Which are inside the field, and which are water."""
        whole = np.floor(cells + 0.5).astype(int)
        i, j = whole[:, 0], whole[:, 1]
        rows, columns = self.mask.shape
        i = i % columns if self.wraps else i
        inside = (i >= 0) & (i < columns) & (j >= 0) & (j < rows)
        wet = np.zeros(len(i), bool)
        wet[inside] = self.mask[j[inside], i[inside]]
        return inside, wet


def _points(shape: Any, site: str, water: _Water) -> NDArray[np.float64] | None:
    """The cells of a point site; None of a polygon."""
    import shapely

    if shape.geom_type not in ("Point", "MultiPoint"):
        return None
    at = shapely.get_coordinates(shape)
    cells = water.cells(at)
    inside, wet = water.holds(cells)
    for ok, words in ((inside, "outside the field of currents"), (wet, "on land")):
        if not ok.all():
            place = at[int(np.flatnonzero(~ok)[0])]
            raise LinkwaysError(
                f"release site {site} at {place[0]:g}, {place[1]:g} lies {words} ({water.edges}); move it to the water"
            )
    return cells


def _within(
    shape: Any, number: int, site: str, water: _Water, rng: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """So many places, even over the part of a polygon that is water."""
    import shapely

    west, south, east, north = shape.bounds
    shapely.prepare(shape)
    found = np.empty((0, 2))
    reached = False
    for _ in range(_TRIES):
        tried = rng.uniform((west, south), (east, north), (max(2 * (number - len(found)), 64), 2))
        tried = tried[shapely.contains_xy(shape, tried)]
        cells = water.cells(tried)
        inside, wet = water.holds(cells)
        reached |= bool(inside.any())
        found = np.concatenate([found, cells[wet]])
        if len(found) >= number:
            return found[:number, 0], found[:number, 1]
    words = "has next to no water in it: it lies on land" if reached else "lies outside the field of currents"
    raise LinkwaysError(f"release site {site} {words} ({water.edges}); move it, or use currents with finer cells")
