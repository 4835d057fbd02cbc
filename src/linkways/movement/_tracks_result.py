"""The rules of cleaning one after the other with a log of what each decided, and the parts of the result."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.method import progress
from linkways.movement import _cleaning
from linkways.movement._steps import steps_between
from linkways.movement._tracks_places import projected
from linkways.movement._tracks_table import RawFixes
from linkways.movement.tracks import Tracks
from linkways.spatial import note

if TYPE_CHECKING:
    import geopandas as gpd
    import pandas as pd

__all__ = ["Rules", "clean_tracks"]

_OWN = ("animal", "time", "burst", "row", "why", "geometry")


@dataclass(frozen=True)
class Rules:
    """What to leave out; the parameters of the method."""

    sensors: Sequence[str] | None
    duplicate_s: float
    max_dop: float | None
    max_speed_m_s: float | None
    fast_step: tuple[float | None, float]
    round_trip: tuple[float | None, float]
    round_trip_factor: float
    still_m: float | None
    still_hours: float
    tail_m: float | None
    tail_steps: int
    tail_hours: float
    gap_hours: float
    interval_minutes: float | None
    tolerance_minutes: float

    @property
    def gap_s(self) -> float:
        """Longest time between fixes of a burst."""
        return self.gap_hours * 3600


@dataclass
class _Cleaning:
    """Rows of a table on their way to tracks."""

    raw: RawFixes
    x: np.ndarray
    """On the map, in metres."""
    y: np.ndarray
    why: np.ndarray
    """Why a row is left out; None while it is not."""
    log: list[tuple[str, str, int, int, int]] = field(default_factory=list)

    def leave_out(self, wrong: np.ndarray, why: str, setting: str = "") -> None:
        """Leave out rows that are still there."""
        rows = np.flatnonzero(wrong & self.here)
        self.why[rows] = why
        self.note(why, setting, rows, len(rows))

    def note(self, rule: str, setting: str, rows: np.ndarray, left_out: int = 0) -> None:
        """Write into the log which rows a rule concerned."""
        animals = {name for name in self.raw.animal[rows] if name is not None}
        self.log.append((rule, setting, len(rows), len(animals), left_out))

    @property
    def here(self) -> np.ndarray:
        """Rows not left out."""
        return _absent(self.why)


@dataclass(frozen=True)
class _Sorted:
    """The rows that are left, by animal and time."""

    rows: np.ndarray
    names: np.ndarray
    start: np.ndarray
    x: np.ndarray
    y: np.ndarray
    seconds: np.ndarray

    @cached_property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
        """What every rule looks at."""
        return self.x, self.y, self.seconds, self.start


def clean_tracks(raw: RawFixes, rules: Rules, project_to: str | None) -> Tracks:
    """Apply the rules and put the result together."""
    taken = [name for name in raw.more if name in _OWN]
    if taken:
        raise LinkwaysError(f"keep names {taken[0]}, which the result has of its own; rename that column of the table")
    x, y, crs = projected(raw.x, raw.y, raw.crs, project_to)
    _tell_projection(raw, crs)
    unit = float(crs.axis_info[0].unit_conversion_factor)
    work = _Cleaning(raw, x * unit, y * unit, np.full(len(raw), None, object))
    _rows_of_their_own(work, rules)
    progress(0.3, "leaving out duplicates and spikes")
    tracks = _against_neighbours(work, rules)
    still = (
        _cleaning.still_clusters(*tracks.arrays, rules.still_m, rules.still_hours, rules.gap_s)
        if (rules.still_m is not None)
        else []
    )
    if rules.still_m is not None:
        rows = [tracks.rows[one.first : one.last + 1] for one in still]
        setting = f"steps <= {rules.still_m:g} m for > {rules.still_hours:g} h"
        work.note("still cluster (stays)", setting, np.concatenate([np.empty(0, int), *rows]))
    tracks, bursts = _in_bursts(work, tracks, rules)
    progress(0.7, "drawing tracks")
    return _result(work, tracks, bursts, still, crs, unit)


def _absent(values: np.ndarray) -> np.ndarray:
    import pandas as pd

    return np.asarray(pd.isna(values))


def _tell_projection(raw: RawFixes, crs: Any) -> None:
    if crs != raw.crs:
        note(f"movement.tracks: places brought from {raw.crs.name} to {crs.to_string()[:120]}")
    if not crs.to_string().startswith("+proj=laea") or not raw.crs.is_geographic:
        return
    place = np.isfinite(raw.x)
    origin = {one.name: one.value for one in crs.coordinate_operation.params}
    middle = [np.radians(origin[f"{one} of natural origin"]) for one in ("Latitude", "Longitude")]
    lat, lon = np.radians(raw.y[place]), np.radians(raw.x[place])
    cosine = np.sin(middle[0]) * np.sin(lat) + np.cos(middle[0]) * np.cos(lat) * np.cos(lon - middle[1])
    # radii shrink by the cosine of half the angle from the middle, circles grow by as much
    stretch = 1 / np.sqrt((1 + cosine.min()) / 2) - 1
    if stretch > 0.005:
        note(
            f"movement.tracks: the tracks spread so far that the map stretches lengths at its edge by {stretch:.1%}; "
            "analyse distant populations one by one, or give project_to"
        )


# --- the rules ------------------------------------------------------------------------------


def _rows_of_their_own(work: _Cleaning, rules: Rules) -> None:
    """What a row tells by itself."""
    raw = work.raw
    everything = np.arange(len(raw))
    work.note("rows read", "", everything)
    work.leave_out(_absent(raw.animal), "no animal")
    changed = raw.times.twice | raw.times.never
    if raw.times.twice.any():
        work.note("local time shown twice", "", np.flatnonzero(raw.times.twice))
    if raw.times.never.any():
        work.note("local time skipped by the clock", "", np.flatnonzero(raw.times.never))
    missing = np.isnat(raw.times.utc)
    if (missing & changed).any():
        work.leave_out(missing & changed, "clock change")
    work.leave_out(missing, "no time")
    work.leave_out(~(np.isfinite(work.x) & np.isfinite(work.y)), "no place")
    work.leave_out(~raw.visible, "not visible")
    work.leave_out(raw.outlier, "marked as outlier")
    if rules.sensors is not None:
        work.leave_out(~_of_sensors(raw, rules.sensors), "other sensor", ", ".join(rules.sensors))
    if rules.max_dop is not None:
        work.leave_out(_dop(raw, needed=True) > rules.max_dop, "imprecise", f"dop > {rules.max_dop:g}")


def _of_sensors(raw: RawFixes, sensors: Sequence[str]) -> np.ndarray:
    if "sensor" not in raw.more:
        raise LinkwaysError(
            "sensors are asked for, but the table has no column sensor-type or sensor; leave sensors out"
        )
    known = sorted({str(s) for s in raw.more["sensor"] if s is not None})
    for sensor in sensors:
        if sensor not in known:
            raise LinkwaysError(f"no fix is of the sensor '{sensor}'{nearest(sensor, known)}")
    return np.isin(raw.more["sensor"].astype(str), list(sensors))


def _dop(raw: RawFixes, *, needed: bool = False) -> np.ndarray:
    if "dop" in raw.more:
        return raw.more["dop"]
    if needed:
        raise LinkwaysError(
            "max_dop is given, but the table has no column dop, hdop, pdop or gps:dop; leave max_dop out"
        )
    return np.full(len(raw), np.nan)


def _sorted(work: _Cleaning) -> _Sorted:
    """The rows that are left in order; told how many were not."""
    import pandas as pd

    rows = np.flatnonzero(work.here)
    codes, names = pd.factorize(work.raw.animal[rows], sort=True)
    time = work.raw.times.utc[rows].astype(np.int64)
    order = np.lexsort([time, codes])
    rows, codes = rows[order], codes[order]
    start = np.searchsorted(codes, np.arange(len(names) + 1))
    return _Sorted(rows, np.asarray(names, object), start, work.x[rows], work.y[rows], time[order] / 1e6)


def _against_neighbours(work: _Cleaning, rules: Rules) -> _Sorted:
    """Rules about a fix and those before and after it."""
    tracks = _sorted(work)
    backwards = _out_of_order(work)
    work.note("not in order of time", "", backwards)
    dop = _dop(work.raw)

    def apply(why: str, setting: str, rule: Callable[..., np.ndarray], *more: Any) -> None:
        nonlocal tracks
        wrong = np.zeros(len(work.raw), bool)
        wrong[tracks.rows[rule(*tracks.arrays, *more)]] = True
        work.leave_out(wrong, why, setting)
        if wrong.any():
            tracks = _sorted(work)

    apply("duplicate", f"within {rules.duplicate_s:g} s", _cleaning.duplicates, dop[tracks.rows], rules.duplicate_s)
    if rules.max_speed_m_s is not None:
        setting = f"reached and left at > {rules.max_speed_m_s:g} m/s"
        apply("problem point", setting, _cleaning.problem_points, rules.max_speed_m_s, rules.gap_s)
    speed, minutes = rules.fast_step
    if speed is not None:
        most = _cleaning.squared_displacement_rate(speed, minutes)
        apply("fast step", f"> {most:.6g} m2/s ({speed:g} km/h for {minutes:g} min)", _cleaning.fast_steps, most)
    speed, minutes = rules.round_trip
    if speed is not None:
        most = _cleaning.squared_displacement_rate(speed, minutes)
        setting = f"> {most:.6g} m2/s ({speed:g} km/h for {minutes:g} min), factor {rules.round_trip_factor:g}"
        apply("round trip", setting, _cleaning.round_trips, most, rules.round_trip_factor)
    if rules.tail_m is not None:
        setting = f"within {rules.tail_m:g} m for >= {rules.tail_steps} steps and {rules.tail_hours:g} h"
        apply("still end", setting, _cleaning.still_tails, rules.tail_m, rules.tail_steps, rules.tail_hours)
    return tracks


def _out_of_order(work: _Cleaning) -> np.ndarray:
    """Rows that come after a later fix of the same animal."""
    import pandas as pd

    rows = np.flatnonzero(work.here)
    time = pd.Series(work.raw.times.utc[rows].astype(np.int64))
    latest = time.groupby(pd.factorize(work.raw.animal[rows])[0]).cummax()
    return np.asarray(rows[(time < latest).to_numpy()])


def _in_bursts(work: _Cleaning, tracks: _Sorted, rules: Rules) -> tuple[_Sorted, np.ndarray]:
    """Tracks at the interval asked for, without animals of one fix, and the burst of every fix."""
    broken = None
    if rules.interval_minutes is not None:
        kept, broken = _cleaning.on_interval(
            tracks.seconds, tracks.start, rules.interval_minutes * 60, rules.tolerance_minutes * 60
        )
        anew = set(tracks.rows[broken].tolist())
        off = np.zeros(len(work.raw), bool)
        off[tracks.rows[~kept]] = True
        setting = f"{rules.interval_minutes:g} +- {rules.tolerance_minutes:g} min"
        work.leave_out(off, "off the interval", setting)
        tracks = _sorted(work)
        broken = np.array([row in anew for row in tracks.rows.tolist()], bool)
    only = np.zeros(len(work.raw), bool)
    only[tracks.rows[_cleaning.lonely(tracks.start)]] = True
    work.leave_out(only, "only fix of its animal")
    if only.any():
        there = ~only[tracks.rows]
        broken = None if broken is None else broken[there]
        tracks = _sorted(work)
    if not len(tracks.rows):
        told = ", ".join(f"{why}: {n}" for why, _, _, _, n in work.log if n)
        raise LinkwaysError(
            f"no animal of the table has two usable fixes ({told}); give more fixes, or loosen the rules of "
            "movement.tracks"
        )
    bursts = _cleaning.burst_numbers(tracks.seconds, tracks.start, rules.gap_s, broken)
    setting = f"gap > {rules.gap_hours:g} h"
    work.note("begins a burst", setting, tracks.rows[_burst_starts(bursts, tracks.start)])
    return tracks, bursts


# --- the result -----------------------------------------------------------------------------


def _result(
    work: _Cleaning, tracks: _Sorted, bursts: np.ndarray, still: list[_cleaning.Still], crs: Any, unit: float
) -> Tracks:
    import pandas as pd

    animal = np.repeat(tracks.names, np.diff(tracks.start))
    burst = np.array([f"{a}_{b:03d}" for a, b in zip(animal, bursts.tolist(), strict=True)], object)
    in_burst = np.concatenate([_burst_starts(bursts, tracks.start), [len(animal)]])
    steps = steps_between(tracks.x, tracks.y, tracks.seconds, in_burst)
    fixes = _points(
        {"animal": animal, "time": _utc(work.raw.times.utc[tracks.rows]), "burst": burst}
        | {"row": tracks.rows + 1}
        | {name: values[tracks.rows] for name, values in work.raw.more.items()},
        tracks.x / unit,
        tracks.y / unit,
        crs,
    )
    log = pd.DataFrame(work.log, columns=["rule", "setting", "fixes", "animals", "left_out"])
    gone = np.flatnonzero(~work.here)
    speed = steps.speed_m_s[steps.known]
    _tell(log, len(work.raw))
    return Tracks(
        fixes=fixes,
        lines=_lines(fixes, in_burst, steps.length_m),
        dropped=_dropped(work, gone, crs, unit),
        log=log,
        reasons=_explained(work, gone),
        animals=_animals(work, tracks, steps.length_m, steps.speed_m_s, bursts),
        still=_still(work, tracks, still),
        fixes_kept=len(fixes),
        fixes_dropped=len(gone),
        animals_kept=len(tracks.names),
        path_km=float(np.nansum(steps.length_m) / 1000),
        max_speed_m_s=float(speed.max()) if len(speed) else 0.0,
    )


def _burst_starts(bursts: np.ndarray, start: np.ndarray) -> np.ndarray:
    begins = np.append(True, np.diff(bursts) != 0)
    begins[start[:-1]] = True
    return np.flatnonzero(begins)


def _utc(times: np.ndarray) -> "pd.DatetimeIndex":
    import pandas as pd

    return pd.DatetimeIndex(times).tz_localize("UTC")


def _points(columns: dict[str, Any], x: np.ndarray, y: np.ndarray, crs: Any) -> "gpd.GeoDataFrame":
    import geopandas as gpd
    import shapely

    return gpd.GeoDataFrame(columns, geometry=shapely.points(x, y), crs=crs)


def _lines(fixes: "gpd.GeoDataFrame", start: np.ndarray, length_m: np.ndarray) -> "gpd.GeoDataFrame":
    import geopandas as gpd
    import shapely

    first, last = start[:-1], start[1:] - 1
    many = last > first
    line = np.repeat(np.cumsum(many) - 1, np.diff(start))
    used = np.repeat(many, np.diff(start))
    geometry = shapely.linestrings(shapely.get_coordinates(fixes.geometry.to_numpy())[used], indices=line[used])
    length = np.add.reduceat(np.nan_to_num(length_m), first)[many]
    return gpd.GeoDataFrame(
        {
            "animal": fixes["animal"].to_numpy()[first[many]],
            "burst": fixes["burst"].to_numpy()[first[many]],
            "n": (last - first + 1)[many],
            "length_m": length,
            "start": fixes["time"].array[first[many]],
            "end": fixes["time"].array[last[many]],
        },
        geometry=geometry,
        crs=fixes.crs,
    )


def _explained(work: _Cleaning, rows: np.ndarray) -> "pd.DataFrame":
    import pandas as pd

    return pd.DataFrame(
        {
            "row": rows + 1,
            "animal": work.raw.animal[rows],
            "time": _utc(work.raw.times.utc[rows]),
            "why": work.why[rows],
        }
    )


def _dropped(work: _Cleaning, rows: np.ndarray, crs: Any, unit: float) -> "gpd.GeoDataFrame | None":
    placed = rows[np.isfinite(work.x[rows]) & np.isfinite(work.y[rows]) & ~_absent(work.raw.animal[rows])]
    if not len(placed):
        return None
    told = _explained(work, placed)
    columns = {name: told[name] for name in ("animal", "time", "row", "why")}
    return _points(columns, work.x[placed] / unit, work.y[placed] / unit, crs)


def _animals(
    work: _Cleaning, tracks: _Sorted, length_m: np.ndarray, speed: np.ndarray, bursts: np.ndarray
) -> "pd.DataFrame":
    import pandas as pd

    read = pd.Series(work.raw.animal).value_counts()
    rows = []
    for g, name in enumerate(tracks.names):
        own = slice(int(tracks.start[g]), int(tracks.start[g + 1]))
        seconds = tracks.seconds[own]
        gaps = np.diff(seconds)
        usual = float(np.median(gaps))
        fastest = speed[own][np.isfinite(speed[own])]
        rows.append(
            {
                "animal": name,
                "fixes_read": int(read[name]),
                "fixes_kept": len(seconds),
                "median_interval_h": usual / 3600,
                # a gap of k intervals lacks k - 1 fixes
                "missing": int(np.maximum(np.round(gaps / usual) - 1, 0).sum()),
                "bursts": int(bursts[own][-1]),
                "start": seconds[0],
                "end": seconds[-1],
                "days": (seconds[-1] - seconds[0]) / 86400,
                "path_km": float(np.nansum(length_m[own]) / 1000),
                "max_speed_m_s": float(fastest.max()) if len(fastest) else np.nan,
            }
        )
    table = pd.DataFrame(rows)
    for name in ("start", "end"):
        table[name] = _utc(np.round(table[name].to_numpy() * 1e6).astype(np.int64).view("datetime64[us]"))
    return table


def _still(work: _Cleaning, tracks: _Sorted, still: list[_cleaning.Still]) -> "pd.DataFrame":
    import pandas as pd

    first = tracks.rows[[one.first for one in still]] if still else np.empty(0, int)
    last = tracks.rows[[one.last for one in still]] if still else np.empty(0, int)
    start, end = work.raw.times.utc[first], work.raw.times.utc[last]
    return pd.DataFrame(
        {
            "animal": work.raw.animal[first],
            "start": _utc(start),
            "end": _utc(end),
            "hours": (end - start) / np.timedelta64(1, "h"),
            "fixes": [one.last - one.first + 1 for one in still],
        }
    )


def _tell(log: "pd.DataFrame", rows: int) -> None:
    """The log in one sentence, and a warning when a speed rule takes much."""
    out = log[log["left_out"] > 0]
    if len(out):
        told = ", ".join(f"{n} {why}" for why, n in zip(out["rule"], out["left_out"], strict=True))
        note(f"movement.tracks: {int(out['left_out'].sum())} of {rows} rows left out ({told})")
    for why, n in zip(out["rule"], out["left_out"], strict=True):
        if why in ("problem point", "fast step", "round trip") and n > 0.02 * rows:
            note(
                f"movement.tracks: the rule '{why}' left out {n / rows:.1%} of all rows, more than errors usually "
                "make; see whether its speed suits the species"
            )
