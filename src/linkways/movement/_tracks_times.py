"""Times of fixes in UTC, from text, numbers or times with or without zone, and what clock changes did to them."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from linkways.errors import LinkwaysError, nearest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ClockChange", "Times", "read_times"]

ClockChange = Literal["before", "after", "leave out"]
_UNIX = {"unix seconds": "s", "unix milliseconds": "ms"}
# an hour, perhaps more, then Z, UTC, or an offset such as +02 or -07:00
_ZONE = r"[T ]\d{1,2}(?::?\d{2}){0,2}(?:[.,]\d+)?\s*(?:[Zz]|UTC|GMT|[+-]\d{2}(?::?\d{2})?)$"


@dataclass(frozen=True)
class Times:
    """Times in microseconds since 1970 (UTC), and what was unclear."""

    utc: np.ndarray
    """datetime64[us]; NaT where there is no time."""
    twice: np.ndarray
    """Local times that the clock showed twice."""
    never: np.ndarray
    """Local times that the clock skipped."""


def read_times(
    table: "pd.DataFrame",
    columns: Sequence[str],
    zone: str | None,
    time_format: str | None,
    clock_change: ClockChange,
    *,
    utc: bool = False,
) -> Times:
    """The times in some columns (a date and an hour are put together with a blank); ``utc``: UTC where nothing is said.

    Raises LinkwaysError for a text that is no time, numbers without a unit, an unknown zone, and times without zone.
    """
    import pandas as pd

    what = " and ".join(columns)
    column = table[columns[0]]
    if len(columns) > 1:
        column = _joined(table, columns)
    if time_format in _UNIX:
        return _no_change(_numbers(column, what, _UNIX[time_format]))
    if pd.api.types.is_numeric_dtype(column.dtype) and time_format is None:
        raise LinkwaysError(
            f"column {what} holds numbers (first {column.iloc[0]}), not times; say what they count (time_format='unix "
            "seconds' or 'unix milliseconds', since 1970), or how they are written, e.g. '%Y%m%d%H%M'"
        )
    if pd.api.types.is_datetime64_any_dtype(column.dtype):
        if column.dt.tz is not None:
            return _no_change(_plain(column.dt.tz_convert("UTC")))
        return _local(_plain(column), column.notna().to_numpy(), column, zone, clock_change, utc, what)
    return _from_text(column, what, zone, time_format, clock_change, utc)


def _joined(table: "pd.DataFrame", columns: Sequence[str]) -> "pd.Series":
    """Dates and times of day in one text; none where one of them is missing."""
    parts = [table[name] for name in columns]
    missing = np.any([part.isna().to_numpy(dtype=bool) for part in parts], axis=0)
    text = parts[0].astype(str).str.strip()
    for part in parts[1:]:
        text = text + " " + part.astype(str).str.strip()
    return text.where(~missing, None)


def _from_text(
    column: "pd.Series", what: str, zone: str | None, time_format: str | None, clock_change: ClockChange, utc: bool
) -> Times:
    import pandas as pd

    missing = column.isna()
    text = column.where(~missing, "").astype(str).str.strip()
    if pd.api.types.is_float_dtype(column.dtype):
        text = text.str.removesuffix(".0")
    known = (text != "").to_numpy()
    if time_format is None:
        # the zone's letters are not part of ISO 8601
        text = text.str.replace(r"\s*(?:UTC|GMT)$", "Z", regex=True)
        zoned = text.str.contains(_ZONE, regex=True).to_numpy(dtype=bool)
    else:
        zoned = np.full(len(text), "%z" in time_format.lower())
    parsed = np.full(len(text), np.datetime64("NaT", "us"))
    for group in (known & zoned, known & ~zoned):
        if group.any():
            parsed[group] = _parsed(text[group], time_format, what, np.flatnonzero(group))
    return _local(parsed, known & ~zoned, column, zone, clock_change, utc, what)


def _parsed(text: "pd.Series", time_format: str | None, what: str, rows: np.ndarray) -> np.ndarray:
    """Times of texts that all have a zone or all have none (those stay as they are written)."""
    import pandas as pd

    zoned = bool(pd.Series([text.iloc[0]]).str.contains(_ZONE, regex=True).iloc[0]) or (
        time_format is not None and "%z" in time_format.lower()
    )
    try:
        found = pd.to_datetime(text, format=time_format or "ISO8601", errors="coerce", utc=zoned)
    except ValueError:
        raise LinkwaysError(
            f"time_format '{time_format}' cannot be read; write it like '%d/%m/%Y %H:%M' (codes of strftime)"
        ) from None
    wrong = np.flatnonzero(found.isna().to_numpy())
    if len(wrong):
        wanted = f"'{time_format}'" if time_format else "year first, such as 2014-03-30 17:00"
        raise LinkwaysError(
            f"column {what} has {len(wrong)} texts that are no times written as {wanted}, first row "
            f"{rows[wrong[0]] + 1} ('{text.iloc[wrong[0]]}'); say how they are written (time_format, e.g. "
            "'%d/%m/%Y %H:%M') or mend them"
        )
    return _plain(found)


def _plain(column: "pd.Series") -> np.ndarray:
    """datetime64[us] without its zone."""
    naive = column.dt.tz_localize(None) if column.dt.tz is not None else column
    return np.asarray(naive.to_numpy(dtype="datetime64[us]"))


def _numbers(column: "pd.Series", what: str, unit: str) -> np.ndarray:
    import pandas as pd

    numbers = pd.to_numeric(column, errors="coerce")
    wrong = np.flatnonzero(numbers.isna().to_numpy() & column.notna().to_numpy())
    if len(wrong):
        raise LinkwaysError(
            f"column {what} has '{column.iloc[wrong[0]]}' in row {wrong[0] + 1}, which is no number of {unit}"
        )
    micro = numbers.to_numpy(dtype=float, na_value=np.nan) * (1e6 if unit == "s" else 1e3)
    known = np.isfinite(micro)
    times = np.full(len(micro), np.datetime64("NaT", "us"))
    times[known] = np.round(micro[known]).astype(np.int64).view("datetime64[us]")
    return times


def _no_change(times: np.ndarray) -> Times:
    return Times(times, np.zeros(len(times), bool), np.zeros(len(times), bool))


def _local(
    times: np.ndarray,
    local: np.ndarray,
    column: "pd.Series",
    zone: str | None,
    clock_change: ClockChange,
    utc: bool,
    what: str,
) -> Times:
    """UTC of the times that are local; the others are UTC already."""
    if not local.any():
        if zone is not None:
            _zone(zone)
        return _no_change(times)
    if zone is None:
        if utc:
            return _no_change(times)
        row = int(np.flatnonzero(local)[0])
        raise LinkwaysError(
            f"column {what} has {int(local.sum())} times without zone, first row {row + 1} ('{column.iloc[row]}'), so "
            "days, seasons and clock changes are unknown; name it: time_zone, e.g. UTC or America/Denver"
        )
    found, twice, never = _to_utc(times[local], zone)
    if clock_change == "after":
        found = _folded(times[local], found, twice | never, zone)
    elif clock_change == "leave out":
        found[twice | never] = np.datetime64("NaT", "us")
    whole, all_twice, all_never = times.copy(), np.zeros(len(times), bool), np.zeros(len(times), bool)
    whole[local], all_twice[local], all_never[local] = found, twice, never
    return Times(whole, all_twice, all_never)


def _to_utc(times: np.ndarray, zone: str) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """UTC by the offset before a clock change, and which local times there were twice or never."""
    import pandas as pd

    name = _zone(zone)
    clear = pd.DatetimeIndex(times).tz_localize(name, ambiguous="NaT", nonexistent="NaT")
    found = clear.tz_convert("UTC").tz_localize(None).to_numpy(dtype="datetime64[us]").copy()
    unclear = np.isnat(found) & ~np.isnat(times)
    found = _folded(times, found, unclear, zone, fold=0)
    later = _folded(times, found, unclear, zone, fold=1)
    # with the offset before the change a doubled time comes first, and a skipped one comes later than with that after
    return found, unclear & (found < later), unclear & (found > later)


def _folded(times: np.ndarray, found: np.ndarray, which: np.ndarray, zone: str, fold: int = 1) -> np.ndarray:
    """UTC of the unclear times by the offset before (fold 0) or after (fold 1) the change (PEP 495)."""
    result = found.copy()
    tz = _zone(zone)
    for i in np.flatnonzero(which):
        moment = times[i].astype("datetime64[us]").item().replace(tzinfo=tz, fold=fold)
        result[i] = np.datetime64(moment.astimezone(UTC).replace(tzinfo=None), "us")
    return result


def _zone(name: str) -> Any:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise LinkwaysError(
            f"time_zone '{name}' is not a zone of the IANA list{nearest(name, available_timezones())}; write it like "
            "UTC or America/Denver"
        ) from None
