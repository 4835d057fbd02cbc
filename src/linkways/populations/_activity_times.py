"""Times of day of events as angles: by the clock, by the sun's place in the sky, or between sunrise and sunset."""

import math
from typing import TYPE_CHECKING, Literal

import numpy as np

from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["Clock", "angles_of", "solar_hours", "sun_hours"]

ID = "populations.activity"
Clock = Literal["solar", "sun", "local", "hour"]
_COLUMNS = {
    "solar": ("time", "longitude"),
    "sun": ("time", "longitude", "latitude"),
    "local": ("local_time",),
    "hour": ("hour",),
}


def angles_of(events: "pd.DataFrame", clock: Clock) -> np.ndarray:
    """The time of day of each event as an angle from 0 (midnight) to 2 pi; NaN where it has none.

    Raises LinkwaysError for a column that is missing, a time that cannot be read, and hours outside 0 to 24.
    """
    for name in _COLUMNS[clock]:
        if name not in events:
            found = [str(c) for c in events.columns]
            raise LinkwaysError(
                f"{ID}: clock is {clock}, but the table events has no column '{name}'{nearest(name, found)}"
            )
    if clock == "hour":
        hours = _numbers(events, "hour")
        wrong = np.flatnonzero(~((hours >= 0) & (hours <= 24)))
        if len(wrong):
            raise LinkwaysError(
                f"{ID}: events row {wrong[0] + 1} has the hour {hours[wrong[0]]:g}, not one from 0 to 24"
            )
    elif clock == "local":
        hours = _seconds(events, "local_time", zoned=False) % 86400 / 3600
    else:
        seconds, longitude = _seconds(events, "time", zoned=True), _numbers(events, "longitude")
        hours = solar_hours(seconds, longitude)
        if clock == "sun":
            hours = sun_hours(seconds, hours, _numbers(events, "latitude"))
    return np.asarray(np.mod(hours, 24.0) * (math.pi / 12))


def _numbers(events: "pd.DataFrame", name: str) -> np.ndarray:
    import pandas as pd

    values = pd.to_numeric(events[name], errors="coerce").to_numpy(dtype=float)
    wrong = np.flatnonzero(~np.isfinite(values))
    if len(wrong):
        raise LinkwaysError(
            f"{ID}: events row {wrong[0] + 1} has no number in {name} ('{events[name].iloc[wrong[0]]}')"
        )
    return values


def _seconds(events: "pd.DataFrame", name: str, *, zoned: bool) -> np.ndarray:
    """Seconds since 1970; of UTC where ``zoned``."""
    import pandas as pd

    column = events[name]
    told = column.astype("str")
    if zoned and not (getattr(column.dtype, "tz", None) or told.str.contains(r"(?:Z|[+-]\d{2}:?\d{2})$").all()):
        raise LinkwaysError(
            f"{ID}: {name} must be told with its offset from UTC, such as 2024-05-18T06:30:00Z; use clock='local' for "
            "times of a clock"
        )
    moments = pd.to_datetime(column, errors="coerce", utc=zoned, format="ISO8601" if column.dtype.kind != "M" else None)
    wrong = np.flatnonzero(moments.isna().to_numpy())
    if len(wrong):
        raise LinkwaysError(f"{ID}: events row {wrong[0] + 1} has no time in {name} ('{told.iloc[wrong[0]]}')")
    naive = moments.dt.tz_localize(None) if moments.dt.tz is not None else moments
    return np.asarray(naive.to_numpy().astype("datetime64[ms]").astype(np.int64) / 1000.0)


def _year_angle(seconds: np.ndarray) -> np.ndarray:
    """The place of a moment in its year, as an angle."""
    years = seconds.astype("datetime64[s]").astype("datetime64[Y]")
    first = years.astype("datetime64[s]").astype(np.int64)
    length = (years + 1).astype("datetime64[s]").astype(np.int64) - first
    return np.asarray(2 * math.pi * (seconds - first) / length)


def solar_hours(seconds: np.ndarray, longitude: np.ndarray) -> np.ndarray:
    """Apparent solar time in hours: 12 when the sun is highest (equation of time of Spencer 1971, to half a minute)."""
    g = _year_angle(seconds)
    minutes = 229.18 * (
        0.000075 + 0.001868 * np.cos(g) - 0.032077 * np.sin(g) - 0.014615 * np.cos(2 * g) - 0.040849 * np.sin(2 * g)
    )
    return np.asarray(np.mod(seconds / 3600 + longitude / 15 + minutes / 60, 24.0))


def sun_hours(seconds: np.ndarray, solar: np.ndarray, latitude: np.ndarray) -> np.ndarray:
    """Hours in which the sun rises at 6 and sets at 18 every day; NaN where it does not rise or set.

    Day and night are each stretched evenly (double anchoring, Nouvellet et al. 2012). The sun rises when its centre is
    0.833 degrees below the horizon; its declination is Spencer's (1971).
    """
    g = _year_angle(seconds)
    declination = (
        0.006918
        - 0.399912 * np.cos(g)
        + 0.070257 * np.sin(g)
        - 0.006758 * np.cos(2 * g)
        + 0.000907 * np.sin(2 * g)
        - 0.002697 * np.cos(3 * g)
        + 0.00148 * np.sin(3 * g)
    )
    phi = np.radians(latitude)
    cosine = (math.sin(math.radians(-0.833)) - np.sin(phi) * np.sin(declination)) / (np.cos(phi) * np.cos(declination))
    half_day = np.arccos(np.where(np.abs(cosine) < 1, cosine, np.nan)) * 12 / math.pi
    from_noon = solar - 12
    away = np.abs(from_noon)
    by_day = away <= half_day
    stretched = np.where(by_day, away * 6 / half_day, 6 + (away - half_day) * 6 / (12 - half_day))
    return np.asarray(12 + np.sign(from_noon) * stretched)
