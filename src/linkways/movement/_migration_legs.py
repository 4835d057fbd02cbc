"""When animals migrate: legs with their windows, told by models, by contrast or by given dates."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.movement._displacement import DAY, AnimalYear, Fit, back_at, fit_leg, weights_of
from linkways.movement._fixes import Fixes
from linkways.movement._migration_contrast import stays

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Move", "apart", "by_contrast", "by_dates", "by_model", "named"]

#: half a window in units of phi: the logistic goes from 4.7 to 95.3 per cent of the way
_HALF = 3.0
_SHORT = {"spring": "sp", "summer": "su", "autumn": "fa", "fall": "fa", "winter": "wi"}


@dataclass(frozen=True)
class Move:
    """One move between two stays."""

    group: int
    """The animal's number in the fixes."""
    start: float
    """Seconds since 1970."""
    middle: float
    end: float
    how: str
    confidence: float
    season: str = ""
    sequence: str = ""


def by_model(year: AnimalYear, group: int, best: Fit, fits: Sequence[Fit]) -> list[Move]:
    """Departure and return of the best model, each from 3 phi before its middle to 3 phi after.

    Confidence is the Akaike weight of all models that have the leg.
    """
    if "delta" not in best.parameters:
        return []
    p, weight = best.parameters, weights_of(list(fits))
    back = weight["migrant"] + weight["mixed migrant"]
    legs = [(p["theta"], p["phi"], weight["disperser"] + back)]
    if "rho" in p:
        legs.append((back_at(p), p["phi2"], back))
    return [_window(year, group, at, pace, "model", min(sure, 1.0)) for at, pace, sure in legs if at <= year.span]


def by_contrast(
    year: AnimalYear, group: int, shortest: int, most: int, threshold: float, min_distance_km: float
) -> tuple[list[Move], int]:
    """The moves between neighbouring stays of the best cut that are far enough, and how many stays there are.

    Each is dated by a logistic fitted to the places of both stays along the line between their means.
    """
    begins = [*stays(year.x_km, year.y_km, shortest, most, threshold), len(year.days)]
    found = []
    for first, cut, end in zip(begins, begins[1:], begins[2:], strict=False):
        dx, dy = (float(values[cut:end].mean() - values[first:cut].mean()) for values in (year.x_km, year.y_km))
        apart_km = float(np.hypot(dx, dy))
        if apart_km == 0.0:
            continue
        both = slice(first, end)
        leg = fit_leg(year.days[both], (year.x_km[both] * dx + year.y_km[both] * dy) / apart_km)
        if max(leg.distance_km, apart_km) >= min_distance_km:
            window = _window(year, group, leg.middle, leg.pace, "contrast", leg.weight)
            low, high = (year.began + DAY * year.days[at] for at in (first, end - 1))
            found.append(replace(window, start=max(window.start, low), end=min(window.end, high)))
    return found, len(begins) - 1


def _window(year: AnimalYear, group: int, at: float, pace: float, how: str, sure: float) -> Move:
    middle = year.began + at * DAY
    return Move(group, middle - _HALF * pace * DAY, middle, middle + _HALF * pace * DAY, how, sure)


def by_dates(fixes: Fixes, dates: "pd.DataFrame", time_zone: str) -> list[Move]:
    """The migrations of a table with animal, start, end and perhaps season; a day given as end counts whole.

    Raises LinkwaysError for no rows, an unknown animal, an end before its start, an empty date, or a window without
    two fixes.
    """
    from linkways.movement._tracks_table import text_names
    from linkways.movement._tracks_times import read_times

    if not len(dates):
        raise LinkwaysError("dates has no rows; give one for each migration (animal, start, end), or leave dates out")
    animals = text_names(dates["animal"])
    known = {str(name): g for g, name in enumerate(fixes.names)}
    bounds = []
    for column in ("start", "end"):
        times = read_times(dates, [column], time_zone, None, "before").utc
        empty = np.flatnonzero(np.isnat(times))
        if len(empty):
            raise LinkwaysError(f"dates has no {column} in row {empty[0] + 1}; fill it, or leave the row out")
        bounds.append(times.astype(np.int64) / 1e6)
    start, end = bounds
    end = np.where(_is_day(dates["end"]), _next_day(dates, time_zone), end)
    seasons = dates["season"].tolist() if "season" in dates.columns else [None] * len(dates)
    found = []
    for row, (animal, first, last, season) in enumerate(zip(animals, start, end, seasons, strict=True), start=1):
        if animal not in known:
            raise LinkwaysError(f"dates names the animal '{animal}' in row {row}{nearest(str(animal), known)}")
        if last <= first:
            raise LinkwaysError(f"dates has an end before its start in row {row} ({animal}); swap them")
        rows = fixes.rows(known[animal])
        inside = (fixes.seconds[rows] >= first) & (fixes.seconds[rows] <= last)
        if inside.sum() < 2:
            raise LinkwaysError(
                f"dates row {row}: {animal} has {int(inside.sum())} fixes between the two dates; widen them, or leave "
                "the row out"
            )
        told = "" if season is None or season != season else str(season).strip().lower()
        found.append(Move(known[animal], float(first), float(first + last) / 2, float(last), "dates", np.nan, told))
    return found


def _is_day(column: "pd.Series") -> np.ndarray:
    """Whether a date is told without time of day."""
    import pandas as pd

    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        return np.asarray((column == column.dt.normalize()).to_numpy(dtype=bool))
    return np.asarray(column.astype(str).str.strip().str.len().to_numpy() <= len("2008-04-12"))


def _next_day(dates: "pd.DataFrame", time_zone: str) -> np.ndarray:
    """The last moment of the day of every end."""
    import pandas as pd

    from linkways.movement._tracks_times import read_times

    day = _is_day(dates["end"])
    ends = pd.to_datetime(dates["end"].where(day, "2000-01-01"), format="ISO8601").dt.normalize()
    after = pd.DataFrame({"end": ends + pd.Timedelta(days=1)})
    zone = time_zone if after["end"].dt.tz is None else None
    return np.asarray(read_times(after, ["end"], zone, None, "before").utc.astype(np.int64) / 1e6 - 1e-3)


# --- order and names ------------------------------------------------------------------------


def apart(migrations: list[Move]) -> list[Move]:
    """The migrations by animal and time, windows that overlap cut at the middle of the overlap."""
    ordered = sorted(migrations, key=lambda one: (one.group, one.middle))
    for i in range(len(ordered) - 1):
        one, two = ordered[i], ordered[i + 1]
        if one.group == two.group and one.end > two.start:
            cut = min(max((one.end + two.start) / 2, one.middle), two.middle)
            ordered[i], ordered[i + 1] = replace(one, end=cut), replace(two, start=cut)
    return ordered


def named(migrations: list[Move], fixes: Fixes, south: bool) -> list[Move]:
    """Seasons and names such as 317_sp08; a second migration of an animal in a season gets a letter."""
    seen: dict[str, int] = {}
    found = []
    for one in migrations:
        moment = np.datetime64(int(one.middle), "s")
        month = int(moment.astype("datetime64[M]").astype(int)) % 12 + 1
        season = one.season or ("spring" if (2 <= month <= 7) != south else "autumn")
        year = int(moment.astype("datetime64[Y]").astype(int)) + 1970
        name = f"{fixes.names[one.group]}_{_SHORT.get(season, season.replace(' ', '_') or 'mi')}{year % 100:02d}"
        seen[name] = seen.get(name, 0) + 1
        letter = "" if seen[name] == 1 else _letter(seen[name] - 1)
        found.append(replace(one, season=season, sequence=name + letter))
    return found


def _letter(number: int) -> str:
    """b, c, ... z, aa, ab, ..."""
    text = ""
    number += 1
    while number:
        number, rest = divmod(number - 1, 26)
        text = chr(ord("a") + rest) + text
    return text
