"""Compiled reading of times written as text, and the two rules of independent records."""

from __future__ import annotations

import numpy as np
from numba import njit

__all__ = ["BAD", "DATE", "LOCAL", "ZONED", "independent_records", "read_times"]

ZONED, LOCAL, DATE, BAD = 0, 1, 2, 3
"""With an offset from UTC; without one; without a time of day; none of these."""

_DAYS = np.array([31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31], dtype=np.int64)


@njit(cache=True, nogil=True)
def _digits(data, first, count):
    """The number that so many digits write, or -1."""
    value = 0
    for i in range(first, first + count):
        digit = data[i] - 48
        if digit < 0 or digit > 9:
            return -1
        value = value * 10 + digit
    return value


@njit(cache=True, nogil=True)
def _day_number(year, month, day):
    """Days since 1970-01-01 in the Gregorian calendar, which Camtrap DP's times follow."""
    y = year - (1 if month <= 2 else 0)
    era = y // 400
    of_era = y - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


@njit(cache=True, nogil=True)
def _one_time(data, first, size):
    """Seconds since 1970 (of the clock shown), offset from UTC in minutes, and which kind of text it is."""
    if size < 10 or data[first + 4] != 45 or data[first + 7] != 45:
        return 0, 0, BAD
    year, month, day = _digits(data, first, 4), _digits(data, first + 5, 2), _digits(data, first + 8, 2)
    if year < 1 or month < 1 or month > 12 or day < 1:
        return 0, 0, BAD
    leap = month == 2 and year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    if day > _DAYS[month - 1] + (1 if leap else 0):
        return 0, 0, BAD
    seconds = _day_number(year, month, day) * 86400
    if size == 10:
        return seconds, 0, DATE
    between = data[first + 10]
    if size < 16 or (between != 84 and between != 32) or data[first + 13] != 58:
        return 0, 0, BAD
    hour, minute = _digits(data, first + 11, 2), _digits(data, first + 14, 2)
    if hour < 0 or hour > 23 or minute < 0 or minute > 59:
        return 0, 0, BAD
    seconds += hour * 3600 + minute * 60
    if size == 16:
        return seconds, 0, LOCAL
    second = _digits(data, first + 17, 2) if size >= 19 and data[first + 16] == 58 else -1
    if second < 0 or second > 59:
        return 0, 0, BAD
    seconds += second
    if size == 19:
        return seconds, 0, LOCAL
    if between != 84:
        return 0, 0, BAD
    sign = data[first + 19]
    if size == 20 and sign == 90:
        return seconds, 0, ZONED
    colon = size == 25 and data[first + 22] == 58
    if (sign != 43 and sign != 45) or not (colon or size == 24):
        return 0, 0, BAD
    hours, minutes = _digits(data, first + 20, 2), _digits(data, first + (23 if colon else 22), 2)
    if hours < 0 or hours > 23 or minutes < 0 or minutes > 59:
        return 0, 0, BAD
    offset = hours * 60 + minutes
    return seconds, -offset if sign == 45 else offset, ZONED


@njit(cache=True, nogil=True)
def read_times(data, begins):
    """Times of texts that lie one after the other in ``data`` (bytes), the i-th at ``begins[i]:begins[i + 1]``.

    Read are ``2020-05-30T04:57:37Z``, ``...+02:00``, ``...+0200``, without offset (``T`` or a blank, seconds or not),
    and dates alone.

    Returns:
        seconds since 1970 (UTC where the offset is written, else of the clock shown), offset in minutes, kind.
    """
    n = begins.size - 1
    seconds, offsets, kinds = np.zeros(n, np.int64), np.zeros(n, np.int16), np.zeros(n, np.uint8)
    for i in range(n):
        found, offset, kind = _one_time(data, begins[i], begins[i + 1] - begins[i])
        seconds[i] = found - offset * 60
        offsets[i] = offset
        kinds[i] = kind
    return seconds, offsets, kinds


@njit(cache=True, nogil=True)
def independent_records(group, seconds, gap, since_last_kept):
    """Which records are independent; records sorted by group and, within it, by time.

    Kept is a record at least ``gap`` seconds after the last kept one of its group, or after the one before it.
    """
    kept = np.zeros(group.size, np.bool_)
    last = np.int64(0)
    for i in range(group.size):
        kept[i] = i == 0 or group[i] != group[i - 1] or seconds[i] - last >= gap
        if kept[i] or not since_last_kept:
            last = seconds[i]
    return kept
