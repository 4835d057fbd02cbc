"""Migrations of all animals: found, measured, and put into layers, tables and a figure."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.method import progress
from linkways.movement import _displacement as nsd
from linkways.movement._displacement import AnimalYear, Fit
from linkways.movement._fixes import Fixes
from linkways.movement._migration_legs import Move, apart, by_contrast, by_dates, by_model, named
from linkways.movement._steps import steps_of
from linkways.movement.migration import Migration
from linkways.spatial import note
from linkways.workers import each

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["Settings", "Year", "find_migrations", "stopovers"]


@dataclass(frozen=True)
class Settings:
    """The parameters of the method."""

    how: str
    month: int
    day: int
    complete_days: float
    min_distance_km: float
    min_stay_days: int
    max_stays: int
    bend: float
    stopover_radius_m: float
    stopover_s: float
    time_zone: str


@dataclass
class Year:
    """What was found in one animal's year."""

    track: AnimalYear
    group: int
    how: str
    fits: list[Fit] = field(default_factory=list)
    best: Fit | None = None
    stays: int | None = None
    found: list[Move] = field(default_factory=list)


def find_migrations(fixes: Fixes, dates: "pd.DataFrame | None", settings: Settings) -> Migration:
    """Find the migrations and put the result together."""
    years = _years(fixes, settings, by_given_dates=dates is not None)
    if dates is not None:
        found = by_dates(fixes, dates, settings.time_zone)
    else:
        found = [one for year in years for one in year.found]
    found = [one for one in named(apart(found), fixes, _is_south(fixes)) if len(_rows(fixes, one)) >= 2]
    _tell(years, found)
    progress(0.8, "measuring migrations")
    table, layer = _measured(fixes, found, settings)
    return Migration(
        sequences=layer,
        lines=_lines(layer, table),
        migrations=table,
        models=None
        if dates is not None
        else nsd.fits_table([y.track for y in years], [y.fits for y in years], [y.best for y in years]),
        years=_years_table(years, found, fixes),
        displacement=_figure(years, found),
        migration_count=len(table),
        migrating_animals=int(table["animal"].nunique()),
        median_distance_km=float(table["net_km"].median()) if len(table) else float("nan"),
    )


def _years(fixes: Fixes, settings: Settings, *, by_given_dates: bool) -> list[Year]:
    tracks = nsd.animal_years(fixes, settings.month, settings.day)
    group = fixes.group
    work = [(track, int(group[track.first])) for track in tracks]
    if by_given_dates:
        return [Year(track, number, "dates") for track, number in work]
    years = []
    for year in each(_year, settings, work):
        years.append(year)
        progress(0.8 * len(years) / len(work), f"fitting displacement: {year.track.animal} {year.track.year}")
    return years


def _year(settings: Settings, item: tuple[AnimalYear, int]) -> Year:
    track, group = item
    enough = len(track.days) >= 2 * settings.min_stay_days
    complete = enough and track.span >= settings.complete_days and track.nsd_km2.max() > 0
    if settings.how == "models" or (settings.how == "auto" and complete):
        if not complete:
            return Year(track, group, "too short")
        fits = nsd.fit_models(track)
        best = nsd.best_fit(fits, settings.min_distance_km, settings.min_stay_days)
        return Year(track, group, "model", fits, best, None, by_model(track, group, best, fits))
    if not enough:
        return Year(track, group, "too short")
    found, stays = by_contrast(
        track, group, settings.min_stay_days, settings.max_stays, settings.bend, settings.min_distance_km
    )
    return Year(track, group, "contrast", stays=stays, found=found)


def _is_south(fixes: Fixes) -> bool:
    from pyproj import Transformer

    crs = fixes.layer.crs
    x, y = (float(np.mean(values)) for values in (fixes.layer.geometry.x, fixes.layer.geometry.y))
    latitude = Transformer.from_crs(crs, "EPSG:4326", always_xy=True).transform(x, y)[1]
    return bool(latitude < 0)


def _rows(fixes: Fixes, one: Move) -> np.ndarray:
    """Where the fixes of a migration lie."""
    own = fixes.rows(one.group)
    seconds = fixes.seconds[own]
    return np.asarray(own.start + np.flatnonzero((seconds >= one.start) & (seconds <= one.end)))


def _tell(years: list[Year], found: list[Move]) -> None:
    short = [f"{y.track.animal} {y.track.year}" for y in years if y.how == "too short"]
    if short:
        note(
            f"movement.migration: {len(short)} years of animals are too short to tell a migration, first {short[0]}; "
            "how='contrast' needs twice min_stay_days, models need complete_days"
        )
    if not found:
        note("movement.migration: no animal migrates by these rules, so the layer of sequences is empty")


# --- measures -------------------------------------------------------------------------------


def stopovers(x: np.ndarray, y: np.ndarray, seconds: np.ndarray, radius_m: float, least_s: float) -> np.ndarray:
    """Fixes of every passage in which the animal stays within a radius of one of them for a time without leaving."""
    n = len(x)
    stays = np.zeros(n, bool)
    for i in range(n):
        away = (x - x[i]) ** 2 + (y - y[i]) ** 2 > radius_m**2
        before, after = np.flatnonzero(away[:i]), np.flatnonzero(away[i:])
        first = before[-1] + 1 if len(before) else 0
        last = i + after[0] - 1 if len(after) else n - 1
        if seconds[last] - seconds[first] >= least_s:
            stays[first : last + 1] = True
    return stays


def _measured(fixes: Fixes, found: list[Move], settings: Settings) -> tuple["pd.DataFrame", "gpd.GeoDataFrame"]:
    """The table of migrations and the layer of their fixes."""
    import pandas as pd

    steps = steps_of(fixes)
    records, pieces, stopover, sequence, season = [], [np.empty(0, int)], [np.empty(0, bool)], [], []
    for one in found:
        rows = _rows(fixes, one)
        x, y, seconds = fixes.x_m[rows], fixes.y_m[rows], fixes.seconds[rows]
        stays = stopovers(x, y, seconds, settings.stopover_radius_m, settings.stopover_s)
        runs = np.flatnonzero(np.diff(np.concatenate([[0], stays.astype(int), [0]]))).reshape(-1, 2)
        stopped = float(sum(seconds[end - 1] - seconds[first] for first, end in runs)) / nsd.DAY
        apart_km = np.hypot(x - x[0], y - y[0]) / 1000
        path_km = float(steps.length_m[rows[:-1]].sum() / 1000)
        days = float(seconds[-1] - seconds[0]) / nsd.DAY
        whole = fixes.seconds[fixes.rows(one.group)]
        records.append(
            {
                "animal": fixes.names[one.group],
                "sequence": one.sequence,
                "season": one.season,
                "year": int(np.datetime64(int(one.middle), "s").astype("datetime64[Y]").astype(int)) + 1970,
                "start": max(one.start, float(whole[0])),
                "middle": one.middle,
                "end": min(one.end, float(whole[-1])),
                "days": days,
                "fixes": len(rows),
                "net_km": float(apart_km[-1]),
                "path_km": path_km,
                "max_displacement_km": float(apart_km.max()),
                "rate_km_day": path_km / days,
                "stopovers": len(runs),
                "stopover_days": stopped,
                "stopover_share": stopped / days,
                "how": one.how,
                "confidence": one.confidence,
                "complete": bool(one.start >= whole[0] and one.end <= whole[-1]),
            }
        )
        pieces.append(rows)
        stopover.append(stays)
        sequence += [one.sequence] * len(rows)
        season += [one.season] * len(rows)
    layer = fixes.layer.iloc[np.concatenate(pieces)].reset_index(drop=True)
    layer = layer.assign(
        animal=layer["animal"].astype(str),
        sequence=np.array(sequence, object),
        season=np.array(season, object),
        stopover=np.concatenate(stopover),
    )
    return _with_times(pd.DataFrame(records, columns=_COLUMNS)), layer


_COLUMNS = [
    *("animal", "sequence", "season", "year", "start", "middle", "end", "days", "fixes", "net_km", "path_km"),
    *("max_displacement_km", "rate_km_day", "stopovers", "stopover_days", "stopover_share", "how", "confidence"),
    "complete",
]


def _with_times(table: "pd.DataFrame") -> "pd.DataFrame":
    """Seconds as times, to the second."""
    for name in ("start", "middle", "end"):
        table[name] = _utc(table[name].to_numpy(dtype=float))
    return table


def _utc(seconds: np.ndarray) -> "pd.DatetimeIndex":
    import pandas as pd

    return pd.DatetimeIndex(np.round(seconds).astype(np.int64).astype("datetime64[s]")).tz_localize("UTC")


def _lines(layer: "gpd.GeoDataFrame", table: "pd.DataFrame") -> "gpd.GeoDataFrame":
    import geopandas as gpd
    import shapely

    number = np.repeat(np.arange(len(table)), table["fixes"].to_numpy(dtype=int))
    lines = (
        shapely.linestrings(shapely.get_coordinates(layer.geometry.to_numpy()), indices=number) if len(table) else []
    )
    return gpd.GeoDataFrame(table.copy(), geometry=lines, crs=layer.crs)


def _years_table(years: list[Year], found: list[Move], fixes: Fixes) -> "pd.DataFrame":
    import pandas as pd

    rows: list[dict[str, Any]] = []
    for year in years:
        track = year.track
        times = fixes.seconds[track.first : track.end]
        inside = [one for one in found if one.group == year.group and times[0] <= one.middle <= times[-1]]
        most = int(np.argmax(track.nsd_km2))
        rows.append(
            {
                "animal": track.animal,
                "year": track.year,
                "start": times[0],
                "end": times[-1],
                "daily_fixes": len(track.daily),
                "how": year.how,
                "model": None if year.best is None else year.best.model,
                "weight": np.nan if year.best is None else nsd.weights_of(year.fits)[year.best.model],
                "stays": np.nan if year.stays is None else float(year.stays),
                "migrations": len(inside),
                "max_nsd_km2": float(track.nsd_km2[most]),
                "max_nsd_date": str(np.datetime64(int(fixes.seconds[track.daily[most]]), "s").astype("datetime64[D]")),
            }
        )
    table = pd.DataFrame(rows)
    for name in ("start", "end"):
        table[name] = _utc(table[name].to_numpy(dtype=float))
    return table


def _figure(years: list[Year], found: list[Move]) -> Any:
    from linkways.movement._migration_figure import Panel, draw_displacement

    panels: dict[str, Panel] = {}
    for year in years:
        panel = panels.setdefault(year.track.animal, Panel(year.track.animal))
        began = year.track.began + year.track.days * nsd.DAY
        panel.points.append((began, year.track.nsd_km2))
        if year.best is not None:
            days = np.linspace(0, year.track.span, 400)
            panel.curves.append((year.track.began + days * nsd.DAY, nsd.curve(year.best, days), year.best.model))
    names = [year.track.animal for year in years]
    animal_of = {year.group: name for year, name in zip(years, names, strict=True)}
    for one in found:
        panels[animal_of[one.group]].windows.append((one.start, one.end, one.season))
    return draw_displacement(list(panels.values()))
