"""Days and times of tables that say neither offset nor convention: when a camera was set up, and when it worked."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from linkways.errors import LinkwaysError
from linkways.populations._camtrap_columns import times_as_text, utc_of

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["DayRule", "Moments", "camtrap_times", "half_days", "read_moments", "span_of"]

DayRule = Literal["whole days", "half days"]


@dataclass(frozen=True)
class Moments:
    """Clock times in seconds since 1970, as the clock shows them."""

    clock: np.ndarray
    known: np.ndarray
    dates: np.ndarray
    """Days without a time of day."""


def read_moments(
    column: "pd.Series", what: str, time_format: str | None, method: str, *, midnight_is_day: bool = False
) -> Moments:
    """Dates or times of a column, written year first or as ``time_format`` says.

    ``midnight_is_day``: a time of 00:00:00 sharp is a day without a time.

    Raises LinkwaysError for a value that is neither, with its row.
    """
    import pandas as pd

    known = column.notna().to_numpy(dtype=bool) & (column.astype(str).str.strip() != "").to_numpy(dtype=bool)
    text = column.astype(str).str.strip()
    found = pd.Series(pd.NaT, index=column.index, dtype="datetime64[s]")
    if known.any():
        try:
            read = pd.to_datetime(text[known], format=time_format or "ISO8601", errors="coerce")
        except ValueError:
            raise LinkwaysError(
                f"{method}: '{time_format}' does not say how times are written; use codes such as '%d/%m/%Y %H:%M'"
            ) from None
        found[known] = read.dt.tz_localize(None).astype("datetime64[s]") if read.dt.tz else read.astype("datetime64[s]")
    wrong = np.flatnonzero(known & found.isna().to_numpy())
    if len(wrong):
        wanted = f"'{time_format}'" if time_format else "year first, such as 2019-04-17 or 2019-04-17 06:30:00"
        raise LinkwaysError(
            f"{method}: {what} row {wrong[0] + 1} is '{text.iloc[wrong[0]]}', which is no time written as {wanted}; "
            "say how times are written (e.g. '%d/%m/%Y') or mend it"
        )
    clock = np.where(known, found.fillna(pd.Timestamp(0)).to_numpy().astype("datetime64[s]").astype(np.int64), 0)
    if time_format is None:
        dates = known & (text.str.len() == 10).to_numpy(dtype=bool)
    else:
        dates = known & (not any(code in time_format for code in ("%H", "%I", "%T", "%X", "%c")))
    if midnight_is_day:
        dates = dates | (known & (clock % 86400 == 0))
    return Moments(clock, known, dates)


def span_of(start: Moments, end: Moments) -> tuple[np.ndarray, np.ndarray]:
    """Clock times of set-up and take-down: a day stands for its beginning at the start, and for its end at the end."""
    return start.clock, end.clock + np.where(end.dates, 86400, 0)


def half_days(names: np.ndarray, start: Moments, end: Moments, time_zone: str) -> "pd.DataFrame":
    """Failures of half a day at set-up and at take-down, where only the day is known: the work is done about noon."""
    import pandas as pd

    rows = []
    for moments, first, last, reason in (
        (start, 0, 43200, "day of set-up counts half"),
        (end, 43200, 86400, "day of take-down counts half"),
    ):
        at = np.flatnonzero(moments.dates)
        begins = camtrap_times(moments.clock[at] + first, time_zone)
        ends = camtrap_times(moments.clock[at] + last, time_zone)
        rows.append(pd.DataFrame({"deploymentID": names[at], "start": begins, "end": ends, "reason": reason}))
    return pd.concat(rows, ignore_index=True)


def camtrap_times(clock: np.ndarray, time_zone: str) -> np.ndarray:
    """Times of a clock in a zone as Camtrap DP writes them."""
    utc, _ = utc_of(np.asarray(clock, dtype=np.int64), time_zone)
    return times_as_text(utc, (clock - utc) // 60)
