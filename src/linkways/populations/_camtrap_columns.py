"""Columns of camera trap tables, whatever they were read as, turned into what their field declares."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from linkways.errors import LinkwaysError, nearest
from linkways.populations._camtrap_fields import MISSING, CamtrapField

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

__all__ = [
    "NO_TIME",
    "Column",
    "arrow_column",
    "columns_of",
    "read_column",
    "shown_values",
    "times_as_text",
    "utc_of",
    "where_known",
]

NO_TIME = np.iinfo(np.int64).min
"""Seconds of a time that is missing or cannot be read."""
_NUMBER = r"^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$"
_TRUE, _FALSE = ("true", "True", "TRUE", "1"), ("false", "False", "FALSE", "0")


@dataclass(frozen=True)
class Column:
    """One column as its field declares it."""

    output: Any
    """The column that is handed on, a pyarrow array: text, double, int64 or bool; null where there is no value."""
    missing: np.ndarray
    bad: np.ndarray
    """Values that are not of the declared kind."""
    values: np.ndarray
    """Numbers (NaN without), truths (1, 0, -1 without), or seconds since 1970 UTC (NO_TIME without); empty for text."""
    offsets: np.ndarray
    """Minutes that the clock shown is ahead of UTC; empty where the column holds no times."""
    notes: tuple[str, ...] = ()
    noted: np.ndarray | None = None
    """Rows that the notes speak of."""


def columns_of(frame: "pd.DataFrame | pa.Table") -> "dict[str, Any]":
    """Every column as one pyarrow array, null for a missing value; mixed columns become text."""
    import pyarrow as pa

    if isinstance(frame, pa.Table):
        return {name: _one_piece(frame.column(name)) for name in frame.column_names}
    return {str(name): arrow_column(frame[name]) for name in frame.columns}


def _one_piece(column: Any) -> Any:
    import pyarrow as pa

    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()
        if isinstance(column, pa.ChunkedArray):
            column = pa.concat_arrays(column.chunks)
    return column


def arrow_column(series: "pd.Series") -> Any:
    """A column of a DataFrame as a pyarrow array, with nulls for missing values."""
    import pyarrow as pa
    import pyarrow.compute as pc

    try:
        column = _one_piece(pa.array(series, from_pandas=True))
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        gone = series.isna().to_numpy(dtype=bool)
        values = [None if absent else str(value) for value, absent in zip(series, gone, strict=True)]
        column = pa.array(values, pa.large_string())
    if pa.types.is_dictionary(column.type):
        column = _one_piece(column.dictionary_decode())
    if pa.types.is_null(column.type):
        return pa.nulls(len(series), pa.large_string())
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        gone = pc.is_in(column, value_set=pa.array(MISSING, column.type))
        if pc.any(gone).as_py():
            column = pc.if_else(gone, pa.scalar(None, column.type), column)
    return _one_piece(column)


def shown_values(column: Any, rows: np.ndarray) -> list[str]:
    """What stands in some rows of a column, as text, empty where there is nothing."""
    return ["" if value is None else str(value) for value in column.take(rows).to_pylist()]


def where_known(known: np.ndarray, values: np.ndarray) -> np.ndarray:
    """The values as objects, None where they are not known."""
    found = np.full(len(known), None, object)
    found[known] = values[known]
    return found


def read_column(field: CamtrapField, column: Any, time_zone: str | None) -> Column:
    """The column as its field declares it, and which of its values are not."""
    readers = {"text": _text, "number": _number, "whole": _whole, "truth": _truth}
    if field.kind == "time":
        return _time(column, time_zone)
    return readers[field.kind](column)


def _is_text(column: Any) -> bool:
    import pyarrow as pa

    return bool(pa.types.is_string(column.type) or pa.types.is_large_string(column.type))


def _null(column: Any) -> np.ndarray:
    if column.null_count == 0:
        return np.zeros(len(column), bool)
    return np.asarray(column.is_null().to_numpy(zero_copy_only=False))


def _flags(array: Any) -> np.ndarray:
    """A boolean pyarrow array as numpy, False for null."""
    import pyarrow.compute as pc

    return np.asarray(pc.fill_null(array, False).to_numpy(zero_copy_only=False))


_EMPTY = np.zeros(0)


def _text(column: Any) -> Column:
    import pyarrow as pa
    import pyarrow.compute as pc

    if pa.types.is_floating(column.type):
        # identifiers such as 317 come as 317.0 where a row of the file has none
        numbers = column.to_numpy(zero_copy_only=False)
        known = numbers[np.isfinite(numbers)]
        if (known == np.round(known)).all() and (np.abs(known) < 2**53).all():
            column = pc.cast(column, pa.int64())
    if not _is_text(column):
        column = pc.cast(column, pa.large_string())
    none = np.zeros(len(column), bool)
    return Column(column, _null(column), none, _EMPTY, _EMPTY)


def _number(column: Any) -> Column:
    import pyarrow as pa
    import pyarrow.compute as pc

    missing = _null(column)
    bad = np.zeros(len(column), bool)
    if _is_text(column):
        if not missing.all():
            bad = ~missing & ~_flags(pc.match_substring_regex(column, _NUMBER))
            if bad.any():
                column = pc.if_else(pa.array(bad), pa.scalar(None, column.type), column)
        column = pc.cast(column, pa.float64())
    elif not (pa.types.is_floating(column.type) or pa.types.is_integer(column.type)):
        bad = ~missing
        column = pa.nulls(len(column), pa.float64())
    else:
        column = pc.cast(column, pa.float64())
    values = np.asarray(column.to_numpy(zero_copy_only=False), dtype=float)
    bad |= ~missing & ~np.isfinite(values)
    return Column(column, missing, bad, values, _EMPTY)


def _whole(column: Any) -> Column:
    import pyarrow as pa
    import pyarrow.compute as pc

    found = _number(column)
    fraction = ~found.missing & ~found.bad & (found.values != np.round(found.values))
    bad = found.bad | fraction | (np.abs(found.values) >= 2**53)
    output = pa.array(np.where(bad | found.missing, 0, found.values).astype(np.int64), mask=bad | found.missing)
    notes: tuple[str, ...] = ()
    noted = None
    if _is_text(column) and not found.missing.all():
        noted = ~found.missing & ~bad & _flags(pc.match_substring(column, "."))
        notes = ("a whole number written with decimals; read as a whole number",) if noted.any() else ()
    return Column(output, found.missing, bad, found.values, _EMPTY, notes, noted)


def _truth(column: Any) -> Column:
    import pyarrow as pa
    import pyarrow.compute as pc

    missing = _null(column)
    if pa.types.is_boolean(column.type):
        true, false = _flags(column), ~missing & ~_flags(column)
    elif _is_text(column):
        true = _flags(pc.is_in(column, value_set=pa.array(_TRUE, column.type)))
        false = _flags(pc.is_in(column, value_set=pa.array(_FALSE, column.type)))
    else:
        numbers = _number(column).values
        true, false = numbers == 1, numbers == 0
    bad = ~missing & ~true & ~false
    values = np.where(true, 1, np.where(false, 0, -1)).astype(np.int8)
    return Column(pa.array(true, mask=missing | bad), missing, bad, values, _EMPTY)


# --- times -----------------------------------------------------------------------------


def _time(column: Any, time_zone: str | None) -> Column:
    import pyarrow as pa

    missing = _null(column)
    if pa.types.is_timestamp(column.type):
        return _moments(column, missing, time_zone)
    if not _is_text(column):
        return Column(column, missing, ~missing, np.full(len(column), NO_TIME), np.zeros(len(column), np.int16))
    from linkways.populations import _camtrap_kernels as kernels

    column = column.cast(pa.large_string())
    _, begins, data = column.buffers()
    at = np.frombuffer(begins, np.int64)[column.offset : column.offset + len(column) + 1]
    # where every text is missing there are no bytes at all
    content = np.frombuffer(data, np.uint8) if data is not None and data.size else np.zeros(1, np.uint8)
    seconds, offsets, kinds = kernels.read_times(content, at)
    local = ~missing & (kinds == kernels.LOCAL)
    bad = ~missing & (kinds != kernels.ZONED)
    notes: tuple[str, ...] = ()
    if time_zone is not None and local.any():
        utc, unclear = utc_of(seconds[local], time_zone)
        offsets[local] = ((seconds[local] - utc) // 60).astype(np.int16)
        seconds[local] = utc
        bad &= ~local
        texts = np.full(len(column), None, object)
        texts[local] = times_as_text(utc, offsets[local])
        column = _one_piece(pa.compute.if_else(pa.array(local), pa.array(texts, pa.large_string()), column))
        notes = (f"a time without offset, read as {time_zone}",)
        if unclear:
            notes = (f"{notes[0]} ({unclear} at a clock change, with the offset before it)",)
    seconds[missing | bad] = NO_TIME
    return Column(column, missing, bad, seconds, offsets, notes, local if notes else None)


def _moments(column: Any, missing: np.ndarray, time_zone: str | None) -> Column:
    """A column of moments, as Python and Parquet hold them."""
    import pyarrow as pa

    # a file without fractions of a second is the rule; finer times lose them
    whole = column.cast(pa.timestamp("s", column.type.tz), safe=False).cast(pa.int64())
    seconds = np.array(pa.compute.fill_null(whole, 0).to_numpy(zero_copy_only=False))
    offsets = np.zeros(len(column), np.int16)
    bad = np.zeros(len(column), bool)
    notes: tuple[str, ...] = ()
    if column.type.tz is None and time_zone is None:
        bad = ~missing
    elif column.type.tz is None:
        utc, _ = utc_of(seconds, str(time_zone))
        offsets, seconds = ((seconds - utc) // 60).astype(np.int16), utc
        notes = (f"a time without offset, read as {time_zone}",)
    else:
        offsets = ((_clock_of(seconds, column.type.tz) - seconds) // 60).astype(np.int16)
    texts = np.full(len(column), None, object)
    fine = ~missing & ~bad
    texts[fine] = times_as_text(seconds[fine], offsets[fine])
    seconds[~fine] = NO_TIME
    return Column(pa.array(texts, pa.large_string()), missing, bad, seconds, offsets, notes, fine if notes else None)


def times_as_text(seconds: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Times as Camtrap DP writes them: the clock shown and its offset from UTC, ``Z`` where that is 0."""
    clock = np.datetime_as_string((seconds + offsets.astype(np.int64) * 60).astype("datetime64[s]"), unit="s")
    zones = {int(o): _offset_text(int(o)) for o in np.unique(offsets)}
    return np.array([f"{text}{zones[int(o)]}" for text, o in zip(clock, offsets, strict=True)], object)


def _offset_text(minutes: int) -> str:
    if minutes == 0:
        return "Z"
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"


def utc_of(clock: np.ndarray, time_zone: str) -> tuple[np.ndarray, int]:
    """UTC of seconds of a clock in a zone, and how many of them the clock shows twice or never.

    Those get the offset before the change (PEP 495, fold 0).
    """
    import pandas as pd

    zone = _zone(time_zone)
    unique, inverse = np.unique(clock, return_inverse=True)
    moments = pd.DatetimeIndex(unique.astype("datetime64[s]"))
    clear = moments.tz_localize(zone, ambiguous="NaT", nonexistent="NaT").tz_convert("UTC").tz_localize(None)
    utc = np.array(clear.to_numpy().astype("datetime64[s]").astype(np.int64))
    unclear = np.asarray(clear.isna())
    for i in np.flatnonzero(unclear):
        utc[i] = int(moments[int(i)].to_pydatetime().replace(tzinfo=zone, fold=0).timestamp())
    return utc[inverse], int(unclear[inverse].sum())


def _clock_of(seconds: np.ndarray, time_zone: str) -> np.ndarray:
    import pandas as pd

    moments = pd.DatetimeIndex(seconds.astype("datetime64[s]"), tz="UTC").tz_convert(time_zone).tz_localize(None)
    return np.asarray(moments.to_numpy().astype("datetime64[s]").astype(np.int64))


def _zone(name: str) -> Any:
    from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise LinkwaysError(
            f"time_zone '{name}' is not a zone of the IANA list{nearest(name, available_timezones())}; write it like "
            "UTC or Asia/Ashgabat"
        ) from None
